"""The contact page as people meet it: in a real browser, with JavaScript and without, wide and narrow."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from app.build import now
from app.postgres import Database as Server
from tests.contact.visitor import HOURS, SATURDAY_NIGHT, TUESDAY, istanbul, pass_time
from tests.scenarios.mail import lines
from tests.webchat.shop import browser, fresh
from tests.world import World, eventually

__all__ = ["browser"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("contact")]

PICTURES = os.environ.get("SANTRAL_PICTURES", "")  # a folder to put pictures into, for who wants to look


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A shop with hours and five languages."""
    async with fresh(server, tmp_path_factory.mktemp("contact"), mail=True) as world:
        world.team |= {"hours": HOURS}
        world.shop |= {"languages": ["tr", "ru", "en", "de", "ar"]}
        await world.start()
        yield world


@pytest_asyncio.fixture(loop_scope="module")
async def shop(opened: World, browser: Browser) -> AsyncIterator[World]:
    """That shop on a Saturday night. The clock that tickets and limits go by stands still."""
    await opened.turn(SATURDAY_NIGHT)
    opened.clock = now
    pass_time(opened)
    yield opened
    for context in browser.contexts:
        await context.close()


async def visit(browser: Browser, world: World, path: str = "/contact", **how: Any) -> tuple[Page, list[str]]:
    """A page, and what went wrong on it: complaints of the browser, and requests to anybody else."""
    how = {"viewport": {"width": 1180, "height": 1000}, "timezone_id": "Europe/Istanbul", "locale": "tr-TR", **how}
    context: BrowserContext = await browser.new_context(**how)
    page = await context.new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(world.url) else wrong.append(asked.url))
    await page.goto(f"{world.url}{path}")
    return page, wrong


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await page.screenshot(path=str(Path(PICTURES) / f"contact-{name}.png"), full_page=True)


async def fill(page: Page, message: str = "Merhaba") -> None:
    await page.fill("#name", "Ayşe Yılmaz")
    await page.fill("#email", "ayse@ornek.com.tr")
    await page.fill("#subject", "Kargom nerede?")
    await page.fill("#message", message)


@pytest.mark.parametrize("scripts", [True, False], ids=["with-javascript", "without"])
async def test_a_visitor_writes_and_is_thanked(browser: Browser, shop: World, scripts: bool, tmp_path: Path) -> None:
    page, wrong = await visit(browser, shop, java_script_enabled=scripts)
    await expect(page.locator("h1")).to_have_text("Size nasıl yardımcı olalım?")
    await expect(page.locator(".status")).to_contain_text("açılış: Pazartesi 09:00")
    await picture(page, f"tr-{'js' if scripts else 'plain'}")
    message = f"Merhaba,\niki haftadır bekliyorum ({scripts})."
    await fill(page, message)
    (tmp_path / "kutu.txt").write_text("ezik")
    await page.set_input_files("#files", tmp_path / "kutu.txt")
    await page.click("button[type=submit]")
    await expect(page.locator(".notice")).to_contain_text("Çok hızlı")
    await expect(page.locator("#message")).to_have_value(message)
    await picture(page, "tr-quick")
    pass_time(shop, timedelta(minutes=1))
    await page.set_input_files("#files", tmp_path / "kutu.txt")
    await page.click("button[type=submit]")
    await expect(page.locator("h1")).to_have_text("Teşekkürler, mesajınız bize ulaştı")
    await expect(page.locator(".thanks")).to_contain_text("Pazartesi 09:00'da")
    await picture(page, "tr-thanks")
    await page.reload()
    (line,) = [line for line in await lines(shop) if line.text == message]
    assert len(line.body["files"]) == 1
    assert [words for words in wrong if "422" not in words] == [], "but for the browser's own line about our answer"


