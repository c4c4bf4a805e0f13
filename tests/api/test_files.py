"""Imports and exports: four formats, from the body, from an upload, by a form; what is wrong with which row; round trips."""

import csv
import io
import json
import zipfile
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest

import rights
import world
from sheaf.formats import xlsx
from sheaf.store import aws

CSV = {"Content-Type": "text/csv"}
XLSX = {"Content-Type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
NDJSON = {"Content-Type": "application/x-ndjson"}
PEOPLE = [{"first_name": f"=cmd|{n}", "last_name": f"'B\n{n}", "email": f"p{n}@b.example"} for n in range(3)]


def job(sheaf: world.World, tenant: world.Tenant, answer: world.Answer) -> dict[str, Any]:
    """The job of an answer, carried to its end."""
    assert answer.status == 202, answer.text
    sheaf.settle()
    return dict(sheaf.http("GET", f"/v1/jobs/{answer.data['id']}", key=tenant.key).data)


def content(url: str) -> bytes:
    path = unquote(urlsplit(url).path).lstrip("/").removeprefix("jobs/")
    return bytes(aws.client("s3").get_object(Bucket="jobs", Key=path)["Body"].read())


def table(url: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content(url).decode(), newline="")))


def rows(sheaf: world.World, tenant: world.Tenant, path: str = "contacts") -> list[dict[str, Any]]:
    found = sheaf.http("GET", f"/v1/{path}?limit=100", key=tenant.key).data
    return [
        {name: value for name, value in row.items() if name not in ("id", "createdAt", "updatedAt", "version")} for row in found
    ][::-1]


# ---- import ----


def test_a_table_with_its_errors_by_row_and_in_groups(sheaf: world.World, acme: world.Tenant) -> None:
    text = "First Name,last_name,EMAIL,Notes\r\n" + "".join(
        f"A{n},{'' if n in (2, 3, 4, 8) else 'B'},{'none' if n == 6 else f'a{n}@b.example'},x\r\n" for n in range(10)
    )
    mapping = quote(json.dumps({"Notes": None}))
    shown = job(sheaf, acme, sheaf.http("POST", f"/v1/import/contacts?mapping={mapping}", text, key=acme.key, headers=CSV))
    assert shown["status"] == "succeeded"
    assert shown["counts"] == {"total": 10, "created": 5, "updated": 0, "deleted": 0, "skipped": 0, "failed": 5}
    groups = {each["field"]: (each["count"], each["rows"]) for each in shown["errorGroups"]}
    assert groups == {"last_name": (4, "4-6, 10"), "email": (1, "8")}, "rows as a spreadsheet numbers them, the header being 1"
    errors = table(shown["errorsUrl"])
    assert [each["_row"] for each in errors] == ["4", "5", "6", "8", "10"] and errors[0]["First Name"] == "A2"
    assert all(each["_error"] and each["_code"] == "validation_failed" for each in errors)
    results = table(shown["result"]["url"])
    assert [each["_outcome"] for each in results] == ["created"] * 5 and all(each["_id"].startswith("con_") for each in results)
    assert [each["first_name"] for each in rows(sheaf, acme)] == ["A0", "A1", "A5", "A7", "A9"]


@pytest.mark.parametrize(
    ("query", "raw"),
    [("", "first_name,last_name,email\nÄ,B,a@b.example\n".encode()), ("", "\ufefffirst_name;last_name;email\nÄ;B;a@b.example\n".encode()),
     ("", "first_name\tlast_name\temail\r\nÄ\tB\ta@b.example".encode("utf-16")), ("?encoding=latin-1", "first_name|last_name|email\nÄ|B|a@b.example\n".encode("latin-1")),
     ("?delimiter=tab", 'first_name\tlast_name\temail\n"Ä"\tB\ta@b.example\n\n\n'.encode()), ("?encoding=utf-16", "first_name,last_name,email\nÄ,B,a@b.example\n".encode("utf-16-le"))],
)  # fmt: skip
def test_dialects_and_encodings(sheaf: world.World, acme: world.Tenant, query: str, raw: bytes) -> None:
    answer = sheaf.http("POST", f"/v1/import/contacts{query}", raw, key=acme.key, headers=CSV)
    assert job(sheaf, acme, answer)["counts"]["created"] == 1
    assert rows(sheaf, acme) == [{"first_name": "Ä", "last_name": "B", "email": "a@b.example"}]


