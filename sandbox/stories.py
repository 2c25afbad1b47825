"""Stories played on the emulators, step by step, with a sentence for each on what to look at.

Rule: each play uses words of its own (`marker`), so that what an earlier one left behind is never taken for its doing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from sandbox import cast
from sandbox.deciding import corrected, night
from sandbox.reaching import elsewhere, joined, stop, window
from sandbox.stage import WALK_INS, Stage, Stuck, marker, words_of

AWAY = 12.0  # seconds Slack is down: a minute in a hurry


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """`steps` is how often `play` calls `Stage.now`."""

    id: str
    title: str
    about: str
    steps: int
    play: Callable[[Stage], Awaitable[None]]


async def _three(stage: Stage) -> None:
    order = marker()
    await stage.clears(cast.AYSE)
    stage.now("Ayşe writes three times in a row, the last time with a picture.", look="phone", person="ayse")
    await stage.breathe()
    await stage.writes(cast.AYSE, f"Merhaba, {order} numaralı siparişim bugün geldi.")
    await stage.breathe(0.9)
    await stage.writes(cast.AYSE, "Kutuyu açtım, kumbaranın kulağı kırık çıktı 😔")
    await stage.breathe(1.1)
    await stage.sends(cast.AYSE, ("broken.png",), f"Fotoğrafı da ekledim ({order}).")
    place = await stage.until("Ayşe's messages on the desk", lambda: stage.found(f"ekledim ({order})"))
    stage.now(
        "On the desk they are one conversation, one thread, in the order she wrote. The card tells how long she waits.",
        look="desk",
        agent=cast.DENIZ.id,
        channel=place.channel,
        thread=place.thread,
    )
    await stage.read()
    stage.now(
        "The conversation is Deniz's: he speaks Turkish and is there. Everybody sees it on the card.", look="desk"
    )
    await stage.breathe(0.8)
    await stage.takes(cast.DENIZ, place)
    await stage.read()
    stage.now("He answers in the thread. The mark under his words moves up: on its way, then sent.", look="desk")
    answer = f"Çok üzgünüz Ayşe Hanım, {order} için yenisini bugün kargoya veriyoruz."
    written = await stage.answers(cast.DENIZ, place, answer)
    await stage.says_yes(
        cast.DENIZ, place, written, lambda: stage.heard(cast.AYSE, answer), "the answer on Ayşe's phone"
    )
    stage.now("Ayşe reads it where she wrote. She never sees Slack.", look="phone", person="ayse")
    await stage.read()


async def _twice(stage: Stage) -> None:
    order = marker()
    stage.now("Дмитрий asks a question, once.", look="phone", person="dmitry")
    await stage.breathe()
    said = await stage.writes(cast.DMITRY, f"Здравствуйте! Заказ {order} уже отправили?")
    update = said["update_ids"][0]
    await stage.until("an answer to the webhook", lambda: stage.taken(update))
    place = await stage.until("the question on the desk", lambda: stage.found(order))
    stage.now(
        "Telegram now delivers the very same update twice more, as it does when an answer got lost on the way.",
        look="drawer",
        channel=place.channel,
        thread=place.thread,
    )
    before = stage.count(f"Заказ {order}")
    await stage.breathe(1.2)
    await stage.telegram.repeat(update)
    await stage.breathe(0.8)
    await stage.telegram.repeat(update)
    await stage.until("answers to all three deliveries", lambda: stage.taken(update, 3))
    await stage.read()
    stage.now(
        "Each got its 200, and the desk shows the question once: a unique key in the database, not luck.", look="desk"
    )
    await stage.read()
    if stage.count(f"Заказ {order}") != before:
        raise Stuck("that the desk shows the question once")


async def _down(stage: Stage) -> None:
    order = marker()
    until = time.time() + AWAY * max(stage.pace, 0.1)
    stage.now(
        "Slack goes away: every call fails. (A minute in a hurry: twelve seconds.)",
        look="desk",
        channel=cast.SUPPORT_CHANNEL,
        until=until,
        counting="until Slack is back",
    )
    await stage.slack.down(until - time.time())
    await stage.breathe(1.5)
    stage.now("Emily writes all the same.", look="phone", person="emily", until=until, counting="until Slack is back")
    await stage.writes(cast.EMILY, f"Hi! Can I still change the address of order {order}?")
    await stage.breathe(1.2)
    said = await stage.writes(cast.EMILY, f"I moved last week, sorry! ({order})")
    await stage.until("an answer to the webhook", lambda: stage.taken(said["update_ids"][0]))
    stage.now(
        "Her messages are in the database and Telegram has its 200. The work of showing them waits and tries again.",
        look="drawer",
        until=until,
        counting="until Slack is back",
    )
    await stage.until("Slack coming back", lambda: not stage.slack.is_down or None, patience=AWAY + 20)
    stage.now("Slack is back. What waited goes out by itself, in order.", look="drawer")
    place = await stage.until("Emily's messages on the desk", lambda: stage.found(order), patience=90)
    await stage.until("her second message on the desk", lambda: stage.found(f"sorry! ({order})"), patience=60)
    stage.now(
        "Both messages are there, once each. Nobody had to do anything.",
        look="desk",
        channel=place.channel,
        thread=place.thread,
    )
    await stage.read()


async def _doubt(stage: Stage) -> None:
    order = marker()
    stage.now("Jonas wants to exchange something.", look="phone", person="jonas")
    await stage.breathe()
    await stage.writes(cast.JONAS, f"Hallo, ich möchte {order} gegen die blaue umtauschen.")
    place = await stage.until("his message on the desk", lambda: stage.found(order))
    stage.now(
        "Marta answers. This time the line breaks after Telegram read the request: nobody on our side can know.",
        look="desk",
        agent=cast.MARTA.id,
        channel=place.channel,
        thread=place.thread,
    )
    stage.telegram.troubles.add([{"match": "sendMessage", "action": "drop_after", "times": 1}])
    answer = f"Gern! Die blaue für {order} geht heute raus."
    written = await stage.answers(cast.MARTA, place, answer)
    pressed = await stage.says_yes(
        cast.MARTA,
        place,
        written,
        lambda: stage.button(place, "delivery_arrived"),
        "the question whether it arrived",
    )
    stage.now(
        "Santral does not send it blindly again. It says that it does not know, and asks: it arrived, or send again?",
        look="desk",
    )
    await stage.read()
    stage.now("Jonas has it. Sending again would have doubled it.", look="phone", person="jonas")
    await stage.read()
    stage.now("Marta settles it with one click.", look="desk")
    await stage.breathe()
    # The viewer may have been quicker.
    if stage.button(place, "delivery_arrived") == pressed:
        await stage.press(cast.MARTA, place, *pressed)
    await stage.until("the question to be settled", lambda: stage.button(place, "delivery_arrived") != pressed or None)
    await stage.read()


async def _blocks(stage: Stage) -> None:
    order = marker()
    stage.now("Дмитрий writes, then loses patience and blocks the bot.", look="phone", person="dmitry")
    await stage.breathe()
    await stage.writes(cast.DMITRY, f"Где мой заказ {order}?! Я больше не жду.")
    place = await stage.until("his message on the desk", lambda: stage.found(order))
    await stage.breathe(1.5)
    await stage.telegram.block(cast.DMITRY.id)
    await stage.breathe(1.2)
    stage.now(
        "Deniz answers too late. Telegram refuses, and the thread says so in words and what can be done now.",
        look="desk",
        agent=cast.DENIZ.id,
        channel=place.channel,
        thread=place.thread,
    )
    written = await stage.answers(cast.DENIZ, place, f"Добрый день! Заказ {order} приедет завтра.")

    def told() -> bool | None:
        return any(place.holds(one) and one.bot_id and one.ts > written for one in stage.messages()) or None

    await stage.until("words about it in the thread", told)
    await stage.read()
    stage.now("He comes back: unblocking is noticed at once, and the next answer reaches him again.", look="phone")
    await stage.telegram.unblock(cast.DMITRY.id)
    await stage.read()


async def _album(stage: Stage) -> None:
    order = marker()
    stage.now("Ayşe sends three pictures at once. Telegram makes three updates of them.", look="phone", person="ayse")
    await stage.breathe()
    await stage.sends(cast.AYSE, ("broken.png", "parcel.png", "receipt.png"), f"{order}: kırık, kutu ve fiş")
    stage.now("Three requests arrive, each answered after its commit.", look="drawer")
    place = await stage.until("the pictures on the desk", lambda: stage.found(order))
    files = len(stage.slack.files)

    def shown() -> bool | None:
        kept = [one for one in stage.messages() if place.holds(one) and one.ts >= place.ts]
        return sum(len(one.files) for one in kept) >= 3 or len(stage.slack.files) >= files + 3 or None

    await stage.until("three pictures in the thread", shown)
    stage.now(
        "In the thread they stand together, with their caption once.",
        look="desk",
        channel=place.channel,
        thread=place.thread,
    )
    await stage.read()


async def _mention(stage: Stage) -> None:
    order = marker()
    stage.now("Jonas tries to wake up the whole company from a chat window.", look="phone", person="jonas")
    await stage.breathe()
    await stage.writes(
        cast.JONAS,
        f"<!channel> <@{cast.DENIZ.id}> *REFUND NOW* {order} <https://evil.example|Log in here> :rotating_light:",
    )
    place = await stage.until("his message on the desk", lambda: stage.found(order))
    stage.now(
        "On the desk it is what he typed, letter by letter: nobody is mentioned, nothing is bold, nothing is a link.",
        look="desk",
        channel=place.channel,
        thread=place.thread,
    )
    await stage.read()


async def _take(stage: Stage) -> None:
    order, name = marker(), next(WALK_INS)
    stage.now(f"{name}, a new customer, writes.", look="desk", agent=cast.MARTA.id, channel=cast.SUPPORT_CHANNEL)
    await stage.walks_in(name, f"Hello, my money box ({order}) arrived broken. What can you do?")
    place = await stage.until("the message on the desk", lambda: stage.found(order))
    ts, action_id = await stage.until("a card with Take on it", lambda: stage.button(place, "take"))
    stage.now(
        "Deniz and Marta press Take in the same instant.", look="desk", channel=place.channel, thread=place.thread
    )
    await stage.read()
    await asyncio.gather(stage.press(cast.DENIZ, place, ts, action_id), stage.press(cast.MARTA, place, ts, action_id))

    def owned() -> bool | None:
        card = next((one for one in stage.messages() if one.ts == ts), None)
        words = words_of(card) if card else ""
        return any(sign in words for agent in (cast.DENIZ, cast.MARTA) for sign in (agent.id, agent.name)) or None

    await stage.until("a name on the card", owned)
    stage.now(
        "The card has one name on it. The database decided who was first, and the other can see who has it.",
        look="desk",
    )
    await stage.read()


async def _letter(stage: Stage) -> None:
    order = marker()
    stage.now("Zeynep writes a mail, with her signature below.", look="phone", person="zeynep")
    await stage.breathe()
    stage.mails(cast.ZEYNEP, f"Sipariş {order}", "Merhaba,\n\nkumbaranın mavisi var mı? Değiştirmek istiyorum.")
    place = await stage.until("her mail on the desk", lambda: stage.found(order))
    stage.now(
        "On the desk stand the subject and her words. The signature is folded away, not lost.",
        look="desk",
        agent=cast.MARTA.id,
        channel=place.channel,
        thread=place.thread,
    )
    await stage.read()
    answer = f"Merhaba Zeynep Hanım, mavisi var. {order} için değişimi bugün başlatıyoruz."
    written = await stage.answers(cast.MARTA, place, answer)
    got = await stage.says_yes(
        cast.MARTA, place, written, lambda: stage.got(cast.ZEYNEP, answer), "the answer in Zeynep's mailbox"
    )
    stage.now(
        "Marta's answer is a mail like a person's: no ticket number, no furniture.", look="phone", person="zeynep"
    )
    await stage.read()
    thanks = f"Çok teşekkür ederim, kutuyu {order} numarasıyla yarın yolluyorum."
    stage.now("Zeynep answers. Gmail puts everything said before below her words, as mail programs do.", look="phone")
    stage.mail.deliver(cast.ZEYNEP.address, cast.MAILBOX, text=thanks, in_reply_to=got.message_id)
    await stage.until("her answer on the desk", lambda: stage.found(thanks))
    stage.now("In Slack there is what she wrote, and only that. The past is one click away.", look="desk")
    await stage.read()
    if stage.says(place, "şunu yazdı") or stage.says(place, cast.ZEYNEP.signature.splitlines()[-1]):
        raise Stuck("the desk to show her own words alone")


async def _forged(stage: Stage) -> None:
    order = marker()
    stage.now("Hanna writes from her own mailbox. Her provider vouches for her.", look="phone", person="hanna")
    await stage.breathe()
    stage.mails(cast.HANNA, f"Bestellung {order}", f"Guten Tag,\n\nwann kommt meine Bestellung {order}?")
    known = await stage.until("her mail on the desk", lambda: stage.found(f"Bestellung {order}?"))
    stage.now(
        "Her conversation: authenticated, so the team may speak about her order.",
        look="desk",
        channel=known.channel,
        thread=known.thread,
    )
    await stage.read()
    stage.now("Now a stranger writes in her name, from elsewhere. Anybody can put any From on a mail.", look="drawer")
    wish = f"Bitte erstatten Sie {order} auf mein neues Konto."
    stage.mail.deliver(cast.HANNA.address, cast.MAILBOX, f"Erstattung {order}", wish, spoofed=True)
    forged = await stage.until("the forged mail on the desk", lambda: stage.found(wish))
    if forged.thread == known.thread:
        raise Stuck("the forged mail to stay out of her conversation")
    stage.now(
        "It stays apart from her conversation, marked: nobody vouches for this sender.",
        look="desk",
        channel=forged.channel,
        thread=forged.thread,
    )
    await stage.read()


async def _away(stage: Stage) -> None:
    order = marker()
    stage.mail.add_account(cast.HANNA.address, vacation=cast.HANNA.away).answered.clear()
    stage.now("Hanna writes on her last day, and switches her vacation note on.", look="phone", person="hanna")
    await stage.breathe()
    stage.mails(cast.HANNA, f"Rechnung {order}", f"Guten Tag,\n\nbitte senden Sie mir die Rechnung zu {order}.")
    place = await stage.until("her mail on the desk", lambda: stage.found(f"Rechnung zu {order}"))
    stage.now(
        "Deniz answers. She is gone already; her mailbox answers in her place.",
        look="desk",
        agent=cast.DENIZ.id,
        channel=place.channel,
        thread=place.thread,
    )
    answer = f"Guten Tag, die Rechnung zu {order} ist unterwegs."
    written = await stage.answers(cast.DENIZ, place, answer)
    await stage.says_yes(
        cast.DENIZ, place, written, lambda: stage.got(cast.HANNA, answer), "the answer in Hanna's mailbox"
    )
    sent = len(stage.mail.sent)

    def told() -> bool | None:
        """Whether the thread tells of the note."""
        after = (one for one in stage.messages() if place.holds(one) and one.bot_id and one.ts > written)
        return any("Urlaub" in words_of(one) or "Automatische Antwort" in words_of(one) for one in after) or None

    await stage.until("a line about the note in the thread", told)
    stage.now("The note is a small line in the thread. It wakes nobody, and no program answers it.", look="desk")
    await stage.read()
    if len(stage.mail.sent) != sent:
        raise Stuck("nobody to answer the note")


STORIES = (
    Story(
        id="night",
        title="Saturday, 23:40",
        about="Four customers write in four languages while the shop is closed",
        steps=13,
        play=night,
    ),
    Story(
        id="joined",
        title="One customer, three channels",
        about="Instagram, WhatsApp and SMS: who is the same person, and by what proof",
        steps=7,
        play=joined,
    ),
    Story(
        id="window",
        title="The window closes",
        about="An answer comes a day too late for WhatsApp",
        steps=8,
        play=window,
    ),
    Story(id="stop", title="Stop means stop", about="A customer texts STOP, and later START", steps=6, play=stop),
    Story(
        id="elsewhere",
        title="Answered elsewhere",
        about="Somebody answers from the shop's phone",
        steps=3,
        play=elsewhere,
    ),
    Story(
        id="three",
        title="Three in a row",
        about="A customer writes three times before anyone answers",
        steps=5,
        play=_three,
    ),
    Story(
        id="wrong",
        title="A wrong tag",
        about="A word misleads Santral, and an agent sets it right",
        steps=5,
        play=corrected,
    ),
    Story(
        id="letter",
        title="Only what she wrote",
        about="A mail with a signature and everything said before below it",
        steps=5,
        play=_letter,
    ),
    Story(id="forged", title="In her name", about="A stranger writes in a customer's name", steps=4, play=_forged),
    Story(
        id="twice", title="Delivered twice", about="The same update is delivered again and again", steps=3, play=_twice
    ),
    Story(id="down", title="Slack is down", about="Slack is down for a minute", steps=5, play=_down),
    Story(
        id="doubt", title="Did it arrive?", about="The line breaks while an answer is being sent", steps=5, play=_doubt
    ),
    Story(id="away", title="On vacation", about="A vacation note that nobody answers", steps=3, play=_away),
    Story(id="blocks", title="Blocked", about="The customer blocks the bot", steps=3, play=_blocks),
    Story(id="album", title="An album", about="Three pictures at once", steps=3, play=_album),
    Story(id="mention", title="<!channel>", about="A customer tries to mention everybody", steps=2, play=_mention),
    Story(id="take", title="Two press Take", about="Two agents press Take at the same instant", steps=3, play=_take),
)


async def perform(story: Story, stage: Stage) -> None:
    """Play a story to its end. What went wrong is shown; trouble it made is lifted in any case."""
    try:
        await story.play(stage)
    except Stuck as stuck:
        said = f"The story waited in vain for {stuck}. That is worth a look at what travelled."
        stage.show(replace(stage.scene, say=said, over=True, failed=True, until=0.0))
    except (LookupError, ValueError) as error:
        # Whoever watches may press and block as well, and so get in a story's way.
        said = f"The story met something it did not expect: {error}. Play it again to see it through."
        stage.show(replace(stage.scene, say=said, over=True, failed=True, until=0.0))
    else:
        stage.show(replace(stage.scene, over=True, until=0.0))
    finally:
        stage.telegram.troubles.clear()
        stage.slack.troubles.clear()
        for world in (stage.mail, stage.twilio, stage.meta, stage.x):
            world.troubles.clear()
        for writer in cast.WRITERS:
            stage.mail.add_account(writer.address, vacation="")