async def test_a_second_click_is_none_until_whoever_stopped_a_slow_upload_begins_anew(
    browser: Browser, shop: World
) -> None:
    page, _ = await visit(browser, shop)
    await page.clock.install()
    await page.reload()
    sent: list[str] = []

    async def stopped(route: Route) -> None:
        sent.append(route.request.method)
        await route.abort("aborted")  # as by the browser's own button

    await page.route("**/contact?*", stopped)
    pass_time(shop, timedelta(minutes=1))
    await fill(page, "Yüklemeyi durdurdum")
    button = page.locator("button[type=submit]")
    await button.click()
    await expect(button).to_have_text("Gönderiliyor…")
    await button.click(force=True)
    await page.clock.fast_forward(11_000)
    await expect(button).to_have_text("Mesajı gönder")
    assert sent == ["POST"]
    await page.unroute("**/contact?*")
    await button.click()
    await expect(page.locator("h1")).to_have_text("Teşekkürler, mesajınız bize ulaştı")


# language of the browser, its zone, when it opens, Monday's hours, when a person answers and by whose clock
BY_THEIR_CLOCK = [
    ("tr-TR", "Europe/Istanbul", "açılış: Pazartesi 09:00", "09:00–18:00", "Pazartesi 09:00'da", ""),
    ("en-US", "Europe/Istanbul", "opens Monday 9:00 AM", "9:00 AM–6:00 PM", "on Monday at 9:00 AM", ""),
    ("en-US", "America/New_York", "opens Monday 1:00 AM (your time)", "9:00 AM–6:00 PM", "on Monday at 9:00 AM",
     "(your time: Monday 1:00 AM)"),
    ("en-GB", "Europe/Berlin", "opens Monday 07:00 (your time)", "09:00–18:00", "on Monday at 09:00",
     "(your time: Monday 07:00)"),
    ("de-DE", "Europe/Berlin", "wieder da: Montag, 07:00 Uhr (Ihre Ortszeit)", "09:00–18:00", "am Montag um 09:00 Uhr",
     "(Ihre Ortszeit: Montag, 07:00 Uhr)"),
    ("ru-RU", "Asia/Vladivostok", "откроемся: завтра, 16:00 (по вашему времени)", "09:00–18:00",
     "в понедельник в 09:00", "(по вашему времени: завтра, 16:00)"),
    ("ar-EG", "America/Los_Angeles", "نعود غدًا الساعة 10:00 م (بتوقيتكم)", "9:00 ص–6:00 م",
     "يوم الاثنين الساعة 9:00 ص", "(بتوقيتكم: غدًا الساعة 10:00 م)"),
]  # fmt: skip


async def test_times_are_told_by_the_visitors_own_clock_and_as_their_browser_writes_them(
    browser: Browser, shop: World
) -> None:
    for locale, zone, opens, monday, answers, beside in BY_THEIR_CLOCK:
        language = locale[:2]
        page, wrong = await visit(browser, shop, locale=locale, timezone_id=zone)
        await expect(page.locator("html")).to_have_attribute("lang", language)
        await expect(page.locator(".status .change")).to_have_text(opens, use_inner_text=True)
        await expect(page.locator(".week tr").nth(2).locator(".span")).to_have_text(monday)
        await picture(page, f"{locale}-{zone[-6:]}")
        await page.goto(f"{shop.url}/contact/thanks?lang={language}")
        await expect(page.locator("[data-clock]")).to_contain_text(answers)
        await expect(page.locator("time.yours")).to_have_text(beside)
        await picture(page, f"{locale}-thanks")
        assert wrong == []


async def test_without_javascript_it_is_said_by_whose_clock_it_opens(browser: Browser, shop: World) -> None:
    page, _ = await visit(browser, shop, locale="en-US", timezone_id="Europe/Berlin", java_script_enabled=False)
    opens = "opens Monday 09:00 · Istanbul (GMT+3)"
    await expect(page.locator(".status .change")).to_have_text(opens, use_inner_text=True)
    await page.goto(f"{shop.url}/contact/thanks?lang=en")
    await expect(page.locator(".thanks")).to_contain_text("(Istanbul (GMT+3))", use_inner_text=True)


async def test_a_holiday_is_named_in_a_language_somebody_here_reads(browser: Browser, shop: World) -> None:
    await shop.turn(istanbul("2027-04-22T11:00"))
    for locale, note in {
        "tr-TR": "Ulusal Egemenlik ve Çocuk Bayramı",
        "en-GB": "National Sovereignty and Children's Day",
        "ru-RU": "праздничный день · Ulusal Egemenlik ve Çocuk Bayramı",
    }.items():
        page, _ = await visit(browser, shop, locale=locale)
        friday = page.locator(".week tr").nth(1)
        await expect(friday.locator(".note")).to_have_text(note)
        await picture(page, f"{locale}-holiday")
    await expect(friday.locator(".note bdi")).to_have_attribute("lang", "tr")


