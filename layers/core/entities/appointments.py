"""Appointments with a contact."""

from sheaf import Change, Email, Entity, Timestamp, ValidationFailed, field


class Appointment(Entity, prefix="apt"):
    title: str = field(min_length=1, max_length=200, search=True)
    notes: str | None = field(None, max_length=10_000)
    start_time: Timestamp = field(sort=True)
    end_time: Timestamp
    contact_email: Email = field(index=True, personal=True)

    def before(self, change: Change) -> None:
        """An appointment does not end before it begins."""
        if self.end_time < self.start_time:
            raise ValidationFailed("end_time: is before start_time", fields={"end_time": "is before start_time"})
