"""Exports of very many rows: a generator stands behind the store's port instead of a table, the parts lie on disk.

The file must be exact, and the memory flat however many rows there are. Each size runs in a process of its own.
"""

import json
import os
import resource
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import world
from sheaf.base import ids
from sheaf.store import blobs, table
from sheaf.store.blobs import PART_BYTES
from sheaf.store.table import Item, Span

START = 1_790_000_000_000


class Rows:
    """So many tasks, newest first, made as they are asked for."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._real = table.query

    def item(self, number: int) -> Item:
        row_id = ids.numbered("tsk", START, "rows", number)
        document = {"id": row_id, "title": f'=row "{number}"', "description": None, "status": "todo", "priority": "medium", "assignee": None,
                    "createdAt": "2026-09-21T14:13:20.000Z", "updatedAt": "2026-09-21T14:13:20.000Z", "version": 1}  # fmt: skip
        return {"sk": row_id, "v": 1, "d": json.dumps(document, separators=(",", ":"))}

    def query(self, name: str, span: Span | str, *, after: str = "", **more: Any) -> Iterator[Item]:
        if not isinstance(span, Span) or not span.pk.endswith("#tasks#0"):
            yield from self._real(name, span, after=after, **more)
            return
        first = self.count
        if after:  # where the step before ended, by bisection over ids in their order
            low, high = 0, self.count
            while low < high:
                middle = (low + high) // 2
                low, high = (middle + 1, high) if ids.numbered("tsk", START, "rows", middle) < after else (low, middle)
            first = low
        yield from (self.item(number) for number in range(first - 1, -1, -1))


class Disk:
    """The multipart verbs over files of a folder."""

    def __init__(self, home: Path) -> None:
        self.home, self.whole = home, home / "whole"
        self._stream, self._put, self._get = blobs.stream, blobs.put, blobs.get

    def put(self, bucket: str, key: str, data: bytes, kind: str) -> None:
        """What is carried over from step to step would fill the memory of a bucket that lies there."""
        if "/tail-" in key:
            (self.home / key.rpartition("/")[2]).write_bytes(data)
        else:
            self._put(bucket, key, data, kind)

    def get(self, bucket: str, key: str, *span: Any, **more: Any) -> bytes:
        return (self.home / key.rpartition("/")[2]).read_bytes() if "/tail-" in key else self._get(bucket, key, *span, **more)

    def put_part(self, _: str, __: str, ___: str, number: int, data: bytes) -> str:
        (self.home / f"{number:05d}").write_bytes(data)
        return str(number)

    def finish(self, _: str, __: str, ___: str, etags: Any) -> None:
        with self.whole.open("wb") as out:
            for number in etags:
                out.write((self.home / f"{int(number):05d}").read_bytes())

    def stream(self, bucket: str, key: str, version: str | None = None) -> Iterator[bytes]:
        if key.rpartition(".")[2] not in ("csv", "ndjson", "json"):
            yield from self._stream(bucket, key, version)
            return
        with self.whole.open("rb") as file:
            while piece := file.read(1 << 20):
                yield piece


def expected(rows: Rows, form: str) -> tuple[str, int]:
    """The digest and the size that the file has to have."""
    digest, size = sha256(), 0

    def add(text: str) -> None:
        nonlocal size
        digest.update(text.encode())
        size += len(text.encode())

    if form == "csv":
        add("title,version\r\n")
    for number in range(rows.count - 1, -1, -1):
        add(f'\'=row "{number}"'.replace('"', '""').join('""') + ",1\r\n" if form == "csv" else rows.item(number)["d"] + "\n")
    return digest.hexdigest(), size


def export(count: int, form: str, home: Path, step: float, part: int) -> dict[str, Any]:
    """In a child: the export of so many rows; what it took."""
    rows, disk = Rows(count), Disk(home)
    with world.a_world() as sheaf:
        acme = sheaf.tenant()
        body = {"format": form, **({"fields": ["title", "version"]} if form == "csv" else {})}
        job = sheaf.http("POST", "/v1/tasks/export", body, key=acme.key).data["id"]
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        with (
            patch.object(table, "query", rows.query), patch.object(blobs, "put_part", disk.put_part), patch.object(blobs, "start_multipart", lambda *_: "u"),
            patch.object(blobs, "finish_multipart", disk.finish), patch.object(blobs, "stream", disk.stream),
            patch.object(blobs, "put", disk.put), patch.object(blobs, "get", disk.get), patch("sheaf.features.export.work.PART_BYTES", part),
            patch("sheaf.features.export.work.EXPORT_STEP_SECONDS", step),
        ):  # fmt: skip
            sheaf.settle(rounds=2_000)
        took = time.monotonic() - started
        shown = sheaf.http("GET", f"/v1/jobs/{job}", key=acme.key).data
        steps = sum(1 for _ in table.query("ControlTable", f"{acme.id}#job#{job}"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "status": shown["status"],
        **(shown["result"] or {}),
        "steps": steps,
        "seconds": took,
        "peak": peak,
        "grown": peak - before,
    }


def measured(count: int, form: str, home: Path, step: float, part: int) -> dict[str, Any]:
    home.mkdir()
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            told = export(count, form, home, step, part)
        except BaseException as error:
            told = {"died": repr(error)}
        os.write(writer, json.dumps(told).encode())
        os._exit(0)
    os.close(writer)
    said = b""
    while piece := os.read(reader, 10_000):
        said += piece
    os.close(reader)
    os.wait()
    return dict(json.loads(said))


def flat(small: int, large: int, form: str, home: Path, step: float, part: int) -> None:
    found = {count: measured(count, form, home / str(count), step, part) for count in (small, large)}
    for count, told in found.items():
        digest, size = expected(Rows(count), form)
        assert (told["status"], told["rows"], told["bytes"], told["sha256"]) == ("succeeded", count, size, digest), told
        assert told["steps"] > 1, "it was carried on from step to step"
    ratio = found[large]["peak"] / found[small]["peak"]
    print(f"\n{large:,} rows as {form}: {found[large]['bytes']:,} bytes in {found[large]['seconds']:.1f} s and {found[large]['steps']} steps, "
          f"{found[large]['seconds'] / large * 1e6:.1f} µs a row; peak memory {found[large]['peak'] / 1024:.0f} MB, {ratio:.2f} times that of {small:,} rows",
          flush=True)  # fmt: skip
    assert ratio <= 1.2


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_memory_is_flat_and_the_file_exact(tmp_path: Path, form: str) -> None:
    flat(20_000, 80_000, form, tmp_path, 0.05, 500_000)


@pytest.mark.soak
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_large_export(tmp_path: Path, form: str) -> None:
    """Soak: a million rows beside a hundred thousand."""
    flat(100_000, 1_000_000, form, tmp_path, 1.0, PART_BYTES)
