"""Which labelled lines are the header of a quoted mail: "From: …", "Sent: …", "To: …", "Subject: …".

Rule: people write labelled lines too ("Order: 1234"), right above the header as well. A header begins with who wrote or
when, and a label above that belongs to whoever wrote the mail.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from channels.mail.quotes import words
from channels.mail.quotes.shapes import ADDRESS, CLOCK, DAY, DOTTED, LONGEST, NAMED_ADDRESS, YEAR
from channels.mail.quotes.words import Role

MOST_LABELS = 12  # lines of a header block


class Labelled(NamedTuple):
    """A labelled line, its label folded, and the lines that it stands on, both included."""

    label: str
    value: str
    start: int
    end: int


def begun(block: Sequence[Labelled], ours: Sequence[str], *, introduced: bool) -> Sequence[Labelled] | None:
    """The header that begins with the first of the labels, without what follows it.

    None: there is none, or it begins further down. `introduced`: a stroke stands above.
    """
    found: list[tuple[int, Sequence[Labelled]]] = []
    for sender, one in enumerate(block):
        if words.ROLES.get(one.label) is not Role.FROM:
            continue
        start = _start(block, sender)
        header = block[start : _end(block, sender)]
        if is_header(_told(header, ours), ours, introduced=introduced):
            found.append((start, header))
            if _in_order(_roles(header)):
                break
    if found:  # of two in doubt the lower one: the upper may be a form that the customer filled in
        start, header = found[-1]
        return None if start else header
    header = block[: _end(block, 0)]
    return header if _placed(header, ours) else None


def is_header(block: Sequence[Labelled], ours: Sequence[str], *, introduced: bool, titled: bool = False) -> bool:
    """Whether labels are a header. `introduced`: a stroke or a title stands above; `titled`: a title that we know."""
    if len(block) < (2 if introduced else 3):
        return False
    roles = [words.ROLES.get(one.label) for one in block]
    known = {role for role in roles if role is not None and role is not Role.OTHER}
    people = [one.value for one in block if one.label not in words.ORDER_MAIL]
    addresses = sum(1 for value in people if ADDRESS.search(value))
    times = [_timed(one) for one in block]
    dated = any(times)
    named = [NAMED_ADDRESS.search(one.value) is not None for one in block]
    placed = (named[0] and times[1]) or (times[0] and named[1])  # who and when come first in all programs
    strong = placed or addresses >= 2 or any(name in value.casefold() for value in people for name in ours)
    when = any(role is Role.SENT and re.search(r"\d", one.value) for role, one in zip(roles, block, strict=True))
    if titled and len(known) >= 2:
        return True
    if Role.FROM in known and len(known) >= 2 and (addresses or strong) and (dated or when):
        return True
    if {Role.FROM, Role.TO, Role.SUBJECT} <= known and (strong or introduced):
        return True
    if {Role.FROM, Role.SENT} <= known and len(known) >= 3 and (introduced or (_in_order(roles) and dated)):
        return True
    return len(block) >= 3 and dated and (strong or (introduced and bool(addresses)))


def in_one_line(text: str) -> bool:
    """Whether a whole header block was run together into one line."""
    if not 40 <= len(text) <= 2 * LONGEST or not ADDRESS.search(text) or not (YEAR.search(text) and CLOCK.search(text)):
        return False
    pieces = [piece.casefold().split() for piece in text.split(":")[:-1]]
    last = [{" ".join(piece[-1:]), " ".join(piece[-2:])} for piece in pieces]
    roles = {words.ROLES[label] for labels in last for label in labels if label in words.ROLES}
    return {Role.FROM, Role.SENT, Role.SUBJECT} <= roles


def _start(block: Sequence[Labelled], sender: int) -> int:
    """Where the header of a sender begins: above, what it lacks below may stand right on top of it."""
    end = _end(block, sender)
    told = set(_roles(block[sender:end]))
    spread = sender + 1 < end and _apart(block, sender + 1)
    start = sender
    while start > 0 and (spread or not _apart(block, start)):
        role = _role(block[start - 1])
        if role in told or role not in {Role.SENT, Role.SUBJECT, Role.TO}:
            break
        if role is Role.TO and not ADDRESS.search(block[start - 1].value):
            break  # where something has to go
        told.add(role)
        start -= 1
    return start


def _end(block: Sequence[Labelled], sender: int) -> int:
    """Where the header of a sender ends: at the next sender or day, or where the lines are no more as far apart."""
    spread = sender + 1 < len(block) and _apart(block, sender + 1)
    sent = False
    for line in range(sender + 1, len(block)):
        role = _role(block[line])
        if role is Role.FROM or (role is Role.SENT and sent) or (not spread and _apart(block, line)):
            return line
        sent = sent or role is Role.SENT
    return len(block)


def _apart(block: Sequence[Labelled], line: int) -> bool:
    return block[line].start > block[line - 1].end + 1


def _told(header: Sequence[Labelled], ours: Sequence[str]) -> Sequence[Labelled]:
    """The labels that may prove a header: all of them below a sender with an address or a name of ours.

    Any other may be none ("No: 12" is a house, and "no" the Latvian for "from"), so strange labels prove nothing.
    """
    sender = next(one for one in header if words.ROLES.get(one.label) is Role.FROM)
    if ADDRESS.search(sender.value) or _names(sender, ours):
        return header
    return [one for one in header if one.label in words.ROLES]


def _placed(header: Sequence[Labelled], ours: Sequence[str]) -> bool:
    """Whether a header in a language we have no labels of begins here: with who and when, or with when and who."""
    if len(header) < 3:
        return False
    if not is_header(header, ours, introduced=False):
        return False
    who = [NAMED_ADDRESS.search(one.value) is not None or _names(one, ours) for one in header]
    who = [told and one.label not in words.ORDER_MAIL for told, one in zip(who, header, strict=True)]
    when = [_timed(one) for one in header]
    if when[0] and who[1]:
        return not any(when[2:4])  # a day before who and when is not the header's
    named = NAMED_ADDRESS.search(header[0].value) is not None  # "Shop: …" may stand above, with our name alone
    if who[0] and when[2] and not when[1]:
        return named and _names(header[0], ours) and not _names(header[1], ours)
    return who[0] and when[1] and (named or not _names(header[2], ours))


def _roles(block: Sequence[Labelled]) -> list[Role | None]:
    return [_role(one) for one in block]


def _role(one: Labelled) -> Role | None:
    role = words.ROLES.get(one.label)
    return Role.SENT if role is None and _timed(one) else role


def _timed(one: Labelled) -> bool:
    """Whether a value is a day and a time."""
    day = YEAR.search(one.value) or DAY.search(one.value)
    return bool(day and (CLOCK.search(one.value) or DOTTED.search(one.value)))


def _names(one: Labelled, ours: Sequence[str]) -> bool:
    folded = one.value.casefold()
    return any(name in folded for name in ours)


def _in_order(roles: Sequence[Role | None]) -> bool:
    """Outlook's order, which no form of a shop has: who, when, to whom, about what."""
    told = [role for role in roles if role is not None and role is not Role.OTHER]
    return told[:2] == [Role.FROM, Role.SENT] and Role.SUBJECT in told
