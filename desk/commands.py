"""What an agent's message in one of our Slack threads asks for: send, note, change, withdraw, or nothing.

Rule: an allow-list. Only a shape we know, by a person who may, becomes something a customer sees; everything else
stays in Slack. Pure: who somebody is and what was there before come in as facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from channels.message import Span, SpanKind
from desk.reading import Names, Said, read

# Every other subtype is Slack's or a program's: joins, topics, huddles, bot_message…
SPOKEN = frozenset({"", "file_share", "thread_broadcast", "me_message"})
NOTE_PREFIXES = ("//", "／／")
SEND_PREFIXES = ("->", "→")
SLACKBOT = "USLACKBOT"  # users.info does not call it a bot


class Replies(StrEnum):
    """What plain thread text is in a team."""

    SEND = "send"
    NOTE = "note"


class Refusal(StrEnum):
    """Why a person's words do not go out. The values are the texts `not_sent.{value}`."""

    NOT_MEMBER = "not_member"
    GUEST = "guest"
    OUTSIDER = "outsider"


class Silence(StrEnum):
    """Why nothing is done and nobody is told."""

    NOT_A_REPLY = "not_a_reply"
    NOT_SPOKEN = "not_spoken"
    BOT = "bot"
    EMPTY = "empty"
    UNCHANGED = "unchanged"
    OURS = "ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A Slack user as `users.info` describes them. `outsider`: of another workspace (`is_stranger`, foreign team)."""

    id: str
    bot: bool = False
    deleted: bool = False
    guest: bool = False  # is_restricted or is_ultra_restricted
    outsider: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What decides over a message. `members` are user ids with user groups resolved; empty means everyone.

    `workspaces` are our own team ids; empty leaves judging outsiders to `person`. `person` is None when Slack could
    not say who it is: then nothing goes out. `edited` is the ts of the last edit we have already acted on.
    """

    person: Person | None
    replies: Replies = Replies.SEND
    members: frozenset[str] = frozenset()
    ask_first: bool = False
    answered_before: bool = False
    workspaces: frozenset[str] = frozenset()
    names: Names = field(default_factory=Names)
    edited: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackFile:
    """A file as Slack announces it. `size` 0 and an empty `media_type` mean: ask `files.info` first."""

    id: str
    name: str = ""
    media_type: str = ""
    size: int = 0
    url: str = field(default="", repr=False)
    lost: bool = False  # deleted, hidden by the plan's limit, or kept outside Slack: nothing to download


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """Words and what they are for, which the type says. `key` is the same however often an event comes."""

    key: str
    by: str
    text: str
    spans: tuple[Span, ...] = ()
    files: tuple[SlackFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Send(Meant):
    """To the customer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Meant):
    """For the team only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskFirst(Meant):
    """To the customer, once this person has said that they mean it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Not sent, and the person is told why."""

    key: str
    by: str
    reason: Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    reason: Silence


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeReply:
    """A message was edited. `note` is what the new text would be; a note never becomes a reply by an edit.

    `note` on what was a reply means that its author took it back: withdraw it and keep the text as a note.
    """

    key: str
    ts: str
    by: str
    text: str
    spans: tuple[Span, ...] = ()
    files: tuple[SlackFile, ...] = ()
    note: bool = False
    edited: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawReply:
    """A message was deleted in Slack. Harmless for one that never went out."""

    key: str
    ts: str


Command = Send | Note | AskFirst | Refuse | Ignore | ChangeReply | WithdrawReply


def refused(person: Person | None, user: str, members: frozenset[str]) -> Refusal | None:
    """Why `user` may not act for the team, if so: for words to a customer and for buttons alike.

    `members` are user ids with user groups resolved; empty means everyone of the house but guests.
    """
    if person is None or person.outsider or person.deleted or person.bot:
        return Refusal.OUTSIDER
    if user in members:
        return None
    if person.guest:
        return Refusal.GUEST
    return Refusal.NOT_MEMBER if members else None


def author(message: Mapping[str, Any]) -> str:
    """The Slack user whose words an event carries, for looking up the `Person`; empty when it is nobody's."""
    inner = message.get("message") or message.get("previous_message") or message
    return str(inner.get("user") or "") if isinstance(inner, Mapping) else ""


def key(channel: str, ts: str) -> str:
    """What names a Slack message for good: ids are text, a number would lose digits."""
    return f"{channel}:{ts}"


def decide(message: Mapping[str, Any], facts: Facts) -> Command:
    """What the `message` event, in a Slack thread of ours, asks for."""
    subtype = str(message.get("subtype") or "")
    if message.get("type", "message") != "message":
        return Ignore(reason=Silence.NOT_SPOKEN)
    if subtype == "message_changed":
        return _changed(message, facts)
    if subtype == "message_deleted":
        return _deleted(message)
    nested = isinstance(message.get("message"), Mapping)
    if subtype not in SPOKEN or message.get("hidden") or nested:
        return Ignore(reason=Silence.NOT_SPOKEN)
    if not _is_reply(message):
        return Ignore(reason=Silence.NOT_A_REPLY)
    return _spoken(message, facts)


