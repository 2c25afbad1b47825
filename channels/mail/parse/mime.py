"""Raw bytes to a `Mail`, whatever the bytes are.

Rule: `parse` never raises and its cost is bounded by the size of the mail. Each thing that cannot be read costs only
itself and leaves a line in `defects`, in words for an agent; the raw mail is kept elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from channels.mail.parse import body, charsets, files, headers, parts, sorting
from channels.mail.parse.parts import RawField, Top
from channels.mail.parse.sorting import Budget, Sorted
from channels.mail.values import MOST_BYTES, File, Headers, Mail

_MOST_SEARCHED = 100_000  # characters of `all_text`
_MOST_ENCLOSED = 20
_ENCLOSED_DEPTH = 4  # mails in mails; deeper ones stay files

_TURKISH = re.compile(
    rb"@[\w.-]{1,100}\.tr\b|\ncontent-language:[ \t]{0,9}tr\b|charset=.?(?:iso-8859-9|windows-1254)", re.IGNORECASE
)
_CONTROLS = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


def parse(raw: bytes) -> Mail:
    """Read a mail as far as it can be read. The result is bounded by the limits of `values`, whatever `raw` is."""
    return _parse(raw, 0, Budget(), Budget())


def _parse(raw: bytes, depth: int, budget: Budget, within: Budget) -> Mail:
    """Read a mail; `within` is what may be read of all the mails that are enclosed in it, at whatever depth."""
    if b"\n" not in raw[: 64 << 10] and b"\r" in raw[: 64 << 10]:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        return _read(raw, parts.top(raw), depth, budget, within)
    except Exception as error:  # noqa: BLE001 - the mail is shown with its headers and says so; nothing is lost
        why = f"This mail could not be read ({type(error).__name__}). The original mail is kept."
    try:
        return _mail(parts.top(raw), "", (why,))
    except Exception:  # noqa: BLE001 - as above
        return Mail(defects=(why,))


def _read(raw: bytes, top: Top, depth: int, budget: Budget, within: Budget) -> Mail:
    defects = [top.defect] if top.defect else []
    if len(raw) > MOST_BYTES:
        defects.append(f"This mail is larger than {MOST_BYTES >> 20} MB. Only its headers were read.")
        return _mail(top, "", tuple(defects))
    root, count, cut = parts.parts(raw, top, max(1, budget.parts))
    budget.parts -= count
    turkish = _TURKISH.search(raw, 0, top.body + 2000) is not None
    found = sorting.sort(root, budget, turkish=turkish)
    text, of_html = body.text_of(found.blocks)
    kept, markup = body.located(found.files, body.html_of(found.blocks))
    label = next((part.charset for part in parts.leaves(root) if part.main == "text" and part.charset), "")
    within.parts = min(within.parts, budget.parts)
    enclosed = _enclosed(found, kept, depth, within)
    if "\ufffd" in text:
        found.defect("Some letters of this mail could not be read.")
    return replace(
        _mail(top, label, turkish=turkish),
        media_type=root.media_type,
        text=text,
        html=markup,
        text_of_html=of_html,
        files=files.finished(kept, markup),
        reports=tuple(found.reports),
        enclosed=enclosed,
        calendar=found.calendar,
        seal=found.seal,
        all_text=_all_text(found, text if of_html else "", enclosed),
        defects=(*defects, *cut, *found.defects),
    )


def _mail(top: Top, label: str, defects: tuple[str, ...] = (), *, turkish: bool = False) -> Mail:
    """Read the headers; `label` is the charset of the body, which raw 8-bit headers usually share."""
    named = Headers(fields=tuple(_readable(top.fields, label)))

    def words(name: str) -> str:
        return headers.decoded(named.first(name), turkish=turkish)

    senders, trouble = headers.sender(named.all("from"))
    if top.defect:
        trouble = trouble or headers.HEADERS_CUT
    elif any(name == "from" and _CONTROLS.search(value) for name, value in top.fields):
        trouble = trouble or headers.HIDDEN_CHARACTERS
    return Mail(
        headers=named,
        subject=words("subject"),
        from_=senders,
        from_trouble=trouble,
        sender=headers.addresses(named.all("sender")),
        reply_to=headers.addresses(named.all("reply-to")),
        to=headers.addresses(named.all("to")),
        cc=headers.addresses(named.all("cc")),
        message_id="".join(headers.ids(named.first("message-id"))[:1]),
        in_reply_to=headers.ids(named.first("in-reply-to")),
        references=headers.ids(named.first("references")),
        date=headers.date(named.first("date")),
        defects=defects,
    )


def _readable(fields: list[RawField], label: str) -> Iterator[tuple[str, str]]:
    """Make 8-bit bytes readable. Those that are no UTF-8 are judged together: one alone is too short to tell by."""
    odd = [value for _, value in fields if not value.isascii() and not _is_utf8(value)]
    lines = charsets.decode(b"\n".join(odd), label).split("\n") if odd else []
    together = iter(lines) if len(lines) == len(odd) else None
    for name, value in fields:
        if value.isascii() or _is_utf8(value) or together is None:
            yield name, parts.readable(value, label)
        else:
            yield name, next(together, "")


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _enclosed(found: Sorted, kept: list[File], depth: int, within: Budget) -> tuple[Mail, ...]:
    """Read the mails that are enclosed, and name their files after their subjects."""
    mails: list[Mail] = []
    for place in found.mails[:_MOST_ENCLOSED]:
        if depth >= _ENCLOSED_DEPTH or within.parts <= 0:
            break
        mail = _parse(kept[place].data, depth + 1, within, within)
        mails.append(mail)
        name = kept[place].filename or (f"{mail.subject[:100]}.eml" if mail.subject else "message.eml")
        kept[place] = replace(kept[place], filename=name.replace("/", "-").replace("\\", "-"))
    return tuple(mails)


def _all_text(found: Sorted, made: str, enclosed: tuple[Mail, ...]) -> str:
    """Everything that was read, one below the other: to search for ids."""
    texts = [made, *found.texts]
    for mail in enclosed:
        texts.append("\n".join(f"{name}: {value[:2000]}" for name, value in mail.headers.fields[:200]))
        texts.append(mail.all_text)
    return "\n".join(text for text in texts if text)[:_MOST_SEARCHED]
