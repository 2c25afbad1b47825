"""Hands out files by the links of `app.links`: to providers that fetch what we send, and to their customers.

Rule: whatever a file claims to be, a browser only ever shows pictures, sound and film of it, and runs nothing.
"""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from app.links import Links
from channels.values import media_type, shown_filename
from inbox.files import Files
from inbox.store import deliveries
from inbox.store.database import Database, away

SHOWN = (
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "audio/",
    "video/",
)  # SVG and HTML run scripts
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


class Downloads:
    """`GET /files/{token}/{name}`."""

    def __init__(self, database: Database, files: Files, links: Links) -> None:
        self._database = database
        self._files = files
        self._links = links

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/files/{token}/{name}", self.file)]

    async def file(self, request: web.Request) -> web.Response:
        attachment_id = self._links.read(request.match_info["token"])
        if attachment_id is None:
            raise web.HTTPNotFound
        try:
            async with self._database.connection() as c:
                found = await deliveries.file(c, attachment_id)
        except Exception as error:
            if away(error):
                return web.Response(status=503, headers={"Retry-After": "5"})
            raise
        if found is None or found.state != "kept":
            raise web.HTTPNotFound
        try:
            data = await self._files.read(found.path)
        except FileNotFoundError:
            raise web.HTTPNotFound from None
        return served(data, found.attachment.media_type, found.attachment.filename)


def served(data: bytes, told: str, filename: str) -> web.Response:
    """A file as an answer. Its media type is what its sender said, which providers compare with what they were told."""
    kind = media_type(told)
    how = "inline" if kind.startswith(SHOWN) else "attachment"
    name = quote(shown_filename(filename) or "file", safe="")
    headers = {**HEADERS, "Content-Disposition": f"{how}; filename*=UTF-8''{name}", "Content-Type": kind}
    return web.Response(body=data, headers=headers)
