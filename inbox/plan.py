"""Cuts a reply into the messages a channel can carry. Pure.

Rule: no word is lost and none is said twice; joining the parts' texts gives the draft's text back but for the white
space at the cuts.
"""

from __future__ import annotations

import fnmatch
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from channels.channel import Capabilities, Measure
from channels.message import Attachment, Choice, Span

# The best place to cut comes first: between paragraphs, lines, sentences, words.
_SEAMS = ("\n\n", "\n", ". ", "! ", "? ", "。", "؟ ", " ")
_SHORTEST = 0.4  # of the room: a seam further back would leave stubs


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One provider message. `file` is an index into the draft's files, `more` are further ones beside it."""

    text: str = ""
    spans: tuple[Span, ...] = ()
    file: int | None = None
    more: tuple[int, ...] = ()
    choices: tuple[Choice, ...] = ()
    refused: str = ""  # why the channel cannot carry this part, as a code the desk has words for


def plan(
    text: str,
    spans: Sequence[Span],
    files: Sequence[Attachment],
    can: Capabilities,
    choices: Sequence[Choice] = (),
) -> tuple[Part, ...]:
    """The parts in the order they are sent: words first, or as the caption of a single file when they fit there.

    Choices stand under the last of the words, as buttons where the channel has them and as numbered lines elsewhere.
    """
    if not choices:
        return _parts(text, spans, files, can)
    if not as_buttons(choices, can):
        return _parts(f"{text}\n\n{numbered(choices)}".strip(), spans, files, can)
    # Words that carry buttons stand on their own: few channels take both under a file.
    *words, last = [
        Part(text=piece, spans=cut_spans(tuple(spans) if can.formatting else (), start, start + len(piece)))
        for start, piece in split(text or "…", can)
    ]
    return (*words, *_parts("", (), files, can), replace(last, choices=tuple(choices)))


def as_buttons(choices: Sequence[Choice], can: Capabilities) -> bool:
    """Whether the channel carries these choices as buttons."""
    return len(choices) <= can.max_choices and all(len(choice.label) <= can.max_choice for choice in choices)


def numbered(choices: Sequence[Choice]) -> str:
    """Choices as lines, of which the customer answers with the number."""
    return "\n".join(f"{number}. {choice.label}" for number, choice in enumerate(choices, start=1))


def _parts(text: str, spans: Sequence[Span], files: Sequence[Attachment], can: Capabilities) -> tuple[Part, ...]:
    kept = tuple(spans) if can.formatting else ()
    if can.max_files > 1:
        return _together(text, kept, files, can)
    if len(files) == 1 and text and can.measure(text) <= can.max_caption and carries(can, files[0]) == "":
        return (Part(text=text, spans=kept, file=0),)
    words = [Part(text=piece, spans=cut_spans(kept, start, start + len(piece))) for start, piece in split(text, can)]
    return (*words, *(Part(file=number, refused=carries(can, file)) for number, file in enumerate(files)))


def _together(text: str, spans: tuple[Span, ...], files: Sequence[Attachment], can: Capabilities) -> tuple[Part, ...]:
    """Words and files in as few messages as they fit into: all files of a mail travel with its words."""
    refused = {number: why for number, file in enumerate(files) if (why := carries(can, file))}
    bundles: list[list[int]] = [[]]
    weight = 0
    for number, file in enumerate(files):
        if number in refused:
            continue
        size = file.size or 0
        full = len(bundles[-1]) >= can.max_files or (can.max_total is not None and weight + size > can.max_total)
        if bundles[-1] and full:
            bundles.append([])
            weight = 0
        bundles[-1].append(number)
        weight += size
    pieces = list(split(text, can)) or [(0, "")]
    parts = [Part(text=piece, spans=cut_spans(spans, start, start + len(piece))) for start, piece in pieces]
    first, *rest = bundles
    if first:
        parts[-1] = replace(parts[-1], file=first[0], more=tuple(first[1:]))
    parts += [Part(file=bundle[0], more=tuple(bundle[1:])) for bundle in rest]
    said = [part for part in parts if part.text or part.file is not None]
    return (*said, *(Part(file=number, refused=why) for number, why in refused.items()))


def carries(can: Capabilities, file: Attachment) -> str:
    """ "" when the channel takes this file, else the reason: "file_refused" or "file_too_big"."""
    most = most_bytes(can, file)
    if most is None:
        return "file_refused"
    return "file_too_big" if file.size is not None and file.size > most else ""


def most_bytes(can: Capabilities, file: Attachment) -> int | None:
    """How large a file of this type the channel takes; None where it takes no such file."""
    limits = (size for pattern, size in can.media.items() if fnmatch.fnmatch(file.media_type or "*", pattern))
    return max(limits, default=None)


def split(text: str, can: Capabilities) -> Iterable[tuple[int, str]]:
    """Pieces of at most `max_text`, each with where it starts in `text`, cut where a reader would pause."""
    start = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    while start < end:
        room = _fitting(text, start, end, can.max_text, can.measure)
        stop = end if start + room >= end else start + _seam(text[start : start + room], text, start + room)
        piece = text[start:stop].rstrip()
        if piece:
            yield start, piece
        start = stop
        while start < end and text[start].isspace():
            start += 1


def _fitting(text: str, start: int, end: int, limit: int, measure: Measure) -> int:
    """How many code points from `start` fit into `limit` of what the provider counts; at least one."""
    low, most = 1, end - start
    high = min(most, max(limit, 64))
    while high < most and measure(text[start : start + high]) <= limit:  # some count many characters as one
        low, high = high, min(most, high * 2)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(text[start : start + middle]) <= limit:
            low = middle
        else:
            high = middle - 1
    return low


def _seam(piece: str, text: str, stop: int) -> int:
    for seam in _SEAMS:
        found = piece.rfind(seam)
        if found >= len(piece) * _SHORTEST:
            return found + len(seam)
    cut = len(piece)
    while cut > 1 and _joined(text, stop - (len(piece) - cut)):
        cut -= 1
    return cut if cut > 1 else len(piece)


def _joined(text: str, at: int) -> bool:
    """Whether the characters before and after `at` are seen as one: accents, emoji with modifiers, flags."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if before == "\u200d" or after in "\u200d\ufe0e\ufe0f\u20e3" or unicodedata.combining(after):
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True
    return _regional(after) and _regional_before(text, at) % 2 == 1


def _regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _regional_before(text: str, at: int) -> int:
    """How many letters of flags stand in a row before `at`: two make one flag."""
    first = at
    while first > 0 and _regional(text[first - 1]):
        first -= 1
    return at - first


def cut_spans(spans: Iterable[Span], start: int, end: int) -> tuple[Span, ...]:
    """The spans that touch `text[start:end]`, counted from there."""
    return tuple(
        replace(span, start=max(span.start, start) - start, end=min(span.end, end) - start)
        for span in spans
        if span.start < end and span.end > start
    )
