"""Kumbara's own site: a page that sells two money boxes, with Santral's chat on it and its contact page behind.

Rule: made as a shop would: one script tag for the chat, and a web server that passes `/contact` on to Santral.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

STATIC = Path(__file__).parent / "static" / "shop"
CHAT = "chat"  # the channel, as the configuration calls it
PATIENCE = aiohttp.ClientTimeout(total=30)
PASSED = ("Content-Type", "Accept-Language", "Accept")
LARGEST = 24 << 20  # the form takes 20 MB of files


class Shop:
    """The routes below `/kumbara`. `app_url` is where Santral answers."""

    def __init__(self, app_url: str) -> None:
        self._app = app_url
        self._session: aiohttp.ClientSession | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/kumbara/", self.front),
            web.get("/kumbara/contact", self.passed_on),
            web.post("/kumbara/contact", self.passed_on),
            web.get("/kumbara/contact/{name}", self.passed_on),
        ]

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def front(self, request: web.Request) -> web.Response:
        """The shop's page. What it loads from Santral is one script, which brings the frame of the chat."""
        written = (STATIC / "index.html").read_text(encoding="utf-8")
        policy = (
            f"default-src 'self'; script-src {self._app}; frame-src {self._app}; "
            "style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'"
        )
        return web.Response(
            text=written.replace("%(widget)", f"{self._app}/chat/{CHAT}/widget.js"),
            content_type="text/html",
            headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"},
        )

    async def passed_on(self, request: web.Request) -> web.Response:
        """Pass a request for the contact page on to Santral. Its answer may stand in a frame of the demo's page."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=PATIENCE)
        body = await request.clone(client_max_size=LARGEST).read() if request.body_exists else None
        headers = {name: request.headers[name] for name in PASSED if name in request.headers}
        headers["X-Forwarded-For"] = request.remote or ""
        url = self._app + request.rel_url.raw_path_qs.removeprefix("/kumbara")
        try:
            async with self._session.request(
                request.method, url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                kept = {name: answer.headers[name] for name in ("Content-Type", "Location") if name in answer.headers}
                policy = answer.headers.get("Content-Security-Policy", "default-src 'self'")
                kept["Content-Security-Policy"] = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
                kept["Cache-Control"] = "no-store"
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)
        except (aiohttp.ClientError, TimeoutError):
            where = urlsplit(self._app).netloc
            return web.Response(
                status=502, text=f"Santral does not answer at {where}.", headers={"Cache-Control": "no-store"}
            )
