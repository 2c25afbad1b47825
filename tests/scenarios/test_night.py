"""Outside support hours on every channel: people are told once when somebody answers, and STOP has no answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.providers import KINDS, SMS
from tests.scenarios.desk import card_of, query, say, thread_shows
from tests.scenarios.test_guarantees import KEY, LINES, Phone
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
    await eventually(lambda: _looked(world))
    return phone


async def _looked(world: World) -> bool:
    """Whether what was missed before the start has been asked for, so that nothing comes by that way as well."""
    due = "select 1 from work where kind = 'missed' and (lease is not null or run_at < now() + interval '1 minute')"
    return not await query(world, due)


async def settled(phone: Phone) -> None:
    """Until all that was said has arrived, and nothing is left to decide, to send or to show."""
    await phone.provider.idle()

    async def look() -> bool:
        later = "('pull', 'missed', 'closing', 'timers')"
        soon = "(lease is not null or run_at < now() + interval '5 s')"
        return not await query(phone.world, f"select 1 from work where kind not in {later} and {soon}")

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


@pytest.mark.parametrize("kind", KINDS)
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


# What the pages of the channels promise that nothing answers by itself.


async def follows_a_link(phone: Phone) -> str:
    await phone.provider.refer(KEY, LINES[phone.kind], "yaz-indirimi")
    return say.word("stub", "referral")


async def ticks_a_box(phone: Phone) -> str:
    await phone.provider.opt_in(KEY, LINES[phone.kind])
    return say.word("stub", "optin")


async def talks_with_another_program(phone: Phone) -> str:
    await phone.provider.standby(LINES[phone.kind])
    await phone.says("İnsan istiyorum")
    return "İnsan istiyorum"


async def asks_twilio_for_help(phone: Phone) -> str:
    await phone.says("HELP")
    return "HELP"


async def is_a_short_number(phone: Phone) -> str:
    params = {"MessageSid": f"SM{7:032x}", "AccountSid": phone.provider.account().sid, "NumMedia": "0"}
    await phone.provider.raw(SMS, {**params, "From": "3344", "To": SMS, "Body": "Kodunuz 123456"})
    return "Kodunuz 123456"


@pytest.mark.parametrize(
    ("kind", "deed"),
    [
        ("messenger", follows_a_link),
        ("messenger", ticks_a_box),
        ("messenger", talks_with_another_program),
        ("sms", asks_twilio_for_help),
        ("sms", is_a_short_number),
    ],
    ids=lambda it: getattr(it, "__name__", it),
)
async def test_what_no_program_may_answer_is_shown_and_not_answered(
    world: World, kind: str, deed: Callable[[Phone], Awaitable[str]]
) -> None:
    phone = await at_night(world, kind)
    await world.card_with(await deed(phone))
    await settled(phone)
    assert phone.calls() == []
