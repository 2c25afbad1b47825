"""The phones of the apps on the demo page, and the shop's own site, in a real browser. No Santral runs here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Page, expect

from sandbox import cast, lines
from sandbox.furnish import person_in
from sandbox.page import Options
from sandbox.stage import Scene
from tests.ports import free_port
from tests.sandbox.test_page import HOSTILE, Visit, browser, visit, write

__all__ = ["browser", "visit"]  # fixtures

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("page")]

PAIRS = [
    (cast.EMILY, "sms"),
    (cast.OMAR, "whatsapp-twilio"),
    (cast.ELIF, "whatsapp"),
    (cast.NINA, "messenger"),
    (cast.AYSE, "instagram"),
    (cast.NINA, "x"),
]


def chat(seen: Visit, person: cast.Person, app: str) -> list[dict[str, Any]]:
    states = {"twilio": seen.demo.twilio.state, "meta": seen.demo.meta.state, "x": seen.demo.x.state}
    chats = states[lines.APPS[app].world]()["chats"]
    found: list[dict[str, Any]] = chats.get(f"{lines.APPS[app].line}|{person_in(app, person)}", [])
    return found


async def take_up(page: Page, person: cast.Person, app: str) -> None:
    await page.click(f"[data-person={person.key}]")
    await page.click(f".dock-app[data-app={app}]")
    await expect(page.locator("#phone")).to_have_attribute("data-app", app)


async def graph(seen: Visit, line: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
    """Write as the shop by Meta's API."""
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{seen.url}meta/v25.0/{line}/messages"
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as answer:
        told: dict[str, Any] = await answer.json()
    assert "error" not in told, told
    return told


def whatsapp(seen: Visit, **body: Any) -> Any:
    to = {"messaging_product": "whatsapp", "to": cast.ELIF.phone.lstrip("+")}
    return graph(seen, lines.WHATSAPP_LINE, lines.NUMBER_TOKEN, {**to, **body})


async def menu(page: Page, bubble: str, entry: str) -> None:
    row = page.locator(bubble)
    await row.hover()
    await row.locator(".bubble-more").click()
    await row.locator(f".bubble-menu >> text={entry}").click()


@pytest.mark.parametrize(("person", "app"), PAIRS, ids=[app for _, app in PAIRS])
async def test_what_is_typed_in_an_app_is_a_bubble_and_reaches_its_provider(
    visit: Visit, person: cast.Person, app: str
) -> None:
    await take_up(visit.page, person, app)
    await write(visit, HOSTILE)
    await expect(visit.page.locator("#phone-chat .mine .tg-text")).to_have_text(HOSTILE)
    (entry,) = chat(visit, person, app)
    assert (entry["from"], entry["text"]) == ("customer", HOSTILE)


@pytest.mark.parametrize(("person", "app"), PAIRS[1:], ids=[app for _, app in PAIRS[1:]])
async def test_a_picture_goes_out_and_is_shown(visit: Visit, person: cast.Person, app: str) -> None:
    page = visit.page
    await take_up(page, person, app)
    await page.click(".tg-clip")
    await page.locator(".tg-attach button").first.click()
    await write(visit, "broken")
    await expect(page.locator("#phone-chat .tg-picture img")).to_have_count(1)
    await page.wait_for_function("() => document.querySelector('.tg-picture img').naturalWidth > 100")
    assert [one["file"]["filename"] for one in chat(visit, person, app) if one["file"]] == ["broken.png"]
    await expect(page.locator("#phone-chat")).to_contain_text("broken")


async def test_two_apps_of_one_person_are_two_chats_on_one_phone(visit: Visit) -> None:
    page = visit.page
    await take_up(page, cast.ELIF, "sms")
    await write(visit, "by text")
    await expect(page.locator("#phone-chat")).to_contain_text("by text")
    await visit.demo.meta.write_from_phone_app(line=lines.WHATSAPP_LINE, person="elif", text="from the shop's phone")
    await expect(page.locator(".dock-app[data-app=whatsapp] .badge")).to_have_text("1")
    await expect(page.locator("[data-person=elif] > .badge")).to_have_text("1")
    await take_up(page, cast.ELIF, "whatsapp")
    await expect(page.locator("#phone-chat")).not_to_contain_text("by text")
    await expect(page.locator("#phone-chat .theirs")).to_contain_text("not from Slack")
    await expect(page.locator(".dock-app .badge")).to_have_count(0)


