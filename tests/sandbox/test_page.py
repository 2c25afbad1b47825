"""The demo page as a visitor meets it, in a real browser. No Santral runs here: only the page and its emulators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, Request, async_playwright, expect

from sandbox import cast
from sandbox.page import Options, application
from sandbox.page import Page as Demo
from sandbox.slack.workspace import Message
from sandbox.stories import STORIES
from tests.browser import chromium
from tests.ports import free_port
from tests.sandbox.test_clock import weekly

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("page")]

ARGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
HOSTILE = "<!channel> *REFUND* <https://evil.example|Your bank> <img src=x onerror=document.title='gone'> :tada:"


@dataclass(slots=True)
class Visit:
    """One visitor: the demo, their browser page, and what went wrong on it."""

    demo: Demo
    url: str
    page: Page
    wrong: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)  # other addresses it may ask

    async def api(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call Slack as the app would."""
        headers = {"Authorization": f"Bearer {cast.SLACK_BOT_TOKEN}"}
        url = f"{self.url}slack/api/{method}"
        async with aiohttp.ClientSession() as session, session.post(url, json=arguments, headers=headers) as answer:
            told: dict[str, Any] = await answer.json()
        assert told["ok"], told
        return told


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    path = chromium()
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=ARGS)
        yield running
        await running.close()


@pytest_asyncio.fixture(loop_scope="module")
async def visit(browser: Browser) -> AsyncIterator[Visit]:
    listen = f"127.0.0.1:{free_port()}"
    options = Options(listen=listen, app_url=f"http://127.0.0.1:{free_port()}")
    demo = Demo(options, pace=0, patience=1)
    demo.slack.change_settings({"posts_per_second": 0})
    runner = web.AppRunner(application(options, demo), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(listen.rpartition(":")[2])).start()
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    seen = Visit(demo, f"{options.base}/", await context.new_page())
    seen.page.on("console", lambda said: seen.wrong.append(said.text) if said.type == "error" else None)
    seen.page.on("pageerror", lambda error: seen.wrong.append(str(error)))
    seen.page.on("request", lambda request: _note_stranger(seen, request))
    await seen.page.goto(seen.url)
    await expect(seen.page.locator("#phone-text")).to_be_visible()
    yield seen
    await context.close()
    await runner.cleanup()
    assert seen.wrong == [], "the page complained, or asked another host for something"


def _note_stranger(seen: Visit, request: Request) -> None:
    if not request.url.startswith((seen.url, "data:", "blob:", *seen.expected)):
        seen.wrong.append(f"asked {request.url}")


async def write(visit: Visit, text: str) -> None:
    await visit.page.fill("#phone-text", text)
    await visit.page.press("#phone-text", "Enter")


async def test_a_visitor_sees_phones_the_desk_and_stories_that_wait_for_santral(visit: Visit) -> None:
    page = visit.page
    await expect(page.locator(".person")).to_have_count(len(cast.PEOPLE) + len(cast.WRITERS))
    await expect(page.locator(".sl-item[data-channel]")).to_have_count(3)
    await expect(page.locator(".act-as")).to_have_count(len(cast.AGENTS))
    await expect(page.locator(".status")).to_contain_text("Santral is starting")
    await expect(page.locator(".story")).to_have_text([story.title for story in STORIES])
    await expect(page.locator(".story").first).to_be_disabled()


async def test_what_is_typed_on_a_phone_is_a_bubble_and_reaches_telegram(visit: Visit) -> None:
    await write(visit, "Merhaba, siparişim nerede?")
    await expect(visit.page.locator("#phone-chat .mine .tg-text")).to_have_text("Merhaba, siparişim nerede?")
    await expect(visit.page.locator("#phone-chat .mine .tg-ticks")).to_have_attribute("title", "With Telegram")
    await expect(visit.page.locator("#phone-text")).to_have_value("")
    [message] = visit.demo.telegram.state()["chats"][str(cast.AYSE.id)]
    assert message["text"] == "Merhaba, siparişim nerede?"