def workbook(*table: list[Any]) -> bytes:
    book = io.BytesIO()
    writer = xlsx.Writer(book, "Sheet 1", table[0])
    for row in table[1:]:
        writer.write(row)
    writer.close()
    return book.getvalue()


def test_a_workbook(sheaf: world.World, acme: world.Tenant) -> None:
    raw = workbook(
        ["title", "url", "duration_seconds", "tags"], ["=1+1", "https://v.example/1", 90, "a; b"], [2026, None, None, '["c"]']
    )
    shown = job(sheaf, acme, sheaf.http("POST", "/v1/import/videos", raw, key=acme.key, headers=XLSX))
    assert shown["counts"]["created"] == 2, content(shown["errorsUrl"])
    found = rows(sheaf, acme, "videos")
    assert [(each["title"], each["duration_seconds"], each["tags"]) for each in found] == [
        ("=1+1", 90, ["a", "b"]),
        ("2026", None, ["c"]),
    ]


def test_lines_of_json_and_a_json_file(sheaf: world.World, acme: world.Tenant) -> None:
    lines = "".join(f"{json.dumps(each)}\n" for each in PEOPLE) + "\n"
    assert (
        job(sheaf, acme, sheaf.http("POST", "/v1/import/contacts", lines, key=acme.key, headers=NDJSON))["counts"]["created"] == 3
    )
    import gzip

    packed = gzip.compress(json.dumps({"items": PEOPLE}).encode())
    answer = sheaf.http(
        "POST", "/v1/import/contacts?format=json", packed, key=acme.key, headers={"Content-Type": "application/gzip"}
    )
    assert job(sheaf, acme, answer)["counts"]["created"] == 3
    inline = sheaf.http("POST", "/v1/import/contacts", gzip.compress(json.dumps(PEOPLE).encode()), key=acme.key,
                        headers={"Content-Type": "application/gzip"})  # fmt: skip
    assert (inline.status, inline.data["created"]) == (200, 3)
    assert rows(sheaf, acme) == PEOPLE * 3


@pytest.mark.parametrize(
    ("query", "headers", "raw", "status", "field"),
    [("", CSV, b"a,b\n1,2\n", 422, "columns.a"), ("", CSV, b"", 422, "file"), ("", CSV, b"first_name,First Name\n", 422, "columns.First Name"),
     ("?mapping=x", CSV, b"a\n", 422, "mapping"), ("?mapping={%22z%22:%22email%22}", CSV, b"email\n", 422, "mapping.z"), ("?encoding=ebcdic", CSV, b"email\n", 422, "encoding"),
     ("?delimiter=x", CSV, b"email\n", 422, "delimiter"), ("?color=x", CSV, b"email\n", 422, "color"), ("?operation=upsert", CSV, b"email\n", 422, "key"),
     ("?operation=upsert&key=email", CSV, b"email\n", 422, "key"), ("", CSV, b"\xff\xfe\xfd", 422, "file"), ("", XLSX, b"PK\x03\x04no", 422, None),
     ("", {"Content-Type": "text/html"}, b"<p>", 415, None), ("?dryRun=perhaps", CSV, b"email\n", 422, "dryRun")],
)  # fmt: skip
def test_what_is_wrong_with_an_import_is_said_at_once(
    sheaf: world.World, acme: world.Tenant, query: str, headers: dict[str, str], raw: bytes, status: int, field: str | None
) -> None:
    answer = sheaf.http("POST", f"/v1/import/contacts{query}", raw, key=acme.key, headers=headers)
    assert answer.status == status and (field is None or field in answer.json["errors"]), answer.text
    assert sheaf.http("GET", "/v1/jobs", key=acme.key).data == []


