"""Deliveries: one row for each provider message, in the order of their line.

Rule: a delivery is committed as *sending* before the provider is called. Found in that state by the next worker, its
outcome is unknown, and it is never simply sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from channels.message import Address, Attachment, Author, Choice, Outgoing, Quoted, Span, SpanKind, Status, Template
from inbox.store import receipts
from inbox.store.attachments import file as file
from inbox.store.database import Connection
from inbox.store.notices import forget_notice as forget_notice
from inbox.store.notices import noticed as noticed
from inbox.store.notices import notify_desk as notify_desk
from inbox.store.silences import cut_off
from inbox.text import storable

QUOTED = 4_000  # code points of a message that travel along below its answer
CAUGHT_UP = 50  # messages: as many may be told late, after a newer one, and the newer one still counts as the last


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a reply goes, and what the adapter wants back with it."""

    address_id: int
    address: Address
    channel: str
    context: Mapping[str, Any]
    cut_off: str  # why nothing may be sent there, as the code of a failure
    quoted: Mapping[str, Any]  # what an answer answers: text, at, author

    @property
    def silenced(self) -> bool:
        """Whether nothing may be sent there."""
        return bool(self.cut_off)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One outgoing provider message as it stands."""

    id: UUID
    message_id: int
    conversation_id: int
    address_id: int
    address: Address
    channel: str
    body: Mapping[str, Any]
    attachment_id: int | None
    status: Status
    due_at: datetime
    created_at: datetime
    sending_at: datetime | None
    revision: str
    external_id: str
    attempts: int
    cut_off: str  # why nothing may be sent there, as the code of a failure

    @property
    def files(self) -> tuple[int, ...]:
        """The attachments that travel in it."""
        return (self.attachment_id, *self.body.get("more", ())) if self.attachment_id is not None else ()


async def target(
    c: Connection, conversation_id: int, *, channel: str = "", address_id: int | None = None
) -> Target | None:
    """The address the customer wrote from last, or another of theirs, with the context of their last message there."""
    row = await c.fetchrow(
        f"""
        select a.id, a.kind, a.value, {cut_off("way.channel")} as cut_off, way.channel,
            coalesce(said.context, '{{}}') as context, coalesce(said.quoted, '{{}}') as quoted
        from conversations c
        cross join lateral (select coalesce(nullif($3, ''), c.channel) as channel) as way
        join addresses a on a.id = coalesce($4, c.address_id) and ($4::bigint is null or a.customer_id = c.customer_id)
        left join lateral (
            select m.body -> 'context' as context,
                jsonb_build_object('text', left(m.text, $2), 'at', m.sent_at, 'author', m.author_name) as quoted
            from messages m where m.conversation_id = c.id and m.address_id = a.id and m.channel = way.channel
              and m.direction = 'in' order by m.position desc limit 1
        ) as said on true
        where c.id = $1
        """,
        conversation_id,
        QUOTED,
        channel,
        address_id,
    )
    if row is None:
        return None
    return Target(
        address_id=row["id"],
        address=Address(kind=row["kind"], value=row["value"]),
        channel=row["channel"],
        context=row["context"],
        cut_off=row["cut_off"],
        quoted=row["quoted"],
    )


_DELIVERY = f"""
select d.id, d.message_id, d.conversation_id, d.address_id, a.kind as address_kind, a.value as address_value, d.channel,
       d.body, d.attachment_id, d.status, d.due_at, d.created_at, d.sending_at, d.revision, d.external_id, d.attempts,
       {cut_off("d.channel")} as cut_off
