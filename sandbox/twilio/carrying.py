"""Messages from the shop to people: taken in or refused, filled in, carried, and reported step by step.

Rule: a 201 means "accepted". What matters most (window closed, nobody there, filtered) comes later, as a status.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from multidict import MultiMapping

from sandbox.twilio import content
from sandbox.twilio.errors import WORDS, ApiError
from sandbox.twilio.fetching import fetched
from sandbox.twilio.ledger import Ledger, address_is_valid, is_whatsapp
from sandbox.twilio.posting import Answer, Event, Post
from sandbox.twilio.segments import smart, units
from sandbox.twilio.values import (
    MAX_BODY,
    MAX_MEDIA,
    MMS_COUNTRIES,
    VALIDITY,
    WHATSAPP,
    WINDOW,
    Account,
    Line,
    Message,
    Person,
    Service,
    country,
)

LADDER = ("accepted", "queued", "sending", "sent", "delivered")
# Found out by the carrier or by WhatsApp, when "sent" has been said already.
LATE = frozenset({30003, 30005, 30006, 30007, 30008, 63003, 63016, 63018, 63024, 63033})
CAPTIONED = ("image/", "video/")  # WhatsApp through Twilio loses the text beside any other file


class Carrier:
    """Everything that goes to people."""

    def __init__(self, ledger: Ledger, post: Post) -> None:
        self._ledger = ledger
        self._post = post

    # taking in

    def accept(self, account: Account, form: MultiMapping[str], *, direction: str = "outbound-api") -> Message:
        """Take a message in, without carrying it yet. Raises ApiError for what Twilio refuses at once."""
        ledger, to = self._ledger, form.get("To", "").strip()
        if not to:
            raise ApiError(21604)
        service = self._service(account, form.get("MessagingServiceSid", ""))
        body, media = form.get("Body", ""), tuple(form.getall("MediaUrl", ()))
        self._check_content(form, body, media, whatsapp=is_whatsapp(to))
        line = self._line(account, form.get("From", "").strip(), to, service)
        if not address_is_valid(to):
            raise ApiError(21211, to)
        person = ledger.person_at(to)
        self._check_reach(line, to, person, media)
        status_url = form.get("StatusCallback", "")
        if status_url and not _is_url(status_url):
            raise ApiError(21609, status_url)
        moment = ledger.now()
        message = Message(
            sid=ledger.sid("MM" if media else "SM"),
            account=account.sid,
            line=line.address,
            person=person.key if person else to.removeprefix(WHATSAPP),
            author="shop",
            direction=direction,
            from_=line.address,
            to=to,
            body=smart(body) if form.get("SmartEncoded", "").lower() == "true" else body,
            status="accepted" if service else "queued",
            service=service.sid if service else "",
            status_url=status_url or (service.status_url if service else "") or _status_url(line),
            status_method=line.status_method if not status_url else "POST",
            media_urls=media,
            in_window=person is not None and ledger.window_open(line.address, person.key, WINDOW),
            created=moment,
            updated=moment,
        )
        self._fill(message, account, form)
        self._refuse(message)
        ledger.add_message(message)
        ledger.typing.pop((line.address, message.person), None)
        ledger.show(message)
        return message

    def _service(self, account: Account, sid: str) -> Service | None:
        if not sid:
            return None
        service = self._ledger.services.get(sid)
        if service is None or service.account != account.sid:
            raise ApiError(21701, sid)
        return service

    def _check_content(self, form: MultiMapping[str], body: str, media: tuple[str, ...], *, whatsapp: bool) -> None:
        has_place = whatsapp and form.get("PersistentAction", "").startswith("geo:")
        if not (body or media or form.get("ContentSid", "") or has_place):
            raise ApiError(21619)
        if units(body) > MAX_BODY:
            raise ApiError(21617)
        if len(media) > (1 if whatsapp else MAX_MEDIA):
            raise ApiError(21623)
        if not all(_is_url(url) for url in media):
            raise ApiError(21620)
        seconds = form.get("ValidityPeriod", "")
        if seconds and not (seconds.isdigit() and int(seconds) in VALIDITY):
            raise ApiError(20001, "ValidityPeriod must be 1 to 36000")

    def _line(self, account: Account, from_: str, to: str, service: Service | None) -> Line:
        """Find who writes: the sender named, or one of the service's."""
        if not from_ and service is None:
            raise ApiError(21603)
        if from_ and is_whatsapp(from_) != is_whatsapp(to):
            raise ApiError(21910)
        if not from_ and service is not None:
            return self._chosen(service, to)
        line = self._ledger.lines.get(from_)
        if line is None or line.account != account.sid or (service is not None and line.service != service.sid):
            raise ApiError(63007 if is_whatsapp(from_) else 21606 if address_is_valid(from_) else 21212, from_)
        if from_ == to:
            raise ApiError(21266)
        if line.kind == "whatsapp" and not line.status.startswith("ONLINE"):
            raise ApiError(63007, from_)
        return line

    def _chosen(self, service: Service, to: str) -> Line:
        """Choose a sender of a service: the one this person knows, one of their country, or the first."""
        fitting = [line for line in self._ledger.pool(service.sid) if (line.kind == "whatsapp") == is_whatsapp(to)]
        known = {message.line for message in self._ledger.messages.values() if to in (message.to, message.from_)}
        fitting.sort(key=lambda line: (line.address not in known, country(line.address) != country(to)))
        if not fitting:
            raise ApiError(21703)
        return fitting[0]

    def _check_reach(self, line: Line, to: str, person: Person | None, media: tuple[str, ...]) -> None:
        settings, land = self._ledger.settings, country(to)
        if settings.queue_limit is not None:
            queued = (one.line == line.address and one.status == "queued" for one in self._ledger.messages.values())
            if sum(queued) >= settings.queue_limit:
                raise ApiError(21611)
        if not settings.opt_out_async and self._has_left(line, to):
            raise ApiError(21610)
        if line.kind == "whatsapp":
            return
        if settings.regions is not None and land not in settings.regions:
            raise ApiError(21408, to)
        if line.kind == "alphanumeric" and (
            land in ("US", "CA") if line.countries is None else land not in line.countries
        ):
            raise ApiError(21612, to)
        if media and not (line.mms and land in MMS_COUNTRIES):
            raise ApiError(21612, f"{to} via MMS")
        if person is not None and person.landline and settings.knows_landlines:
            raise ApiError(21614, to)

    def _has_left(self, line: Line, to: str) -> bool:
        return (self._ledger.scope(line), to) in self._ledger.left

    def _fill(self, message: Message, account: Account, form: MultiMapping[str]) -> None:
        """Put a template, or a place, into a message."""
        if place := form.get("PersistentAction", "").removeprefix("geo:"):
            coordinates, _, label = place.partition("|")
            message.shown = "\n".join(part for part in (message.body, f"{label} ({coordinates})".strip()) if part)
        sid = form.get("ContentSid", "")
        if not sid:
            return
        template = self._ledger.templates.get(sid)
        if template is None or template.account != account.sid:
            raise ApiError(21655, sid)
        given = content.variables(form.get("ContentVariables", ""))
        message.template = template
        filled = content.filled(template, given, whatsapp=message.whatsapp)
        if filled is None:
            message.code = 63005  # told when it is carried
            return
        message.body, message.media_urls = filled.body, filled.media
        message.choices, message.listed, message.unfilled = filled.choices, filled.listed, filled.unfilled

    def _refuse(self, message: Message) -> None:
        if code := self._asked_for(message, at_once=True):
            raise ApiError(code)

    def _asked_for(self, message: Message, *, at_once: bool) -> int:
        """Find the code a test has asked for, and count it."""
        for rule in self._ledger.refusals:
            meant = rule["to"] in ("", message.to, message.person)
            if rule["at_once"] == at_once and meant and rule["times"] > 0:
                rule["times"] -= 1
                return int(rule["code"])
        return 0

    # carrying

    async def carry(self, message: Message, to: str = "") -> None:
        """Take a message as far as the settings let it go, or as far as `to`."""
        target = LADDER.index(to or self._ledger.settings.carried_to)
        if target < LADDER.index("sending"):
            self._climb(message, target)
            return
        failure = 0 if message.status in ("sent", "delivered") else await self._failure(message)
        if failure and failure not in LATE:
            self._climb(message, LADDER.index("queued"))
            self.move(message, "failed", failure)
            return
        await self._climb_slowly(message, LADDER.index("sent"))
        if failure:
            self.move(message, "undelivered" if failure < 60_000 else "failed", failure)
        elif target >= LADDER.index("delivered") and self._reports(message):
            await self._climb_slowly(message, target)
            person = self._ledger.people[message.person]
            if self._ledger.settings.auto_read and message.whatsapp and person.read_receipts:
                self.move(message, "read")

    def _reports(self, message: Message) -> bool:
        person = self._ledger.people[message.person]
        return person.reachable if message.whatsapp else person.receipts

    def _climb(self, message: Message, target: int) -> None:
        while message.status in LADDER and LADDER.index(message.status) < target:
            self.move(message, LADDER[LADDER.index(message.status) + 1])

    async def _climb_slowly(self, message: Message, target: int) -> None:
        while message.status in LADDER and (step := LADDER.index(message.status)) < target:
            if self._ledger.settings.status_seconds:
                await asyncio.sleep(self._ledger.settings.status_seconds)
            self._climb(message, step + 1)

    async def _failure(self, message: Message) -> int:
        """Find why a message will not arrive; 0 when it will. Fetches its files."""
        if code := message.code or self._asked_for(message, at_once=False):
            return code
        person = self._ledger.people.get(message.person)
        code = self._whatsapp_failure(message, person) if message.whatsapp else self._sms_failure(message, person)
        if code in (0, *LATE) and message.media_urls and not message.media:
            for file in await fetched(self._ledger.session(), message.media_urls, whatsapp=message.whatsapp):
                if file.code:
                    return file.code
                self._ledger.add_media(message, name=file.name, media_type=file.media_type, data=file.data)
            if message.whatsapp and not message.media[0].media_type.startswith(CAPTIONED):
                message.shown = ""
        return code

    def _sms_failure(self, message: Message, person: Person | None) -> int:
        settings, line = self._ledger.settings, self._ledger.lines[message.line]
        if self._has_left(line, message.to):
            return 21610
        if any(word.lower() in message.body.lower() for word in settings.filtered_words):
            return 30007
        if person is None:
            return 30005
        if person.landline:
            return 30006
        return 0 if person.reachable else 30003

    def _whatsapp_failure(self, message: Message, person: Person | None) -> int:
        template = message.template
        if self._has_left(self._ledger.lines[message.line], message.to):
            return 21610
        if person is None:
            return 63003
        if not person.on_whatsapp:
            return 63024
        if message.line in person.blocked:
            return 63033
        if message.unfilled:
            return 63028
        if template is not None and template.category == "AUTHENTICATION" and not message.to.startswith("whatsapp:+"):
            return 63024  # a one-time code needs a phone number
        if message.in_window:
            return 0
        status = template.status if template is not None else ""
        return {"approved": 0, "rejected": 63040, "disabled": 63040, "paused": 63041}.get(status, 63016)

    # reporting

    def move(self, message: Message, status: str, code: int | None = None) -> None:
        """Give a message a status and report it."""
        message.status, message.updated = status, self._ledger.now()
        if status == "sent":
            message.sent = message.updated
        if code is not None:
            message.code, message.words = code, WORDS.get(code, "Unknown error")
        self._ledger.show(message)
        if message.status_url:
            self._post.send(self._event(message))

    def _event(self, message: Message) -> Event:
        return Event(
            id=self._ledger.sid(""),
            kind="status",
            lane=message.sid,
            message=message.sid,
            account=message.account,
            url=message.status_url,
            method=message.status_method,
            params=self._params(message),
            then=self._answered,
        )

    async def _answered(self, event: Event, answer: Answer) -> None:
        if answer.cause:
            self._ledger.alert(11205 if answer.cause == "ct" else 11200, event.url, event.message, answer.words)

    def _params(self, message: Message) -> list[tuple[str, str]]:
        params = {
            "ApiVersion": "2010-04-01",
            "AccountSid": message.account,
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "MessageStatus": message.status,
            "SmsStatus": message.status,
            "From": message.from_,
            "To": message.to,
        }
        if message.service:
            params["MessagingServiceSid"] = message.service
        if message.code is not None:
            params |= {"ErrorCode": str(message.code), "ErrorMessage": message.words}
        if message.whatsapp:
            params |= {"ChannelPrefix": "whatsapp", "ChannelInstallSid": self._ledger.lines[message.line].sid}
            params["ChannelToAddress"] = message.to.removeprefix(WHATSAPP)
            if message.status in ("delivered", "read"):
                params["EventType"] = message.status.upper()
            if message.code is not None:
                params["ChannelStatusMessage"] = message.words
        elif message.status in ("delivered", "undelivered"):
            params["RawDlrDoneDate"] = message.updated.strftime("%y%m%d%H%M")
        return list(params.items())


def _status_url(line: Line) -> str:
    """Where a line reports its messages by itself. A number's own StatusCallback is for calls."""
    return line.status_url if line.kind == "whatsapp" else ""


def _is_url(text: str) -> bool:
    """Whether Twilio takes it as an address: http or https, and no underscore in the host's name."""
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "_" not in str(parts.hostname)