async def test_each_phone_shows_only_its_own_chat(visit: Visit) -> None:
    await write(visit, "from Ayşe")
    await expect(visit.page.locator("#phone-chat")).to_contain_text("from Ayşe")
    await visit.page.focus(".person[aria-selected=true]")
    await visit.page.keyboard.press("ArrowRight")
    await expect(visit.page.locator("[data-person=dmitry]")).to_have_attribute("aria-selected", "true")
    await expect(visit.page.locator("#phone-chat")).not_to_contain_text("from Ayşe")


async def test_a_message_can_be_edited_answered_and_the_bot_blocked(visit: Visit) -> None:
    page = visit.page
    await write(visit, "Zwei blaue bitte")
    await page.hover("#phone-chat .mine")
    await page.click("#phone-chat .bubble-more")
    await page.click(".bubble-menu >> text=Edit")
    await expect(page.locator("#phone-text")).to_have_value("Zwei blaue bitte")
    await write(visit, "Drei blaue bitte")
    await expect(page.locator("#phone-chat .mine .tg-text")).to_have_text("Drei blaue bitte")
    await expect(page.locator("#phone-chat .tg-meta")).to_contain_text("edited")
    await page.hover("#phone-chat .mine")
    await page.click("#phone-chat .bubble-more")
    await page.click(".bubble-menu >> text=Reply")
    await write(visit, "und eine rote")
    await expect(page.locator(".tg-quote")).to_contain_text("Drei blaue bitte")
    await page.click(".tg-menu summary")
    await page.click("text=Block the bot")
    await expect(page.locator("#phone-foot")).to_contain_text("Unblock and restart")
    await page.click("text=Unblock and restart")
    await expect(page.locator("#phone-text")).to_be_visible()


async def test_pictures_are_attached_and_an_album_is_one_bubble(visit: Visit) -> None:
    page = visit.page
    for number in range(2):
        await page.click("[aria-label='Attach a picture or file']")
        await page.locator(".tg-attach button").nth(number).click()
        await expect(page.locator(".tg-about")).to_contain_text(f"{number + 1} attached")
    await write(visit, "kırık")
    await expect(page.locator(".tg-album img")).to_have_count(2)
    await expect(page.locator(".bubble-row")).to_have_count(1)
    wide = (
        "() => [...document.querySelectorAll('.tg-album img')].every((one) => one.complete && one.naturalWidth > 100)"
    )
    await page.wait_for_function(wide)


async def test_the_bot_writes_and_other_phones_count_what_is_unread(visit: Visit) -> None:
    await write(visit, "hello?")
    await expect(visit.page.locator("#phone-chat .mine")).to_have_count(1)
    await visit.page.click("[data-person=emily]")
    async with aiohttp.ClientSession() as session:
        body = {
            "chat_id": cast.AYSE.id,
            "text": "Geldi <b>mi</b>?",
            "entities": [{"type": "bold", "offset": 0, "length": 5}],
        }
        await session.post(f"{visit.url}telegram/bot{cast.TELEGRAM_TOKEN}/sendMessage", json=body)
    await expect(visit.page.locator("[data-person=ayse] .badge")).to_have_text("1")
    await visit.page.click("[data-person=ayse]")
    await expect(visit.page.locator("#phone-chat .theirs strong")).to_have_text("Geldi")
    await expect(visit.page.locator("#phone-chat .theirs .tg-text")).to_have_text("Geldi <b>mi</b>?")
    await expect(visit.page.locator("[data-person=ayse] .badge")).to_have_count(0)