@pytest.mark.parametrize(
    ("raw", "headers", "error"),
    [("first_name,last_name,email\n", CSV, "There are no rows"), ('{"a": 1}\n{"a": \n', NDJSON, "Line 2 is not JSON"),
     ('first_name,last_name,email\nA,B,a@b.example\n"A"x,B,c\n', CSV, "Line 3 is no CSV")],
)  # fmt: skip
def test_a_file_that_breaks_in_the_middle_fails_the_job_and_writes_nothing(
    sheaf: world.World, acme: world.Tenant, raw: str, headers: dict[str, str], error: str
) -> None:
    shown = job(sheaf, acme, sheaf.http("POST", "/v1/import/contacts", raw, key=acme.key, headers=headers))
    assert shown["status"] == "failed" and error in shown["error"]
    assert rows(sheaf, acme) == []


def test_records_that_have_another_number_of_cells_fail_alone(sheaf: world.World, acme: world.Tenant) -> None:
    text = "first_name,last_name,email\nA,B,a@b.example\nA,B\nA,B,c@b.example,,\nA,B,d@b.example,x\n"
    shown = job(sheaf, acme, sheaf.http("POST", "/v1/import/contacts", text, key=acme.key, headers=CSV))
    assert (shown["counts"]["created"], shown["counts"]["failed"]) == (2, 2)
    assert [each["rows"] for each in shown["errorGroups"]] == ["3", "5"]


def test_a_dry_run_writes_nothing_and_an_upsert_writes_once(sheaf: world.World, acme: world.Tenant) -> None:
    sheaf.http("POST", "/v1/videos", {"title": "V", "url": "https://v.example/1"}, key=acme.key)
    text = "title,url\nNew,https://v.example/1\nW,https://v.example/2\nX,https://v.example/2\n,https://v.example/3\n"
    path = "/v1/import/videos?operation=upsert&key=url"
    tried = job(sheaf, acme, sheaf.http("POST", f"{path}&dryRun=true", text, key=acme.key, headers=CSV))
    assert tried["dryRun"] is True and [row["title"] for row in rows(sheaf, acme, "videos")] == ["V"]
    done = job(sheaf, acme, sheaf.http("POST", path, text, key=acme.key, headers=CSV))
    assert tried["counts"] == done["counts"] == {"total": 4, "created": 1, "updated": 1, "deleted": 0, "skipped": 0, "failed": 2}
    assert [row["title"] for row in rows(sheaf, acme, "videos")] == ["New", "W"]
    assert any("stands in row 3 already" in each["error"] for each in done["errorGroups"])
    again = job(sheaf, acme, sheaf.http("POST", path, text, key=acme.key, headers=CSV))
    assert (again["counts"]["skipped"], again["counts"]["created"]) == (2, 0)
    assert sheaf.http("POST", f"/v1/jobs/{tried['id']}/revert", key=acme.key).status == 409


def test_rows_are_changed_and_deleted_by_a_column_of_ids(sheaf: world.World, acme: world.Tenant) -> None:
    ids = [each["id"] for each in sheaf.http("POST", "/v1/contacts/bulk", PEOPLE, key=acme.key).data["items"]]
    text = f"id,first_name,email\n{ids[0]},New,\ncon_none,X,\n"
    shown = job(sheaf, acme, sheaf.http("POST", "/v1/import/contacts?operation=update", text, key=acme.key, headers=CSV))
    assert (shown["counts"]["updated"], shown["counts"]["failed"]) == (1, 1)
    assert rows(sheaf, acme)[0] == {**PEOPLE[0], "first_name": "New"}, "an empty cell leaves its field alone"
    shown = job(
        sheaf, acme, sheaf.http("POST", "/v1/import/contacts?operation=delete", f"id\n{ids[1]}\n", key=acme.key, headers=CSV)
    )
    assert shown["counts"]["deleted"] == 1 and len(rows(sheaf, acme)) == 2


