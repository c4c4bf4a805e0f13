"""The `Prefer` header (RFC 7240): what a client would like, as far as this API knows it. What it does not know it ignores."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preferences:
    """`return=minimal`, `handling=strict|lenient`, `dry-run`, `merge=disjoint`, `profile=canonical`, `respond-multistatus`,
    `plan`, `continue-on-error` (`go_on`; None where nothing is said)."""

    minimal: bool = False
    strict: bool = False
    lenient: bool = False
    dry_run: bool = False
    merge: bool = False
    canonical: bool = False
    multistatus: bool = False
    plan: bool = False
    go_on: bool | None = None


_KNOWN = {
    "plan": "plan",
    "continue-on-error": "go_on",
    "continue-on-error=true": "go_on",
    "return=minimal": "minimal",
    "handling=strict": "strict",
    "handling=lenient": "lenient",
    "dry-run": "dry_run",
    "merge=disjoint": "merge",
    "profile=canonical": "canonical",
    "respond-multistatus": "multistatus",
}


def parse(header: str) -> Preferences:
    """The preferences of a header; of two that contradict each other the first one counts."""
    found: dict[str, bool] = {}
    named: set[str] = set()
    for part in header.split(","):
        text = part.partition(";")[0].strip().replace(" ", "").replace('"', "").lower()
        name = text.partition("=")[0]
        if name not in named and text in _KNOWN:
            found[_KNOWN[text]] = True
        elif name not in named and text == "continue-on-error=false":
            found["go_on"] = False
        named.add(name)
    return Preferences(**found)