async def test_on_a_phone_everything_fits_and_what_is_wrong_is_seen(browser: Browser, shop: World) -> None:
    for language in ("tr", "ru", "ar"):
        page, wrong = await visit(
            browser, shop, locale=language, viewport={"width": 390, "height": 844}, color_scheme="dark",
            java_script_enabled=language != "ru",
        )  # fmt: skip
        await expect(page.locator("html")).to_have_attribute("dir", "rtl" if language == "ar" else "ltr")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        await picture(page, f"{language}-phone")
        await fill(page)
        await page.fill("#email", "ayse@ornek")
        pass_time(shop, timedelta(minutes=1))
        await page.click("button[type=submit]")
        await expect(page.locator("#email-error")).to_be_visible()
        await expect(page.locator("#email")).to_be_focused()
        await expect(page.locator("#name")).to_have_value("Ayşe Yılmaz")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        await picture(page, f"{language}-phone-wrong")
        assert [words for words in wrong if "422" not in words] == []


async def test_the_page_can_be_used_with_the_keyboard_and_heard(browser: Browser, shop: World) -> None:
    page, wrong = await visit(browser, shop, "/contact?lang=en")
    names = []
    for _ in range(40):
        await page.keyboard.press("Tab")
        name = await page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
        names.append(str(name))
        if name == "Send message":
            break
    assert "website" not in names, "the trap is not in the way"
    assert [name for name in names if name in ("name", "email", "phone", "order", "subject", "message", "files")] == [
        "name", "email", "phone", "order", "subject", "message", "files",
    ]  # fmt: skip
    for label in ("Your name", "Your e-mail address", "What is it about?", "Your message"):
        await expect(page.get_by_label(label)).to_have_count(1)
    await expect(page.get_by_role("link", name=re.compile("E-mail"))).to_have_attribute("href", re.compile("^mailto:"))
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        faint = await page.evaluate(FAINT)
        assert faint == [], scheme
    assert wrong == []


async def test_what_is_too_large_is_said_before_it_travels(browser: Browser, shop: World, tmp_path: Path) -> None:
    page, wrong = await visit(browser, shop, "/contact?lang=en")
    (tmp_path / "big.bin").write_bytes(bytes(21 << 20))
    await fill(page)
    await page.set_input_files("#files", tmp_path / "big.bin")
    told = await page.evaluate("document.querySelector('#files').validationMessage")
    assert "larger than 20 MB" in told
    await page.click("button[type=submit]")
    assert page.url.endswith("/contact?lang=en"), "nothing was sent"
    await page.set_input_files("#files", [])
    assert await page.evaluate("document.querySelector('#files').validity.valid")
    assert wrong == []


async def test_while_it_is_open_the_page_says_until_when(browser: Browser, shop: World) -> None:
    await shop.turn(TUESDAY)
    page, wrong = await visit(browser, shop, "/contact?lang=en", locale="de-DE", timezone_id="Europe/Berlin")
    await expect(page.locator(".status.open")).to_contain_text("Open now until 16:00 (your time)", use_inner_text=True)
    await eventually(lambda: _telegram(page))
    await picture(page, "en-open")
    assert wrong == []


async def _telegram(page: Page) -> bool:
    await page.reload()
    return await page.locator("a[href='https://t.me/kumbara_bot']").count() == 1


# Texts whose contrast with what lies behind them is under 4.5 (WCAG 2.2, 1.4.3).
FAINT = """
() => {
  const light = (parts) => {
    const even = (part) => (part <= 10.3 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = parts.map(even);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const color = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const found = color(getComputedStyle(node).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const node of document.querySelectorAll("main *, header *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || node.closest(".trap")) continue;
    const [a, b] = [light(color(getComputedStyle(node).color).slice(0, 3)), light(behind(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(`${node.tagName} ${node.className} ${node.textContent.trim()}`);
  }
  return faint;
}
"""