def test_an_empty_cell_can_clear_its_field(sheaf: world.World, acme: world.Tenant) -> None:
    row_id = sheaf.http("POST", "/v1/tasks", {"title": "T", "description": "D"}, key=acme.key).data["id"]
    for mode, left in (("keep", "D"), ("clear", None)):
        path = f"/v1/import/tasks?operation=update&emptyCells={mode}"
        job(sheaf, acme, sheaf.http("POST", path, f"id,title,description\n{row_id},T2,\n", key=acme.key, headers=CSV))
        assert rows(sheaf, acme, "tasks")[0]["description"] == left


def test_a_finished_upload_is_imported(sheaf: world.World, acme: world.Tenant, globex: world.Tenant) -> None:
    raw = b"first_name,last_name,email\nA,B,a@b.example\n"
    file = sheaf.http("POST", "/v1/uploads", {"filename": "a.csv", "size": len(raw), "type": "text/csv"}, key=acme.key).data
    body = {"uploadId": file["id"]}
    early = sheaf.http("POST", "/v1/import/contacts", body, key=acme.key)
    assert early.status == 409 and "has not arrived" in early.json["message"]
    sheaf.arrive(acme, file["id"], raw)
    assert sheaf.http("POST", "/v1/import/contacts", body, key=globex.key).status == 404
    assert job(sheaf, acme, sheaf.http("POST", "/v1/import/contacts", body, key=acme.key))["counts"]["created"] == 1


def test_an_import_waits_for_the_file_that_its_form_is_for(sheaf: world.World, acme: world.Tenant) -> None:
    raw = b"first_name,last_name,email\nA,B,a@b.example\n"
    body = {"file": {"filename": "a.csv", "size": len(raw), "type": "text/csv", "sha256": sha256(raw).hexdigest()}}
    answer = sheaf.http("POST", "/v1/import/contacts", body, key=acme.key, headers={"Idempotency-Key": "k"})
    assert answer.data["upload"]["upload"]["method"] == "POST"
    again = sheaf.http("POST", "/v1/import/contacts", body, key=acme.key, headers={"Idempotency-Key": "k"})
    assert (again.data["id"], again.data["upload"]["id"]) == (answer.data["id"], answer.data["upload"]["id"])
    sheaf.settle()
    assert sheaf.http("GET", f"/v1/jobs/{answer.data['id']}", key=acme.key).data["status"] == "queued"
    sheaf.arrive(acme, answer.data["upload"]["id"], raw)
    sheaf.tell_upload(acme, answer.data["upload"]["id"])
    assert job(sheaf, acme, answer)["counts"] == {"total": 1, "created": 1, "updated": 0, "deleted": 0, "skipped": 0, "failed": 0}
    assert len(rows(sheaf, acme)) == 1


def test_a_file_that_is_another_or_never_comes_ends_the_job(sheaf: world.World, acme: world.Tenant) -> None:
    body = {"file": {"filename": "a.csv", "size": 5, "type": "text/csv"}}
    lie, never = (sheaf.http("POST", "/v1/import/contacts", body, key=acme.key) for _ in range(2))
    sheaf.arrive(acme, lie.data["upload"]["id"], b"\x89PNG\r\n")
    shown = job(sheaf, acme, lie)
    assert (shown["status"], shown["error"]) == ("failed", "the file was rejected: The file has more bytes, 5 were announced")
    with world.later(5_000):
        with rights.of("on_schedule"):
            world.function("on_schedule").handler(world.event("on_schedule.minute"), world.CONTEXT)
        shown = job(sheaf, acme, never)
    assert (shown["status"], shown["error"]) == ("failed", "the file did not arrive in time")


# ---- export ----


