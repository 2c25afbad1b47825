"""Which lines of a text are its writer's own, once it is known where the quoted past begins.

Rule: in doubt a line is kept. What leaves nothing of the text hides nothing, and a forward is kept whole, for what it
carries is what its sender wants to show.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from channels.mail.quotes import words
from channels.mail.quotes.marks import Kind, Mark, Page

MOST_SIGNATURE = 12  # lines after "-- "
MOST_SENT = 10_000  # characters looked at of one text of ours
MOST_SENT_TEXTS = 5
MOST_KNOWN = 500  # lines at the end that are compared with them
STROKES = frozenset({"--", "—", "–", "―"})  # alone in a line, above a signature
WRAP = 60  # a quoted line at least so long may have spilt its end into the next line

_PHONE = re.compile(r"(?:\+|\b)\d[\d ()./-]{5,18}\d\b")
_CONTACT = re.compile(
    r"[^\s@<>]{1,64}@[^\s@<>]{2,255}|(?:https?://|www\.)\S{3,300}|\b[\w-]{2,60}\.(?:com|net|org|de|ru|tr)\b\S{0,100}"
)
_WORD = re.compile(r"[^\W\d_]+")
_TOKEN = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Which lines are hidden, one flag a line, and by which rules (`Own.why`)."""

    hidden: tuple[bool, ...]
    why: tuple[str, ...]

    @classmethod
    def whole(cls, count: int, why: str) -> Split:
        return cls(hidden=(False,) * count, why=(why,))


def split(
    lines: Sequence[str],
    *,
    ours: Collection[str] = (),
    sent: Sequence[str] = (),
    forward: bool = False,
    certain: Collection[int] = (),
    bare: Collection[int] = (),
) -> Split:
    """Decide about every line. `forward`: the subject says so. `certain`: lines that are known to be no own words.

    `bare`: those of them before which an introduction may stand, for they have none themselves.
    """
    page = Page(lines, ours)
    cut = _Cut(page, lines, certain)
    mark = _first_mark(page)
    if mark is not None and (mark.kind is Kind.FORWARD or (forward and mark.kind is Kind.HEADERS)):
        return Split.whole(len(lines), "forward")
    if mark is not None:
        if not cut.from_mark(mark):
            return Split.whole(len(lines), "forward")
    else:
        cut.trailing_quote()
    cut.introductions(bare)
    cut.known_words(sent)
    cut.endings()
    if not cut.why:
        return Split.whole(len(lines), "whole")
    if not cut.own():
        return Split.whole(len(lines), "forward")
    return Split(hidden=tuple(cut.hidden), why=tuple(dict.fromkeys(cut.why)))


def _first_mark(page: Page) -> Mark | None:
    """The topmost introduction, in the text itself or at the head of a quotation."""
    run = -1  # where the quotation we are in began
    for line in range(len(page)):
        if not page.bare[line]:
            continue
        if page.depth[line] == 0:
            run = -1
        elif run < 0:
            run = line
        if run >= 0 and line - run > 5:
            continue
        mark = page.introduces(line)
        if mark is not None and (run < 0 or page.before(mark.start) is None or mark.start <= run + 1):
            return mark
    return None


