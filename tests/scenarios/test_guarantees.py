"""What holds for every channel alike: SMS, WhatsApp in both ways, Messenger, Instagram and X between their emulators.

Rule: what is asked here is asked of each of them in the same words; what only one of them can stands in its own file.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.providers import (
    APP_SECRET,
    INSTAGRAM,
    KINDS,
    NUMBER_ID,
    PAGE,
    SMS,
    WHATSAPP_TWILIO,
    X_CONSUMER,
    X_USER,
)
from tests.scenarios.desk import Json, answer, card_of, lines, marked, query
from tests.world import AYSE, SUPPORT, World, eventually

PHONE, KEY, X_ID = "+905550001001", "ayse", "1500000000000000001"
LINES = {"sms": SMS, "whatsapp-twilio": WHATSAPP_TWILIO, "whatsapp": NUMBER_ID, "messenger": PAGE}
LINES |= {"instagram": INSTAGRAM, "x": X_USER}
LIMIT = 8 << 20  # bytes of a webhook
DONE = frozenset({"white_check_mark", "ballot_box_with_check", "eyes"})  # sent, delivered, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """One customer's phone with one app on it, and that app's provider."""

    world: World
    kind: str

    @property
    def provider(self) -> Any:
        providers = self.world.providers
        return {"x": providers.x, "sms": providers.twilio, "whatsapp-twilio": providers.twilio}.get(
            self.kind, providers.meta
        )

    @property
    def sending(self) -> str:
        """What the provider calls the sending of a message."""
        names = {"whatsapp": "whatsapp.messages", "messenger": "messenger.messages", "instagram": "messenger.messages"}
        return names.get(self.kind, "messages.create")

    def takes(self, name: str = "Ayşe Yılmaz") -> None:
        """Give somebody this app."""
        match self.kind:
            case "x":
                self.provider.add_person(id=X_ID, name=name, username="ayseyilmaz")
            case "sms" | "whatsapp-twilio":
                self.provider.add_person(name, PHONE)
            case _:
                self.provider.add_person(KEY, name, phone=PHONE.removeprefix("+"))

    async def says(self, text: str) -> str:
        line = LINES[self.kind]
        match self.kind:
            case "x":
                return str(await self.provider.say(person=X_ID, line=line, text=text))
            case "sms" | "whatsapp-twilio":
                return str(await self.provider.say(PHONE, line, text))
            case _:
                return str(await self.provider.say(KEY, line, text))

    async def repeat(self, id: str) -> None:
        """Have the provider bring a message again."""
        if self.kind == "x":
            events = [one["event"] for one in self.provider.journal.attempts() if id in str(one["body"])]
            for event in dict.fromkeys(events):
                await self.provider.repeat(event)
        else:
            await self.provider.repeat(id)

    def answers(self) -> list[str]:
        """The shop's words on the phone."""
        line = LINES[self.kind]
        match self.kind:
            case "x":
                found = self.provider.state()["chats"].get(f"{line}|{X_ID}", [])
            case "sms" | "whatsapp-twilio":
                found = self.provider.state("")["chats"].get(f"{line}|{PHONE}", [])
            case _:
                chat = self.provider.chat(self.provider.accounts.line(line), KEY)
                return [one.text for one in chat.entries.values() if one.author == "shop" and one.status != "failed"]
        return [one["text"] for one in found if one["from"] == "shop" and one["status"] != "failed"]

    def calls(self) -> list[Json]:
        found: list[Json] = self.provider.journal.calls(0, self.sending)
        return found

    def trouble(self, **rule: Any) -> None:
        self.provider.troubles.clear()
        self.provider.troubles.add([{"match": self.sending, "times": 1, **rule}])

    def troubled(self) -> bool:
        """Whether the trouble came to pass."""
        return all(rule["fired"] for rule in self.provider.troubles.plain())


async def begun(world: World, kind: str) -> Phone:
    """Santral with one channel and a customer who has its app."""
    await world.add_channels(kind)
    phone = Phone(world=world, kind=kind)
    phone.takes()
    await world.start()
    return phone


async def stored(world: World) -> list[str]:
    rows = await query(world, "select text from messages where direction = 'in' order by conversation_id, position")
    return [row["text"] for row in rows]