async def test_a_writers_mail_program_takes_the_place_of_the_phone(visit: Visit) -> None:
    page = visit.page
    await page.click("[data-person=zeynep]")
    await expect(page.locator("#phone")).to_be_hidden()
    await expect(page.locator("#mailer")).to_contain_text("Zeynep has not written yet")
    await page.click(".ml-hint")
    await expect(page.locator(".ml-row")).to_contain_text(cast.ZEYNEP.subject)
    (got,) = visit.demo.mail.inbox(cast.MAILBOX)
    assert (got.sender_address, got.subject) == (cast.ZEYNEP.address, cast.ZEYNEP.subject)
    assert got.own.startswith(cast.ZEYNEP.hint)
    await page.click("[data-person=ayse]")
    await expect(page.locator("#mailer")).to_be_hidden()
    await expect(page.locator("#phone-text")).to_be_visible()


async def test_a_mail_is_written_with_a_file_and_opens_again(visit: Visit) -> None:
    page = visit.page
    await page.click("[data-person=hanna]")
    await page.click("#mailer [aria-label='Write a mail']")
    await page.fill("#mail-subject", "Umtausch <b>")
    await page.fill("#mail-text", "Guten Tag,\nbitte <i>blau</i>.")
    await page.click("#mailer [aria-label='Attach a picture or file']")
    await page.locator("#mailer .tg-attach button").first.click()
    await expect(page.locator("#mailer .ml-files")).to_contain_text("broken.png")
    await page.click(".ml-send")
    await page.click(".ml-row")
    await expect(page.locator(".ml-about")).to_have_text("Umtausch <b>")
    await expect(page.locator(".ml-text")).to_contain_text("bitte <i>blau</i>.")
    await expect(page.locator(".ml-text")).to_contain_text("Hanna Vogel")
    await expect(page.locator(".ml-files a")).to_contain_text("broken.png")
    (got,) = visit.demo.mail.inbox(cast.MAILBOX)
    assert [file.name for file in got.files] == ["broken.png"]


async def test_an_answer_is_shown_safely_and_what_came_before_is_folded(visit: Visit) -> None:
    page, mail = visit.page, visit.demo.mail
    failed: list[tuple[str, str | None]] = []
    page.on("requestfailed", lambda request: failed.append((request.url, request.failure)))
    rich = (
        "<p>Mavisi <b>var</b>.</p><img src='https://evil.example/seen.gif' onerror=top.document.title='gone'>"
        "<div class='quote'>Zeynep, 10:12:<blockquote>Mavisi var mı?</blockquote></div>"
    )
    mail.deliver(cast.MAILBOX, cast.ZEYNEP.address, "Re: Mavi", "Mavisi var.", html=rich)
    await expect(page.locator("[data-person=zeynep] .badge")).to_have_text("1")
    await page.click("[data-person=zeynep]")
    await expect(page.locator(".ml-row.unread")).to_contain_text("Kumbara")
    await page.click(".ml-row")
    frame = page.frame_locator(".ml-frame")
    await expect(frame.locator("b")).to_have_text("var")
    await expect(frame.locator("body")).not_to_contain_text("Mavisi var mı?")
    await expect(page.locator("[data-person=zeynep] .badge")).to_have_count(0)
    await page.click(".ml-dots")
    await expect(frame.locator("blockquote")).to_have_text("Mavisi var mı?")
    high = "() => document.querySelector('.ml-frame').offsetHeight > 60"
    await page.wait_for_function(high)
    assert "gone" not in await page.title()
    # The frame's policy stopped the picture before it was asked for, and the script with it; the console tells of both.
    assert set(failed) == {("https://evil.example/seen.gif", "csp")}
    told = ("Content Security Policy", "allow-scripts", "asked https://evil.example/seen.gif")
    assert all(any(words in one for words in told) for one in visit.wrong), visit.wrong
    visit.wrong.clear()


