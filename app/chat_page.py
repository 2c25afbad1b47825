"""What browsers load of the web chat: the loader for the shop's page, and the chat itself, in a frame of our own. Pure.

Rule: the shop's page and the chat share no script and no storage. Settings travel as data, never as code; nothing a
customer or an agent wrote is ever part of a page.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

LANGUAGES = ("tr", "ru", "en", "de", "ar")
RIGHT_TO_LEFT = frozenset({"ar"})
GROUNDS = ("#ffffff", "#17191d")  # of the chat, light and dark; `chat.css` has them too
STANDS_OUT = 3.0  # of what is no text: WCAG 2.2, 1.4.11
ASSETS = {"chat.js": "text/javascript", "chat.css": "text/css", "icon.svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How one channel's chat looks, and where it may be shown."""

    channel: str
    title: str
    color: str  # "#rrggbb"
    side: str
    origins: Sequence[str]
    public_origin: str  # "" where none is known


@lru_cache
def asset(name: str) -> str:
    return files("app").joinpath("widget", name).read_text(encoding="utf-8")


@lru_cache
def version() -> str:
    """Changes with every file the frame loads, so that browsers may keep them for ever."""
    return hashlib.sha256("".join(map(asset, sorted(ASSETS))).encode()).hexdigest()[:12]


@lru_cache
def texts() -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = json.loads(asset("texts.json"))
    return found


def language(wanted: Sequence[str], otherwise: str) -> str:
    """The first of these languages (BCP 47) that the chat speaks."""
    for tag in (*wanted, otherwise):
        if (base := tag.replace("_", "-").partition("-")[0].lower()) in LANGUAGES:
            return base
    return "en"


def loader(look: Look, otherwise: str) -> str:
    """The script of `<script src="…/widget.js">`."""
    settings = {
        "channel": look.channel,
        "title": look.title,
        "color": look.color,
        "ink": ink(look.color),
        "side": look.side,
        "language": otherwise,
        "texts": {code: {key: told[key] for key in ("open", "close", "unread")} for code, told in texts().items()},
    }
    return asset("widget.js").replace('"SETTINGS"', data(settings), 1)


def page(look: Look, code: str, *, framed: bool) -> str:
    """The chat: in the frame of the loader, or a page of its own."""
    base = "." if framed else f"./{look.channel}"  # a proxy may have put a folder before it all
    settings = {
        "channel": look.channel,
        "base": base,
        "title": look.title,
        "color": look.color,
        "ink": ink(look.color),
        "edges": [edge(look.color, ground) for ground in GROUNDS],
        "framed": framed,
        "language": code,
        "origins": list(look.origins),
        "texts": texts()[code],
    }
    values = {
        "language": code,
        "direction": "rtl" if code in RIGHT_TO_LEFT else "ltr",
        "title": html.escape(look.title),
        "base": base,
        "version": version(),
        "settings": data(settings),
        "needs_script": html.escape(texts()[code]["needs_script"]),
    }
    written = asset("chat.html")
    for name, value in values.items():
        written = written.replace(f"%({name})", value)
    return written


def headers(look: Look, *, framed: bool) -> dict[str, str]:
    """What the browser is to refuse on the chat's behalf."""
    own, socket = look.public_origin, look.public_origin.replace("http", "ws", 1)
    within = " ".join(["'self'", *look.origins] if framed else ["'none'"])
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
        f"connect-src 'self' {own} {socket}; form-action 'none'; base-uri 'none'; frame-ancestors {within}"
    )
    return {
        "Content-Security-Policy": " ".join(policy.split()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        "Cache-Control": "no-cache",
    }


def data(value: Mapping[str, Any]) -> str:
    """JSON that can stand in a script of either kind: it can neither end it nor begin another."""
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        written = written.replace(char, f"\\u{ord(char):04x}")
    return written


def ink(color: str) -> str:
    """Black or white, whichever is easier to read on a color (WCAG 2.2, contrast ratio)."""
    return max("#ffffff", "#000000", key=lambda ink: contrast(ink, color))


def edge(color: str, ground: str) -> str:
    """The color where it stands out from a ground, else as much of the ground's ink in it as that takes."""
    toward = ink(ground)
    mixed = (_mixed(color, toward, part / 20) for part in range(21))
    return next((one for one in mixed if contrast(one, ground) >= STANDS_OUT), toward)


def contrast(one: str, other: str) -> float:
    """From 1 to 21 (WCAG 2.2, contrast ratio)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _mixed(color: str, other: str, part: float) -> str:
    pairs = zip(_parts(color), _parts(other), strict=True)
    return "#" + "".join(f"{round(own + (far - own) * part):02x}" for own, far in pairs)


def _luminance(color: str) -> float:
    red, green, blue = (_linear(part / 255) for part in _parts(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _parts(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
