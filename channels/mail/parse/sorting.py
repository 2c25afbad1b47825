"""A mail's parts sorted: which are its text, which are files, and which were made by machines for machines.

Rule: nothing is dropped silently. What is no text is a file, what is neither is a seal or a twin of something kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice

from channels.mail.parse import charsets, files, headers, html, parts, tnef, transfer
from channels.mail.parse.body import LOCATED, Block, one_html, unflowed
from channels.mail.parse.parts import Part
from channels.mail.values import MOST_PARTS, MOST_TEXT, File, Report

# --- facts

_REPORTS = frozenset(
    re.findall(
        r"\S+",
        """message/delivery-status message/global-delivery-status message/disposition-notification
    message/global-disposition-notification message/feedback-report message/tracking-status text/rfc822-headers
    message/global-headers message/rfc822-headers""",
    )
)
_MAILS = frozenset({"message/rfc822", "message/global", "message/news"})
_SIGNATURES = frozenset(
    {
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/applefile",
    }
)
_SEALED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_TNEF = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_MARKED_UP = frozenset({"text/enriched", "text/richtext"})
_TEXT_FILES = ("text/csv", "text/x-", "text/v", "text/xml", "text/rtf", "text/directory", "text/css", "text/javascript")
_MOST_TEXTS = 200
_UNREAD_TNEF = "Outlook attachment (winmail.dat) that could not be opened"
_CUT = f"The text of this mail is longer than {MOST_TEXT:,} characters. The rest is in the original mail."
_MANY_TEXTS = f"This mail has more than {_MOST_TEXTS} pieces of text. The rest is in the original mail."
_MOST_UU = 30  # files within a text

_META = re.compile(rb"<meta[^<>]{0,200}charset\s{0,9}=\s{0,9}[\"']?\s{0,9}([\w.:-]{1,40})", re.IGNORECASE)
_UU_BEGIN = re.compile(r"^begin [0-7]{3,4} ([^\r\n]{1,200})$", re.MULTILINE)
_UU_LINE = re.compile(r"[!-`][ -`]{0,90}$")
_ARMOUR_END = "-----END PGP SIGNATURE-----"
_ARMOUR = re.compile(r"^-----BEGIN PGP (MESSAGE|SIGNED MESSAGE)-----$", re.MULTILINE)


@dataclass(slots=True)
class Budget:
    """How much may still be read, of a mail or of all the mails that are enclosed in it."""

    parts: int = MOST_PARTS
    texts: int = _MOST_TEXTS  # pieces: to tell their charset costs milliseconds each, however short they are
    text: int = MOST_TEXT  # characters
    html: int = html.MOST_HTML
    made: int = 10 * MOST_TEXT  # by machines for machines: read however long the words of people are


@dataclass(slots=True)
class Sorted:
    """What a mail's parts turned out to be."""

    budget: Budget
    turkish: bool = False
    blocks: list[Block] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    mails: list[int] = field(default_factory=list)  # which of the files are mails
    calendar: str = ""
    seal: str = ""
    texts: list[str] = field(default_factory=list)  # everything readable, to search for ids
    defects: list[str] = field(default_factory=list)

    def may_read(self, left: int) -> bool:
        """Whether one more text may be decoded while `left` characters of its kind are left; if not, it is said."""
        if left <= 0 or self.budget.texts <= 0:
            self.defect(_CUT if left <= 0 else _MANY_TEXTS)
            return False
        self.budget.texts -= 1
        return True

    def defect(self, text: str) -> None:
        if text not in self.defects:
            self.defects.append(text)


def sort(root: Part, budget: Budget | None = None, *, turkish: bool = False) -> Sorted:
    """Take a mail's parts apart. What is read is taken from `budget`; text beyond it is left out and said."""
    found = Sorted(budget=budget or Budget(), turkish=turkish)
    found.blocks = _blocks(root, found, True)
    return found


