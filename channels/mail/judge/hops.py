"""What one Received field tells: which hosts say that they wrote it, and whether the mail came in from outside there.

Rule: a sender chooses what stands after `from`, whole phrases too. What can be read in two ways belongs to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

_MOST = 2_000  # characters of a field that are looked at
# Ways in which a mail is handed on inside a house, and no stranger's server hands one in.
_INSIDE = frozenset({"lmtp", "lmtps", "lmtpa", "lmtpsa", "utf8lmtp", "utf8lmtps", "http", "https", "mapi", "local"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A Received field. `hosts`: every host named after a `by`; an honest field has one."""

    hosts: tuple[str, ...]
    inner: bool  # handed on inside the receiver's house: no sender stands behind it


def read(received: str) -> Hop:
    """Read a Received field without its comments. Never raises; a comment left open hides the rest."""
    words = _bare(received[:_MOST]).lower().split()
    if words and words[0].startswith(";"):
        return Hop(hosts=(), inner=True)  # qmail's `(qmail 42 invoked by uid 89); date`, which tells of no other host
    hosts = tuple(host.rstrip(".;") for word, host in pairwise(words) if word == "by")
    way = ""
    if len(hosts) == 1:
        after = words[words.index("by") + 2 :]
        way = next((name.rstrip(";") for word, name in pairwise(after) if word == "with"), "")
    nobody = words[:1] == ["by"]  # no `from`: it came over no line
    return Hop(hosts=hosts, inner=len(hosts) == 1 and (nobody or way in _INSIDE or hosts[0] == "localhost"))


def _bare(value: str) -> str:
    """The text outside of comments."""
    kept: list[str] = []
    depth, place = 0, 0
    while place < len(value):
        letter = value[place]
        place += 2 if letter == "\\" else 1
        if letter == "(":
            depth += 1
            kept.append(" ")
        elif letter == ")" and depth:
            depth -= 1
        elif not depth:
            kept.append(letter)
    return "".join(kept)
