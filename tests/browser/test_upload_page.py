"""docs/examples/upload.html in a real browser, against the deployed stack: several files, progress, a lie, and a reload in the middle."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

import samples
from client import Client
from pages import ORIGIN

MIB = 1024 * 1024


def opened(context: BrowserContext, stack: dict[str, Any]) -> Page:
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page has broken: {error}"))
    page.goto(f"{ORIGIN}/upload.html#api={stack['base_url']}&key={stack['tenants'][0]['api_key']}")
    return page


def state(page: Page, name: str) -> Any:
    return page.locator("li", has=page.get_by_text(name, exact=True))


def test_several_files_their_progress_and_a_lie(
    context: BrowserContext, stack: dict[str, Any], tmp_path: Path, shots: Path
) -> None:
    page = opened(context, stack)
    files = {
        "dot.png": samples.picture("PNG", (400, 300), (20, 120, 200)),
        "table.csv": samples.CSV,
        "paper.pdf": samples.PDF + bytes(3 * MIB) + b"%%EOF",
        "large.pdf": samples.PDF + os.urandom(18 * MIB) + b"%%EOF",
        "lie.png": b"<html><script>alert(1)</script></html>",
        "page.html": b"<html>",
        "empty.png": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    page.set_input_files("#files", [tmp_path / name for name in files])
    for name in ("dot.png", "table.csv", "paper.pdf", "large.pdf"):
        expect(state(page, name)).to_have_attribute("data-state", "ready", timeout=60_000)
        assert state(page, name).locator("progress").evaluate("each => each.value") == 1
    expect(state(page, "lie.png")).to_have_attribute("data-state", "rejected", timeout=60_000)
    expect(state(page, "lie.png")).to_contain_text("The content is not image/png")
    expect(state(page, "page.html")).to_have_attribute("data-state", "failed")
    expect(state(page, "page.html")).to_contain_text("type must be one of")
    expect(state(page, "empty.png")).to_contain_text("The file is empty")
    link = state(page, "dot.png").get_by_role("link", name="Download").get_attribute("href")
    assert link and context.request.get(link).body() == files["dot.png"]
    page.screenshot(path=shots / "upload.png", full_page=True)


def test_a_large_file_goes_on_after_a_reload(context: BrowserContext, stack: dict[str, Any], tmp_path: Path) -> None:
    content = samples.PDF + os.urandom(30 * MIB) + b"%%EOF"
    (tmp_path / "long.pdf").write_bytes(content)
    page, sent = opened(context, stack), []

    def part(route: Route) -> None:
        number = route.request.url.split("partNumber=")[1].split("&")[0]
        if len(sent) >= 2:
            route.abort()  # the line is dead from the third part on
            return
        sent.append(number)
        route.continue_()

    page.route("**/*partNumber=*", part)
    page.set_input_files("#files", tmp_path / "long.pdf")
    client = Client(stack["base_url"], stack["tenants"][0]["api_key"])

    def arrived() -> Any:
        newest = client.get("/v1/uploads?limit=1&filename=long.pdf").data
        return newest and client.get(f"/v1/uploads/{newest[0]['id']}/parts").data["arrived"]

    for _ in range(300):
        if len(arrived() or ()) == 2:
            break
        page.wait_for_timeout(200)  # and not a plain sleep: the page's requests pass through this process
    context.set_offline(True)  # a page that is closing answers to no route any more: a retry would get through
    page.close()
    context.set_offline(False)
    assert len(arrived()) == len(sent) == 2
    page, later = opened(context, stack), []
    page.on(
        "request",
        lambda request: (
            later.append(request.url.split("partNumber=")[1].split("&")[0])
            if "partNumber=" in request.url and request.method == "PUT"
            else None
        ),
    )
    page.set_input_files("#files", tmp_path / "long.pdf")
    expect(state(page, "long.pdf")).to_have_attribute("data-state", "ready", timeout=90_000)
    assert sorted(later) == sorted({"1", "2", "3", "4"} - {*sent}), "only what was missing was sent"
    link = state(page, "long.pdf").get_by_role("link", name="Download").get_attribute("href")
    assert link and context.request.get(link).body() == content


def test_a_wrong_key_is_said(context: BrowserContext, stack: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(samples.PNG)
    page = context.new_page()
    page.goto(f"{ORIGIN}/upload.html#api={stack['base_url']}&key=sk_wrong")
    page.set_input_files("#files", tmp_path / "dot.png")
    expect(state(page, "dot.png")).to_have_attribute("data-state", "failed", timeout=30_000)
    expect(state(page, "dot.png")).to_contain_text("token")
