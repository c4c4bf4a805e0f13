"""Messages of visitors, from the public contact form; here they are only read."""

from collections.abc import Iterable, Mapping
from typing import Any

from sheaf import Change, Email, Entity, Mail, Trimmed, field


class ContactMessage(Entity, prefix="contact", writable=False):
    name: Trimmed = field(min_length=2, max_length=100, personal=True)
    email: Email = field(index=True, personal=True)
    subject: Trimmed = field(min_length=5, max_length=200, search=True)
    message: Trimmed = field(min_length=10, max_length=10_000)
    source_ip: str | None = field(None, max_length=64, hidden=True, personal=True)

    @classmethod
    def after(cls, change: Change, row: Mapping[str, Any]) -> Iterable[Mail]:
        """Tell the operator of a new message."""
        if change.verb == "created":
            text = f"{row['name']} <{row['email']}> wrote:\n\n{row['message']}\n"
            yield Mail(subject=f"Contact form: {row['subject']}", text=text, reply_to=row["email"])
