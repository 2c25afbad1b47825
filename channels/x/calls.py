"""Calls to X: signed in the account's name or the app's, and the one place where X's failures get our names.

Rule: what X answered decides by its problem type first, then its old code, then its words, then by HTTP.
Pages are below https://docs.x.com.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from channels.errors import InDoubt, Malformed, Misconfigured, Refused, Retry, SendFailed, Unreachable
from channels.line import LONGEST, Answered, Line, outcome
from channels.message import Attachment
from channels.values import name
from channels.wire import mended
from channels.x import oauth1
from channels.x.oauth1 import Keys

# --- facts

# The last part of a problem's `type`. /x-api/fundamentals/response-codes-and-errors#error-types
PROBLEMS: Mapping[str, type[SendFailed]] = {
    "credits-depleted": Misconfigured,
    "client-forbidden": Misconfigured,
    "oauth1-permissions": Misconfigured,
    "unsupported-authentication": Misconfigured,
    "rate-limit-exceeded": Retry,
    "usage-capped": Retry,
    "invalid-request": Refused,
}
# Codes of X's first API, which its second still answers with now and then.
CODES: Mapping[str, type[SendFailed]] = {
    **dict.fromkeys(("32", "64", "87", "89", "99", "135", "215", "220", "261", "326", "416", "453"), Misconfigured),
    **dict.fromkeys(("88", "130", "131", "185"), Retry),
    **dict.fromkeys(("50", "63", "108", "150", "349"), Unreachable),
    **dict.fromkeys(("151", "186", "226", "354"), Refused),
}
# A 403 has no type of its own for either (/x-api/direct-messages/manage/integrate#common-issues): pieces of its words.
WORDS: tuple[tuple[str, type[SendFailed]], ...] = (
    ("permission to dm", Unreachable),
    ("send messages to this user", Unreachable),
    ("not following you", Unreachable),
    ("you have been blocked", Unreachable),
    ("oauth", Misconfigured),
    ("scope", Misconfigured),
    ("client app", Misconfigured),
    ("credentials", Misconfigured),
)
NO_CREDITS = "The X account has no credits left. Buy some in X's developer console."
TOKEN_REFUSED = "X does not accept the keys: they were made anew, or the app was removed from the account."  # noqa: S105
FORBIDDEN = "X refuses this. Either they take no messages from us, or the app may not send direct messages."
# What X's words may carry and nobody needs to see: addresses and tokens.
UNSHOWN = re.compile(r"\S*://\S*|[A-Za-z0-9%_-]{24,}")

# /x-api/media/quickstart/best-practices; a video may be larger than what we hold in memory
CATEGORIES: Mapping[str, tuple[str, int]] = {
    "image/jpeg": ("dm_image", 5 << 20),
    "image/png": ("dm_image", 5 << 20),
    "image/webp": ("dm_image", 5 << 20),
    "image/gif": ("dm_gif", 15 << 20),
    "video/mp4": ("dm_video", 50 << 20),
}
CHUNK = 4 << 20  # bytes of one part of an upload; X takes 5 MB
LOOKS = 12  # how often X is asked whether it has worked through a video
LONGEST_LOOK = 5.0  # seconds between them
FILE_HOST = "ton.twitter.com"  # /x-api/direct-messages/media/migrate: with OAuth 1.0a files come from here

Now = Callable[[], datetime]

# --- the line


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """How X is reached, and by what clock and dice requests are signed."""

    keys: Keys
    api_url: str
    seconds: float
    now: Now = lambda: datetime.now(UTC)
    nonce: Callable[[], str] = field(default=lambda: secrets.token_hex(16))


class Calls:
    """Raises `Retry`, `InDoubt`, `Refused` or a subclass, and nothing else."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._line = Line("X", wiring.api_url, seconds=wiring.seconds)
        self._bearer = ""

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        data: Any = None,
        size: int = 0,
        repeatable: bool = False,
    ) -> dict[str, Any]:
        """One call in the account's name. `data` is a multipart form, which OAuth does not sign."""
        signed = self.signed(method, f"{self._line.api_url}{path}", query)
        answer = await self._line.call(
            method, path, headers=signed, query=query, json=body, data=data, size=size, repeatable=repeatable
        )
        return self._told(answer, repeatable=repeatable)

    async def as_app(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None
    ) -> dict[str, Any]:
        """One call in the app's name, which webhooks belong to. /x-api/webhooks/introduction#endpoints"""
        for fresh in (False, True):
            headers = {"Authorization": f"Bearer {await self._token()}"}
            answer = await self._line.call(method, path, headers=headers, query=query, json=body, repeatable=True)
            if answer.status != 401 or fresh:
                break
            self._bearer = ""  # withdrawn since: the same keys get another
        return self._told(answer, repeatable=True)

    def signed(self, method: str, url: str, query: Mapping[str, str] | None = None) -> dict[str, str]:
        wiring = self._wiring
        value = oauth1.header(wiring.keys, method, url, query=query, nonce=wiring.nonce(), at=wiring.now())
        return {"Authorization": value}

    async def upload(self, file: Attachment) -> str:
        """Hand X a file and give its id, good for a day. /x-api/media/quickstart/media-upload-chunked"""
        category, data = fit(file)
        begun = await self.call(
            "POST",
            "/2/media/upload/initialize",
            body={"media_type": file.media_type, "total_bytes": len(data), "media_category": category},
            repeatable=True,
        )
        media_id = digits(part(begun, "data").get("id"))
        if not media_id:
            raise Retry("X did not take the file.")
        for index, start in enumerate(range(0, len(data), CHUNK)):
            chunk = data[start : start + CHUNK]
            form = aiohttp.FormData()
            form.add_field("segment_index", str(index))
            form.add_field("media", chunk, filename="file", content_type="application/octet-stream")
            path = f"/2/media/upload/{media_id}/append"
            await self.call("POST", path, data=form, size=len(chunk), repeatable=True)
        told = await self.call("POST", f"/2/media/upload/{media_id}/finalize", repeatable=True)
        await self._worked_through(media_id, told)
        return media_id

    async def _worked_through(self, media_id: str, told: dict[str, Any]) -> None:
        for _ in range(LOOKS):
            state = part(part(told, "data"), "processing_info")
            match state.get("state"):
                case "pending" | "in_progress":
                    await asyncio.sleep(pause(state.get("check_after_secs")))
                    query = {"command": "STATUS", "media_id": media_id}
                    told = await self.call("GET", "/2/media/upload", query=query, repeatable=True)
                case "failed":
                    raise Refused("X could not make anything of the file.")
                case _:
                    return
        raise Retry("X is still working on the file.", after=timedelta(seconds=LONGEST_LOOK))

    async def fetch(self, url: str, *, at_most: int) -> AsyncIterator[bytes]:
        """Stream a file. Keys that are refused may be mended, so whoever asks comes again."""
        credentials = self.signed("GET", url)
        try:
            async for chunk in self._line.fetch(url, at_most=at_most, credentials=credentials, hosts=(FILE_HOST,)):
                yield chunk
            return
        except Refused as error:
            if error.provider_code not in ("401", "403"):
                raise
            code = error.provider_code
        raise Retry("X does not hand out the file now.", provider_code=code)

    async def close(self) -> None:
        await self._line.close()

    async def _token(self) -> str:
        """The app's own token, good until it is withdrawn. /fundamentals/authentication/oauth-2-0/application-only"""
        if not self._bearer:
            keys = self._wiring.keys
            basic = f"{oauth1.encoded(keys.consumer_key)}:{oauth1.encoded(keys.consumer_secret)}"
            headers = {"Authorization": f"Basic {base64.b64encode(basic.encode()).decode()}"}
            answer = await self._line.call(
                "POST", "/oauth2/token", headers=headers, data={"grant_type": "client_credentials"}, repeatable=True
            )
            if answer.status == 403:
                raise Misconfigured(TOKEN_REFUSED, provider_code="403")
            token = self._told(answer, repeatable=True).get("access_token")
            if not isinstance(token, str) or not token.isascii() or not token.isprintable():
                raise Retry("X gave the app no token.")
            self._bearer = token
        return self._bearer

    def _told(self, answer: Answered, *, repeatable: bool) -> dict[str, Any]:
        told = whole(answer.body)
        if answer.status == 204 or (200 <= answer.status < 300 and repeatable and not answer.body):
            return {}
        if not 200 <= answer.status < 300 or told is None or ("errors" in told and not told.get("data")):
            raise refusal(answer, self._wiring.now(), repeatable=repeatable)
        return told


