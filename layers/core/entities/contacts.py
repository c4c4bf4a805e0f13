"""Contacts: the people a tenant knows."""

from sheaf import Email, Entity, field


class Contact(Entity, prefix="con"):
    first_name: str = field(min_length=1, max_length=100, search=True, personal=True)
    last_name: str = field(min_length=1, max_length=100, search=True, sort=True, personal=True)
    email: Email = field(index=True, search=True, personal=True)
