"""What the shop sent past us, as a platform echoes it: told from our own sends, then kept as an answer of the shop's."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from channels.message import Address, Attachment, SentElsewhere
from inbox.store import arrivals, deliveries, messages
from inbox.store.database import Connection
from inbox.text import storable

PATIENCE = 5  # minutes in which a send that is under way may still turn out to be an echo's


@dataclass(frozen=True, slots=True, kw_only=True)
class Sends:
    """What of ours an echo may be.

    `doubt` is a delivery that said just this, in doubt or known to have arrived by a person's word alone.
    """

    ours: bool
    under_way: bool
    doubt: UUID | None


async def sends(c: Connection, echo: SentElsewhere, address_id: int | None) -> Sends:
    """Look whether an echo is a send of our own, may still turn out to be one, or settles a doubt."""
    row = await c.fetchrow(
        """
        select exists (select from deliveries where channel = $1 and external_id = $2) as ours,
            exists (select from deliveries where channel = $1 and address_id = $3 and status = 0
                    and sending_at > now() - make_interval(mins => $5)) as under_way,
            (select id from deliveries where channel = $1 and address_id = $3 and status in (1, 2) and external_id is null
               and $4 <> '' and body ->> 'text' = $4 and created_at > now() - interval '1 day' order by line limit 1) as doubt
        """,
        echo.channel,
        echo.external_id,
        address_id,
        storable(echo.text),
        PATIENCE,
    )
    return Sends(ours=row["ours"], under_way=row["under_way"], doubt=row["doubt"])


async def park(c: Connection, echo: SentElsewhere, address_id: int) -> bool:
    """Keep an echo until it is known whose it is. False when it waits already."""
    answer = await c.execute(
        "insert into echoes (channel, external_id, address_id, body, at) values ($1, $2, $3, $4, $5) on conflict do nothing",
        echo.channel,
        echo.external_id,
        address_id,
        _plain(echo),
        echo.at,
    )
    return answer.endswith(" 1")


async def waiting_for(c: Connection, channel: str, external_id: str) -> int | None:
    """The address to which an echo that waits went."""
    found = await c.fetchval(
        "select address_id from echoes where channel = $1 and external_id = $2", channel, external_id
    )
    return int(found) if found is not None else None


async def parked(c: Connection, channel: str, external_id: str) -> tuple[SentElsewhere, int] | None:
    """An echo that waits, and the address it went to. Locked."""
    row = await c.fetchrow(
        """
        select e.address_id, e.body, e.at, a.kind, a.value from echoes e join addresses a on a.id = e.address_id
        where e.channel = $1 and e.external_id = $2 for update of e
        """,
        channel,
        external_id,
    )
    if row is None:
        return None
    body = row["body"]
    echo = SentElsewhere(
        channel=channel,
        external_id=external_id,
        to=Address(kind=row["kind"], value=row["value"]),
        at=row["at"],
        text=body["text"],
        spans=deliveries.spans(body.get("spans", ())),
        attachments=tuple(Attachment(**file) for file in body["files"]),
        reply_to=body["reply_to"],
        app=body["app"],
        stub=body["stub"],
        raw=b64decode(body.get("raw", "")),
    )
    return echo, row["address_id"]


async def drop(c: Connection, channel: str, external_id: str) -> None:
    await c.execute("delete from echoes where channel = $1 and external_id = $2", channel, external_id)


async def keep(c: Connection, echo: SentElsewhere, conversation_id: int, position: int, address_id: int) -> int | None:
    """Store an echo as an answer that was given elsewhere. None when it is stored already."""
    body: dict[str, Any] = {"elsewhere": storable(echo.app, 100) or "?"}
    if echo.stub:
        body["stub"] = storable(echo.stub, 100)
    if echo.spans:
        body["spans"] = messages.spans_json(echo.spans)
    found = await c.fetchval(
        """
        insert into messages (conversation_id, position, direction, channel, external_id, address_id, text, body, sent_at, raw)
        values ($1, $2, 'out', $3, $4, $5, $6, $7, $8, $9) on conflict (channel, external_id) do nothing returning id
        """,
        conversation_id,
        position,
        echo.channel,
        echo.external_id,
        address_id,
        storable(echo.text),
        body,
        echo.at,
        echo.raw or None,
    )
    if found is None:
        return None
    if echo.attachments:
        await arrivals.attach(c, echo.channel, [(found, number, file) for number, file in enumerate(echo.attachments)])
    return int(found)


async def conversation_of(c: Connection, address_id: int) -> int:
    return int(
        await c.fetchval(
            "select v.id from conversations v join addresses a on a.customer_id = v.customer_id where a.id = $1",
            address_id,
        )
    )


async def forget(c: Connection, days: int = 7) -> None:
    """Echoes whose work was lost; what they were of is long settled."""
    await c.execute("delete from echoes where at < now() - make_interval(days => $1)", days)


def _plain(echo: SentElsewhere) -> dict[str, Any]:
    files = [
        {
            "media_type": x.media_type,
            "filename": storable(x.filename),
            "size": x.size,
            "ref": storable(x.ref),
            "unique_ref": x.unique_ref,
        }
        for x in echo.attachments
    ]
    plain = {
        "text": storable(echo.text),
        "spans": messages.spans_json(echo.spans),
        "files": files,
        "reply_to": storable(echo.reply_to),
        "app": storable(echo.app, 100),
        "stub": storable(echo.stub, 100),
        "raw": b64encode(echo.raw).decode(),
    }
    found: dict[str, Any] = orjson.loads(orjson.dumps(plain))
    return found
