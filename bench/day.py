"""The day: 2,000 messages over every channel, out of order, some twice, some late, some files broken, agents answering.

Rule: judged from both sides, by what customers' phones and the agents' Slack channel show in the end. Anything lost,
doubled, misplaced or out of order makes the part fail, and is listed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
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
from bench.program import SECRET, Program, santral
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
X_USER, X_CONSUMER, X_ACCESS = "2244994945", ("bench-x-key", "bench-x-secret"), ("bench-x-token", "bench-x-token-secret")
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
    """One day on one program in all its roles. Takes minutes: people wait for answers."""
    script = written(SEED, *((QUICK_MESSAGES, QUICK_PEOPLE) if quick else (MESSAGES, PEOPLE)))
    async with Providers.open() as providers, _shops(providers) as (place, sections):
        async with santral(folder, providers, "web,work,pull", more=sections) as program:
            await providers.connect(program.url, SECRET)
            _connect(place, program.url)
            line = await program.connect()
            try:

                async def query(sql: str) -> Sequence[Mapping[str, Any]]:
                    found: Sequence[Mapping[str, Any]] = await line.fetch(sql)
                    return found

                played = await _played(place, program, script, query)
            finally:
                await line.close()
    return _rows(played)


async def _played(place: Place, program: Program, script: Any, query: Any) -> Played:
    place = replace(place, url=program.url)
    running = Day(place, script, query)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await running.furnish(session)
        return await running.play()
