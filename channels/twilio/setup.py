"""How our sender is set up at Twilio: where it calls us, whether it may send, which templates it has.

Rule: only the address of inbound messages is ever changed, and only where it is another. Pages:
https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource, …/messaging/api/service-resource,
…/whatsapp/api/senders, …/content/content-api-resources
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from channels.channel import Finding
from channels.errors import Misconfigured, SendFailed
from channels.twilio.parse import digits
from channels.values import name

if TYPE_CHECKING:
    from channels.twilio.client import Client

# Twilio itself repeats nothing but a connection that failed: /docs/usage/webhooks/webhooks-connection-overrides.
AGAIN = "#rc=3&rp=5xx,ct,rt&ct=2000&rt=4000"
SANDBOX = "14155238886"  # WhatsApp's number for trying things out, which all accounts share
MOST = 1000  # numbers, senders or templates of an account that are looked at
SERVICES = 20  # messaging services that are asked for their numbers, one call each
ONLINE = ("ONLINE", "ONLINE:UPDATING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where Twilio keeps the address it calls when somebody writes to our sender. `change` has it call us."""

    what: str
    url: str
    method: str
    change: Callable[[], Awaitable[Any]]
    trouble: tuple[tuple[str, str], ...] = field(default=())  # what else is wrong with it, and what to do

    def right(self, url: str) -> bool:
        return self.url == url + AGAIN and self.method == "POST"


class Setup:
    """One sender, or one messaging service, of an account."""

    def __init__(
        self,
        client: Client,
        *,
        sender: str,
        service: str,
        whatsapp: bool,
        believed: tuple[str, ...],
        half_a_key: bool,
    ) -> None:
        """`believed` are the auth tokens by which we know Twilio; `half_a_key`: of key and secret one is missing."""
        self.client = client
        self.believed = believed
        self.half_a_key = half_a_key
        self.sender = sender
        self.service = service
        self.whatsapp = whatsapp
        self.one_way = not service and not digits(sender).isdigit()
        self.sandbox = whatsapp and digits(sender) == SANDBOX

    async def register(self, url: str) -> None:
        """Have Twilio call `url`. Nothing can be set for a name, to which nobody can write, nor for the sandbox."""
        if self.one_way or self.sandbox:
            return
        place = await self.place(url)
        if not place.right(url):
            await self.client.ask(place.change())

    async def place(self, url: str) -> Place:
        """Find it, as it is and as it should be to have `url` called. Raises `Misconfigured` where there is none."""
        if self.service:
            return await self._of_service(url)
        if self.whatsapp:
            return await self._of_whatsapp(url)
        return await self._of_number(url)

    async def pooled(self, url: str) -> tuple[str, str]:
        """Name and SID of a messaging service that takes what is written to our number, unless it calls `url` itself.

        Twilio then calls what the service names, and the number's own address for nothing. Empty where there is none.
        """
        if self.service or self.whatsapp:
            return "", ""
        services = self.client.rest.messaging.v1.services
        for it in await self.client.ask(services.list_async(limit=SERVICES)):
            if it.use_inbound_webhook_on_number or str(it.inbound_request_url or "").partition("#")[0] == url:
                continue
            held = await self.client.ask(services(str(it.sid)).phone_numbers.list_async(limit=MOST))
            if any(one.phone_number == self.sender for one in held):
                return name(str(it.friendly_name or it.sid)), str(it.sid)
        return "", ""

    async def approved(self) -> Sequence[tuple[str, str, str]]:
        """Content SID, language and status at WhatsApp of each template."""
        found = await self.client.ask(self.client.rest.content.v1.content_and_approvals.list_async(limit=MOST))
        return [
            (str(it.sid), str(it.language or ""), str(asked(it.approval_requests).get("status") or "unsubmitted"))
            for it in found
        ]

    async def _of_service(self, url: str) -> Place:
        told = await self.client.ask(self.client.rest.messaging.v1.services(self.service).fetch_async())
        return Place(
            what=f"The messaging service {name(str(told.friendly_name or self.service))}",
            url="" if told.use_inbound_webhook_on_number else str(told.inbound_request_url or ""),
            method=str(told.inbound_method or "POST"),
            change=partial(
                told.update_async,
                inbound_request_url=url + AGAIN,
                inbound_method="POST",
                use_inbound_webhook_on_number=False,
            ),
        )

    async def _of_number(self, url: str) -> Place:
        rest = self.client.rest
        change = {"sms_url": url + AGAIN, "sms_method": "POST"}
        if not self.sender.startswith("+"):
            for told in await self.client.ask(rest.short_codes.list_async(short_code=self.sender, limit=MOST)):
                if told.short_code == self.sender:
                    return self._number(told, partial(told.update_async, **change))
            raise Misconfigured(f"This Twilio account has no number {self.sender}.")
        numbers = await self.client.ask(rest.incoming_phone_numbers.list_async(phone_number=self.sender, limit=MOST))
        for told in numbers:
            if told.phone_number != self.sender:
                continue
            application = str(told.sms_application_sid or "")
            if not application:
                return self._number(told, partial(told.update_async, **change), told.capabilities)
            # An application answers for it, whatever address is set.
            told.sms_url = ""
            return self._number(told, partial(told.update_async, **change, sms_application_sid=""), told.capabilities)
        raise Misconfigured(f"This Twilio account has no number {self.sender}.")

    def _number(self, told: Any, change: Callable[[], Awaitable[Any]], able: Any = None) -> Place:
        mute = not parts(able).get("sms", parts(able).get("SMS", True))
        trouble = ("It cannot send or receive SMS.", "Buy a number with SMS in the Twilio console.")
        return Place(
            what=f"The number {self.sender}",
            url=str(told.sms_url or ""),
            method=str(told.sms_method or "POST"),
            change=change,
            trouble=(trouble,) if mute else (),
        )

    async def _of_whatsapp(self, url: str) -> Place:
        number, senders = digits(self.sender), self.client.rest.messaging.v2.channels_senders
        for listed in await self.client.ask(senders.list_async(channel="whatsapp", limit=MOST)):
            if digits(str(listed.sender_id)) != number:
                continue
            told = await self.client.ask(listed.fetch_async())
            webhook = {key: value for key, value in parts(told.webhook).items() if value}
            status = name(str(told.status or "")) or "no status"
            fix = "Look at Messaging, Senders, WhatsApp senders in the Twilio console: it says what WhatsApp lacks."
            # What else is set there would be lost if it were not told again.
            changed = webhook | {"callback_url": url + AGAIN, "callback_method": "POST"}
            return Place(
                what=f"The WhatsApp sender +{number}",
                url=str(webhook.get("callback_url") or ""),
                method=str(webhook.get("callback_method") or "POST"),
                change=partial(self.client.set_webhook, str(told.sid), changed),
                trouble=() if status in ONLINE else ((f"WhatsApp does not let it send yet: {status}.", fix),),
            )
        raise Misconfigured(f"This Twilio account has no WhatsApp sender +{number}.")


