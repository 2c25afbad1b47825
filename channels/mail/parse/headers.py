"""What header fields say: words, ids, dates, and the addresses that an answer would really go to.

Rule: a header is hostile. Every function takes any text, gives bounded clean text, and runs in linear time.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_to_bytes

from channels.mail.parse import charsets
from channels.mail.values import MOST_HEADER, MOST_RECIPIENTS, MOST_REFERENCES, Mailbox

_MOST_RAW = 4 * MOST_HEADER  # characters of an encoded header: an encoded letter takes up to twelve

# Direction marks, overrides and isolates, zero-width space, word joiner: they make a name look like another one.
_DISGUISES = re.compile(
    "[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)

# --- words

_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?")
_HEX = re.compile(r"[0-9A-F]{2}")


def one_line(text: str) -> str:
    """Return `text` fit for one line of a page: no line breaks, controls or marks that turn or hide letters."""
    return " ".join(_DISGUISES.sub("", charsets.clean(text)).split())[:MOST_HEADER]


def decoded(value: str, *, turkish: bool = False) -> str:
    """Decode the encoded words of a header. Neighbours are decoded together: mailers split letters between them."""
    value = value[:_MOST_RAW]
    if "=?" not in value:
        return one_line(charsets.repaired(value, turkish=turkish))
    texts: list[str] = []
    run, label, at = b"", "", 0
    while (start := value.find("=?", at)) >= 0:
        found = _WORD.match(value, start)
        end = _end(value, found) if found else -1
        if not found or end < 0:
            texts += [charsets.decode(run, label, turkish=turkish), value[at : start + 2]]
            run, at = b"", start + 2
            continue
        gap, data, named = value[at:start], _payload(found[2], value[found.end() : end]), found[1].partition("*")[0]
        if run and (gap.strip() or charsets.codec(named) != charsets.codec(label)):
            texts.append(charsets.decode(run, label, turkish=turkish))
            run = b""
        if gap.strip() or not (run or at):
            texts.append(gap)
        run, label, at = run + data, named, end + 2
    texts += [charsets.decode(run, label, turkish=turkish), value[at:]]
    return one_line(charsets.repaired("".join(texts), turkish=turkish))


def _end(value: str, word: re.Match[str]) -> int:
    """Where an encoded word's `?=` is. In Q a bare `?` may stand before `=20`, which only looks like the end."""
    first = end = value.find("?=", word.end())
    for _ in range(3):
        if end < 0 or word[2] in "bB" or not _HEX.match(value, end + 2):
            return end if end >= 0 else first
        end = value.find("?=", end + 2)
    return first


