"""STOP and START in five languages by each channel that honours them: what the agent sees, and who is written to."""

from __future__ import annotations

import pytest

from tests.scenarios.desk import answer, card_shows, marked, thread_shows
from tests.scenarios.test_guarantees import Phone, begun, reads
from tests.world import World

PAIRS = (("STOP", "START"), ("durdur", "BAŞLAT"), ("Стоп.", "начать"), ("Abmelden!", "anmelden"), ("توقف", "ابدأ"))
SENTENCES = ("Stop sending the blue one", "Kargo dursun, adresim degisti", "Стоп-лист не нужен")


@pytest.mark.parametrize("kind", ["sms", "whatsapp-twilio", "whatsapp", "messenger", "instagram", "x"])
async def test_edge_08_a_word_of_each_language_ends_it_and_another_begins_it_again_and_no_sentence_does(
    world: World, kind: str
) -> None:
    world.shop["languages"] = ["tr", "ru", "en", "de", "ar"]
    phone = await begun(world, kind)
    await phone.says("Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    for text in SENTENCES:
        await phone.says(text)
        await thread_shows(world, card["ts"], text)
    await card_shows(world, card["ts"], without=["🚫"])
    for number, (out, back) in enumerate(PAIRS, start=1):
        await ended(world, phone, card["ts"], out)
        await marked(world, await answer(world, card, f"Bunu almamali {number}"), "x")
        await phone.says(back)
        await card_shows(world, card["ts"], without=["🚫"])
    await thread_shows(world, card["ts"], "👋")
    await answer(world, card, "Buyurun")
    await reads(phone, "Buyurun")
    assert len(phone.calls()) == 1


async def ended(world: World, phone: Phone, ts: str, out: str) -> None:
    """They write the word; the thread and the card say so in their own spelling."""
    await phone.says(out)
    await thread_shows(world, ts, f"“{out}”")
    await card_shows(world, ts, "🚫", out)