# --- what went wrong


def refusal(answer: Answered, now: datetime, *, repeatable: bool = False) -> SendFailed:
    """Name an answer that is not the one asked for by what to do next."""
    told = whole(answer.body) or {}
    errors = told.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    kind_of = text(told.get("type")) or text(first.get("type"))
    problem = kind_of.rstrip("/").rpartition("/")[2] if "://" in kind_of else ""
    number = first.get("code")
    code = problem or (str(number) if type(number) is int else "") or str(answer.status)
    said = (
        text(told.get("detail")) or text(first.get("detail")) or text(first.get("message")) or text(told.get("title"))
    )
    words = name(UNSHOWN.sub("…", said), 300)
    if answer.status == 402 or problem == "credits-depleted":
        return Misconfigured(NO_CREDITS, provider_code=code)
    if answer.status == 429:
        return Retry(words, after=answer.after or regained(answer.headers, now), whole_channel=True, provider_code=code)
    if answer.status == 401:
        return Misconfigured(TOKEN_REFUSED, provider_code=code)
    if answer.status >= 500:
        return outcome(answer, words, code=code, repeatable=repeatable)
    kind = PROBLEMS.get(problem) or (CODES.get(str(number)) if type(number) is int else None)
    if problem == "resource-not-found" and "user" in (told.get("resource_type"), first.get("resource_type")):
        kind = Unreachable
    if kind is None and answer.status in (200, 201, 403):
        kind = next((it for piece, it in WORDS if piece in said.lower()), Refused if first else None)
    if kind is Retry:
        return Retry(words, after=regained(answer.headers, now), whole_channel=True, provider_code=code)
    if kind is not None:
        return kind(words, provider_code=code)
    if answer.status == 403:
        return Refused(FORBIDDEN, provider_code=code)
    if 200 <= answer.status < 300:  # it was taken, as it seems, but no id came back
        return (Retry if repeatable else InDoubt)(provider_code=code)
    return outcome(answer, words, code=code, repeatable=repeatable)


