"""Every address at which `serve` answers, and what somebody gets there who has nothing to show.

Rule: the router itself is asked which addresses there are, so that a new one without a verdict here fails.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp

from channels.channel import Handshake, Webhook
from tests.providers import KINDS
from tests.scenarios.desk import query
from tests.webchat.browser import CHANNEL, IDENTITY_SECRET
from tests.world import World

Session = aiohttp.ClientSession
INBOUND: Mapping[str, Mapping[str, str]] = {
    "sendgrid": {"inbound_secret": "user:a-password-of-sendgrid"},
    "mailgun": {"inbound_secret": "a-signing-key-of-mailgun"},
    "postmark": {"inbound_secret": "user:a-password-of-postmark"},
    "ses": {"inbound_topic": "arn:aws:sns:eu-central-1:000000000000:mail"},
}
KEPT = ("messages", "customers", "conversations", "letters", "quarantine", "early_receipts", "slack_events")
LIES = {
    "X-Twilio-Signature": "Zm9yZ2Vk",
    "X-Hub-Signature-256": "sha256=00",
    "x-twitter-webhooks-signature": "sha256=00",
    "X-Telegram-Bot-Api-Secret-Token": "guessed",
    "X-Slack-Signature": "v0=00",
    "X-Slack-Request-Timestamp": "1",
    "X-Twilio-Email-Event-Webhook-Signature": "00",
    "X-Amz-SNS-Message-Type": "Notification",
    "Authorization": "Basic dXNlcjpndWVzc2Vk",
    "X-Santral-Ticket": "guessed",
    "Origin": "https://evil.example",
}
BODIES = {
    "application/json": b'{"object":"page","entry":[],"update_id":1,"for_user_id":"1","type":"event_callback"}',
    "application/x-www-form-urlencoded": b"From=%2B905550001001&To=%2B905550100001&Body=Sahte&MessageSid=SM1",
    "multipart/form-data; boundary=x": b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\nSahte\r\n--x--\r\n',
    "text/plain": b"Sahte",
}


async def everything(world: World) -> None:
    """Santral with a channel of every kind, mail by every provider of webhooks, web chat, contact page and form."""
    await world.add_channels()
    mail = {"kind": "email", "address": "support@kumbara.example", "smtp": "smtp://127.0.0.1:9"}
    world.more += [{**CHANNEL}]
    for provider, proof in INBOUND.items():
        address = f"{provider}@kumbara.example"
        world.more.append({**mail, "name": provider, "address": address, "inbound": provider, **proof})
    await world.start()


Probe = Callable[[World, Session, str], Awaitable[None]]


async def refused_without_a_signature(world: World, http: Session, url: str) -> None:
    """Whatever stands in body and headers."""
    for content_type, body in BODIES.items():
        for headers in ({}, LIES):
            async with http.post(url, data=body, headers={"Content-Type": content_type, **headers}) as given:
                assert given.status in (401, 403), (url, content_type, given.status, await given.text())
                assert "Sahte" not in await given.text()


async def webhook(world: World, http: Session, url: str) -> None:
    assert world.app is not None
    for name, channel in world.app.channels.items():
        if isinstance(channel, Webhook):
            await refused_without_a_signature(world, http, url.replace("{name}", name))
        else:
            await not_found(world, http, url.replace("{name}", name))
    async with http.post(url.replace("{name}", "nobody"), data=b"{}") as given:
        assert given.status == 404


async def handshake(world: World, http: Session, url: str) -> None:
    assert world.app is not None
    for name, channel in world.app.channels.items():
        for asked in (
            "",
            "?hub.mode=subscribe&hub.verify_token=guessed&hub.challenge=7",
            "?crc_token=%7B%22a%22%3A1%7D",
        ):
            async with http.get(url.replace("{name}", name) + asked) as given:
                assert given.status == (403 if isinstance(channel, Handshake) else 404), (name, asked)


async def not_found(world: World, http: Session, url: str) -> None:
    path = url
    for part in ("channel", "name", "token", "seal", "version"):
        path = path.replace(f"{{{part}}}", "guessed")
    async with http.request("POST" if "/webhooks/" in url else "GET", path, data=b"") as given:
        assert given.status == 404, (path, given.status)


async def no_secrets(world: World, http: Session, url: str) -> None:
    """Open to everybody, so that nothing stands there which anybody could use."""
    async with http.get(url) as given:
        told = await given.text()
        assert given.status == 200
    assert [secret for secret in secrets(world) if secret in told] == []


def secrets(world: World) -> set[str]:
    """Everything in the configuration that nobody else may know."""
    found = {secret for secret in world.config().secrets() if len(secret) > 3}
    assert IDENTITY_SECRET in found and "a-signing-key-of-mailgun" in found
    return found


async def chat_page(world: World, http: Session, url: str) -> None:
    await no_secrets(world, http, url.replace("{channel}", "chat"))
    await not_found(world, http, url)
    await not_found(world, http, url.replace("{channel}", "sms"))


async def chat_asset(world: World, http: Session, url: str) -> None:
    for name in ("chat.js", "..%2f..%2fchat.py", "santral.toml"):
        async with http.get(
            url.replace("{channel}", "chat").replace("{version}", "x").replace("{name}", name)
        ) as given:
            assert given.status == (200 if name == "chat.js" else 404)


async def chat_socket(world: World, http: Session, url: str) -> None:
    """A page of a stranger's opens none, and nobody's word is believed who cannot prove it."""
    here = url.replace("{channel}", "chat")
    try:
        await http.ws_connect(here, headers={"Origin": "https://evil.example"})
    except aiohttp.WSServerHandshakeError as error:
        assert error.status == 403
    else:
        raise AssertionError("a stranger's page has a socket")
    async with http.ws_connect(here, headers={"Origin": "https://kumbara.example"}) as line:
        await line.send_str(json.dumps({"type": "hello", "identity": "e30.e30.e30", "token": "guessed"}))
        told = [message async for message in line]
        assert [json.loads(message.data)["code"] for message in told] == ["identity_refused"]
        assert line.close_code == 4401
    async with http.get(here) as given:  # no browser, and no WebSocket
        assert given.status in (400, 403, 426)


async def chat_upload(world: World, http: Session, url: str) -> None:
    here = url.replace("{channel}", "chat")
    for headers, status in (({}, 401), (LIES, 403), ({**LIES, "Origin": "https://kumbara.example"}, 401)):
        async with http.post(here, data=b"MZ", headers={**headers, "X-Santral-Name": "a.exe"}) as given:
            assert given.status in (status, 403), (headers, given.status)


async def chat_file(world: World, http: Session, url: str) -> None:
    await not_found(world, http, url.replace("{channel}", "chat"))


async def contact_form(world: World, http: Session, url: str) -> None:
    """Without the ticket of a page that was looked at, nothing that is sent is taken."""
    typed = {"name": "Sahte", "email": "sahte@example.com", "subject": "Sahte", "message": "Sahte", "website": ""}
    for ticket in ("", "guessed"):
        async with http.post(url, data={**typed, "ticket": ticket}, allow_redirects=False) as given:
            assert given.status >= 400, (ticket, given.status)
    for content_type, body in BODIES.items():
        async with http.post(url, data=body, headers={"Content-Type": content_type}, allow_redirects=False) as given:
            assert given.status >= 400, (content_type, given.status)


async def contact_asset(world: World, http: Session, url: str) -> None:
    for name in ("guessed", "..%2fcontact.py", "%2e%2e%2f%2e%2e%2fsantral.toml"):
        async with http.get(url.replace("{name}", name)) as given:
            assert given.status == 404


async def leads_home(world: World, http: Session, url: str) -> None:
    """A slash too many leads to our own page and nowhere else, whatever is asked."""
    here = url.replace("{channel}", "chat")
    for asked in ("", "?next=https://evil.example", "?//evil.example/"):
        async with http.get(here + asked, allow_redirects=False) as given:
            assert given.status in (301, 302, 308)
            where = given.headers["Location"].partition("?")[0]
            assert where.startswith("../") and "evil" not in where


VERDICTS: Mapping[tuple[str, str], Probe] = {
    ("POST", "/webhooks/{name}"): webhook,
    ("GET", "/webhooks/{name}"): handshake,
    ("GET", "/health/live"): no_secrets,
    ("GET", "/health/ready"): no_secrets,
    ("GET", "/metrics"): no_secrets,
    ("GET", "/files/{token}/{name}"): not_found,
    ("GET", "/chat/{channel}"): chat_page,
    ("GET", "/chat/{channel}/"): leads_home,
    ("GET", "/chat/{channel}/widget.js"): chat_page,
    ("GET", "/chat/{channel}/frame"): chat_page,
    ("GET", "/chat/{channel}/asset/{version}/{name}"): chat_asset,
    ("GET", "/chat/{channel}/socket"): chat_socket,
    ("POST", "/chat/{channel}/files"): chat_upload,
    ("GET", "/chat/{channel}/files/{seal}"): chat_file,
    ("GET", "/contact"): no_secrets,
    ("GET", "/contact/"): leads_home,
    ("GET", "/contact/thanks"): no_secrets,
    ("GET", "/contact/{name}"): contact_asset,
    ("POST", "/contact"): contact_form,
    ("POST", "/slack/events"): refused_without_a_signature,
    ("POST", "/slack/interactive"): refused_without_a_signature,
}


async def test_whoever_has_nothing_to_show_is_refused_at_every_door_and_leaves_nothing(world: World) -> None:
    await everything(world)
    assert world.app is not None
    assert set(KINDS) | set(INBOUND) | {"bot", "chat"} == set(world.app.channels)
    doors = {
        (route.method, route.resource.canonical)
        for route in world.app.web.application().router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert doors == set(VERDICTS)
    async with Session() as http:
        await asyncio.gather(*(probe(world, http, world.url + path) for (_, path), probe in VERDICTS.items()))
    left = {table: len(await query(world, f"select 1 from {table}")) for table in KEPT}
    assert left == dict.fromkeys(KEPT, 0)
    assert list(_files(world)) == []


def _files(world: World) -> list[Any]:
    folder = world.folder / "var" / "files"
    return [path for path in folder.rglob("*") if path.is_file()]
