"""Outside support hours a customer is told at once, in their language, when a person answers: once, and only people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.scenarios import mail
from tests.scenarios.desk import answer, query, thread_shows
from tests.world import MAILBOX, World, eventually

ISTANBUL = ZoneInfo("Europe/Istanbul")
HOURS = "Mo-Fr 09:00-18:00; Sa 10:00-14:00; PH off"


def istanbul(text: str) -> datetime:
    """A moment on the shop's clock."""
    return datetime.fromisoformat(text).replace(tzinfo=ISTANBUL).astimezone(UTC)


SATURDAY_NIGHT = istanbul("2027-02-06T23:40")
MONDAY_MORNING = istanbul("2027-02-08T09:05")


async def open_shop(world: World, at: datetime, **team: object) -> None:
    world.team |= {"hours": HOURS, **team}
    await world.turn(at)
    await world.start()


async def told(world: World, customer: int, words: str) -> str:
    """What the bot says to a customer with these words in it."""

    async def look() -> str | None:
        return next((text for text in await world.answers(customer) if words in text), None)

    found = await eventually(look)
    assert found
    return str(found)


async def settled(world: World) -> None:
    """Wait until nothing is left to decide or to send."""

    async def look() -> bool:
        rows = await query(
            world, "select kind from work where kind in ('acknowledge', 'deliver') and run_at < 'infinity'"
        )
        return not rows

    await eventually(look)


@pytest.mark.parametrize(
    ("words", "language", "opening"),
    [
        ("Merhaba, kargom nerede kaldı acaba?", "tr", "Pazartesi 09:00'da"),
        ("Здравствуйте, где мой заказ?", "ru", "в понедельник в 09:00"),
        ("Hello, where is my parcel please?", "en", "Monday at 09:00"),
    ],
)
async def test_on_saturday_night_a_customer_is_told_in_their_language_when_a_person_answers(
    world: World, words: str, language: str, opening: str
) -> None:
    await open_shop(world, SATURDAY_NIGHT)
    customer = world.customer("Deniz Kaya", language_code=language)
    await world.telegram.say(customer, text=words)
    said = await told(world, customer, opening)
    assert "{" not in said
    assert "Deniz" in said
    card = await world.card_with(words)
    await thread_shows(world, card["ts"], opening)


async def test_who_writes_again_in_the_same_closed_time_is_told_nothing_more(world: World) -> None:
    await open_shop(world, SATURDAY_NIGHT)
    customer = world.customer()
    await world.telegram.say(customer, text="Kargom nerede?")
    await told(world, customer, "09:00'da")
    for moment in ("2027-02-07T11:00", "2027-02-08T08:30"):  # Sunday, and Monday before nine
        await world.turn(istanbul(moment))
        await world.telegram.say(customer, text="Orada kimse var mı?")
        await world.card_with("Orada kimse var mı?")
        await settled(world)
    assert len(await world.answers(customer)) == 1

    await world.turn(istanbul("2027-02-08T19:00"))
    await world.telegram.say(customer, text="Hâlâ bekliyorum")
    await eventually(lambda: _count(world, customer, 2))
    assert "yarın 09:00'da" in (await world.answers(customer))[1]


async def _count(world: World, customer: int, wanted: int) -> bool:
    return len(await world.answers(customer)) == wanted


async def test_one_customer_with_two_bots_of_the_shop_is_told_once(world: World) -> None:
    token = "4712:another-bot-of-the-same-shop-abcdefgh"
    world.telegram.add_bot(token=token, username="kumbara_two_bot", name="Kumbara 2")
    world.more.append(
        {"name": "two", "kind": "telegram", "token": token, "receive": "poll", "api_url": world.telegram_url}
    )
    await open_shop(world, SATURDAY_NIGHT)
    customer = world.customer()
    await world.telegram.say(customer, text="Kargom nerede?")
    await told(world, customer, "09:00'da")
    await world.telegram.say(customer, text="Buradan da yazayım", bot="kumbara_two_bot")
    await world.card_with("Buradan da yazayım")
    await settled(world)
    rows = await query(world, "select count(*) as told from messages where body ? 'holding'")
    assert rows[0]["told"] == 1


