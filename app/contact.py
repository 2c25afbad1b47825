"""The contact page and its form: `/contact`, for visitors with and without JavaScript.

Rule: what a visitor sends is in the database before they are thanked, and what cannot be taken is shown to them again,
as they typed it, with what to do. No cookies, nobody else's scripts, nothing that waits for a provider.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import structlog
from aiohttp import web
from babel import Locale

from app import contact_form, contact_view
from app.config import IntakeConfig
from app.config.kinds import EmailConfig
from app.contact_body import NotKept, Unreadable, discard, receive
from app.contact_files import ContactFiles
from app.contact_form import LONGEST, MOST_BYTES, MOST_FILES, Form, Ticket, TooOld, TooSoon
from app.contact_links import Links
from app.limits import Buckets, Counted, client_address, take_all
from channels.channel import Channel
from channels.mail.forms import deliverable, written
from inbox import figures
from inbox.files import Files
from inbox.intake import Away, Intake, Overloaded
from inbox.store import acknowledgements
from inbox.store.database import Database, away
from routing.moments import moment
from routing.policy import Policy, TeamPolicy
from routing.rounds.acknowledging import in_words
from templates.values import right_to_left

PATIENCE = 3.0  # seconds a visitor may wait for a database that does not answer
READING = 600.0  # seconds that 20 MB may take: a telephone in the country sends 40 kB a second
MEGABYTES = MOST_BYTES >> 20

# What goes out with every answer: only our own files, nobody may frame the page, nothing is kept by caches on the way.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the configuration says of it. Without a `channel`, the mailbox that answers, there is no form."""

    channel: str = ""
    mailbox: str = ""  # its own address
    page: bool = True  # hours and the other channels are shown
    languages: tuple[str, ...] = ("en",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of what was filled in: stored with `ticket`, or shown again with what is wrong."""

    ticket: Ticket | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""  # why, as figures count it; "" where it is taken
    notice: str = ""  # the key of what stands above the form
    status: int = 422
    wait: timedelta = timedelta()
    keeps: str = ""  # the ticket to show again; "" for a new one


class Contact:
    """The routes. `key` signs tickets, the same in all processes.

    `clock` is the machine's, by which tickets and limits go; `shop` the one by which it is open.
    """

    def __init__(
        self,
        settings: Settings,
        channels: Mapping[str, Channel],
        database: Database,
        intake: Intake,
        files: Files,
        policy: Callable[[], Policy],
        *,
        key: bytes,
        clock: Callable[[], datetime],
        shop: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._links = Links(channels if settings.page else {})
        self._database = database
        self._intake = intake
        self._files = files
        self._kept = ContactFiles(database, files)
        self._policy = policy
        self._clock = clock
        self._shop = shop
        self._key = key
        # One address may be an office or a mobile carrier's door for thousands; a mailbox is one person's.
        self._attempts = Buckets(60, timedelta(seconds=5))
        self._by_address = Buckets(10, timedelta(minutes=1))
        self._by_mailbox = Buckets(5, timedelta(minutes=5))
        self._counted = Counted()  # a reload, a second click and a second try are one message

    def attach(self, app: web.Application) -> None:
        """Add the routes to the web application, which ends what goes on in the background when it stops."""
        app.router.add_get("/contact", self.page)
        app.router.add_get("/contact/", self.bare)
        app.router.add_get("/contact/thanks", self.thanks)
        app.router.add_get("/contact/{name}", self.asset)
        if self._settings.channel:
            app.router.add_post("/contact", self.send)
        app.on_cleanup.append(self._stop)

    async def page(self, request: web.Request) -> web.Response:
        return await self._shown(request, Form(), Verdict(status=200))

    async def bare(self, request: web.Request) -> web.Response:
        """The page with a slash behind it, as people write addresses."""
        raise web.HTTPFound("../contact" + (f"?{request.query_string}" if request.query_string else ""))

    async def send(self, request: web.Request) -> web.Response:
        who = client_address(request.remote, request.headers.getall("X-Forwarded-For", []))
        now = self._clock()
        hasty = self._attempts.take(who, now)

        async def judge(form: Form) -> Verdict:
            return _too_many(hasty, keeps=form.ticket) if hasty else await self._judged(form, who)

        try:
            async with asyncio.timeout(READING):
                sent = await receive(request, self._files, now, judge, lambda found: not found.refused)
        except Unreadable:
            unread = Verdict(refused="unreadable", notice="error_unreadable", status=400)
            return await self._shown(request, Form(), unread)
        except NotKept as error:
            log.error("contact.no_files", error=type(error.__cause__).__name__)
            full = Verdict(refused="away", notice="error_away", status=503, keeps=error.form.ticket)
            return await self._shown(request, error.form, full, files=True)
        form, verdict = sent.form, sent.verdict
        if sent.trouble and not verdict.refused:
            verdict = Verdict(refused="files", errors={"files": sent.trouble}, keeps=form.ticket)
        if verdict.refused or verdict.ticket is None:
            return await self._shown(request, form, verdict, files=bool(sent.chosen))
        id = contact_form.message_id(verdict.ticket, form, sent.digests)
        if wait := self._count(verdict.ticket, form, who, whole=id):  # the same words, but other files
            await discard(self._files, sent.kept)
            return await self._shown(request, form, _too_many(wait, keeps=form.ticket), files=bool(sent.chosen))
        language = self._language(request)
        message = written(
            self._settings.channel,
            self._settings.mailbox,
            id,
            at=self._shop(),
            sender=deliverable(form.email),
            name=form.name,
            subject=form.subject,
            text=_said(form, language),
            attachments=sent.kept,
            language=language,
            warnings=("form_links",) if contact_form.suspicious(form) else (),
        )
        try:
            await self._intake.receive([message])
        except (Away, Overloaded) as error:
            if isinstance(error, Overloaded):
                await discard(self._files, sent.kept)
            else:  # the commit may have come through, and only its answer not
                self._kept.doubt(message.channel, message.external_id, sent.kept, self._clock())
                if sent.kept:  # each try leaves files behind
                    self._counted.forget(contact_form.message_id(verdict.ticket, form, ()))
            log.warning("contact.later", error=type(error).__name__)
            later = Verdict(refused="later", notice="error_away", status=503, keeps=form.ticket)
            return await self._shown(request, form, later, files=bool(sent.chosen))
        await self._kept.stored(message.channel, message.external_id, sent.kept, self._clock())
        log.info("contact.stored", id=id, files=len(sent.kept))
        # Relative, because what stands before /contact is the proxy's matter.
        return web.Response(status=303, headers={**HEADERS, "Location": f"contact/thanks?lang={language}"})

    async def thanks(self, request: web.Request) -> web.Response:
        language, now, team = self._language(request), self._shop(), self._team(request)
        opens = wait = None
        is_open = team.hours is not None and team.hours.open_at(now)
        if is_open:
            wait = await self._usual_wait(team, now)
        elif team.hours is not None:
            opens = team.hours.opens_after(now)
        values = {
            **self._common(request, language, root="../"),
            "open": is_open,
            "at": opens,
            "opening": moment(opens, now, language, team.hours.zone) if opens and team.hours else "",
            "place": contact_view.place(team.hours, now, language) if team.hours else "",
            "wait": in_words(wait, language) if wait else "",
        }
        return _html(contact_view.render("thanks.html", language, values))

    async def asset(self, request: web.Request) -> web.Response:
        try:
            body, kind = contact_view.asset(request.match_info["name"])
        except KeyError:
            raise web.HTTPNotFound from None
        kept = {**HEADERS, "Cache-Control": "public, max-age=86400"}  # its address changes with its bytes
        return web.Response(body=body, content_type=kind, charset="utf-8", headers=kept)

    async def _judged(self, form: Form, who: str) -> Verdict:
        """Decide, in the order in which a person can do something about it."""
        now = self._clock()
        try:
            ticket = contact_form.redeem(self._key, form.ticket, now)
        except TooSoon:
            return Verdict(refused="too_soon", notice="error_too_soon", keeps=form.ticket)
        except TooOld:
            return Verdict(refused="too_old", notice="error_too_old")
        if form.trap:
            return Verdict(refused="trap", notice="error_trap", keeps=form.ticket)
        if errors := contact_form.problems(form):
            return Verdict(refused="incomplete", notice="error_summary", errors=errors, keeps=form.ticket)
        if wait := self._count(ticket, form, who):
            return _too_many(wait, keeps=form.ticket)
        return Verdict(ticket=ticket, keeps=form.ticket)

    def _count(self, ticket: Ticket, form: Form, who: str, *, whole: str = "") -> timedelta:
        """Count a message against its limits unless that was done. No time at all, or how long to wait.

        It is asked twice: before its files come, and with the `whole` of it, its files included.
        """
        words = contact_form.message_id(ticket, form, ())
        if not (self._counted.covers(words, whole) if whole else words in self._counted):
            mailbox = hashlib.blake2b(deliverable(form.email).encode(), digest_size=16).hexdigest()
            if wait := take_all(self._clock(), (self._by_mailbox, mailbox, 1), (self._by_address, who, 1)):
                return wait
        if whole:
            self._counted.end(words, whole)
        else:
            self._counted.begin(words)
        return timedelta()

    async def _shown(self, request: web.Request, form: Form, verdict: Verdict, *, files: bool = False) -> web.Response:
        """The page, with what was typed and what is wrong with it."""
        if verdict.refused:
            figures.REFUSED.labels("contact", verdict.refused).inc()
            log.info("contact.refused", because=verdict.refused)
        language, now, team = self._language(request), self._shop(), self._team(request)
        say = contact_view.texts().voice(language)
        words = {"count": MOST_FILES, "size": MEGABYTES, "minutes": math.ceil(verdict.wait / timedelta(minutes=1))}
        errors = dict.fromkeys([*LONGEST, "files"], "") | {
            key: say(code, **words) for key, code in verdict.errors.items()
        }
        if files and not errors["files"]:
            errors["files"] = say("error_files_again")
        notice = verdict.notice or ("error_summary" if verdict.errors else "")
        shows = self._settings.page
        hours = team.hours if shows else None
        week: Sequence[contact_view.DayLine] = ()
        if hours is not None:  # a thread, because the calendar of a country's holidays takes half a second to load
            week = await asyncio.to_thread(contact_view.week, hours, now, language, self._policy().languages)
        values = {
            **self._common(request, language),
            "form": form if self._settings.channel else None,
            "ticket": verdict.keeps or contact_form.issue(self._key, self._clock(), secrets.token_bytes(16)),
            "notice": say(notice, **words) if notice else "",
            "errors": errors,
            "first_wrong": next((key for key, text in errors.items() if text), ""),
            "longest": LONGEST,
            "most_files": MOST_FILES,
            "most_bytes": MOST_BYTES,
            "most_megabytes": MEGABYTES,
            "status": contact_view.status(hours, now, language) if hours else None,
            "week": week,
            "place": contact_view.place(hours, now, language) if hours else "",
            "ways": await self._links.ways(self._clock()),
        }
        answer = _html(contact_view.render("contact.html", language, values), verdict.status)
        if verdict.status in (429, 503):
            answer.headers["Retry-After"] = str(math.ceil(verdict.wait.total_seconds()) or 30)
        return answer

    async def _stop(self, _: web.Application) -> None:
        await self._links.close()

    def _common(self, request: web.Request, language: str, *, root: str = "") -> dict[str, Any]:
        hours = self._team(request).hours
        return {
            "language": language,
            "languages": [(code, _own_name(code)) for code in self._settings.languages],
            "rtl": right_to_left(language),
            "shop": self._policy().shop,
            "root": root,
            "version": _version(),
            "zone": hours.zone.key if hours else "",
            "now": self._shop().isoformat(timespec="seconds"),
        }

    def _language(self, request: web.Request) -> str:
        accepted = request.headers.get("Accept-Language", "")
        return contact_form.spoken(request.query.get("lang", ""), accepted, self._settings.languages)

    def _team(self, request: web.Request) -> TeamPolicy:
        """Who would answer this visitor, and by whose hours."""
        policy = self._policy()
        name, _ = policy.team_for(self._language(request), ())
        return policy.team(name)

    async def _usual_wait(self, team: TeamPolicy, now: datetime) -> timedelta | None:
        try:
            async with asyncio.timeout(PATIENCE), self._database.connection() as c:
                return await acknowledgements.expected_wait(c, team.name, now)
        except Exception as error:
            if not away(error):
                raise
            return None


def settings_of(config: IntakeConfig) -> Settings | None:
    """What the configuration says; None where neither page nor form is wanted."""
    contact = config.contact
    mailboxes = {one.name: one.address for one in config.channels if isinstance(one, EmailConfig)}
    name = contact.channel or next(iter(mailboxes), "")
    if not (contact.page or (contact.form and name)):
        return None
    return Settings(
        channel=name if contact.form else "",
        mailbox=mailboxes.get(name, ""),
        page=contact.page,
        languages=contact_view.languages(contact.languages or config.shop.languages),
    )


def _too_many(wait: timedelta, *, keeps: str = "") -> Verdict:
    return Verdict(refused="too_many", notice="error_too_many", status=429, wait=wait, keeps=keeps)


def _said(form: Form, language: str) -> str:
    """The message as the agents read it, with what else was filled in, in the words the customer saw."""
    say = contact_view.texts().voice(language)
    more = [f"{say(key)}: {value}" for key in ("order", "phone") if (value := getattr(form, key))]
    return "\n\n".join([form.message, *(["\n".join(more)] if more else [])])


def _html(page: str, status: int = 200) -> web.Response:
    return web.Response(text=page, status=status, content_type="text/html", headers=HEADERS)


@cache
def _own_name(code: str) -> str:
    """A language as its speakers call it."""
    name = Locale.parse(code, sep="-").get_display_name() or code
    return name[:1].upper() + name[1:]


@cache
def _version() -> str:
    said = hashlib.blake2b(digest_size=6)
    for name in contact_view.ASSETS:
        said.update(contact_view.asset(name)[0])
    return said.hexdigest()
