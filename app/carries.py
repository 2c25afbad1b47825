"""What each kind of channel carries, in words: the table that `santral channels` prints and the documentation shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from channels.channel import Capabilities, Rate

COLUMNS = ("kind", "text", "files", "buttons", "answers until", "edit", "take back", "receipts", "pace")
_UNITS = (
    ("d", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("min", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
)


def row(kind: str, can: Capabilities) -> tuple[str, ...]:
    """One line of the table, "–" for what a channel cannot do."""
    return (
        f"{kind} (experimental)" if can.experimental else kind,
        f"{can.max_text:,} {can.unit}",
        _files(can),
        f"{can.max_choices} of {can.max_choice}" if can.max_choices else "numbered lines",
        _window(can),
        _span(can.edits),
        _span(can.withdraws),
        ", ".join(sorted(can.receipts)) or "–",
        _pace(can.rate),
    )


def plain(can: Capabilities) -> dict[str, Any]:
    """The same as values: sizes in bytes, times in seconds, None for what a channel cannot do."""
    return {
        "max_text": can.max_text,
        "unit": can.unit,
        "max_caption": can.max_caption,
        "max_choices": can.max_choices,
        "max_choice": can.max_choice,
        "media": dict(can.media),
        "max_files": can.max_files,
        "reply_window": _seconds(can.reply_window),
        "agent_window": _seconds(can.agent_window),
        "templates": can.templates,
        "formatting": can.formatting,
        "edits": _seconds(can.edits),
        "withdraws": _seconds(can.withdraws),
        "receipts": sorted(can.receipts),
        "per_second": round(can.rate.count / can.rate.per.total_seconds(), 3) if can.rate else None,
        "experimental": can.experimental,
    }


def markdown(kinds: Mapping[str, Capabilities]) -> str:
    """The table as documentation shows it."""
    lines = [COLUMNS, ("--",) * len(COLUMNS), *(row(kind, can) for kind, can in sorted(kinds.items()))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _files(can: Capabilities) -> str:
    if not can.media:
        return "–"
    most = max(can.media.values())
    less = {pattern: size for pattern, size in can.media.items() if size != can.media.get("*/*", most)}
    parts = [_size(most)]
    parts += [f"{pattern.removesuffix('/*')} {_size(size)}" for pattern, size in sorted(less.items()) if size != most]
    return ", ".join(parts)


def _size(size: int) -> str:
    return f"{size >> 20} MB" if size >= 1 << 20 else f"{size >> 10} KB"


def _window(can: Capabilities) -> str:
    if can.reply_window is None:
        return "always"
    people = f", people {_span(can.agent_window)}" if can.agent_window else ""
    return f"{_span(can.reply_window)}{people}{', then templates' if can.templates else ''}"


def _span(span: timedelta | None) -> str:
    if span is None:
        return "–"
    if span >= timedelta(days=365):
        return "always"
    for unit, one in _UNITS:
        if span >= one and span % one == timedelta(0) and (unit != "d" or span > one):
            return f"{span // one} {unit}"
    return f"{span.total_seconds():g} s"


def _pace(rate: Rate | None) -> str:
    return f"{rate.count:g} in {_span(rate.per)}" if rate is not None else "–"


def _seconds(span: timedelta | None) -> float | None:
    return span.total_seconds() if span is not None else None
