"""The bubble on a shop's page, in a real browser: the shop is one origin, the chat another, Santral and Slack run."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import expect

from app import chat_page
from tests.scenarios.desk import answer, thread_shows
from tests.webchat.shop import Shop, browser, own_shop, shop, street

__all__ = ["browser", "own_shop", "shop", "street"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("widget")]

PICTURE = base64.b64decode(  # a red dot
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg=="
)
HOSTILE = "<img src=x onerror=top.document.title='gone'> javascript:alert(1) https://ornek.example/a_(b). son"


async def test_a_visitor_opens_it_writes_and_is_answered(shop: Shop) -> None:
    await shop.open()
    await expect(shop.chat.locator("#text")).to_be_focused()
    await expect(shop.chat.locator("#hours")).to_have_text("Şu an açığız")
    await shop.picture("tr-empty")
    await shop.write("Kargom nerede?\nİki gündür bekliyorum")
    await expect(shop.log).to_have_text(["Kargom nerede?\nİki gündür bekliyorum"])
    await expect(shop.chat.locator(".mark")).to_contain_text("Gönderildi")
    card = await shop.world.card_with("Kargom nerede?")
    await answer(shop.world, card, "Yarın sizde olur, *söz*. Takip: https://kargo.example/12")
    await expect(shop.log).to_have_count(2)
    await expect(shop.chat.locator(".theirs b")).to_have_text("söz")
    link = shop.chat.locator(".theirs a")
    await expect(link).to_have_attribute("href", "https://kargo.example/12")
    await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow ugc")
    await shop.picture("tr-answered")


async def test_the_keyboard_alone_is_enough_and_escape_leads_back(shop: Shop) -> None:
    await shop.visit()
    await shop.bubble.focus()
    await shop.page.keyboard.press("Enter")
    await expect(shop.chat.locator("#text")).to_be_focused()
    for _ in range(8):
        await shop.page.keyboard.press("Tab")
    assert await shop.page.evaluate("document.activeElement.localName") == "santral-chat", "focus has left the chat"
    await shop.page.keyboard.press("Escape")
    await expect(shop.bubble).to_be_focused()
    await expect(shop.bubble).to_have_attribute("aria-expanded", "false")


async def test_what_people_write_is_never_markup(shop: Shop) -> None:
    await shop.open()
    await shop.write(HOSTILE)
    await expect(shop.log).to_have_text([HOSTILE])
    await expect(shop.chat.locator(".text img")).to_have_count(0)
    await expect(shop.chat.locator(".text a")).to_have_text(["https://ornek.example/a_(b)"])
    card = await shop.world.card_with("ornek.example")
    await answer(shop.world, card, "<b>kalın</b> &lt;script&gt;alert(1)&lt;/script&gt; javascript:alert(2)")
    await expect(shop.log).to_have_count(2)
    await expect(shop.chat.locator(".text script, .text b")).to_have_count(0)
    assert await shop.page.title() == "Kumbara"


async def test_the_page_and_the_chat_cannot_script_each_other(shop: Shop) -> None:
    await shop.open()
    with pytest.raises(Exception, match="cross-origin"):
        await shop.page.locator("santral-chat iframe").evaluate("held => held.contentWindow.document.title")
    frame = shop.page.frames[1]
    with pytest.raises(Exception, match="cross-origin"):
        await frame.evaluate("parent.document.title")


async def test_a_file_is_chosen_sent_and_shown(shop: Shop) -> None:
    await shop.visit()
    await shop.bubble.click()  # at once, before the line stands
    await shop.chat.locator("#pick").set_input_files(
        files={"name": 'kırık "kumbara".png', "mimeType": "image/png", "buffer": PICTURE}
    )
    await expect(shop.chat.locator("#files li")).to_contain_text('kırık "kumbara".png')
    await expect(shop.chat.locator("#send")).to_be_enabled()
    await expect(shop.told).to_contain_text('kırık "kumbara".png')
    await shop.write("Kırık geldi")
    picture = shop.chat.locator(".picture img")
    await expect(picture).to_have_js_property("naturalWidth", 5)
    card = await shop.world.card_with("Kırık geldi")
    await thread_shows(shop.world, card["ts"], "kumbara")
    file = ("kılavuz.txt", "text/plain", "Kullanma kılavuzu".encode())
    await answer(shop.world, card, "Kılavuz ekte", files=[file])
    await expect(shop.chat.locator(".theirs a.file")).to_contain_text("kılavuz.txt")
    await shop.picture("tr-files")


MONDAY = [
    ("tr", "tr-TR", "Europe/Istanbul", "Açılış: Pazartesi 09:00", ""),
    ("en", "en-US", "Europe/Istanbul", "Back Monday 9:00 AM", ""),
    ("en", "en-GB", "Europe/Berlin", "Back Monday 07:00 (your time)", "Istanbul (GMT+3): 09:00"),
    ("en", "de-DE", "Europe/Berlin", "Back Monday 07:00 (your time)", "Istanbul (GMT+3): 09:00"),
    ("en", "en-US", "America/Los_Angeles", "Back tomorrow 10:00 PM (your time)", "Istanbul (GMT+3): Monday 9:00 AM"),
    ("tr", "en-US", "Europe/Berlin", "Açılış: Pazartesi 07:00 (sizin saatinizle)", "İstanbul (GMT+3): 09:00"),
    ("ar", "ar-EG", "Africa/Cairo", "نعود: الاثنين 8:00 ص (بتوقيتك)", "إسطنبول (GMT+3): 9:00 ص"),
]  # fmt: skip


async def test_the_hours_are_told_by_the_visitor_s_clock_and_beside_it_by_the_shop_s_where_it_is_another(
    own_shop: Shop,
) -> None:
    world = own_shop.world
    await world.stop()
    world.team |= {"hours": "Mo-Fr 09:00-18:00"}
    await world.start()
    await world.turn(datetime(2026, 11, 28, 12, 0, tzinfo=UTC))  # a Saturday
    for language, locale, zone, theirs, ours in MONDAY:
        page = await own_shop.other(timezone_id=zone, locale=locale)
        await page.goto(f"{world.url}/chat/chat?lang={language}")
        await expect(page.locator("#hours")).to_have_text(theirs)
        await expect(page.locator("#there")).to_have_text(ours)


async def test_what_is_written_without_a_line_waits_and_is_sent_once(own_shop: Shop) -> None:
    shop = own_shop
    await shop.open()
    await shop.say("bir")
    await shop.world.stop()
    await shop.write("iki")
    await expect(shop.chat.locator(".mark").last).to_contain_text("Gönderiliyor")
    await shop.world.start()
    await expect(shop.chat.locator(".mark").last).to_contain_text("Gönderildi", timeout=60_000)
    await expect(shop.log).to_have_text(["bir", "iki"])
    await shop.visit()
    await expect(shop.log).to_have_text(["bir", "iki"])
    assert await shop.page.evaluate("sessionStorage.length") == 1


async def test_an_unread_answer_is_counted_on_the_bubble_and_all_tabs_agree(shop: Shop) -> None:
    await shop.open()
    await shop.say("İki sekmedeyim")
    card = await shop.world.card_with("İki sekmedeyim")
    await shop.chat.locator("#close").click()
    await answer(shop.world, card, "Buyurun")
    await expect(shop.bubble).to_have_attribute("aria-label", "Sohbeti aç. Okunmamış mesaj: 1")
    await expect(shop.page.get_by_role("status")).to_have_text("Okunmamış mesaj: 1")
    await shop.picture("tr-unread")
    other = await shop.other()
    await shop.visit(page=other)
    await expect(other.locator("santral-chat button")).to_contain_text("1")
    await other.locator("santral-chat button").click()
    await expect(other.frame_locator("iframe").locator("#items .text")).to_have_text(["İki sekmedeyim", "Buyurun"])
    await expect(shop.bubble).to_have_attribute("aria-label", "Sohbeti aç")


async def test_a_customer_who_is_logged_in_finds_their_chat_in_another_browser(shop: Shop) -> None:
    await shop.open(more="&sub=4711")
    await shop.say("Benim siparişim")
    page = await shop.other(locale="tr-TR")
    await shop.visit(page=page, more="&sub=4711")
    await page.locator("santral-chat button").click()
    await expect(page.frame_locator("iframe").locator("#items .text")).to_have_text(["Benim siparişim"])


async def test_a_visitor_corrects_answers_and_deletes(shop: Shop) -> None:
    await shop.open()
    await shop.say("Mavi olsn")
    await shop.chat.get_by_role("button", name="Düzenle").click()
    await expect(shop.chat.locator("#text")).to_have_value("Mavi olsn")
    await shop.page.keyboard.press("Escape")
    await expect(shop.chat.locator("#text")).to_be_focused()
    await shop.chat.get_by_role("button", name="Düzenle").click()
    await shop.write("Mavi olsun")
    await expect(shop.log).to_have_text(["Mavi olsun"])
    await expect(shop.chat.locator(".foot")).to_contain_text("düzenlendi")
    await shop.chat.get_by_role("button", name="Yanıtla").click()
    await shop.write("Ya da yeşil")
    await expect(shop.chat.locator("blockquote")).to_have_text("Mavi olsun")
    await expect(shop.chat.locator(".mark", has_text="Gönderildi")).to_have_count(2)
    await shop.chat.get_by_role("button", name="Sil").first.click()
    await expect(shop.chat.locator("p.gone")).to_have_text("Bu mesaj silindi")


@pytest.mark.parametrize("language", chat_page.LANGUAGES)
async def test_every_language_speaks_for_itself(shop: Shop, language: str) -> None:
    texts = chat_page.texts()[language]
    await shop.open(language)
    await expect(shop.chat.locator("html")).to_have_attribute("lang", language)
    await expect(shop.chat.locator("html")).to_have_attribute("dir", "rtl" if language == "ar" else "ltr")
    await expect(shop.chat.get_by_role("textbox", name=texts["label"])).to_be_visible()
    await expect(shop.chat.locator("#greeting")).to_have_text(texts["greeting"])
    hello, answered = {
        "ar": ("مرحبًا، أين طلبي رقم 1042؟", "أهلًا! سيصلك غدًا."),
        "ru": ("Здравствуйте, где мой заказ 1043?", "Привезём завтра."),
    }.get(language, (f"{language} 1044?", "Yarın!"))
    await shop.write(hello)
    await expect(shop.chat.locator(".mark")).to_contain_text(texts["stored"])
    await answer(shop.world, await shop.world.card_with(hello), answered)
    await expect(shop.log).to_have_count(2)
    await shop.picture(f"{language}-talk")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone_it_fills_the_screen(shop: Shop, scheme: Any) -> None:
    await shop.page.set_viewport_size({"width": 390, "height": 780})
    await shop.page.emulate_media(color_scheme=scheme)
    await shop.open()
    box = await shop.page.locator("iframe").bounding_box()
    assert box == {"x": 0, "y": 0, "width": 390, "height": 780}
    text = f"Merhaba ({scheme}), sepetteki kumbara hediye paketiyle gelir mi? Bir de faturayı şirket adına istiyorum."
    await shop.say(text)
    await answer(shop.world, await shop.world.card_with(f"Merhaba ({scheme})"), "Tabii, paketleriz.")
    await expect(shop.log).to_have_count(2)
    wide = await shop.page.frames[1].evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    await shop.picture(f"phone-{scheme}")


async def test_a_page_of_its_own_for_links_and_phones(shop: Shop) -> None:
    await shop.page.goto(f"{shop.world.url}/chat/chat?lang=en")
    await expect(shop.page.locator("#close")).to_be_hidden()
    await shop.page.fill("#text", "Do you ship to Berlin?")
    await shop.page.press("#text", "Enter")
    await expect(shop.page.locator(".mark")).to_contain_text("Sent")
    await shop.world.card_with("Berlin")


async def test_a_browser_that_keeps_nothing_can_still_chat(shop: Shop) -> None:
    await shop.context.add_init_script(
        "for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, "
        "{ get() { throw new DOMException('no', 'SecurityError'); } });"
        "navigator.locks.request = () => Promise.reject(new DOMException('no', 'SecurityError'));"
    )
    await shop.open()
    await shop.say("Gizli pencereden")


# What is hard to read on what lies behind it: text under 4.5, signs under 3 (WCAG 2.2, 1.4.3 and 1.4.11).
FAINT = """
(colors) => {
  const root = document.documentElement.style;
  const even = (part) => (part <= 10.3 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * even(r) + 0.7152 * even(g) + 0.0722 * even(b);
  const color = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = (front, back, part) => back.map((under, at) => under + (front[at] - under) * part);
  const opacity = (node) => (node ? getComputedStyle(node).opacity * opacity(node.parentElement) : 1);
  const behind = (node) => {
    if (!node) return [255, 255, 255];
    const found = color(getComputedStyle(node).backgroundColor);
    return found[3] === 1 ? found.slice(0, 3) : over(found, behind(node.parentElement), found[3]);
  };
  const contrast = (node, text) => {
    const back = behind(node), front = color(text);
    const [dark, bright] = [light(over(front, back, front[3] * opacity(node))), light(back)].sort((x, y) => x - y);
    return (bright + 0.05) / (dark + 0.05);
  };
  const faint = new Set();
  for (const [name, values] of colors) {
    for (const [key, value] of Object.entries(values)) root.setProperty(key, value);
    for (const node of document.querySelectorAll("main *")) {
      const style = getComputedStyle(node);
      const words = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
      const sign = node.localName === "svg";
      if (!(words || sign) || !node.getClientRects().length || node.closest(":disabled, .hidden")) continue;
      if (contrast(node, style.color) < (sign ? 3 : 4.5)) faint.add(`${name}: ${node.outerHTML.slice(0, 80)}`);
      if (node.placeholder && contrast(node, getComputedStyle(node, "::placeholder").color) < 4.5) faint.add("hint");
    }
  }
  return [...faint];
}
"""
CHOSEN = ["#000000", "#ffffff", "#767676", "#777777", "#808080", "#ff0000", "#00ff00", "#0000ff", "#ffcc00", "#17191d",
          "#f5f5f5", "#7a1f4b", "#1f5fbf", "#00a884", "#ff6600", "#b0b0b0"]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_word_and_sign_can_be_read_whatever_color_the_shop_has_chosen(shop: Shop, scheme: Any) -> None:
    await shop.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await shop.open()
    await shop.say(f"Rengi {scheme} mi?", "Yanlış yazdım", "Bağlantı: https://ornek.example/renk")
    await answer(shop.world, await shop.world.card_with(f"Rengi {scheme} mi?"), "Evet, https://ornek.example/evet")
    await expect(shop.log).to_have_count(4)
    await shop.chat.get_by_role("button", name="Sil").nth(1).click()
    await expect(shop.told).to_have_text("Bu mesaj silindi")
    await shop.chat.get_by_role("button", name="Yanıtla").first.click()
    await shop.say("Teşekkürler")
    await shop.chat.get_by_role("button", name="Yanıtla").first.click()
    await shop.chat.locator("#pick").set_input_files(
        files={"name": "renk.txt", "mimeType": "text/plain", "buffer": b"mavi"}
    )
    await expect(shop.chat.locator("#send")).to_be_enabled()
    colors = [
        (color, {"--color": color, "--ink": chat_page.ink(color), "--edge-light": light, "--edge-dark": dark})
        for color in CHOSEN
        for light, dark in [[chat_page.edge(color, ground) for ground in chat_page.GROUNDS]]
    ]
    frame = shop.page.frames[1]
    # As on a telephone, where what can be done with a message is not shown by a mouse.
    await frame.evaluate("document.querySelectorAll('.acts').forEach((held) => held.style.opacity = 1)")
    await frame.evaluate("document.querySelector('#notice').textContent = 'Bağlantı yok'")
    assert await frame.evaluate(FAINT, colors) == []
    await shop.picture(f"colors-{scheme}")
