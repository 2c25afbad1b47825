"""What Messenger and Instagram tell the shop: the items of `messaging[]` and `standby[]`.

Rule: pure. Of an echo the sender is the shop's account; of everything else it is the person.
"""

from __future__ import annotations

from typing import Any

from sandbox.meta.values import Json, Kind, Line, Settings

SHARES = {
    "fallback": {"title": "", "url": "My Documents/foo.doc"},  # as it has been seen: no URL at all
    "ig_reel": {"title": "", "url": "/reel/123/"},  # relative
    "reel": {"title": "", "url": "https://www.facebook.example/reel/123"},
    "ig_post": {"url": "https://www.instagram.example/p/123"},
    "share": {"url": "https://www.instagram.example/p/456"},
    "ephemeral": None,
    "like_heart": None,  # without a payload
}
THUMBS_UP = "369239263222822"

ECHO_FIELD = {Kind.MESSENGER: "message_echoes", Kind.INSTAGRAM: "messages"}
EDIT_FIELD = {Kind.MESSENGER: "message_edits", Kind.INSTAGRAM: "message_edit"}
READ_FIELD = {Kind.MESSENGER: "message_reads", Kind.INSTAGRAM: "messaging_seen"}
REFERRAL_FIELD = {Kind.MESSENGER: "messaging_referrals", Kind.INSTAGRAM: "messaging_referral"}
REACTIONS = {
    "❤": "love",
    "❤️": "love",
    "😆": "smile",
    "😮": "wow",
    "😢": "sad",
    "😠": "angry",
    "👍": "like",
    "👎": "dislike",
}


def stamp(at: float, settings: Settings) -> int:
    """Milliseconds, which have been seen as seconds too."""
    return int(at) if settings.timestamps == "other" else int(at * 1000)


def item(sender: str, recipient: str, at: float, settings: Settings, **rest: Any) -> Json:
    return {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": stamp(at, settings), **rest}


def attachment(kind: str, url: str = "", **more: Any) -> Json:
    """One attachment; `url` of a file, or what a share of this kind carries."""
    if url or more:
        return {"type": kind, "payload": ({"url": url} if url else {}) | more}
    payload = SHARES.get(kind)
    return {"type": kind} | ({"payload": payload} if payload else {})


def location(latitude: float, longitude: float, title: str) -> Json:
    return attachment("location", coordinates={"lat": latitude, "long": longitude}, title=title or "Pinned Location")


def reaction(mid: str, emoji: str) -> Json:
    """A reaction given, or taken away by an empty emoji."""
    if not emoji:
        return {"mid": mid, "action": "unreact"}
    return {"mid": mid, "action": "react", "reaction": REACTIONS.get(emoji, "other"), "emoji": emoji}


def edited(mid: str, text: str, number: int, settings: Settings) -> Json:
    return {"mid": mid, "text": text, "num_edit": str(number) if settings.num_edit_text else number}


def test_button(line: Line) -> tuple[str, Json]:
    """The slot and item of the dashboard's Test button. Instagram's has a shape no real message has."""
    if line.kind is Kind.INSTAGRAM:
        value = {
            "sender": {"id": "12334"},
            "recipient": {"id": "23245"},
            "timestamp": "1527459824",
            "message": {"mid": "random_mid", "text": "random_text"},
        }
        return "changes", {"field": "messages", "value": value}
    return "messaging", {
        "sender": {"id": "12334"},
        "recipient": {"id": "23245"},
        "timestamp": 1527459824,
        "message": {"mid": "test_message_id", "text": "test_message"},
    }