class _Cut:
    """The flags while they are being set."""

    def __init__(self, page: Page, lines: Sequence[str], certain: Collection[int]) -> None:
        self.page = page
        self.lines = lines
        self.certain = certain
        self.hidden = [line in certain for line in range(len(lines))]
        self.why: list[str] = ["trailing quote"] if certain else []

    def own(self, end: int | None = None) -> list[int]:
        """The lines that are kept and not blank, up to `end`."""
        last = len(self.lines) if end is None else end
        return [line for line in range(last) if not self.hidden[line] and self.page.bare[line]]

    def hide(self, lines: Collection[int], why: str) -> None:
        for line in lines:
            self.hidden[line] = True
        self.why.append(str(why))

    def from_mark(self, mark: Mark) -> bool:
        """Hide what the first mark introduces. False: that would be everything there is."""
        page, count = self.page, len(self.lines)
        above = self.own(mark.start)
        following = page.after(mark.end)
        if page.depth[mark.end] == 0 and (following is None or page.depth[following] == 0):
            self.hide(range(mark.start, count), mark.kind)
            return bool(above)
        hidden, own = self._unquoted(mark)
        self.hide(hidden, mark.kind)
        if own:
            self.why.append("interleaved")
        return bool(above or own)

    def _unquoted(self, mark: Mark) -> tuple[list[int], list[int]]:
        """The lines that belong to the quotation from `mark` on, and the own words among them."""
        page, count = self.page, len(self.lines)
        hidden = list(range(mark.start, mark.end + 1))
        own: list[int] = []
        line = mark.end + 1
        while line < count:
            if page.depth[line] or self._spilt(line):
                hidden.append(line)
            elif page.bare[line]:
                inner = page.introduces(line)
                if inner is not None and inner.kind is not Kind.FORWARD:
                    hidden += range(inner.start, inner.end + 1)
                    own = [one for one in own if one < inner.start]
                    following = page.after(inner.end)
                    if following is None or page.depth[following] == 0:
                        hidden += range(inner.end + 1, count)
                        break
                    line = inner.end
                else:
                    own.append(line)
            line += 1
        return hidden, own

    def _spilt(self, line: int) -> bool:
        """Whether a line without `>` is the end of the quoted line above, broken by a program that wraps."""
        page = self.page
        if not 0 < line < len(self.lines) - 1 or not page.bare[line] or self.hidden[line]:
            return False
        between = page.depth[line - 1] > 0 and page.depth[line + 1] > 0 and page.bare[line - 1] and page.bare[line + 1]
        if not between or len(self.lines[line - 1]) < WRAP or len(page.bare[line]) > 40:
            return False
        first = page.bare[line][0]
        return len(page.bare[line - 1].split()) > 3 and first.isalpha() and not first.isupper()

    def trailing_quote(self) -> None:
        """Hide a quotation at the end that nothing introduces."""
        page = self.page
        last = next((line for line in range(len(page) - 1, -1, -1) if page.bare[line] or page.depth[line]), None)
        if last is None:
            return
        end = page.before(last) if _sent_from(page, last) else last
        if end is None:
            return
        start = end + 1
        quoted = 0
        while start > 0 and (page.depth[start - 1] or not page.bare[start - 1] or self._spilt(start - 1)):
            start -= 1
            quoted += page.depth[start] > 0
        if not quoted:
            return
        while not page.depth[start]:
            start += 1
        above = page.before(start)
        if above is None or page.depth[above]:
            return
        introduced = page.bare[above].endswith(":")
        beneath = above == start - 1
        if introduced or (beneath and quoted == 1):
            return  # their own quotation: "the page says:" and what it says
        self.hide(range(start, end + 1), "trailing quote")

    def introductions(self, bare: Collection[int]) -> None:
        """Hide what a line says before a quotation that is certainly one, in whatever words: "Shop, 5.11.:"."""
        for line in bare:
            above = self.page.before(line)
            if above is None or self.hidden[above] or len(text := self.page.bare[above]) > 300:
                continue
            if text.endswith(":") and re.search(r"[\d@]", text):
                self.hide([above], "attribution")

    # --- what we wrote ourselves

    def known_words(self, sent: Sequence[str]) -> None:
        """Hide copies of our own last words that no mark introduces."""
        if not sent:
            return
        known = _Known(sent)
        own = self.own()[-MOST_KNOWN:]
        matches = [known.has(self.page.bare[line]) for line in own]
        self._known_quotes(own, matches)
        matched = characters = 0
        best: int | None = None
        for place in range(len(own) - 1, 0, -1):
            if matches[place]:
                matched += 1
                characters += len(self.page.bare[own[place]])
                if matched >= 0.7 * (len(own) - place) and characters >= 40:
                    best = place
        if best is None or all(matches[:best]):
            return
        above = self.page.bare[own[best - 1]]
        if best > 1 and above.endswith(":") and len(above) <= 300 and re.search(r"\d", above):
            best -= 1
        self.hide(range(own[best], len(self.lines)), "trailing quote")

    def _known_quotes(self, own: list[int], matches: list[bool]) -> None:
        quoted = [(line, match) for line, match in zip(own, matches, strict=True) if self.page.depth[line]]
        if quoted and len(quoted) < len(own) and sum(match for _, match in quoted) >= 0.7 * len(quoted):
            self.hide([line for line, _ in quoted], "trailing quote")

    # --- the end

    def endings(self) -> None:
        """Hide the signature, and what a telephone says about itself."""
        for _ in range(4):
            own = self.own()
            if len(own) < 2:
                return
            last = own[-1]
            if self.page.depth[last]:
                return
            if _sent_from(self.page, last) or self.page.ruler(last) or self.page.bare[last] in STROKES:
                self.hide([last], "signature")
            elif (start := self._signature(own)) is not None:
                self.hide([line for line in range(start, len(self.lines)) if not self.hidden[line]], "signature")
            else:
                return

    def _signature(self, own: list[int]) -> int | None:
        for place in range(len(own) - 1, max(0, len(own) - MOST_SIGNATURE - 2), -1):
            line = own[place]
            rest = own[place + 1 :]
            if self.page.depth[line]:
                return None
            if self.lines[line] == "-- ":  # the one sign that all programs agree on
                return line if rest and rest[-1] - line <= MOST_SIGNATURE else None
            bare = self.page.bare[line]
            if bare in STROKES or bare == "-" or self.page.ruler(line):
                return line if bare != "-" and _signs([self.page.bare[i] for i in rest], named=len(bare) <= 2) else None
        return None