# --- what `santral check` says


async def findings(setup: Setup, channel: str, url: str) -> Sequence[Finding]:
    """Look at every part, whatever became of the others."""
    parts: list[Callable[[], Awaitable[list[Finding]]]] = [
        lambda: _account(setup, channel),
        lambda: _key(setup, channel),
        lambda: _sender(setup, url),
    ]
    if setup.whatsapp:
        parts.append(lambda: _templates(setup))
    found: list[Finding] = []
    for part in parts:
        try:
            found.extend(await part())
        except Misconfigured as error:
            found.append(_refused(setup, channel, error))
        except SendFailed as error:
            fix = f"Check the network and api_url of channel {channel!r}, then try again."
            found.append(Finding(ok=False, what=str(error), fix=fix))
    return tuple(dict.fromkeys(found))


async def _account(setup: Setup, channel: str) -> list[Finding]:
    try:
        told = await setup.client.account()
    except Misconfigured as error:
        if not setup.client.keyed or error.provider_code != "20003":
            raise
        what = "Twilio does not accept auth_token: what it brings would be refused, because the token proves it."
        fix = f"Copy account_sid and auth_token of channel {channel!r} from the Twilio console, beside the API key."
        return [Finding(ok=False, what=what, fix=fix)]
    status, friendly = str(told.status or "active"), name(str(told.friendly_name or "without a name"))
    if status != "active":
        fix = "Open the Twilio console: it says why."
        return [Finding(ok=False, what=f"The Twilio account {friendly} is {name(status)}.", fix=fix)]
    found = [Finding(ok=True, what=f"The Twilio account {friendly} answers.")]
    if told.type == "Trial":
        what = "It is a trial account: it writes to verified numbers only, with a line of Twilio's before every text."
        found.append(Finding(ok=False, what=what, fix="Upgrade the account in the Twilio console."))
    if told.auth_token and told.auth_token not in setup.believed:  # both open the API: /docs/iam/api/authtoken
        what = "auth_token is the secondary one: Twilio signs with the primary, so what it brings would be refused."
        fix = f"Make it the primary one in the Twilio console, or write the primary one to channel {channel!r}."
        found.append(Finding(ok=False, what=what, fix=fix))
    return found


