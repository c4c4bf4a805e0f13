"""Contacts: the people a tenant knows."""

from sheaf import Email, Entity, field


class Contact(Entity, prefix="con"):
    first_name: str = field(min_length=1, max_length=100)
    last_name: str = field(min_length=1, max_length=100)
    email: Email = field(index=True)
