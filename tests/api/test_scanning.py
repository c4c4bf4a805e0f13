"""Files and a scanner: a process of its own on loopback, which knows the EICAR test file."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import samples
import scanner
import template
import world
from sheaf.base.config import config
from uploading import announce, in_the_bucket, ready, room, show


@contextmanager
def running(monkeypatch: pytest.MonkeyPatch, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The scanner, known to the functions."""
    command = [sys.executable, str(template.ROOT / "tests/scanner.py"), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        monkeypatch.setenv("SHEAF_SCANNER", f"127.0.0.1:{process.stdout.readline().strip()}")
        config.cache_clear()
        yield process
    finally:
        process.kill()
        process.wait()
        monkeypatch.undo()
        config.cache_clear()


def test_an_infected_file_is_kept_from_everybody(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(monkeypatch):
        good = ready(sheaf, acme)
        archive = samples.archive({"eicar.com": scanner.SIGNATURE})
        for content, kind in [
            (scanner.SIGNATURE, "text/plain"),
            (archive, "application/zip"),
            (b"a" * 1_000_000 + scanner.SIGNATURE, "text/csv"),
        ]:
            bad = ready(sheaf, acme, content, type=kind, filename="x")
            shown = show(sheaf, acme, bad)
            assert (
                shown["status"] == "infected"
                and shown["reason"] == "The scanner has found Eicar-Test-Signature"
                and shown["receipt"]
            )
            assert sheaf.http("GET", f"/v1/uploads/{bad}/content", key=acme.key).status == 409
            assert not [key for key in in_the_bucket(acme) if bad in key], "nothing of it is left"
        assert show(sheaf, acme, good)["status"] == "ready"
        assert room(acme) == (len(samples.PNG), 0)


def test_without_its_scanner_no_file_is_ready(sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(monkeypatch) as process:
        process.kill()
        process.wait()
        file_id = str(announce(sheaf, acme)["id"])
        with pytest.raises(Exception, match="scanner does not answer"):
            sheaf.arrive(acme, file_id, samples.PNG)
        assert show(sheaf, acme, file_id)["status"] == "uploaded"
    sheaf.tell_upload(acme, file_id)
    assert show(sheaf, acme, file_id)["status"] == "ready", "Lambda calls again, and then the sweep does"


def test_what_is_too_large_to_be_scanned_is_not_served(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(monkeypatch, "--limit", "10000"):
        content = samples.PDF + bytes(3_000_000) + b"%%EOF"
        shown: Any = show(sheaf, acme, ready(sheaf, acme, content, type="application/pdf"))
    assert shown["status"] == "infected" and "too large to be scanned" in shown["reason"]
