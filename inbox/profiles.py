"""Asks a platform who somebody is, where its messages carry no name. Best effort: a customer may stay nameless."""

from __future__ import annotations

from collections.abc import Mapping

from channels.channel import Profiles as Asked
from channels.errors import Refused, Retry
from inbox.changes import FollowUp, Put
from inbox.store import arrivals, people, work
from inbox.store.database import Database
from inbox.store.work import Piece
from inbox.work import Failed, Ran, Unavailable, Wait

PROFILE = "profile"


def asking(channel: str, address_id: int) -> Put:
    """Ask who has this address."""
    return Put(kind=PROFILE, key=f"{channel}/{address_id}")


class Profiles:
    """Handler of the work kind `profile`; the key is `channel/address id`."""

    def __init__(self, database: Database, channels: Mapping[str, Asked], *, follow_up: FollowUp) -> None:
        self._database = database
        self._channels = channels
        self._follow_up = follow_up

    async def run(self, piece: Piece) -> Ran:
        name, _, address_id = piece.key.rpartition("/")
        channel = self._channels.get(name)
        if channel is None:
            return Ran()
        async with self._database.connection() as c:
            nameless = await people.nameless(c, int(address_id))
        if nameless is None:
            return Ran()
        try:
            profile = await channel.profile(nameless)
        except Retry as error:
            if error.after is not None:
                raise Wait(error.after, str(error)) from error
            if error.whole_channel:
                raise Unavailable(str(error)) from error
            raise Failed(str(error)) from error
        except Refused:
            return Ran()
        if profile.name:
            async with self._database.transaction() as c:
                conversation_id = await people.name(c, int(address_id), profile.name)
                if conversation_id is not None:
                    conversation = await arrivals.look(c, conversation_id)
                    await work.put(c, self._follow_up(conversation, lines=False))
        return Ran()
