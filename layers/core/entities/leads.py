"""Leads: contacts who may become customers."""

from typing import Literal

from sheaf import Email, Entity, field


class Lead(Entity, prefix="lead"):
    first_name: str = field(min_length=1, max_length=100, personal=True)
    last_name: str = field(min_length=1, max_length=100, search=True, personal=True)
    email: Email = field(index=True, personal=True)
    status: Literal["new", "contacted", "qualified", "lost"] = field("new", index=True)
    source: str | None = field(None, index=True, max_length=100)
