"""The bubble when things go wrong: no line, too much at once, two tabs at once, somebody else at the keyboard."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.scenarios.desk import answer
from tests.webchat.shop import Shop, browser, own_shop, shop, street
from tests.webchat.test_socket import rows
from tests.world import eventually

__all__ = ["browser", "own_shop", "shop", "street"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("widget")]


async def test_what_is_changed_or_deleted_without_a_line_is_so_when_it_is_back(own_shop: Shop) -> None:
    shop = own_shop
    await shop.open()
    await shop.say("Mavi olsn", "Boş ver")
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
    await expect(shop.told).to_have_text("Bu mesaj silindi")  # the later of the two is stored
    await expect(shop.chat.locator("p.gone")).to_have_count(1)
    found = await rows(shop.world, "select text, edited_at, withdrawn_at from messages order by id")
    assert (found[0]["text"], found[0]["edited_at"] is not None) == ("Mavi olsun", True)
    assert found[1]["withdrawn_at"] is not None


async def test_what_is_told_to_wait_is_not_overtaken(own_shop: Shop) -> None:
    shop = own_shop
    await shop.open()
    written = [f"{number:02}" for number in range(12)]  # ten at once, then one every two seconds
    for text in written:
        await shop.write(text)
    await expect(shop.chat.locator(".mark", has_text="Gönderildi")).to_have_count(12)
    found = await rows(shop.world, "select text from messages order by position")
    assert [row["text"] for row in found] == written


LINES = """
    // Every line that is opened is counted, and what comes over it is held back until it is let through.
    const Line = WebSocket;
    window.held = [];
    window.WebSocket = class extends Line {
        constructor(url) {
            super(url);
            document.documentElement.dataset.lines = Number(document.documentElement.dataset.lines || 0) + 1;
        }
        set onmessage(hear) {
            super.onmessage = (event) => {
                if (window.through) return hear(event);
                window.held.push(() => hear(event));
                document.documentElement.dataset.held = "yes";
            };
        }
    };
    window.letThrough = () => { window.through = true; window.held.forEach((hear) => hear()); };