@pytest.mark.parametrize("kind", KINDS)
async def test_webhooks_shuffled_and_again_and_again_are_each_message_once(world: World, kind: str) -> None:
    phone = await begun(world, kind)
    first = await phone.says("Merhaba")
    card = await world.card_with("Merhaba")
    await phone.provider.hold()
    said = [f"soru-{number}" for number in range(5)]
    ids = [first, *[await phone.says(text) for text in said]]
    await phone.provider.release("shuffle")

    async def all_stored() -> bool:
        return sorted(await stored(world)) == sorted(["Merhaba", *said])

    await eventually(all_stored)
    await phone.provider.idle()  # it has heard that they were taken
    for id in (*ids, *reversed(ids)):
        await phone.repeat(id)
    await phone.provider.idle()
    await phone.says("Son soru")

    async def shown() -> bool:
        return lines(await card_of(world, card["ts"]), [*said, "Son soru"])[-1:] == ["Son soru"]

    await eventually(shown)
    kept = await stored(world)
    assert sorted(kept) == sorted(["Merhaba", *said, "Son soru"])
    assert ["Merhaba", *lines(await card_of(world, card["ts"]), [*said, "Son soru"])] == kept
    assert len(await world.roots()) == 1
    assert len(await query(world, "select 1 from customers")) == 1


def meta_signature(body: bytes, secret: str = APP_SECRET) -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def x_signature(body: bytes, secret: str = X_CONSUMER[1]) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return {"x-twitter-webhooks-signature": "sha256=" + base64.b64encode(digest).decode()}