from deliveries d join addresses a on a.id = d.address_id
"""


async def next_on_line(c: Connection, channel: str, address_id: int) -> Delivery | None:
    """The first delivery of a line that still wants something: to be sent, changed or withdrawn. Locked.

    First is what was written first: Slack may tell of two answers in the wrong order.
    """
    row = await c.fetchrow(
        _DELIVERY
        + """
        join messages m on m.id = d.message_id
        where d.channel = $1 and d.address_id = $2 and (d.status = 0 or d.revision <> '')
        order by d.sending_at is null, m.sent_at, d.line limit 1 for no key update of d
        """,
        channel,
        address_id,
    )
    return _delivery(row) if row else None


async def last_sent(c: Connection, channel: str, address_id: int) -> datetime | None:
    """When something was last sent, or tried, to an address."""
    found = await c.fetchval(
        """
        select greatest(max(sent_at), max(sending_at)) from deliveries
        where channel = $1 and address_id = $2 and created_at > now() - interval '1 day'
        """,
        channel,
        address_id,
    )
    return found if isinstance(found, datetime) else None


async def delivery(c: Connection, id: UUID) -> Delivery | None:
    row = await c.fetchrow(_DELIVERY + " where d.id = $1 for no key update of d", id)
    return _delivery(row) if row else None


async def of_message(c: Connection, message_id: int) -> list[Delivery]:
    """All parts of a reply, first to last, locked."""
    return [
        _delivery(row)
        for row in await c.fetch(
            _DELIVERY + " where d.message_id = $1 order by d.part for no key update of d", message_id
        )
    ]


def outgoing(
    found: Delivery, files: Sequence[Attachment] = (), *, heard_at: datetime | None = None, now: datetime | None = None
) -> Outgoing:
    """What the adapter is given. `heard_at`: when the customer last wrote there."""
    body = found.body
    quoted = body.get("quoted")
    return Outgoing(
        id=found.id,
        to=found.address,
        author=Author(body.get("author", "agent")),
        author_name=body.get("author_name", ""),
        team=body.get("team", ""),
        text=body.get("text", ""),
        spans=spans(body.get("spans", ())),
        subject=body.get("subject", ""),
        attachment=files[0] if files else None,
        more=tuple(files[1:]),
        quoted=Quoted(text=quoted["text"], at=datetime.fromisoformat(quoted["at"]), author=quoted["author"])
        if quoted
        else None,
        choices=tuple(Choice(label=x["label"], payload=x["payload"]) for x in body.get("choices", ())),
        template=_template(body["template"]) if body.get("template") else None,
        reply_to=body.get("reply_to", ""),
        context=body.get("context", {}),
        answers_at=heard_at,
        at=now,
    )


def _template(stored: Mapping[str, Any]) -> Template:
    return Template(name=stored["name"], language=stored["language"], values=tuple(stored["values"]))


def spans(stored: Sequence[Mapping[str, Any]]) -> tuple[Span, ...]:
    """Spans as they were stored."""
    return tuple(Span(kind=SpanKind(x["kind"]), start=x["start"], end=x["end"], url=x.get("url", "")) for x in stored)


async def begin(c: Connection, id: UUID) -> datetime:
    """Mark it as being sent, or changed, from now on. Answers since when."""
    began: datetime = await c.fetchval(
        """
        update deliveries set sending_at = now(), attempts = attempts + 1, ahead = 0 where id = $1
        returning sending_at
        """,
        id,
    )
    return began


async def not_sent(c: Connection, id: UUID) -> None:
    """The provider surely did not take it: it is queued as before."""
    await c.execute("update deliveries set sending_at = null where id = $1", id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overtaken:
    """What receipts told before the send returned: that it `failed`, and why, and how far these `others` got."""

    failed: bool
    code: str
    detail: str
    others: list[int]  # messages


async def settle(
    c: Connection, id: UUID, status: Status, *, external_id: str = "", code: str = "", detail: str = ""
) -> Overtaken:
    """Write how a send ended, together with receipts that came before it returned."""
    if external_id:  # what `receipts.receive` waits for; before any row, so that nobody waits in a circle
        await c.execute(
            "select pg_advisory_xact_lock(hashtextextended(channel || ':' || $2, 0)) from deliveries where id = $1",
            id,
            external_id,
        )
    row = await c.fetchrow(
        """
        with early as (
            delete from early_receipts e using deliveries d
            where d.id = $1 and e.channel = d.channel and e.external_id = $3 and $3 <> ''
            returning e.status, e.code, e.detail, e.earlier
        ), best as (select status, code, detail from early order by status desc limit 1)
        update deliveries set
            status = greatest(status, $2::smallint, (select status from best), case when $2::smallint = 2 then ahead end),
            external_id = coalesce(nullif($3, ''), external_id),
            -- A bounce by our own id may be here before the send has returned: what it says stays.
            code = coalesce((select code from best where status = 9), case when status > $2 then code else $4 end),
            detail = coalesce((select detail from best where status = 9), case when status > $2 then detail else $5 end),
            -- When it began to be sent: the provider dates it before its answer is here.
            sent_at = case when $2 = 2 then coalesce(sent_at, sending_at, now()) else sent_at end, settled_at = now(),
            -- of a doubt it stays: it spaces the next send. Otherwise an edit would look like a send under way.
            sending_at = case when $2 = 1 then sending_at end
        where id = $1 returning coalesce((select status = 9 from best), false) as failed, code, detail,
            (select max(status) from early where earlier) as all_before
        """,
        id,
        int(status),
        external_id,
        code,
        storable(detail, 500),
    )
    others = await receipts.earlier(c, id, Status(row["all_before"])) if row["all_before"] else []
    return Overtaken(failed=row["failed"], code=row["code"], detail=row["detail"], others=others)


async def forget_receipts(c: Connection, days: int = 7) -> None:
    """Receipts of what we never sent: of another program on the same account."""
    await c.execute("delete from early_receipts where at < now() - make_interval(days => $1)", days)


async def decide_doubt(c: Connection, id: UUID, *, arrived: bool) -> bool:
    """A person settles a doubt: it arrived, or it is to be sent again. False when it was settled before."""
    answer = await c.execute(
        """
        update deliveries set status = case when $2 then greatest(2, ahead) else 0 end, sending_at = null, code = '',
            detail = '', sent_at = case when $2 then coalesce(sent_at, sending_at, now()) end, settled_at = now(), due_at = least(due_at, now())
        where id = $1 and status = 1
        """,
        id,
        arrived,
    )
    return answer.endswith(" 1")


async def revised(c: Connection, found: Delivery) -> None:
    """This revision is done or given up; one that was asked for meanwhile is due as before."""
    await c.execute(
        """
        update deliveries set sending_at = null,
            revision = case when revision = $2 and body = $3 then '' else revision end
        where id = $1
        """,
        found.id,
        found.revision,
        dict(found.body),
    )


async def heard_at(c: Connection, conversation_id: int, channel: str, address_id: int) -> datetime | None:
    """When the customer last wrote to a channel from an address: what was told last may have been written earlier."""
    found = await c.fetchval(
        """
        select max(sent_at) from (
            select sent_at from messages
            where conversation_id = $1 and direction = 'in' and channel = $2 and address_id = $3
            order by position desc limit $4) as latest
        """,
        conversation_id,
        channel,
        address_id,
        CAUGHT_UP,
    )
    return found if isinstance(found, datetime) else None


async def move(c: Connection, address_id: int, value: str) -> bool:
    """The provider says that this address has a new value. False when that is the old one, or somebody else's."""
    answer = await c.execute(
        """
        update addresses a set value = $2 where id = $1 and value <> $2
          and not exists (select from addresses b where b.kind = a.kind and b.value = $2)
        """,
        address_id,
        value,
    )
    return answer.endswith(" 1")


def _delivery(row: Mapping[str, Any]) -> Delivery:
    return Delivery(
        id=row["id"],
        message_id=row["message_id"],
        conversation_id=row["conversation_id"],
        address_id=row["address_id"],
        address=Address(kind=row["address_kind"], value=row["address_value"]),
        channel=row["channel"],
        body=row["body"],
        attachment_id=row["attachment_id"],
        status=Status(row["status"]),
        due_at=row["due_at"],
        created_at=row["created_at"],
        sending_at=row["sending_at"],
        revision=row["revision"],
        external_id=row["external_id"] or "",
        attempts=row["attempts"],
        cut_off=row["cut_off"],
    )