async def test_within_hours_nothing_is_said_and_a_closing_between_two_messages_counts(world: World) -> None:
    await open_shop(world, istanbul("2027-02-05T17:58"))
    customer = world.customer()
    await world.telegram.say(customer, text="Bir sorum var")
    await world.card_with("Bir sorum var")
    await settled(world)
    assert await world.answers(customer) == []
    await world.turn(istanbul("2027-02-05T18:00"))
    await world.telegram.say(customer, text="Bedenler dar mı?")
    assert "yarın 10:00'da" in await told(world, customer, "10:00'da")


async def test_an_exception_and_a_holiday_move_the_opening(world: World) -> None:
    world.team |= {"exceptions": {"2027-04-22": "10:00-12:00"}}
    await open_shop(world, istanbul("2027-04-22T13:00"))  # the day before a public holiday, a Thursday cut short
    customer = world.customer()
    await world.telegram.say(customer, text="Kargom nerede?")
    assert "Cumartesi 10:00'da" in await told(world, customer, "10:00'da")


async def test_no_agent_is_interrupted(world: World) -> None:
    await open_shop(world, istanbul("2027-02-05T17:50"))
    customer = world.customer()
    await world.telegram.say(customer, text="Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    await answer(world, card, "Hemen bakıyorum")
    await told(world, customer, "Hemen bakıyorum")
    await world.turn(istanbul("2027-02-05T18:10"))
    await world.telegram.say(customer, text="Teşekkürler, bekliyorum")
    await world.card_with("Teşekkürler, bekliyorum")
    await settled(world)
    assert await world.answers(customer) == ["Hemen bakıyorum"]
    await world.turn(istanbul("2027-02-05T18:45"))
    await world.telegram.say(customer, text="Bulabildiniz mi?")
    await told(world, customer, "yarın 10:00'da")


async def test_the_customers_wait_goes_on_and_the_conversation_stays_open(world: World) -> None:
    await open_shop(world, SATURDAY_NIGHT)
    customer = world.customer()
    await world.telegram.say(customer, text="Kargom nerede?")
    await told(world, customer, "09:00'da")
    (row,) = await query(world, "select state, waiting_since, last_out_at from conversations")
    assert (row["state"], row["last_out_at"]) == ("open", None)
    assert row["waiting_since"] is not None


async def test_spam_and_old_messages_are_not_answered(world: World) -> None:
    await open_shop(world, SATURDAY_NIGHT)
    spammer, late = world.customer("Olga"), world.customer("Geç Kalan")
    await world.telegram.say(
        spammer, text="Instagram takipçi satışı! 10.000 takipçi sadece 99 TL, hemen sipariş verin, SEO hizmeti de var"
    )
    two_hours_ago = SATURDAY_NIGHT - timedelta(hours=2) - datetime.now(UTC)
    await world.telegram.settle({"clock_offset": two_hours_ago.total_seconds()})
    await world.telegram.say(late, text="Kargom nerede kaldı?")
    await world.card_with("Kargom nerede kaldı?")
    await settled(world)
    (row,) = await query(world, "select count(*) as spam from conversations where 'spam' = any(tags)")
    assert row["spam"] == 1
    assert await world.answers(spammer) == await world.answers(late) == []


async def test_it_can_be_switched_off(world: World) -> None:
    world.settings["acknowledge"] = {"enabled": False}
    await open_shop(world, SATURDAY_NIGHT)
    customer = world.customer()
    await world.telegram.say(customer, text="Kargom nerede?")
    await world.card_with("Kargom nerede?")
    await settled(world)
    assert await world.answers(customer) == []


async def test_a_mail_is_answered_by_a_mail_that_says_it_is_automatic(mail_world: World) -> None:
    world = mail_world
    world.team |= {"hours": "Mo-Fr 09:00-09:01", "timezone": "Pacific/Kiritimati"}
    await world.start()
    await mail.wrote(world, mail.AYSE, "Kargom nerede kaldı acaba?", subject="Siparişim")
    seen = await mail.received(world, mail.AYSE, "09:00'da")
    assert seen.header("Auto-Submitted") == "auto-replied"
    assert seen.subject == "Re: Siparişim"


async def test_machines_are_not_answered(mail_world: World) -> None:
    world = mail_world
    world.team |= {"hours": "Mo-Fr 09:00-09:01", "timezone": "Pacific/Kiritimati"}
    await world.start()
    world.mail.deliver(
        mail.PAVEL, MAILBOX, "Автоответ", "Я в отпуске до понедельника", headers={"Auto-Submitted": "auto-replied"}
    )
    await eventually(lambda: query(world, "select id from letters where read_at is not null"))
    await settled(world)
    assert world.mail.inbox(mail.PAVEL) == []
