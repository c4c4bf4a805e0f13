"""Mail by SES."""

from sheaf.store.aws import client


def send(sender: str, to: str, subject: str, text: str, reply_to: str | None) -> None:
    """Send one plain-text mail; SES must know the sender."""
    client("sesv2").send_email(
        FromEmailAddress=sender,
        Destination={"ToAddresses": [to]},
        **({"ReplyToAddresses": [reply_to]} if reply_to else {}),
        Content={
            "Simple": {"Subject": {"Data": subject, "Charset": "UTF-8"}, "Body": {"Text": {"Data": text, "Charset": "UTF-8"}}}
        },
    )
