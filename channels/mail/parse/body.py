"""The text that a person reads: which form of it to take, and how other things read as text.

Rule: plain text where it is worth reading, else what the HTML says. Pure and bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape

from channels.mail.parse import charsets, headers, html
from channels.mail.values import MOST_TEXT, File, Mail

LOCATED = "location:"  # begins the content id of a picture that HTML may name by its Content-Location
_MOST_LOCATED = 100


@dataclass(slots=True)
class Block:
    """A piece of the body: as plain text, as HTML, or as both where the writer offers a choice."""

    plain: str | None = None
    html: str | None = None


def text_of(blocks: Iterable[Block]) -> tuple[str, bool]:
    """Return the plain text of the body and whether any of it had to be made from HTML."""
    texts: list[str] = []
    of_html = False
    for block in blocks:
        text = block.plain or ""
        if block.html is not None:
            made = "" if _is_enough(text, block.html) else html.to_text(block.html)
            if made and not _is_fit(text, made):
                text, of_html = made, True
        if text.strip():
            texts.append(text.strip("\n"))
    return "\n\n".join(texts)[:MOST_TEXT], of_html


def html_of(blocks: Sequence[Block]) -> str:
    """Return the HTML of the body with the plain pieces between set as paragraphs, "" when none of it is HTML."""
    return one_html(blocks)[: html.MOST_HTML] if any(block.html for block in blocks) else ""


def one_html(blocks: Sequence[Block]) -> str:
    if len(blocks) == 1:
        return blocks[0].html or ""
    pieces = (
        block.html if block.html is not None else f"<div>{escape(block.plain or '').replace(chr(10), '<br>')}</div>"
        for block in blocks
        if block.html or (block.plain or "").strip()
    )
    return "\n".join(pieces)


def _is_enough(text: str, markup: str) -> bool:
    """A quick yes: even if every tag and every gap of the HTML were a word, the text would have its fifth of them."""
    return len(text.split()) * 5 >= len(markup.split()) + markup.count(">") and "html" not in text.lower()


def _is_fit(text: str, made: str) -> bool:
    """Whether plain text is worth reading beside the HTML's: not blank, not a stub, not a note that HTML is needed."""
    words = text.split()
    if not words:
        return False
    if len(words) <= 60 and "html" in text.lower() and "html" not in made.lower():
        return False
    return len(words) * 5 >= len(made.split())


def located(found: Iterable[File], markup: str) -> tuple[list[File], str]:
    """Let the HTML refer by content id to pictures that it names by their Content-Location."""
    kept: list[File] = []
    for number, file in enumerate(found):
        if file.content_id.startswith(LOCATED):
            place, name = file.content_id.removeprefix(LOCATED), ""
            if number < _MOST_LOCATED and any(f"{mark}{place}{mark}" in markup for mark in "\"'"):
                name = f"location.{number}@picture.invalid"
                for mark in "\"'":
                    markup = markup.replace(f"{mark}{place}{mark}", f"{mark}cid:{name}{mark}")
            kept.append(replace(file, content_id=name))
        else:
            kept.append(file)
    return kept, markup


def enclosed_as_text(mail: Mail) -> str:
    """Return an enclosed mail as a quoted block: who, when, what about, and the words."""
    lines = [
        *(f"From: {who.name} <{who.address}>" if who.name else f"From: {who.address}" for who in mail.from_[:1]),
        *([f"Date: {mail.date:%Y-%m-%d %H:%M %z}"] if mail.date else []),
        *([f"Subject: {mail.subject[:300]}"] if mail.subject else []),
        "",
        *mail.text.strip()[:20_000].split("\n"),
        *(f"[{file.filename}]" for file in mail.files[:20] if not file.inline),
    ]
    return "\n".join(f"> {line}".rstrip() for line in lines)


# --- format=flowed


def unflowed(text: str, *, delete_space: bool = False) -> str:
    """Join the lines of `format=flowed` text (RFC 3676), each depth of quotes by itself; `delete_space` is DelSp."""
    lines: list[str] = []
    pieces: list[str] = []
    open_depth = 0
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        if pieces and (depth != open_depth or content == "-- "):
            lines.append(_quoted("".join(pieces), open_depth))
            pieces = []
        open_depth = depth
        flows = content.endswith(" ") and content != "-- "
        pieces.append(content[:-1] if flows and delete_space else content)
        if not flows:
            lines.append(_quoted("".join(pieces), depth))
            pieces = []
    if pieces:
        lines.append(_quoted("".join(pieces), open_depth))
    return "\n".join(lines)


