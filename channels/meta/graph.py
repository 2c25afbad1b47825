"""Meta's Graph as WhatsApp, Messenger and Instagram share it: signatures, envelopes, calls, and what its errors mean.

Rule: the version, and which of our errors a code of Meta's is, stand here and nowhere else.
Pages are below https://developers.facebook.com.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import structlog

from channels.channel import Request
from channels.errors import Malformed, Misconfigured, Refused, Retry, SendFailed, Unreachable, Unverified, WindowClosed
from channels.line import LONGEST, Answered, Line, outcome
from channels.message import Event
from channels.values import moment, name
from channels.wire import Number, Wire, decoded, mended

T = TypeVar("T", bound=Wire)
log = structlog.get_logger()

# --- facts

VERSION = "v25.0"  # lives until 2028-07-29, /docs/graph-api/changelog
SIGNATURE = "x-hub-signature-256"
AHEAD = timedelta(minutes=5)  # how far ahead of ours a clock of Meta's may be taken

# Written "code/error_subcode"; where that is not found, the code alone counts. What an unknown one means, HTTP says.
# /docs/graph-api/guides/error-handling, /documentation/business-messaging/whatsapp/support/error-codes,
# /documentation/business-messaging/messenger-platform/error-codes
CODES: Mapping[str, type[SendFailed]] = {
    **dict.fromkeys(("0", "3", "10", "102", "190", "131005"), Misconfigured),  # who we are, what we may do
    **dict.fromkeys((str(code) for code in range(200, 300)), Misconfigured),
    **dict.fromkeys(("368", "131031", "131037", "131042", "131045", "133010"), Misconfigured),  # the account's standing
    **dict.fromkeys(("4", "17", "32", "613", "80001", "80002", "80006", "80007"), Retry),  # calls of app, user, account
    **dict.fromkeys(("130429", "131048", "131056", "131064", "133016"), Retry),
    **dict.fromkeys(("1", "2", "1200", "131000", "131016", "131057", "133004"), Retry),  # Meta stumbles
    **dict.fromkeys(("10/2018321", "2018321"), Retry),  # Meta's own questions are being answered in this talk
    **dict.fromkeys(("131047", "10/2018278", "10/2534022", "10/2018065"), WindowClosed),
    **dict.fromkeys(("131026", "100/2018001", "100/2534014", "10/2018108", "551", "200/1545041"), Unreachable),
    **dict.fromkeys(("10/2018300", "2018300"), Refused),  # another program has this one talk
    **dict.fromkeys(("100/2534013", "100/2534029"), Misconfigured),  # no Instagram behind the page; messages barred
    "230": Refused,  # Instagram: no profile before the person wrote
}
DEAD = frozenset({"0", "102", "190"})  # the token itself, whatever was asked for with it
UNKNOWN = "100/33"  # no such object, or none that the token may see
# No WhatsApp behind a number, or one that is too old. The number may take SMS, and is one address with it, so it is
# never silenced: only this message is lost.
HERE_ALONE = frozenset({"131026"})
SPENT = ("call_count", "total_cputime", "total_time")  # percent, /docs/graph-api/overview/rate-limiting
WHOLE_CHANNEL = frozenset({"4", "17", "32", "613", "80001", "80002", "80006", "80007", "130429", "131048", "131064"})
# A pace Meta names for one person: one message in six seconds after a burst of about 45. As a rate it would slow down
# every talk, so it is waited for only when it is met. /documentation/business-messaging/whatsapp/throughput
WAITS: Mapping[str, timedelta] = {"131056": timedelta(seconds=6)}
TOKEN_REFUSED = "Meta does not accept the access token: it has expired, or was withdrawn."  # noqa: S105
# What Meta's words may carry and nobody needs to see: tokens and addresses.
UNSHOWN = re.compile(r"\S*://\S*|[A-Za-z0-9_|-]{24,}")

# --- requests of Meta's


def verify(request: Request, *secrets: str) -> None:
    """Raise `Unverified` unless the body is signed with one of the app secrets, of which empty ones sign nothing."""
    given = request.headers.get(SIGNATURE, "").encode("utf-8", "surrogatepass")
    good = False
    for secret in filter(None, secrets):
        good |= hmac.compare_digest(given, f"sha256={_digest(secret, request.body)}".encode())
    if not good:
        raise Unverified


def answer(request: Request, verify_token: str) -> str:
    """Give back the challenge with which Meta proves our address; `verify_token` is the word set in its console."""
    told = request.query.get("hub.verify_token", "").encode("utf-8", "surrogatepass")
    if request.query.get("hub.mode") != "subscribe" or not verify_token:
        raise Unverified
    if not hmac.compare_digest(told, verify_token.encode()):
        raise Unverified
    return request.query.get("hub.challenge", "")


def proof(app_secret: str, token: str) -> str:
    """The `appsecret_proof` of a token, /docs/graph-api/guides/secure-requests."""
    return _digest(app_secret, token.encode())


def _digest(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


# --- envelopes


class Change(Wire, frozen=True):
    """What WhatsApp sends, and what Meta's *Test* buttons send for the others."""

    field: str = ""
    value: msgspec.Raw = msgspec.Raw(b"null")


