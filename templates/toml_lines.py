"""TOML with the line of every key, which the standard library's reader does not tell. Pure.

Rule: the standard library alone says what a file means. Here only places are counted, so a mistake here can name a
wrong line, never a wrong value. Tables in braces may go over several lines, as TOML 1.1 allows.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Place = tuple[str | int, ...]  # the keys from the top of the file down; entries of lists count from 0

DEEPEST = 50  # brackets within brackets; no file of a person comes near

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_TEXT = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'  # up to two quotes may stand before the closing three
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}#\n]*")
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")


class BadToml(ValueError):
    """The file is not TOML. `said` is the standard library's reason without its position; `line` counts from 1."""

    def __init__(self, said: str, line: int, column: int) -> None:
        self.said = said
        self.line = line
        self.column = column
        super().__init__(f"{said} (at line {line}, column {column})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a file says, and on which line (from 1) each key, list entry and section begins.

    `texts` has the line of the first words of each text in three quotes: they may begin below the key.
    """

    content: Mapping[str, Any]
    lines: Mapping[Place, int]
    texts: Mapping[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int:
        """The line of `place`, or of what it stands in."""
        while place not in self.lines and place:
            place = place[:-1]
        return self.lines.get(place, 1)


def read(text: str) -> Written:
    """Read a file's text. Raises `BadToml`."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    scan = _Scan(text)
    scan.run()
    try:
        content = tomllib.loads("".join(scan.plain))
    except tomllib.TOMLDecodeError as error:
        raise _misread(str(error), text, scan) from None
    except RecursionError:
        raise BadToml("Brackets stand too deep within each other", scan.line(scan.at), 1) from None
    return Written(content=content, lines=scan.lines, texts=scan.texts)


def _misread(said: str, text: str, scan: _Scan) -> BadToml:
    found = _POSITION.search(said)
    reason = said[: found.start()] if found else said
    if found and found[1]:
        # Counted in the text in which braces over several lines stand on one.
        at = int(found[2]) - 1
        for row in "".join(scan.plain).split("\n")[: int(found[1]) - 1]:
            at += len(row) + 1
    else:
        at = scan.unclosed if scan.unclosed is not None else len(text.rstrip())
        reason = "Unclosed array" if text.startswith("[", at) else reason
    at = min(at, len(text))
    return BadToml(reason, scan.line(at), at - text.rfind("\n", 0, at))


class _Lost(Exception):
    """The text is not TOML from here on; the standard library says why."""


class _Scan:
    """Walks over a text once. `plain` is the text with braces over several lines put on one, of the same length."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Place, int] = {}
        self.texts: dict[Place, int] = {}
        self.plain = list(text)
        self.unclosed: int | None = None  # where the bracket or text begins that the file ends in
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._counts: dict[Place, int] = {}  # sections in double brackets so far

    def line(self, at: int) -> int:
        return bisect_right(self._starts, at)

    def run(self) -> None:
        """Walk as far as the text is TOML."""
        section: Place = ()
        try:
            while True:
                self._skip()
                if self.at >= len(self.text):
                    return
                if self._peek() == "[":
                    section = self._header()
                else:
                    self._pair(section, 0)
        except _Lost:
            return

    def _header(self) -> Place:
        begin = self.at
        double = self.text.startswith("[[", self.at)
        self.at += 2 if double else 1
        keys = self._keys()
        self._expect("]]" if double else "]")
        place: Place = ()
        for number, key in enumerate(keys, 1):
            place = (*place, key)
            if double and number == len(keys):
                self._note(place, begin)
                self._counts[place] = self._counts.get(place, 0) + 1
            if place in self._counts:
                place = (*place, self._counts[place] - 1)
            self._note(place, begin)
        return place

    def _pair(self, inside: Place, depth: int) -> None:
        begin = self.at
        place = inside
        for key in self._keys():
            place = (*place, key)
            self._note(place, begin)
        self._expect("=")
        self._blank()
        self._value(place, depth)

    def _value(self, place: Place, depth: int) -> None:
        if depth > DEEPEST:
            raise _Lost
        begin = self.at
        char = self._peek()
        if char in ('"', "'"):
            found = _TEXT.match(self.text, self.at)
            long = self.text.startswith(char * 3, begin)
            if found is None or (long and len(found[0]) < 6):  # two of three opening quotes look like an empty text
                if long:
                    self.unclosed = begin
                raise _Lost
            if long:
                self.texts[place] = self.line(begin) + self.text.startswith("\n", begin + 3)
            self.at = found.end()
        elif char == "[":
            self._list(place, depth)
        elif char == "{":
            self._braces(place, depth)
        else:
            found = _PLAIN.match(self.text, self.at)
            self.at = found.end() if found else self.at
            if self.at == begin:
                raise _Lost

    def _list(self, place: Place, depth: int) -> None:
        begin, number = self.at, 0
        self.at += 1
        while True:
            self._skip()
            if self._closed("]", begin):
                return
            self._note((*place, number), self.at)
            self._value((*place, number), depth + 1)
            number += 1
            self._skip()
            if not self._take(","):
                if self._closed("]", begin):
                    return
                raise _Lost

    def _braces(self, place: Place, depth: int) -> None:
        begin = self.at
        comma: int | None = None
        self.at += 1
        while True:
            self._skip(joined=True)
            if self._closed("}", begin):
                if comma is not None:
                    self.plain[comma] = " "
                return
            self._pair(place, depth + 1)
            self._skip(joined=True)
            comma = self.at
            if not self._take(","):
                comma = None
                if self._closed("}", begin):
                    return
                raise _Lost

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._blank()
            if self._peek() in ('"', "'"):
                found = _TEXT.match(self.text, self.at)
                try:
                    keys.append(str(tomllib.loads(f"key = {found[0] if found else ''}")["key"]))
                except tomllib.TOMLDecodeError:
                    raise _Lost from None
            else:
                found = _BARE_KEY.match(self.text, self.at)
                keys.append(found[0] if found else "")
            if found is None:
                raise _Lost
            self.at = found.end()
            self._blank()
            if not self._take("."):
                return keys

    def _note(self, place: Place, at: int) -> None:
        self.lines.setdefault(place, self.line(at))

    def _skip(self, *, joined: bool = False) -> None:
        """Go over space, line ends and comments; `joined` also takes them out of `plain`."""
        found = _SPACE.match(self.text, self.at)
        end = found.end() if found else self.at
        if joined and "\n" in self.text[self.at : end]:
            self.plain[self.at : end] = " " * (end - self.at)
        self.at = end

    def _blank(self) -> None:
        while self._peek() in (" ", "\t"):
            self.at += 1

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _take(self, sign: str) -> bool:
        taken = self.text.startswith(sign, self.at)
        self.at += len(sign) if taken else 0
        return taken

    def _expect(self, sign: str) -> None:
        self._blank()
        if not self._take(sign):
            raise _Lost

    def _closed(self, sign: str, begin: int) -> bool:
        """Whether the bracket that was opened at `begin` closes here."""
        if self.at >= len(self.text):
            self.unclosed = self.unclosed if self.unclosed is not None else begin
            raise _Lost
        return self._take(sign)
