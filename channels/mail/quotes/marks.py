"""Where a mail program put something it quotes: attributions, header blocks, titles, "sent from" lines.

Rule: nothing here depends on knowing the language. A line is judged by its shape (a day, a clock time, an address, a
colon at its end, few words); the word lists only widen what is taken in and keep out what people write themselves.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from channels.mail.quotes import words
from channels.mail.quotes.headers import MOST_LABELS, Labelled, begun, in_one_line, is_header
from channels.mail.quotes.shapes import ADDRESS, CLOCK, DAY, DOTTED, LONGEST, NAMED_ADDRESS, YEAR
from channels.mail.quotes.words import Role

MOST_TRIES = 150  # looks at what might be an attribution or a header block: no mail of a person has so many
MOST_WRAPS = 4  # lines

_QUOTED = re.compile(r"(?:[ \t\xa0\u200e\u200f]*>)+")
_WORD = re.compile(r"[^\W\d_]+")
_LABEL = re.compile(r"[*_]{0,2}\s?([^\W\d_][^:*_<>@|=\n]{0,28}?)\s?[*_]{0,2}\s?:\s?[*_]{0,2}\s*", re.UNICODE)
_ITEM = re.compile(r"(?:\d{1,2}[.)]|[-*•+])\s+[^\d\s]")
_CLOCK_COLON = re.compile(r"\d:\d")
_TITLE_EDGE = "-_=*~—–‐‑―─#>+ \t"
_RULER = frozenset("-_=*~—–‐‑―─#")

# Signs nobody sees, and the many faces of a blank, a colon and a digit: seen as one.
_PLAIN = {
    **dict.fromkeys([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF, 0xAD, 0x61C]),
    **dict.fromkeys([0xA0, 0x202F, *range(0x2000, 0x200B), 0x3000, 0x205F, 0x09], " "),
    **dict.fromkeys([0xFF1A, 0xFE55, 0xA789], ":"),
    **{zero + digit: str(digit) for zero in (0x660, 0x6F0, 0x966, 0x9E6, 0xE50, 0xFF10) for digit in range(10)},
    0x060C: ",",
    0xFF1C: "<",
    0xFF1E: ">",
    0xFF20: "@",
}


class Kind(StrEnum):
    """What introduces a quotation."""

    ATTRIBUTION = "attribution"
    HEADERS = "header block"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What introduces a quotation, from line `start` to line `end`, both included."""

    kind: Kind
    start: int
    end: int


