"""`santral mail`: how a mail is read and why, and the mails that nobody sees in Slack."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from app.config import IntakeConfig, StoreConfig
from app.store import opened
from channels.mail.process import Children, Job, TooMuch
from channels.mail.values import MOST_BYTES, Us
from inbox import due
from inbox.store import letters, work
from inbox.store.letters import Aside

AHEAD = 16  # mails being read at once
_MBOX = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\r\n]{0,300}?\d\d:\d\d[^\r\n]{0,100}\r?\n")
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)  # what an mbox puts before such a line inside a mail


class NoMail(Exception):
    """There is no mail there."""


def read(place: str, ours: Us, show: Callable[[dict[str, Any]], None]) -> None:
    """Read a raw mail, an mbox or a folder of mails, "-" for standard input, and show each as soon as it is its turn.

    Each is read in a child process with the limits of the running program. Raises `NoMail` when there is none.
    """
    asyncio.run(_read(place, ours, show))


async def _read(place: str, ours: Us, show: Callable[[dict[str, Any]], None]) -> None:
    children = Children()
    begun: deque[asyncio.Task[dict[str, Any]]] = deque()
    found = False
    try:
        for name, raw in _mails(place):
            found = True
            begun.append(asyncio.create_task(_described(children, name, raw, ours)))
            if len(begun) >= AHEAD:
                show(await begun.popleft())
        while begun:
            show(await begun.popleft())
    finally:
        for task in begun:
            task.cancel()
        await children.close()
    if not found:
        raise NoMail(f"{place}: there is no mail in it")


async def _described(children: Children, name: str, raw: bytes, ours: Us) -> dict[str, Any]:
    job = Job(
        channel="",
        external_id="",
        digest=b"",
        at=datetime.now(UTC),
        raw=raw[: MOST_BYTES + 1],
        facts={"describe": name},
        us=ours,
    )
    try:
        (line,) = cast(tuple[dict[str, Any], ...], await children.read(job))
    except TooMuch as error:
        from channels.mail.read import undescribed

        return undescribed(name, raw, str(error))
    return line


def _mails(place: str) -> Iterator[tuple[str, bytes]]:
    if place == "-":
        yield from _of_bytes("-", sys.stdin.buffer.read())
        return
    path = Path(place)
    files = sorted(found for found in path.rglob("*") if found.is_file()) if path.is_dir() else [path]
    for file in files:
        yield from _of_bytes(str(file), file.read_bytes())


def _of_bytes(name: str, raw: bytes) -> Iterator[tuple[str, bytes]]:
    """One mail, or those of an mbox: they begin with a "From " line that has a time in it, behind an empty line."""
    if not raw.strip():
        return
    starts = [found.start() for found in _MBOX.finditer(raw)] if raw.startswith(b"From ") else []
    if len(starts) < 2:
        yield name, raw
        return
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(raw)], strict=True), 1):
        yield f"{name}#{number}", _QUOTED.sub(rb"\1", raw[start:end].partition(b"\n")[2])


def aside(config: StoreConfig) -> list[Aside]:
    """The newest mails that opened no conversation and belong to none."""

    async def listed() -> list[Aside]:
        async with opened(config) as database, database.connection() as c:
            return await letters.aside(c)

    return asyncio.run(listed())


def admit(config: StoreConfig, id: int) -> bool:
    """Have a mail that lies aside read as a person's. False when none of that number lies there."""

    async def admitted() -> bool:
        async with opened(config) as database, database.transaction() as c:
            channel = await letters.admit(c, id)
            if channel is None:
                return False
            await work.put(c, [due.reading(channel)])
            return True

    return asyncio.run(admitted())


def raw_of(config: IntakeConfig, id: int) -> bytes | None:
    """A stored mail as it came."""
    from inbox.files import Files

    async def found() -> bytes | None:
        async with opened(config) as database:
            async with database.connection() as c:
                letter = await letters.letter(c, id)
            if letter is None:
                return None
            if letter.raw is not None:
                return letter.raw
            return await Files.in_folder(config.files_dir).read(letter.path)

    return asyncio.run(found())
