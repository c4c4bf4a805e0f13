"""Addresses of videos at YouTube and Vimeo, resolved by oEmbed (oembed.com) to the fields of a video."""

import re
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from pydantic_core import from_json

from sheaf.base.config import config
from sheaf.base.errors import UpstreamFailed, ValidationFailed
from sheaf.store import outbound

_YOUTUBE = ("youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be", "music.youtube.com")
_VIMEO = ("vimeo.com", "www.vimeo.com", "player.vimeo.com")
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_VIMEO_ID = re.compile(r"[0-9]{1,15}")
_TITLE = 200  # characters of a title


def resolved(item: Any) -> dict[str, Any]:
    """The fields of the video at an address (`"https://…"` or `{"url": "https://…", more fields}`).

    Raises ValidationFailed where there is none, UpstreamFailed where its host does not say.
    """
    given = {"url": item} if isinstance(item, str) else item
    if not isinstance(given, dict) or not isinstance(given.get("url"), str):
        raise ValidationFailed.naming({"url": "is required: the address of a video at YouTube or Vimeo"})
    source, address = place(given["url"])
    told = _told(source, address)
    title = told.get("title")
    if not isinstance(title, str) or not title.strip():
        raise ValidationFailed.naming({"url": "leads to a video without a title"})
    found: dict[str, Any] = {"title": title.strip()[:_TITLE], "url": address, "source": source}
    if isinstance(told.get("duration"), int):  # Vimeo tells it, YouTube does not
        found["duration_seconds"] = told["duration"]
    return {**found, **{name: value for name, value in given.items() if name != "url"}}


def place(url: str) -> tuple[str, str]:
    """The host's name and the one address of the video; raises ValidationFailed for what is no such address."""
    wrong = ValidationFailed.naming({"url": "is no address of a video at YouTube or Vimeo"})
    try:
        parts = urlsplit(url.strip()[:2_000])
        host = parts.hostname or ""
    except ValueError:
        raise wrong from None
    segments = [each for each in parts.path.split("/") if each]
    if parts.scheme not in ("http", "https") or not segments:
        raise wrong
    if host in _YOUTUBE:
        named = segments[0] if host == "youtu.be" else parse_qs(parts.query).get("v", [segments[-1]])[0]
        if _YOUTUBE_ID.fullmatch(named):
            return "youtube", f"https://www.youtube.com/watch?v={named}"
    elif host in _VIMEO:
        named = next((each for each in segments if _VIMEO_ID.fullmatch(each)), "")
        if named:
            return "vimeo", f"https://vimeo.com/{named}"
    raise wrong


def _told(source: str, address: str) -> dict[str, Any]:
    """What the host says of the video."""
    base = config().oembed_youtube if source == "youtube" else config().oembed_vimeo
    try:
        answer = outbound.get(f"{base}?url={quote(address, safe='')}&format=json", {"Accept": "application/json"})
    except outbound.SendError as error:
        raise UpstreamFailed(f"{source} does not answer: {error}") from None
    if answer.status in (400, 401, 403, 404):
        raise ValidationFailed.naming({"url": f"leads to no public video ({source} answered {answer.status})"})
    if answer.status != 200:
        raise UpstreamFailed(f"{source} answered {answer.status}")
    try:
        told = from_json(answer.body)
    except ValueError:
        raise UpstreamFailed(f"{source} answered with something else than JSON") from None
    if not isinstance(told, dict):
        raise UpstreamFailed(f"{source} answered with something else than an object")
    return told
