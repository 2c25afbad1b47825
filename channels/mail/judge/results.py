"""What receivers wrote about a mail's authentication: Authentication-Results and the ARC chain, read tolerantly.

Rule: anybody can write these fields. Only those are returned that the trusted receiver must have written itself;
comments are comments, and what cannot be read is left out rather than guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from channels.mail.judge import hops
from channels.mail.judge.hops import Hop
from channels.mail.values import MOST_HEADER, Headers

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

# --- facts

MOST_RESULTS = 100
MOST_BLOCK = 20  # fields of one receiver; milters write one each
MOST_HOPS = 50  # Received fields
MOST_SETS = 50  # RFC 8617 ends a chain there
MICROSOFT = ""  # Microsoft 365 writes its results without an authserv-id
GOOGLE = "mx.google.com"
# Domains of one receiver: those its hosts have, and those it judges under.
_HOUSES = (
    frozenset({"icloud.com", "me.com", "mac.com", "apple.com"}),
    frozenset({"mail.ru", "smailru.net"}),
    frozenset({"yandex.net", "yandex.ru", "yandex.com"}),
    frozenset({"messagingengine.com", "fastmail.com"}),
    frozenset({"amazonses.com", "amazonaws.com"}),
)
_MICROSOFT_HOSTS = ("outlook.com", "office365.com", "office.com", "microsoft.com", "exchangelabs.com")
_PROOFS = frozenset({"dmarc", "dkim", "spf"})
# Fields besides X-… that receivers put between their Received and their results; a mail itself begins with others.
_TRACE = frozenset(
    {
        "return-path",
        "delivered-to",
        "envelope-to",
        "received-spf",
        "dkim-filter",
        "dmarc-filter",
        "arc-filter",
        "arc-seal",
        "arc-message-signature",
        "arc-authentication-results",
        "authentication-results-original",
        "bimi-location",
        "bimi-indicator",
    }
)
_METHOD = re.compile(r"([a-z][a-z0-9-]{0,30})(?:/\d{1,3})?$")
_PRIVATE = re.compile(
    r"[\d.\[\]]+$|[0-9a-f.\[\]]*:[0-9a-f.:\[\]]*$|[^.]+$|.*\.(?:lan|local|localdomain|internal|localhost|home|corp|intern)$"
)
_INSTANCE = re.compile(r"\s*i\s*=\s*(\d{1,3})\s*;")
_SEALER = re.compile(r"(?:^|;)\s{0,20}d\s{0,5}=\s{0,5}([^;\s]{1,253})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One judgement: `dmarc=fail (p=REJECT) header.from=example.com`. Everything is in lower case."""

    method: str
    value: str
    properties: Mapping[str, str] = field(default_factory=dict)  # "header.from", "smtp.mailfrom", "action", "reason"
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """One field: who judged and what. `authserv` is "" when the field names nobody."""

    authserv: str
    found: tuple[Result, ...] = ()

    def of(self, method: str) -> tuple[Result, ...]:
        return tuple(result for result in self.found if result.method == method)


# --- domains


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


@lru_cache(maxsize=4096)
def organisation(domain: str) -> str:
    """The organisational domain in ASCII: `example.com.tr` of `mail.example.com.tr`, "" of none."""
    name = ascii_domain(domain)
    return (_suffixes().privatesuffix(name) or name) if name else ""


@lru_cache(maxsize=4096)
def ascii_domain(domain: str) -> str:
    """A domain as DNS has it: lower case, Punycode, no final dot; "" for what is no domain."""
    name = domain.strip().rstrip(".").lower()
    if not name or len(name) > 253 or any(letter in name for letter in " @<>()\t\r\n\"'\\/,;"):
        return ""
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""


def aligned(one: str, other: str) -> bool:
    """Whether two domains belong to one organisation, as relaxed alignment of DMARC means it."""
    organisations = organisation(one), organisation(other)
    return bool(organisations[0]) and organisations[0] == organisations[1]


# --- one field


