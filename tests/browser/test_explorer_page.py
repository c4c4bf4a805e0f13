"""The GraphQL explorer in a real browser, against the deployed stack: a query, its cost, an error, the schema."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from client import Client


def test_a_query_is_written_and_run(context: BrowserContext, stack: dict[str, Any], shots: Path) -> None:
    client = Client(stack["base_url"], stack["tenants"][0]["api_key"])
    made = client.post("/v1/tasks", {"title": "Shown in the explorer"}).data["id"]
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page has broken: {error}"))
    page.goto(f"{stack['base_url']}/v1/graphql/explorer")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("status")).to_contain_text("Enter an API key first")
    page.locator("#key").fill(stack["tenants"][0]["api_key"])
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("status")).to_contain_text("200 in", timeout=30_000)
    expect(page.get_by_role("status")).to_contain_text("cost")
    expect(page.locator("#answer")).to_contain_text("Shown in the explorer")
    page.locator("#query").fill("query One($id: ID!) { task(id: $id) { title version } }")
    page.locator("#variables").fill(f'{{"id": "{made}"}}')
    page.get_by_role("button", name="Tidy").click()
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#answer")).to_contain_text('"version": 1')
    page.screenshot(path=shots / "explorer.png", full_page=True)
    page.locator("#query").fill("{ taskz { nodes { id } } }")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("status")).to_contain_text("Did you mean")
    page.locator("#variables").fill("{")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("status")).to_contain_text("no JSON")
    page.get_by_role("button", name="Schema").click()
    expect(page.locator("#answer")).to_contain_text("type Task {")
