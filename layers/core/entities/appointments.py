"""Appointments with a contact."""

from sheaf import Email, Entity, Timestamp, field


class Appointment(Entity, prefix="apt"):
    title: str = field(min_length=1, max_length=200)
    notes: str | None = field(None, max_length=10_000)
    start_time: Timestamp
    end_time: Timestamp
    contact_email: Email = field(index=True)
