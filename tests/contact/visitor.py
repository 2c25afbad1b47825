"""A visitor of the contact page who looks at what came and sends what they typed, as a browser would."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import aiohttp
from selectolax.lexbor import LexborHTMLParser as Document

from tests.world import World

HOURS = "Mo-Fr 09:00-18:00; Sa 10:00-14:00; PH off"
FILLED = {
    "name": "Ayşe Yılmaz",
    "email": "ayse@ornek.com.tr",
    "phone": "",
    "order": "",
    "subject": "Kargom nerede?",
    "message": "Merhaba, iki haftadır bekliyorum.",
}


def istanbul(text: str) -> datetime:
    """A moment on the shop's clock."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Istanbul")).astimezone(UTC)


SATURDAY_NIGHT = istanbul("2027-02-06T23:40")
TUESDAY = istanbul("2027-02-09T11:00")


class Visitor:
    """`page` is what they look at. It was opened a minute ago, unless they are said to hurry."""

    def __init__(self, world: World, *, language: str = "tr", address: str = "") -> None:
        self.world = world
        self.headers = {"Accept-Language": language} | ({"X-Forwarded-For": address} if address else {})
        self.status = 0
        self.location = ""
        self.answered: dict[str, str] = {}
        self.page = Document("")
        self.ticket = ""  # of the last page that had one
        self.order: list[str] = []  # of that page's fields

    async def look(self, path: str = "/contact", *, hurry: bool = False) -> Document:
        clock = self.world.clock
        if not hurry:
            self.world.clock = lambda: clock() - timedelta(minutes=1)
        try:
            async with (
                aiohttp.ClientSession(headers=self.headers) as session,
                session.get(f"{self.world.url}{path}", allow_redirects=False) as answer,
            ):
                return self._seen(answer, await answer.text())
        finally:
            self.world.clock = clock

    async def send(
        self, *, files: Sequence[tuple[str, bytes]] = (), path: str = "/contact?lang=tr", **typed: str
    ) -> Document:
        """Send the form of the page that is open, filled in but for what is `typed` otherwise.

        The fields go in the order of the page, as browsers send them.
        """
        form = aiohttp.FormData()
        filled = {"ticket": self.ticket, "website": "", **FILLED, **typed}
        for key in self.order or [*filled, "files"]:
            if key != "files":
                form.add_field(key, filled[key])
                continue
            for name, data in files or [("", b"")]:
                form.add_field("files", data, filename=name, content_type="application/octet-stream")
        async with (
            aiohttp.ClientSession(headers=self.headers) as session,
            session.post(f"{self.world.url}{path}", data=form, allow_redirects=False) as answer,
        ):
            return self._seen(answer, await answer.text())

    async def post_raw(self, body: bytes, content_type: str) -> Document:
        """Send what no browser does."""
        headers = {"Content-Type": content_type}
        async with (
            aiohttp.ClientSession(headers=self.headers) as session,
            session.post(f"{self.world.url}/contact", data=body, headers=headers) as answer,
        ):
            return self._seen(answer, await answer.text())

    def typed(self, key: str) -> str:
        """What stands in a field of the page."""
        field = self.page.css_first(f"#{key}")
        assert field is not None
        return str(field.text().removeprefix("\n") if field.tag == "textarea" else field.attributes.get("value") or "")

    def error(self, key: str) -> str:
        """What is said beside a field, "" where all is well."""
        found = self.page.css_first(f"#{key}-error")
        return found.text() if found else ""

    def text(self, selector: str) -> str:
        found = self.page.css_first(selector)
        return " ".join(found.text().split()) if found else ""

    def _seen(self, answer: aiohttp.ClientResponse, text: str) -> Document:
        self.status, self.answered = answer.status, dict(answer.headers)
        self.location = answer.headers.get("Location", "")
        self.page = Document(text)
        if found := self.page.css_first("input[name=ticket]"):
            self.ticket = str(found.attributes["value"])
            self.order = [str(one.attributes["name"]) for one in self.page.css("form [name]")]
        return self.page


def pass_time(world: World, time: timedelta = timedelta()) -> None:
    """Let the machine's clock go on by so much, and stand still: however slow a machine is, no more has passed.

    What waits by the database's own clock goes on waiting.
    """
    at = world.clock() + time
    world.clock = lambda: at


class Refusals:
    """How many of the form's messages were refused since, by reason. Figures are the whole process's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._before: dict[str, float] = {}

    async def since(self) -> Refusals:
        self._before = await self._read()
        return self

    async def now(self) -> dict[str, float]:
        found = await self._read()
        return {why: new for why, count in found.items() if (new := count - self._before.get(why, 0))}

    async def _read(self) -> dict[str, float]:
        async with aiohttp.ClientSession() as session, session.get(f"{self._world.url}/metrics") as answer:
            text = await answer.text()
        found = re.findall(r'santral_refused_total\{door="contact",reason="(\w+)"\} (\S+)', text)
        return {why: float(count) for why, count in found}
