"""Reactions and replies: the thread says who, what, and which message is meant."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.desk import answer, card_of, thread_shows
from tests.scenarios.test_guarantees import KEY, LINES, PHONE, Phone, begun, reads
from tests.world import World, eventually

META = ("whatsapp", "messenger", "instagram")


def ours(phone: Phone, text: str) -> str:
    """The provider's id of what the shop wrote."""
    if phone.kind in META:
        entries = phone.provider.chat(phone.provider.accounts.line(LINES[phone.kind]), KEY).entries.values()
        return str(next(entry.id for entry in entries if entry.text == text))
    messages = phone.provider.ledger.messages.values()
    return str(next(one.sid for one in messages if one.body == text and one.author == "shop"))


async def asked_twice(phone: Phone) -> tuple[str, str]:
    """The card's ts, and the id of the first of two questions of the agent."""
    await phone.says("Vazo var mı?")
    card = await phone.world.card_with("Vazo var mı?")
    await answer(phone.world, card, "Mavi mi olsun?")
    await reads(phone, "Mavi mi olsun?")
    await answer(phone.world, card, "Hediye paketi ister misiniz?")
    await reads(phone, "Mavi mi olsun?", "Hediye paketi ister misiniz?")
    return card["ts"], ours(phone, "Mavi mi olsun?")


@pytest.mark.parametrize("kind", [*META, "whatsapp-twilio"])
async def test_a_reply_shows_the_message_it_answers_ours_or_their_own(world: World, kind: str) -> None:
    phone = await begun(world, kind)
    ts, first = await asked_twice(phone)
    line = LINES[kind]
    who = KEY if kind in META else PHONE
    await phone.provider.say(who, line, "Evet", reply_to=first)
    shown = await thread_shows(world, ts, "Evet")
    assert "Mavi mi olsun?" in str(shown["blocks"])
    assert "Hediye" not in str(shown["blocks"])
    mine = await phone.provider.say(who, line, "Adresim Moda")
    await thread_shows(world, ts, "Adresim Moda")
    await phone.provider.say(who, line, "Kapı 7", reply_to=mine)
    shown = await thread_shows(world, ts, "Kapı 7")
    assert "Adresim Moda" in str(shown["blocks"])


@pytest.mark.parametrize("kind", META)
async def test_a_reaction_says_to_what_it_was_put_and_that_it_was_taken_back(world: World, kind: str) -> None:
    phone = await begun(world, kind)
    ts, first = await asked_twice(phone)
    await phone.provider.react(KEY, LINES[kind], first, "❤")
    shown = await thread_shows(world, ts, "❤")
    assert "Ayşe Yılmaz" in str(shown["blocks"])
    assert "Mavi mi olsun?" in str(shown["blocks"])
    before = len((await card_of(world, ts))["replies"])
    await phone.provider.react(KEY, LINES[kind], first, "")

    async def more() -> list[Any]:
        return list((await card_of(world, ts))["replies"][before:])

    (taken,) = await eventually(more)
    assert "tepkisini geri aldı" in str(taken["blocks"])
    assert "Mavi mi olsun?" in str(taken["blocks"])


@pytest.mark.parametrize("kind", ["messenger", "instagram"])
async def test_words_stand_under_the_name_that_the_platform_told(world: World, kind: str) -> None:
    phone = await begun(world, kind)
    await phone.says("Merhaba")
    card = await world.card_with("Merhaba")

    async def named() -> bool:
        return "Ayşe Yılmaz" in str((await card_of(world, card["ts"]))["blocks"])

    await eventually(named)
    await phone.says("Orada mısınız?")
    shown = await thread_shows(world, card["ts"], "Orada mısınız?")
    assert shown["username"].startswith("Ayşe Yılmaz")