def _spoken(message: Mapping[str, Any], facts: Facts) -> Command:
    if _by_program(message, facts.person):
        return Ignore(reason=Silence.BOT)
    by = str(message["user"])
    name = key(str(message.get("channel") or ""), str(message.get("ts") or ""))
    said, note, explicit = _meant(read(message, facts.names), facts.replies)
    files = _files(message)
    if not said.text and not files:
        return Ignore(reason=Silence.EMPTY)
    refusal = _refusal(message, by, facts, note=note)
    if refusal is not None:
        return Refuse(key=name, by=by, reason=refusal)
    if note:
        kind: type[Send | Note | AskFirst] = Note
    elif facts.ask_first and not facts.answered_before and not explicit:
        kind = AskFirst
    else:
        kind = Send
    return kind(key=name, by=by, text=said.text, spans=said.spans, files=files)


def _changed(message: Mapping[str, Any], facts: Facts) -> Command:
    """Slack reports language detection, link previews and reply counters as changes too: only real edits count."""
    new, old = message.get("message"), message.get("previous_message")
    if not isinstance(new, Mapping) or str(new.get("subtype") or "") not in SPOKEN:
        return Ignore(reason=Silence.NOT_SPOKEN)
    if _by_program(new, facts.person):
        return Ignore(reason=Silence.OURS)
    if not _is_reply(new):
        return Ignore(reason=Silence.NOT_A_REPLY)
    edited = _edited(new)
    known = max(facts.edited, _edited(old) if isinstance(old, Mapping) else "", key=_moment)
    if not edited or _moment(edited) < _moment(known):  # equal is possible: Slack gives edits whole seconds
        return Ignore(reason=Silence.UNCHANGED)
    said, files = read(new, facts.names), _files(new)
    if isinstance(old, Mapping) and (said, files) == (read(old, facts.names), _files(old)):
        return Ignore(reason=Silence.UNCHANGED)
    meant, note, _ = _meant(said, facts.replies)
    by, ts = str(new["user"]), str(new.get("ts") or "")
    name = key(str(message.get("channel") or ""), ts)
    refusal = _refusal(new, by, facts, note=note)
    if refusal is not None:
        return Refuse(key=name, by=by, reason=refusal)
    return ChangeReply(
        key=name, ts=ts, by=by, text=meant.text, spans=meant.spans, files=files, note=note, edited=edited
    )


def _deleted(message: Mapping[str, Any]) -> Command:
    old = message.get("previous_message")
    ts = str(message.get("deleted_ts") or (old.get("ts") if isinstance(old, Mapping) else "") or "")
    if not ts:
        return Ignore(reason=Silence.NOT_SPOKEN)
    if isinstance(old, Mapping) and (old.get("bot_id") or old.get("subtype") == "bot_message"):
        return Ignore(reason=Silence.OURS)
    return WithdrawReply(key=key(str(message.get("channel") or ""), ts), ts=ts)


def _meant(said: Said, replies: Replies) -> tuple[Said, bool, bool]:
    """The words without their prefix, whether they are a note, and whether the author said so explicitly."""
    for prefix in NOTE_PREFIXES:
        if said.text.startswith(prefix):
            return said.without(prefix), True, True
    if replies is Replies.SEND:
        return said, False, False
    quoted = any(span.start == 0 and span.kind in {SpanKind.CODE, SpanKind.PRE, SpanKind.QUOTE} for span in said.spans)
    for prefix in SEND_PREFIXES:
        if said.text.startswith(prefix) and not quoted:
            return said.without(prefix), False, True
    return said, True, False


def _refusal(message: Mapping[str, Any], by: str, facts: Facts, *, note: bool) -> Refusal | None:
    """Whether this person may. A note needs no more than being of the house."""
    foreign = str(message.get("user_team") or message.get("team") or "")
    if facts.workspaces and foreign and foreign not in facts.workspaces:
        return Refusal.OUTSIDER
    refusal = refused(facts.person, by, facts.members)
    return None if note and refusal is not Refusal.OUTSIDER else refusal


def _by_program(message: Mapping[str, Any], person: Person | None) -> bool:
    user = message.get("user")
    programmed = message.get("bot_id") or message.get("bot_profile") or not user or user == SLACKBOT
    return bool(programmed) or (person is not None and (person.bot or person.id != user))


def _is_reply(message: Mapping[str, Any]) -> bool:
    thread = message.get("thread_ts")
    return bool(thread) and thread != message.get("ts")


def _files(message: Mapping[str, Any]) -> tuple[SlackFile, ...]:
    given = message.get("files")
    found = [file for file in given if isinstance(file, Mapping)] if isinstance(given, list | tuple) else []
    return tuple(_file(file) for file in found if file.get("id"))


def _file(file: Mapping[str, Any]) -> SlackFile:
    size = file.get("size")
    return SlackFile(
        id=str(file["id"]),
        name=str(file.get("name") or file.get("title") or ""),
        media_type=str(file.get("mimetype") or ""),
        size=size if isinstance(size, int) else 0,
        url=str(file.get("url_private_download") or file.get("url_private") or ""),
        lost=bool(file.get("is_external")) or str(file.get("mode")) in {"tombstone", "hidden_by_limit", "external"},
    )


def _edited(message: Mapping[str, Any]) -> str:
    edited = message.get("edited")
    return str(edited.get("ts") or "") if isinstance(edited, Mapping) else ""


def _moment(ts: str) -> tuple[int, int]:
    """A Slack ts in order of time; 0 for what is none."""
    whole, _, rest = ts.partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) < 20):
        return 0, 0
    return int(whole), int(rest.ljust(6, "0")[:6]) if rest.isascii() and rest.isdigit() else 0
