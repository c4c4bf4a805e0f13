"""Letters: mails about accounts. Asking for one is one put, the same for known and unknown addresses; the stream of Control
puts it into the queue of mails, and only there it is found out what to write to whom.

A letter's token names it and proves that we sent it; nothing that is kept could be used in its place.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Literal

from sheaf.access import tokens, tries
from sheaf.base import ids
from sheaf.base.bounds import INVITATION_SECONDS, LETTERS_PER_HOUR, RESET_SECONDS, VERIFY_SECONDS
from sheaf.base.clock import now
from sheaf.base.config import config
from sheaf.base.errors import InvalidLink, RateLimited
from sheaf.records.once import Once, put_once
from sheaf.store import keys, table
from sheaf.store.keys import Key
from sheaf.store.table import ConditionFailed, Item, Write

Kind = Literal["register", "welcome", "resend", "reset"]
OPENING = "opn"  # the prefix of letters that open an account
TENANT = "@accounts"  # whom these mails are counted to: they belong to no tenant
_SECONDS: Mapping[Kind, int] = {"register": VERIFY_SECONDS, "welcome": INVITATION_SECONDS, "resend": VERIFY_SECONDS,
                                "reset": RESET_SECONDS}  # fmt: skip
_NEWEST = 10  # of a mailbox's letters are looked at
_KEPT_SECONDS = 24 * 3600  # after a letter has expired


def ask(email: str, kind: Kind, once: Once | None, **data: str | None) -> None:
    """Ask for a letter to an address."""
    put_once([asking(email, kind, **data)], once, email=email)


def asking(email: str, kind: Kind, **data: str | None) -> Write:
    """The write that asks for a letter, to go along with others."""
    until = now() + _SECONDS[kind]
    item = {"kind": kind, "email": email, "exp": until, "ttl": until + _KEPT_SECONDS, **data}
    # Letters that open something sort behind the others, so that no number of others can bury one.
    letter_id = ids.new(OPENING if kind in ("register", "welcome") else "ltr")
    return Write(config().control_table, "put", keys.letter(keys.mailbox(email), letter_id), item=item)


def message(item: Item) -> Mapping[str, str]:
    """The message that has a letter written."""
    return {"tenant": TENANT, "id": item["sk"], "letter": item["pk"]}


def compose(asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The mail for a letter, or None where nothing is to be sent."""
    mailbox = keys.mailbox_of(asked["letter"])
    letter = table.get(config().control_table, keys.letter(mailbox, asked["id"]))
    if letter is None or letter["exp"] <= now() or "dropped" in letter:
        return None
    account, found = look_up(mailbox)
    subject, text = _text(letter, account, found)
    if not text or not is_admitted(letter, keys.letters_sent(mailbox, letter.get("tn", TENANT))):
        return None
    return {"id": asked["id"], "to": letter["email"], "subject": subject, "text": text, "replyTo": None}


def is_admitted(item: Item, counter: Key) -> bool:
    """Whether this letter or invitation may be sent: nobody's mailbox is flooded through us.

    Each counts once, however often it is tried. What tenants send counts apart from what anybody can ask for.
    """
    mark = {"yes": 1}
    try:
        table.update(config().control_table, Key(item["pk"], item["sk"]), "SET #counted = :yes",
                     condition="attribute_exists(#pk) AND attribute_not_exists(#counted)", values=mark)  # fmt: skip
    except ConditionFailed:
        return True
    try:
        tries.count(counter, LETTERS_PER_HOUR, 3_600, LETTERS_PER_HOUR, "Too many mails")
    except RateLimited:
        table.update(config().control_table, Key(item["pk"], item["sk"]), "SET #dropped = :yes", values=mark)
        return False
    return True


def read(token: object, *kinds: Kind) -> Item:
    """The letter of a token; raises InvalidLink for one that is damaged, expired, used or of another kind."""
    letter_id, mailbox = tokens.read_mail_token(token, "ltr", OPENING)
    letter = table.get(config().control_table, keys.letter(mailbox, letter_id))
    if letter is None or letter["exp"] <= now() or letter["kind"] not in kinds:
        raise InvalidLink
    return letter


def use(letter: Item, user: str) -> Write:
    """The write that makes a letter used, once, by what it goes along with."""
    key = keys.letter(keys.mailbox_of(letter["pk"]), letter["sk"])
    return Write(config().control_table, "update", key, expression="SET #used = :user",
                 condition="attribute_exists(#pk) AND attribute_not_exists(#used)", values={"user": user})  # fmt: skip


def look_up(mailbox: str) -> tuple[Item | None, list[Item]]:
    """The account of a mailbox, if any, and its newest letters, by one read."""
    found = list(islice(table.query(config().control_table, keys.account(mailbox).pk, newest_first=True, page=_NEWEST), _NEWEST))
    account = found[0] if found and found[0]["sk"] == keys.account(mailbox).sk else None
    return account, [item for item in found if item is not account]


def newest(found: list[Item], *kinds: Kind) -> Item | None:
    """The newest of these kinds among letters that can still be used."""
    return next((each for each in found if each["kind"] in kinds and "used" not in each and each["exp"] > now()), None)


def link(page: str, token: str) -> str:
    """How a mail tells its token: as a link to the front end, or as it is where there is none."""
    return token if config().app_url == "none" else f"{config().app_url.rstrip('/')}/{page}?token={token}"


def _text(letter: Item, account: Item | None, found: list[Item]) -> tuple[str, str]:
    mailbox = keys.mailbox_of(letter["pk"])
    if letter["kind"] == "reset":
        return _set_password(tokens.mail_token(letter["sk"], mailbox)) if account else ("", "")
    if account:
        return (
            "You have an account already",
            "Somebody, perhaps you, asked for an account with this address. There is one already: log in, or ask for a new\n"
            "password if you do not remember yours. If it was not you, nothing has happened and nothing needs to be done.\n",
        )
    opening = letter if letter["kind"] != "resend" else newest(found, "register", "welcome")
    if opening is None:
        return "", ""
    token = tokens.mail_token(opening["sk"], mailbox)
    return _confirm(token) if opening["kind"] == "register" else _welcome(opening["tenant"], token)


def _confirm(token: str) -> tuple[str, str]:
    return (
        "Confirm your address",
        f"Confirm this address with the password that you chose (good for {VERIFY_SECONDS // 3600} hours):\n\n"
        f"{link('verify', token)}\n\n"
        "If you did not ask for an account, do nothing: without that password nobody can open one.\n",
    )


def _welcome(tenant: str, token: str) -> tuple[str, str]:
    return (
        f"Welcome to {tenant}",
        f"You were added to {tenant}. Set a password to begin (good for {INVITATION_SECONDS // 86_400} days):\n\n"
        f"{link('reset', token)}\n",
    )


def _set_password(token: str) -> tuple[str, str]:
    return (
        "Set a new password",
        f"Set a new password (good for {RESET_SECONDS // 60} minutes, once):\n\n{link('reset', token)}\n\n"
        "If you did not ask for it, do nothing: your password stays as it is.\n",
    )
