"""The documents are complete and true where a machine can tell."""

import re
from pathlib import Path

import pytest

import template
from sheaf.base import bounds, errors

ROOT = template.ROOT


def every_error() -> list[type[errors.SheafError]]:
    found, waiting = [], [errors.SheafError]
    while waiting:
        each = waiting.pop()
        found.append(each)
        waiting += each.__subclasses__()
    return found


# contract: 135
def test_every_error_code_has_its_heading_and_status_in_the_docs_and_no_other_has() -> None:
    text = (ROOT / "docs/errors.md").read_text()
    documented = dict(re.findall(r"^## (\w+)\n\n\*\*(\d{3})\*\*", text, re.MULTILINE))
    assert documented == {error.code: str(error.status) for error in every_error()}


def test_every_limit_stands_in_the_docs_with_its_value() -> None:
    text = (ROOT / "docs/limits.md").read_text()
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+?) \|", text, re.MULTILINE))
    ours = {name: value for name, value in vars(bounds).items() if name.isupper()}
    shown = {
        name: f"{value:,}" if isinstance(value, int) else " to ".join(f"{each:,}" for each in value)
        for name, value in ours.items()
    }
    assert documented == shown


def test_every_make_target_is_in_the_readme_or_contributing() -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    assert [target for target in targets if f"make {target}" not in text] == []


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda path: path.name)
def test_every_link_inside_the_project_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_every_decision_has_a_date() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "docs/decisions.md").read_text(), re.MULTILINE)
    assert headings and all(re.match(r"20\d\d-\d\d-\d\d ", heading) for heading in headings)


# contract: 146
def test_what_the_project_must_carry() -> None:
    for name in (
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        ".ci/run",
        ".github/workflows/ci.yml",
        "samconfig.toml",
        "docs/deploy.md",
    ):
        assert (ROOT / name).exists(), name
    assert all(stage in (ROOT / "samconfig.toml").read_text() for stage in ("[local.", "[dev.", "[prod."))


def test_every_requirement_is_locked_with_a_hash() -> None:
    for path in [ROOT / "layers/deps/requirements.txt", *(ROOT / "requirements").glob("*.txt")]:
        pins = re.findall(r"^[a-zA-Z][^\n]*==", path.read_text(), re.MULTILINE)
        hashed = re.findall(r"^[a-zA-Z][^\n]*== ?[^\n]*\\\n +--hash=sha256:", path.read_text(), re.MULTILINE)
        assert len(pins) == len(hashed) > 0, path.name
        assert "://" not in path.read_text()


def test_every_alarm_names_a_runbook_that_is_there_and_every_runbook_is_some_alarms() -> None:
    alarms = template.resources("AWS::CloudWatch::Alarm")
    named = {name: re.search(r"docs/runbooks/([a-z-]+)\.md$", alarm["AlarmDescription"]) for name, alarm in alarms.items()}
    assert all(named.values())
    there = {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")}
    assert {match[1] for match in named.values() if match} == there
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmsTopic"}]


def test_the_table_of_the_25_endpoints_names_their_functions_and_tests_that_call_them() -> None:
    """contract: 108-132"""
    text = (ROOT / "docs/operations.md").read_text()
    rows = re.findall(r"^\| (\d+) \| `(\w+) (/v1/[^`]+)` \| (\w+) \| (\S+) \|$", text, re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, 26))
    for _, _, path, folder, test in rows:
        assert template.route_of(path.replace("{id}", "ses_1"))[1] == folder, path
        assert path.partition("{")[0].rstrip("/").rpartition("/v1/")[2] in (ROOT / test).read_text(), (
            f"{test} does not call {path}"
        )
