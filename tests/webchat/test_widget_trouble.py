"""The bubble when things go wrong: no line, too much at once, two tabs at once, somebody else at the keyboard."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.scenarios.desk import answer
from tests.webchat.test_socket import rows
from tests.webchat.test_widget import Shop, shop, watch

__all__ = ["shop"]
pytestmark = pytest.mark.browser


async def test_what_is_changed_or_deleted_without_a_line_is_so_when_it_is_back(shop: Shop) -> None:
    await shop.open()
    for text in ("Mavi olsn", "Boş ver"):
        await shop.write(text)
    await expect(shop.chat.locator(".mark")).to_have_text([" ✓ Gönderildi"] * 2)
    await shop.world.stop()
    await shop.chat.get_by_role("button", name="Düzenle").first.click()
    await shop.write("Mavi olsun")
    await shop.chat.get_by_role("button", name="Sil").last.click()
    await expect(shop.log).to_have_text(["Mavi olsun"])
    await expect(shop.chat.locator(".mark").first).to_contain_text("Gönderiliyor")
    await shop.visit()  # the page is loaded anew, which the shop's own server can
    await shop.world.start()
    await shop.visit()
    await expect(shop.log).to_have_text(["Mavi olsun"])
    await expect(shop.chat.locator(".mark")).to_contain_text("Gönderildi")
    await expect(shop.chat.locator("p.gone")).to_have_count(1)
    found = await rows(shop.world, "select text, edited_at, withdrawn_at from messages order by id")
    assert (found[0]["text"], found[0]["edited_at"] is not None) == ("Mavi olsun", True)
    assert found[1]["withdrawn_at"] is not None


async def test_what_is_told_to_wait_is_not_overtaken(shop: Shop) -> None:
    await shop.open()
    written = [f"{number:02}" for number in range(13)]
    for text in written:
        await shop.write(text)
    await expect(shop.chat.locator(".mark", has_text="Gönderildi")).to_have_count(13, timeout=20_000)
    found = await rows(shop.world, "select text from messages order by position")
    assert [row["text"] for row in found] == written


async def test_two_tabs_that_meet_the_chat_at_the_same_time_are_one_visitor(shop: Shop) -> None:
    # Neither of the two has a token when it says hello; what it is given comes when the other has one too.
    hold = """
        const Line = WebSocket;
        window.WebSocket = class extends Line {
            set onmessage(hear) {
                super.onmessage = (event) => {
                    if (window.hear) return hear(event);
                    window.held = () => hear(event);
                    document.documentElement.dataset.held = "yes";
                };
            }
        };
    """
    tabs = [shop.page, await shop.context.new_page()]
    watch(shop, tabs[1])
    url = f"{shop.world.url}/chat/chat?lang=tr"
    for tab in tabs:
        await tab.add_init_script(hold)
        await tab.goto(url)
        await expect(tab.locator("html")).to_have_attribute("data-held", "yes")
    for tab in tabs:
        await tab.evaluate("window.hear = true; window.held()")
    await tabs[0].fill("#text", "İlk sekmeden")
    await tabs[0].press("#text", "Enter")
    for tab in tabs:
        await expect(tab.locator("#items .text")).to_have_text(["İlk sekmeden"])
    await tabs[0].reload()
    await expect(tabs[0].locator("html")).to_have_attribute("data-held", "yes")
    await tabs[0].evaluate("window.hear = true; window.held()")
    await expect(tabs[0].locator("#items .text")).to_have_text(["İlk sekmeden"])


async def test_a_draft_goes_along_from_page_to_page_and_not_to_the_next_person(shop: Shop) -> None:
    await shop.open(more="&sub=ayse")
    box = shop.chat.locator("#text")
    await expect(shop.chat.locator("#greeting")).to_be_visible()
    await box.press_sequentially("Kartım 4111")
    await shop.visit(more="&sub=ayse")
    await expect(box).to_have_value("Kartım 4111")
    await shop.chat.locator("#pick").set_input_files(
        files={"name": "kart.txt", "mimeType": "text/plain", "buffer": b"4111"}
    )
    await expect(shop.chat.locator("#files li")).to_have_count(1)
    await shop.page.evaluate("Santral.identify(null)")
    await expect(box).to_have_value("")
    await expect(shop.chat.locator("#files li")).to_have_count(0)
    await shop.visit()
    await expect(box).to_have_value("")


async def test_the_keyboard_stays_where_it_was_and_only_news_is_read_out(shop: Shop) -> None:
    await shop.open()
    await shop.write("Bir")
    await expect(shop.chat.locator(".mark")).to_contain_text("Gönderildi")
    told = shop.chat.locator("#told")
    await expect(told).to_have_text("Gönderildi")
    await answer(shop.world, await shop.world.card_with("Bir"), "Buyurun")
    await expect(told).to_contain_text("Buyurun")
    await shop.chat.get_by_role("button", name="Sil").focus()
    await shop.page.keyboard.press("Enter")
    await expect(shop.chat.locator("p.gone")).to_have_count(1)
    await expect(shop.chat.locator("#text")).to_be_focused()
    await expect(told).to_have_text("Bu mesaj silindi")  # by now it is stored
    await shop.visit()
    await expect(shop.log).to_have_text(["Buyurun"])
    await expect(told).to_have_text("")
    await expect(shop.chat.get_by_role("log")).to_have_attribute("aria-live", "off")


async def test_a_shop_that_changes_its_body_keeps_the_bubble(shop: Shop) -> None:
    await shop.open()
    await shop.write("Bir")
    await expect(shop.chat.locator(".mark")).to_contain_text("Gönderildi")
    await shop.page.evaluate("document.body = document.createElement('body')")
    await expect(shop.log).to_have_text(["Bir"])
    await shop.page.evaluate("document.body.replaceChildren()")
    await expect(shop.bubble).to_be_visible()
    await expect(shop.log).to_have_text(["Bir"])
