"""The stories of channels: who is the same person, when an answer may not be sent, and who else answers.

Rule: as for all stories. What a provider forbids is tried, because the refusal is what is to be seen.
"""

from __future__ import annotations

from typing import Any

from sandbox import cast
from sandbox.cast import Agent, Person
from sandbox.furnish import person_in
from sandbox.lines import APPS
from sandbox.stage import Place, Stage, Stuck, marker

DAY_AND_MORE = 25 * 3600  # seconds; WhatsApp's window is 24 hours
COLLEAGUE = "Merhaba Elif Hanım, telefondan yazıyorum: kırmızıdan iki tane ayırdım."


async def joined(stage: Stage) -> None:
    """One customer writes by three channels; two of them prove that she is the same person."""
    order = marker()
    await stage.clears(cast.ELIF)
    stage.now("Elif asks on Instagram.", look="phone", person="elif", app="instagram")
    await stage.breathe()
    await stage.texts(cast.ELIF, "instagram", f"Merhaba, {order} numaralı siparişim hediye paketi olabilir mi?")
    insta = await stage.until("her message on the desk", lambda: stage.found(f"{order} numaralı siparişim"))
    await stage.read()
    stage.now("Then she asks on WhatsApp.", look="phone", person="elif", app="whatsapp")
    await stage.breathe()
    await stage.texts(cast.ELIF, "whatsapp", f"Buradan da sorayım: {order} hediye paketi olur mu?")
    whats = await stage.until("her WhatsApp message on the desk", lambda: stage.found(f"sorayım: {order}"))
    if whats.thread == insta.thread:
        raise Stuck("a name alone to be no proof")
    stage.now(
        "A thread of its own: Instagram knows her by a name, WhatsApp by her number. A name proves nothing.",
        look="desk",
        channel=whats.channel,
        thread=whats.thread,
    )
    await stage.read()
    stage.now("She texts as well, from the same number.", look="phone", person="elif", app="sms")
    await stage.breathe()
    await stage.texts(cast.ELIF, "sms", f"SMS de atayım, {order} acil!")
    texted = await stage.until("her text message on the desk", lambda: stage.found(f"{order} acil!"))
    if texted.thread != whats.thread:
        raise Stuck("the text message to stand in the thread of her number")
    stage.now(
        "The carrier vouches for the number: one conversation, one thread. Each line says where it came from.",
        look="desk",
        channel=texted.channel,
        thread=texted.thread,
    )
    await stage.read()
    stage.now("Deniz answers once, and it reaches her where she wrote last.", look="desk", agent=cast.DENIZ.id)
    answer = f"Elbette, {order} hediye paketiyle gelecek."
    await _reaches(stage, cast.DENIZ, texted, answer, cast.ELIF, "sms")
    stage.now("There it is, by SMS.", look="phone", person="elif", app="sms")
    await stage.read()


async def window(stage: Stage) -> None:
    """An answer comes a day too late for WhatsApp, and an approved template opens the way again."""
    order = marker()
    await stage.clears(cast.JONAS)
    stage.now("Jonas asks on WhatsApp.", look="phone", person="jonas", app="whatsapp")
    await stage.breathe()
    await stage.texts(cast.JONAS, "whatsapp", f"Hallo, gibt es zu {order} schon eine Antwort?")
    place = await stage.until("his message on the desk", lambda: stage.found(order))
    stage.now(
        "The card says until when WhatsApp lets a shop answer freely: 24 hours.",
        look="desk",
        agent=cast.MARTA.id,
        channel=place.channel,
        thread=place.thread,
    )
    await stage.read()
    await stage.turns({"by": DAY_AND_MORE})
    stage.now("A day and an hour later. Nobody has answered.", look="clock")
    await stage.read()
    stage.now("Now Marta writes. WhatsApp would refuse it, so it is not even tried: the thread says why.", look="desk")
    card = place.thread
    await stage.answers(cast.MARTA, place, f"Guten Tag, {order} ist heute unterwegs.")

    def offered() -> bool | None:
        pressed = stage.button(place, "template")
        return (pressed is not None and pressed[0] != card) or None

    await stage.until("the offer of a template below the refusal", offered)
    await stage.read()
    stage.now("She is offered what Meta has approved. She picks it, reads it, and sends it.", look="desk")
    shown = await stage.opens(cast.MARTA, place, "template")
    await stage.breathe(1.5)
    await stage.picks(cast.MARTA, shown, "template_choice")
    await stage.until("the words of the template", lambda: "Jonas" in stage.window(shown) or None)
    await stage.read()
    await stage.submits(cast.MARTA, shown, {})
    await stage.until("the template on his phone", lambda: _template(stage, cast.JONAS, "whatsapp"))
    stage.now("It reaches him at any time, because it was approved.", look="phone", person="jonas", app="whatsapp")
    await stage.read()
    stage.now("He writes back, and with that the window is open for another day.", look="phone", app="whatsapp")
    await stage.texts(cast.JONAS, "whatsapp", f"Ja bitte, was ist mit {order}?")
    await stage.until("his answer on the desk", lambda: stage.found(f"was ist mit {order}"))
    await stage.breathe()
    answer = f"Ihre Bestellung {order} kommt morgen an."
    await _reaches(stage, cast.MARTA, place, answer, cast.JONAS, "whatsapp")
    stage.now("And Marta's own words go through again.", look="phone", person="jonas", app="whatsapp")
    await stage.read()


