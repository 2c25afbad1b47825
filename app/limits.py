"""How often somebody may do something: token buckets by key, and by whose address a request counts.

Rule: pure but for what was taken, bounded in memory, time is a parameter. Each process counts for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

KEYS = 20_000  # that one set of buckets remembers: about 4 MB
# Where a proxy of ours may stand: this machine, a private network, a container. (`is_private` holds much more.)
NEAR = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
NETWORK = 64  # bits: what one household or server is given of IPv6, so that all of it counts as one


class Buckets:
    """Allows `burst` at once and then one every `every`, for each key by itself. Remembers the `keys` last used."""

    def __init__(self, burst: int, every: timedelta, *, keys: int = KEYS) -> None:
        self._room = burst * every.total_seconds()
        self._every = every.total_seconds()
        self._keys = keys
        self._full: dict[
            str, float
        ] = {}  # when a key's bucket will be full again, seconds since 1970; least used first

    def __len__(self) -> int:
        return len(self._full)

    def take(self, key: str, at: datetime, count: float = 1) -> timedelta:
        """Take so many. No time at all when they were there, else how long to wait; then nothing was taken."""
        if wait := self.wait(key, at, count):
            return wait
        now = at.timestamp()
        self._full[key] = max(self._full.pop(key, now), now) + count * self._every
        if len(self._full) > self._keys:
            self._forget(now)
        return timedelta()

    def wait(self, key: str, at: datetime, count: float = 1) -> timedelta:
        """How long to wait for so many, without taking them."""
        now = at.timestamp()
        if key in self._full:
            self._full[key] = self._full.pop(key)  # whoever asks is remembered longer
        wait = max(self._full.get(key, now), now) + count * self._every - now - self._room
        return timedelta(seconds=wait) if wait > 1e-9 else timedelta()  # a float's rounding is no reason to refuse

    def _forget(self, now: float) -> None:
        """Let go of buckets that are full, and where that is not enough of the least used, a quarter of all at once."""
        self._full = {key: full for key, full in self._full.items() if full > now}
        if len(self._full) > self._keys * 3 // 4:
            for key in list(self._full)[: len(self._full) - self._keys * 3 // 4]:
                del self._full[key]


def take_all(at: datetime, *wanted: tuple[Buckets, str, float]) -> timedelta:
    """Take from each of these buckets, or from none. No time at all when all were there, else how long to wait."""
    if wait := max((buckets.wait(key, at, count) for buckets, key, count in wanted), default=timedelta()):
        return wait
    for buckets, key, count in wanted:
        buckets.take(key, at, count)
    return timedelta()


class Counted:
    """What has been counted, by name, so that what is sent again counts once. Remembers the `names` last used."""

    def __init__(self, *, names: int = KEYS) -> None:
        self._names = names
        self._paid: dict[str, set[str]] = {}  # what was sent under each name; empty while that is on its way

    def __contains__(self, name: str) -> bool:
        return name in self._paid

    def __len__(self) -> int:
        return len(self._paid)

    def begin(self, name: str) -> None:
        """Something under this name was counted, before it was known whole."""
        self._paid[name] = self._paid.pop(name, set())
        if len(self._paid) > self._names:
            del self._paid[next(iter(self._paid))]

    def covers(self, name: str, whole: str) -> bool:
        """Whether what is known whole by now is covered: it came before, or is the first of its name to be known."""
        return name in self._paid and (not self._paid[name] or whole in self._paid[name])

    def end(self, name: str, whole: str) -> None:
        """This was counted, and is not counted again."""
        self.begin(name)
        self._paid[name].add(whole)

    def forget(self, name: str) -> None:
        """Count it anew when it comes again."""
        self._paid.pop(name, None)


def client_address(peer: str | None, forwarded: Sequence[str] = ()) -> str:
    """Who a request counts for: an IPv4 address, or the /64 an IPv6 address is in.

    `forwarded` are the values of `X-Forwarded-For`. Only its last entry counts, which our own proxy wrote, and only
    where the peer is on this machine or a private network: anybody can send the header.
    """
    near = _address(peer or "")
    if near is None:
        return peer or "local"
    if forwarded and any(near in network for network in NEAR):
        near = _address(forwarded[-1].rpartition(",")[2]) or near
    if isinstance(near, IPv6Address):
        return str(IPv6Network((int(near), NETWORK), strict=False))
    return str(near)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it: bare, with a port, in brackets, with a zone."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
