"""Whose message is this: its sender's, the same address's at another proof, or a bystander's in another conversation.

Rule: a sender's word proves nothing. What was not proven stays apart from what was, unless it answers a message of ours
that was sent to that very address; and whoever answers somebody else's message is shown there and learns nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from channels.message import Address, Proof, Received
from inbox.store import identity as table
from inbox.store.arrivals import Key, Name, key
from inbox.store.database import Connection
from inbox.store.identity import Owner, Referred


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A message under the address it is filed by."""

    message: Received
    conversation_id: int | None = None  # of a bystander's message; None: the conversation of its own sender
    proves: Address | None = None  # the unproven address that this message has proven


async def settle(c: Connection, messages: Sequence[Received]) -> list[Settled]:
    """File messages. Those that refer to nothing are their sender's."""
    referring = [message for message in messages if message.answers or message.refers_to]
    found = await table.referred(c, referring) if referring else {}
    if not found:
        return [Settled(message=message) for message in messages]
    asked = [message for message in referring if _name(message) in found]
    owners = await table.owners(c, [a for message in asked for a in (message.sender, message.twin) if a is not None])
    settled = []
    for message in messages:
        where = found.get(_name(message))
        filed = decide(message, where, owners) if where else Settled(message=message)
        if filed.proves is not None:
            await table.raise_proof(c, filed.proves, message)
        settled.append(filed)
    return settled


def decide(message: Received, where: Referred, owners: Mapping[Key, Owner]) -> Settled:
    """File one message that refers to a conversation. `owners` holds the addresses that exist."""
    own = owners.get(key(message.sender))
    twin = message.twin
    if own is not None and own.customer_id == where.customer_id:
        return Settled(message=message)
    if twin is not None and where.sent_to == key(twin):
        # It answers what we sent to this address, so whoever wrote it can read what arrives there.
        if message.proof is Proof.CLAIMED:
            return Settled(message=replace(message, sender=twin, twin=None))
        return Settled(message=message, proves=twin if own is None else None)
    if twin is not None and (other := owners.get(key(twin))) is not None and other.customer_id == where.customer_id:
        return Settled(message=message)
    if own is not None and own.spoke:
        return Settled(message=message)
    return Settled(message=message, conversation_id=where.conversation_id)


def _name(message: Received) -> Name:
    return message.channel, message.external_id
