"""Outside support hours on every channel: people are told once when somebody answers, and STOP has no answer."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.providers import KINDS
from tests.scenarios.desk import card_of, query, thread_shows
from tests.scenarios.test_guarantees import Phone
from tests.world import World, eventually

HOURS = "Mo-Fr 09:00-18:00; PH off"
SATURDAY_NIGHT = datetime.fromisoformat("2027-02-06T23:40").replace(tzinfo=ZoneInfo("Europe/Istanbul")).astimezone(UTC)
OPENING = "Pazartesi 09:00"


async def at_night(world: World, kind: str) -> Phone:
    await world.add_channels(kind)
    world.team |= {"hours": HOURS}
    await world.turn(SATURDAY_NIGHT)
    phone = Phone(world=world, kind=kind)
    phone.takes()
    await world.start()
    return phone


async def settled(phone: Phone) -> None:
    """Until all that was said has arrived, and nothing is left to decide, to send or to show."""
    await phone.provider.idle()

    async def look() -> bool:
        later = "('pull', 'missed', 'closing', 'timers')"
        due = f"select kind from work where kind not in {later} and run_at < now() + interval '5 s'"
        return not await query(phone.world, due)

    await eventually(look)


@pytest.mark.parametrize("kind", KINDS)
async def test_who_writes_at_night_is_told_once_when_a_person_answers(world: World, kind: str) -> None:
    phone = await at_night(world, kind)
    await phone.says("Merhaba, kargom nerede kaldı acaba?")
    card = await world.card_with("kargom nerede")
    await eventually(lambda: len(phone.answers()) == 1)
    assert OPENING in phone.answers()[0].replace("'", "").replace("’", "")
    await thread_shows(world, card["ts"], OPENING)
    await phone.says("Orada mısınız?")
    await thread_shows(world, card["ts"], "Orada mısınız?")
    await settled(phone)
    assert len(phone.answers()) == 1


@pytest.mark.parametrize("kind", ["sms", "whatsapp-twilio", "whatsapp"])
async def test_edge_08_stop_at_night_is_answered_by_nobody(world: World, kind: str) -> None:
    phone = await at_night(world, kind)
    await phone.says("STOP")
    await settled(phone)
    assert phone.answers() == []
    assert phone.calls() == []
    for root in await world.roots():
        shown = str([root["blocks"], *(reply["blocks"] for reply in (await card_of(world, root["ts"]))["replies"])])
        assert "❌" not in shown
        assert "🤖" not in shown