async def _key(setup: Setup, channel: str) -> list[Finding]:
    """Whether the API key opens what sending needs. There is nothing to say where none is configured."""
    if setup.half_a_key:
        what = "Of api_key and api_secret one is missing, so the auth token is used for calls."
        fix = f"Write both to channel {channel!r}. A secret is shown once: if it is lost, make another key."
        return [Finding(ok=False, what=what, fix=fix)]
    if not setup.client.keyed:
        return []
    await setup.client.ask(setup.client.rest.messages.page_async(page_size=1))
    return [Finding(ok=True, what="The API key opens the account's messages.")]


def _refused(setup: Setup, channel: str, error: Misconfigured) -> Finding:
    """What Twilio does not accept. Every part may meet the same refusal, which is then told once."""
    if setup.client.keyed and error.provider_code == "20003":
        fix = f"Compare api_key and api_secret of channel {channel!r} with the API keys of this account in the console."
        fix += " A secret is shown once: if it is lost, make another key."
        return Finding(ok=False, what="Twilio does not accept the API key.", fix=fix)
    fix = f"Compare account_sid, auth_token and the sender of channel {channel!r} with the Twilio console."
    return Finding(ok=False, what=str(error), fix=fix)


async def _sender(setup: Setup, url: str) -> list[Finding]:
    if setup.one_way:
        what = f"{setup.sender} is a name: customers can neither answer it nor write STOP to it."
        return [Finding(ok=False, what=what, fix="Use a number as sender if customers shall be able to answer.")]
    if setup.sandbox:
        what = "This is WhatsApp's sandbox: only who has joined it can write, and every three days they join anew."
        fix = f"Enter {url or 'the address of the webhook'} in the sandbox settings of the Twilio console."
        return [Finding(ok=False, what=what, fix=f"{fix} For customers, register a WhatsApp sender of your own.")]
    place = await setup.place(url)
    found = [Finding(ok=False, what=f"{place.what}: {what}", fix=fix) for what, fix in place.trouble]
    called, sid = await setup.pooled(url) if url else ("", "")
    if sid:
        what = f"{place.what} is in the messaging service {called}, which takes its messages elsewhere."
        fix = f'Write messaging_service_sid = "{sid}" instead of sender, or have the service defer to its senders.'
        found.append(Finding(ok=False, what=what, fix=f"{fix} Its page in the Twilio console: Integration."))
        return found
    if not url:
        fix = "Set public_url to your https address."
        found.append(Finding(ok=False, what="Twilio has no public address to call.", fix=fix))
    elif place.right(url):
        found.append(Finding(ok=True, what=f"{place.what} calls here."))
    elif place.url == url + AGAIN and url.startswith("https://"):
        fix = "Start `santral serve` here: it has Twilio call with POST."
        found.append(Finding(ok=False, what=f"{place.what} calls here with {name(place.method)}.", fix=fix))
    elif place.url.partition("#")[0] == url:
        fix = "Start `santral serve` once: it asks Twilio to try again."
        what = f"{place.what} calls here, but what fails is not tried again."
        found.append(Finding(ok=False, what=what, fix=fix))
    elif url.startswith("https://"):
        fix = "Start `santral serve` here: it sets the address itself."
        found.append(Finding(ok=False, what=f"{place.what} does not call here.", fix=fix))
    else:
        found.append(Finding(ok=True, what=f"{place.what} does not call here: it is set for https addresses only."))
    return found


async def _templates(setup: Setup) -> list[Finding]:
    listed = await setup.approved()
    good = sum(status == "approved" for _, _, status in listed)
    if not listed:
        return [
            Finding(ok=True, what="No template is made: 24 hours after their last message nobody can be written to.")
        ]
    if not good:
        what = "No template is approved: a customer who wrote more than 24 hours ago cannot be answered."
        fix = "Submit one to WhatsApp under Content Template Builder in the Twilio console, or mend what it refused."
        return [Finding(ok=False, what=what, fix=fix)]
    return [Finding(ok=True, what=f"{good} of {len(listed)} templates are approved.")]


def asked(told: Any) -> Mapping[str, Any]:
    """What WhatsApp was asked for a template: told by itself, or among what other apps were asked."""
    return parts(parts(told).get("whatsapp")) or parts(told)


def parts(told: Any) -> Mapping[str, Any]:
    """What the SDK hands on as it came."""
    return told if isinstance(told, dict) else {}