class Entry(Wire, frozen=True):
    """What one account of the batch was told: `changes` for WhatsApp, `messaging` and `standby` for the others."""

    id: str | Number = ""
    time: Number = 0
    changes: list[msgspec.Raw] = []  # noqa: RUF012  a struct copies it
    messaging: list[msgspec.Raw] = []  # noqa: RUF012
    standby: list[msgspec.Raw] = []  # noqa: RUF012

    @property
    def account(self) -> str:
        return str(self.id)


class Envelope(Wire, frozen=True):
    object: str
    entry: list[msgspec.Raw]

    def entries(self) -> Iterator[tuple[msgspec.Raw, Entry | None]]:
        """All of them, as they came and as they are read; None stands for one that is no entry."""
        return ((raw, decoded(raw, Entry)) for raw in self.entry)


def broken(raw: msgspec.Raw, *slots: str) -> tuple[str, ...]:
    """Those of an object's lists that are none, so that what they hold would be lost without a word."""
    try:
        parts = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return ()
    return tuple(slot for slot in slots if slot in parts and bytes(parts[slot]).lstrip()[:1] not in (b"[", b"n"))


def nobodys(channel: str, account: str) -> None:
    """Leave a trace of what an account was told that is no channel of ours. Without it a wrong id is hard to find."""
    log.info("account_unknown", channel=channel, account=account[:64])


def foreign(channel: str, object: str) -> None:
    """Leave a trace of what is about another product of Meta's: its webhook leads to the wrong channel."""
    log.info("object_unknown", channel=channel, object=name(object, 64))


def alone(envelope: Envelope, entry: Entry, slot: str, item: msgspec.Raw) -> bytes:
    """One item of a batch as the webhook it would have been by itself, b"" for one that came so.

    What is kept of a message must not hold its neighbours' words, nor a batch be kept once for each of its items.
    """
    if len(envelope.entry) == 1 and len(entry.changes) + len(entry.messaging) + len(entry.standby) == 1:
        return b""
    head = msgspec.json.encode({"id": entry.id, "time": entry.time})[:-1]
    return b'{"object":%b,"entry":[%b,"%b":[%b]}]}' % (
        msgspec.json.encode(envelope.object),
        head,
        slot.encode(),
        bytes(item),
    )


def apart(envelope: Envelope, whole: msgspec.Raw) -> bytes:
    """One entry of a batch as the webhook it would have been by itself, b"" for one that came so."""
    if len(envelope.entry) == 1:
        return b""
    return b'{"object":%b,"entry":[%b]}' % (msgspec.json.encode(envelope.object), bytes(whole))


def walked(body: bytes, reader: Callable[[Envelope], Iterable[Event]]) -> tuple[Event, ...]:
    """Read a webhook's body with `reader`, mended first where its text is broken. Raises `Malformed`.

    `reader` is called again for a mended body, so it must be pure.
    """
    try:
        if b"\\u0000" not in body:
            try:
                return tuple(reader(msgspec.json.decode(body, type=Envelope)))
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass  # broken text in sound JSON is worth a second, slower look
        return tuple(reader(msgspec.json.decode(mended(body), type=Envelope)))
    except msgspec.ValidationError as error:
        raise Malformed("The body is none of Meta's: it has no object and entries.") from error
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.") from error


