"""Two channels of one page, registered against the emulator, which keeps what was written last as Meta does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from channels.channel import Finding
from channels.errors import Misconfigured
from channels.meta.graph_setup import SECRET_REFUSED
from channels.meta.instagram import Instagram, InstagramConfig
from channels.meta.messenger import FIELDS, Messenger, MessengerConfig
from channels.meta.setup import TRIES
from channels.whatsapp.adapter import WhatsApp, WhatsAppConfig
from sandbox.meta import World, application
from tests.channels import harness
from tests.channels.harness import Answer
from tests.channels.test_messenger import SUBJECT

SECRET, PAGE, IG, NUMBER, WABA = "app-secret", "20000000001", "17840000000001", "106540000000001", "102290000000001"
HERE = "https://shop.example/webhooks"


@pytest.fixture
async def meta() -> AsyncIterator[str]:
    """An emulator with a page, the account behind it and a WhatsApp number, whose app tells another address."""
    world = World(app_secret=SECRET, seed=7)
    outer = web.Application()
    outer.add_subapp("/meta", application(world))
    runner = web.AppRunner(outer, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    world.base = f"http://127.0.0.1:{runner.addresses[0][1]}/meta"
    world.add_number(id=NUMBER, waba=WABA, display="+90 555 000 01 00", name="Kumbara", token="T-WA")
    world.add_page(id=PAGE, name="Kumbara", token="T-PAGE")
    world.add_instagram(id=IG, username="kumbara", page=PAGE)
    world.subscribe("https://old.example/x", "verify-me")
    world.accounts.subscribed.clear()  # the app knows its webhook, the accounts do not know the app yet
    yield world.base
    await runner.cleanup()


def messenger(meta: str, page: str = PAGE, secret: str = SECRET) -> Messenger:
    return Messenger(
        "messenger",
        MessengerConfig(page_id=page, access_token="T-PAGE", app_secret=secret, verify_token="verify-me", api_url=meta),
    )


def instagram(meta: str, secret: str = SECRET) -> Instagram:
    return Instagram(
        "instagram",
        InstagramConfig(
            ig_id=IG, page_id=PAGE, access_token="T-PAGE", app_secret=secret, verify_token="verify-me", api_url=meta
        ),
    )


def whatsapp(meta: str, number: str = NUMBER, secret: str = SECRET) -> WhatsApp:
    config = WhatsAppConfig(
        phone_number_id=number, access_token="T-WA", app_secret=secret, verify_token="verify-me", api_url=meta
    )
    return WhatsApp("wa", config)


async def found(channel: Messenger | Instagram | WhatsApp) -> list[Finding]:
    findings = [it for it in await channel.check(f"{HERE}/{channel.name}") if not it.ok]
    await channel.close()
    return findings


@pytest.mark.parametrize("first", ["messenger", "instagram"])
async def test_two_channels_of_one_page_register_at_once_and_the_page_tells_both_all(meta: str, first: str) -> None:
    made: list[Messenger | Instagram] = [messenger(meta), instagram(meta)]
    made.sort(key=lambda it: it.name != first)
    await asyncio.gather(*(it.register(f"{HERE}/{it.name}") for it in made))
    left = [it.what for channel in made for it in await found(channel) if it.what.startswith("The app is not told")]
    assert left == []


async def test_two_processes_that_write_at_once_do_not_undo_each_other() -> None:
    """The second process writes between our writing and our reading back."""
    theirs, token = ["messages"], {"app_id": "4", "is_valid": True, "scopes": []}
    hook = {"object": "page", "callback_url": "https://old.example/x", "active": True, "fields": []}
    answers = (
        Answer(body={"data": token}),
        Answer(body={"data": [hook]}),
        Answer(body={"data": []}),
        Answer(body={"success": True}),
        Answer(body={"data": [{"id": "4", "subscribed_fields": theirs}]}),
        Answer(body={"success": True}),
        Answer(body={"data": [{"id": "4", "subscribed_fields": sorted(FIELDS)}]}),
    )
    async with harness.provider(SUBJECT, *answers) as canned:
        channel = messenger(canned.url)
        await channel.register(f"{HERE}/messenger")
        await channel.close()
        asked = [call.method for call in canned.calls if "/subscribed_apps" in call.path]
    assert asked == ["GET", "POST", "GET", "POST", "GET"]


async def test_a_page_that_never_tells_all_is_not_asked_for_ever() -> None:
    none, done = Answer(body={"data": []}), Answer(body={"success": True})
    token = Answer(body={"data": {"app_id": "4", "is_valid": True, "scopes": []}})
    hook = {"object": "page", "callback_url": "https://old.example/x", "active": True, "fields": []}
    answers = (token, Answer(body={"data": [hook]}), *(none, done) * TRIES)
    async with harness.provider(SUBJECT, *answers) as canned:
        channel = messenger(canned.url)
        await channel.register(f"{HERE}/messenger")
        await channel.close()
        assert len(canned.calls) == len(answers)


@pytest.mark.parametrize("make", [messenger, instagram, whatsapp], ids=lambda it: it.__name__)
async def test_a_wrong_app_secret_is_named(meta: str, make: Callable[..., Messenger | Instagram | WhatsApp]) -> None:
    (finding,) = await found(make(meta, secret="another-secret"))
    assert finding.what == SECRET_REFUSED
    assert "app_secret" in finding.fix
    channel = make(meta, secret="another-secret")
    with pytest.raises(Misconfigured, match="app_secret"):  # the log says it as well
        await channel.register(f"{HERE}/{channel.name}")
    await channel.close()


async def test_a_wrong_id_is_named_by_its_key_and_once(meta: str) -> None:
    page = await found(messenger(meta, page="99999"))
    assert [it.what for it in page if "knows nothing" in it.what] == [
        "Meta knows nothing by the page_id given, or the access token may not see it."
    ]
    number = await found(whatsapp(meta, number="905550000100"))
    assert [it.what for it in number if "knows nothing" in it.what] == [
        "Meta knows nothing by the phone_number_id given, or the access token may not see it."
    ]
    assert all("Unsupported" not in it.what for it in (*page, *number))