async def test_a_reply_quotes_what_it_answers(visit: Visit) -> None:
    page, mail = visit.page, visit.demo.mail
    mail.deliver(cast.MAILBOX, cast.HANNA.address, "Ihre Bestellung", "Kommt morgen.")
    await page.click("[data-person=hanna]")
    await page.click(".ml-row")
    await page.click(".ml-answer")
    await page.fill("#mail-text", "Danke!")
    await page.press("#mail-text", "Control+Enter")
    await expect(page.locator(".ml-row")).to_have_count(2)
    (got,) = mail.inbox(cast.MAILBOX)
    assert got.subject == "AW: Ihre Bestellung"
    assert got.own.startswith("Danke!")
    assert "Von: Kumbara <support@kumbara.example>" in got.past
    assert "Kommt morgen." in got.past
    await page.locator(".ml-row", has_text="Danke!").click()
    await page.click(".ml-dots")
    await expect(page.locator(".ml-past")).to_contain_text("Kommt morgen.")


async def test_a_stranger_can_write_in_her_name_but_nobody_vouches(visit: Visit) -> None:
    page, mail = visit.page, visit.demo.mail
    await page.click("[data-person=zeynep]")
    await page.click("#mailer .tg-menu summary")
    await page.click("text=Write in Zeynep's name")
    await expect(page.locator(".ml-warning")).to_contain_text("Nobody vouches")
    await page.fill("#mail-subject", "IBAN")
    await page.fill("#mail-text", "Yeni hesabım")
    await page.click(".ml-send")
    await expect(page.locator("#toast")).to_contain_text("A stranger's mail")
    (got,) = mail.inbox(cast.MAILBOX)
    assert got.sender_address == cast.ZEYNEP.address
    assert "dmarc=fail" in got.header("Authentication-Results")
    await expect(page.locator("#mailer")).to_contain_text("Zeynep has not written yet")
    await page.click("#mailer .tg-menu summary")
    await page.click("text=Switch a vacation note on")
    await expect(page.locator(".ml-title")).to_contain_text("on vacation")
    assert mail.accounts[cast.ZEYNEP.address].vacation == cast.ZEYNEP.away


async def test_people_in_slack_post_react_edit_and_delete(visit: Visit) -> None:
    page = visit.page
    await page.click(".act-as >> text=Marta")
    await page.fill("#channel-text", "Who takes *the parcel*? 👀")
    await page.press("#channel-text", "Enter")
    message = page.locator("#channel-list .sl-message")
    await expect(message).to_contain_text("Marta")
    await expect(message.locator("strong >> text=the parcel")).to_be_visible()
    await expect(message.locator(".bk-rich .emoji")).to_have_text("👀")
    await message.hover()
    await message.locator("[aria-label='React with white check mark']").click()
    await expect(message.locator("[data-reaction=white_check_mark]")).to_contain_text("1")
    await message.locator("[data-reaction=white_check_mark]").click()
    await expect(message.locator(".sl-reaction")).to_have_count(0)
    await message.hover()
    await message.locator("[aria-label='More actions']").click()
    await page.click("text=Edit message")
    await page.fill(".sl-editor textarea", "I take it")
    await page.press(".sl-editor textarea", "Enter")
    await expect(message).to_contain_text("I take it (edited)")
    await message.hover()
    await message.locator("[aria-label='More actions']").click()
    await page.click("text=Delete message")
    await expect(message).to_have_count(0)


async def test_a_thread_opens_beside_the_channel_and_takes_replies(visit: Visit) -> None:
    page = visit.page
    root = await visit.api("chat.postMessage", channel=cast.SUPPORT_CHANNEL, text="Ayşe Yılmaz")
    # A conversation that begins while nothing is open opens by itself.
    await expect(page.locator("#sl-thread")).to_be_visible()
    await page.fill("#thread-text", "On it")
    await page.press("#thread-text", "Enter")
    await expect(page.locator("#thread-list .sl-message")).to_have_count(2)
    await expect(page.locator(".sl-replies")).to_contain_text("1 reply")
    await page.click("[aria-label='Close thread']")
    await expect(page.locator("#sl-thread")).to_be_hidden()
    stored: Message = visit.demo.slack.channels[cast.SUPPORT_CHANNEL].messages[root["ts"]]
    assert len(stored.replies) == 1


