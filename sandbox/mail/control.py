"""The control side over HTTP: play the customers, bend the rules, and look at what happened.

Rule: every route is one action of `World`. What is wrong is said as `{"error": …}` with 400 or 404. A mail's HTML is
served for a frame that may run nothing and load nothing.
"""

from __future__ import annotations

import base64
import binascii
import html
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from sandbox.control import Deed, answer, calls_route, deed_routes, state_route, stream_route, trouble_routes
from sandbox.mail.clients import Enclosure
from sandbox.mail.reading import Seen, look, without_past
from sandbox.mail.values import Account, Folder, Json, Stored
from sandbox.mail.world import World

MAX_BODY = 64 << 20
SHOWN = 60  # mails of a folder that a page is told of
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")  # never SVG: it runs scripts
PAPER = (
    "<!doctype html><meta charset=utf-8><base target=_blank><style>:root{color-scheme:light dark}"
    "body{margin:0;font:14px/1.5 -apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Ubuntu,'Helvetica Neue',Arial,"
    "sans-serif;overflow-wrap:anywhere}p{margin:0 0 .7em}img{max-width:100%}blockquote{margin:0 0 0 .5em;"
    "padding-left:.8em;border-left:2px solid #8886;opacity:.8}a{color:#1264a3}"
    "@media(prefers-color-scheme:dark){a{color:#7ab7f2}}"
)
COLOURED = ":root{color-scheme:light}body{padding:10px;background:#fff;color:#1d1c1d}"  # of a mail that brings colours
FRAMED = {
    "Content-Security-Policy": "sandbox allow-same-origin allow-popups; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def application(world: World | None = None) -> web.Application:
    """Make the control side, to run at the root or as a sub-application under any prefix."""
    world = world or World()
    app = web.Application(client_max_size=MAX_BODY)
    app.add_routes(control_routes(world))

    async def close(_: web.Application) -> None:
        await world.close()

    app.on_shutdown.append(close)
    return app


def control_routes(world: World) -> list[web.RouteDef]:
    """List the control routes of one world."""
    side = _Control(world)
    deeds: dict[str, Deed] = {
        "accounts": side.accounts,
        "policies": side.policies,
        "deliver": side.deliver,
        "reply": side.reply,
        "raw": side.raw,
        "newsletter": side.newsletter,
        "seen": side.seen,
        "cut": side.cut,
        "bye": side.bye,
        "renew": side.renew,
        "settings": side.settings,
        "reset": side.reset,
    }
    return [
        *deed_routes(deeds, limit=MAX_BODY),
        *trouble_routes(world.troubles),
        state_route(lambda base: plain(world, base)),
        web.get("/control/sent", side.sent),
        calls_route(world.journal),
        stream_route(world.journal),
        web.get("/control/mails/{account}/{folder}/{uid}/raw", side.source),
        web.get("/control/mails/{account}/{folder}/{uid}/html", side.paper),
        web.get("/control/mails/{account}/{folder}/{uid}/files/{number}", side.file),
    ]


def plain(world: World, base: str = "") -> Json:
    """The world as a page shows it: every mailbox, newest mails first. `base` is the prefix it is mounted under."""
    return {
        "accounts": [
            {
                "address": account.address,
                "name": account.name,
                "client": account.client,
                "language": account.language,
                "vacation": account.vacation,
                "fate": account.fate,
                "mails": sorted(_mails(account, base), key=lambda mail: str(mail["at"]), reverse=True),
            }
            for account in world.accounts.values()
        ]
    }


def _mails(account: Account, base: str) -> Iterator[Json]:
    for folder in account.folders.values():
        for stored in list(folder.mails.values())[-SHOWN:]:
            yield _mail(account, folder, stored, base)


def _mail(account: Account, folder: Folder, stored: Stored, base: str) -> Json:
    if stored.shown is None:
        stored.shown = _unchanging(folder, stored)
    url = f"{base}/control/mails/{account.address}/{folder.name}/{stored.uid}"
    shown = stored.shown
    return {
        **shown,
        "uid": stored.uid,
        "seen": "\\Seen" in stored.flags,
        "html": f"{url}/html" if shown["html"] else "",
        "files": [{**file, "url": f"{url}/files/{number}"} for number, file in enumerate(shown["files"])],
    }


def _unchanging(folder: Folder, stored: Stored) -> Json:
    """What a page needs of a mail that is read once, however often it is shown."""
    seen = look(stored.raw)
    mine = folder.use == "\\Sent"
    return {
        "folder": folder.name,
        "mine": mine,
        "at": stored.at.isoformat(),
        "message_id": seen.message_id,
        "in_reply_to": seen.in_reply_to,
        "from": {"name": seen.sender_name, "address": seen.sender_address},
        "to": seen.to,
        "subject": seen.subject,
        "text": seen.own,
        "past": bool(seen.past) or without_past(seen.html_body)[1],
        "hidden": seen.past,
        "html": bool(seen.html) and not mine,
        "automatic": seen.header("Auto-Submitted").lower() not in ("", "no"),
        "files": [{"name": one.name, "media_type": one.media_type, "size": len(one.data)} for one in seen.files],
    }


class _Control:
    def __init__(self, world: World) -> None:
        self._world = world

    async def accounts(self, body: Json) -> Json:
        account = self._world.add_account(**body)
        given: Json = {"address": account.address, "password": account.password}
        if self._world.imap_port:
            given |= {"imap": self._world.imap_url(account.address), "smtp": self._world.smtp_url(account.address)}
        return given

    async def policies(self, body: Json) -> None:
        if unknown := set(body.values()) - {"none", "quarantine", "reject"}:
            raise ValueError(f"no such policy: {sorted(unknown)[0]}")
        self._world.policies.update(body)

    async def deliver(self, body: Json) -> Json:
        copy = self._world.deliver(sender=_need(body, "from"), **_written(body))
        return {"uid": copy.uid, "message_id": look(copy.raw).message_id} if copy else {"ok": True}

    async def reply(self, body: Json) -> Json:
        account, uid, text = (_need(body, name) for name in ("account", "uid", "text"))
        copy = self._world.reply(account, int(uid), text, **_written(body))
        return {"uid": copy.uid, "message_id": look(copy.raw).message_id} if copy else {"ok": True}

    async def raw(self, body: Json) -> None:
        """Deliver bytes as they are, by a stranger or, with `honest`, by an account."""
        honest = self._world.account(body["honest"]) if body.get("honest") else None
        mail_from, signed, folder = (str(body.get(name, "")) for name in ("mail_from", "signed", "folder"))
        to = _need(body, "to")
        stored = self._world.arrive(_bytes(body), to, mail_from=mail_from, honest=honest, signed=signed, folder=folder)
        if stored is None:
            raise KeyError("nobody has this address, or their mailbox is full")

    async def newsletter(self, body: Json) -> None:
        sender, to, subject, text = (_need(body, name) for name in ("from", "to", "subject", "text"))
        self._world.newsletter(sender, to, subject, text)

    async def seen(self, body: Json) -> None:
        self._world.mark_seen(_need(body, "account"), int(_need(body, "uid")), body.get("folder", "INBOX"))

    async def cut(self, body: Json) -> Json:
        return {"connections": self._world.cut(body.get("account", ""))}

    async def bye(self, body: Json) -> Json:
        return {"connections": self._world.bye(body.get("account", ""), body.get("words", "Session expired."))}

    async def renew(self, body: Json) -> Json:
        return {"uid_validity": self._world.renew(_need(body, "account"), body.get("folder", "INBOX"))}

    async def settings(self, body: Json) -> None:
        self._world.change_settings(body)

    async def reset(self, body: Json) -> None:
        self._world.reset()

    async def sent(self, request: web.Request) -> web.Response:
        """What was handed in by SMTP, as its receiver reads it."""
        return answer({"sent": [_submitted(one.raw) | {
            "account": one.account, "mail_from": one.mail_from, "recipients": one.recipients,
            "at": one.at.isoformat(), "queue_id": one.queue_id,
        } for one in self._world.sent]})  # fmt: skip

    # one mail

    def _asked(self, request: web.Request) -> Stored:
        about = request.match_info
        try:
            return self._world.stored(self._world.account(about["account"]), int(about["uid"]), about["folder"])
        except (KeyError, ValueError):
            raise web.HTTPNotFound(text="no such mail") from None

    async def source(self, request: web.Request) -> web.Response:
        return web.Response(body=self._asked(request).raw, content_type="text/plain", headers=FRAMED)

    async def paper(self, request: web.Request) -> web.Response:
        """The HTML of a mail for a sandboxed frame; the quoted past only when asked for."""
        seen = look(self._asked(request).raw)
        words = seen.html_body or f"<pre>{html.escape(seen.text)}</pre>"
        shown = words if request.query.get("past") else without_past(words)[0]
        coloured = COLOURED if "color" in words.lower() else ""
        page = f"{PAPER}{coloured}</style>{shown}"
        return web.Response(text=page, content_type="text/html", charset="utf-8", headers=FRAMED)

    async def file(self, request: web.Request) -> web.Response:
        files = look(self._asked(request).raw).files
        number = request.match_info["number"]
        if not number.isdigit() or int(number) >= len(files):
            raise web.HTTPNotFound(text="no such file")
        found = files[int(number)]
        kind = found.media_type if found.media_type in PICTURES else "application/octet-stream"
        shown = "inline" if found.media_type in PICTURES else "attachment"
        return web.Response(body=found.data, headers={**FRAMED, "Content-Type": kind, "Content-Disposition": shown})


def _need(body: Json, name: str) -> Any:
    if name not in body:
        raise ValueError(f"{name} is missing")
    return body[name]


def _written(body: Json) -> Json:
    """The part of a body that says what somebody wrote."""
    names = ("to", "subject", "html", "in_reply_to", "spoofed", "headers", "name", "folder")
    known = {"account", "uid", "from", "text", "attachments", *names}
    if unknown := sorted(set(body) - known):
        raise ValueError(f"a mail has no {', '.join(unknown)}")
    given = {name: body[name] for name in names if name in body}
    if "from" in body:
        given["text"] = str(body.get("text", ""))
    files = [
        Enclosure(
            name=str(file.get("name", "file")),
            media_type=str(file.get("media_type") or "application/octet-stream"),
            data=_bytes(file),
        )
        for file in body.get("attachments", ())
    ]
    return {**given, "attachments": files} if files else given


def _bytes(value: Json) -> bytes:
    try:
        return base64.b64decode(_need(value, "data"), validate=True)
    except (binascii.Error, TypeError):
        raise ValueError("data must be base64") from None


def _submitted(raw: bytes) -> Json:
    seen: Seen = look(raw)
    return {
        "headers": seen.headers,
        "subject": seen.subject,
        "from": seen.sender,
        "to": seen.recipients,
        "message_id": seen.message_id,
        "in_reply_to": seen.in_reply_to,
        "references": seen.references,
        "text": seen.text,
        "own": seen.own,
        "past": seen.past,
        "html": seen.html,
        "files": [{"name": f.name, "media_type": f.media_type, "size": len(f.data)} for f in seen.files],
    }
