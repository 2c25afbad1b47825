"""The stories of deciding: what customers are told at night, who gets what, what was promised, what agents correct.

Rule: as for all stories. Nothing is pressed that a person could not press, and what was left from an earlier play, or
from whoever watches, changes what is said, not whether it works.
"""

from __future__ import annotations

import time

from sandbox import cast
from sandbox.cast import Agent, Person
from sandbox.stage import WALK_INS, Place, Stage, Stuck, marker


async def night(stage: Stage) -> None:
    """Four customers write on Saturday night, and one of them has to wait too long on Monday."""
    first = int(time.time()) % 100_000
    lost, threat, present, broken = (f"K-{(first + step) % 100_000:05d}" for step in range(4))
    await stage.clears(*cast.PEOPLE)
    await stage.turns({"to": "saturday"})
    stage.now("Saturday, 23:40. Nobody is at work before Monday, and four customers write.", look="clock")
    await stage.read()
    stage.now(
        "Ayşe asks in Turkish where her order is. She is told at once that it arrived, and when a person answers.",
        look="phone",
        person="ayse",
    )
    await _told(stage, cast.AYSE, f"Merhaba, {lost} numaralı siparişim nerede acaba?", "Pazartesi 09:00'da")
    stage.now("Дмитрий has had enough, and says so in Russian.", look="phone", person="dmitry")
    threatens = f"Заказ {threat} так и не пришёл, и никто не отвечает! Завтра открываю чарджбэк в банке."
    await _told(stage, cast.DMITRY, threatens, "в понедельник в 09:00")
    stage.now("Emily's present has a date. The shop wrote a rule for that.", look="phone", person="emily")
    asks = f"Hi! {present} is a birthday present. Can you still deliver it by Friday?"
    await _told(stage, cast.EMILY, asks, "Monday at 09:00")
    stage.now("Jonas got a broken one, and writes in German.", look="phone", person="jonas")
    complains = f"Hallo, die Spardose aus {broken} kam zerbrochen an. Ich möchte mein Geld zurück."
    await _told(stage, cast.JONAS, complains, "Montag um 09:00")
    angry = await stage.until("Дмитрий's message on the desk", lambda: stage.found(threat), patience=60)
    stage.now(
        "On the desk Дмитрий is urgent, and the card says why. The time to answer counts from Monday, nine o'clock.",
        look="desk",
        person="dmitry",
        agent=cast.MARTA.id,
        channel=angry.channel,
        thread=angry.thread,
    )
    await stage.read()
    returned = await stage.until("Jonas's message on the desk", lambda: stage.found(broken), patience=60)
    stage.now(
        "What Jonas wrote stands in #returns: broken things and refunds are that team's."
        if returned.channel == cast.RETURNS_CHANNEL
        else "What Jonas wrote stays in #support, with who has him already.",
        look="desk",
        person="jonas",
        channel=returned.channel,
        thread=returned.thread,
    )
    await stage.read()
    await stage.turns({"to": "opening"})
    await stage.turns({"by": -60})
    before = _owner(stage, angry)  # who answered him when this was played before keeps him
    stage.now("Monday, 08:59. Everything waits, and nobody is disturbed.", look="clock")
    await stage.read()
    if _owner(stage, angry) != before:
        raise Stuck("nobody to be given a conversation while nobody is at work")
    await stage.turns({"by": 60})
    stage.now(
        "09:00. Deniz and Marta are there, and get what waits: the most urgent first, and by language.",
        look="desk",
        person="dmitry",
        channel=angry.channel,
        thread=angry.thread,
    )
    owner = await stage.until("somebody on Дмитрий's card", lambda: _owner(stage, angry))
    await stage.read()
    said = len(stage.lines(angry))
    await stage.turns_to(9, 8)
    stage.now(f"09:08, and no answer yet. The thread warns {owner.first_name} while minutes are left.", look="desk")
    await stage.until("a warning in the thread", lambda: _calls(stage, angry, said, owner))
    await stage.read()
    said = len(stage.lines(angry))
    await stage.turns_to(9, 16)
    stage.now("09:16. The promise is broken. Everybody can see it, and Deniz is called in.", look="desk")
    await stage.until("a call to Deniz", lambda: _calls(stage, angry, said, cast.DENIZ))
    await stage.read()
    stage.now(f"{owner.first_name} answers, and the clock of the first answer stands still.", look="desk")
    answer = f"Дмитрий, простите за ожидание! Заказ {threat} застрял на сортировке, сегодня его доставят."
    written = await stage.answers(owner, angry, answer)
    await stage.says_yes(
        owner, angry, written, lambda: stage.heard(cast.DMITRY, answer), "the answer on Дмитрий's phone"
    )
    await stage.read()
    stage.now("He reads it where he wrote: a word on Saturday night, and an answer on Monday.", look="phone")
    await stage.read()


async def _told(stage: Stage, person: Person, text: str, words: str) -> None:
    """Have somebody write, and wait for what they are told at once."""
    before = stage.hears(person, words)
    await stage.writes(person, text)
    await stage.until(f"words on {person.first_name}'s phone", lambda: stage.hears(person, words) > before or None)
    await stage.read()


def _owner(stage: Stage, place: Place) -> Agent | None:
    return next((agent for agent in (cast.MARTA, cast.DENIZ) if stage.owns(agent, place)), None)


def _calls(stage: Stage, place: Place, said: int, agent: Agent) -> bool | None:
    """Whether something new in the thread calls an agent by name."""
    return any(f"<@{agent.id}>" in line for line in stage.lines(place)[said:]) or None


async def corrected(stage: Stage) -> None:
    """A word misleads Santral, and an agent sets it right."""
    order, name = marker(), next(WALK_INS)
    stage.now(f"{name}, a new customer, asks about boxes, with a word that often means something else.", look="desk")
    await stage.walks_in(name, f"Hi! Do you take returns of the empty boxes, to use them again? ({order})")
    place = await stage.until("the question on the desk", lambda: stage.found(order))
    if place.channel != cast.RETURNS_CHANNEL:
        raise Stuck("the word “returns” to bring it to the team that handles them")
    stage.now(
        "“Returns” made it a return, and brought it to #returns. The card says by what it was judged.",
        look="desk",
        agent=cast.DENIZ.id,
        channel=place.channel,
        thread=place.thread,
    )
    await stage.read()
    stage.now("Deniz knows better. Under More… he sets it right: a question, not pressing, for support.", look="desk")
    window = await stage.opens(cast.DENIZ, place, "more")
    await stage.read()
    right = {"tags": ["product-question"], "priority": "low", "team": "support"}
    await stage.submits(cast.DENIZ, window, right)
    stage.now("The conversation goes over to #support, and the old card leads there.", look="desk")

    def moved() -> Place | None:
        found = stage.found(order)
        there = found is not None and found.channel == cast.SUPPORT_CHANNEL
        return found if there and found is not None and "product-question" in stage.card(found) else None

    now = await stage.until("the conversation in #support", moved, patience=60)
    await stage.read()
    stage.now(
        f"What he set right stays, whatever {name} writes next, and Santral learns from it for the messages to come.",
        look="desk",
        channel=now.channel,
        thread=now.thread,
    )
    await stage.read()