async def test_a_link_to_a_thread_of_the_workspace_opens_it_here(visit: Visit) -> None:
    page = visit.page
    root = await visit.api("chat.postMessage", channel=cast.RETURNS_CHANNEL, text="Jonas Weber")
    place = f"https://kumbara.slack.com/archives/{cast.RETURNS_CHANNEL}/p{root['ts'].replace('.', '')}"
    await visit.api("chat.postMessage", channel=cast.SUPPORT_CHANNEL, text=f"It goes on <{place}|there>")
    await page.locator(".sl-item[data-channel]", has_text="support").click()
    await page.click("#channel-list a >> text=there")
    await expect(page.locator("#channel-head")).to_contain_text("returns")
    await expect(page.locator("#thread-list")).to_contain_text("Jonas Weber")


async def test_block_kit_is_drawn_as_slack_draws_it(visit: Visit) -> None:
    page = visit.page
    words = (
        "*bold* _slanted_ ~gone~ `code` <https://example.com|a link> <@U08DENIZ001> <!date^0^{date_num}|then> :wave:"
    )
    button = {"type": "button", "value": "1", "text": {"type": "plain_text", "text": "Take"}, "style": "primary"}
    sure = {
        name: {"type": "plain_text", "text": text}
        for name, text in [("title", "Sure?"), ("text", "Really."), ("confirm", "Yes"), ("deny", "No")]
    }
    item = {"type": "rich_text_section", "elements": [{"type": "text", "text": "item"}]}
    said = [{"type": "text", "text": HOSTILE}, {"type": "emoji", "name": "tada"}]
    rich = [
        {"type": "rich_text_section", "elements": said},
        {"type": "rich_text_list", "style": "bullet", "elements": [item]},
        {"type": "rich_text_quote", "elements": [{"type": "text", "text": "quoted"}]},
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "a  b"}]},
    ]
    asked = {**button, "action_id": "ask", "style": "danger", "confirm": sure}
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Card :package:"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": words}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Team*\nsupport"}]},
        {"type": "divider"},
        {"type": "rich_text", "elements": rich},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "small print"}]},
        {"type": "actions", "elements": [{**button, "action_id": "take"}, asked]},
    ]
    await visit.api("chat.postMessage", channel=cast.SUPPORT_CHANNEL, text="card", blocks=blocks)
    body = page.locator("#channel-list .sl-body")
    await expect(body.locator(".bk-header")).to_have_text("Card 📦")
    for tag, text in [("strong", "bold"), ("em", "slanted"), ("s", "gone"), ("code", "code"), ("a", "a link")]:
        await expect(body.locator(f".bk-text {tag}").first).to_have_text(text)
    await expect(body.locator(".mention")).to_have_text("@Deniz")
    await expect(body.locator(".bk-text time")).to_have_text("1970-01-01")
    await expect(body.locator(".bk-fields")).to_contain_text("support")
    await expect(body.locator(".rt-section").first).to_have_text(HOSTILE + "🎉")
    await expect(body.locator(".bk-rich a, .bk-rich img, .bk-rich strong")).to_have_count(0)
    await expect(body.locator("li")).to_have_text("item")
    await expect(body.locator(".bk-context")).to_have_text("small print")
    await expect(body.locator("[data-action=take]")).to_have_class("sl-button primary")
    await body.locator("[data-action=ask]").click()
    await expect(page.locator("#confirm")).to_contain_text("Really.")
    await page.click("#confirm .no")
    assert await page.title() != "gone"


async def test_only_the_one_it_is_for_sees_an_ephemeral_message(visit: Visit) -> None:
    page = visit.page
    await visit.api("chat.postEphemeral", channel=cast.SUPPORT_CHANNEL, user=cast.MARTA.id, text="Deniz was first.")
    await page.click(".act-as >> text=Marta")
    await expect(page.locator(".ephemeral")).to_contain_text("Only visible to you")
    await page.click(".act-as >> text=Deniz")
    await expect(page.locator(".ephemeral")).to_have_count(0)
    await page.click(".act-as >> text=Marta")
    await page.click("text=Dismiss message")
    await expect(page.locator(".ephemeral")).to_have_count(0)


