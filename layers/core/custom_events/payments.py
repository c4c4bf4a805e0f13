"""Payments, which another system takes and tells of here."""

from sheaf import CustomEvent, Timestamp, field


class PaymentCompleted(CustomEvent, type="payment.completed"):
    """A payment has arrived."""

    payment_id: str = field(min_length=1, max_length=100, description="Its id at the payment provider", examples=["pay_81723"])
    amount: int = field(ge=1, description="In the smallest unit of the currency", examples=[1250])
    currency: str = field(pattern="^[A-Z]{3}$", description="ISO 4217", examples=["EUR"])
    customer: str | None = field(None, max_length=100, description="Who has paid")
    paid_at: Timestamp | None = None
