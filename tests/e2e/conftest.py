"""Clients of the deployed stack, each with the key of a demo tenant."""

from typing import Any

import pytest

from client import Client


@pytest.fixture
def client(stack: dict[str, Any]) -> Client:
    return Client(stack["base_url"], stack["tenants"][0]["api_key"])


@pytest.fixture
def other(stack: dict[str, Any]) -> Client:
    return Client(stack["base_url"], stack["tenants"][1]["api_key"])
