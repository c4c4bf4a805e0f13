"""Sessions of users. The live ones are a map in the principal's row (id to when it was last seen), so that one write
proves a request; what else is known of a session lies in a row beside it.

A refresh token is good once. Who comes with one that was used before has stolen it or was stolen from: the session ends
(RFC 9700, 4.14.2). An answer that was lost may be asked for again within REFRESH_GRACE_SECONDS.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sheaf.access import tokens
from sheaf.access.caller import Caller
from sheaf.base import ids
from sheaf.base.bounds import REFRESH_GRACE_SECONDS, REFRESH_SECONDS, SESSION_SECONDS, SESSIONS, TOKEN_SECONDS
from sheaf.base.clock import iso, now
from sheaf.base.config import config
from sheaf.base.errors import InvalidToken, NotFound, Unavailable
from sheaf.store import keys, table
from sheaf.store.keys import Key, Scope
from sheaf.store.table import ConditionFailed, Item, Write

_TRIES = 10
_AGENT_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Device:
    """Where a session comes from."""

    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What a login or a refresh gives."""

    access_token: str
    refresh_token: str
    session: str

    def shown(self) -> dict[str, Any]:
        """As it is answered."""
        return {"token": self.access_token, "tokenType": "Bearer", "expiresIn": TOKEN_SECONDS,
                "refreshToken": self.refresh_token, "refreshExpiresIn": REFRESH_SECONDS}  # fmt: skip


def begin(scope: Scope, user: str, device: Device, noted: Callable[[str], Write]) -> Grant:
    """A new session of an active user, and its note; the one that was used the longest ago ends where there are too many.

    Raises InvalidToken for a user who is not active.
    """
    session, seed = ids.new("ses"), secrets.token_hex(32)
    item = {"seed": seed, "g": 0, "at": now(), "ip": device.address, "ua": device.agent[:_AGENT_CHARACTERS],
            "ttl": now() + REFRESH_SECONDS}  # fmt: skip
    table.commit([Write(config().limits_table, "put", keys.session(scope, user, session), item=item), noted(session)])
    _enter(keys.principal(scope, user), session)
    return _grant(scope, user, session, 0, seed)


def refresh(text: str, device: Device, require: Callable[[Scope], None]) -> Grant:
    """The next pair of tokens for a refresh token, unless `require` refuses its tenant.

    Raises InvalidToken, and ends the session of a token that was used before.
    """
    token = tokens.read_refresh_token(text)
    key = keys.session(token, token.user, token.session)
    found = table.get(config().limits_table, key)
    if found is None or found["ttl"] <= now() or found["at"] + SESSION_SECONDS <= now() or not _is_genuine(token, text, found):
        raise InvalidToken
    require(token)
    following = token.number + 1
    if found["g"] != token.number:
        _require_lost_answer(token, found)
        return _grant(token, token.user, token.session, following, found["seed"])
    _require_live(token, token.user, token.session)
    try:
        table.update(config().limits_table, key,
                     "SET #g = :next, #turned = :now, #ip = :ip, #ua = :ua, #ttl = :ttl", condition="#g = :same",
                     values={"next": following, "same": token.number, "now": now(), "ip": device.address,
                             "ua": device.agent[:_AGENT_CHARACTERS], "ttl": now() + REFRESH_SECONDS})  # fmt: skip
    except ConditionFailed as failure:
        # Somebody was faster with the same token, or our own answer was lost.
        if failure.old is None:
            raise InvalidToken from None
        _require_lost_answer(token, failure.old)
    return _grant(token, token.user, token.session, following, found["seed"])


def renew(scope: Scope, user: str, session: str, device: Device) -> int:
    """Let a session that a cookie carries go on; the second at which it ends in any case. Raises InvalidToken."""
    _require_live(scope, user, session)
    try:
        row = table.update(config().limits_table, keys.session(scope, user, session), "SET #ttl = :ttl, #ip = :ip, #ua = :ua",
                     condition="#at > :oldest",
                     values={"ttl": now() + REFRESH_SECONDS, "ip": device.address, "ua": device.agent[:_AGENT_CHARACTERS],
                             "oldest": now() - SESSION_SECONDS})  # fmt: skip
    except ConditionFailed:
        raise InvalidToken from None
    return int(row["at"]) + SESSION_SECONDS


def listing(caller: Caller) -> list[dict[str, Any]]:
    """The caller's live sessions, the one last seen first."""
    live = _live(caller, caller.principal)
    rows = {row["sk"]: row for row in table.query(config().limits_table, keys.session(caller, caller.principal, "").pk)}
    shown = [_shown(session, seen, rows[session], caller.session) for session, seen in live.items()
             if session in rows and rows[session]["ttl"] > now()]  # fmt: skip
    return sorted(shown, key=lambda each: (each["lastSeenAt"], each["id"]), reverse=True)


