"""What the issue asks of each channel in the same words: buttons, changes of mind, files of every sort, set-up.

Rule: an agent has to see it in the thread, or a customer on the phone. What is only stored counts for nothing here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from channels.message import Author, Choice
from channels.registry import CAPABILITIES
from inbox.replies import Draft, Replies
from inbox.store.database import Database
from tests.contact.visitor import Visitor
from tests.providers import KINDS
from tests.scenarios.desk import answer, marked, query, say, thread_shows, told
from tests.scenarios.test_guarantees import KEY, LINES, PHONE, X_ID, Phone, begun, done, reads
from tests.scenarios.test_twilio import elsewhere
from tests.scenarios.twilio import chat
from tests.webchat.browser import CHANNEL, Visit
from tests.world import AYSE, SUPPORT, World, eventually

WORDS = "Teslim edelim mi?"
TWO = (Choice(label="Evet, gelsin", payload="deliver:1042"), Choice(label="Başka gün", payload="later:1042"))
MANY = tuple(Choice(label=f"{hour}:00", payload=f"at:{hour}") for hour in range(9, 15))  # more than WhatsApp's buttons
NO_BUTTONS = ("sms", "whatsapp-twilio", "x")


async def asks(world: World, choices: tuple[Choice, ...], source: str) -> None:
    """Santral itself asks the only customer there is, as self-service will."""
    assert world.app is not None
    (row,) = await query(world, "select id from conversations")
    async with Database.open(world.database_url, connections=1) as database:
        replies = Replies(database, world.app.channels, follow_up=lambda *_, **__: (), now=lambda: datetime.now(UTC))
        draft = Draft(
            text=WORDS,
            choices=choices,
            source=("bot", source),
            author="bot",
            author_name="Kumbara",
            kind=Author.BOT,
            at=datetime.now(UTC),
        )
        assert await replies.reply(row["id"], draft)


async def pressed(phone: Phone, choice: Choice) -> None:
    """The customer presses a button, or picks a row, of the last message that has any."""
    entries = phone.provider.chat(phone.provider.accounts.line(LINES[phone.kind]), "ayse").entries.values()
    asked = [entry for entry in entries if entry.choices][-1]
    await phone.provider.press("ayse", LINES[phone.kind], asked.id, choice.payload)


def offered(phone: Phone) -> list[list[tuple[str, str]]]:
    """The buttons and rows on the phone: labels and what sort of thing they are, message by message."""
    entries = phone.provider.chat(phone.provider.accounts.line(LINES[phone.kind]), "ayse").entries.values()
    return [[(one["label"], one["kind"]) for one in entry.choices] for entry in entries if entry.choices]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NO_BUTTONS])
async def test_buttons_and_rows_are_offered_and_what_is_pressed_stands_in_the_thread(world: World, kind: str) -> None:
    phone = await begun(world, kind)
    await phone.says("Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    await asks(world, TWO, "two")
    await eventually(lambda: len(offered(phone)) == 1)
    sort = "button_reply" if kind == "whatsapp" else "quick_reply"
    assert offered(phone) == [[(choice.label, sort) for choice in TWO]]
    await pressed(phone, TWO[1])
    await thread_shows(world, card["ts"], "Başka gün")
    await asks(world, MANY, "many")
    await eventually(lambda: offered(phone) and len(offered(phone)[-1]) == len(MANY))
    sort = "list_reply" if kind == "whatsapp" else "quick_reply"
    assert offered(phone)[-1] == [(choice.label, sort) for choice in MANY]
    await pressed(phone, MANY[4])
    await thread_shows(world, card["ts"], "13:00")
    rows = await query(world, "select text, body ->> 'payload' as payload from messages where direction = 'in'")
    payloads = {row["text"]: row["payload"] for row in rows}
    assert (payloads["Başka gün"], payloads["13:00"]) == ("later:1042", "at:13")
    too_many = tuple(Choice(label=f"Seçenek {number}", payload=str(number)) for number in range(1, 15))
    await asks(world, too_many, "too many")
    await eventually(lambda: "14. Seçenek 14" in phone.answers()[-1])


@pytest.mark.parametrize("kind", NO_BUTTONS)
async def test_where_there_are_no_buttons_a_question_has_numbered_lines(world: World, kind: str) -> None:
    phone = await begun(world, kind)
    await phone.says("Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    await asks(world, TWO, "two")
    await reads(phone, "Teslim edelim mi?\n\n1. Evet, gelsin\n2. Başka gün")
    await phone.says("2")
    await thread_shows(world, card["ts"], "'2'")


async def test_a_visitor_of_the_shop_presses_a_button_too(world: World) -> None:
    world.more = [CHANNEL]
    await world.start()
    async with Visit(world) as tab:
        await tab.say("Kargom nerede?")
        card = await world.card_with("Kargom nerede?")
        await asks(world, TWO, "two")
        await tab.until(lambda: any(item.get("choices") for item in tab.items.values()))
        (asked,) = (item for item in tab.items.values() if item.get("choices"))
        assert [(one["label"], one["payload"]) for one in asked["choices"]] == [(c.label, c.payload) for c in TWO]
        await tab.say("Başka gün", payload="later:1042")
        await thread_shows(world, card["ts"], "Başka gün")
    (row,) = await query(world, "select body ->> 'payload' as payload from messages where text = 'Başka gün'")
    assert row["payload"] == "later:1042"


async def test_a_row_of_a_list_that_another_program_sent_stands_in_the_thread(world: World) -> None:
    """WhatsApp by Twilio has lists as templates only."""
    phone = await begun(world, "whatsapp-twilio")
    await phone.says("Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    rows = [{"item": f"{hour}:00", "id": f"at:{hour}", "description": "yarın"} for hour in (9, 13)]
    types = {"twilio/list-picker": {"body": "Ne zaman?", "button": "Saatler", "items": rows}}
    template = phone.provider.add_template(name="saat", types=types, language="tr", status="approved")
    await elsewhere(world, ContentSid=template.sid)
    (asked,) = (one for one in chat(world, LINES[phone.kind]) if one["choices"])
    await phone.provider.press(PHONE, LINES[phone.kind], asked["id"], 2)
    await thread_shows(world, card["ts"], "13:00")
    (row,) = await query(world, "select body ->> 'payload' as payload from messages where text = '13:00'")
    assert row["payload"] == "at:13"


@pytest.mark.parametrize("kind", ["messenger", "instagram", "x"])
async def test_receipts_that_come_backwards_and_again_leave_the_highest_mark(world: World, kind: str) -> None:
    phone = await begun(world, kind)
    await phone.says("Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    await phone.provider.hold()
    written = [await answer(world, card, "Yarin sizde")]
    await reads(phone, "Yarin sizde")
    written.append(await answer(world, card, "Takip no 1042"))
    await reads(phone, "Yarin sizde", "Takip no 1042")
    for ts in written:
        await done(world, ts)
    await looks(phone)
    await phone.provider.release("reverse")
    for ts in written:
        await marked(world, ts, "eyes")
    await phone.provider.idle()
    attempts = phone.provider.journal.attempts()
    events = [event for one in attempts for event in one.get("events", [one.get("event")])]
    for event in dict.fromkeys(reversed(events)):
        await phone.provider.repeat(event)
    await phone.provider.idle()
    await phone.says("Son soru")  # what came before it is dealt with once it shows
    await thread_shows(world, card["ts"], "Son soru")
    for ts in written:
        await marked(world, ts, "eyes")
    rows = await query(world, "select status from deliveries")
    assert [row["status"] for row in rows] == [4, 4]


async def looks(phone: Phone) -> None:
    """The customer opens the chat and reads it all."""
    if phone.kind == "x":
        await phone.provider.read(person=X_ID, line=LINES["x"])
    else:
        await phone.provider.read(KEY, LINES[phone.kind])


@pytest.mark.parametrize("kind", ["messenger", "instagram"])
async def test_ids_that_hold_for_one_account_of_the_shop_are_another_customer_s_at_the_other(
    world: World, kind: str
) -> None:
    """Meta gives a person another id at each page. Nothing proves that both are one, so nobody is joined."""
    await world.add_channels(kind)
    meta = world.providers.meta
    (first,) = world.more
    own, lines = {"page_id": "108264108264999"}, {"messenger": "108264108264999", "instagram": "17841400000000999"}
    meta.add_page(id=own["page_id"], name="Kumbara Almanya", token="token-of-the-second")
    if kind == "instagram":
        meta.add_instagram(id=lines[kind], username="kumbara.de", page=own["page_id"])
        own["ig_id"] = lines[kind]
    world.more.append({**first, **own, "name": "ikinci", "access_token": "token-of-the-second"})
    await world.start()
    assert world.app is not None
    await world.app.channels["ikinci"].register(f"{world.url}/webhooks/ikinci")  # type: ignore[attr-defined]
    phone = Phone(world=world, kind=kind)
    phone.takes()
    other = lines[kind]
    await phone.says("Birinciye")
    await meta.say(KEY, other, "Merhaba Almanya")
    here, there = await world.card_with("Birinciye"), await world.card_with("Merhaba Almanya")
    await phone.says("Yine birinciye")
    await thread_shows(world, here["ts"], "Yine birinciye")
    await answer(world, there, "Guten Tag")
    await eventually(lambda: "Guten Tag" in [one.text for one in meta.chat(_line(world, other), KEY).entries.values()])
    assert phone.answers() == []
    assert len(await world.roots()) == 2
    assert len(await query(world, "select 1 from customers")) == 2


def _line(world: World, id: str) -> Any:
    return world.providers.meta.accounts.line(id)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_agent_who_changes_or_deletes_what_was_sent_is_told_that_the_customer_has_it(
    world: World, kind: str
) -> None:
    """None of these takes back what was sent: the phone keeps it, and the agent must not believe otherwise."""
    assert CAPABILITIES[kind].edits is None
    assert CAPABILITIES[kind].withdraws is None
    phone = await begun(world, kind)
    await phone.says("Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    first = await answer(world, card, "Yarin sizde")
    await reads(phone, "Yarin sizde")
    second = await answer(world, card, "Takip no 1042")
    await reads(phone, "Yarin sizde", "Takip no 1042")
    await world.slack.edit(AYSE, SUPPORT, first, "Öbür gün sizde")
    await told(world, AYSE, say("late.edit", channel=say.word("channel", kind)))
    await world.slack.delete(AYSE, SUPPORT, second)
    await thread_shows(world, card["ts"], say("late.delete", channel=say.word("channel", kind)))
    assert phone.answers() == ["Yarin sizde", "Takip no 1042"]
    assert len(phone.calls()) == 2


WAYS = {
    "sms:+905550100001",
    "https://wa.me/905550100002",
    "https://wa.me/905550100003",
    "https://m.me/108264108264108",
    "https://ig.me/m/kumbara.shop",
    "https://x.com/messages/compose?recipient_id=2244994945",
}


async def test_the_contact_page_leads_to_every_channel(world: World) -> None:
    """Telegram and mail: tests/contact."""
    await world.add_channels()
    world.more.append({**CHANNEL})
    await world.start()
    visitor = Visitor(world)

    async def all_there() -> bool:
        page = await visitor.look()
        links = {str(link.attributes["href"]) for link in page.css(".ways a")}
        return {link for link in links if not link.endswith("chat/chat") and "//t.me/" not in link} == WAYS

    await eventually(all_there, within=60)  # Twilio's SDK is loaded for it
    assert f"{world.url}/chat/chat" in {str(link.attributes["href"]) for link in visitor.page.css(".ways a")}
