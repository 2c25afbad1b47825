"""Reads what a browser sends of the contact form: fields first, then files, which are kept as they stream in.

Rule: no file is kept before the fields are found good, none stays when the rest is not, and never more than a part of
one is in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from obstore.exceptions import BaseError

from app.contact_form import MOST_BYTES, MOST_FILES, Form, read
from channels.message import Attachment
from channels.values import media_type, shown_filename
from inbox.files import Files, TooLarge

MOST_FIELD = 64 << 10  # bytes; the longest field has 8000 characters
MOST_FIELDS = 30
MOST_TYPED = 512 << 10  # bytes of a form without files
PATIENT = 5 * MOST_BYTES  # bytes read in all, so that a browser that sends too much hears of it in words
PART = 64 << 10  # bytes read at once

# What aiohttp raises for a broken body, and for a visitor who is gone.
BROKEN = (ValueError, AssertionError, LookupError, HttpProcessingError, web.RequestPayloadError, ConnectionError)

Judged = TypeVar("Judged")


class Unreadable(Exception):
    """This is not what a form sends."""


class NotKept(Exception):
    """The folder of files is full or gone. `form` is what was typed."""

    def __init__(self, form: Form) -> None:
        super().__init__(str(self.__doc__).partition(". ")[0])
        self.form = form


@dataclass(slots=True)
class Sent(Generic[Judged]):
    """What came. `trouble` is the key of what is wrong with the files, "" where nothing is."""

    form: Form
    verdict: Judged
    kept: list[Attachment] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    chosen: int = 0  # files that came, kept or not
    trouble: str = ""


async def receive(
    request: web.Request,
    files: Files,
    now: datetime,
    judge: Callable[[Form], Awaitable[Judged]],
    takes: Callable[[Judged], bool],
) -> Sent[Judged]:
    """Read a request. `judge` is asked when a file comes or all is read; where it does not take it no file is kept.

    It is asked again when fields follow the files, which browsers send in the order of the page. Raises `Unreadable`,
    `NotKept`, and HTTP 413 beyond `PATIENT`.
    """
    if (request.content_length or 0) > PATIENT:
        raise web.HTTPRequestEntityTooLarge(PATIENT, request.content_length or 0)
    if request.content_type == "application/x-www-form-urlencoded":
        if (request.content_length or PATIENT) > MOST_TYPED:  # read in one piece
            raise web.HTTPRequestEntityTooLarge(MOST_TYPED, request.content_length or 0)
        form = read({key: str(value) for key, value in (await request.post()).items()})
        return Sent(form, await judge(form))
    if request.content_type != "multipart/form-data":
        raise Unreadable
    reading = _Reading(request, files, now)
    sent: Sent[Judged] | None = None
    try:
        async for part in reading.parts():
            if part.filename is None:
                await reading.field(part)
                continue
            if sent is None:
                form = read(reading.fields)
                sent = Sent(form, await judge(form))
            await reading.file(part, sent, takes(sent.verdict))
    except BROKEN as error:
        await discard(files, sent.kept if sent else [])
        raise Unreadable from error
    except (OSError, BaseError) as error:
        await discard(files, sent.kept if sent else [])
        raise NotKept(read(reading.fields)) from error
    except BaseException:
        await discard(files, sent.kept if sent else [])
        raise
    form = read(reading.fields)
    if sent is None:
        sent = Sent(form, await judge(form))
    elif form != sent.form:
        sent.form, sent.verdict = form, await judge(form)
    if sent.trouble or not takes(sent.verdict):
        await discard(files, sent.kept)
        sent.kept.clear()
    return sent


async def discard(files: Files, kept: list[Attachment]) -> None:
    """Delete files of a message that is not stored."""
    for file in kept:
        await files.forget(file.path)


class _Reading:
    """One multipart body, and how much of it has been read."""

    def __init__(self, request: web.Request, files: Files, now: datetime) -> None:
        self.fields: dict[str, str] = {}
        self._request = request
        self._files = files
        self._now = now
        self._read = 0
        self._bytes = 0  # of files

    async def parts(self) -> AsyncIterator[BodyPartReader]:
        reader = await self._request.multipart()
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader):  # a body in a body is no form
                raise Unreadable
            yield part

    async def field(self, part: BodyPartReader) -> None:
        value = b""
        async for chunk in self._chunks(part):
            value = value if len(value) > MOST_FIELD else value + chunk
        if part.name and len(self.fields) < MOST_FIELDS:
            self.fields.setdefault(part.name, value.decode("utf-8", "replace"))

    async def file(self, part: BodyPartReader, sent: Sent[Judged], wanted: bool) -> None:
        """Keep one file, or read past it. Where nothing was chosen there comes a file without name and bytes."""
        chunks = self._chunks(part)
        first = await anext(chunks, b"")
        if not first and not part.filename:
            return
        sent.chosen += 1
        if sent.chosen > MOST_FILES:
            sent.trouble = sent.trouble or "error_files_many"
        if not wanted or sent.trouble:
            async for _ in chunks:
                pass
            return
        said = hashlib.blake2b(digest_size=16)

        async def whole() -> AsyncIterator[bytes]:
            said.update(first)
            yield first
            async for chunk in chunks:
                said.update(chunk)
                yield chunk

        try:
            path, size = await self._files.keep(whole(), self._now, most=MOST_BYTES - self._bytes)
        except TooLarge:
            sent.trouble = "error_files_big"
            while await part.read_chunk(PART):
                self._count(PART)
            return
        self._bytes += size
        sent.digests.append(said.digest())
        sent.kept.append(
            Attachment(
                media_type=media_type(part.headers.get("Content-Type", "")),
                filename=shown_filename(part.filename or ""),
                size=size,
                path=path,
                unique_ref=said.hexdigest(),
            )
        )

    async def _chunks(self, part: BodyPartReader) -> AsyncIterator[bytes]:
        while chunk := await part.read_chunk(PART):
            self._count(len(chunk))
            yield chunk

    def _count(self, more: int) -> None:
        self._read += more
        if self._read > PATIENT:
            raise web.HTTPRequestEntityTooLarge(PATIENT, self._read)
