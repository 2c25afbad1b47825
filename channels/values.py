"""Small values every provider sends, made fit to be kept and shown: names, file names, media types, places, moments."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import PurePosixPath

MAX_NAME = 128  # characters; providers allow 64 for each of two names
MAX_FILENAME = 200
MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}", re.ASCII)
E164 = re.compile(r"[1-9][0-9]{6,14}", re.ASCII)  # without the plus
# Control characters, and those that turn the direction of the words around a name.
UNSEEN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ufeff]+")
MILLISECONDS = 10**12  # a time of so many is counted in them: as seconds it would be in the year 33658


def name(words: str, longest: int = MAX_NAME) -> str:
    """Words fit to be shown in one line, at most so long."""
    return " ".join(UNSEEN.sub(" ", words).split())[:longest]


def shown_filename(told: str) -> str:
    """A name without folders, at most so long, that still says what kind of file it is."""
    cleaned = name(told.replace("/", "_").replace("\\", "_"), 4096)
    ending = PurePosixPath(cleaned).suffix[:20]
    return cleaned if len(cleaned) <= MAX_FILENAME else cleaned[: MAX_FILENAME - len(ending)] + ending


def media_type(told: str, otherwise: str = "application/octet-stream") -> str:
    """A media type without its parameters, in lower case; `otherwise` for what is none."""
    bare = told.partition(";")[0].strip().lower()
    return bare if MEDIA_TYPE.fullmatch(bare) else otherwise


def on_map(latitude: float, longitude: float) -> str:
    """A link that shows a place to people."""
    return f"https://www.openstreetmap.org/?mlat={latitude:.6f}&mlon={longitude:.6f}"


def moment(count: int, otherwise: datetime) -> datetime:
    """A time counted from 1970 in seconds, or in milliseconds where it must be those."""
    seconds = count / 1000 if count >= MILLISECONDS else count
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < 2**32 else otherwise
