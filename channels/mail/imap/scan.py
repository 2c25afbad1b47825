"""Looks through the folders of one mailbox, batch by batch, and waits between.

Rule: what a pull brings and the cursor that says so are one value, so that nothing is passed by and nothing comes
twice. One mail that the server cannot hand out, or breaks at, holds up no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from channels.channel import Pulled
from channels.mail.digest import digest
from channels.mail.imap import places as cursors
from channels.mail.imap.folders import INBOX, Folders, choose
from channels.mail.imap.line import Denied, Head, Line
from channels.mail.imap.places import Place
from channels.mail.imap.words import Lost
from channels.message import Letter

HEAD_BYTES = 256 << 10  # as far as headers are read
CUT_BYTES = 64 << 10  # of the body of a mail that is too large
ALONE = 2  # tries after which a mail is fetched by itself
GIVEN_UP = 5  # tries after which it becomes a stub: the agents see that there is one
NOT_GIVEN = "the mail server does not hand it out"

Key = tuple[str, int, int]  # folder, UIDVALIDITY, UID


class Scan:
    """One connection at work. `tries` outlives it: how often each mail that was fetched in vain has been."""

    def __init__(self, channel: str, line: Line, now: Callable[[], datetime], tries: dict[Key, int]) -> None:
        self.line = line
        self.waited = False  # in the last pull
        self._channel = channel
        self._account = line.account
        self._now = now
        self._tries = tries
        self._folders = Folders(read=())
        self._fresh = True
        self._brought = ""  # the folder of the last batch: the others come first then
        self._asked: dict[str, float] = {}  # monotonic, per folder beside the inbox
        self._looked: dict[str, float] = {}

    def pull(self, cursor: str) -> Pulled:
        """Wait for mail after `cursor`, `idle_seconds` at most, the first time not at all. Raises `Lost`."""
        self.waited, fresh, self._fresh = False, self._fresh, False
        places = cursors.read(cursor)
        until = time.monotonic() + self._account.idle_seconds
        while True:
            if not self._folders.read:
                self._folders = choose(self.line.folders(), self._account.folders)
            if (pulled := self._round(places)) is not None:
                return pulled
            left = until - time.monotonic()
            if left <= 0 or fresh:  # whoever was refused before learns at once that the mailbox is read
                return Pulled(cursor=cursor)
            if self.line.folder == INBOX:
                self.waited = True
                self.line.idle(min(left, self._next_poll()))

    def _round(self, places: Mapping[str, Place]) -> Pulled | None:
        """Look at every folder that is due: the inbox always, and last, because it is the one that is waited on."""
        now = time.monotonic()
        due = [
            name for name in self._folders.read[1:] if now >= self._asked.get(name, -1e9) + self._account.poll_seconds
        ]
        for name in sorted([*due, INBOX], key=lambda name: name == self._brought):
            if name != INBOX and not self._stirred(name, places.get(name), now):
                self._asked[name] = now
                continue
            try:
                found = self._look(name, places.get(name))
            except Denied as error:
                if name == INBOX:
                    raise Lost(f"{self._account.host} does not let the inbox be read: {error}.") from None
                self._folders = Folders(read=())  # it may be gone, or have another name by now
                found = None
            if found is not None:
                self._brought = name
                place, letters = found
                return Pulled(cursor=cursors.write({**places, name: place}), letters=letters)
            self._asked[name] = self._looked[name] = now
        return None

    def _next_poll(self) -> float:
        """Seconds until something is due, whatever the server announces."""
        if not self.line.announces:
            return self._account.poll_seconds
        others = [self._asked.get(name, 0.0) for name in self._folders.read[1:]]
        if not others:
            return self._account.idle_seconds
        return max(min(others) + self._account.poll_seconds - time.monotonic(), 0.01)

    def _stirred(self, name: str, place: Place | None, now: float) -> bool:
        """Whether a folder's counters say that something may be new. They are hints: now and then it is looked into."""
        if place is None or name == self._brought or now >= self._looked.get(name, -1e9) + self._account.sweep_seconds:
            return True
        try:
            validity, coming = self.line.counters(name)
        except Denied:
            return False
        return validity != place.validity or coming == 0 or coming > place.last + 1

    # one folder

    def _look(self, name: str, known: Place | None) -> tuple[Place, tuple[Letter, ...]] | None:
        validity = self.line.examine(name)
        place = known if known is not None and known.validity == validity else self._adopted(known, validity)
        there = place.new(self.line.search(f"UID {place.question}"))
        letters = self._letters(name, place.validity, there)
        after = place.after(there, letters)
        return None if after == known else (after, tuple(letters.values()))

    def _adopted(self, known: Place | None, validity: int) -> Place:
        """Where to begin in a folder that we do not know, or that was numbered anew.

        In either case what came before we first saw it stays where it is; all else is read, and is not stored twice.
        """
        first = self._now() - timedelta(hours=self._account.first_hours)
        since = known.since if known is not None else int(first.timestamp())
        last = max(self.line.search("UID *"), default=0)
        recent = range(max(last - cursors.WINDOW, 0) + 1, last)
        waiting = set(recent) - set(self.line.search(f"UID {recent.start}:*")) if recent else set()
        if known is not None or self._account.first_hours > 0:
            start = datetime.fromtimestamp(since, UTC)
            heads = self.line.heads(self.line.since(start))
            waiting |= {uid for uid, head in heads.items() if uid <= last and (head.at is None or head.at >= start)}
        return Place(validity=validity, last=last, since=since, waiting=tuple(sorted(waiting)))

    def _letters(self, name: str, validity: int, there: Sequence[int]) -> dict[int, Letter]:
        """The next mails by UID: as many as one commit should carry."""
        keys = {uid: (name, validity, uid) for uid in there}
        present = set(keys.values())
        for key in [key for key in self._tries if key[0] == name and key not in present]:
            del self._tries[key]
        easy = [uid for uid in there if self._tries.get(keys[uid], 0) < ALONE][: self._account.batch]
        # What was tried in vain goes alone, the least tried first.
        hard = sorted(there, key=lambda uid: self._tries.get(keys[uid], 0))[:1]
        heads = self.line.heads(easy or hard)
        letters: dict[int, Letter] = {}
        for uid, (head, raw) in self._fetched(heads, keys).items():
            letters[uid] = self._letter(keys[uid], head, raw)
            self._tries.pop(keys[uid], None)
        return letters

    def _fetched(self, heads: Mapping[int, Head], keys: Mapping[int, Key]) -> dict[int, tuple[Head, bytes | None]]:
        small: list[int] = []
        large: list[int] = []
        total = 0
        for uid in sorted(heads):
            size = heads[uid].size
            if self._tries.get(keys[uid], 0) >= GIVEN_UP:
                return {uid: (heads[uid], None)}
            if (small or large) and total + min(size, self._account.most_bytes) > self._account.batch_bytes:
                break
            total += min(size, self._account.most_bytes)
            (large if size > self._account.most_bytes else small).append(uid)
        for uid in (*small, *large):
            self._tries[keys[uid]] = self._tries.get(keys[uid], 0) + 1  # taken back once it is here
        found = self._bodies(small)
        for uid in large:
            found |= self._bodies([uid], most=HEAD_BYTES + CUT_BYTES)
        return {uid: (heads[uid], raw) for uid, raw in sorted(found.items()) if uid in heads}

    def _bodies(self, uids: Sequence[int], *, most: int | None = None) -> dict[int, bytes]:
        try:
            return self.line.bodies(uids, most=most)
        except Denied:
            found: dict[int, bytes] = {}
            for uid in uids if len(uids) > 1 else ():
                found |= self._bodies([uid], most=most)
            return found

    def _letter(self, key: Key, head: Head, raw: bytes | None) -> Letter:
        name, validity, uid = key
        facts: dict[str, Any] = {"way": "imap", "folder": name, "spam": name in self._folders.spam}
        if raw is None:
            facts |= {"size": head.size, "unreadable": NOT_GIVEN}
            raw = b""
        elif head.size > self._account.most_bytes:
            facts |= {"size": head.size, "cut": True}
            raw = shortened(raw)
        external_id = f"imap:{name}:{validity}:{uid}"
        return Letter(
            channel=self._channel,
            external_id=external_id,
            digest=digest(raw or external_id.encode()),
            at=head.at or self._now(),
            raw=raw,
            facts=facts,
        )


def shortened(raw: bytes) -> bytes:
    """The headers of a mail and the first 64 KB of its body."""
    end = raw.find(b"\r\n\r\n", 0, HEAD_BYTES)
    return raw[: (end if end >= 0 else HEAD_BYTES) + CUT_BYTES]