class Page:
    """The lines of a text, seen with the eyes of a mail program.

    `depth` counts the `>` before a line, `bare` is the line without them, without what is invisible and in plain signs.
    """

    def __init__(self, lines: Sequence[str], ours: Collection[str] = ()) -> None:
        self.depth: list[int] = []
        self.bare: list[str] = []
        last = ""
        for line in lines:
            found = _QUOTED.match(line)
            if found and _closes_address(last, line):
                found = None
            last = line
            self.depth.append(found.group().count(">") if found else 0)
            rest = line[found.end() :] if found else line
            self.bare.append((rest if rest.isascii() else rest.translate(_PLAIN)).strip())
        self.ours = [name for one in ours if len(name := one.translate(_PLAIN).strip().casefold()) >= 3][:50]
        self._after = [*reversed(_neighbours(reversed(self.bare), len(self.bare), -1))]
        self._before = _neighbours(self.bare, -1, 1)
        self._tries = 0
        self._labels: dict[int, tuple[str, str] | None] = {}

    def __len__(self) -> int:
        return len(self.bare)

    def after(self, line: int) -> int | None:
        """The next line that is not blank."""
        return self._after[line]

    def before(self, line: int) -> int | None:
        """The last line before that is not blank."""
        return self._before[line]

    def introduces(self, line: int) -> Mark | None:
        """What begins or, for an attribution, ends at this line."""
        bare = self.bare[line]
        if not bare or self._tries > MOST_TRIES:
            return None
        return self._title(line, bare) or self._headers(line) or self._attribution(line)

    # --- titles and rulers

    def _title(self, line: int, bare: str) -> Mark | None:
        if bare[0] not in _RULER:
            return self._untitled(line, bare)
        core = bare.strip(_TITLE_EDGE) if len(bare) <= 120 else ""
        dashed = bool(core) and _RULER.issuperset(bare[:2])
        if dashed and words.FORWARDED.search(core):
            return Mark(kind=Kind.FORWARD, start=line, end=line)
        if dashed and words.ABOVE_LINE.search(core):
            return Mark(kind=Kind.HEADERS, start=line, end=line)
        if not dashed and not self.ruler(line):
            return None
        known = dashed and words.ORIGINAL.search(core) is not None
        below = self._introduced(line, titled=known)
        if below is None and known and self.after(line) is not None:
            return Mark(kind=Kind.HEADERS, start=line, end=line)
        return below

    def _untitled(self, line: int, bare: str) -> Mark | None:
        """Titles without dashes: Apple's of a forward, and BlackBerry's."""
        if len(bare) > 60:
            return None
        if bare[-1] == ":":
            found = words.BEGIN_FORWARD.fullmatch(bare)
            return Mark(kind=Kind.FORWARD, start=line, end=line) if found else None
        following = self.after(line)
        if following is None or self._label(following) is None or not words.ORIGINAL.search(bare):
            return None
        return self._introduced(line, titled=True)

    def _introduced(self, line: int, *, titled: bool) -> Mark | None:
        """What stands below a title or a stroke, together with it."""
        following = self.after(line)
        if following is None:
            return None
        self._tries += 1
        if found := self._headers(following, introduced=True, titled=titled):
            return Mark(kind=found.kind, start=line, end=found.end)
        for end in range(following, min(len(self), following + MOST_WRAPS)):
            if (mark := self._attribution(end)) and mark.start <= following:
                return Mark(kind=mark.kind, start=line, end=mark.end)
        return None

    def ruler(self, line: int) -> bool:
        """Whether the line is nothing but a stroke."""
        bare = self.bare[line]
        return len(bare) >= 3 and bare[0] in _RULER and not bare.strip("-_=*~—–‐‑―─# ")

    # --- header blocks

    def _headers(self, start: int, *, introduced: bool = False, titled: bool = False) -> Mark | None:
        first = self._label(start)
        if first is None:
            return None
        role = words.ROLES.get(first[0])
        if role is None and not introduced and self._amid(start):
            return None
        self._tries += 1
        if role is Role.FROM and in_one_line(self.bare[start]):
            return Mark(kind=Kind.HEADERS, start=start, end=start)
        block: Sequence[Labelled] = self._block(start)
        if titled:
            header = block if is_header(block, self.ours, introduced=introduced, titled=True) else None
        else:
            header = begun(block, self.ours, introduced=introduced)
        return Mark(kind=Kind.HEADERS, start=start, end=header[-1].end) if header else None

    def _amid(self, line: int) -> bool:
        """Whether a label stands in a list that was looked at from its beginning, and looks like no sender either."""
        if not line or self.depth[line - 1] != self.depth[line] or self._label(line - 1) is None:
            return False
        here = "\n".join(self.bare[line : line + 2])[: 2 * LONGEST]
        return "@" not in here and not any(name in here.casefold() for name in self.ours)

    def _block(self, start: int) -> list[Labelled]:
        """The labelled lines from `start` on, wrapped values joined."""
        block: list[Labelled] = []
        line, wraps = start, 0
        while line < len(self) and len(block) < MOST_LABELS and self.depth[line] == self.depth[start]:
            label = self._label(line)
            if label is not None and (wraps == 0 or label[0] in words.ROLES or not self._wrapped(line)):
                block.append(Labelled(label[0], label[1], line, line))
                wraps = 0
            elif not self.bare[line]:
                # Paragraphs for lines: Outlook's block made of an HTML mail.
                following = self._label(line + 1) if line + 1 < len(self) else None
                if following is None or following[0] not in words.ROLES or len(block) == MOST_LABELS:
                    break
            elif block and wraps < 6 and (self._wrapped(line) or not block[-1].value):
                last = block[-1]
                value = f"{last.value} {self.bare[line]}"[:LONGEST]
                block[-1] = last._replace(value=value, end=line)
                wraps += 1
            else:
                break
            line += 1
        return block

    def _wrapped(self, line: int) -> bool:
        """Whether a line goes on with what the line before could not hold."""
        last = self.bare[line - 1] if line else ""
        if not last or not self.bare[line]:
            return False
        return last[-1] in ",;<" or len(last) + len(self.bare[line].split(None, 1)[0]) >= 60

    def _label(self, line: int) -> tuple[str, str] | None:
        if line not in self._labels:
            bare = self.bare[line]
            found = _LABEL.match(bare[:60]) if ":" in bare[:40] else None
            label = found.group(1).strip().casefold() if found else ""
            good = found and label and label not in words.NOT_LABELS and label.count(" ") <= 3
            good = good and not (found and _CLOCK_COLON.match(bare, found.end() - 2))
            self._labels[line] = (label, bare[found.end() :].strip("*_ ")[:LONGEST]) if good and found else None
        return self._labels[line]

    # --- attributions

    def _attribution(self, end: int) -> Mark | None:
        bare = self.bare[end]
        tail = bare[-12:].rstrip("*_ \"'»”]")
        followed = self._followed(end)
        dashed = bare.startswith("--") and bare.endswith("--")
        ends = tail.endswith(":") or dashed
        if not ends and not (followed and (tail.endswith(">") or _wrote(bare[-30:]))):
            return None
        self._tries += 1
        joined = ""
        for start in range(end, max(-1, end - MOST_WRAPS), -1):
            piece = self.bare[start]
            if not piece or self.depth[start] != self.depth[end] or len(joined) + len(piece) > LONGEST:
                return None
            if joined and _ends_sentence(piece):
                return None
            joined = f"{piece} {joined}".rstrip()
            if is_attribution(joined, followed=followed, ours=self.ours):
                return Mark(kind=Kind.ATTRIBUTION, start=self._begin(start, end, joined), end=end)
        return None

    def _begin(self, start: int, end: int, joined: str) -> int:
        """Go on upwards to where the attribution begins, however short the lines are that it was broken into."""
        best = start
        for above in range(start - 1, max(-1, end - MOST_WRAPS), -1):
            piece = self.bare[above]
            if not piece or self.depth[above] != self.depth[end] or _ends_sentence(piece):
                break
            dated = _dated(joined)
            if dated and (self._opens(above + 1) or not self._goes_on(above, joined)):
                break
            if self._listed(above) and (dated or not _ITEM.match(piece)):
                break  # "Order: 1234", and the attribution right below
            joined = f"{piece} {joined}"
            if len(joined) > LONGEST or not is_attribution(joined, followed=True, ours=self.ours):
                break
            if _dated(joined):
                best = above
        return best

    def _opens(self, line: int) -> bool:
        """Whether a line begins as attributions do, and so has nothing above it."""
        bare = self.bare[line]
        return not bare[0].isdigit() and words.BEGINS.match(bare) is not None and _dated(bare)

    def _listed(self, line: int) -> bool:
        """Whether a line is one of a list or a form, which no attribution has in its middle."""
        bare = self.bare[line]
        item = _ITEM.match(bare)
        if item and "<" not in bare:
            return True
        return self._label(line) is not None and bare.count("<") <= bare.count(">")

    def _goes_on(self, above: int, joined: str) -> bool:
        """Whether the line above is the part of an attribution that its continuation lacks."""
        piece = self.bare[above]
        begins = words.BEGINS.match(piece) is not None
        if piece.count("<") > piece.count(">") or joined[0] in "<([" or (begins and re.search(r"\d", piece)):
            return True
        if ADDRESS.search(piece) and not ADDRESS.search(joined):
            return True
        return self._wrapped(above + 1) and (begins or above == 0 or not self.bare[above - 1])

    def _followed(self, end: int) -> bool:
        """Whether a quotation with `>` comes next; inside of one, yes."""
        if self.depth[end]:
            return True
        following = self.after(end)
        return following is not None and self.depth[following] > 0