async def test_a_message_is_reacted_to_answered_edited_and_unsent(visit: Visit) -> None:
    page = visit.page
    await take_up(page, cast.ELIF, "whatsapp")
    await write(visit, "zwei bitte")
    mine = "#phone-chat .mine >> nth=0"
    await page.locator(mine).hover()
    await page.locator(f"{mine} >> .bubble-more").click()
    await page.locator(".app-signs button").nth(1).click()
    await expect(page.locator(".app-reactions")).to_have_text("❤️")
    await menu(page, mine, "Edit")
    await expect(page.locator("#phone-text")).to_have_value("zwei bitte")
    await write(visit, "drei bitte")
    await expect(page.locator("#phone-chat .mine .tg-text")).to_have_text("drei bitte")
    await expect(page.locator("#phone-chat .tg-meta")).to_contain_text("edited")
    await menu(page, mine, "Reply")
    await write(visit, "doch vier")
    await expect(page.locator(".tg-quote")).to_contain_text("drei bitte")
    await menu(page, mine, "Unsend")
    await expect(page.locator("#phone-chat .withdrawn")).to_contain_text("You unsent a message")
    first, second = chat(visit, cast.ELIF, "whatsapp")
    assert (first["withdrawn"], second["reply_to"]) == (True, first["id"])


async def test_a_button_is_pressed_and_whoever_looks_has_read(visit: Visit) -> None:
    page = visit.page
    await take_up(page, cast.ELIF, "whatsapp")
    await write(visit, "Merhaba")
    await expect(page.locator("#phone-chat .mine")).to_have_count(1)
    buttons = [{"type": "reply", "reply": {"id": "yes", "title": "Evet"}}]
    asked = {"type": "button", "body": {"text": "Hediye paketi olsun mu?"}, "action": {"buttons": buttons}}
    await whatsapp(visit, type="interactive", interactive=asked)
    await expect(page.locator("#phone-chat .theirs")).to_contain_text("Hediye paketi")
    await page.click("[data-choice=Evet]")
    await expect(page.locator("#phone-chat .mine")).to_have_count(2)
    await page.wait_for_function(
        "async () => Object.values((await (await fetch('/meta/control/state')).json()).chats).flat()"
        ".some((one) => one.from === 'shop' && one.status === 'read')"
    )
    assert chat(visit, cast.ELIF, "whatsapp")[-1]["text"] == "Evet"


async def test_what_did_not_get_through_is_told_with_its_code(visit: Visit) -> None:
    page = visit.page
    await take_up(page, cast.ELIF, "whatsapp")
    await write(visit, "Merhaba")
    await expect(page.locator("#phone-chat .mine")).to_have_count(1)
    await visit.demo.meta.fail_next(line=lines.WHATSAPP_LINE, code=131026)
    await whatsapp(visit, type="text", text={"body": "never seen"})
    await expect(page.locator("#phone-chat .tg-service")).to_contain_text("(131026)")
    await expect(page.locator("#phone-chat")).not_to_contain_text("never seen")


async def test_who_texted_stop_can_only_text_start(visit: Visit) -> None:
    page = visit.page
    await take_up(page, cast.EMILY, "sms")
    await page.click(".tg-menu summary")
    await page.click(".menu >> text=Text STOP")
    await expect(page.locator("#phone-chat .tg-service")).to_contain_text("You texted STOP")
    await expect(page.locator("#phone-text")).to_have_count(0)
    await page.locator("#phone-foot").get_by_text("Text START").click()
    await expect(page.locator("#phone-text")).to_be_visible()
    texts = [one["text"] for one in chat(visit, cast.EMILY, "sms") if one["from"] == "customer"]
    assert texts == ["STOP", "START"]


@pytest.mark.parametrize(("person", "app"), [(cast.OMAR, "whatsapp-twilio"), (cast.NINA, "x")], ids=["twilio", "x"])
async def test_who_blocks_the_shop_can_unblock_it(visit: Visit, person: cast.Person, app: str) -> None:
    page = visit.page
    await take_up(page, person, app)
    await write(visit, "hello")
    await page.click(".tg-menu summary")
    await page.click(".menu >> text=Block")
    await expect(page.locator("#phone-chat")).to_contain_text("You blocked Kumbara")
    await page.locator("#phone-foot").get_by_text("Unblock Kumbara").click()
    await expect(page.locator("#phone-text")).to_be_visible()
    await expect(page.locator("#phone-chat")).not_to_contain_text("You blocked")


async def test_a_place_is_a_map(visit: Visit) -> None:
    page = visit.page
    await take_up(page, cast.ELIF, "whatsapp")
    await page.click(".tg-menu summary")
    await page.click(".menu >> text=Share where I am")
    await expect(page.locator("#phone-chat .app-place")).to_contain_text("38.4237")


