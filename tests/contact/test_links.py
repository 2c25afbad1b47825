"""Links of channels: asked for in the background, kept while their provider is away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from app.contact_links import AGAIN, FRESH, Links
from app.contact_view import Way
from channels.channel import Linked
from channels.errors import Retry
from channels.mail.adapter import CAPABILITIES, Email, EmailConfig
from channels.telegram.adapter import Telegram, TelegramConfig

AT = datetime(2027, 2, 9, 8, 0, tzinfo=UTC)


class Slow:
    """A channel whose provider answers when the test lets it."""

    kind = "slow"
    capabilities = CAPABILITIES

    def __init__(self) -> None:
        self.name = "slow"
        self.asked = 0
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def link(self) -> str:
        self.asked += 1
        return await self.answer

    async def send(self, message: Any) -> str:
        raise Retry("away")

    async def close(self) -> None:
        return None

    def anew(self) -> None:
        self.answer = asyncio.get_running_loop().create_future()


async def turn() -> None:
    """Let what waits go on."""
    for _ in range(5):
        await asyncio.sleep(0)


def mailbox(address: str = "support@kumbara.example") -> Email:
    return Email("mail", EmailConfig(address=address, smtp="smtps://u:p@smtp.example:465"))


async def test_a_mailbox_is_written_to_by_mailto() -> None:
    assert await mailbox().link() == "mailto:support@kumbara.example"
    assert await mailbox("a?b&c=d@kumbara.example").link() == "mailto:a%3Fb%26c%3Dd@kumbara.example"
    assert isinstance(mailbox(), Linked)
    assert isinstance(Telegram("bot", TelegramConfig(token="1:a")), Linked)


async def test_a_slow_provider_is_not_waited_for_and_its_link_comes_later() -> None:
    slow = Slow()
    links = Links({"slow": slow, "mail": mailbox()})
    mail = Way(kind="email", link="mailto:support@kumbara.example", shown="support@kumbara.example")
    assert await links.ways(AT) == (mail,)
    assert await links.ways(AT + timedelta(days=1)) == (mail,)
    assert slow.asked == 1, "it is being asked already"
    slow.answer.set_result("https://slow.example/kumbara")
    await turn()
    found = await links.ways(AT + timedelta(minutes=1))
    assert [way.kind for way in found] == ["slow", "email"]
    await links.close()


async def test_a_link_stays_while_its_provider_is_away_and_is_asked_for_again() -> None:
    slow = Slow()
    links = Links({"slow": slow})
    slow.answer.set_result("https://slow.example/a")
    assert [way.link for way in await links.ways(AT)] == ["https://slow.example/a"]
    slow.anew()
    slow.answer.set_exception(Retry("away"))
    await links.ways(AT + FRESH)
    await turn()
    assert [way.link for way in await links.ways(AT + FRESH)] == ["https://slow.example/a"]
    assert slow.asked == 2
    slow.anew()
    slow.answer.set_result("")
    await links.ways(AT + FRESH + AGAIN)
    await turn()
    assert await links.ways(AT + FRESH + AGAIN) == (), "there is none any more"
    await links.close()


async def test_what_took_too_long_is_asked_for_again_by_the_next_look() -> None:
    slow = Slow()
    links = Links({"slow": slow})
    slow.answer.set_exception(TimeoutError())  # as when a library is still loading
    assert await links.ways(AT) == ()
    slow.anew()
    slow.answer.set_result("https://slow.example/a")
    await links.ways(AT)
    await turn()
    assert [way.link for way in await links.ways(AT)] == ["https://slow.example/a"]
    assert slow.asked == 2
    await links.close()


async def test_what_is_being_asked_ends_with_the_program() -> None:
    slow = Slow()
    links = Links({"slow": slow})
    await links.ways(AT)
    await links.close()
    assert slow.answer.cancelled()
