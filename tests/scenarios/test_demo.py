"""`make demo` as a visitor meets it: the real program, all emulators, and a real browser."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright, expect

from tests.browser import chromium
from tests.ports import free_port
from tests.world import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("demo")]

SECONDS = 30_000  # milliseconds a step may take on a busy machine; the first answer loads aiogram


@dataclass(slots=True)
class Demo:
    page: Page
    process: asyncio.subprocess.Process
    folder: Path
    wrong: list[str]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Demo]:
    """The demo, started in an empty folder, and one visitor's browser on its page."""
    path, tmp_path = chromium(), tmp_path_factory.mktemp("demo")
    port = free_port()
    santral = Path(sys.executable).with_name("santral")
    process = await asyncio.create_subprocess_exec(
        str(santral), "demo", "--port", str(port), "--no-browser",
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(60):
        said = b""
        while b"Santral is running" not in said:
            part = await process.stdout.readline()
            assert part, said.decode()
            said += part
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: None if "127.0.0.1" in request.url else wrong.append(request.url))
        await page.goto(f"http://127.0.0.1:{port}/")
        yield Demo(page=page, process=process, folder=tmp_path, wrong=wrong)
        await browser.close()
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    shutil.rmtree(tmp_path / "var", ignore_errors=True)


async def test_what_is_typed_on_either_side_arrives_on_the_other(demo: Demo) -> None:
    page = demo.page
    phone = page.locator("#phone-text")
    await phone.fill("Kumbaram kırık geldi, ne yapabilirim?")
    await phone.press("Enter")
    channel = page.locator("#channel-list")
    # The card has its last line by now: a button that moves under the pointer is missed.
    await expect(channel).to_contain_text("first answer due", timeout=SECONDS)
    await expect(channel).to_contain_text("Kumbaram kırık geldi")
    async with page.expect_response("**/control/press") as pressed:
        await channel.get_by_role("button", name="Take").click()
    assert (await pressed.value).ok
    await expect(channel).to_contain_text("Deniz", timeout=SECONDS)

    await channel.locator(".sl-message").last.hover()
    await channel.get_by_role("button", name="Reply in thread").last.click()
    thread = page.locator("#sl-thread")
    await thread.locator("textarea").fill("Çok üzgünüz, yenisini bugün yolluyoruz :package:")
    await thread.locator("textarea").press("Enter")
    chat = page.locator("#phone-chat")
    await expect(chat).to_contain_text("yenisini bugün yolluyoruz 📦", timeout=SECONDS)
    await expect(page.locator("#thread-list")).to_contain_text("✅", timeout=SECONDS)
    await expect(page.locator("#drawer")).to_contain_text("sendMessage", timeout=SECONDS)
    await expect(page.locator("#drawer")).to_contain_text("deliveries", timeout=SECONDS)
    assert demo.wrong == []
    log = (demo.folder / "var" / "demo" / "santral.log").read_text(encoding="utf-8")
    assert "Kumbaram" not in log
    assert '"level": "error"' not in log


async def play(demo: Demo, story: str) -> None:
    """Play a story to its end, without time to read it."""
    page = demo.page
    await page.evaluate("story => fetch(`/demo/stories/${story}/play?pace=0`, {method: 'POST'})", story)

    async def over() -> dict[str, Any] | None:
        scene = await page.evaluate("async () => (await (await fetch('/demo/state')).json()).scene")
        return scene if scene and scene["id"] == story and scene["over"] else None

    scene = await eventually(over, within=120)
    assert not scene["failed"], scene
    assert scene["step"] == scene["steps"] - 1
    await page.locator("#stories").get_by_role("button", name="Close").click()


async def test_a_story_that_is_clicked_plays_to_its_end(demo: Demo) -> None:
    page = demo.page
    await page.locator("[data-story=twice]").click()
    await expect(page.locator("#stories").get_by_role("button", name="Again")).to_be_visible(timeout=90_000)
    await expect(page.locator(".scene.failed")).to_have_count(0)
    assert demo.wrong == []


