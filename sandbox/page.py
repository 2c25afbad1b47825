"""The demo page's server: all emulators under one address, the page, one stream of what happens, and the stories.

Rule: the page is told only that a side changed and fetches it whole, so that a lost line or a reconnect cannot show
anything twice or leave anything out. Requests from other sites' pages are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox import cast, furnish, lines, mail, meta, slack, telegram, trail, trail_apps, twilio, x
from sandbox.board import Board
from sandbox.clock import Clock, Hours
from sandbox.emojis import known_emoji
from sandbox.journal import Journal
from sandbox.mail.control import plain as mail_state
from sandbox.rows import TABLES, Rows
from sandbox.shop import Shop
from sandbox.slack.state import state as slack_state
from sandbox.stage import Scene, Stage
from sandbox.stories import STORIES, Story, perform

Json = dict[str, Any]

STATIC = Path(__file__).parent / "static"
BODY_AT_MOST = 100 << 20
SLOWEST = 10.0  # times the usual pace of a story
BREAKFAST = timedelta(minutes=70)  # after the opening, when nothing is left of the morning's rush
GLANCE = 0.5  # seconds between two looks for whether the shop opened or closed
ANXIOUS, CALM = 0.5, 3.0  # seconds between two looks at Santral's health, before and after it is up


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where everything is. `app_url` is Santral's; `database` may be read by the page, if given."""

    listen: str = "127.0.0.1:8080"
    app_url: str = "http://127.0.0.1:8090"
    database: str = ""
    telegram_token: str = cast.TELEGRAM_TOKEN
    slack_bot_token: str = field(default=cast.SLACK_BOT_TOKEN, repr=False)
    slack_app_token: str = field(default=cast.SLACK_APP_TOKEN, repr=False)
    slack_signing_secret: str = field(default=cast.SLACK_SIGNING_SECRET, repr=False)
    socket_mode: bool = False
    imap_port: int = 0  # 0: any free one
    smtp_port: int = 0
    mailbox_password: str = field(default=cast.MAILBOX_PASSWORD, repr=False)
    clock: str = ""  # a file that Santral goes by as well
    hours: str = ""  # a file with the moments at which the shop opens and closes

    @property
    def base(self) -> str:
        return f"http://{self.listen}"


