"""What a file is, by its content: every type recognised, every second nature refused, however the file is cut."""

import random
from hashlib import sha256

import pytest

import samples
from sheaf.formats.magic import TYPES, Inspector


def objection(declared: str, content: bytes, cut: int = 1 << 20) -> str | None:
    inspector = Inspector(declared)
    for start in range(0, len(content), cut):
        inspector.feed(content[start : start + cut])
    assert inspector.size == len(content) and inspector.sha256 == sha256(content).hexdigest()
    return inspector.objection()


def test_every_type_has_a_sample() -> None:
    assert set(samples.BY_TYPE) == set(TYPES)


@pytest.mark.parametrize("declared", sorted(TYPES))
def test_a_good_file_is_taken_however_it_is_cut(declared: str) -> None:
    content = samples.BY_TYPE[declared]
    assert [objection(declared, content, cut) for cut in (1, 2, 3, 7, 64, 1 << 20)] == [None] * 6


@pytest.mark.parametrize("declared", sorted(TYPES))
def test_no_file_passes_for_another_type(declared: str) -> None:
    text = {"text/plain", "text/csv", "application/json", "application/x-ndjson"}
    for other, content in samples.BY_TYPE.items():
        if other == declared or (declared in text and other in text):
            continue
        if (declared, other) == ("application/zip", samples.XLSX_TYPE):  # a workbook is an archive
            assert objection(declared, content) is None
            continue
        assert objection(declared, content), (declared, other)


WHOLE_JPEG = samples.picture("JPEG", (300, 200))
HOSTILE = [
    ("a picture with an archive behind it", "image/gif", samples.GIF + samples.ZIP),
    ("a PNG with an archive behind it", "image/png", samples.PNG + samples.ZIP),
    ("a JPEG with an archive behind it", "image/jpeg", samples.JPEG + samples.ZIP),
    ("a PDF with an archive behind it", "application/pdf", samples.PDF + samples.ZIP),
    ("an archive with a comment that is a page", "image/png", samples.PNG + samples.archive({"a": b"x"}, b"<html>")),
    ("a PDF within a picture", "image/jpeg", WHOLE_JPEG[:20] + b"%PDF-1.7 " + WHOLE_JPEG[20:]),
    ("a script within a picture", "image/jpeg", WHOLE_JPEG[:-2] + b"<ScRiPt>alert(1)</script>\xff\xd9"),
    ("a server's script within a picture", "image/gif", samples.GIF[:-1] + b"<?php system('id') ?>;"),
    ("a page within a picture", "image/webp", samples.WEBP + b"<html>"),
    ("a program that calls itself a picture", "image/png", b"MZ\x90\0" + samples.PNG[4:]),
    ("a program that calls itself a text", "text/plain", b"\x7fELF\x02\x01\x01"),
    ("a Windows program that calls itself a table", "text/csv", b"MZ\x90\0\x03"),
    ("a script that calls itself a text", "text/plain", b"#!/bin/sh\nrm -rf /\n"),
    ("a compressed file that calls itself JSON", "application/json", b"\x1f\x8b\x08\0"),
    ("a page that calls itself a text", "text/plain", b"  <!DOCTYPE html><p>hi"),
    ("a drawing that calls itself a text", "text/plain", b"<svg onload=alert(1)>"),
    ("a page that calls itself a table", "text/csv", b"\xef\xbb\xbf<html><body>"),
    ("XML that calls itself a text", "text/plain", b"<?xml version='1.0'?><svg/>"),
    ("bytes in a text, far behind its beginning", "text/plain", b"a" * 10_000 + b"\0\1\2"),
    ("bytes that are no UTF-8, far behind", "application/json", b"[" + b'"a",' * 5_000 + b'"\xff"]'),
    ("a cut character at the end", "text/plain", "Grüß".encode()[:-1]),
    ("JSON without an end", "application/json", b'{"a": '),
    ("a PNG without an end", "image/png", samples.PNG[:-12]),
    ("a PNG without its first chunk", "image/png", b"\x89PNG\r\n\x1a\n" + bytes(30)),
    ("a GIF without an end", "image/gif", samples.GIF[:-1]),
    ("a WebP with something behind it", "image/webp", samples.WEBP + b"x" * 10),
    ("a PDF without an end", "application/pdf", samples.PDF.replace(b"%%EOF", b"")),
    ("an archive without an end", "application/zip", samples.ZIP[:-5]),
    ("an archive with something behind it", "application/zip", samples.ZIP + b"x"),
    ("two archives", "application/zip", samples.ZIP + samples.archive({"b.txt": b"other"})),
    ("a workbook that is only an archive", samples.XLSX_TYPE, samples.ZIP),
    ("nothing", "image/png", b""),
    ("an archive with one byte behind it", "image/png", samples.PNG + samples.ZIP + b"\0"),
    ("an archive with much behind it", "image/jpeg", samples.JPEG + samples.ZIP + b"x" * 5_000),
    ("an archive of nothing behind a picture", "image/jpeg", samples.JPEG + samples.archive({})),
    ("another archiver's file behind a picture", "image/jpeg", samples.JPEG + b"Rar!\x1a\x07\x01\x00 and so on"),
    ("one more of them", "image/webp", samples.WEBP[:-1] + b"7z\xbc\xaf\x27\x1c"),
    ("a program behind a picture", "image/png", samples.PNG + b"MZ\x90\0" + bytes(1_000)),
    ("a program behind a PDF", "application/pdf", samples.PDF + b"MZ\x90\0" + bytes(range(1, 255)) * 8),
    ("a wide table with control characters", "text/csv", b"\xff\xfe" + "a;b\x01\n".encode("utf-16-le")),
    ("a wide table that is a program", "text/csv", b"\xff\xfe\x7fELF" + bytes(range(256))),
    ("a wide table that is a page", "text/csv", "<html><script>x</script>".encode("utf-16")),
    ("half a character of a wide table", "text/csv", b"\xff\xfea\0b"),
]


