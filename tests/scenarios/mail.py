"""What people and machines do by mail, for the scenario tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from sandbox.mail.reading import Seen, look
from sandbox.mail.values import Account
from tests.scenarios.desk import Json, query, say
from tests.world import MAILBOX, MAILBOX_PASSWORD, World, eventually

AYSE = "ayse@ornek.com.tr"
PAVEL = "pavel@pochta.example"
JONAS = "jonas@post.example"
DENIZ = "deniz@baska.example"
SALES = "sales@kumbara.example"
US = "mx.kumbara.example"  # who receives the shop's mail, and is believed


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A message as it is stored: `direction` is in, out, event or note."""

    conversation: int
    direction: str
    text: str
    subject: str
    automatic: bool
    body: Json = field(repr=False)


async def received(world: World, address: str, words: str) -> Seen:
    """A mail in somebody's inbox that shows these words, once it is there."""

    def find() -> Seen | None:
        return next((seen for seen in world.mail.inbox(address) if words in seen.text), None)

    found = await eventually(find)
    assert found
    return found


async def wrote(world: World, sender: str, text: str, *, subject: str = "Siparişim", **more: Any) -> Json:
    """Somebody writes to the shop; the card or thread in which it stands then."""
    world.mail.deliver(sender, more.pop("to", MAILBOX), subject, text, **more)
    return await world.card_with(text)


def letter(
    text: str | bytes = "Merhaba",
    *,
    sender: str = f"Ayşe <{AYSE}>",
    to: str = MAILBOX,
    subject: str = "Siparişim",
    id: str = "",
    kind: str = "text/plain; charset=utf-8",
    more: Sequence[str] = (),
) -> bytes:
    """A mail as bytes, for what no mail program of ours writes."""
    head = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", f"Content-Type: {kind}", "MIME-Version: 1.0"]
    head += [f"Message-ID: <{id}>"] if id else []
    body = text if isinstance(text, bytes) else text.replace("\n", "\r\n").encode()
    return "\r\n".join([*more, *head]).encode() + b"\r\n\r\n" + body + b"\r\n"


def arrive(world: World, raw: bytes, *, owner: str = AYSE, to: str = MAILBOX, **more: Any) -> None:
    """Bytes come to the shop from the host of `owner`, which proves that they are theirs."""
    assert world.mail.arrive(raw, to, mail_from=owner, honest=Account(address=owner, password=""), **more)


def forged(world: World, raw: bytes, *, to: str = MAILBOX, **more: Any) -> None:
    """Bytes come to the shop from nobody knows where."""
    assert world.mail.arrive(raw, to, mail_from="a@bulk.invalid-host.example", **more)


def verdicts(dmarc: str, domain: str, *, more: str = "") -> str:
    """What the shop's own receiver writes about a mail."""
    return f"{US}; dmarc={dmarc} (p=reject dis=none) header.from={domain}{more}"


async def lines(world: World) -> list[Line]:
    """Everything that is stored, conversation by conversation, in order."""
    rows = await query(
        world,
        "select conversation_id, direction, text, subject, automatic, body::text from messages "
        "order by conversation_id, position",
    )
    return [
        Line(
            conversation=row["conversation_id"],
            direction=row["direction"],
            text=row["text"],
            subject=row["subject"],
            automatic=row["automatic"],
            body=_json(row["body"]),
        )
        for row in rows
    ]


async def line(world: World, words: str) -> Line:
    """The one message that says these words, once it is there."""

    async def find() -> Line | None:
        return next((one for one in await lines(world) if words in one.text or words in one.subject), None)

    found = await eventually(find)
    assert found
    return found


async def read(world: World, letters: int) -> None:
    """Wait until this many letters have come and all are read."""

    async def done() -> bool:
        (row,) = await query(world, "select count(*) as n, count(read_at) as read from letters")
        return bool(row["n"] == row["read"] == letters)

    await eventually(done)


async def settled(world: World) -> None:
    """Wait until nothing that is due is left to do."""
    await eventually(lambda: _quiet(world))


async def _quiet(world: World) -> bool:
    sql = """
        select 1 from letters where read_at is null
        union all
        select 1 from work where kind not in ('pull', 'catchup')
          and (lease is not null or run_at <= now() + interval '1 second')
        limit 1
    """
    return not await query(world, sql)


async def sooner(world: World, kind: str = "deliver") -> None:
    """Time passes: what waits for a minute or an hour is due now."""
    await query(world, "update work set run_at = now(), held_until = '-infinity' where kind = $1", kind)
    await query(world, "update lanes set free_at = now() where lane like 'send:%'")


def mails_to(world: World, address: str) -> list[Seen]:
    """What the shop's mail server was given for somebody."""
    return [look(sent.raw) for sent in world.mail.sent if address in sent.recipients]


def second_mailbox(world: World, address: str = SALES) -> None:
    """The shop has a second mailbox, which is a channel of its own."""
    world.mail.add_account(address, name="Kumbara", password=MAILBOX_PASSWORD)
    world.more.append(
        {
            "name": "sales",
            "kind": "email",
            "address": address,
            "imap": world.mail.imap_url(address),
            "smtp": world.mail.smtp_url(address),
            "trusted_authserv": [US],
        }
    )


def _json(text: str) -> Json:
    found: Json = orjson.loads(text)
    return found


def says(key: str) -> str:
    """The longest part of a text between the names it is filled with: by it one failure is told from another."""
    return max(re.split(r"\{[^}]*\}", say.template(key)), key=len)