async def test_what_travelled_names_the_providers(visit: Visit) -> None:
    page = visit.page
    await take_up(page, cast.ELIF, "whatsapp")
    await write(visit, "Merhaba")
    await expect(page.locator("#phone-chat .mine")).to_have_count(1)
    await whatsapp(visit, type="text", text={"body": "Buyurun"})
    await page.click(".filter.meta")
    await expect(page.locator(".went", has_text="Buyurun")).to_have_count(1)
    await page.click(".filter.x")
    await expect(page.locator(".went", has_text="Buyurun")).to_have_count(0)


async def test_a_scene_brings_the_app_it_speaks_of_to_the_front(visit: Visit) -> None:
    scene = Scene(id="x", title="x", steps=1, step=0, say="Look", look="phone", person="elif", app="instagram")
    visit.demo.board.tell("scene", scene=scene.plain())
    await expect(visit.page.locator("#phone")).to_have_attribute("data-app", "instagram")
    await expect(visit.page.locator("[data-person=elif]")).to_have_attribute("aria-selected", "true")


async def test_every_app_fits_a_narrow_screen(visit: Visit) -> None:
    page = visit.page
    await page.set_viewport_size({"width": 390, "height": 844})
    for person, app in PAIRS:
        await take_up(page, person, app)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390, app


# --- the shop's own site


@pytest_asyncio.fixture(loop_scope="module")
async def shop(visit: Visit) -> AsyncIterator[Visit]:
    """A visit with somebody who answers where Santral would."""

    async def ready(_: web.Request) -> web.Response:
        return web.Response()

    async def widget(_: web.Request) -> web.Response:
        return web.Response(text="document.title = 'with a chat'", content_type="text/javascript")

    async def contact(request: web.Request) -> web.Response:
        if request.method == "POST":
            return web.Response(status=303, headers={"Location": "contact/thanks"})
        form = '<form method="post"><button name="a" value="b">Go</button></form>'
        page = f'<a href="https://wa.me/905000000102">WhatsApp</a>{form}'
        policy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'"
        headers = {"Content-Security-Policy": policy, "X-Frame-Options": "DENY"}
        return web.Response(text=f"<!doctype html>{page}", content_type="text/html", headers=headers)

    async def thanks(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html>Thank you", content_type="text/html")

    app = web.Application()
    app.router.add_get("/health/ready", ready)
    app.router.add_get("/chat/chat/widget.js", widget)
    app.router.add_route("*", "/contact", contact)
    app.router.add_get("/contact/thanks", thanks)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(visit.demo.options.app_url.rpartition(":")[2])).start()
    visit.expected.append(visit.demo.options.app_url)
    await expect(visit.page.locator(".status")).to_contain_text("Santral is up")
    yield visit
    await runner.cleanup()


async def test_the_shops_page_stands_in_a_browser_and_brings_the_chat(shop: Visit) -> None:
    page = shop.page
    await page.click("[data-person=theo]")
    await expect(page.locator("#phone")).to_be_hidden()
    front = page.frame_locator(".br-frame[data-page=shop]")
    await expect(front.locator("h2")).to_have_text(["Tombul", "Kule"])
    await page.wait_for_function("() => document.querySelector('.br-frame').contentDocument.title === 'with a chat'")


async def test_the_contact_page_is_passed_on_and_leads_nowhere_else(shop: Visit) -> None:
    page = shop.page
    await page.click("[data-person=theo]")
    await page.click(".br-tab[data-page=contact]")
    frame = page.frame_locator(".br-frame[data-page=contact]")
    await frame.get_by_text("WhatsApp").click()
    await expect(page.locator("#toast")).to_contain_text("wa.me")
    await frame.get_by_role("button", name="Go").click()
    await expect(frame.locator("body")).to_have_text("Thank you")
    await page.click(".br-tab[data-page=shop]")
    await expect(page.locator(".br-frame[data-page=contact]")).to_be_hidden()


async def test_a_site_whose_santral_is_away_says_so(visit: Visit) -> None:
    await visit.page.click("[data-person=theo]")
    await expect(visit.page.locator(".br-wait")).to_be_visible()
    async with aiohttp.ClientSession() as session, session.get(f"{visit.url}kumbara/contact") as answer:
        assert (answer.status, answer.headers["Cache-Control"]) == (502, "no-store")


async def test_the_configuration_printed_fits_the_accounts() -> None:
    base = Options(listen=f"127.0.0.1:{free_port()}").base
    written = lines.sections(base)
    for app in lines.APPS.values():
        if app.line and app.world in ("meta", "twilio", "x"):
            assert app.line in written
            assert f'name = "{app.channel}"' in written
