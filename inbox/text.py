"""Text as PostgreSQL and people can take it. Pure; what came is kept elsewhere, byte for byte."""

from __future__ import annotations

import re

_NUL = "\x00"
_SURROGATES = re.compile("[\ud800-\udfff]")


def storable(text: str, limit: int = 100_000) -> str:
    """Without NUL, which PostgreSQL refuses, lone surrogates replaced, and at most `limit` code points."""
    if _NUL in text:
        text = text.replace(_NUL, "")
    if not text.isascii():
        text = _SURROGATES.sub("�", text)
    return text[:limit]
