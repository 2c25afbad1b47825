"""A customer writes a mail, an agent answers from Slack, the customer reads the answer: over real IMAP and SMTP."""

from __future__ import annotations

from sandbox.mail.reading import Seen
from tests.scenarios.desk import answer, thread_shows
from tests.world import MAILBOX, World, eventually

AYSE = "ayse@ornek.com.tr"


async def received(world: World, address: str, words: str) -> Seen:
    """A mail in a customer's inbox that shows these words, once it is there."""

    async def look() -> Seen | None:
        return next((seen for seen in world.mail.inbox(address) if words in seen.text), None)

    found = await eventually(look)
    assert found
    return found


async def test_a_mail_is_a_card_an_answer_is_a_mail_and_its_reply_shows_only_the_new_words(mail_world: World) -> None:
    world = mail_world
    world.mail.add_account(AYSE, name="Ayşe Yılmaz", client="gmail", language="tr")
    await world.start()
    world.mail.deliver(AYSE, MAILBOX, "Siparişim nerede?", "Merhaba, iki haftadır bekliyorum.")
    card = await world.card_with("iki haftadır bekliyorum")
    assert "Siparişim nerede?" in str(card["blocks"])
    await answer(world, card, "Yarın elinizde olur.")
    seen = await received(world, AYSE, "Yarın elinizde olur.")
    assert seen.subject == "Re: Siparişim nerede?"
    world.mail.deliver(AYSE, MAILBOX, seen.subject, "Teşekkürler!", in_reply_to=seen.message_id)
    reply = await thread_shows(world, card["ts"], "Teşekkürler!")
    assert "Yarın elinizde olur." not in str(reply), "what we wrote ourselves is hidden"
    assert len(await world.roots()) == 1, "it is one conversation"
