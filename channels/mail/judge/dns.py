"""DKIM keys from DNS, within bounds: a mail may name any server, and a slow one must not hold up the post.

Rule: a query that does not answer costs seconds once, never per mail.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dns.resolver import Resolver

# --- facts

QUERY = 2.0  # seconds for one name server
LIFETIME = 4.0  # seconds for one name
FOUND_FOR = 3600.0  # keys are rotated over days
ABSENT_FOR = 300.0
MOST_NAMES = 2_000
REST = 60.0  # without a query after two in a row that timed out: offline, or somebody's tar pit
MOST_KEY = 8_192  # bytes of a record: an RSA key of 4096 bits has under 1,000


class Keys:
    """A look-up of DKIM keys that remembers. Call it with a name such as `b"s1._domainkey.example.com."`.

    `nameservers` are addresses to ask instead of the system's. `query` and `lifetime` are seconds, for one name server
    and for one name. Safe to share between threads.
    """

    def __init__(
        self,
        *,
        nameservers: Sequence[str] = (),
        port: int = 53,
        query: float = QUERY,
        lifetime: float = LIFETIME,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nameservers = list(nameservers)
        self._port = port
        self._query = query
        self._lifetime = lifetime
        self._clock = clock
        self._resolver: Resolver | None = None
        self._known: OrderedDict[str, tuple[float, bytes | None]] = OrderedDict()
        self._timeouts = 0
        self._resting_until = float("-inf")
        self._lock = Lock()

    def __call__(self, name: bytes) -> bytes | None:
        """The record of a name; None when there is none, or none to be had now."""
        try:
            asked = name.decode("ascii").lower().rstrip(".")
        except UnicodeDecodeError:
            return None
        if not asked or len(asked) > 253 or "._domainkey." not in asked:
            return None
        now = self._clock()
        with self._lock:
            if (known := self._known.get(asked)) and known[0] > now:
                self._known.move_to_end(asked)
                return known[1]
            if now < self._resting_until:
                return None
        found, timed_out = self._ask(asked)
        with self._lock:
            self._timeouts = self._timeouts + 1 if timed_out else 0
            if self._timeouts >= 2:
                self._timeouts, self._resting_until = 0, self._clock() + REST
            self._known[asked] = (self._clock() + (FOUND_FOR if found else ABSENT_FOR), found)
            self._known.move_to_end(asked)
            while len(self._known) > MOST_NAMES:
                self._known.popitem(last=False)
        return found

    def _ask(self, name: str) -> tuple[bytes | None, bool]:
        """Ask DNS: the record, and whether the time ran out."""
        from dns.exception import DNSException, Timeout
        from dns.rdatatype import TXT
        from dns.resolver import NoNameservers, NoResolverConfiguration

        try:
            answer = self._resolve().resolve(name, TXT, search=False, raise_on_no_answer=False)
        except NoNameservers as error:
            errors = error.kwargs.get("errors") or ()
            return None, all(len(tried) < 5 or tried[4] is None for tried in errors)  # nobody answered anything
        except (Timeout, NoResolverConfiguration, OSError):
            return None, True
        except (DNSException, ValueError):  # no such name, or a name that is none
            return None, False
        records = [b"".join(record.strings) for record in answer.rrset or () if record.rdtype == TXT]
        keys = [record for record in records if b"p=" in record and len(record) <= MOST_KEY]
        return (keys[0] if keys else None), False

    def _resolve(self) -> Resolver:
        if self._resolver is None:
            from dns.resolver import Resolver

            resolver = Resolver(configure=not self._nameservers)
            if self._nameservers:
                resolver.nameservers = list(self._nameservers)
            resolver.port = self._port
            resolver.timeout, resolver.lifetime = self._query, self._lifetime
            self._resolver = resolver
        return self._resolver
