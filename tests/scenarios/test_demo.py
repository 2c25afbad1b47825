"""`make demo` as a visitor meets it: the real program, both emulators, and a real browser."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright, expect

from tests.browser import chromium
from tests.world import eventually, free_port

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("demo")]

SECONDS = 30_000  # milliseconds a step may take on a busy machine; the first answer loads aiogram


@dataclass(slots=True)
class Demo:
    page: Page
    process: asyncio.subprocess.Process
    folder: Path
    wrong: list[str]


@pytest_asyncio.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Demo]:
    """The demo, started in an empty folder, and one visitor's browser on its page."""
    path = chromium()
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
    await expect(channel).to_contain_text("Kumbaram kırık geldi", timeout=SECONDS)
    await channel.get_by_role("button", name="Take").click()
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


async def test_the_stories_play_to_their_end(demo: Demo) -> None:
    page = demo.page
    for story in ("twice",):
        await page.locator(f"[data-story={story}]").click()

        async def over(story: str = story) -> dict[str, object] | None:
            scene = await page.evaluate("async () => (await (await fetch('/demo/state')).json()).scene")
            return scene if scene and scene["id"] == story and scene["over"] else None  # type: ignore[no-any-return]

        scene = await eventually(over, within=90)
        assert not scene["failed"], scene
        await page.locator("#stories").get_by_role("button", name="Close").click()
    assert demo.wrong == []