def regained(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """When X takes calls again, at most a day: the latest end of those limits of which nothing is left.

    /x-api/fundamentals/rate-limits; the limits of a day have headers of their own.
    """
    ends = []
    for limit in ("x-rate-limit", "x-user-limit-24hour", "x-app-limit-24hour"):
        left, end = headers.get(f"{limit}-remaining", "0"), headers.get(f"{limit}-reset", "")
        if left == "0" and end.isascii() and end.isdigit() and len(end) < 12:
            ends.append(int(end))
    if not ends:
        return None
    return min(max(timedelta(seconds=max(ends) - int(now.timestamp())), timedelta(0)), LONGEST)


# --- small functions


def fit(file: Attachment) -> tuple[str, bytes]:
    """What X calls such a file, and its bytes. Raises `Refused` for what it would not take."""
    category, most = CATEGORIES.get(file.media_type.partition(";")[0].strip().lower(), ("", 0))
    if not category:
        raise Refused("X carries pictures, GIFs and MP4 videos only.")
    if not file.data:
        raise Refused("The file is empty.")
    if len(file.data) > most:
        raise Refused(f"X takes such files up to {most >> 20} MB.")
    return category, file.data


def whole(body: bytes) -> dict[str, Any] | None:
    """An answer as the object it is, None when it is none."""
    try:
        told = json.loads(mended(body))
    except (Malformed, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def part(told: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = told.get(key)
    return value if isinstance(value, dict) else {}


def rows(told: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = told.get(key)
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def digits(value: object) -> str:
    """An id of X's: up to 19 digits, in a string because JavaScript would round it. "" for what is none."""
    told = str(value) if type(value) is int else text(value)
    return told if re.fullmatch("[0-9]{1,19}", told, re.ASCII) else ""


def pause(told: object) -> float:
    seconds = float(told) if isinstance(told, int | float) else 1.0
    return min(max(seconds, 0.0), LONGEST_LOOK)
