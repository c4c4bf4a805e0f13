"""docs/examples/live.html in a real browser: a list that keeps itself up to date, whatever is restarted or cut off."""

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from client import Client
from pages import ORIGIN

STAYS = re.compile("live by")


@pytest.fixture
def client(stack: dict[str, Any]) -> Client:
    return Client(stack["base_url"], stack["tenants"][0]["api_key"])


@pytest.fixture(params=["stream", "socket"])
def door(request: pytest.FixtureRequest) -> Iterator[str]:
    yield str(request.param)


def opened(context: BrowserContext, stack: dict[str, Any], door: str) -> Page:
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page has broken: {error}"))
    told = f"api={stack['base_url']}&ws={stack['websocket_url']}&key={stack['tenants'][0]['api_key']}&door={door}"
    page.goto(f"{ORIGIN}/live.html#{told}")
    expect(page.locator("#state")).to_have_text(STAYS, timeout=30_000)
    return page


def create(client: Client, title: str) -> str:
    return str(client.post("/v1/tasks", {"title": title}).data["id"])


def test_a_list_keeps_itself_up_to_date(
    context: BrowserContext, stack: dict[str, Any], client: Client, door: str, shots: Any
) -> None:
    before = create(client, f"before, {door}")
    page = opened(context, stack, door)
    row = page.locator(f"[data-id={before}]")
    expect(row).to_contain_text(f"before, {door}")
    client.call("PATCH", f"/v1/tasks/{before}", {"title": f"changed, {door}"})
    expect(row).to_contain_text(f"changed, {door}", timeout=15_000)
    expect(row).to_contain_text("v2")
    page.fill("#title", f"of the page, {door}")
    page.click("text=Add")
    expect(page.get_by_text(f"of the page, {door}")).to_have_count(1, timeout=15_000)
    page.screenshot(path=shots / f"live-{door}.png", full_page=True)
    client.call("DELETE", f"/v1/tasks/{before}")
    expect(row).to_have_count(0, timeout=15_000)
    other = "socket" if door == "stream" else "stream"
    page.check(f"[value={other}]")
    expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=15_000)
    after = create(client, "at the other door")
    expect(page.locator(f"[data-id={after}]")).to_have_count(1, timeout=15_000)
    page.close()


def test_a_restart_of_the_function_behind_streams_loses_nothing(
    context: BrowserContext, stack: dict[str, Any], client: Client
) -> None:
    page, made, stopped = opened(context, stack, "stream"), [], threading.Event()  # type: ignore[var-annotated]
    functions = boto3.client("lambda", endpoint_url=stack["endpoint_url"], region_name=stack["region"],
                             aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip
    every = [each for part in functions.get_paginator("list_functions").paginate() for each in part["Functions"]]
    [name] = [each["FunctionName"] for each in every if "Realtime" in each["FunctionName"]]

    def writing() -> None:
        while not stopped.is_set():
            made.append(create(client, f"restart {len(made)}"))
            time.sleep(0.2)

    writer = threading.Thread(target=writing)
    writer.start()
    try:
        for number in range(3):
            page.wait_for_timeout(2_000)
            variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            functions.update_function_configuration(
                FunctionName=name, Environment={"Variables": {**variables, "RESTART": str(number)}}
            )
        page.wait_for_timeout(2_000)
    finally:
        stopped.set()
        writer.join()
    expect(page.locator(f"[data-id={made[-1]}]")).to_have_count(1, timeout=30_000)
    shown = page.locator("#list li").evaluate_all("found => found.map(each => each.dataset.id)")
    assert [each for each in made if each not in shown] == [], "nothing was missed"
    assert len(shown) == len(set(shown)), "and nothing is there twice"
    page.close()
