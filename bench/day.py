"""The day: 2,000 messages over every channel, out of order, some twice, some late, some files broken, agents answering.

Rule: judged from both sides, by what customers' phones and the agents' Slack channel show in the end. Anything lost,
doubled, misplaced or out of order makes the part fail, and is listed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bench.day_phones import Place
from bench.day_run import Day, Played
from bench.day_script import written
from bench.day_site import CHAT, IDENTITY_SECRET, SHOP
from bench.day_verdict import NAMES
from bench.load import quantile
from bench.program import SECRET, santral
from bench.providers import AGENT_CHANNEL, Providers
from bench.rows import Row, held, told
from sandbox import mail as mail_sandbox
from sandbox import meta as meta_sandbox
from sandbox import twilio as twilio_sandbox
from sandbox import x as x_sandbox
from sandbox.x.values import Subscription, Webhook

SEED = 20_261_122
MESSAGES, PEOPLE = 2_000, 154  # and six more, for windows that are over and for words that end it
QUICK_MESSAGES, QUICK_PEOPLE = 400, 60
DOUBLES = 0.05  # share of webhooks that come twice
LISTED = 12  # of what is wrong, as many are named

ACCOUNT, AUTH_TOKEN = "AC00000000000000000000000000000b01", "bench-twilio-token"
SMS, WHATSAPP_TWILIO = "+905550120001", "whatsapp:+905550120002"
NUMBER, BUSINESS, PAGE, INSTAGRAM = "106540352242922", "102290129340398", "108264108264108", "17841400000000000"
NUMBER_TOKEN, PAGE_TOKEN = "bench-token-of-the-number", "bench-token-of-the-page"
APP_SECRET, VERIFY_TOKEN = "bench-app-secret", "bench-verify-token"
X_USER, X_CONSUMER, X_ACCESS = (
    "2244994945",
    ("bench-x-key", "bench-x-secret"),
    ("bench-x-token", "bench-x-token-secret"),
)
MAILBOX = "destek@kumbara.example"
# Without it Twilio brings nothing again: twilio.com/docs/usage/webhooks/webhooks-connection-overrides
RETRIES = "#rc=3&rp=5xx,ct,rt&ct=2000&rt=4000"
LINES = {
    "sms": SMS,
    "whatsapp-twilio": WHATSAPP_TWILIO,
    "whatsapp": NUMBER,
    "messenger": PAGE,
    "instagram": INSTAGRAM,
    "x": X_USER,
    "email": MAILBOX,
}


async def day(folder: Path, *, quick: bool) -> list[Row]:
    """One day on one program in all its roles. Takes minutes: people wait for their answers."""
    script = written(SEED, *((QUICK_MESSAGES, QUICK_PEOPLE) if quick else (MESSAGES, PEOPLE)))
    async with (
        Providers.open() as providers,
        _places(providers) as place,
        santral(folder, providers, "web,work,pull", more=_sections(place)) as program,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        await providers.connect(program.url, SECRET)
        place = replace(place, url=program.url)
        _connect(place)
        line = await program.connect()
        try:

            async def query(sql: str) -> Sequence[Mapping[str, Any]]:
                found: Sequence[Mapping[str, Any]] = await line.fetch(sql)
                return found

            running = Day(place, script, query)
            await running.furnish(session)
            return rows(await running.play())
        finally:
            await line.close()


def rows(played: Played) -> list[Row]:
    """What is printed of a day. Whatever is wrong is judged, and named."""
    verdict, kept = played.verdict, played.kept
    count, late = len(played.wrote), sum(one.late for one in played.wrote)
    fetched = sorted(played.delays.get("email", ()))
    ranked = sorted(1000 * delay for kind, delays in played.delays.items() for delay in delays if kind != "email")
    silent = sum(not answer.kinds for answer in played.answers)
    found = [
        told("messages written", f"{count:,}", note=f"{len({one.customer for one in played.wrote})} customers"),
        told("… that came late, in any order", f"{late:,}", note=f"{late / count:.1%}"),
        told("… with files kept from coming", f"{sum(played.troubles.values())}", note=_counted(played.troubles)),
        *(_none(name, verdict.wrong.get(name, ())) for name in NAMES),
        _none("put into quarantine", kept.quarantined),
        _none("work given up", kept.parked),
        _none("work left over", kept.left),
        told("files told to be lost", f"{played.lost_files}"),
        told("answers written", f"{len(played.answers)}", note=f"{silent} of them must not arrive"),
        told("until the last was visible", f"{played.seconds:.0f} s", note=f"{count / played.seconds:.1f} messages/s"),
    ]
    if ranked:
        delay = f"{quantile(ranked, 0.95):,.0f} ms"
        found.append(told("webhook to Slack, p95", delay, note=f"p50 {quantile(ranked, 0.5):,.0f} ms"))
    if fetched:
        found.append(told("… of mail, which is fetched", f"{quantile(fetched, 0.95):.1f} s"))
    return found


def _none(what: str, about: Sequence[str]) -> Row:
    note = ", ".join(about[:LISTED]) + (f" and {len(about) - LISTED} more" if len(about) > LISTED else "")
    return held(what, f"{len(about)}", "0", not about, note=note)


def _counted(troubles: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(troubles.items()) if count)


@asynccontextmanager
async def _places(providers: Providers) -> AsyncIterator[Place]:
    """Host what `Providers` does not, open the shop's accounts there, and let them repeat themselves."""
    place = Place(
        telegram=providers.telegram,
        slack=providers.slack,
        mail=mail_sandbox.World(),
        twilio=twilio_sandbox.World(),
        meta=meta_sandbox.World(app_secret=APP_SECRET),
        x=x_sandbox.World(),
        url="",
        lines=LINES,
        slack_channel=AGENT_CHANNEL,
    )
    runners: list[web.AppRunner] = []

    async def host(application: web.Application) -> str:
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    try:
        twilio_url = await host(twilio_sandbox.application(place.twilio))
        place.meta.base = await host(meta_sandbox.application(place.meta))
        x_url = await host(x_sandbox.application(place.x))
        await place.mail.start()
        place.mail.add_account(MAILBOX, name="Kumbara")
        place.twilio.add_account(sid=ACCOUNT, auth_token=AUTH_TOKEN, name="Kumbara")
        place.twilio.add_line(SMS, name="Kumbara")
        place.twilio.add_line(WHATSAPP_TWILIO, name="Kumbara")
        place.meta.add_number(id=NUMBER, waba=BUSINESS, display="+90 555 012 00 03", name="Kumbara", token=NUMBER_TOKEN)
        place.meta.add_page(id=PAGE, name="Kumbara", token=PAGE_TOKEN)
        place.meta.add_instagram(id=INSTAGRAM, username="kumbara.shop", page=PAGE)
        place.x.add_app(consumer_key=X_CONSUMER[0], consumer_secret=X_CONSUMER[1])
        place.x.add_line(
            id=X_USER, name="Kumbara", username="kumbara", access_token=X_ACCESS[0], access_secret=X_ACCESS[1]
        )
        chance = {"seed": SEED, "duplicates": DOUBLES}
        await place.twilio.settle({**chance, "callback_first": True, "api_base": twilio_url})
        await place.meta.settle({**chance, "callback_first": True, "retry_scale": 0.05})
        local = {"local_urls": True, "rate_limits": False, "ton_url": x_url}
        await place.x.settle({**chance, "echo_first": True, **local})
        yield replace(place, urls={"twilio": twilio_url, "meta": place.meta.base, "x": x_url})
    finally:
        for world in (place.twilio, place.meta, place.x, place.mail):
            await world.close()
        for runner in runners:
            await runner.cleanup()