@pytest.mark.parametrize(("declared", "content"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_a_hostile_file_is_refused_however_it_is_cut(declared: str, content: bytes) -> None:
    rng = random.Random(1)
    for cut in (1 << 20, 1, 5, 16, rng.randrange(17, 200)):
        found = objection(declared, content, cut)
        assert found and found.startswith(f"The content is not {declared}: "), cut


def test_what_looks_odd_and_is_not_hostile_passes() -> None:
    assert objection("text/csv", "a;b\nGrüße;1\n".encode("latin-1")) is None
    assert objection("text/csv", "a;b\n1;2\n".encode("utf-16")) is None
    assert objection("text/plain", b"MZ is how his initials read; 1 < 2 <html> comes later") is None
    assert objection("image/jpeg", samples.JPEG + samples.MP4) is None, "telephones keep a moment of film behind a picture"
    assert objection("application/zip", samples.archive({}, b"")) is None, "an archive of nothing"
    assert objection("application/pdf", b"\xef\xbb\xbf\r\n" + samples.PDF) is None, "readers pass over what stands before"
    assert objection("application/pdf", samples.PDF + b"\r\n" * 20) is None
    assert objection("image/png", samples.PNG + b"\0\0\r\n") is None
    many = samples.archive({f"{number}.txt": b"" for number in range(65_600)})
    assert objection("application/zip", many, 1 << 16) is None, "more files than the older numbers can count"


def test_pictures_are_not_refused_by_chance() -> None:
    """The noise of 400 MB of compressed pixels holds none of what is looked for."""
    rng = random.Random(7)
    inspector = Inspector("image/jpeg")
    inspector.feed(samples.JPEG[:20])
    for _ in range(400):
        inspector.feed(rng.randbytes(1 << 20))
    assert inspector.objection() is None


def test_the_memory_it_takes_does_not_grow_with_the_file() -> None:
    inspector = Inspector("video/mp4")
    inspector.feed(samples.MP4)
    for _ in range(200):
        inspector.feed(bytes(1 << 20))
    assert inspector.objection() is None
    assert sum(len(value) for value in vars(inspector).values() if isinstance(value, bytes)) < 200_000
