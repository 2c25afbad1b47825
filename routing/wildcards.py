"""Patterns with stars, for addresses, subject lines and media types: what is wrong with one, and what it fits. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from routing.folding import fold

_MEDIA_TYPE = re.compile(r"[\w*.+-]+/[\w*.+-]+")
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


def fits(patterns: Iterable[str]) -> Callable[[str], object]:
    """A function that tells whether all of a `plain` text is as one of the patterns says, in time linear in the text.

    `*` stands for any characters; case, signs over letters and ı/i make no difference.
    """
    written = []
    for pattern in patterns:
        first, *pieces = map(re.escape, plain(pattern).split("*"))
        middle = "".join(f"(?>.*?{piece})" for piece in pieces[:-1])  # the first place fits if any does
        written.append(f"{first}{middle}.*{pieces[-1]}" if pieces else first)
    return re.compile("|".join(written), re.DOTALL).fullmatch


def plain(text: str) -> str:
    """Text as patterns see it."""
    return " ".join(fold(text).replace("'", "").split())


Complaint = tuple[str, str] | None  # what is wrong, and the fix


def _bad_stars(pattern: str, what: str) -> Complaint:
    if not pattern.strip("*"):
        return f"is every {what}", "leave it out"
    return ("has two stars in a row", "write one") if "**" in pattern else None


def _bad_address(pattern: str) -> Complaint:
    if wrong := _bad_stars(pattern, "address"):
        return wrong
    if any(char in "?[]%" for char in pattern) or " " in pattern:
        return "is no pattern of an address", "* stands for any characters, everything else for itself"
    lower = pattern.lower()
    if lower.startswith("@") or _DOMAIN.fullmatch(lower):
        return "is no whole address", f"write *@{pattern.lstrip('@')}"
    if re.fullmatch(r"0[\d*]+", pattern):
        return "is no whole number", "numbers begin with + and the country, like +90532*"
    return None


def _bad_media_type(pattern: str) -> Complaint:
    if pattern == "*/*" or not pattern.strip("*"):
        return "is every file", "write files = true"
    if not _MEDIA_TYPE.fullmatch(pattern):
        return "is no media type", 'write it like "image/*" or "application/pdf"'
    return _bad_stars(pattern, "file")


PATTERNS: Mapping[str, tuple[Callable[[str], Complaint], str]] = {
    "addresses": (_bad_address, "*@bigcustomer.example"),
    "subject": (lambda pattern: _bad_stars(pattern, "subject"), "*invoice*"),
    "files": (_bad_media_type, "image/*"),
}
