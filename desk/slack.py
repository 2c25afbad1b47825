"""Slack's Web API as the desk uses it: one client for writes that never repeats a call, one for reads that may.

Rule: every failure leaves here as what the caller does next: wait, try again, look what became of it, or give up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient

from channels.channel import Fetches
from channels.errors import Refused, Retry
from channels.message import Attachment
from desk.blocks import Post
from inbox import figures
from inbox.work import Failed, Unavailable, Wait

TIMEOUT = 10.0  # seconds; a post whose outcome stays open longer than this is looked up instead
METADATA = "santral_post"  # the event_type by which we know our own posts again
_PAGES = 20  # of 200 messages each, when a lost post is looked for
_PART = 64 * 1024
_UPLOAD_RATE = 256 * 1024  # bytes a second: a slow line of 2 Mbit/s still carries a file

# docs.slack.dev/reference/methods/chat.postMessage, "Errors": what waiting does not mend.
_BROKEN = {"channel_not_found", "not_in_channel", "is_archived", "restricted_action"}
_LOST = {
    "thread_not_found",
    "message_not_found",
    "cannot_reply_to_message",
    "restricted_action_thread_locked",  # nobody can answer there any more, so it goes on elsewhere
    "cant_update_message",  # of our own posts only a tombstone
}
_UNKNOWN = {"fatal_error", "internal_error"}  # "some aspect of the operation may have succeeded"
_STOPPED = {"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "missing_scope"}

log = structlog.get_logger()


class Unknown(Exception):
    """The line broke after the call was written: look before doing it again."""


class Gone(Exception):
    """The message or thread this was about no longer exists at Slack."""


class Refusal(Failed):
    """Slack refuses; `code` is its own word for why."""

    def __init__(self, method: str, code: str) -> None:
        super().__init__(f"Slack refuses {method}: {code}")
        self.code = code


class NotAllowed(Refusal):
    """Slack refuses, and will until somebody mends the set-up."""


class Rejected(Refusal):
    """Slack refuses this very call; the same call will be refused again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who we are in the workspace, from `auth.test`. `scopes` are what our token may; None when Slack did not say.

    `url` is where the workspace is opened, with a slash at its end.
    """

    team_id: str
    user_id: str
    bot_id: str
    team: str = ""
    user: str = ""
    url: str = ""
    scopes: frozenset[str] | None = None


class Slack:
    """The calls the desk makes. `api_url` ends with a slash; its host is trusted with the token for files."""

    def __init__(self, token: str, api_url: str) -> None:
        self._token = token
        self._api_url = api_url
        self._session: aiohttp.ClientSession | None = None
        self._reads: AsyncWebClient | None = None
        self._writes: AsyncWebClient | None = None
        self.identity: Identity | None = None

    async def open(self, *, repeat: bool = True) -> None:
        """Make the HTTP session. Call in the loop that uses it. Without `repeat` no read is tried again."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        again = [
            AsyncConnectionErrorRetryHandler(max_retry_count=2),
            AsyncRateLimitErrorRetryHandler(max_retry_count=1),
            AsyncServerErrorRetryHandler(max_retry_count=2),
        ]
        self._reads = self._client(again if repeat else [])
        self._writes = self._client([])

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    def _client(self, retry_handlers: list[Any]) -> AsyncWebClient:
        return AsyncWebClient(
            token=self._token,
            base_url=self._api_url,
            session=self._session,
            timeout=int(TIMEOUT),
            retry_handlers=retry_handlers,
        )

    @property
    def client(self) -> AsyncWebClient:
        """The client for writes, as Bolt wants one."""
        if self._writes is None:
            raise RuntimeError("Slack.open was not called")
        return self._writes

    async def introduce(self) -> Identity:
        """Learn who we are. Raises `NotAllowed` when the token is refused, `Failed` or `Wait` when Slack is away."""
        answer, headers = await self._read_whole("auth.test", {})
        self.identity = Identity(
            team_id=str(answer.get("team_id", "")),
            user_id=str(answer.get("user_id", "")),
            bot_id=str(answer.get("bot_id", "")),
            team=str(answer.get("team", "")),
            user=str(answer.get("user", "")),
            url=str(answer.get("url", "")),
            scopes=_scopes(headers),
        )
        return self.identity

    async def post(self, channel: str, post: Post, *, id: str, thread_ts: str | None = None) -> str:
        """Post once and return the `ts`. `id` travels in the metadata. Raises `Unknown` when it may have arrived."""
        values: dict[str, Any] = {
            "channel": channel,
            "text": post.text or " ",
            "blocks": post.blocks,
            "metadata": {"event_type": METADATA, "event_payload": {"id": id}},
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if not post.blocks:
            values["mrkdwn"] = False  # bare text is a customer's words where their blocks were refused
        if thread_ts:
            values["thread_ts"] = thread_ts
        if post.username:
            values |= {"username": post.username, "icon_emoji": f":{post.icon or 'bust_in_silhouette'}:"}
        return str((await self._write("chat.postMessage", values))["ts"])

    async def update(self, channel: str, ts: str, post: Post) -> None:
        await self._write("chat.update", {"channel": channel, "ts": ts, "text": post.text, "blocks": post.blocks})

    async def whisper(self, channel: str, user: str, post: Post, *, thread_ts: str | None = None) -> None:
        """Tell one person something that may be lost: Slack keeps no ephemeral message."""
        values = {"channel": channel, "user": user, "text": post.text, "blocks": post.blocks}
        if thread_ts:
            values["thread_ts"] = thread_ts
        try:
            await self._write("chat.postEphemeral", values)
        except (Failed, Wait, Unknown, Gone) as error:
            log.info("slack.whisper_lost", error=str(error))

    async def react(self, channel: str, ts: str, name: str, *, on: bool) -> None:
        """Add or take away a reaction; that it is so already is success."""
        method = "reactions.add" if on else "reactions.remove"
        await self._write(
            method, {"channel": channel, "timestamp": ts, "name": name}, fine={"already_reacted", "no_reaction"}
        )

    async def open_view(self, trigger_id: str, view: Mapping[str, Any]) -> None:
        await self._write("views.open", {"trigger_id": trigger_id, "view": dict(view)})

    async def update_view(self, view_id: str, view: Mapping[str, Any]) -> None:
        """Change an open window in place."""
        await self._write("views.update", {"view_id": view_id, "view": dict(view)})

    def link(self, channel: str, ts: str) -> str:
        """Where people open a message, as Slack's own "Copy link" gives it; "" before we were introduced."""
        root = self.identity.url if self.identity else ""
        return f"{root.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}" if root else ""

    async def find(self, channel: str, id: str, since: datetime, *, thread_ts: str | None = None) -> str | None:
        """Look for our own post after an unknown outcome: its `ts`, or None when Slack surely has none."""
        oldest = f"{(since - timedelta(minutes=2)).timestamp():.6f}"
        values: dict[str, Any] = {"channel": channel, "oldest": oldest, "limit": 200, "include_all_metadata": True}
        method = "conversations.history"
        if thread_ts:
            method, values["ts"] = "conversations.replies", thread_ts
        for _ in range(_PAGES):
            answer = await self._read(method, values)
            for message in answer.get("messages") or []:
                metadata = message.get("metadata") or {}
                if (metadata.get("event_payload") or {}).get("id") == id:
                    return str(message["ts"])
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return None
            values["cursor"] = cursor
        raise Failed("too many messages since to say whether the post arrived")

    async def threads(self, channel: str, oldest: str) -> list[Mapping[str, Any]]:
        """The first messages of a Slack channel since `oldest`, each with its `latest_reply` if it has any."""
        return await self._pages("conversations.history", {"channel": channel, "oldest": oldest, "inclusive": True})

    async def replies(self, channel: str, thread_ts: str, after: str) -> list[Mapping[str, Any]]:
        """What was written in a thread after a `ts`, in order; Slack adds the thread's first message. Raises `Gone`."""
        found = await self._pages("conversations.replies", {"channel": channel, "ts": thread_ts, "oldest": after})
        return sorted(found, key=lambda message: str(message.get("ts", "")))

    async def _pages(self, method: str, values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        cursor = ""
        for _ in range(_PAGES):
            answer = await self._read(method, {**values, "limit": 200, **({"cursor": cursor} if cursor else {})})
            found += answer.get("messages") or []
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                break
        return found

    async def person(self, user: str) -> Mapping[str, Any]:
        answer = await self._read("users.info", {"user": user, "include_locale": True})
        found: Mapping[str, Any] = answer.get("user") or {}
        return found

    async def group(self, group: str) -> frozenset[str]:
        """The members of a user group."""
        answer = await self._read("usergroups.users.list", {"usergroup": group})
        return frozenset(answer.get("users") or ())

    async def channel(self, channel: str) -> Mapping[str, Any]:
        answer = await self._read("conversations.info", {"channel": channel})
        found: Mapping[str, Any] = answer.get("channel") or {}
        return found

    async def offer_socket(self) -> None:
        """See whether Slack offers a Socket Mode connection; our token must be the app-level one."""
        await self._read("apps.connections.open", {"app_token": self._token})

    # files

    async def begin_upload(self, filename: str, data: bytes) -> str:
        """Hand Slack the bytes and get a file id; nobody sees the file until `share`."""
        answer = await self._write("files.getUploadURLExternal", {"filename": filename, "length": len(data)})
        session = self._open_session()
        timeout = aiohttp.ClientTimeout(total=TIMEOUT + len(data) / _UPLOAD_RATE)
        try:
            async with session.post(answer["upload_url"], data=data, timeout=timeout) as response:
                if response.status != 200:
                    raise Failed(f"Slack did not take the file ({response.status})")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Failed("Slack did not take the file") from error
        return str(answer["file_id"])

    async def share(self, files: Sequence[tuple[str, str]], channel: str, thread_ts: str, comment: str) -> None:
        """Show uploaded files (id, title) in a thread, in one message. Raises `Unknown`; `shared` tells then."""
        values = {
            "files": [{"id": id, "title": title} for id, title in files],
            "channel_id": channel,
            "thread_ts": thread_ts,
            "initial_comment": comment,
        }
        await self._write("files.completeUploadExternal", values)

    async def shared(self, file_id: str) -> bool:
        """Whether a file stands in some Slack channel. Raises `Gone` when Slack has no such file."""
        try:
            answer = await self._read("files.info", {"file": file_id})
        except Rejected as error:
            raise Gone from error
        shares = (answer.get("file") or {}).get("shares") or {}
        return any(shares.get(kind) for kind in ("public", "private"))

    async def delete_file(self, file_id: str) -> None:
        """Delete a file we put into Slack, wherever it stands. That it is gone already is success."""
        await self._write("files.delete", {"file": file_id}, fine={"file_not_found", "file_deleted"})

    # calls

    async def _read(self, method: str, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return (await self._read_whole(method, values or {}))[0]

    async def _read_whole(self, method: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], Mapping[str, Any]]:
        if self._reads is None:
            raise RuntimeError("Slack.open was not called")
        try:
            return await self._call(self._reads, method, values, frozenset())
        except Unknown as error:
            raise Unavailable(f"Slack did not answer {method}") from error

    async def _write(
        self, method: str, values: Mapping[str, Any], *, fine: set[str] | frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        return (await self._call(self.client, method, values, frozenset(fine)))[0]

    async def _call(
        self, client: AsyncWebClient, method: str, values: Mapping[str, Any], fine: frozenset[str]
    ) -> tuple[dict[str, Any], Mapping[str, Any]]:
        began = time.monotonic()
        try:
            # The SDK's own method knows how Slack wants the arguments: JSON, form or query differ by method.
            given = {name: int(value) if isinstance(value, bool) else value for name, value in values.items()}
            answer = await getattr(client, method.replace(".", "_"))(**given)
        except SlackApiError as error:
            return _answered(method, error, fine), {}
        except aiohttp.ClientConnectorError as error:
            raise Unavailable("Slack cannot be reached") from error
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, OSError) as error:
            raise Unknown(f"the line broke during {method}") from error
        except (SlackClientError, AttributeError) as error:  # the SDK stumbles over plain text with status 200
            raise Unknown(f"Slack's answer to {method} cannot be read") from error
        finally:
            figures.PROVIDER.labels("slack", method).observe(time.monotonic() - began)
        data: dict[str, Any] = answer.data if isinstance(answer.data, dict) else {}
        return data, answer.headers

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("Slack.open was not called")
        return self._session

    def trusts(self, url: str) -> bool:
        """Whether a file's URL may be called with our token: Slack's own hosts, and the configured one."""
        parts = urlsplit(url)
        ours = urlsplit(self._api_url)
        if (parts.scheme, parts.netloc) == (ours.scheme, ours.netloc):
            return True
        host = parts.hostname or ""
        return parts.scheme == "https" and (host == "slack.com" or host.endswith(".slack.com"))

    async def download(self, url: str, media_type: str) -> AsyncIterator[bytes]:
        """Stream a file an agent shared. Raises `Retry` or `Refused`."""
        if not self.trusts(url):
            raise Refused("the file lies on a host that is not Slack's")
        headers = {"Authorization": f"Bearer {self._token}"}
        timeout = aiohttp.ClientTimeout(total=300, sock_read=30)
        try:
            async with self._open_session().get(url, headers=headers, allow_redirects=False, timeout=timeout) as answer:
                if answer.status >= 500 or answer.status == 429:
                    raise Retry("Slack does not hand out the file now")
                if answer.status != 200:
                    raise Refused(f"Slack does not hand out the file ({answer.status})")
                # Without the right to it, Slack answers 200 with its log-in page instead of the file.
                if answer.content_type == "text/html" and media_type != "text/html":
                    raise Refused("Slack answered with its log-in page instead of the file (scope files:read missing?)")
                async for part in answer.content.iter_chunked(_PART):
                    yield part
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Retry("the line broke while the file was fetched") from error


class AgentFiles(Fetches):
    """Files that agents put into a Slack thread, as a source for `inbox.media`."""

    def __init__(self, slack: Slack) -> None:
        self._slack = slack

    def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        return self._slack.download(attachment.ref, attachment.media_type)


def _scopes(headers: Mapping[str, Any]) -> frozenset[str] | None:
    told = {str(name).lower(): value for name, value in headers.items()}.get("x-oauth-scopes")
    return None if told is None else frozenset(scope.strip() for scope in str(told).split(",")) - {""}


def _answered(method: str, error: SlackApiError, fine: frozenset[str]) -> dict[str, Any]:
    """What a refusal by Slack means for the caller."""
    response: Any = error.response
    # For a body that is no JSON the SDK hands over aiohttp's response instead of its own.
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 200))
    data = response.data if isinstance(getattr(response, "data", None), dict) else {}
    code = str(data.get("error", "") or f"http_{status}")
    if code in fine:
        return data
    if status == 429 or code in {"ratelimited", "rate_limited"}:
        headers = {str(key).lower(): value for key, value in (getattr(response, "headers", None) or {}).items()}
        value = headers.get("retry-after", "1")
        value = value[0] if isinstance(value, list) else value
        seconds = float(value) if str(value).replace(".", "", 1).isdigit() else 1.0
        raise Wait(timedelta(seconds=max(seconds, 0.1)), f"Slack asks to wait with {method}", whole_lane=True)
    if code in _UNKNOWN or code == "http_200" or status in {500, 502, 504}:
        raise Unknown(f"Slack answered {code} to {method}")
    if code in _LOST:
        raise Gone(code)
    if code in _BROKEN or code in _STOPPED:
        raise NotAllowed(method, code)
    if status >= 500 or code in {"service_unavailable", "request_timeout"}:
        raise Unavailable(f"Slack answered {code} to {method}")
    raise Rejected(method, code)