"""


async def knows(page: Page) -> None:
    """Wait until what the other tab has stored has come here; a browser takes its time."""
    await eventually(lambda: page.evaluate("localStorage.getItem('santral:chat:token')"))


async def tab(shop: Shop, page: Page, text: str) -> Page:
    """A tab in which something is written before the server was heard."""
    await page.add_init_script(LINES)
    await page.goto(f"{shop.world.url}/chat/chat?lang=tr")
    await page.fill("#text", text)
    await page.press("#text", "Enter")
    await expect(page.locator("#items > li", has_text=text).locator(".mark")).to_contain_text("Gönderiliyor")
    return page


async def test_two_tabs_that_both_write_before_they_know_of_each_other_are_one_visitor(own_shop: Shop) -> None:
    shop = own_shop
    first = await tab(shop, shop.page, "İlk sekmeden")
    await expect(first.locator("html")).to_have_attribute("data-held", "yes")
    second = await tab(shop, await shop.other(), "İkinci sekmeden")
    assert await second.locator("html").get_attribute("data-lines") is None, "it waits for its turn"
    await first.evaluate("letThrough()")
    await expect(second.locator("html")).to_have_attribute("data-held", "yes")
    await knows(second)
    await second.evaluate("letThrough()")
    for page in (first, second):
        await expect(page.locator("#items .text")).to_have_count(2)
        await expect(page.locator(".mark", has_text="Gönderildi")).to_have_count(2)
        for text in ("İlk sekmeden", "İkinci sekmeden"):
            await expect(page.locator("#items .text", has_text=text)).to_have_count(1)
    found = await rows(shop.world, "select text from messages order by position")
    assert sorted(row["text"] for row in found) == ["İkinci sekmeden", "İlk sekmeden"]
    assert len(await rows(shop.world, "select from addresses where kind = 'visitor'")) == 1
    assert len(await rows(shop.world, "select from conversations")) == 1


async def test_a_tab_that_is_closed_in_its_turn_holds_up_no_other(own_shop: Shop) -> None:
    shop = own_shop
    first = await tab(shop, shop.page, "Vazgeçtim")
    await expect(first.locator("html")).to_have_attribute("data-held", "yes")
    second = await tab(shop, await shop.other(), "Buradayım")
    await second.evaluate("window.through = true")
    await first.close()
    mark = second.locator("#items > li", has_text="Buradayım").locator(".mark")
    await expect(mark).to_contain_text("Gönderildi")


async def test_a_tab_whose_turn_does_not_come_goes_on_without_it(own_shop: Shop) -> None:
    shop = own_shop
    first = await tab(shop, shop.page, "Uykudayım")
    await expect(first.locator("html")).to_have_attribute("data-held", "yes")
    page = await shop.other()
    await page.clock.install()
    second = await tab(shop, page, "Bekledim")
    await second.evaluate("window.through = true")
    await second.clock.fast_forward(10_000)
    mark = second.locator("#items > li", has_text="Bekledim").locator(".mark")
    await expect(mark).to_contain_text("Gönderildi")


async def test_without_locks_the_first_of_two_tabs_that_meet_is_the_one_both_are(own_shop: Shop) -> None:
    shop = own_shop
    await shop.context.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined });")
    first, second = shop.page, await shop.other()
    for page in (first, second):
        await page.add_init_script(LINES)
        await page.goto(f"{shop.world.url}/chat/chat?lang=tr")
        await expect(page.locator("html")).to_have_attribute("data-held", "yes")
    await first.evaluate("letThrough()")
    await expect(first.locator("#log[aria-busy=false]")).to_be_visible()
    await knows(second)
    await second.evaluate("letThrough()")
    await first.fill("#text", "İlk sekmeden")
    await first.press("#text", "Enter")
    for page in (first, second):
        await expect(page.locator("#items .text")).to_have_text(["İlk sekmeden"])
        await expect(page.locator(".mark")).to_contain_text("Gönderildi")
    assert len(await rows(shop.world, "select from addresses where kind = 'visitor'")) == 1


async def test_a_draft_goes_along_from_page_to_page_and_not_to_the_next_person(shop: Shop) -> None:
    await shop.open(more="&sub=ayse")
    box = shop.chat.locator("#text")
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
    await shop.welcomed()
    await expect(box).to_have_value("")


async def test_what_is_begun_before_the_server_says_who_is_here_is_theirs_alone(shop: Shop) -> None:
    await shop.context.add_init_script(LINES)
    await shop.visit(more="&sub=zeynep")
    await shop.bubble.click()
    box, frame = shop.chat.locator("#text"), shop.page.frames[1]
    await shop.write("Zeynep'in mesajı")
    await box.press_sequentially("Zeynep'in taslağı")
    await expect(shop.chat.locator("html")).to_have_attribute("data-held", "yes")
    # The answer to the message is not heard: it stays in the browser, as after a broken line.
    await frame.evaluate("window.held.splice(0, 1)[0]()")
    await expect(shop.chat.locator("#log[aria-busy=false]")).to_be_visible()
    kept = await frame.evaluate(
        "Object.entries(localStorage).filter(([key]) => /out:|draft/.test(key)).map(([, v]) => v)"
    )
    assert len(kept) == 2
    assert all('"as":""' not in one for one in kept)


async def test_the_keyboard_stays_where_it_was_and_only_news_is_read_out(shop: Shop) -> None:
    await shop.open()
    await shop.say("Bir klavye")
    await expect(shop.told).to_have_text("Gönderildi")
    card = await shop.world.card_with("Bir klavye")
    await answer(shop.world, card, "Buyurun")
    await expect(shop.told).to_contain_text("Buyurun")
    await shop.chat.get_by_role("button", name="Sil").focus()
    await shop.page.keyboard.press("Enter")
    await expect(shop.chat.locator("p.gone")).to_have_count(1)
    await expect(shop.chat.locator("#text")).to_be_focused()
    await expect(shop.told).to_have_text("Bu mesaj silindi")  # by now it is stored
    await shop.visit()
    await expect(shop.log).to_have_text(["Buyurun"])
    await shop.welcomed()
    await expect(shop.told).to_have_text("")
    await expect(shop.chat.get_by_role("log")).to_have_attribute("aria-live", "off")


async def test_what_comes_while_there_is_no_line_is_read_out_when_it_is_back(shop: Shop) -> None:
    await shop.open()
    await shop.say("Trendeyim")
    card = await shop.world.card_with("Trendeyim")
    await expect(shop.told).to_have_text("Gönderildi")
    await shop.context.set_offline(True)
    await expect(shop.chat.locator("#notice")).not_to_have_text("")
    for text in ("Geldi mi?", "Orada mısınız?"):
        await answer(shop.world, card, text)
    await eventually(lambda: _delivered(shop, 2))
    await shop.context.set_offline(False)
    await expect(shop.log).to_have_text(["Trendeyim", "Geldi mi?", "Orada mısınız?"])
    await expect(shop.told).to_contain_text("Geldi mi?")
    await expect(shop.told).to_contain_text("Orada mısınız?")


async def _delivered(shop: Shop, count: int) -> bool:
    found = await rows(
        shop.world,
        "select from deliveries d join messages m on m.id = d.message_id where d.status >= 2 and d.conversation_id ="
        " (select conversation_id from messages where text = 'Trendeyim')",
    )
    return len(found) == count


async def test_a_shop_that_changes_its_body_keeps_the_bubble(shop: Shop) -> None:
    await shop.open()
    await shop.say("Bir gövde")
    await shop.page.evaluate("document.body = document.createElement('body')")
    await expect(shop.log).to_have_text(["Bir gövde"])
    await shop.page.evaluate("document.body.replaceChildren()")
    await expect(shop.bubble).to_be_visible()
    await expect(shop.log).to_have_text(["Bir gövde"])
