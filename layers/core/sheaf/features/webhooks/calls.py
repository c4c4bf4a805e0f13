"""One webhook's receiver during one invocation of the sender: signed calls, its breaker and its pace."""

import email.utils
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from types import TracebackType
from typing import Self

from sheaf.base.bounds import RETRY_AFTER_SECONDS, SLOW_SECONDS, WEBHOOK_ANSWER_SHOWN
from sheaf.base.clock import now, now_ms
from sheaf.base.config import config
from sheaf.base.errors import Unavailable
from sheaf.features.webhooks import sealed
from sheaf.features.webhooks.health import Health
from sheaf.features.webhooks.ledger import Attempt
from sheaf.records.events import Event
from sheaf.store import keys, table
from sheaf.store.addresses import AddressRefused
from sheaf.store.keys import Scope
from sheaf.store.outbound import Answer, Door, SendError
from sheaf.store.table import ConditionFailed, Item

_GONE = 410
_BURST_MS = 1_000  # of its rate that a receiver may be sent at once
_TRIES = 8
_BREAKER = "not tried: the calls before have all failed, and the next trial call is not due yet"


class Receiver:
    """Calls the receiver of a webhook; for any number of threads, inside a `with` block."""

    def __init__(self, scope: Scope, webhook: Item, health: Health) -> None:
        self.webhook = webhook
        self.webhook_id: str = webhook["sk"]
        self.health = health
        self._scope = scope
        place = sealed.place(scope, self.webhook_id)
        self._signer = sealed.signer(webhook, place)
        self._headers = {
            **sealed.opened_headers(webhook, place),
            "Content-Type": "application/json",
            "User-Agent": "Sheaf-Webhooks/1",
        }
        self._door = Door()

    def __enter__(self) -> Self:
        self._door.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._door.__exit__(kind, error, trace)

    @property
    def refusal(self) -> str | None:
        """Why nothing is sent to this webhook any more, None where it is."""
        if self.webhook["st"] != "enabled":
            return f"the webhook is disabled: {self.webhook.get('why')}"
        return "the receiver has answered 410: it wants nothing more" if self.health.is_gone else None

    @property
    def is_paused(self) -> bool:
        """Whether the receiver has asked to be left alone now."""
        return self.health.pause_ms > now_ms()

    @property
    def rate(self) -> int:
        """How many deliveries a second the webhook has asked for at most; 0 where it has no limit."""
        return int(self.webhook.get("rate") or 0)

    def room(self) -> int:
        """The millisecond from which the next call may be made, and is kept free for whoever asks; it may be now."""
        return _reserved(self._scope, self.webhook_id, self.rate) if self.rate else now_ms()

    @staticmethod
    def opens_ms(slot: int) -> int:
        """The millisecond from which a call whose room is kept at `slot` may be made."""
        return slot - _BURST_MS + 1

    def call(self, event: Event, number: int, *, trial: bool = False) -> Attempt:
        """Attempt `number` to hand on the event; a `trial` is made although the breaker is open."""
        at_ms = now_ms()
        if not trial and not self.health.may_try():
            return Attempt(number, at_ms, 0, reason=_BREAKER)
        body = event.body(thin=self.webhook["pl"] == "thin")
        headers = self._headers | self._signer.headers(event.id, now(), body)
        try:
            with self._watch():
                answer = self._door.call("POST", self.webhook["url"], body, headers)
        except (SendError, AddressRefused) as error:
            attempt = Attempt(number, at_ms, now_ms() - at_ms, reason=str(error))
        else:
            attempt = _read(answer, number, at_ms)
        if attempt.went_well:
            self.health.succeeded()
        else:
            self.health.failed(gone=attempt.status == _GONE, pause=attempt.pause or 0)
        return attempt

    @contextmanager
    def _watch(self) -> Iterator[None]:
        """Note a call that takes long while it does, before others of the same receiver have begun to take as long."""
        if self.health.is_slow:
            yield
            return
        timer = Timer(SLOW_SECONDS, self.health.slow_down)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _read(answer: Answer, number: int, at_ms: int) -> Attempt:
    text = answer.body.decode("utf-8", "replace")[:WEBHOOK_ANSWER_SHOWN]
    shown = "".join(letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text)
    shown = shown.encode()[:WEBHOOK_ANSWER_SHOWN].decode(errors="ignore")  # a row's size is counted in bytes
    status, pause = answer.status, None
    if 200 <= status < 300:
        reason = None
    elif 300 <= status < 400:
        reason = f"the receiver answered {status}; redirects are not followed"
    else:
        reason = f"the receiver answered {status}"
        pause = _retry_after(answer.headers.get("retry-after", "")) if status in (429, 503) else None
    return Attempt(number, at_ms, now_ms() - at_ms, status, reason, shown, pause)


def _retry_after(text: str) -> int | None:
    """Seconds of a Retry-After header, a number or a date (RFC 9110, 10.2.3); None where it is neither."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return min(int(text), RETRY_AFTER_SECONDS)
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return max(0, min(int(moment.timestamp()) - now(), RETRY_AFTER_SECONDS))
    except (ValueError, OverflowError):
        return None


def _reserved(scope: Scope, webhook_id: str, rate: int) -> int:
    """Take the next free place in the row of calls, 1/`rate` seconds apart: its millisecond (GCRA with a burst of a second).

    One that is asked for under another rate than the last one begins a new row.
    """
    key, step = keys.pace(scope, webhook_id), 1_000_000 // rate
    for _ in range(_TRIES):
        now_us = now_ms() * 1_000
        known = {"now": now_us, "rate": rate, "ttl": now() + 86_400}
        try:
            item = table.update(config().events_table, key, "SET #next = #next + :step, #ttl = :ttl",
                                condition="#next > :now AND #rate = :rate", values={**known, "step": step})  # fmt: skip
            return (int(item["next"]) - step) // 1_000
        except ConditionFailed:
            pass
        try:
            table.update(config().events_table, key, "SET #next = :next, #rate = :rate, #ttl = :ttl",
                         condition="attribute_not_exists(#next) OR #next <= :now OR #rate <> :rate",
                         values={**known, "next": now_us + step})  # fmt: skip
        except ConditionFailed:
            continue  # another one has begun the row meanwhile
        return now_us // 1_000
    raise Unavailable(f"the pace of {webhook_id} is never still")