def _blocks(part: Part, found: Sorted, alone: bool, depth: int = 0) -> list[Block]:
    """Read a part and what it holds. The depth of parts is bounded where they are cut."""
    if not part.children:
        return _leaf(part, found, alone, depth)
    if part.media_type == "multipart/encrypted":
        found.seal = "encrypted"
        for child in part.children:
            if child.media_type != "application/pgp-encrypted":
                _file(child, found, child.filename or "encrypted.asc")
        return []
    if part.media_type == "multipart/signed":
        found.seal = found.seal or "signed"
    each = [_blocks(child, found, len(part.children) == 1, depth) for child in part.children]
    if part.media_type == "multipart/alternative":
        return _alternative(each)
    return [block for blocks in each for block in blocks]


def _alternative(each: list[list[Block]]) -> list[Block]:
    """One block of all that is offered: the last plain text that says something, the last HTML and what is with it."""
    rich = [blocks for blocks in each if any(block.html is not None for block in blocks)]
    simple = ["\n".join(block.plain or "" for block in blocks) for blocks in each if blocks and blocks not in rich]
    worded = [text for text in simple if text.strip()]
    plain = worded[-1] if worded else (simple[-1] if simple else None)
    if not rich:
        return [Block(plain=plain)] if plain is not None else []
    inner = [block.plain for block in rich[-1] if block.plain is not None]
    if plain is None and inner:
        return rich[-1]
    return [Block(plain=plain, html=one_html(rich[-1]))]


def _leaf(part: Part, found: Sorted, alone: bool, depth: int) -> list[Block]:
    kind, attached = part.media_type, part.disposition == "attachment"
    if kind in _REPORTS:
        if not found.may_read(found.budget.made):
            return []
        text = charsets.decode(part.data(4 * MOST_TEXT), part.charset)[:MOST_TEXT]
        found.budget.made -= len(text)
        found.reports.append(Report(media_type=kind, text=text))
        found.texts.append(text)
    elif kind in _MAILS:
        found.mails.append(len(found.files))
        found.files.append(File(media_type=kind, filename=part.filename, data=part.data()))
    elif kind in _TNEF or part.filename.lower() == "winmail.dat":
        return _unpacked(part, found)
    elif kind in _SEALED or part.filename.lower() == "smime.p7m":
        return _opened(part, found, depth)
    elif kind in _SIGNATURES or kind == "application/pgp-encrypted":
        if "pgp" in kind or "pkcs7" in kind:
            found.seal = found.seal or ("encrypted" if kind.endswith("encrypted") else "signed")
    elif kind == "text/x-amp-html":
        pass  # a third form of the text beside the two
    elif kind == "text/calendar":
        if not found.calendar and found.may_read(found.budget.made):
            found.calendar = charsets.decode(part.data(4 * MOST_TEXT), part.charset or "utf-8")[:MOST_TEXT]
        _file(part, found, part.filename or "invite.ics")
    elif attached or (part.filename and not alone) or not _is_text(part):
        _file(part, found)
    elif kind in _HTML:
        return [Block(html=_html(part, found))] if found.may_read(found.budget.html) else []
    elif found.may_read(found.budget.text):
        return _plain(part, found)
    return []


def _is_text(part: Part) -> bool:
    if part.main == "text":
        return not part.media_type.startswith(_TEXT_FILES)
    return part.main == "multipart" or part.media_type in _HTML  # a multipart in which no boundary was found


def _file(part: Part, found: Sorted, name: str = "") -> None:
    data = part.data()
    if not data and not name and not part.filename:
        return
    if part.main == "text" and len(found.texts) < 50:
        found.texts.append(charsets.decode(data[:20_000], part.charset))
    place = f"{LOCATED}{part.location}" if part.location and part.main == "image" else ""
    found.files.append(
        File(
            media_type=part.media_type,
            filename=name or part.filename,
            data=data,
            content_id=part.content_id or place,
        )
    )


# --- text


def _plain(part: Part, found: Sorted) -> list[Block]:
    text = charsets.decode(part.data(8 * MOST_TEXT), part.charset, turkish=found.turkish)
    if part.parameters.get("format", "").lower() == "flowed":
        text = unflowed(text, delete_space=part.parameters.get("delsp", "").lower() == "yes")
    if part.media_type in _MARKED_UP:
        text = re.sub(r"<[^<>\n]{0,200}>", "", text)
    text = _without_uu(text, found)
    text = _without_armour(text, found)
    if len(text) > found.budget.text:
        found.defect(_CUT)
        text = text[: found.budget.text]
    found.budget.text -= len(text)
    found.texts.append(text)
    return [Block(plain=text)]


