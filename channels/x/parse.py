"""What X tells of direct messages, read as what was said. Pure: the same bytes at the same time give the same events.

Rule: X tells the same thing in three shapes: its Activity API, its Account Activity API, and lists. They become the
same events with the same ids. https://docs.x.com/x-api/activity/event-payloads, /account-activity/introduction
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from channels.errors import Malformed
from channels.message import (
    Address,
    Attachment,
    Event,
    Proof,
    ReadUpTo,
    Receipt,
    Received,
    SentElsewhere,
    Status,
    Unreadable,
)
from channels.opting import asking
from channels.values import moment, name, on_map
from channels.wire import mended
from channels.x.calls import digits, part, rows, text

# --- facts

AHEAD = timedelta(minutes=5)  # how far ahead of ours X's clock may be taken
EPOCH = 1288834974657  # milliseconds; X's ids count from here, in their upper bits
KINDS: Mapping[str, tuple[str, str]] = {
    "photo": ("image/jpeg", "photo.jpg"),
    "video": ("video/mp4", "video.mp4"),
    "animated_gif": ("video/mp4", "animation.mp4"),
}
ENDINGS: Mapping[str, tuple[str, str]] = {
    ".png": ("image/png", "photo.png"),
    ".gif": ("image/gif", "photo.gif"),
    ".webp": ("image/webp", "photo.webp"),
}
SHORT = re.compile(r"https?://t\.co/[A-Za-z0-9]{1,32}", re.ASCII)
NOTHING_SAID = frozenset({"dm.indicate_typing"})
STRANGE = "an event of another account than this channel's"

# --- reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What every part of one body is read with: for which account, when, out of what."""

    channel: str
    account: str  # our user id
    at: datetime
    raw: bytes
    people: Mapping[str, Any]
    apps: Mapping[str, Any]

    def unreadable(self, reason: str) -> Event:
        return Unreadable(channel=self.channel, reason=reason, raw=self.raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message, in whichever shape it came."""

    id: str
    sender: str
    recipient: str
    at: datetime
    words: str = ""
    files: tuple[Attachment, ...] = ()
    payload: str = ""
    quoted: str = ""
    app: str = ""
    stub: str = ""


def read(channel: str, account: str, body: bytes, at: datetime) -> tuple[Event, ...]:
    """Read one webhook's body for the account with this user id. Raises `Malformed`.

    Empty for what nobody said: typing, likes, follows. What is another account's is set aside: somebody who had it
    brought here waits for an answer.
    """
    try:
        told = json.loads(mended(body))
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.") from error
    if not isinstance(told, dict):
        raise Malformed("The body is none of X's: it is no object.")
    data = part(told, "data")
    if isinstance(data.get("event_type"), str):
        return tuple(activity(channel, account, body, at, data))
    if "for_user_id" in told:
        reading = reading_of(channel, account, body, at, told)
        return (reading.unreadable(STRANGE),) if str(told["for_user_id"]) != account else tuple(legacy(reading, told))
    if "replay_job_status" in told:
        return ()
    raise Malformed("The body is none of X's: it names no account and no event.")


def reading_of(channel: str, account: str, body: bytes, at: datetime, told: Mapping[str, Any]) -> Reading:
    people, apps = part(told, "users"), part(told, "apps")
    return Reading(channel=channel, account=account, at=at, raw=body, people=people, apps=apps)


def activity(channel: str, account: str, body: bytes, at: datetime, data: Mapping[str, Any]) -> Iterator[Event]:
    """An event of the Activity API: one to a body, named by its type."""
    kind, payload = data["event_type"], part(data, "payload")
    reading = reading_of(channel, account, body, at, payload)
    whose = part(data, "filter").get("user_id")
    if whose is not None and str(whose) != account:
        yield reading.unreadable(STRANGE)
    elif kind in ("chat.received", "chat.sent"):
        yield from encrypted(reading, payload)
    elif kind == "dm.read":
        events = payload.get("direct_message_mark_read_events")
        yield from seen(reading, events if isinstance(events, list) else [payload])
    elif kind.startswith("dm.") and kind not in NOTHING_SAID:
        yield from legacy(reading, payload)
        if not rows(payload, "direct_message_events"):
            yield reading.unreadable(f"an event of the kind {name(kind)!r} without its message")


def legacy(reading: Reading, told: Mapping[str, Any]) -> Iterator[Event]:
    """The lists that the Account Activity API has at its top, and the Activity API in its payload."""
    events = told.get("direct_message_events")
    for item in events if isinstance(events, list) else ():
        yield from created(reading, item)
    events = told.get("direct_message_mark_read_events")
    yield from seen(reading, events if isinstance(events, list) else ())


def created(reading: Reading, item: object) -> Iterator[Event]:
    event = item if isinstance(item, dict) else {}
    kind, id = text(event.get("type")), digits(event.get("id"))
    create = part(event, "message_create")
    sender, recipient = digits(create.get("sender_id")), digits(part(create, "target").get("recipient_id"))
    if not (id and sender and recipient):
        yield reading.unreadable("a message without its ids")
        return
    words = part(create, "message_data")
    linked, attachment = links(words, ("expanded_url",)), part(words, "attachment")
    files, place, own = attached(attachment)
    said = expanded(unescaped(text(words.get("text"))), linked, own)
    prompted = digits(part(event, "initiated_via").get("tweet_id"))
    said = "\n".join(filter(None, (said, place)))
    yield from spoken(
        reading,
        Said(
            id=id,
            sender=sender,
            recipient=recipient,
            at=told_at(event.get("created_timestamp"), reading.at),
            words=said,
            files=files,
            payload=text(part(words, "quick_reply_response").get("metadata")),
            quoted=f"https://x.com/i/status/{prompted}" if prompted else "",
            app=name(text(part(reading.apps, digits(create.get("source_app_id"))).get("name"))),
            stub=stub_of(kind, said, files, attachment),
        ),
    )


def stub_of(kind: str, said: str, files: Sequence[Attachment], attachment: Mapping[str, Any]) -> str:
    if kind != "message_create":
        return name(kind) or "unsupported"
    unknown = attachment.get("type") not in (None, "media", "location")
    if (attachment and not files and not said) or unknown:
        return name(text(attachment.get("type"))) or "unsupported"
    return "" if said or files else "empty"


def spoken(reading: Reading, said: Said) -> Iterator[Event]:
    """Ours or theirs. Nothing of what we wrote to ourselves; what is neither's is set aside."""
    if reading.account not in (said.sender, said.recipient):
        yield reading.unreadable("a message between others")
        return
    if said.sender == said.recipient:
        return
    if said.sender == reading.account:
        yield SentElsewhere(
            channel=reading.channel,
            external_id=said.id,
            to=address(said.recipient),
            at=said.at,
            text=said.words,
            attachments=said.files,
            app=said.app,
            stub=said.stub,
            raw=reading.raw,
        )
        return
    person = profile(reading.people, said.sender)
    message = Received(
        channel=reading.channel,
        external_id=said.id,
        sender=address(said.sender),
        sender_name=shown(person),
        sent_at=said.at,
        text=said.words,
        attachments=said.files,
        payload=said.payload,
        quoted=said.quoted,
        stub=said.stub,
        proof=Proof.PLATFORM,
        quiet=part(person, "affiliation").get("description") == "Automated",  # its owner labelled it a program
        raw=reading.raw,
    )
    yield from asking(message)


def encrypted(reading: Reading, payload: Mapping[str, Any]) -> Iterator[Event]:
    """A message of the encrypted chat, of which we learn from whom it came and nothing more."""
    id, sender = payload.get("id"), digits(payload.get("sender_id"))
    pair = re.split("[:-]", text(payload.get("conversation_id")))
    if not (isinstance(id, str) and 0 < len(id) <= 128 and sender):
        yield reading.unreadable("an encrypted message without its ids")
    elif len(pair) == 2 and set(pair) != {sender}:
        recipient = next(it for it in pair if it != sender)
        at = told_at(payload.get("created_at_msec"), reading.at)
        yield from spoken(reading, Said(id=f"chat:{id}", sender=sender, recipient=recipient, at=at, stub="encrypted"))


def seen(reading: Reading, events: Iterable[object]) -> Iterator[Event]:
    for item in events:
        event = item if isinstance(item, dict) else {}
        reader = digits(event.get("sender_id"))
        if not reader:
            yield reading.unreadable("a read receipt without its reader")
        elif reader != reading.account:
            at, last = told_at(event.get("created_timestamp"), reading.at), digits(event.get("last_read_event_id"))
            if last:  # by its id it is found even when it was read before our own send returned
                yield Receipt(channel=reading.channel, status=Status.READ, at=at, external_id=last)
            yield ReadUpTo(channel=reading.channel, reader=address(reader), at=at)


# --- lists


def listed(channel: str, account: str, told: Mapping[str, Any], at: datetime) -> tuple[Event, ...]:
    """One page of `/2/dm_events`, in the order it was said. What is no message between two people is left out."""
    found: list[Event] = []
    includes = part(told, "includes")
    people = {str(row.get("id")): row for row in rows(includes, "users")}
    media = {str(row.get("media_key")): row for row in rows(includes, "media")}
    for row in reversed(rows(told, "data")):
        raw = json.dumps(row, ensure_ascii=False).encode()
        reading = Reading(channel=channel, account=account, at=at, raw=raw, people=people, apps={})
        said = row_said(reading, row, media)
        if said is not None:
            found.extend(spoken(reading, said))
    return tuple(found)


def row_said(reading: Reading, row: Mapping[str, Any], media: Mapping[str, Mapping[str, Any]]) -> Said | None:
    id, sender = digits(row.get("id")), digits(row.get("sender_id"))
    pair = text(row.get("dm_conversation_id")).split("-")
    if row.get("event_type") != "MessageCreate" or not id or len(pair) != 2 or not {sender, reading.account} <= {*pair}:
        return None
    keys = part(row, "attachments").get("media_keys")
    known = [media[str(key)] for key in keys if str(key) in media] if isinstance(keys, list) else []
    files = tuple(file for it in known if (file := file_of(it)))
    words = expanded(
        unescaped(text(row.get("text"))), links(row, ("unwound_url", "expanded_url")), own="" if not keys else "*"
    )
    return Said(
        id=id,
        sender=sender,
        recipient=pair[0] if pair[1] == sender else pair[1],
        at=min(written(row.get("created_at")) or snowflake_at(id), reading.at + AHEAD),
        words=words,
        files=files,
        stub="" if words or files else "media" if keys else "empty",
    )


# --- parts of a message


def attached(attachment: Mapping[str, Any]) -> tuple[tuple[Attachment, ...], str, str]:
    """Files, place in words, and the short link that stands in the text for the file."""
    if attachment.get("type") == "location":
        return (), located(part(attachment, "location")), ""
    media = part(attachment, "media")
    file = file_of(media)
    return (file,) if file else (), "", text(media.get("url"))


def file_of(media: Mapping[str, Any]) -> Attachment | None:
    kind = text(media.get("type"))
    variants = rows(part(media, "video_info") or media, "variants")
    films = [it for it in variants if it.get("content_type") == "video/mp4" and web(it.get("url"))]
    if films:
        url = web(max(films, key=lambda it: number(it.get("bitrate") or it.get("bit_rate")))["url"])
    else:
        url = web(media.get("media_url_https")) or web(media.get("media_url"))
        url = url or (web(media.get("url")) if "media_key" in media else "")  # elsewhere `url` is the short link
    if not url:
        return None
    media_type, filename = KINDS.get(kind, ("application/octet-stream", "file"))
    if kind == "photo":
        ending = urlsplit(url).path.rpartition(".")[2].lower()
        media_type, filename = ENDINGS.get(f".{ending}", (media_type, filename))
    unique = digits(media.get("id_str")) or digits(media.get("id")) or text(media.get("media_key")).rpartition("_")[2]
    return Attachment(media_type=media_type, filename=filename, ref=url, unique_ref=digits(unique))


def located(location: Mapping[str, Any]) -> str:
    place = part(part(location, "shared_place"), "place")
    point = part(part(location, "shared_coordinate"), "coordinates").get("coordinates")
    lines = [name(text(place.get("full_name")) or text(place.get("name")))]
    if isinstance(point, list) and len(point) == 2 and all(type(it) in (int, float) for it in point):
        longitude, latitude = point  # GeoJSON has them in this order
        if abs(latitude) <= 90 and abs(longitude) <= 180:
            lines.append(on_map(latitude, longitude))
    return "\n".join(filter(None, lines))


def links(told: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, str]:
    """Short links, and where they lead."""
    found = {}
    for row in rows(part(told, "entities"), "urls"):
        short, long = text(row.get("url")), next(filter(None, (web(row.get(key)) for key in wanted)), "")
        if SHORT.fullmatch(short) and long:
            found[short] = long
    return found


def expanded(words: str, linked: Mapping[str, str], own: str) -> str:
    """The text with its links as they were typed, without the one that stands for the file: `own`, "*" for the last."""
    last = next((it for it in reversed(SHORT.findall(words))), "") if own == "*" else own

    def long(found: re.Match[str]) -> str:
        return "" if found[0] == last else linked.get(found[0], found[0])

    return SHORT.sub(long, words).strip()


def unescaped(words: str) -> str:
    """X escapes these three and nothing else."""
    return words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def profile(people: Mapping[str, Any], id: str) -> dict[str, Any]:
    """What came along about a person; the Activity API has it one level deeper."""
    person = part(people, id)
    return part(person, "data") or person


def shown(person: Mapping[str, Any]) -> str:
    called = text(person.get("username")) or text(person.get("screen_name"))
    return name(text(person.get("name"))) or (f"@{name(called)}" if called else "")


def address(id: str) -> Address:
    return Address(kind="x", value=id)


def web(value: object) -> str:
    """A web address short enough to be kept, "" for anything else."""
    told = text(value)
    try:
        parts = urlsplit(told)
        parts.port  # noqa: B018  it is looked at now: whoever opens the link would stumble over it
    except ValueError:
        return ""
    whole = parts.scheme in ("http", "https") and parts.netloc and not re.search(r"\s", told)
    return told if whole and len(told) <= 2048 else ""


def number(value: object) -> float:
    return float(value) if type(value) is int and 0 <= value < 2**63 else 0.0


# --- moments


def told_at(count: object, at: datetime) -> datetime:
    """A time X tells in milliseconds, in digits; `at` when it is none."""
    told = digits(count)
    return min(moment(int(told), at), at + AHEAD) if told and len(told) <= 15 else at


def written(when: object) -> datetime | None:
    """A time as lists have it, `2026-01-01T09:30:00.000Z`."""
    try:
        at = datetime.fromisoformat(text(when))
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def snowflake_at(id: str) -> datetime:
    """When X made an id."""
    return datetime.fromtimestamp(((int(id) >> 22) + EPOCH) / 1000, UTC)


def snowflake(at: datetime) -> int:
    """The lowest id X made at this time."""
    return max(int(at.timestamp() * 1000) - EPOCH, 0) << 22
