"""Messages from people to the shop: told by webhook, and the shop's answer obeyed.

Rule: nothing is forgiven. A plain "OK" is texted to the customer; what cannot be read goes to the Debugger, and then
to the fallback URL. Page: www.twilio.com/docs/messaging/guides/webhook-request.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urljoin

import orjson
from multidict import MultiDict

from sandbox.twilio import twiml
from sandbox.twilio.carrying import Carrier
from sandbox.twilio.errors import ApiError
from sandbox.twilio.ledger import Ledger
from sandbox.twilio.posting import Answer, Event, Post
from sandbox.twilio.values import Line, Message, country
from sandbox.twilio.words import ANSWERS, meaning

REDIRECTS = 10  # how deep TwiML may send Twilio on


class Incoming:
    """Everything that comes from people."""

    def __init__(self, ledger: Ledger, post: Post, carrier: Carrier) -> None:
        self._ledger = ledger
        self._post = post
        self._carrier = carrier

    def receive(self, message: Message) -> None:
        """Take a person's message: heed STOP and the like, and tell the shop."""
        ledger, line = self._ledger, self._ledger.lines[message.line]
        ledger.add_message(message)
        ledger.show(message)
        ledger.heard[message.line, message.person] = ledger.now()
        wish = self._heed(line, message)
        if wish and ledger.settings.advanced_opt_out:
            message.facts["OptOutType"] = wish
        url, method = self._where(line, message)
        if url:
            self._post.send(self._event(message, url, method, self.params(message)))

    def _where(self, line: Line, message: Message) -> tuple[str, str]:
        """Whom to tell. A service without a URL of its own drops what comes, unless it leaves that to its numbers."""
        service = self._ledger.services.get(line.service)
        if service is None:
            return line.url, line.method
        message.service = service.sid
        return (line.url, line.method) if service.on_number else (service.inbound_url, service.inbound_method)

    def _fallback(self, message: Message) -> tuple[str, str]:
        line = self._ledger.lines[message.line]
        service = self._ledger.services.get(line.service)
        if service is None or service.on_number:
            return line.fallback_url, line.fallback_method
        return service.fallback_url, service.fallback_method

    def _event(self, message: Message, url: str, method: str, params: list[tuple[str, str]]) -> Event:
        return Event(
            id=self._ledger.sid(""),
            kind="message",
            lane=message.chat,
            message=message.sid,
            account=message.account,
            url=url,
            method=method,
            params=params,
            then=self._answered,
        )

    # leaving and coming back

    def _heed(self, line: Line, message: Message) -> str:
        """Block or unblock as the words say, and answer as Twilio itself does.

        WhatsApp knows such words only where a service has Advanced Opt-Out, which is for all its senders.
        """
        advanced = self._ledger.settings.advanced_opt_out
        if line.kind != "sms" and not (advanced and line.service):
            return ""
        wish = meaning(message.body, advanced=advanced)
        mark, left = (self._ledger.scope(line), message.from_), self._ledger.left
        if wish == "STOP" and mark not in left:
            left.add(mark)
        elif wish == "START" and mark in left:
            left.discard(mark)
        elif wish != "HELP":
            return wish
        moment = self._ledger.now()
        answer = Message(
            sid=self._ledger.sid("SM"),
            account=message.account,
            line=message.line,
            person=message.person,
            author="system",
            direction="outbound-reply",
            from_=message.to,
            to=message.from_,
            body=ANSWERS[wish],
            status="delivered",
            created=moment,
            updated=moment,
            sent=moment,
        )
        self._ledger.show(self._ledger.add_message(answer))
        return wish

    # what the shop is told

    def params(self, message: Message) -> list[tuple[str, str]]:
        """List the parameters. Blank ones are part of the signature."""
        params = {
            "ToCountry": country(message.to),
            "ToState": "",
            "ToCity": "",
            "ToZip": "",
            "SmsMessageSid": message.sid,
            "NumMedia": str(len(message.media)),
            "SmsSid": message.sid,
            "SmsStatus": "received",
            "Body": message.body,
            "To": message.to,
            "NumSegments": str(message.segments),
            "MessageSid": message.sid,
            "AccountSid": message.account,
            "From": message.from_,
            "ApiVersion": "2010-04-01",
        }
        if message.service:
            params["MessagingServiceSid"] = message.service
        for place, media in enumerate(message.media):
            base = self._ledger.settings.api_base
            path = f"/2010-04-01/Accounts/{media.account}/Messages/{media.message}/Media/{media.sid}"
            params |= {f"MediaUrl{place}": base + path, f"MediaContentType{place}": media.media_type}
        if message.whatsapp:
            params = {name: value for name, value in params.items() if not name.startswith("To") or name == "To"}
            params |= self._whatsapp(message)
        else:
            params |= {"FromCountry": country(message.from_), "FromState": "", "FromCity": "", "FromZip": ""}
        return list((params | message.facts).items())

    def _whatsapp(self, message: Message) -> dict[str, str]:
        person = self._ledger.people[message.person]
        named: dict[str, str] = {"ProfileName": person.name}
        number = message.from_.partition(":")[2]
        if number.startswith("+"):
            named["WaId"] = number[1:]
        context = {**named, **({"ExternalUserId": person.bsuid} if person.bsuid else {})}
        channel = orjson.dumps({"type": "whatsapp", "data": {"context": context}}).decode()
        return {
            **named,
            **({"ExternalUserId": f"whatsapp:{person.bsuid}"} if person.bsuid else {}),
            "ChannelMetadata": channel,
        }

    # what the shop answers

    async def _answered(self, event: Event, answer: Answer) -> None:
        message = self._ledger.messages.get(event.message)
        if message is not None:  # it may have been deleted meanwhile
            await self._obey(message, event, answer, fallback=self._fallback(message), depth=0)

    async def _obey(
        self, message: Message, event: Event, answer: Answer, *, fallback: tuple[str, str], depth: int
    ) -> None:
        code, orders = 0, twiml.Orders()
        if answer.cause:
            code = 11205 if answer.cause == "ct" else 11200
        elif answer.status != 204:
            orders = twiml.orders(answer.content_type, answer.body)
            code = orders.problem
        if code or orders.warning:
            self._ledger.alert(code or orders.warning, event.url, message.sid, answer.words or answer.content_type)
        if code and fallback[0]:
            failed = {"ErrorCode": str(code), "ErrorUrl": event.url.partition("#")[0]}
            params = list((dict(event.params) | failed).items())
            second = replace(event, url=fallback[0], method=fallback[1], params=params)
            await self._obey(message, second, await self._post.fetch(second), fallback=("", ""), depth=depth)
            return
        for reply in orders.replies:
            await self._reply(message, reply, event.url)
        if orders.redirect and depth < REDIRECTS:
            onward = replace(event, url=urljoin(event.url.partition("#")[0], orders.redirect))
            await self._obey(message, onward, await self._post.fetch(onward), fallback=fallback, depth=depth + 1)

    async def _reply(self, message: Message, reply: twiml.Reply, url: str) -> None:
        form = MultiDict({"From": message.to, "To": reply.to or message.from_, "Body": reply.text})
        for media in reply.media:
            form.add("MediaUrl", urljoin(url, media))
        if reply.status_callback:
            form["StatusCallback"] = urljoin(url, reply.status_callback)
        try:
            sent = self._carrier.accept(self._ledger.accounts[message.account], form, direction="outbound-reply")
        except ApiError as error:
            self._ledger.alert(error.code, url, message.sid, error.message)
            return
        self._ledger.spawn(self._carrier.carry(sent))