async def test_deciding_is_shown_from_saturday_night_to_a_broken_promise_on_monday(demo: Demo) -> None:
    page = demo.page
    await play(demo, "night")
    await expect(page.locator(".shop-clock summary")).to_contain_text("Mon 09:16")
    for person, words in (
        ("ayse", "Pazartesi 09:00'da"),
        ("dmitry", "в понедельник в 09:00"),
        ("emily", "Monday at 09:00"),
        ("jonas", "Montag um 09:00"),
    ):
        await page.click(f"[data-person={person}]")
        await expect(page.locator("#phone-chat")).to_contain_text(words)
    await page.click("[data-person=dmitry]")
    thread = page.locator("#thread-list")
    for words in ("legal", "Urgent", "says ‘чарджбэк’", "The first answer is late"):
        await expect(thread).to_contain_text(words)
    await page.click("[data-person=emily]")
    await expect(thread).to_contain_text("rule ‘A present has a date’")
    assert demo.wrong == []


async def test_an_agent_sets_a_wrong_tag_right(demo: Demo) -> None:
    page = demo.page
    await play(demo, "wrong")
    await page.locator("[data-channel]", has_text="returns").click()
    await expect(page.locator("#channel-list")).to_contain_text("#support")
    await page.locator("[data-channel]", has_text="support").click()
    await expect(page.locator("#channel-list")).to_contain_text("product-question")
    await expect(page.locator("#channel-list")).to_contain_text("Low")
    assert demo.wrong == []


@pytest.mark.parametrize("story", ["joined", "window", "stop", "elsewhere"])
async def test_the_stories_of_channels_play_to_their_end(demo: Demo, story: str) -> None:
    await play(demo, story)
    assert demo.wrong == []


APPS = [
    ("emily", "sms"),
    ("omar", "whatsapp-twilio"),
    ("jonas", "whatsapp"),
    ("nina", "messenger"),
    ("ayse", "instagram"),
    ("nina", "x"),
]


async def test_every_app_reaches_the_desk_and_is_answered(demo: Demo) -> None:
    page = demo.page

    async def take_up(person: str, app: str) -> None:
        await page.click(f"[data-person={person}]")
        await page.click(f".dock-app[data-app={app}]")

    for person, app in APPS:
        await take_up(person, app)
        await page.fill("#phone-text", f"A question about K-{app}")
        await page.press("#phone-text", "Enter")
    for person, app in APPS:

        async def opened(person: str = person, app: str = app) -> bool:
            await take_up(person, app)  # its thread opens beside it, once there is one
            return f"K-{app}" in await page.locator("#thread-list").inner_text()

        await eventually(opened, within=60)
        await page.fill("#sl-thread textarea", f"An answer about K-{app}")
        await page.press("#sl-thread textarea", "Enter")
    for person, app in APPS:
        await take_up(person, app)
        await expect(page.locator("#phone-chat .theirs").last).to_contain_text(f"about K-{app}", timeout=SECONDS)
    assert demo.wrong == []


async def test_the_shops_site_has_a_chat_and_a_contact_page(demo: Demo) -> None:
    page = demo.page
    await page.click("[data-person=theo]")
    await page.locator("[data-channel]", has_text="support").click()
    box = await page.locator(".br-frame[data-page=shop]").bounding_box()
    assert box is not None
    bubble = page.frame_locator(".br-frame[data-page=shop]").locator("santral-chat")
    await expect(bubble).to_be_attached(timeout=SECONDS)
    await page.mouse.click(box["x"] + box["width"] - 48, box["y"] + box["height"] - 48)
    await eventually(lambda: any("/chat/chat/frame" in frame.url for frame in page.frames), within=30)
    frame = next(frame for frame in page.frames if "/chat/chat/frame" in frame.url)
    await frame.locator("textarea").fill("Does Kule open without a hammer?")
    await frame.locator("textarea").press("Enter")
    await expect(page.locator("#channel-list")).to_contain_text("without a hammer", timeout=SECONDS)
    await page.click(".br-tab[data-page=contact]")
    contact = page.frame_locator(".br-frame[data-page=contact]")
    for way in ("E-mail", "Text message", "WhatsApp", "Messenger", "Instagram", "X"):
        await expect(contact.locator(".ways")).to_contain_text(way, timeout=SECONDS)
    assert demo.wrong == []
