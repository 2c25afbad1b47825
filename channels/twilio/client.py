"""Twilio's REST API as we call it: its SDK, over the line all adapters share.

Rule: import this module on first need and in a thread: the SDK takes a quarter of a second and twenty megabytes. One
request a call and no retries beneath ours, a time limit on each, JSON as JSON, every address below `api_url`.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from twilio.base.exceptions import TwilioException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client as Rest
from twilio.rest.messaging.v2.channels_sender import ChannelsSenderInstance, ChannelsSenderList

from channels.errors import InDoubt, Refused, Retry
from channels.line import Line, gone
from channels.twilio.codes import refusal
from channels.twilio.parse import MAX_FILES, SID

PAGE = 100  # messages of a page: about a kilobyte each, far below what the line reads
MAX_DOWNLOAD = 20 << 20  # bytes; WhatsApp brings 16 MB, MMS 5: /docs/whatsapp/guidance-whatsapp-media-messages
HOSTS = ("twilio.com",)  # and below: the only ones that are told who we are
ENVIRON = {"": ""}  # not empty, or the SDK would take a region and a token from the environment

UNREADABLE = (TwilioException, ValueError, TypeError, KeyError, AttributeError)  # what the SDK raises at odd answers

T = TypeVar("T")


class Http(AsyncHttpClient):  # type: ignore[misc]
    """The SDK's way out. What Twilio answers that was not asked for is one of our errors before the SDK reads it.

    Its own client has no time limit, sends again what may have arrived, and writes down phone numbers.
    """

    def __init__(self, line: Line) -> None:
        super().__init__(logging.getLogger("twilio.unused"), True)
        self._line = line

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, object] | None = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Only a message is not to be made twice; `timeout` and redirects are the line's."""
        told = {key: value for key, value in (headers or {}).items() if key != "Content-Type"}
        document = "json" in (headers or {}).get("Content-Type", "")
        repeatable = not (method.upper() == "POST" and urlsplit(uri).path.endswith("/Messages.json"))
        answer = await self._line.call(
            method.upper(),
            below(uri, self._line.api_url),
            headers=told | ({"Authorization": basic(*auth)} if auth else {}),
            query={key: str(value) for key, value in (params or {}).items()} or None,
            json=data if document else None,
            data=pairs(data) if data and not document else None,
            repeatable=repeatable,
        )
        if answer.status not in (200, 201, 202) or not isinstance(answer.json(), dict):
            raise refusal(answer, repeatable=repeatable)
        return Response(answer.status, answer.body.decode("utf-8", "replace"), answer.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A message as Twilio lists it. `at` is when it was made, in seconds."""

    sid: str
    direction: str
    sender: str
    recipient: str
    service: str
    body: str
    files: int
    at: datetime | None

    def told(self) -> dict[str, Any]:
        """Plain values, to be kept."""
        return asdict(self) | {"at": self.at.isoformat() if self.at else None}


class Client:
    """Calls that raise `Retry`, `InDoubt`, `Refused` or a subclass, and nothing else."""

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        api_url: str,
        *,
        seconds: float,
        key: tuple[str, str] | None = None,
    ) -> None:
        """`seconds` is how long one call may take before its outcome is in doubt, `key` an API key and its secret."""
        self.account_sid = account_sid
        self.keyed = key is not None
        self._line = Line("Twilio", api_url, seconds=seconds)
        user, password = key or (account_sid, auth_token)
        self._credentials = {"Authorization": basic(user, password)}
        http = Http(self._line)
        self.rest = Rest(user, password, account_sid, http_client=http, environment=ENVIRON)
        self._as_account = Rest(account_sid, auth_token, http_client=http, environment=ENVIRON)

    async def ask(self, call: Awaitable[T]) -> T:
        """Make a call that does no harm when made twice. What cannot be read may be readable later."""
        try:
            return await call
        except UNREADABLE:
            pass
        raise Retry("Twilio's answer could not be read.")

    async def account(self) -> Any:
        """The account itself, asked for by its auth token: no other call proves that one, and not every key may ask."""
        return await self.ask(self._as_account.api.v2010.accounts(self.account_sid).fetch_async())

    async def create(self, call: Mapping[str, Any]) -> str:
        """Send one message and return Twilio's id."""
        sid = None
        with suppress(*UNREADABLE):  # Twilio took it, and what it answered is not what it documents
            sid = (await self.rest.messages.create_async(**call)).sid
        if isinstance(sid, str) and SID.fullmatch(sid):
            return sid
        raise InDoubt("Twilio did not say under which number it keeps the message.")

    async def sent_to(self, to: str, most: int) -> list[Listed]:
        """The last messages to an address, newest first."""
        page = await self.ask(self.rest.messages.page_async(to=to, page_size=most))
        return await self.ask(read(lambda: [listed(it) for it in page]))

    async def since(self, since: datetime, most: int, to: str | None = None) -> list[Listed]:
        """The messages since a moment, newest first and so many at most; those to one address, where it is given."""
        options: dict[str, Any] = {"to": to} if to else {}
        found = await self.ask(
            self.rest.messages.list_async(date_sent_after=since, page_size=PAGE, limit=most, **options)
        )
        return await self.ask(read(lambda: [listed(it) for it in found]))

    async def files(self, sid: str) -> Mapping[str, str]:
        """The files of a message that was listed, as a webhook would have named them."""
        form: dict[str, str] = {}
        for index, item in enumerate(await self.ask(self.rest.messages(sid).media.list_async(limit=MAX_FILES))):
            path = f"/2010-04-01/Accounts/{self.account_sid}/Messages/{sid}/Media/{item.sid}"
            form[f"MediaUrl{index}"] = self._line.api_url + path
            form[f"MediaContentType{index}"] = str(item.content_type or "")
        return form

    async def typing(self, sid: str) -> None:
        indicator = self.rest.messaging.v2.typing_indicator
        await self.ask(indicator.create_async(channel="whatsapp", message_id=sid))

    async def set_webhook(self, sender_sid: str, webhook: Mapping[str, str]) -> None:
        """Change where a WhatsApp sender calls, all at once: what is left out is lost."""
        change = ChannelsSenderList.MessagingV2ChannelsSenderRequestsUpdate({})
        change.webhook = ChannelsSenderInstance.MessagingV2ChannelsSenderWebhook(dict(webhook))
        await self.ask(self.rest.messaging.v2.channels_senders(sender_sid).update_async(change))

    async def fetch(self, url: str) -> AsyncIterator[bytes]:
        """Stream a file. One that came just now may not be there yet, so that whoever asks comes again."""
        try:
            async for chunk in self._line.fetch(url, at_most=MAX_DOWNLOAD, credentials=self._credentials, hosts=HOSTS):
                yield chunk
            return
        except Refused as error:
            if not gone(error):
                raise
            code = error.provider_code
        raise Retry("Twilio does not hand out the file now.", provider_code=code)

    async def close(self) -> None:
        await self._line.close()


# --- small functions


def below(uri: str, api_url: str) -> str:
    """An address of the SDK's, or of a page it was told of, on the host we talk to.

    Twilio's own products live beside its API, also in its regions; everywhere else all are on one host.
    """
    parts = urlsplit(uri)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    product = (parts.hostname or "").partition(".")[0]
    own = re.fullmatch(r"https://api\.((?:[a-z0-9-]+\.)*twilio\.com)", api_url)
    known = own and re.fullmatch(r"[a-z]+\.twilio\.com", parts.hostname or "")
    return (f"https://{product}.{own[1]}" if own and known else api_url) + path


def pairs(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Fields of a form; a list is a field several times."""
    return [
        (key, str(value))
        for key, values in data.items()
        for value in (values if isinstance(values, list) else [values])
    ]


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode('utf-8', 'surrogatepass')).decode()}"


def listed(item: Any) -> Listed:
    at = item.date_created or item.date_sent
    return Listed(
        sid=str(item.sid or ""),
        direction=str(item.direction or ""),
        sender=str(item.from_ or ""),
        recipient=str(item.to or ""),
        service=str(item.messaging_service_sid or ""),
        body=str(item.body or ""),
        files=int(item.num_media or 0),
        at=at.astimezone(UTC) if isinstance(at, datetime) else None,
    )


async def read(parts: Callable[[], T]) -> T:
    """What the SDK reads only when it is looked at."""
    return parts()
