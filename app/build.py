"""The object graph: which adapter, handler and lane there is, made from the configuration. Only this place knows all.

Rule: read this top to bottom and you know what runs. Nothing is set on an object after it was made.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets as chance
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import structlog

from app.chat import Chat
from app.config import Config, IntakeConfig
from app.config.sections import TeamConfig
from app.contact import Contact
from app.contact import settings_of as contact_settings
from app.downloads import Downloads
from app.links import Links
from app.offers import offers
from app.policy import policy_of
from app.web import Web
from channels import registry
from channels.channel import Acknowledges, CatchesUp, Channel, Fetches, Listens, Prepares, Profiles, Pull, Reads
from channels.message import Edited, Event, Received
from channels.webchat.adapter import Webchat
from desk.actions import Actions
from desk.catchup import Catchup
from desk.closing import CLOSING, Closing
from desk.commands import Replies as Plain
from desk.desk import Desk
from desk.events import SOURCE, Events
from desk.inbox import Inbox
from desk.marks import Marks
from desk.mirror import Mirror
from desk.people import People
from desk.presence import Presence
from desk.slack import AgentFiles, Slack
from desk.socket import Socket
from desk.teams import UPDATE_LANE, Team, Teams, post_lane
from desk.telling import Telling
from desk.views import Views
from inbox import due, figures
from inbox.burying import BURY, Burying
from inbox.changes import Priority, Put
from inbox.delivery import Sender
from inbox.due import send_lane
from inbox.echoes import ECHO, Echoes
from inbox.files import Files
from inbox.intake import Intake
from inbox.letters import Letters
from inbox.media import FETCH_TRIES, Forgotten, Media
from inbox.missed import MISSED, Missed, asking
from inbox.profiles import PROFILE
from inbox.profiles import Profiles as Named
from inbox.pull import Puller
from inbox.replies import Replies
from inbox.store import deliveries, secrets, work
from inbox.store import slack as slack_table
from inbox.store.database import Connection, Database
from inbox.store.work import Piece
from inbox.work import Kind, Lane, Worker
from routing.model_process import ModelProcess
from routing.policy import Live, Policy
from routing.rounds.acknowledging import Acknowledging
from routing.rounds.assigning import Assigning
from routing.rounds.following import ASSIGN, FollowUps
from routing.rounds.learning import LEARN, Learning
from routing.rounds.promising import PROMISE, TIMERS, Promising
from routing.rounds.understanding import Understanding
from routing.triage import ACKNOWLEDGE, UNDERSTAND, triage
from templates.catalog import Catalog

UPDATES = timedelta(milliseconds=250)  # between two card updates; Slack's own limit is told by its 429
REPEAT = timedelta(days=1)  # between two alarms that a channel refuses us
UNLIMITED = timedelta(milliseconds=5)  # between two sends on a channel that names no rate

log = structlog.get_logger()


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Everything one process runs."""

    channels: dict[str, Channel]
    intake: Intake
    slack: Slack
    socket: Socket | None
    worker: Worker
    puller: Puller
    policy: Live
    reload_refused: Callable[[str], Awaitable[None]]
    model: ModelProcess
    web: Web
    letters: Letters
    pulled: Sequence[str]
    listening: Mapping[str, Listens]  # what takes deliveries over a protocol of its own
    begins: Sequence[Put]  # the work that every start makes due

    async def close(self) -> None:
        for channel in self.channels.values():
            await channel.close()
        await self.model.close()
        await self.slack.close()