# contract: 42
def test_every_format_holds_the_same_rows(sheaf: world.World, acme: world.Tenant) -> None:
    sheaf.http("POST", "/v1/contacts/bulk", PEOPLE, key=acme.key)
    wanted = {"sort": "last_name", "fields": ["first_name", "last_name", "email"]}
    found = {}
    for form in ("csv", "xlsx", "ndjson", "json"):
        shown = job(sheaf, acme, sheaf.http("POST", "/v1/contacts/export", {"format": form, **wanted}, key=acme.key))
        raw = content(shown["result"]["url"])
        assert (shown["result"]["rows"], shown["result"]["bytes"], shown["result"]["sha256"]) == (
            3,
            len(raw),
            sha256(raw).hexdigest(),
        )
        manifest = json.loads(content(shown["manifestUrl"]))
        assert {"rows": 3, "sha256": shown["result"]["sha256"], "file": f"contacts.{form}"}.items() <= manifest.items()
        found[form] = raw
    assert json.loads(found["json"]) == PEOPLE == [json.loads(line) for line in found["ndjson"].splitlines()]
    assert [each["first_name"] for each in csv.DictReader(io.StringIO(found["csv"].decode()))] == [
        f"'{each['first_name']}" for each in PEOPLE
    ]
    assert [row for _, row in xlsx.records(found["xlsx"], "Contacts")][1:] == [list(each.values()) for each in PEOPLE]
    sheet = zipfile.ZipFile(io.BytesIO(found["xlsx"])).read("xl/worksheets/sheet1.xml")
    assert b"<f>" not in sheet, "no cell is a formula"


@pytest.mark.parametrize("form", ["csv", "xlsx", "ndjson", "json"])
@pytest.mark.parametrize("path", ["contacts", "videos"])
def test_what_is_exported_is_imported_as_it_was(
    sheaf: world.World, acme: world.Tenant, globex: world.Tenant, form: str, path: str
) -> None:
    import random

    rng = random.Random(f"{form}{path}")
    letters = "ab ,;\t\"'\n\r=+-@|\u00e4\u4e2d😀_x000D_\\{}[]0"
    texts = ["".join(rng.choice(letters) for _ in range(rng.randint(1, 12))) + "z" for _ in range(40)]
    texts += ["=1+1", "'=1", "''@x", "-5", "+49", "007", "1e5", "true", "null", "2026-01-01", " x ", "[1]", "{}"]
    kinds = {"contacts": lambda n, text: {"first_name": text, "last_name": text[::-1] or "x", "email": f"e{n}@b.example"},
             "videos": lambda n, text: {"title": text, "duration_seconds": n if n % 3 else None, "tags": [text, "b"] if n % 2 else []}}  # fmt: skip
    body = [kinds[path](number, text) for number, text in enumerate(texts)]
    assert sheaf.http("POST", f"/v1/{path}/bulk", body, key=acme.key).data["failed"] == 0
    exported = job(sheaf, acme, sheaf.http("POST", f"/v1/{path}/export", {"format": form, "sort": "id"}, key=acme.key))
    raw = content(exported["result"]["url"])
    if form in ("json", "ndjson"):  # these carry what the server sets, too
        dropped = ("id", "createdAt", "updatedAt", "version")
        lines = json.loads(raw) if form == "json" else [json.loads(line) for line in raw.splitlines()]
        cleaned = [{name: value for name, value in each.items() if name not in dropped} for each in lines]
        raw = json.dumps(cleaned).encode() if form == "json" else "".join(f"{json.dumps(each)}\n" for each in cleaned).encode()
    kind = {"csv": CSV, "xlsx": XLSX, "ndjson": NDJSON, "json": {"Content-Type": "application/json"}}[form]
    answer = sheaf.http("POST", f"/v1/import/{path}", raw, key=globex.key, headers=kind)
    if answer.status == 202:
        shown = job(sheaf, globex, answer)
        assert shown["counts"]["failed"] == 0, content(shown["errorsUrl"])
    assert rows(sheaf, globex, path) == rows(sheaf, acme, path)


