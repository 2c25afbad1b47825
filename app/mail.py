"""`santral mail`: how a mail is read and why, and the mails that nobody sees in Slack."""

from __future__ import annotations

import asyncio
import mailbox
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.config import IntakeConfig, StoreConfig
from app.config_sections import EmailConfig
from app.store import opened
from channels.email import EmailConfig as Settings
from channels.email import us
from channels.mail.values import MOST_BYTES, Envelope, Us
from inbox import due
from inbox.store import letters, work
from inbox.store.letters import Aside

MBOX_LINE = b"From "  # how an mbox begins, followed by a sender and a date


class NoMail(Exception):
    """There is no mail there."""


def who_we_are(config: IntakeConfig | None) -> Us:
    """The shop's mailboxes and the receivers it trusts, over all its e-mail channels."""
    sections = [c for c in config.channels if isinstance(c, EmailConfig)] if config else []
    ours = [us(Settings(**config.settings_of(section))) for section in sections] if config else []
    return Us(
        addresses=frozenset().union(*(one.addresses for one in ours)),
        domains=frozenset().union(*(one.domains for one in ours)),
        contact_forms=frozenset().union(*(one.contact_forms for one in ours)),
        trusted_authserv=frozenset().union(*(one.trusted_authserv for one in ours)),
    )


def read(place: str, ours: Us) -> Iterator[dict[str, Any]]:
    """Read a raw mail, an mbox or a folder of mails, "-" for standard input. Raises `NoMail` when there is none."""
    from channels.mail.judge.dns import Keys
    from channels.mail.read import described, examine

    keys = Keys()
    found = False
    for name, raw in _mails(place):
        found = True
        yield described(name, examine(raw, Envelope(), ours, keys))
    if not found:
        raise NoMail(f"{place}: there is no mail in it")


def _mails(place: str) -> Iterator[tuple[str, bytes]]:
    if place == "-":
        yield from _of_file("-", sys.stdin.buffer.read(MOST_BYTES + 1), None)
        return
    path = Path(place)
    files = sorted(found for found in path.rglob("*") if found.is_file()) if path.is_dir() else [path]
    for file in files:
        with file.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
        yield from _of_file(str(file), raw, file)


def _of_file(name: str, raw: bytes, path: Path | None) -> Iterator[tuple[str, bytes]]:
    """One mail, or those of an mbox. A single mail may begin with a "From " line as well."""
    if path is None or not raw.startswith(MBOX_LINE) or raw.count(b"\n\nFrom ") + raw.count(b"\n\r\nFrom ") == 0:
        if raw.strip():
            yield name, raw
        return
    box = mailbox.mbox(path, create=False)
    try:
        for number, key in enumerate(box.iterkeys(), 1):
            yield f"{name}#{number}", box.get_bytes(key)
    finally:
        box.close()


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