async def build(
    config: Config,
    database: Database,
    roles: frozenset[str],
    clock: Callable[[], datetime] = now,
    policy: Policy | None = None,
    shop: Callable[[], datetime] | None = None,
) -> App:
    """Make an application for these roles, in the loop that runs it. `policy` is made here unless the caller has.

    `clock` is the machine's, by which work is due; `shop` the one by which is decided, where that is turned.
    """
    shop = shop or clock
    catalog = Catalog.load(config.shop.languages[0])
    channels = {c.name: registry.make(c.kind, c.name, config.settings_of(c)) for c in config.channels}
    kinds = {name: channel.kind for name, channel in channels.items()}
    files = Files.in_folder(config.files_dir)
    teams = teams_of(config)
    slack = Slack(config.slack.bot_token.get_secret_value(), config.slack.api_url)
    await slack.open()

    live = Live(policy or policy_of(config))
    capabilities = {name: channel.capabilities for name, channel in channels.items()}
    closing = Closing(database, capabilities, follow_up=teams.follow_up, now=shop)
    follow_up = FollowUps(closing.follow_up, live)
    intake = Intake(
        database,
        decide=triage(live),
        follow_up=follow_up,
        now=shop,
        committed=_Committed(channels, sends="work" in roles).note,
        live=[name for name, channel in channels.items() if channel.capabilities.live],
        asked=[name for name, channel in channels.items() if isinstance(channel, Profiles)],
    )
    async with database.connection() as c:
        contact_key = await secrets.secret(c, "contact")
        links = Links(await secrets.secret(c, "links"), config.public_url or "", clock)
        chat = Chat(
            {name: channel for name, channel in channels.items() if isinstance(channel, Webchat)},
            database=database,
            intake=intake,
            files=files,
            policy=live,
            key=await secrets.secret(c, "chat"),
            new_id=lambda: chance.token_urlsafe(16),
            now=clock,
            shop=shop,
        )
    reading: dict[str, Reads] = {name: c for name, c in channels.items() if isinstance(c, Reads)}
    letters = Letters(database, files, intake, reading, now=clock)
    replies = Replies(database, channels, follow_up=follow_up, now=shop)
    people = People(database, slack, now=clock)
    desk = Desk(
        database=database,
        slack=slack,
        teams=teams,
        people=people,
        replies=replies,
        kinds=kinds,
        capabilities=capabilities,
        offers=offers(live, shop),
        catalog=catalog,
        now=clock,
        shop=shop,
    )
    events = Events(desk)
    catchup = Catchup(database, slack, events, now=clock)
    say = catalog.voice(config.shop.languages[0])
    views = Views(kinds, say, capabilities)
    telling = Telling(
        database,
        slack,
        views,
        capabilities=capabilities,
        approved=lambda channel: any(made.channel == channel for made in live().approved.templates),
        now=shop,
    )
    mirror = Mirror(database, slack, teams, files, views=views, telling=telling, now=clock, shop=shop)
    marks = Marks(database, slack, telling, now=clock)
    sources: dict[str, Fetches] = {name: c for name, c in channels.items() if isinstance(c, Fetches)}
    media = Media(database, files, {**sources, SOURCE: AgentFiles(slack)}, follow_up=teams.follow_up, now=clock)
    sender = Sender(database, channels, files, follow_up=teams.follow_up, now=clock, shop=shop, link=links.make)
    alarm = _Alarm(teams)
    echoes = Echoes(database, follow_up=follow_up, now=clock)
    named = {name: channel for name, channel in channels.items() if isinstance(channel, Profiles)}
    profiles = Named(database, named, follow_up=teams.follow_up)
    catching = {name: (x, x.capabilities.misses) for name, x in channels.items() if isinstance(x, CatchesUp)}
    missed = Missed(database, intake, catching, refused=alarm.refused, reads=alarm.reads, now=clock)
    acknowledging = Acknowledging(database, replies, live, now=shop)
    promising = Promising(database, live, follow_up=teams.follow_up, now=shop)
    model = ModelProcess()
    understanding = Understanding(database, live, model, follow_up=follow_up, ring=alarm.ring, now=shop)
    learning = Learning(database, now=shop)
    presence = Presence(desk, now=shop)
    assigning = Assigning(database, live, presence, follow_up=teams.follow_up, now=shop)
    pulled = {c.name: cast(Pull, channels[c.name]) for c in config.channels if c.receives == "poll"}
    puller = Puller(database, intake, letters, pulled, refused=alarm.refused, reads=alarm.reads, now=clock)

    working: list[Kind] = [
        Kind(name="mirror", run=mirror.mirror, tries=60),
        Kind(name="alarms", run=mirror.alarms, tries=60),
        Kind(name="card", run=mirror.card),
        Kind(name="revise", run=mirror.revise),
        Kind(name="marks", run=marks.run),
        Kind(name="unshare", run=mirror.unshare, tries=60),
        Kind(name=CLOSING, run=closing.run),
        Kind(name="media", run=media.run, tries=FETCH_TRIES),
        Kind(name="forget", run=Forgotten(files).run, tries=60),
        Kind(name="read", run=letters.run, tries=0),
        Kind(name=BURY, run=Burying(database, follow_up=teams.follow_up).run),
        Kind(name=ECHO, run=echoes.run),
        Kind(name=PROFILE, run=profiles.run),
        Kind(name="deliver", run=sender.run),
        Kind(name=ACKNOWLEDGE, run=acknowledging.run),
        Kind(name=PROMISE, run=promising.run),
        Kind(name=TIMERS, run=promising.timers),
        Kind(name=UNDERSTAND, run=understanding.run),
        Kind(name=LEARN, run=learning.run),
        Kind(name=ASSIGN, run=assigning.run),
        Kind(name="slack_thread", run=events.run, tries=60),
        Kind(name="catchup", run=catchup.run, tries=0),
    ]
    pulling = [Kind(name="pull", run=puller.run, tries=0), Kind(name=MISSED, run=missed.run, tries=0)]
    posts = timedelta(seconds=1 / config.slack.posts_per_second)
    lanes = [
        *(
            Lane(name=post_lane(channel), kinds=("mirror", "alarms"), spacing=posts, alone=True)
            for channel in sorted({team.slack_channel for team in teams})
        ),
        Lane(name=UPDATE_LANE, kinds=("card",), spacing=min(UPDATES, posts)),
        *(
            Lane(name=send_lane(name), kinds=("deliver",), spacing=rate.spacing if rate else UNLIMITED)
            for name, channel in channels.items()
            for rate in [channel.capabilities.rate]
        ),
    ]
    worker = Worker(
        database,
        [*(working if "work" in roles else []), *(pulling if "pull" in roles else [])],
        lanes if "work" in roles else [],
        alarm=alarm.raise_,
    )
    secret = config.slack.signing_secret.get_secret_value() if config.slack.signing_secret else ""
    inbox = Inbox(desk, presence, assigning, zone=config.shop.zone, now=shop)
    actions = Actions(desk, events, inbox, token=config.slack.bot_token.get_secret_value(), signing_secret=secret)
    socket = None
    if config.slack.app_token is not None and "pull" in roles:
        socket = Socket(config.slack.app_token.get_secret_value(), config.slack.api_url, events, actions.app)

    async def reload_refused(detail: str) -> None:
        async with database.transaction() as c:
            await (alarm.files_refused(c, detail) if detail else alarm.files_in_force(c))

    async def health() -> dict[str, bool]:
        parts = {"database": await _answers(database), "slack": slack.identity is not None}
        if roles & {"work", "pull"}:
            parts["workers"] = worker.alive.is_set()
        if socket is not None:
            parts["socket"] = await socket.connected()
        return parts

    contact = None
    if (wanted := contact_settings(config)) is not None:
        contact = Contact(wanted, channels, database, intake, files, live, key=contact_key, clock=clock, shop=shop)
    web = Web(
        channels,
        intake,
        letters,
        public_url=config.public_url or "",
        health=health,
        now=clock,
        shop=shop,
        events=events,
        signing_secret=secret,
        bolt=actions.app,
        downloads=Downloads(database, files, links),
        chat=chat,
        contact=contact,
    )
    return App(
        channels=channels,
        intake=intake,
        slack=slack,
        socket=socket,
        worker=worker,
        puller=puller,
        policy=live,
        reload_refused=reload_refused,
        model=model,
        web=web,
        letters=letters,
        pulled=sorted(pulled),
        listening={name: c for name, c in channels.items() if isinstance(c, Listens)} if "web" in roles else {},
        begins=[
            *(Put(kind="pull", key=name) for name in pulled if "pull" in roles),
            *(asking(name) for name in catching if "pull" in roles),
            *(due.reading(name) for name in reading if "work" in roles),
            *(Put(kind="catchup", key=team.slack_channel) for team in teams if "work" in roles),
            *([Put(kind=LEARN, key="all", priority=Priority.LOW)] if "work" in roles and live().model else []),
            *(Put(kind=ASSIGN, key=team.name) for team in teams if "work" in roles and assigning.assigns(team.name)),
        ],
    )


