"""A phone that one app of a shop can no longer write to is still reached by the other."""

from __future__ import annotations

import pytest

from tests.scenarios.desk import card_shows, marked, say, start_of, thread_shows
from tests.scenarios.test_desk_channels import button, press
from tests.scenarios.test_twilio import begun
from tests.scenarios.twilio import PHONE, SMS, WHATSAPP_TWILIO, outgoing, reads, says, twilio, writes
from tests.world import AYSE, World

BLOCKED = {True: "failure.unreachable", False: "failure.ended"}


@pytest.mark.parametrize("blocks", [True, False], ids=["who blocks us on WhatsApp", "who says STOP on WhatsApp"])
async def test_is_still_reached_by_sms(world: World, blocks: bool) -> None:
    """The desk offers that way below what failed, and the words go out. By WhatsApp, once they write there again."""
    await begun(world)
    await says(world, SMS, "Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    await says(world, WHATSAPP_TWILIO, "Buradan yaziyorum")
    await thread_shows(world, card["ts"], "Buradan yaziyorum")
    if blocks:
        await twilio(world).block(PHONE, WHATSAPP_TWILIO)
    else:
        await says(world, WHATSAPP_TWILIO, "DUR")
        await card_shows(world, card["ts"], "DUR")

    reply = await writes(world, card, "Kargonuz yarin sizde")
    await marked(world, reply, "x")
    other = await button(world, card["ts"], start_of(BLOCKED[blocks]), "answer_by_")
    assert other["text"]["text"] == say("button.answer_by", channel=say.word("channel", "sms"))
    await press(world, AYSE, other)
    await reads(world, SMS, "Kargonuz yarin sizde")
    await marked(world, reply, "ballot_box_with_check")

    tried = len(outgoing(world))
    await says(world, SMS, "SMS geldi")
    await thread_shows(world, card["ts"], "SMS geldi")
    await writes(world, card, "Ne mutlu")
    await reads(world, SMS, "Kargonuz yarin sizde", "Ne mutlu")
    assert len(outgoing(world)) == tried + 1

    await says(world, WHATSAPP_TWILIO, "Buradan da yazin")
    await thread_shows(world, card["ts"], "Buradan da yazin")
    await writes(world, card, "Tabii")
    await reads(world, WHATSAPP_TWILIO, "Tabii")