def those(raws: Iterable[msgspec.Raw], shape: type[T]) -> list[T]:
    """Those items of a list that can be read: a wrong one costs none of the others."""
    return [item for raw in raws if (item := decoded(raw, shape)) is not None]


def word(raw: msgspec.Raw) -> str:
    """A text, "" for whatever else stands in its place."""
    try:
        return msgspec.json.decode(raw, type=str)
    except msgspec.ValidationError:
        return ""


def told_at(count: object, at: datetime) -> datetime:
    """A time Meta tells, as a number or in digits, in seconds or milliseconds; `at` when it is none."""
    text = str(count)
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        return at
    return min(moment(int(text), at), at + AHEAD)


# --- errors


class Fault(Wire, frozen=True):
    """What Meta says went wrong, in the answer to a call or in the status of a message."""

    code: Number = -1
    error_subcode: Number = 0
    message: str = ""
    title: str = ""
    error_user_msg: str = ""
    error_data: Any = None  # an object with `details`, or a string
    fbtrace_id: str = ""  # by which Meta's own people find the call
    is_transient: bool = False

    @property
    def numbers(self) -> str:
        """As in `CODES`: "10/2018278", "131047"; "" when Meta names none."""
        if self.code < 0:
            return ""
        return f"{self.code}/{self.error_subcode}" if self.error_subcode else str(self.code)

    @property
    def kind(self) -> type[SendFailed] | None:
        """Which of our errors it is; None when the codes alone do not tell."""
        return CODES.get(self.numbers) or CODES.get(str(self.code)) or (Retry if self.is_transient else None)

    def words(self, *unshown: str) -> str:
        """Meta's own words, without `unshown` and whatever else looks like a token or an address."""
        details = self.error_data.get("details") if isinstance(self.error_data, dict) else None
        told = details if isinstance(details, str) and details else self.error_user_msg or self.message or self.title
        for secret in filter(None, unshown):
            told = told.replace(secret, "…")
        return name(UNSHOWN.sub("…", told), 300)


def settled(fault: Fault) -> tuple[str, str, bool]:
    """Code, detail and `unreachable` of a `Receipt` of a message that failed later.

    Nothing is tried again by itself then: what would be worth another try at once is a refusal by now.
    """
    kind = fault.kind or Refused
    if not issubclass(kind, WindowClosed | Unreachable):
        kind = Refused
    never = issubclass(kind, Unreachable) and fault.numbers not in HERE_ALONE
    return kind.code, " ".join(filter(None, (fault.numbers, fault.words()))), never


