"""Files with a clock: media ids that are kept for days, and URLs to them that are good for minutes.

Rule: a URL is a secret. Whoever has it sees the file until it expires, save that WhatsApp asks for the token as well.
"""

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Callable
from typing import Any

from sandbox.meta.values import DAY, File, Json, Kind, Line

RECEIVED_LIFE = 7 * DAY  # of a person's media id on WhatsApp
UPLOADED_LIFE = 30 * DAY  # of ours
CDN_LIFE = 2 * DAY  # of a URL on Messenger or Instagram; Meta names no number
STORY_LIFE = DAY
FILES_KEPT = 256 << 20  # bytes over all files; the oldest go first

SUFFIXES = {"image/jpeg": "jpg", "audio/ogg": "ogg", "audio/mpeg": "mp3", "text/plain": "txt", "audio/aac": "aac"}


class Shelf:
    def __init__(self, rng: random.Random, now: Callable[[], float]) -> None:
        self._rng = rng
        self._now = now
        self._kept = 0
        self.files: dict[str, File] = {}

    def add(self, line: Line, data: bytes, media_type: str, filename: str = "", *, life: float = 0) -> File:
        """Keep a file for a line. `life` in seconds; on Messenger and Instagram ids have none."""
        id = str(self._rng.randrange(10**15, 10**16))
        name = filename or f"file.{SUFFIXES.get(media_type) or media_type.partition('/')[2].partition(';')[0]}"
        file = File(id=id, line=line.id, media_type=media_type, filename=name, data=data, at=self._now())
        if line.kind is Kind.WHATSAPP:
            file.kept_until = self._now() + (life or RECEIVED_LIFE)
        self.files[id] = file
        self._kept += len(data)
        while self._kept > FILES_KEPT and len(self.files) > 1:
            self._kept -= len(self.files.pop(next(iter(self.files))).data)
        return file

    def read(self, line: Line, given: Json) -> File:
        """Keep what a person sends: `{data, media_type, filename}`, `data` as bytes or base64. Raises ValueError."""
        if unknown := set(given) - {"data", "media_type", "filename"}:
            raise ValueError(f"a file has no {', '.join(sorted(unknown))}")
        data: Any = given.get("data", b"")
        if isinstance(data, str):
            try:
                data = base64.b64decode(data, validate=True)
            except binascii.Error as error:
                raise ValueError("data must be base64") from error
        media_type = given.get("media_type") or "application/octet-stream"
        return self.add(line, data, media_type, given.get("filename") or "")

    def find(self, id: str) -> File | None:
        """A file by its id, unless its time is over."""
        file = self.files.get(id)
        return None if file is None or file.kept_until <= self._now() else file

    def lend(self, file: File, seconds: float) -> str:
        """Make the secret part of a URL to a file, good for so many seconds."""
        secret = f"{self._rng.getrandbits(128):032x}"
        file.urls[secret] = self._now() + seconds
        return secret

    def borrowed(self, secret: str) -> File | None:
        """The file behind the secret part of a URL, unless it has expired."""
        return next(
            (file for file in self.files.values() if file.urls.get(secret, 0.0) > self._now()),
            None,
        )

    def expire(self, file: File) -> None:
        """Let every URL of a file end now."""
        file.urls.clear()

    def clear(self) -> None:
        self.files.clear()
        self._kept = 0