def _neighbours(lines: Iterable[str], start: int, step: int) -> list[int | None]:
    """For each line the number of the last one before it, in the order given, that is not blank."""
    found: list[int | None] = []
    last: int | None = None
    place = start
    for line in lines:
        place += step
        found.append(last)
        if line:
            last = place
    return found


def _closes_address(last: str, line: str) -> bool:
    """Whether a `>` at a line's beginning is the end of an address that the line above could not hold."""
    if len(line) > 40 or len(last) > LONGEST or not line.rstrip("\r ").endswith((":", "：")):
        return False
    return "@" in last[last.rfind("<") :] and last.rfind("<") > last.rfind(">")


def _dated(text: str) -> bool:
    return any(pattern.search(text) for pattern in (CLOCK, YEAR, DAY))


def _ends_sentence(text: str) -> bool:
    if text[-1] in "!?。？！…":
        return True
    last = text.rsplit(None, 1)[-1]
    return last.endswith(".") and len(last) > 7 and "@" not in last


def is_attribution(text: str, *, followed: bool, ours: Sequence[str] = ()) -> bool:
    """Whether a line (at most LONGEST characters) says who wrote, and when, what follows.

    `followed`: a quotation with `>` comes next, which lets in what alone would be prose.
    """
    named_address = NAMED_ADDRESS.search(text) if "@" in text else None
    address = named_address or (ADDRESS.search(text) if "@" in text else None)
    rest = ADDRESS.sub(" ", text) if address else text
    name = _our_name(text, ours)
    spoken = _WORD.findall(rest.replace(name, " ") if name else rest)
    count = len(spoken)
    clock = CLOCK.search(rest)
    day = YEAR.search(rest) or DAY.search(rest)
    verb = words.verb(text, spoken)
    if not words.PROSE.isdisjoint(spoken):
        return bool(followed and clock and day and count <= 9 and words.YOU_WROTE.search(rest))
    if clock or day:
        if not followed and verb is None and _tail(text) > 2:
            return False  # something is said after the day and the sender
        if named_address and (verb is not None or followed or named_address.group()[0] != "("):
            return count <= (20 if verb is not None or followed else 12)
        if address and verb is None and not followed and not name:
            return bool(clock and day) and count <= 3
        if address:
            return count <= (5 if verb is None else 11) + (5 if followed else 0)
        if name:
            return count <= (6 if verb is None and not followed else 10)
        certain = bool((clock or DOTTED.search(rest)) and day)
        if verb is not None:
            certain = certain or (verb == 0 and bool(YEAR.search(rest)))
            return count <= 14 if followed else certain and count <= 9 and _framed(text)
        return followed and certain and count <= 8
    ends = verb is not None and verb <= 1  # at most "(a)" of "napisał(a)" after it
    if named_address and ends:
        return count <= 8
    if not followed or count > 9:
        return False
    return bool(named_address) or ends or (verb is not None and (bool(address) or any(map(str.isdigit, rest))))


def _tail(text: str) -> int:
    """How many words come after the last day, time or address."""
    last = max((found.end() for one in (ADDRESS, CLOCK, YEAR, DAY) for found in one.finditer(text)), default=0)
    return len(_WORD.findall(text, last))


def _wrote(text: str) -> bool:
    return words.verb(text, _WORD.findall(text)) is not None


def _our_name(text: str, ours: Sequence[str]) -> str:
    """The longest of our names and addresses in a text, as it is written there."""
    folded = text.casefold()
    name = max((one for one in ours if one in folded), key=len, default="")
    at = folded.find(name)
    return text[at : at + len(name)] if name and len(folded) == len(text) else name


def _framed(text: str) -> bool:
    """Whether the line begins with its day or preposition, or is a name, a verb and a day."""
    spoken = _WORD.findall(text)
    named = text[:1].isupper() and len(spoken) <= 4 and sum(word[0].islower() for word in spoken) <= 2
    return words.BEGINS.match(text) is not None or named
