"""A real browser for the tests of pages."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, sync_playwright

import pages
import template

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session", autouse=True)
def origin() -> Iterator[None]:
    """The pages at their origin."""
    with pages.served():
        yield


@pytest.fixture
def context(tmp_path: Path) -> Iterator[BrowserContext]:
    """A browser that finds the page at the origin, and keeps what it stores over a reload."""
    with sync_playwright() as playwright:
        made = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=os.environ["CHROMIUM"],
            headless=True,
            args=FLAGS,
            viewport={"width": 900, "height": 900},
        )
        yield made
        made.close()


@pytest.fixture(scope="session")
def shots() -> Path:
    """Where screenshots are kept, to be looked at."""
    home = template.ROOT / ".local/browser"
    home.mkdir(parents=True, exist_ok=True)
    return home
