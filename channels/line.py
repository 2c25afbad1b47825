"""Our own line to a provider over HTTP: one request a call, bounded in time and size, its outcome named once.

Rule: what goes wrong on the way is named here and nowhere else; what a provider's own codes mean is
the adapter's table. Nothing raised here carries a URL or a credential, not even as its cause.
"""

from __future__ import annotations

import email.utils
import ipaddress
import json
import socket
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

from channels.errors import FILE_TOO_BIG, InDoubt, Misconfigured, Refused, Retry, SendFailed

CONNECT = 5.0  # seconds
MOST = 4 << 20  # bytes of an answer that is no file
UPLOAD_RATE = 256 << 10  # bytes a second that a slow line still carries: larger requests get longer
FETCH = aiohttp.ClientTimeout(total=300, sock_connect=CONNECT, sock_read=30)
REDIRECTS = 5
CHUNK = 64 << 10
LONGEST = timedelta(days=1)  # of a Retry-After
AGENT = "Santral"
FORBIDDEN = "The file's address is not one that may be fetched."
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a provider answered, whatever its status. Header names are found in any case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as JSON, None when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def after(self) -> timedelta | None:
        """The provider's Retry-After, at most a day."""
        return waits(self.headers.get("Retry-After", ""))


class Line:
    """Opens with the first call. `provider` is its name as people know it, for what is said of it."""

    def __init__(self, provider: str, api_url: str, *, seconds: float = 10.0) -> None:
        """`seconds` is how long one call may take before its outcome is in doubt."""
        self.provider = provider
        self.api_url = api_url.rstrip("/")
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None
        self._guarded: aiohttp.ClientSession | None = None

    async def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        data: Any = None,
        size: int = 0,
        repeatable: bool = False,
    ) -> Answered:
        """Make one request and read its answer, whatever its status. `path` may be a whole URL below `api_url`'s host.

        `size` are the bytes of a file that travels along. What is `repeatable` may be made twice, so its doubts are
        `Retry`. Raises `Retry`, `InDoubt` or `Misconfigured`.
        """
        url = path if "://" in path else f"{self.api_url}/{path.lstrip('/')}"
        timeout = aiohttp.ClientTimeout(
            total=self._seconds + size / UPLOAD_RATE, sock_connect=min(CONNECT, self._seconds)
        )
        try:
            async with self._plain().request(
                method,
                url,
                headers=headers,
                params=query,
                json=json,
                data=data,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_chunked(CHUNK):
                    body += chunk
                    if len(body) > MOST:
                        break
                return Answered(status=response.status, headers=response.headers.copy(), body=bytes(body[:MOST]))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = self._broken(error, repeatable=repeatable)
        except ValueError:
            failure = Refused("The message holds characters that cannot be sent.")
        raise failure

    async def fetch(
        self,
        url: str,
        *,
        at_most: int,
        credentials: Mapping[str, str] | None = None,
        hosts: Collection[str] = (),
    ) -> AsyncIterator[bytes]:
        """Stream a file of at most so many bytes.

        `credentials` are headers that go to `hosts` and what is below them over TLS, and to `api_url`'s origin, but
        never along a redirect to anywhere else. Private addresses are refused, but for `api_url`'s own host.
        Raises `Retry` or `Refused`; of the latter `gone` below tells a link that has expired.
        """
        home = self._home()
        for _ in range(REDIRECTS + 1):
            place = parted(url)
            host = (place.raw_host or "").lower()
            trusted = near(host, home)
            if not host or (place.scheme != "https" and not (trusted and place.scheme == "http")):
                raise Refused(FORBIDDEN)
            if not trusted and _numeric(host) and not (is_address(host) and is_public(host)):
                raise Refused(FORBIDDEN)
            told = place.scheme == "https" and any(host == known or host.endswith(f".{known}") for known in hosts)
            may_know = told or origin(url) == origin(self.api_url)
            sent = {**(credentials or {})} if may_know else {}
            failure: SendFailed
            try:
                session = self._plain() if trusted else self._guard()
                async with session.get(place, headers=sent, timeout=FETCH, allow_redirects=False) as response:
                    if response.status in (301, 302, 303, 307, 308):
                        onward = urljoin(url, response.headers.get("Location", ""))
                        if origin(onward) != origin(url):
                            credentials = None  # stores of files refuse who brings a second proof beside their link
                        url = onward
                        continue
                    if response.status != 200:
                        raise lost(response.status, self.provider, waits(response.headers.get("Retry-After", "")))
                    if (response.content_length or 0) > at_most:
                        raise too_big(at_most)
                    size = 0
                    async for chunk in response.content.iter_chunked(CHUNK):
                        size += len(chunk)
                        if size > at_most:
                            raise too_big(at_most)
                        yield chunk
                    return
            except aiohttp.ClientConnectorDNSError as error:
                private = isinstance(error.os_error, _Private)
                failure = Refused(FORBIDDEN) if private else Retry("The file's host is unknown.")
            except (aiohttp.ClientError, TimeoutError, OSError):
                failure = Retry("The file could not be fetched: the line broke.")
            except ValueError:
                failure = Refused(FORBIDDEN)
            raise failure
        raise Refused("The file's address leads in circles.")

    async def close(self) -> None:
        for session in (self._session, self._guarded):
            if session is not None:
                await session.close()

    def _home(self) -> str:
        return (parted(self.api_url).raw_host or "").lower()

    def _plain(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            # A connection that was idle for long may be closed just as it is used again, and that would be a doubt.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4)
            self._session = aiohttp.ClientSession(
                connector=connector, headers={"User-Agent": AGENT}, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    def _guard(self) -> aiohttp.ClientSession:
        if self._guarded is None or self._guarded.closed:
            connector = aiohttp.TCPConnector(resolver=_Public(), force_close=True)
            self._guarded = aiohttp.ClientSession(
                connector=connector, headers={"User-Agent": AGENT}, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._guarded

    def _broken(self, error: Exception, *, repeatable: bool) -> SendFailed:
        """Name a line that broke: nothing was written before the connection stood."""
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            return Retry(f"{self.provider} cannot be reached.", whole_channel=True)
        if isinstance(error, aiohttp.InvalidURL):
            return Misconfigured("api_url is not a web address.")
        return Retry(f"The line to {self.provider} broke.") if repeatable else InDoubt()


def outcome(answer: Answered, words: str = "", *, code: str = "", repeatable: bool = False) -> SendFailed:
    """Name an answer that is not the one asked for by what to do next, as far as HTTP tells.

    For adapters whose own table has no word for `code`. `words` are the provider's, safe to be shown.
    """
    status, code = answer.status, code or str(answer.status)
    if status == 429:
        return Retry(words, after=answer.after, provider_code=code)
    if status in (500, 503):
        return Retry(words, after=answer.after, whole_channel=status == 503, provider_code=code)
    if status == 401:
        return Misconfigured(words, provider_code=code)
    if 400 <= status < 500:
        return Refused(words, provider_code=code)
    return (Retry if repeatable else InDoubt)(words, provider_code=code)


def lost(status: int, provider: str, after: timedelta | None = None) -> SendFailed:
    """Name what a download answered; its body may be anybody's, so it is not read."""
    if status == 429 or status >= 500:
        return Retry(f"{provider} does not hand out the file now.", after=after, provider_code=str(status))
    return Refused(f"{provider} does not have the file any more.", provider_code=str(status))


def gone(error: Refused) -> bool:
    """Whether a download failed in the way of a link that has expired, so that a fresh one may help."""
    return error.provider_code in ("400", "401", "403", "404", "410")


def too_big(at_most: int) -> Refused:
    return Refused(f"The file is larger than {at_most >> 20} MB.", provider_code=FILE_TOO_BIG)


def waits(header: str, now: datetime | None = None) -> timedelta | None:
    """Read a Retry-After: seconds or a date, at most a day. None when it is neither."""
    if header.isascii() and header.isdigit():
        return min(timedelta(seconds=int(header[:9])), LONGEST)
    try:
        until = email.utils.parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(until - (now or datetime.now(UTC)), timedelta(0)), LONGEST)


def near(host: str, home: str) -> bool:
    """Whether `host` is the machine that `api_url` names; all names of this very machine are one."""
    return bool(host) and (host == home or (_loopback(host) and _loopback(home)))


def parted(url: str) -> URL:
    """An address as it will be connected to: another reader may see another host in the same letters.

    Raises `Refused` where it is none: anybody may have written it.
    """
    try:
        return URL(url)
    except ValueError:
        raise Refused(FORBIDDEN) from None


def origin(url: str) -> tuple[str, str, int | None]:
    """What browsers call an origin: scheme, host and port. Raises `Refused` where it is no address."""
    place = parted(url)
    return place.scheme, (place.raw_host or "").lower(), place.port


def _loopback(host: str) -> bool:
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def _numeric(host: str) -> bool:
    """Whether a host is connected to unresolved. `127.1` and `2130706433` are no addresses, yet they lead to one."""
    return ":" in host or host.replace(".", "").isdigit()


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also where it hides an IPv4 one."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        if found.sixtofour is not None:
            return is_public(str(found.sixtofour))
        if found in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found.is_global and not found.is_multicast


class _Private(OSError):
    """The name leads into a private network."""


class _Public(AbstractResolver):
    """Resolves names to public addresses only, at the moment of connecting: an earlier look-up proves nothing."""

    def __init__(self) -> None:
        self._asked = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._asked.resolve(host, port, family)
        public = [one for one in found if is_public(one["host"])]
        if not public:
            raise _Private(f"{host} is not public")
        return public

    async def close(self) -> None:
        await self._asked.close()