async def test_a_view_opens_as_a_dialog_for_the_one_who_asked(visit: Visit) -> None:
    page = visit.page
    note = {"type": "plain_text_input", "action_id": "words", "multiline": True}
    label = {"type": "plain_text", "text": "Only the team sees this"}
    body = {
        "type": "modal",
        "title": {"type": "plain_text", "text": "Internal note"},
        "submit": {"type": "plain_text", "text": "Keep"},
        "blocks": [{"type": "input", "block_id": "note", "label": label, "element": note}],
    }
    visit.demo.slack.show_view(cast.DENIZ.id, body)
    await expect(page.locator("#modal")).to_contain_text("Internal note")
    await page.fill("#modal textarea", "Call the carrier")
    await page.click("#modal [aria-label=Close]")
    await expect(page.locator("#modal")).to_be_hidden()
    assert visit.demo.slack.views == {}


async def test_pressing_while_santral_is_away_says_so_as_slack_would(visit: Visit) -> None:
    button = {"type": "button", "action_id": "take", "value": "1", "text": {"type": "plain_text", "text": "Take"}}
    blocks = [{"type": "actions", "elements": [button]}]
    await visit.api("chat.postMessage", channel=cast.SUPPORT_CHANNEL, text="card", blocks=blocks)
    await visit.page.click("#channel-list [data-action=take]")
    await expect(visit.page.locator("#toast")).to_contain_text("did not answer")


async def test_what_travelled_is_drawn_and_opens(visit: Visit) -> None:
    page = visit.page
    await visit.api("chat.postMessage", channel=cast.SUPPORT_CHANNEL, text="hello desk")
    entry = page.locator(".went", has_text="chat.postMessage")
    await expect(entry).to_contain_text("hello desk")
    await entry.click()
    await expect(page.locator("#inspector")).to_contain_text('"text": "hello desk"')
    await page.click(".filter.telegram")
    await expect(entry).to_have_count(0)
    await page.click(".filter.mail")
    visit.demo.mail.tell(
        "call", method="SMTP DATA", account=cast.MAILBOX, text="Re: Mavi", recipients=[], status="250", ok=True,
        milliseconds=1.0, answer="250 2.0.0 Ok",
    )  # fmt: skip
    await expect(page.locator(".went")).to_contain_text("SMTP: mail")
    await page.click(".drawer-toggle")
    await expect(page.locator("#drawer-body")).to_be_hidden()


async def test_the_shops_clock_is_turned_and_everybody_goes_by_it(visit: Visit) -> None:
    page, demo = visit.page, visit.demo
    demo.clock.hours = weekly()
    await page.click(".shop-clock summary")
    panel = page.locator(".clock-panel")
    await expect(panel).to_contain_text("Kumbara is")  # the page has heard of the hours
    await panel.get_by_role("button", name="Saturday 23:40").click()
    await expect(page.locator(".shop-clock summary")).to_contain_text("Sat 23:40")
    await expect(panel).to_contain_text("Kumbara is closed, opens Mon 09:00")
    await expect(page.locator("#phone-clock")).to_have_text("23:40")
    await panel.get_by_role("button", name="Next opening").click()
    await expect(panel).to_contain_text("Kumbara is open until 18:00")
    await panel.get_by_role("button", name="+10 min").click()
    await expect(panel.locator(".clock-time")).to_have_text("09:10")
    bar = panel.locator(".week-day", has_text="Sun").locator(".week-bar")
    await bar.click(position={"x": 2, "y": 5})
    await expect(panel.locator(".clock-time")).to_have_text("00:00")
    await expect(panel.locator(".week-day.today")).to_contain_text("Sun")
    await panel.locator("input").fill("2027-03-06T23:40")
    await panel.get_by_role("button", name="Turn to").click()
    await expect(panel).to_contain_text("Saturday, 6 March 2027")
    await page.keyboard.press("Escape")
    await write(visit, "Kargom nerede?")
    await expect(page.locator("#phone-chat .tg-meta")).to_contain_text("23:40")
    await visit.api("chat.postMessage", channel=cast.SUPPORT_CHANNEL, text="Ayşe Yılmaz")
    await expect(page.locator("#channel-list .sl-who time")).to_have_text("23:40")
    await page.click(".shop-clock summary")
    await panel.get_by_role("button", name="Real time").click()
    await expect(panel.get_by_role("button", name="Real time")).to_be_disabled()
    await expect(page.locator("#phone-chat .tg-day")).to_have_text("Saturday 6 March")
    assert demo.telegram.settings.clock_offset == demo.mail.settings.clock_offset == 0