def teams_of(config: IntakeConfig) -> Teams:
    """The configured teams. A set-up without any, which can receive but not answer, has one that stands nowhere."""
    return Teams([_team(team) for team in config.teams] or [Team(name="", slack_channel="")])


class _Committed:
    """After a commit: count what arrived, take the waiting mark off pressed buttons, prepare for the first answer."""

    def __init__(self, channels: dict[str, Channel], *, sends: bool) -> None:
        # Whoever writes will be answered: what the first answer needs is loaded while the agent still types.
        self._unprepared = {name: c for name, c in channels.items() if sends and isinstance(c, Prepares)}
        self._pressed = {name: channel for name, channel in channels.items() if isinstance(channel, Acknowledges)}
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, events: Sequence[Event]) -> None:
        counted = Counter(
            (event.message.channel if isinstance(event, Edited) else event.channel, type(event)) for event in events
        )
        for (channel, what), count in counted.items():
            figures.ARRIVED.labels(channel, what.__name__.lower()).inc(count)
        figures.COMMIT_SIZE.observe(len(events))
        for event in events:
            if isinstance(event, Received) and event.payload and event.channel in self._pressed:
                self._start(self._pressed[event.channel].acknowledge(event))
        if self._unprepared:
            for channel, _ in counted:
                if prepares := self._unprepared.pop(channel, None):
                    self._start(prepares.prepare())

    def _start(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.info("channel.best_effort_failed", error=type(error).__name__)


class _Alarm:
    """Tells the desk that work was given up: in the conversation's thread, or in the first team's Slack channel."""

    def __init__(self, teams: Teams) -> None:
        self._teams = teams
        self._files: set[str] = set()  # what was said of files that were refused since the start, by its key

    async def refused(self, c: Connection, channel: str, detail: str) -> None:
        """A channel that we have to ask refuses us: nothing comes in there. Told once a day while it does."""
        await deliveries.forget_notice(c, f"mailbox:{channel}", before=now() - REPEAT)
        notice = {"notice": "mailbox", "channel": channel, "detail": detail}
        if await deliveries.notify_desk(c, None, f"mailbox:{channel}", notice):
            await work.put(c, [self.ring()])

    async def reads(self, c: Connection, channel: str) -> None:
        """A channel that we have to ask answers. Told where it had refused us before."""
        if await deliveries.forget_notice(c, f"mailbox:{channel}"):
            notice = {"notice": "reads_again", "channel": channel}
            await deliveries.notify_desk(c, None, f"reads_again:{channel}:{now().isoformat()}", notice)
            await work.put(c, [self.ring()])

    async def files_refused(self, c: Connection, detail: str) -> None:
        """A reload failed: what is wrong with the files, and that the running ones stay in force."""
        same = hashlib.blake2b(detail.encode(), digest_size=8).hexdigest()  # every process that reloads finds the same
        key = f"rules:{now():%Y-%m-%d}:{same}"
        await deliveries.notify_desk(c, None, key, {"notice": "rules", "detail": detail})
        await work.put(c, [self.ring()])
        self._files.add(key)

    async def files_in_force(self, c: Connection) -> None:
        """Files that had been refused were taken over. Told where the refusal was; by whichever process is first."""
        # What was said stays known: forgetting it twice tells nothing, and this may be rolled back.
        if any([await deliveries.forget_notice(c, key) for key in sorted(self._files)]):
            key = f"rules_again:{now().isoformat()}"
            await deliveries.notify_desk(c, None, key, {"notice": "rules_again"})
            await work.put(c, [self.ring()])

    def ring(self) -> Put:
        """The work that shows notices which belong to no conversation."""
        slack_channel = self._teams.first.slack_channel
        return Put(kind="alarms", key=slack_channel, lane=post_lane(slack_channel))

    async def raise_(self, c: Connection, piece: Piece, error: str) -> None:
        if piece.kind == "alarms":
            return  # what cannot ring, ringing does not help
        notice = {
            "notice": "parked",
            "kind": piece.kind,
            "since": piece.since.isoformat(),
            "attempts": piece.attempts,
            "detail": error,
        }
        key = f"parked:{piece.kind}:{piece.key}:{piece.since.isoformat()}"
        # A thread that cannot be posted to is no place to say so.
        posts = piece.kind == "mirror"
        conversation_id = None if posts else await slack_table.conversation_of_work(c, piece.kind, piece.key)
        if not await deliveries.notify_desk(c, conversation_id, key, notice):
            return
        head = await slack_table.head(c, conversation_id) if conversation_id is not None else None
        if head is not None:
            await work.put(c, self._teams.follow_up(head.conversation, lines=True))
        else:
            await work.put(c, [self.ring()])


def _team(team: TeamConfig) -> Team:
    return Team(
        name=team.name,
        slack_channel=team.slack_channel,
        members=frozenset(team.members),
        plain=Plain(team.replies),
        ask_first=team.ask_first,
        undo=team.undo_delay,
    )


async def _answers(database: Database) -> bool:
    try:
        async with database.connection() as c:
            return bool(await c.fetchval("select true"))
    except Exception:  # noqa: BLE001 - whatever it is, the database does not answer
        return False