def parse(value: str) -> Results:
    """Read an Authentication-Results field, with or without an authserv-id. Never raises."""
    segments = list(_segments(value[:MOST_HEADER]))[: MOST_RESULTS + 1]
    authserv = ""
    if segments:
        first, _ = segments[0]
        if first and "=" not in first[0] and not (len(first) > 1 and first[1].startswith("=")):
            authserv = first[0]
            # Some write no semicolon after the id: `mx.example.com 1 spf=pass …`
            rest = first[2:] if len(first) > 1 and first[1].isdigit() else first[1:]
            segments[0] = (rest, segments[0][1])
    results = (result for words, comment in segments if (result := _result(words, comment)))
    return Results(authserv=authserv, found=tuple(results))


def _segments(value: str) -> Iterator[tuple[list[str], str]]:
    """The parts between semicolons: their words and their comments. Quotes hide parentheses, comments hide all."""
    words: list[str] = []
    comments: list[str] = []
    word = ""
    depth, quoted = 0, False
    place = 0
    while place < len(value):
        letter = value[place]
        place += 1
        if letter == "\\" and (quoted or depth):
            letter, place = value[place : place + 1], place + 1
        elif letter == '"':
            quoted = not quoted
            continue
        elif not quoted and letter == "(":
            depth += 1
            if depth == 1:
                continue
        elif not quoted and letter == ")" and depth:
            depth -= 1
            if depth == 0:
                comments.append(" ")
                continue
        elif not quoted and not depth and (letter == ";" or letter.isspace()):
            if word:
                words.append(word)
            word = ""
            if letter == ";":
                yield [w.lower() for w in words], "".join(comments).lower()
                words, comments = [], []
            continue
        if depth:
            comments.append(letter)
        else:
            word += letter
    if word and not quoted:
        words.append(word)
    yield [w.lower() for w in words], "".join(comments).lower()


def _result(words: Sequence[str], comment: str) -> Result | None:
    """`method=value` and its properties; blanks around the `=` are allowed."""
    pairs: list[tuple[str, str]] = []
    pending = ""  # a name whose "=" has not come yet
    waiting = False  # the "=" came, the value has not
    for word in words:
        if waiting:
            pairs.append((pending, word))
            pending, waiting = "", False
        elif word.startswith("="):
            if pending and len(word) > 1:
                pairs.append((pending, word[1:]))
                pending = ""
            else:
                waiting = bool(pending)
        else:
            name, equals, value = word.partition("=")
            if equals and value:
                pairs.append((name, value))
                pending = ""
            else:
                pending, waiting = name, bool(equals)
    if not pairs:
        return None
    method = _METHOD.match(pairs[0][0])
    if method is None:
        return None
    properties: dict[str, str] = {}
    for name, value in pairs[1:50]:
        properties.setdefault(name, value)
    return Result(method=method[1], value=pairs[0][1], properties=properties, comment=comment[:1000])


# --- which fields are the receiver's own


def trusted(authserv: str, known: frozenset[str]) -> bool:
    """Whether an authserv-id is in the list; an entry `*.yandex.net` stands for every host below that domain."""
    if authserv in known:
        return True
    return any(entry.startswith("*.") and authserv.endswith(entry[1:].lower()) for entry in known) or any(
        entry.lower() == authserv for entry in known
    )