def _sections(place: Place) -> str:
    """The channels of `santral.toml` that fit these accounts, and every way into the shop's own site."""
    twilio = {"account_sid": ACCOUNT, "auth_token": AUTH_TOKEN, "api_url": place.urls["twilio"]}
    meta = {"app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN, "api_url": place.urls["meta"]}
    kinds: dict[str, dict[str, Any]] = {
        "sms": {**twilio, "sender": SMS},
        "whatsapp-twilio": {**twilio, "sender": WHATSAPP_TWILIO},
        "whatsapp": {
            **meta,
            "access_token": NUMBER_TOKEN,
            "phone_number_id": NUMBER,
            "business_account_id": BUSINESS,
        },
        "messenger": {**meta, "access_token": PAGE_TOKEN, "page_id": PAGE},
        "instagram": {**meta, "access_token": PAGE_TOKEN, "ig_id": INSTAGRAM, "page_id": PAGE},
        "x": {
            "consumer_key": X_CONSUMER[0],
            "consumer_secret": X_CONSUMER[1],
            "access_token": X_ACCESS[0],
            "access_token_secret": X_ACCESS[1],
            "user_id": X_USER,
            "api_url": place.urls["x"],
        },
        "email": {
            "address": MAILBOX,
            "imap": place.mail.imap_url(MAILBOX),
            "smtp": place.mail.smtp_url(MAILBOX),
            "trusted_authserv": ["mx.kumbara.example"],
        },
        CHAT: {"origins": [SHOP], "identity_secret": IDENTITY_SECRET},
    }
    written = []
    for name, keys in kinds.items():
        kind = "webchat" if name == CHAT else name
        lines = [f"{key} = {json.dumps(value)}" for key, value in {"name": name, "kind": kind, **keys}.items()]
        written.append("\n[[channels]]\n" + "\n".join(lines) + "\n")
    return "".join(written)


def _connect(place: Place) -> None:
    """Point every webhook at Santral, as `serve` does by itself where it has a public https address."""

    def url(kind: str) -> str:
        return f"{place.url}/webhooks/{kind}"

    place.twilio.line(SMS).url = url("sms") + RETRIES
    place.twilio.line(WHATSAPP_TWILIO).url = url("whatsapp-twilio") + RETRIES
    for kind in ("whatsapp", "messenger", "instagram"):
        place.meta.subscribe(url(kind), VERIFY_TOKEN, [LINES[kind]])
    now = place.x.now()
    hook = Webhook(id=place.x.new_id(), url=url("x"), created=now, validated=now)
    place.x.webhooks[hook.id] = hook
    for event in ("dm.received", "dm.sent", "dm.read", "dm.indicate_typing"):
        id, heard = place.x.new_id(), {"user_id": X_USER}
        place.x.subscriptions[id] = Subscription(
            id=id, event_type=event, filter=heard, webhook=hook.id, tag="", created=now, updated=now
        )