def ending_one(scope: Scope, user: str, session: str) -> Write:
    """The write that ends one session; its condition fails where that is not live. Raises NotFound for what cannot be one."""
    if not ids.is_id(session, "ses"):
        raise NotFound(f"There is no session {session[:80]!r}")
    return Write(config().limits_table, "update", keys.principal(scope, user), expression=f"REMOVE #ss.#{session}",
                 condition=f"attribute_exists(#ss.#{session})")  # fmt: skip


def drop(scope: Scope, user: str, session: str) -> None:
    """Forget where an ended session came from."""
    table.take(config().limits_table, keys.session(scope, user, session))


def ending(scope: Scope, user: str, keep: str | None = None) -> Write:
    """The write that ends every session of a user but `keep`, which must be live."""
    if keep is not None and not ids.is_id(keep, "ses"):
        raise InvalidToken
    return Write(config().limits_table, "update", keys.principal(scope, user), expression="SET #ss = :left",
                 condition=f"attribute_exists(#ss.#{keep})" if keep else "attribute_exists(#pk)",
                 values={"left": {keep: now()} if keep else {}})  # fmt: skip


def end_all(scope: Scope, user: str, keep: str | None = None) -> int:
    """End every session of a user but `keep`; how many there were. Raises InvalidToken where `keep` is not live."""
    live = _live(scope, user).keys() - {keep}
    try:
        table.commit([ending(scope, user, keep)])
    except ConditionFailed:
        raise InvalidToken from None
    for session in live:
        drop(scope, user, session)
    return len(live)


def _enter(key: Key, session: str) -> None:
    for _ in range(_TRIES):
        try:
            table.update(config().limits_table, key, f"SET #ss.#{session} = :now, #last = :now",
                         condition="#st = :active AND size(#ss) < :most",
                         values={"now": now(), "active": "active", "most": SESSIONS})  # fmt: skip
        except ConditionFailed as failure:
            if failure.old is None or failure.old["st"] != "active":
                raise InvalidToken from None
            if session in failure.old["ss"]:
                return  # our own write, its answer lost
            _leave_oldest(key, failure.old["ss"])
            continue
        return
    raise Unavailable("Too many logins at once; try again")


def _leave_oldest(key: Key, live: Mapping[str, int]) -> None:
    oldest = min(live, key=lambda session: (live[session], session))
    try:
        table.update(config().limits_table, key, f"REMOVE #ss.#{oldest}", condition=f"attribute_exists(#ss.#{oldest})")
    except ConditionFailed:
        return  # it has ended meanwhile


def _require_lost_answer(token: tokens.RefreshToken, found: Item) -> None:
    """The token was used before. Right after it, and once only: the answer may have been lost; else the session ends."""
    if found["g"] == token.number + 1 and now() - found["turned"] <= REFRESH_GRACE_SECONDS:
        _require_live(token, token.user, token.session)
        return
    with suppress(ConditionFailed):  # it has ended already
        table.commit([ending_one(token, token.user, token.session)])
    drop(token, token.user, token.session)
    raise InvalidToken


def _require_live(scope: Scope, user: str, session: str) -> None:
    row = table.get(config().limits_table, keys.principal(scope, user))
    if row is None or row["st"] != "active" or session not in row.get("ss", {}):
        raise InvalidToken


def _is_genuine(token: tokens.RefreshToken, text: str, found: Item) -> bool:
    made = tokens.refresh_token(token.tenant, token.user, token.session, token.number, found["seed"])
    return hmac.compare_digest(made, text)


def _grant(scope: Scope, user: str, session: str, number: int, seed: str) -> Grant:
    access = tokens.issue(scope.tenant, user, session)
    return Grant(access, tokens.refresh_token(scope.tenant, user, session, number, seed), session)


def _live(scope: Scope, user: str) -> dict[str, int]:
    row = table.get(config().limits_table, keys.principal(scope, user))
    return row["ss"] if row else {}


def _shown(session: str, seen: int, row: Item, current: str | None) -> dict[str, Any]:
    return {
        "id": session,
        "current": session == current,
        "device": device_name(row["ua"]),
        "userAgent": row["ua"],
        "address": row["ip"],
        "createdAt": iso(row["at"] * 1000),
        "lastSeenAt": iso(seen * 1000),
        "expiresAt": iso(min(row["ttl"], row["at"] + SESSION_SECONDS) * 1000),
    }


_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
             ("curl/", "curl"), ("python", "Python"), ("okhttp", "Android app"))  # fmt: skip
_SYSTEMS = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS", "Mac"),
            ("CrOS", "ChromeOS"), ("Linux", "Linux"))  # fmt: skip


def device_name(agent: str) -> str:
    """What a person calls the device of a User-Agent: `Firefox on Linux`."""
    browser = next((name for mark, name in _BROWSERS if mark.lower() in agent.lower()), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return " on ".join(filter(None, (browser, system))) or "Unknown device"