async def test_a_clock_that_cannot_be_turned_so_far_says_so(visit: Visit) -> None:
    page = visit.page
    await page.click(".shop-clock summary")
    await page.locator(".clock-panel input").fill("2099-01-01T00:00")
    await page.locator(".clock-panel").get_by_role("button", name="Turn to").click()
    await expect(page.locator("#toast")).to_contain_text("two years")
    (complaint,) = visit.wrong
    assert "400" in complaint  # the browser's own line about the answer
    visit.wrong.clear()


async def test_on_a_narrow_screen_the_sides_are_tabs(visit: Visit) -> None:
    page = visit.page
    await page.set_viewport_size({"width": 420, "height": 860})
    await expect(page.locator(".phone")).to_be_visible()
    await expect(page.locator("#desk")).to_be_hidden()
    await page.click("[data-tab=desk]")
    await expect(page.locator("#desk")).to_be_visible()
    await expect(page.locator(".phone")).to_be_hidden()
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 420
    await page.click("[data-tab=phones]")
    await page.click("[data-person=hanna]")
    await expect(page.locator("#mailer")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 420


async def test_a_page_that_lost_its_stream_has_everything_once_it_is_back(visit: Visit) -> None:
    page = visit.page
    await write(visit, "first")
    await expect(page.locator("#phone-chat .mine")).to_have_count(1)
    visit.demo.board.close()
    await visit.demo.telegram.say(cast.AYSE.id, kind="text", text="while it was away")
    await expect(page.locator("#phone-chat .mine .tg-text")).to_have_text(["first", "while it was away"])


async def test_a_story_tells_its_steps_and_admits_what_did_not_come(visit: Visit) -> None:
    async def healthy(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/health/ready", healthy)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(visit.demo.options.app_url.rpartition(":")[2])).start()
    try:
        await expect(visit.page.locator(".status")).to_contain_text("Santral is up")
        await visit.page.click("[data-story=three]")
        await expect(visit.page.locator(".scene-say")).to_contain_text("Ayşe writes three times")
        # Nobody mirrors anything to the desk here, and the story must not pretend.
        await expect(visit.page.locator(".scene.failed .scene-say")).to_contain_text("waited in vain")
        await expect(visit.page.locator("#phone-chat .mine")).to_have_count(3)
        await visit.page.click(".scene-buttons >> text=Close")
        await expect(visit.page.locator(".story").first).to_be_enabled()
    finally:
        await runner.cleanup()


async def test_another_sites_page_can_press_nothing(visit: Visit) -> None:
    async with aiohttp.ClientSession() as session:
        body = {"user": cast.AYSE.id, "kind": "text", "text": "not me"}
        headers = {"Origin": "https://evil.example"}
        async with session.post(f"{visit.url}telegram/control/say", json=body, headers=headers) as answer:
            assert answer.status == 403
        async with session.post(f"{visit.url}demo/stories/three/play") as answer:
            assert answer.status == 409  # Santral is not up
    assert str(cast.AYSE.id) not in visit.demo.telegram.state()["chats"]