def test_a_filter_a_search_and_an_order_of_an_export(sheaf: world.World, acme: world.Tenant) -> None:
    items = [{"title": f"Water {n}" if n % 2 else f"Wine {n}", "status": "completed" if n > 4 else "todo"} for n in range(8)]
    sheaf.http("POST", "/v1/tasks/bulk", items, key=acme.key)
    sheaf.settle()
    body = {"format": "json", "filter": {"status": "completed"}, "search": "water", "sort": "title", "fields": ["title"]}
    shown = job(sheaf, acme, sheaf.http("POST", "/v1/tasks/export", body, key=acme.key))
    assert json.loads(content(shown["result"]["url"])) == [{"title": "Water 5"}, {"title": "Water 7"}]
    second = job(
        sheaf,
        acme,
        sheaf.http("POST", "/v2/contacts/export", {"format": "csv", "sort": "-lastName", "fields": ["lastName"]}, key=acme.key),
    )
    assert content(second["result"]["url"]) == b"lastName\r\n"


def test_an_order_that_no_index_serves_has_a_bound(
    sheaf: world.World, acme: world.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sheaf.features.export.work.EXPORT_SORTED_ROWS", 2)
    monkeypatch.setattr("sheaf.features.export.work.XLSX_EXPORT_ROWS", 2)
    sheaf.http("POST", "/v1/tasks/bulk", [{"title": str(n)} for n in range(3)], key=acme.key)
    shown = job(sheaf, acme, sheaf.http("POST", "/v1/tasks/export", {"format": "csv", "sort": "title"}, key=acme.key))
    assert shown["status"] == "failed" and "title = field(…, sort=True)" in shown["error"] and shown["result"] is None
    shown = job(sheaf, acme, sheaf.http("POST", "/v1/tasks/export", {"format": "xlsx"}, key=acme.key))
    assert shown["status"] == "failed" and "more than 2 rows" in shown["error"]


# contract: 124
def test_the_types_that_the_seed_names(sheaf: world.World, acme: world.Tenant) -> None:
    sheaf.user(acme, "ann@example.com")
    sheaf.http("POST", "/v1/videos", {"title": "V"}, key=acme.key)
    for kind, head in (("users", "id,name,email"), ("videos", "id,title"), ("analytics", "date,entity,created")):
        shown = job(sheaf, acme, sheaf.http("POST", "/v1/export/data", {"type": kind, "format": "csv"}, key=acme.key))
        text = content(shown["result"]["url"]).decode()
        assert text.startswith(head) and text.count("\r\n") > 1 and "argon2" not in text, kind
    day = shown["createdAt"][:10]
    assert f"{day},users,1\r\n{day},videos,1\r\n" in text
    for form in ("xlsx", "json", "ndjson"):
        shown = job(sheaf, acme, sheaf.http("POST", "/v1/export/data", {"type": "analytics", "format": form}, key=acme.key))
        assert shown["result"]["rows"] == 2
    for body, field in (
        ({"type": "secrets", "format": "csv"}, "type"),
        ({"type": "analytics"}, "format"),
        ({"type": "users", "format": "pdf"}, "format"),
    ):
        assert field in sheaf.http("POST", "/v1/export/data", body, key=acme.key).json["errors"]
    assert sheaf.http("POST", "/v1/export/data", {"type": "users", "format": "csv"}, key=sheaf.key(acme, "user")).status == 403


# contract: 125, 122
@pytest.mark.parametrize("path", ["export/status", "batch/status"])
def test_the_status_by_the_older_paths(sheaf: world.World, acme: world.Tenant, globex: world.Tenant, path: str) -> None:
    made = {
        "export/status": ("/v1/tasks/export", {"format": "csv"}),
        "batch/status": ("/v1/tasks/bulk", [{"title": str(n)} for n in range(101)]),
    }
    answers = {name: sheaf.http("POST", target, body, key=acme.key).data["id"] for name, (target, body) in made.items()}
    mine = answers[path]
    for asked in (f"/v1/{path}?id={mine}", f"/v1/{path}/{mine}"):
        assert sheaf.http("GET", asked, key=acme.key).data["id"] == mine
        assert sheaf.http("GET", asked, key=globex.key).status == 404
    assert [each["id"] for each in sheaf.http("GET", f"/v1/{path}", key=acme.key).data] == [mine]
    assert sheaf.http("GET", f"/v1/{path}?color=x", key=acme.key).status == 400