def _html(part: Part, found: Sorted) -> str:
    data = part.data()
    label = part.charset
    if not charsets.codec(label) and (meta := _META.search(data, 0, 4000)):
        label = meta[1].decode("ascii", "replace")
    text, pictures = html.pictures(charsets.decode(data, label, turkish=found.turkish))
    found.files += pictures
    return _bounded(text, found)


def _bounded(text: str, found: Sorted) -> str:
    text = html.unpadded(text)
    if len(text) > found.budget.html:
        found.defect(_CUT)
        text = text[: found.budget.html]
    found.budget.html -= len(text)
    return html.tamed(text)


def _without_uu(text: str, found: Sorted) -> str:
    """Take files out that are written into the text itself, as Outlook does in plain text."""
    if "\nend" not in text or "begin " not in text:
        return text
    kept: list[str] = []
    at = 0
    for begin in islice(_UU_BEGIN.finditer(text), _MOST_UU):
        if begin.start() < at:
            continue
        end = text.find("\nend", begin.end())
        lines = text[begin.end() + 1 : end].split("\n") if end >= 0 else [""]
        if any(line and not _UU_LINE.match(line) for line in lines) or text[end + 4 : end + 5].strip():
            continue
        data = transfer.uudecoded([line.encode("ascii") for line in lines])
        if not data:
            continue
        found.files.append(File(media_type="application/octet-stream", filename=begin[1], data=data))
        kept.append(text[at : begin.start()])
        at = end + 5
    return "".join([*kept, text[at:]])


def _without_armour(text: str, found: Sorted) -> str:
    """Show what a PGP signature in the text is around; keep what PGP encrypted as a file."""
    armour = _ARMOUR.search(text)
    if armour is None:
        return text
    if armour[1] == "MESSAGE":
        found.seal = "encrypted"
        found.files.append(
            File(media_type="application/pgp-encrypted", filename="encrypted.asc", data=text[armour.start() :].encode())
        )
        return text[: armour.start()]
    end = text.find("\n-----BEGIN PGP SIGNATURE-----", armour.end())
    if end < 0:
        return text
    found.seal = found.seal or "signed"
    signed = text[armour.end() : end].partition("\n\n")[2]
    signed = "\n".join(line.removeprefix("- ") if line.startswith("- -") else line for line in signed.split("\n"))
    behind = text.find(_ARMOUR_END, end)
    return text[: armour.start()] + signed + (text[behind + len(_ARMOUR_END) :] if behind >= 0 else "")


# --- containers


def _unpacked(part: Part, found: Sorted) -> list[Block]:
    data = part.data()
    inside = tnef.unpack(data)
    if inside is None:
        found.files.append(File(media_type=part.media_type, filename=part.filename or "winmail.dat", data=data))
        found.defect(_UNREAD_TNEF)
        return []
    for file in inside.files:
        kind = headers.media_type(file.media_type) or "application/octet-stream"
        found.files.append(File(media_type=kind, filename=file.name, data=file.data, content_id=file.content_id))
    if inside.text or inside.html:
        text = inside.text[: found.budget.text]
        found.budget.text -= len(text)
        found.texts.append(text)
        return [Block(plain=text or None, html=_bounded(inside.html, found) or None)]
    if inside.rtf:
        found.files.append(File(media_type=part.media_type, filename="winmail.dat", data=data))
        found.defect("Outlook attachment (winmail.dat) whose formatted text could not be read; its files are shown.")
    return []


def _opened(part: Part, found: Sorted, depth: int) -> list[Block]:
    data = part.data()
    is_signed = not files.is_encrypted(data) and "enveloped" not in part.parameters.get("smime-type", "")
    content = files.signed_content(data) if is_signed and depth < 3 else b""
    if content:
        found.seal = found.seal or "signed"
        inner, count, defects = parts.parts(content, parts.top(content), max(1, found.budget.parts))
        found.budget.parts -= count
        for defect in defects:
            found.defect(defect)
        return _blocks(inner, found, True, depth + 1)
    found.seal = "encrypted"
    found.files.append(File(media_type=part.media_type, filename=part.filename or "smime.p7m", data=data))
    return []