def _signs(lines: Sequence[str], *, named: bool) -> bool:
    """Whether lines below a stroke are a signature: ways to reach somebody, or (`named`) a name alone."""
    if not 0 < len(lines) <= MOST_SIGNATURE:
        return False
    contacts = small = 0
    for line in lines:
        rest = _PHONE.sub(" ", _CONTACT.sub(" ", line))
        count = len(_WORD.findall(rest))
        if rest != line and count <= 3:
            contacts += 1
        elif count > 6 or len(line) > 80 or line[-1] in "!?:;," or (line[-1] == "." and len(line.split()[-1]) > 5):
            return False
        else:
            small += line[0].islower()
    if contacts:
        return small < contacts
    name = _WORD.findall(lines[0])
    return named and len(lines) <= 2 and 2 <= len(name) <= 4 and all(word[0].isupper() for word in name)


def _sent_from(page: Page, line: int) -> bool:
    bare = page.bare[line]
    if page.depth[line] or not 6 <= len(bare) <= 120:
        return False
    bare = bare.strip("*_-—–[]() ")
    if not words.SENT_FROM.fullmatch(bare) or bare.endswith("?"):
        return False
    return words.DEVICE.search(bare) is not None and len(bare.split()) <= 14


class _Known:
    """Our own words, to be found again however they were wrapped."""

    def __init__(self, sent: Sequence[str]) -> None:
        self.lines: set[str] = set()
        self.runs: set[tuple[str, ...]] = set()
        for text in sent[-MOST_SENT_TEXTS:]:
            text = text[:MOST_SENT]
            self.lines.update(folded for line in text.split("\n") if len(folded := " ".join(_tokens(line))) >= 8)
            tokens = _tokens(text)
            self.runs.update(zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False))

    def has(self, line: str) -> bool:
        tokens = _tokens(line)
        if " ".join(tokens) in self.lines:
            return True
        if len(tokens) < 5:
            return False
        runs = list(zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False))
        return sum(run in self.runs for run in runs) >= 0.8 * len(runs)


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.casefold())