def whole(body: bytes) -> dict[str, Any] | None:
    """An answer as the object it is, None when it is none."""
    try:
        told = json.loads(mended(body))
    except (Malformed, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def shaped(value: object, shape: type[T]) -> T | None:
    """A part of an answer read as `decoded` reads webhooks."""
    return decoded(msgspec.Raw(json.dumps(value).encode()), shape)


def said(body: bytes) -> Fault | None:
    """What an answer says went wrong; None when it says nothing that can be read."""
    told = whole(body) or {}
    return shaped(told["error"], Fault) if "error" in told else None


def refusal(answer: Answered, *unshown: str, repeatable: bool = False) -> SendFailed:
    """Name an answer that is not the one asked for by what to do next. `unshown` are secrets its words may carry."""
    fault = said(answer.body)
    if fault is None or not fault.numbers:
        return outcome(answer, repeatable=repeatable)
    kind, words, code = fault.kind, fault.words(*unshown), fault.numbers
    if kind is None and answer.status == 200:  # an error all the same, so it was not taken
        return Refused(words, provider_code=code)
    if kind is None or (kind is Retry and answer.status in (502, 504)):  # who stands between us does not know either
        return outcome(answer, words, code=code, repeatable=repeatable)
    if kind is Retry:
        after = WAITS.get(code) or answer.after or regained(answer.headers)
        return Retry(words, after=after, whole_channel=str(fault.code) in WHOLE_CHANNEL, provider_code=code)
    if code in HERE_ALONE:
        return Refused(words, provider_code=code)
    if fault.code == 190:
        words = TOKEN_REFUSED
    return kind(words, provider_code=code)


def regained(headers: Mapping[str, str]) -> timedelta | None:
    """When Meta expects to take calls again, at most a day: /docs/graph-api/overview/rate-limiting, in minutes."""
    minutes = [count for row in usage(headers) if (count := counted(row, "estimated_time_to_regain_access"))]
    return min(timedelta(minutes=min(max(minutes), 24 * 60)), LONGEST) if minutes else None


def used(headers: Mapping[str, str]) -> int:
    """How much of what an app or account may ask for is used up, in percent; 0 where Meta does not tell."""
    return max((counted(row, part) for row in usage(headers) for part in SPENT), default=0)


def usage(headers: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The limits Meta tells of: the app's and the page's by themselves, those of business accounts in lists."""
    for header in ("X-App-Usage", "X-Page-Usage", "X-Business-Use-Case-Usage"):
        try:
            told = json.loads(headers.get(header, ""))
        except (ValueError, RecursionError):
            continue
        if isinstance(told, dict):
            yield told
            yield from (
                row for rows in told.values() if isinstance(rows, list) for row in rows if isinstance(row, dict)
            )


def counted(row: Mapping[str, Any], name: str) -> int:
    count = row.get(name)
    return count if type(count) is int and count > 0 else 0


# --- calls


class Graph:
    """Calls that raise `Retry`, `InDoubt`, `Refused` or a subclass, and nothing else.

    The token goes into a header, where no log of addresses finds it.
    """

    def __init__(
        self, provider: str, api_url: str, token: str, app_secret: str, *, seconds: float = 10.0, proven: bool = True
    ) -> None:
        """`provider` is whom people know: "WhatsApp". `proven` off where the host takes no `appsecret_proof`."""
        self.line = Line(provider, api_url, seconds=seconds)
        self._token = token
        self._secret = app_secret
        self.used = 0  # percent of Meta's limits, as its last answer told
        self._proof = {"appsecret_proof": proof(app_secret, token)} if proven and app_secret else {}

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        data: Any = None,
        size: int = 0,
        repeatable: bool = False,
        app: str = "",
        own: bool = False,
    ) -> dict[str, Any]:
        """Make one call below the version and return the object it answers.

        `app` is the app's id for the few calls that only an app may make in its own name. `own`: the path begins with
        an object of the shop's, so that the set-up is wrong where the token does not see it. Else as `Line.call`.
        """
        token = f"{app}|{self._secret}" if app else self._token
        answered = await self.line.call(
            method,
            f"{VERSION}/{path}",
            headers={"Authorization": f"Bearer {token}"},
            query={**(query or {}), **({} if app else self._proof)} or None,
            json=json,
            data=data,
            size=size,
            repeatable=repeatable,
        )
        self.used = used(answered.headers)
        body = whole(answered.body) if answered.status == 200 else None
        if body is None or "error" in body:
            failure = refusal(answered, self._token, self._secret, repeatable=repeatable)
            if own and failure.provider_code == UNKNOWN:
                failure = Misconfigured(failure.detail, provider_code=UNKNOWN)
            trace = name((said(answered.body) or Fault()).fbtrace_id, 64)
            log.info("graph.refused", provider=self.line.provider, code=failure.provider_code, trace=trace)
            raise failure
        return body

    async def file(self, id: str, fields: str = "") -> dict[str, Any]:
        """Ask about a file, or a message that has one. A dead token says nothing of the file, so it is `Retry` then."""
        query = {"fields": fields} if fields else None
        try:
            return await self.call("GET", quote(id, safe=""), query=query, repeatable=True)
        except Misconfigured as error:
            if error.provider_code.partition("/")[0] not in DEAD:
                raise
            raise Retry(error.detail, whole_channel=True, provider_code=error.provider_code) from error

    def fetch(self, url: str, *, at_most: int, hosts: Collection[str] = ()) -> AsyncIterator[bytes]:
        """Stream a file of at most so many bytes, as `Line.fetch`. The token goes to `hosts` and to `api_url` only."""
        credentials = {"Authorization": f"Bearer {self._token}"}
        return self.line.fetch(url, at_most=at_most, credentials=credentials, hosts=hosts)

    async def close(self) -> None:
        await self.line.close()