class Page:
    """One demo: its worlds, who looks at it, and the story that plays."""

    def __init__(self, options: Options, *, pace: float = 1.0, patience: float = 30.0) -> None:
        """`pace` stretches the stories' reading time, `patience` is how many seconds they wait for something."""
        self.options = options
        self.pace = pace
        self.patience = patience
        self.telegram = telegram.World()
        self.slack = slack.World(f"{options.base}/slack")
        self.mail = mail.World()
        self.twilio = twilio.World()
        self.meta = meta.World(app_secret=lines.META_SECRET, base=f"{options.base}/meta")
        self.x = x.World()
        self.clock = Clock(Hours.read(options.hours) if options.hours else None, options.clock)
        self.board = Board()
        self.shop = Shop(options.app_url)
        self.rows = Rows(options.database, self._went) if options.database else None
        self.health: Json = {"ready": False, "gone": False, "detail": ""}
        self.scene: Scene | None = None
        self._stage: Stage | None = None
        self._playing: asyncio.Task[None] | None = None
        self._troubles: list[str] = []

    # what the page asks for

    async def index(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    async def state(self, request: web.Request) -> web.Response:
        """Everything the first paint needs."""
        mark = self.board.mark
        return _json(
            {
                "seq": mark,
                "cast": cast.plain() | {"apps": lines.plain()},
                "telegram": self.telegram.state("/telegram"),
                "slack": slack_state(self.slack, "/slack"),
                "mail": mail_state(self.mail, "/mail"),
                "twilio": self.twilio.state("/twilio"),
                "meta": self.meta.state("/meta"),
                "x": self.x.state("/x"),
                "health": self.health,
                "clock": self.clock.plain(),
                "stories": [{"id": one.id, "title": one.title, "about": one.about} for one in STORIES],
                "scene": self.scene.plain() if self.scene else None,
                "troubles": self._troubles,
                "log": list(self.board.entries),
                "emoji": known_emoji(),
            }
        )

    async def stream(self, request: web.Request) -> web.StreamResponse:
        # A browser that reconnects by itself says where it was in a header, not in the address it began with.
        mark = request.headers.get("Last-Event-ID") or request.query.get("since", "")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            await response.write(b": listening\nretry: 1000\n\n")
            async with contextlib.aclosing(self.board.follow(mark)) as told:
                async for at, data in told:
                    line = b"id: %s\ndata: %s\n\n" % (at.encode(), data) if data else b": still here\n\n"
                    await response.write(line)
        return response

    async def stories(self, request: web.Request) -> web.Response:
        return _json({"stories": [{"id": one.id, "title": one.title, "about": one.about} for one in STORIES]})

    async def play(self, request: web.Request) -> web.Response:
        """Begin a story. `pace` in the address stretches its reading time, as for `Page`; 0 leaves none."""
        story = next((one for one in STORIES if one.id == request.match_info["story"]), None)
        if story is None:
            return _json({"error": "there is no such story"}, 404)
        if not self.health["ready"]:
            return _json({"error": "Santral is not up yet"}, 409)
        try:
            pace = min(max(float(request.query.get("pace", self.pace)), 0.0), SLOWEST)
        except ValueError:
            return _json({"error": "pace must be a number"}, 400)
        await self._stop()
        self._playing = asyncio.create_task(self._perform(story, pace))
        return _json({"ok": True})

    async def stop(self, request: web.Request) -> web.Response:
        await self._stop()
        return _json({"ok": True})

    async def turn_clock(self, request: web.Request) -> web.Response:
        """Turn everybody's clock. What the body may say is told at `Clock.find`."""
        try:
            wish = orjson.loads(await request.read())
            if not isinstance(wish, dict):
                raise ValueError("the body must be an object")
            await self.turn(self.clock.find(wish))
        except (ValueError, OverflowError) as error:
            return _json({"error": str(error)}, 400)
        return _json(self.clock.plain())

    async def seen_clock(self, request: web.Request) -> web.Response:
        return _json(self.clock.plain())

    async def seen_health(self, request: web.Request) -> web.Response:
        return _json(self.health)

    async def seen_rows(self, request: web.Request) -> web.Response:
        """The newest rows of each table, and what changed after `since` (seconds since 1970)."""
        try:
            since = float(request.query.get("since", 0))
        except ValueError:
            since = 0.0
        changes = [one for one in self.board.entries if one["lane"] == "database" and one["at"] > since]
        newest = self.rows.newest() if self.rows else {table: [] for table in TABLES}
        return _json({"tables": newest, "changes": changes, "watching": self.rows is not None})

    async def turn(self, to: datetime | None) -> None:
        """Make it this moment for everybody; None is the real time. Raises ValueError for what is too far."""
        self.clock.turn(to)
        offset = {"clock_offset": self.clock.offset.total_seconds()}
        for world in (self.telegram, self.twilio, self.meta, self.x):
            await world.settle(offset)
        self.mail.change_settings(offset)
        self.board.tell("clock", clock=self.clock.plain())
        self._pulse()

    async def by_day(self) -> None:
        """Go on to where somebody answers: most who look at a demo do so when the shop is closed."""
        await self.turn(self.clock.hours.opening(self.clock.now()) + BREAKFAST)

    # what goes on

    async def live(self, app: web.Application) -> AsyncIterator[None]:
        """Furnish the worlds and watch everything, for as long as the application runs."""
        options = self.options
        cast.enter_telegram(self.telegram, options.telegram_token)
        cast.enter_mail(self.mail, options.mailbox_password)
        await furnish.enter(self.twilio, self.meta, self.x, options.base)
        furnish.connect(self.twilio, self.meta, self.x, options.app_url)
        if self.clock.closed:
            await self.by_day()
        host = options.listen.rpartition(":")[0]
        await self.mail.start(host, imap_port=options.imap_port, smtp_port=options.smtp_port)
        await cast.enter_slack(
            self.slack,
            {
                "bot_token": options.slack_bot_token,
                "app_token": options.slack_app_token,
                "signing_secret": options.slack_signing_secret,
                "interactive_url": f"{options.app_url}/slack/interactive",
                "socket_mode": options.socket_mode,
                "shortcuts": [name for name, _ in cast.SHORTCUTS],
            },
        )
        # Not through set_up: that would ask Santral for its answer to the challenge before it is there to give one.
        self.slack.change_app({"events_url": f"{options.app_url}/slack/events"})
        watches: list[Coroutine[Any, Any, None]] = [
            self._watch("telegram", self.telegram.journal, trail.from_telegram),
            self._watch("twilio", self.twilio.journal, trail_apps.from_twilio),
            self._watch("meta", self.meta.journal, trail_apps.from_meta),
            self._watch("x", self.x.journal, trail_apps.from_x),
            self._watch_slack(),
            self._watch_mail(),
            self._watch_health(),
            self._watch_troubles(),
            self._watch_clock(),
        ]
        if self.rows:
            watches.append(self.rows.watch())
        tasks = [asyncio.create_task(watch) for watch in watches]
        yield
        await self._stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.shop.close()

    async def hush(self, app: web.Application) -> None:
        """Let the pages go, so that the server can stop."""
        self.board.close()

    async def _watch(self, side: str, journal: Journal, entered: Callable[[Json], Json | None]) -> None:
        async with contextlib.aclosing(journal.listen()) as records:
            async for record in records:
                if entry := entered(record):
                    self._went(entry)
                self._changed(side)

    async def _watch_mail(self) -> None:
        async with contextlib.aclosing(self.mail.journal.listen()) as records:
            async for record in records:
                if entry := trail.from_mail(record):
                    self._went(entry)
                else:
                    self._changed("mail")
                self._pulse()

    async def _watch_slack(self) -> None:
        queue: asyncio.Queue[Json | None] = asyncio.Queue()
        self.slack.watchers.add(queue)
        try:
            while (record := await queue.get()) is not None:
                if entry := trail.from_slack(record):
                    self._went(entry)
                else:
                    self._changed("slack")
                self._pulse()
        finally:
            self.slack.watchers.discard(queue)

    async def _watch_health(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while True:
                health = await self._look_at_health(session)
                if health != self.health:
                    self.health = health
                    self.board.tell("health", health=health)
                await asyncio.sleep(CALM if health["ready"] else ANXIOUS)

    async def _watch_troubles(self) -> None:
        # Nothing tells when a rule of trouble has run out.
        while True:
            troubles = self._trouble_words()
            if troubles != self._troubles:
                self._troubles = troubles
                self.board.tell("troubles", troubles=troubles)
                self._pulse()
            await asyncio.sleep(0.2)

    async def _watch_clock(self) -> None:
        """Tell when the shop opens or closes, and when another week begins."""
        told = self.clock.plain()
        while True:
            await asyncio.sleep(GLANCE)
            if (seen := self.clock.plain()) != told:
                told = seen
                self.board.tell("clock", clock=told)

    async def _look_at_health(self, session: aiohttp.ClientSession) -> Json:
        """`ready` stays true while Santral answers at all: that it waits for Slack is part of a story."""
        been_up = self.health["ready"] or self.health["gone"]
        try:
            async with session.get(f"{self.options.app_url}/health/ready") as answer:
                if answer.status == 200:
                    return {"ready": True, "gone": False, "detail": ""}
                words = " ".join((await answer.text())[:200].split())
                return {"ready": been_up, "gone": False, "detail": words}
        except (aiohttp.ClientError, TimeoutError, OSError):
            return {"ready": False, "gone": been_up, "detail": ""}

    def _trouble_words(self) -> list[str]:
        said = ["Slack is down"] if self.slack.is_down else []
        named = (
            ("Telegram", self.telegram.troubles),
            ("The mail server", self.mail.troubles),
            ("Twilio", self.twilio.troubles),
            ("Meta", self.meta.troubles),
            ("X", self.x.troubles),
        )
        for name, troubles in named:
            if any(rule.get("times") is None or rule["fired"] < rule["times"] for rule in troubles.plain()):
                said.append(f"{name} misbehaves")
        return said

    def _went(self, entry: Json) -> None:
        self.board.tell("went", entry={**entry, "turned": self.clock.offset.total_seconds()})
        if self.rows and entry["lane"] != "database":
            self.rows.wake()

    def _changed(self, side: str) -> None:
        self.board.tell("changed", side=side)
        self._pulse()

    def _pulse(self) -> None:
        if self._stage:
            self._stage.changed.set()

    # stories

    def _show(self, scene: Scene) -> None:
        self.scene = scene
        self.board.tell("scene", scene=scene.plain())

    async def _perform(self, story: Story, pace: float) -> None:
        scene = Scene(id=story.id, title=story.title, steps=story.steps)
        self._stage = Stage(
            telegram=self.telegram,
            slack=self.slack,
            mail=self.mail,
            twilio=self.twilio,
            meta=self.meta,
            x=self.x,
            clock=self.clock,
            turn=self.turn,
            show=self._show,
            scene=scene,
            pace=pace,
            patience=self.patience,
        )
        try:
            if self.clock.closed:
                await self.by_day()
            await perform(story, self._stage)
        finally:
            self._stage = None

    async def _stop(self) -> None:
        if self._playing and not self._playing.done():
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)
        self._playing = None
        if self.scene:
            self.scene = None
            self.board.tell("scene", scene=None)


def _json(body: Any, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=headers)


@web.middleware
async def own_pages_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what another site's page sends, and let a page of ours load nothing from elsewhere."""
    origin = request.headers.get("Origin")
    if origin and urlsplit(origin).netloc != request.host:
        return _json({"error": "this page answers only itself"}, 403)
    response = await handler(request)
    if not response.prepared and "Content-Security-Policy" not in response.headers:
        response.headers["Content-Security-Policy"] = (
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; frame-ancestors 'none'"
        )
    return response


def application(options: Options, page: Page | None = None) -> web.Application:
    """Make the whole demo: the page at /, every emulator under its name, the shop's own site under /kumbara."""
    page = page or Page(options)
    app = web.Application(client_max_size=BODY_AT_MOST, middlewares=[own_pages_only])
    app.add_subapp("/telegram/", telegram.application(page.telegram))
    app.add_subapp("/slack/", slack.application(page.slack))
    app.add_subapp("/mail/", mail.application(page.mail))
    app.add_subapp("/twilio/", twilio.application(page.twilio))
    app.add_subapp("/meta/", meta.application(page.meta))
    app.add_subapp("/x/", x.application(page.x))
    app.add_routes(page.shop.routes())
    app.router.add_get("/", page.index)
    app.router.add_get("/demo/state", page.state)
    app.router.add_get("/demo/stream", page.stream)
    app.router.add_get("/demo/clock", page.seen_clock)
    app.router.add_post("/demo/clock", page.turn_clock)
    app.router.add_get("/demo/health", page.seen_health)
    app.router.add_get("/demo/rows", page.seen_rows)
    app.router.add_get("/demo/stories", page.stories)
    app.router.add_post("/demo/stories/stop", page.stop)
    app.router.add_post("/demo/stories/{story}/play", page.play)
    app.router.add_static("/static/", STATIC)
    app.cleanup_ctx.append(page.live)
    app.on_shutdown.append(page.hush)
    return app