def block(headers: Headers, known: frozenset[str]) -> tuple[tuple[Results, ...], int]:
    """The results the trusted receiver wrote on receipt, and where the mail as it came begins: below that field.

    Above them stand only Received fields of that receiver itself. Results above the field with which it took the mail
    in are all its own. Below it they are read only down to the first that tells of DMARC, DKIM or SPF: under that one
    a sender's own may follow. Where a receiver wrote none at all, a sender's topmost field stands in that place and is
    taken for it, unless the receiver is Google, of which another sign is asked. So only receivers that always judge may
    be trusted.
    """
    found: list[Results] = []
    path: list[Hop] = []
    first = -1
    inside = True  # so far nothing came in from outside
    checked = False  # Google's own SPF field stands above
    chained = False
    whole = False  # the run ends with the field with which the receiver took the mail in
    for place, (name, value) in enumerate(headers.fields if known else ()):
        if name == "received":
            if found:
                whole = _own_hop(hops.read(value), found[0].authserv)
                break
            if len(path) == MOST_HOPS:
                break
            path.append(hops.read(value))
            inside, checked = inside and path[-1].inner, False
        elif name == "authentication-results":
            results = parse(value)
            own = trusted(results.authserv, known) and all(_own_hop(hop, results.authserv) for hop in path)
            if own and (inside or checked or results.authserv != GOOGLE):
                found.append(results)
                first = place if first < 0 else first
                told = len(_proofs(results))
                if told > 1 or (told and not inside) or len(found) == MOST_BLOCK:
                    break
            elif found or not inside:
                break
        elif name == "arc-authentication-results" and inside and not found and not chained:
            chained = True  # the topmost is the newest; the others are of earlier receivers
            if below := _taken_in(headers, place, path, results := parse(_INSTANCE.sub("", value, count=1)), known):
                return (results,), below
        elif name == "received-spf":
            checked = "google.com:" in value[:MOST_HEADER].lower()
        elif not name.startswith("x-") and name not in _TRACE:
            break
    return tuple(found if whole else _to_first_proof(found)), first


def _to_first_proof(found: Sequence[Results]) -> Sequence[Results]:
    telling = (place for place, results in enumerate(found, 1) if _proofs(results))
    return found[: next(telling, len(found))]


def _proofs(results: Results) -> set[str]:
    return {result.method for result in results.found} & _PROOFS


def _taken_in(headers: Headers, place: int, path: Sequence[Hop], results: Results, known: frozenset[str]) -> int:
    """Where the receiver took the mail in, 0 unless the ARC results at `place` are what it wrote on that."""
    if not results.authserv or not trusted(results.authserv, known):
        return 0
    if not _proofs(results):
        return 0
    rest = enumerate(headers.fields[place:], place)
    below, field = next(((found, value) for found, (name, value) in rest if name == "received"), (0, ""))
    hop = hops.read(field)
    own = all(_own_hop(one, results.authserv) for one in (*path, hop))
    return below if own and not hop.inner else 0


def _own_hop(hop: Hop, authserv: str) -> bool:
    """Whether a Received field was written by the receiver that names itself `authserv`, or inside its house."""
    return (hop.inner or bool(hop.hosts)) and all(_own_host(host, authserv) for host in hop.hosts)


def _own_host(host: str, authserv: str) -> bool:
    if _PRIVATE.match(host):
        return True
    if authserv == MICROSOFT:
        return any(host == known or host.endswith(f".{known}") for known in _MICROSOFT_HOSTS)
    homes = {organisation(host), organisation(authserv)}
    return aligned(host, authserv) or "." not in authserv or any(homes <= house for house in _HOUSES)


# --- ARC


def sealed(headers: Headers, below: int, sealers: frozenset[str]) -> Results | None:
    """What the newest sealer saw, if it is one of `sealers`. The chain as it came is below our receiver's results."""
    fields = headers.fields[below + 1 :]
    seals: dict[int, str] = {}
    judged: dict[int, str] = {}
    for name, value in fields:
        if name not in ("arc-seal", "arc-authentication-results"):
            continue
        found = re.search(r"(?:^|;)\s{0,20}i\s{0,5}=\s{0,5}(\d{1,3})\s{0,5}(?:;|$)", value[:MOST_HEADER])
        if not found:
            return None
        kept = seals if name == "arc-seal" else judged
        if int(found[1]) in kept or len(kept) == MOST_SETS:
            return None  # two of one number: whose is whose cannot be told
        kept[int(found[1])] = value[:MOST_HEADER]
    newest = max(seals, default=0)
    if newest == 0 or newest != max(judged, default=0):
        return None
    domain = _SEALER.search(seals[newest])
    if not domain or ascii_domain(domain[1]) not in sealers:
        return None
    return parse(_INSTANCE.sub("", judged[newest], count=1))
