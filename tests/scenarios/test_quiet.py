"""What nobody has to answer, and whom the shop wrote to first: shown, and nobody waits because of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.scenarios.desk import card_shows, query, say, thread_shows
from tests.scenarios.meta import account, meta, person
from tests.scenarios.test_acknowledge import HOURS, istanbul
from tests.scenarios.test_guarantees import KEY, LINES, Phone
from tests.scenarios.test_night import follows_a_link, talks_with_another_program, ticks_a_box
from tests.scenarios.test_promises import TARGETS, due_is, notices
from tests.world import AYSE, SUPPORT, World, eventually

Deed = Callable[[Phone], Awaitable[str]]

DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
FRIDAY = istanbul("2027-02-05T10:00")
MONDAY = istanbul("2027-02-08T10:00")


async def writes_stop(phone: Phone) -> str:
    await phone.says("STOP")
    return "STOP"


async def writes_start(phone: Phone) -> str:
    await phone.says("Başlat")
    return "Başlat"


def idle(*deeds: tuple[str, Deed]) -> pytest.MarkDecorator:
    """By each of these channels and what somebody does there."""
    return pytest.mark.parametrize(("kind", "deed"), deeds, ids=lambda it: getattr(it, "__name__", it))


async def opened(world: World, kind: str) -> Phone:
    """A shop that promises answers, on a Friday morning, and somebody with an app."""
    world.settings |= {"targets": TARGETS, "acknowledge": {"enabled": False}, "model": False}
    world.team |= {"hours": HOURS}
    await world.add_channels(kind)
    await world.turn(FRIDAY)
    phone = Phone(world=world, kind=kind)
    phone.takes()
    await world.start()
    return phone


async def settled(world: World) -> None:
    """Until all that was said has arrived, and nothing of it is left to show or to look at."""

    async def look() -> bool:
        soon = "(lease is not null or run_at < now() + interval '5 s')"
        return not await query(world, f"select 1 from work where kind not in ('pull', 'missed', 'closing') and {soon}")

    await eventually(look)


async def stands(world: World) -> dict[str, Any]:
    columns = "state, waiting_since, last_in_at, address_id, due_state"
    (row,) = await query(world, f"select {columns} from conversations")
    return dict(row)


@idle(
    ("messenger", follows_a_link),
    ("instagram", follows_a_link),
    ("messenger", ticks_a_box),
    ("messenger", writes_stop),
    ("whatsapp", writes_start),
    ("whatsapp-twilio", writes_stop),
)
async def test_who_says_nothing_waits_for_nothing_and_their_first_words_are_what_is_promised_an_answer(
    world: World, kind: str, deed: Deed
) -> None:
    phone = await opened(world, kind)
    shown = await deed(phone)
    card = await world.card_with(shown)
    await card_shows(world, card["ts"], say.word("state", "waiting"), without=["⏳", "🤖"])
    await phone.provider.idle()
    await world.turn(MONDAY)
    await settled(world)
    now = await stands(world)
    assert (now["state"], now["waiting_since"], now["due_state"]) == ("waiting", None, "")
    assert await notices(world) == []
    await phone.says("Kargom nerede?")
    await due_is(world, "Mon 14:00", "first_answer", "running")
    await card_shows(world, card["ts"], "⏳")


@idle(("messenger", follows_a_link), ("whatsapp", writes_stop))
async def test_a_matter_that_is_done_stays_done(world: World, kind: str, deed: Deed) -> None:
    phone = await opened(world, kind)
    await phone.says("Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    await world.slack.press(AYSE, "resolve", channel=SUPPORT, ts=card["ts"])
    await card_shows(world, card["ts"], say.word("state", "resolved"))
    shown = await deed(phone)
    await thread_shows(world, card["ts"], shown)
    now = await stands(world)
    assert (now["state"], now["waiting_since"]) == ("resolved", None)


@idle(("messenger", follows_a_link), ("whatsapp", writes_stop))
async def test_who_waits_goes_on_waiting_since_they_asked(world: World, kind: str, deed: Deed) -> None:
    phone = await opened(world, kind)
    await phone.says("Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    before = await stands(world)
    shown = await deed(phone)
    await thread_shows(world, card["ts"], shown)
    now = await stands(world)
    assert (now["state"], now["waiting_since"]) == ("open", before["waiting_since"])
    assert before["waiting_since"] is not None
    await due_is(world, "Fri 14:00", "first_answer", "running")


async def test_what_only_people_may_answer_waits_for_them(world: World) -> None:
    phone = await opened(world, "messenger")
    card = await world.card_with(await talks_with_another_program(phone))
    await card_shows(world, card["ts"], "⏳")
    await due_is(world, "Fri 14:00", "first_answer", "running")


@pytest.mark.parametrize("kind", ["messenger", "instagram"])
async def test_what_was_missed_while_closed_waits_for_people_and_no_program_answers_it(world: World, kind: str) -> None:
    far = datetime.now(UTC) + timedelta(days=3)  # Meta's list is read by the real clock
    world.team |= {"hours": f"{DAYS[far.weekday()]} 09:00-18:00"}
    await world.add_channels(kind)
    phone = Phone(world=world, kind=kind)
    phone.takes()
    await world.start()
    await world.stop()
    await phone.provider.unsubscribe(LINES[kind])
    await phone.says("Kargom nerede?")
    await world.start()
    card = await world.card_with("Kargom nerede?")
    await card_shows(world, card["ts"], "⏳")
    await settled(world)
    assert phone.calls() == []


@pytest.mark.parametrize("kind", ["messenger", "instagram", "whatsapp"])
async def test_whom_the_shop_wrote_to_first_is_shown_with_channel_and_address(world: World, kind: str) -> None:
    await world.add_channels(kind)
    await world.start()
    line = account(world, LINES[kind])
    line.coexistence = True
    person(world, KEY, "Ayşe Yılmaz")
    await meta(world).write_from_phone_app(LINES[kind], KEY, "Siparişiniz hazır")
    await eventually(lambda: query(world, "select 1 from messages where text = 'Siparişiniz hazır'"))
    (root,) = await eventually(world.roots)
    (row,) = await query(world, "select value from addresses")
    await card_shows(world, root["ts"], say.word("channel", kind), row["value"], without=[say("channel.unknown")])