def _payload(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(data, header=True)
    return base64(data)


def base64(data: bytes) -> bytes:
    """Decode base64 as far as it goes: foreign characters are skipped, lost padding is made up."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        letters = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
        letters = letters[: len(letters) - (len(letters) % 4 == 1)]
        return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


# --- parameters

_TYPE = re.compile(r"\s*([\w.+*-]{1,100})\s*/\s*([\w.+*-]{1,150})")
_PARAMETER = re.compile(r'(?:^|[;\s])([^\s=;"]{1,80})\s{0,20}=\s{0,20}("(?:[^"\\]|\\.)*"|[^;]*)', re.DOTALL)
_SECTION = re.compile(r"([^*]+)\*(?:(\d{1,3})(\*?))?$")


def media_type(value: str) -> str:
    """Return `type/subtype` in lower case, "" when the value names none."""
    found = _TYPE.match(value)
    return f"{found[1]}/{found[2]}".lower() if found else ""


def parameters(value: str) -> dict[str, str]:
    """Read the parameters of a Content-Type or Content-Disposition, the split and encoded ones of RFC 2231 too."""
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for found in _PARAMETER.finditer(value[:_MOST_RAW]):
        name, text = found[1].lower(), _unquoted(found[2])
        split = _SECTION.match(name)
        if split is None:
            plain.setdefault(name, text)
        else:
            number = int(split[2]) if split[2] else 0
            encoded = not split[2] or bool(split[3])
            sections.setdefault(split[1], {}).setdefault(number, (text, encoded))
    for name, parts in sections.items():
        plain[name] = _joined(parts)
    return plain


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1]) if '\\"' in text or "\\\\" in text else text[1:-1]
    return text.strip('"')


def _joined(parts: dict[int, tuple[str, bool]]) -> str:
    label, data = "", b""
    for place, number in enumerate(sorted(parts)):
        text, encoded = parts[number]
        if encoded and place == 0 and text.count("'") >= 2:
            label, _, text = text.split("'", 2)
        data += unquote_to_bytes(text) if encoded else text.encode("utf-8", "replace")
    return charsets.decode(data, label or "utf-8")


# --- ids and dates

_ID = re.compile(r"<([^<>]{1,400})>|([^\s<>\"'(),;:]{1,250}@[^\s<>\"'(),;:]{1,250})")


def ids(value: str) -> tuple[str, ...]:
    """Return the Message-IDs of a header, each with its angle brackets: the first and the last 49, in order, each once.

    Prose around them is skipped. White space inside and lost brackets are forgiven, since mailers fold ids anywhere.
    """
    found: dict[str, None] = {}
    value = value if len(value) <= 20_000 else f"{value[:1_000]} <> {value[-19_000:]}"
    for match in _ID.finditer(value):
        text = "".join((match[1] or match[2]).split())
        folded = match[1] is not None and text != match[1].strip()
        if 0 < len(text) <= 250 and ("@" in text or not folded):
            name = f"<{text}>"
            found.pop(name, None)
            found[name] = None
    names = tuple(found)
    return names if len(names) <= MOST_REFERENCES else (names[0], *names[1 - MOST_REFERENCES :])


def date(value: str) -> datetime | None:
    """Read a Date header. None for words in a local language and for what no clock shows."""
    try:
        found = parsedate_to_datetime(value[:200])
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
        return found if 1970 <= found.year < 2200 and found.astimezone(UTC) else None
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None


# --- addresses

# Why a From cannot be believed, as agents read it in `from_trouble`.
TWO_FROMS = "The mail has two From headers."
SEVERAL = "The From line names more than one address."
NO_ADDRESS = "The From line names no address."
HIDDEN_ADDRESS = "The From line names one address and hides another one behind it."
HIDDEN_CHARACTERS = "The From line holds hidden characters."
ENCODED_ADDRESS = "The From line hides its address in an encoded word."
NOT_IN_BRACKETS = "The From line has no address in its brackets."
GROUP = "The From line names a group."
BROKEN = "The From line is broken."
HEADERS_CUT = "With its headers cut, because they are too long, nobody can be sure of the sender."

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_COMMENT = re.compile(r"\(((?:[^()\\]|\\.)*)\)", re.DOTALL)
_ANGLE = re.compile(r"<([^<>]*)>")
_PLAIN = re.compile(r'[^"(<,;:]+')
_BARE = re.compile(r'(?:"[^"\s]{1,64}"|[^\s<>()",;:]{1,200})@[^\s<>()",;:]{1,250}')
_ADDRESS = re.compile(r'(?:"[^"\s]{1,64}"|[^\s"<>(),;:@]{1,200})@[^\s"<>(),;:@]{1,250}\Z')
_BEGUN = re.compile(r"=\?[\w.+-]{1,40}\?[bq]\?[^?\s]*", re.IGNORECASE)
_ENDED = re.compile(r"[^?\s]*\?=")
_LONG_WORD = 300  # characters; RFC 2047 allows 75
_LONE = re.compile(r"mailto:|^'+|'+$", re.IGNORECASE)


@dataclass(slots=True)
class _Entry:
    """One comma-separated entry of an address header while it is read."""

    phrase: str = ""  # what stands outside of brackets
    bare: str = ""  # of that, what was not quoted: an address here is seen as the sender's by some programs
    comment: str = ""
    angles: list[str] | None = None
    grouped: bool = False


def addresses(values: Iterable[str]) -> tuple[Mailbox, ...]:
    """Read address headers: groups, comments, quotes and encoded names as meant, mistakes as well as can be."""
    found: list[Mailbox] = []
    for value in values:
        found += _read(value)[0]
        if len(found) >= MOST_RECIPIENTS:
            break
    return tuple(found[:MOST_RECIPIENTS])


def sender(values: Sequence[str]) -> tuple[tuple[Mailbox, ...], str]:
    """Read the From headers of a mail: the addresses an answer would go to, and why they cannot be believed, or ""."""
    found: list[Mailbox] = []
    troubles: list[str] = []
    for value in values[:5]:
        mailboxes, trouble = _read(value)
        found += mailboxes
        troubles += [trouble] if trouble else []
    if len(values) > 1:
        return tuple(found[:MOST_RECIPIENTS]), TWO_FROMS
    if troubles:
        return tuple(found[:MOST_RECIPIENTS]), troubles[0]
    if len(found) != 1:
        return tuple(found[:MOST_RECIPIENTS]), SEVERAL if found else NO_ADDRESS
    return tuple(found), ""


def _read(value: str) -> tuple[list[Mailbox], str]:
    """Return the mailboxes of one header and what is odd about it."""
    value = value[:_MOST_RAW]
    entries, broken = _entries(value)
    trouble = BROKEN if broken or charsets.clean(value) != value else ""
    found: list[Mailbox] = []
    for entry in entries[: 4 * MOST_RECIPIENTS]:
        mailboxes, odd = _mailboxes(entry)
        found += mailboxes
        trouble = trouble or odd
        if len(found) > MOST_RECIPIENTS:
            break
    if not found and "=?" in value and "@" in (text := decoded(value)):
        found = list(_read(text.replace("=?", ""))[0])
        trouble = trouble or ENCODED_ADDRESS
    return found, trouble


def _entries(value: str) -> tuple[list[_Entry], bool]:
    """Split at the commas and semicolons that separate; tell whether a quote or bracket is left open."""
    entry, at, broken = _Entry(), 0, False
    entries = [entry]
    while at < len(value) and len(entries) <= 4 * MOST_RECIPIENTS:
        letter = value[at]
        if letter in ",;":
            entry = _next(entry)
            entries.append(entry)
        elif letter == ":" and _in_word(value, at):
            entry.phrase += letter
            entry.bare += letter
        elif letter == ":" and entry.angles is None and "@" not in entry.phrase:
            entry.grouped = entry.phrase.strip().lower() != "mailto"
            entry.phrase = entry.bare = ""
        elif letter == '"' and not broken and (found := _QUOTED.match(value, at)):
            at = found.end()
            if value[at : at + 1] == "@":
                entry.phrase += found[0]
                entry.bare += found[0]
            else:
                entry.phrase += re.sub(r"\\(.)", r"\1", found[1])
                entry.bare += " "
            continue
        elif letter == "(" and (found := _COMMENT.match(value, at)):
            entry.comment = found[1]
            at = found.end()
            continue
        elif letter == "<" and (found := _ANGLE.match(value, at)):
            entry.angles = [*(entry.angles or [])[:3], found[1]]
            at = found.end()
            continue
        else:
            broken = broken or letter in '"<'
            found = _PLAIN.match(value, at)
            text = found[0] if found else letter
            entry.phrase += text
            entry.bare += text
            broken = broken or ">" in text
            at += len(text)
            continue
        at += 1
    return entries, broken


def _in_word(value: str, at: int) -> bool:
    """Whether a letter stands inside an encoded word, where no colon should, and yet some write one."""
    start = value.rfind("=?", max(at - _LONG_WORD, 0), at)
    return start >= 0 and bool(_BEGUN.fullmatch(value, start, at) and _ENDED.match(value, at, at + _LONG_WORD))


def _next(entry: _Entry) -> _Entry:
    """Begin an entry. Words without an address belong to it: `Doe, John <john@example.com>` lacks only quotes."""
    if entry.angles is None and "@" not in entry.phrase and entry.phrase.strip() and len(entry.phrase) < 100:
        return _Entry(phrase=f"{entry.phrase.strip()},")
    return _Entry()


def _mailboxes(entry: _Entry) -> tuple[list[Mailbox], str]:
    """Read one entry. What stands in angle brackets is where an answer goes; the words before it are only a name."""
    bare = [text for text in map(_address, _BARE.findall(entry.bare[:2000])) if text]
    if entry.angles is None:
        if not bare:
            return [], ""
        name = entry.comment or _BARE.sub(" ", entry.phrase)
        odd = GROUP if entry.grouped else ""
        odd = HIDDEN_CHARACTERS if _DISGUISES.search(entry.bare) else odd
        return [Mailbox(address=address, name=_name(name)) for address in bare], odd
    inside = [text for text in map(_address, entry.angles) if text]
    if not inside:
        odd = NOT_IN_BRACKETS if bare else ""
        return [Mailbox(address=address) for address in bare], odd
    odd = ""
    if any(address not in inside for address in bare):
        odd = HIDDEN_ADDRESS
    elif any(_DISGUISES.search(text) for text in entry.angles):
        odd = HIDDEN_CHARACTERS
    elif any(re.search(r"[\s(\"]", text.strip()) or text.count("@") > 1 for text in entry.angles):
        odd = BROKEN
    elif entry.grouped:
        odd = GROUP
    name = _name(entry.phrase) or _name(entry.comment)
    return [Mailbox(address=address, name=name) for address in inside], odd


def _address(text: str) -> str:
    """Return a clean address in lower case, "" for what is none. Of a route (`@a,@b:c@d`) the end counts."""
    text = _LONE.sub("", _DISGUISES.sub("", charsets.clean(text)).strip())
    if text.startswith("@") and ":" in text:
        text = text.rpartition(":")[2]
    text = _COMMENT.sub("", text) if "(" in text else text
    text = "".join(text.split()).rstrip(".").lower()
    if text.startswith('"') and (found := re.match(r'"([\w.+-]{1,64})"@', text)):
        text = found[1] + text[found.end() - 1 :]
    return text if len(text) <= 320 and _ADDRESS.match(text) else ""


def _name(text: str) -> str:
    name = decoded(text).strip(" '\"<>,")
    return name[:300]
