"""How far a mailbox has been read: the cursor of `imap.py`, as values.

Rule: only UIDs count, never flags, which staff change as they read along. What was passed by is remembered and looked
for again, because servers of several machines hand out UIDs that show up late.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson

WINDOW = 200  # UIDs below the last one in which a late one is still waited for
MOST_ASKED = 2_000  # UIDs of one question: the answer names each that is there
MOST_RANGES = 300  # of one question: servers take lines of 8,000 bytes at least
LARGEST_UID = 2**32 - 1  # RFC 9051, 2.3.1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far one folder has been read. Everything up to `last` has been, but for `waiting`.

    `since` is when we first saw the folder, less the time that was imported then: what is older was never ours, also
    after the server numbers its mail anew.
    """

    validity: int
    last: int
    since: int  # seconds since 1970
    waiting: tuple[int, ...] = ()  # ascending

    @property
    def question(self) -> str:
        """The UIDs to search for. After a large backlog it leaves out the newest until that is worked off."""
        ranges = _ranges(self.waiting[:MOST_ASKED])[:MOST_RANGES]
        tail = [f"{self.last + 1}:*"] if self._asked_to(ranges) == LARGEST_UID else []
        return ",".join([*(_word(*each) for each in ranges), *tail])

    def new(self, answer: Iterable[int]) -> list[int]:
        """Of the UIDs in an answer to `question` those not read yet, ascending.

        Asked for `n:*`, a server gives its last mail even when that is below n.
        """
        waiting = set(self.waiting)
        return sorted({uid for uid in answer if self.last < uid <= LARGEST_UID or uid in waiting})

    def after(self, there: Collection[int], taken: Collection[int]) -> Place:
        """The place once the UIDs `taken`, of those `there`, are stored."""
        last = max(self.last, *taken) if taken else self.last
        done, present = set(taken), set(there)
        edge = last - WINDOW
        asked_to = self._asked_to(_ranges(self.waiting[:MOST_ASKED])[:MOST_RANGES])
        waiting = {uid for uid in self.waiting if uid > edge or uid in present or uid > asked_to}
        waiting |= {uid for uid in present if self.last < uid < last}
        waiting |= set(range(max(self.last, edge, 0) + 1, last))
        return Place(validity=self.validity, last=last, since=self.since, waiting=tuple(sorted(waiting - done)))

    def _asked_to(self, ranges: Sequence[tuple[int, int]]) -> int:
        """The last UID that a question of these ranges is about."""
        return ranges[-1][1] if ranges and ranges[-1][1] != self.waiting[-1] else LARGEST_UID


def read(cursor: str) -> dict[str, Place]:
    """Read a cursor. What is not one is as good as none."""
    try:
        found = orjson.loads(cursor or "{}")
        return {str(folder): _place(*facts) for folder, facts in found.items()}
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        return {}


def write(places: Mapping[str, Place]) -> str:
    facts = {
        folder: [place.validity, place.last, place.since, ",".join(_word(*each) for each in _ranges(place.waiting))]
        for folder, place in places.items()
    }
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()


def _place(validity: int, last: int, since: int, ranges: str) -> Place:
    waiting: list[int] = []
    for word in filter(None, ranges.split(",")):
        first, _, final = word.partition(":")
        waiting += range(int(first), int(final or first) + 1)
    return Place(validity=int(validity), last=int(last), since=int(since), waiting=tuple(waiting))


def _ranges(uids: Iterable[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for uid in uids:
        if found and found[-1][1] == uid - 1:
            found[-1] = (found[-1][0], uid)
        else:
            found.append((uid, uid))
    return found


def _word(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}:{last}"