async def stop(stage: Stage) -> None:
    """A customer texts STOP, and nothing reaches her until she texts START."""
    order = marker()
    await stage.clears(cast.EMILY)
    stage.now("Emily asks by SMS.", look="phone", person="emily", app="sms")
    await stage.breathe()
    await stage.texts(cast.EMILY, "sms", "START")  # an earlier play may have been stopped before its end
    await stage.texts(cast.EMILY, "sms", f"Hi, where is order {order}?")
    place = await stage.until("her message on the desk", lambda: stage.found(f"order {order}"))
    await stage.breathe(1.5)
    stage.now("Then she has had enough of text messages.", look="phone", person="emily", app="sms")
    said = len(stage.lines(place))
    await stage.texts(cast.EMILY, "sms", "STOP")
    await stage.until("her wish in the thread", lambda: any("STOP" in one for one in stage.lines(place)[said:]) or None)
    stage.now(
        "The thread says so at once, and the card keeps it in sight.",
        look="desk",
        agent=cast.DENIZ.id,
        channel=place.channel,
        thread=place.thread,
    )
    await stage.read()
    said = len(stage.lines(place))
    stage.now("Deniz has missed it and answers. It is not sent: not by accident, and not by SMS.", look="desk")
    await stage.answers(cast.DENIZ, place, f"Hi Emily, {order} is out for delivery.")
    await stage.until(
        "the refusal in the thread", lambda: any("STOP" in one for one in stage.lines(place)[said:]) or None
    )
    if stage.shown(cast.EMILY, "sms", f"{order} is out"):
        raise Stuck("nothing to reach her after STOP")
    await stage.read()
    stage.now("She changes her mind. START lifts it.", look="phone", person="emily", app="sms")
    said = len(stage.lines(place))
    await stage.texts(cast.EMILY, "sms", "START")
    await stage.until("her return in the thread", lambda: len(stage.lines(place)) > said or None)
    await stage.breathe()
    answer = f"Welcome back! {order} arrives today."
    await _reaches(stage, cast.DENIZ, place, answer, cast.EMILY, "sms")
    stage.now("The next answer reaches her.", look="phone", person="emily", app="sms")
    await stage.read()


async def elsewhere(stage: Stage) -> None:
    """Somebody in the shop answers from the phone, and the thread knows."""
    order = marker()
    await stage.clears(cast.ELIF)
    stage.now("Elif writes on WhatsApp.", look="phone", person="elif", app="whatsapp")
    await stage.breathe()
    await stage.texts(cast.ELIF, "whatsapp", f"Merhaba, {order} için kırmızıdan iki tane ayırır mısınız?")
    place = await stage.until("her message on the desk", lambda: stage.found(order))
    await stage.breathe(1.5)
    stage.now(
        "A colleague without Slack picks up the shop's phone and answers in WhatsApp itself.",
        look="phone",
        person="elif",
        app="whatsapp",
    )
    words = f"{COLLEAGUE} ({order})"
    await stage.meta.write_from_phone_app(
        line=APPS["whatsapp"].line, person=person_in("whatsapp", cast.ELIF), text=words
    )
    await stage.until("the answer in the thread", lambda: stage.says(place, f"({order})") or None)
    await stage.read()
    stage.now(
        "The thread shows it, marked as answered elsewhere, so that nobody answers twice.",
        look="desk",
        channel=place.channel,
        thread=place.thread,
    )
    await stage.read()
    if sum(f"({order})" in one["text"] for one in stage.chat(cast.ELIF, "whatsapp")) != 1:
        raise Stuck("her phone to show it once")


async def _reaches(stage: Stage, agent: Agent, place: Place, answer: str, person: Person, app: str) -> None:
    """Have an agent answer in the thread, and wait until the person's phone shows it."""
    written = await stage.answers(agent, place, answer)
    what = f"the answer on {person.first_name}'s phone"
    await stage.says_yes(agent, place, written, lambda: stage.shown(person, app, answer), what)


def _template(stage: Stage, person: Person, app: str) -> dict[str, Any] | None:
    """The template at the end of a chat."""
    newest = stage.chat(person, app)[-1]
    return newest if newest["template"] and newest["status"] in ("sent", "delivered", "read") else None