async def test_what_nobody_signed_is_refused_counted_and_leaves_nothing(world: World) -> None:
    await world.add_channels()
    await world.start()
    before = await refused(world)
    body = b'{"object":"page","entry":[],"for_user_id":"2244994945","direct_message_events":[]}'
    json_ = {"Content-Type": "application/json"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    forged = [
        {},
        {
            **json_,
            "X-Hub-Signature-256": "sha256=",
            "x-twitter-webhooks-signature": "sha256=",
            "X-Twilio-Signature": "",
        },
        {**json_, **meta_signature(body, "guessed"), **x_signature(body, "guessed"), "X-Twilio-Signature": "Zm9yZ2Vk"},
        {**json_, **meta_signature(body + b" "), **x_signature(body + b" "), "X-Twilio-Signature": "ü"},
        {**form, "X-Hub-Signature-256": "md5=1", "x-twitter-webhooks-signature": "", "X-Twilio-Signature": "Zm9yZ2Vk"},
    ]
    async with aiohttp.ClientSession() as session:
        for kind in KINDS:
            url = f"{world.url}/webhooks/{kind}"
            for headers in forged:
                for query_ in ("", "?bodySHA256=00&delivery=1"):
                    async with session.post(url + query_, data=body, headers=headers) as given:
                        said = await given.read()
                        assert given.status in (401, 403), (kind, headers)
                        if kind in (
                            "sms",
                            "whatsapp-twilio",
                        ):  # what stands in plain text would be texted to the customer
                            assert given.content_type == "text/xml"
                            assert said.endswith(b"<Response/>")
            for asked in (
                "",
                "?crc_token=%7B%22for_user_id%22%3A1%7D",
                "?hub.mode=subscribe&hub.verify_token=a&hub.challenge=1",
            ):
                async with session.get(url + asked) as given:
                    assert given.status in (403, 404), (kind, asked)
    after = await refused(world)
    for kind in KINDS:
        assert after[kind] - before.get(kind, 0) >= 2 * len(forged)
    for table in ("messages", "customers", "quarantine", "early_receipts"):
        assert await query(world, f"select 1 from {table}") == []


async def refused(world: World) -> dict[str, float]:
    """How many requests were refused, by channel, as the metrics tell."""
    async with aiohttp.ClientSession() as session, session.get(f"{world.url}/metrics") as given:
        found: dict[str, float] = {}
        for line in (await given.text()).splitlines():
            if line.startswith("santral_refused_total{"):
                kind = line.partition('door="')[2].partition('"')[0]
                found[kind] = found.get(kind, 0) + float(line.rpartition(" ")[2])
        return found


async def test_a_webhook_of_eight_mebibytes_is_read_and_a_larger_one_is_refused(world: World) -> None:
    await world.add_channels("whatsapp", "messenger", "instagram", "x")
    await world.start()
    async with aiohttp.ClientSession() as session:
        for kind, sign in (
            ("whatsapp", meta_signature),
            ("messenger", meta_signature),
            ("instagram", meta_signature),
            ("x", x_signature),
        ):
            names = {"whatsapp": "whatsapp_business_account", "messenger": "page", "instagram": "instagram"}
            start = json.dumps({"object": names.get(kind, ""), "entry": [], "for_user_id": X_USER})[:-1] + ',"pad":"'
            for size, status in ((LIMIT, 200), (LIMIT + 1, 413)):
                body = start.encode() + b"x" * (size - len(start) - 2) + b'"}'
                assert len(body) == size
                url, headers = f"{world.url}/webhooks/{kind}", {"Content-Type": "application/json", **sign(body)}
                async with session.post(url, data=body, headers=headers) as given:
                    assert (kind, size, given.status) == (kind, size, status)
    assert await query(world, "select 1 from quarantine") == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_provider_in_trouble_delays_an_answer_and_never_doubles_it(world: World, kind: str) -> None:
    phone = await begun(world, kind)
    await phone.says("Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    told: list[str] = []
    rules: list[Json] = [{"action": "status", "status": 500}, {"action": "status", "status": 503}]
    if phone.provider is not world.providers.meta:  # which counts in minutes
        rules.append({"action": "ratelimit", "retry_after": 1})
    for rule in rules:
        phone.trouble(**rule)
        told.append(f"cevap {len(told) + 1}")
        ts = await answer(world, card, told[-1])
        await reads(phone, *told)
        await done(world, ts)
        assert phone.troubled()
    phone.trouble(action="drop_after")
    told.append("son cevap")
    ts = await answer(world, card, told[-1])
    await reads(phone, *told)
    await done(world, ts)
    assert phone.troubled()
    await answer(world, card, "bir şey daha")
    await reads(phone, *told, "bir şey daha")
    await phone.provider.idle()
    assert phone.answers() == [*told, "bir şey daha"]


async def reads(phone: Phone, *texts: str) -> None:
    """Until the phone shows exactly these answers."""
    await eventually(lambda: phone.answers() == list(texts))


async def done(world: World, ts: str) -> None:
    """Until an agent's message is marked as sent, or as more."""
    message = world.slack.channels[SUPPORT].messages[ts]
    await eventually(lambda: len(message.reactions) == 1 and set(message.reactions) <= DONE)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_that_may_have_arrived_is_found_out_or_asked_about(world: World, kind: str) -> None:
    """The line broke before the provider did anything, which we cannot know."""
    phone = await begun(world, kind)
    await phone.says("Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    phone.trouble(action="drop_before")
    ts = await answer(world, card, "Yarın sizde")

    await eventually(phone.troubled)
    if kind in ("sms", "whatsapp-twilio"):  # which is asked until it has surely done with it
        await eventually(lambda: query(world, "select 1 from deliveries where sending_at is not null"))
        await query(world, "update deliveries set sending_at = sending_at - interval '30 s'")
        await query(world, "update work set run_at = now() where kind = 'deliver' and lease is null")

    async def settled() -> str:
        if phone.answers() == ["Yarın sizde"]:
            return "found out"
        return "asked" if await question(world, card["ts"]) else ""

    how = await eventually(settled)
    # Twilio's list is whole. Meta says nothing of what it does not have, and X's list is not to be believed so early.
    assert how == ("found out" if phone.provider is world.providers.twilio else "asked")
    if how == "asked":
        await marked(world, ts, "warning")
        asked = await question(world, card["ts"])
        assert asked
        twice = (world.slack.press(AYSE, "delivery_again", channel=SUPPORT, ts=asked["ts"]) for _ in range(2))
        await asyncio.gather(*twice)  # a double click: both before the button is gone
    await reads(phone, "Yarın sizde")
    await done(world, ts)
    await answer(world, card, "Bugün yola çıktı")
    await reads(phone, "Yarın sizde", "Bugün yola çıktı")


async def question(world: World, ts: str) -> Json | None:
    """What asks in a thread what became of an answer."""
    replies = (await card_of(world, ts))["replies"]
    return next((reply for reply in replies if "delivery_again" in str(reply["blocks"])), None)