def _quoted(line: str, depth: int) -> str:
    return f"{'>' * depth} {line}" if depth else line


# --- calendars

_LINE = re.compile(r"([A-Za-z-]{1,40})((?:;[^:\"\n]{0,300}|\"[^\"\n]{0,300}\"){0,20}):(.*)")
_INSTANT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d{0,2}(Z?))?")
_METHODS = {
    "REQUEST": "Invitation",
    "CANCEL": "Cancelled appointment",
    "REPLY": "Answer to an invitation",
    "COUNTER": "Proposal of another time",
    "PUBLISH": "Appointment",
}
_ANSWERS = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "accepted tentatively"}


def calendar_as_text(ics: str) -> str:
    """Return what a calendar's first appointment is: kind and summary, time, place, whose it is; "" for none."""
    found = _appointment(ics)
    if not found:
        return ""
    kind = _METHODS.get(found.get("METHOD", ("", ""))[1].upper(), "Appointment")
    answer = re.search(r"PARTSTAT=([A-Z-]+)", found.get("ATTENDEE", ("", ""))[0], re.IGNORECASE)
    if answer and kind == _METHODS["REPLY"]:
        kind += f" ({_ANSWERS.get(answer[1].upper(), 'not decided')})"
    organizer = found.get("ORGANIZER", ("", ""))[1]
    lines = [
        f"{kind}: {_unescaped(found.get('SUMMARY', ('', ''))[1]) or 'without a title'}",
        f"When: {_times(found)}" if "DTSTART" in found else "",
        f"Where: {_unescaped(found['LOCATION'][1])}" if found.get("LOCATION", ("", ""))[1].strip() else "",
        f"Organizer: {headers.one_line(organizer)[:300].removeprefix('mailto:').removeprefix('MAILTO:')}"
        if organizer
        else "",
    ]
    return "\n".join(line for line in lines if line)


def _appointment(ics: str) -> dict[str, tuple[str, str]]:
    """Return the properties of the first event, each as its parameters and its value; METHOD stands outside of it."""
    found: dict[str, tuple[str, str]] = {}
    within = False
    for line in re.sub(r"\n[ \t]", "", charsets.clean(ics[:MOST_TEXT])).split("\n")[:5000]:
        match = _LINE.match(line)
        if match is None:
            continue
        name, value = match[1].upper(), match[3]
        if name == "BEGIN" and value.strip().upper() in ("VEVENT", "VTODO"):
            within = True
        elif name == "END" and within and value.strip().upper() in ("VEVENT", "VTODO"):
            found.setdefault("SUMMARY", ("", ""))
            return found
        elif within or name == "METHOD":
            found.setdefault(name, (match[2], value.strip()))
    return found if within else {}


def _times(found: dict[str, tuple[str, str]]) -> str:
    start, clock = _instant(found["DTSTART"][1])
    end, _ = _instant(found.get("DTEND", ("", ""))[1])
    zone = re.search(r"TZID=\"?([^;\"]{1,60})", found["DTSTART"][0], re.IGNORECASE)
    if clock and end.startswith(start[:10]):
        end = end[11:]
    elif not clock:
        end = ""
    said = " UTC" if clock == "Z" else f" ({headers.one_line(zone[1])})" if zone and clock else ""
    return f"{start}{'–' if end else ''}{end}{said}"


def _instant(value: str) -> tuple[str, str]:
    """Return a time as `2024-11-05 10:00` and how it is told: "Z", "local", or "" for a whole day."""
    found = _INSTANT.match(value)
    if found is None:
        return headers.one_line(value)[:40], ""
    day = f"{found[1]}-{found[2]}-{found[3]}"
    return (f"{day} {found[4]}:{found[5]}", found[6] or "local") if found[4] else (day, "")


def _unescaped(text: str) -> str:
    return headers.one_line(re.sub(r"\\([nN,;\\])", lambda found: " " if found[1] in "nN" else found[1], text))[:500]
