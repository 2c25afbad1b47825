"""How mail programs write: Gmail, Outlook and Apple Mail in Turkish, Russian, German and English.

Rule: pure. A program quotes what it answers the way it does for real, in its language, in text and in HTML.
"""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime as header_date

from babel.dates import format_datetime

from sandbox.mail.reading import Seen
from sandbox.mail.values import Account

POLICY = SMTP.clone(max_line_length=78)
# What stands between a name and what it wrote; {who} is "Name <address>". Dates are babel's patterns.
_GMAIL = {
    "tr": ("d MMM y EEE, HH:mm", "{who}, {at} tarihinde şunu yazdı:"),
    "ru": ("EEE, d MMM y 'г.' 'в' HH:mm", "{at}, {who}:"),
    "de": ("EEE, d. MMM y 'um' HH:mm 'Uhr'", "Am {at} schrieb {who}:"),
    "en": ("EEE, MMM d, y 'at' h:mm a", "On {at} {who} wrote:"),
}
_APPLE = {
    "tr": ("d MMM y HH:mm", "{who} şunları yazdı ({at}):"),
    "ru": ("d MMM y 'г.', 'в' HH:mm", "{at}, {who} написал(а):"),
    "de": ("dd.MM.y 'um' HH:mm", "Am {at} schrieb {who}:"),
    "en": ("d MMM y, 'at' HH:mm", "On {at}, {who} wrote:"),
}
_OUTLOOK = {
    "tr": ("d MMMM y EEEE HH:mm", ("Kimden", "Gönderildi", "Kime", "Konu")),
    "ru": ("d MMMM y 'г.' H:mm", ("От", "Отправлено", "Кому", "Тема")),
    "de": ("EEEE, d. MMMM y HH:mm", ("Von", "Gesendet", "An", "Betreff")),
    "en": ("EEEE, MMMM d, y h:mm a", ("From", "Sent", "To", "Subject")),
}
_OUTLOOK_RE = {"tr": "YNT: ", "ru": "RE: ", "de": "AW: ", "en": "RE: "}
_PHONE = {
    "tr": "iPhone'umdan gönderildi",
    "ru": "Отправлено с iPhone",
    "de": "Von meinem iPhone gesendet",
    "en": "Sent from my iPhone",
}
_ANSWER_MARKS = re.compile(r"^(?:re|aw|ynt|yan|ответ|sv|antw)\s*:", re.I)
PROGRAMS = ("gmail", "outlook", "apple")
LANGUAGES = tuple(_GMAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """A file of a mail that is written."""

    name: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What somebody wants to send. `past` is the mail they answer, `address` what they claim to write from."""

    to: Sequence[str]
    subject: str = ""
    text: str = ""
    html: str = ""  # instead of what the program would make of `text`
    files: Sequence[Enclosure] = ()
    past: Seen | None = None
    at: datetime
    address: str = ""
    name: str = ""


def write(account: Account, draft: Draft) -> bytes:
    """Write a mail as this account's program does."""
    message = EmailMessage(policy=POLICY)
    message["MIME-Version"] = "1.0"
    message["From"] = _mailbox(draft.name or account.name, draft.address or account.address)
    message["To"] = ", ".join(draft.to)
    message["Subject"] = subject(account, draft)
    message["Date"] = header_date(draft.at)
    message["Message-ID"] = message_id(account.client, account.domain)
    if draft.past is not None and draft.past.message_id:
        message["In-Reply-To"] = draft.past.message_id
        message["References"] = " ".join([*draft.past.references[-15:], draft.past.message_id])
    for name, value in _own_headers(account, draft).items():
        message[name] = value
    coding = "base64" if account.client == "gmail" and not draft.text.isascii() else "quoted-printable"
    message.set_content(_text(account, draft), cte=coding)
    message.add_alternative(_html(account, draft), subtype="html", cte=coding)
    for file in draft.files:
        kind, _, subtype = file.media_type.partition("/")
        message.add_attachment(file.data, maintype=kind, subtype=subtype or "octet-stream", filename=file.name)
    return message.as_bytes()


def subject(account: Account, draft: Draft) -> str:
    """The subject, marked as an answer once."""
    words = draft.subject or (draft.past.subject if draft.past else "")
    if draft.past is None or draft.subject or _ANSWER_MARKS.match(words):
        return words
    return (_OUTLOOK_RE.get(account.language, "RE: ") if account.client == "outlook" else "Re: ") + words


def message_id(client: str, domain: str) -> str:
    """An id in the style of a program."""
    if client == "apple":
        parts = [secrets.token_hex(size).upper() for size in (4, 2, 2, 2, 6)]
        return f"<{'-'.join(parts)}@{domain}>"
    if client == "outlook":
        return f"<{secrets.token_hex(8).upper()}{secrets.token_hex(12).upper()}@{domain}>"
    return f"<CA+{secrets.token_urlsafe(32)}@mail.{domain}>"


def _mailbox(name: str, address: str) -> str:
    local, _, domain = address.rpartition("@")
    return str(Address(display_name=name, username=local, domain=domain))


def _own_headers(account: Account, draft: Draft) -> Mapping[str, str]:
    match account.client:
        case "outlook":
            topic = _ANSWER_MARKS.sub("", draft.subject or (draft.past.subject if draft.past else "")).strip()
            return {
                "Thread-Topic": topic,
                "Thread-Index": f"Ad{secrets.token_urlsafe(20)}==",
                "Accept-Language": f"{account.language}, en-US",
                "X-MS-Has-Attach": "yes" if draft.files else "",
            }
        case "apple":
            return {"X-Mailer": "iPhone Mail (22B91)"}
        case _:
            return {}


def _when(pattern: str, at: datetime, language: str) -> str:
    return format_datetime(at, pattern, locale=language).replace("\u202f", " ")


def _introduced(account: Account, past: Seen) -> str:
    """The line above a quote, as Gmail and Apple Mail write it."""
    table = _APPLE if account.client == "apple" else _GMAIL
    pattern, words = table.get(account.language, table["en"])
    return words.format(who=past.sender, at=_when(pattern, past.date, account.language))


def _block(account: Account, past: Seen) -> list[tuple[str, str]]:
    """The header block above a quote, as Outlook writes it."""
    pattern, labels = _OUTLOOK.get(account.language, _OUTLOOK["en"])
    values = (past.sender, _when(pattern, past.date, account.language), past.to, past.subject)
    return list(zip(labels, values, strict=True))


def _signature(account: Account) -> str:
    if account.client == "apple":
        return account.signature or _PHONE.get(account.language, _PHONE["en"])
    return account.signature


def _text(account: Account, draft: Draft) -> str:
    parts = [draft.text]
    if signature := _signature(account):
        parts.append(f"-- \n{signature}" if account.client == "gmail" else signature)
    if draft.past is not None:
        if account.client == "outlook":
            block = "\n".join(f"{label}: {value}" for label, value in _block(account, draft.past))
            parts.append(f"{'_' * 32}\n{block}\n\n{draft.past.text.rstrip()}")
        else:
            quoted = "\n".join(f"> {line}".rstrip() for line in draft.past.text.rstrip().split("\n"))
            gap = "\n\n" if account.client == "apple" else "\n"
            introduced = _introduced(account, draft.past)
            wrapped = _wrapped(introduced) if account.client == "gmail" else introduced
            # Apple's phone puts its signature behind what was typed, in front of the quote.
            parts.append(f"{wrapped}{gap}{quoted}")
    return "\n\n".join(parts) + "\n"


def _wrapped(line: str) -> str:
    """Gmail breaks the text it sends at about 72 characters, the line above the quote too."""
    if len(line) <= 72:
        return line
    at = line.rfind(" ", 0, 72)
    return line if at < 0 else f"{line[:at]}\n{line[at + 1 :]}"


def _lines(text: str, tag: str) -> str:
    made = [f"<{tag}>{html.escape(line, quote=False) or '<br>'}</{tag}>" for line in text.split("\n")]
    return "".join(made)


def _html(account: Account, draft: Draft) -> str:
    past = draft.past
    inner = (past.html_body or _lines(past.text.rstrip(), "div")) if past else ""
    match account.client:
        case "outlook":
            return _outlook_html(account, draft, inner)
        case "apple":
            return _apple_html(account, draft, inner)
        case _:
            return _gmail_html(account, draft, inner)


def _gmail_html(account: Account, draft: Draft, inner: str) -> str:
    words = draft.html or _lines(draft.text, "div")
    if signature := _signature(account):
        words += (
            '<div><br clear="all"></div><span class="gmail_signature_prefix">-- </span><br>'
            f'<div dir="ltr" class="gmail_signature" data-smartmail="gmail_signature">{_lines(signature, "div")}</div>'
        )
    if draft.past is None:
        return f'<div dir="ltr">{words}</div>\n'
    introduced = html.escape(_introduced(account, draft.past))
    return (
        f'<div dir="ltr">{words}</div><br><div class="gmail_quote gmail_quote_container">'
        f'<div dir="ltr" class="gmail_attr">{introduced}<br></div><blockquote class="gmail_quote" '
        'style="margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204);padding-left:1ex">'
        f"{inner}</blockquote></div>\n"
    )


def _apple_html(account: Account, draft: Draft, inner: str) -> str:
    words = draft.html or _lines(draft.text, "div")
    signature = f'<div id="AppleMailSignature" dir="ltr">{html.escape(_signature(account))}</div>'
    quote = ""
    if draft.past is not None:
        introduced = html.escape(_introduced(account, draft.past))
        quote = (
            f'<div dir="ltr"><br><blockquote type="cite">{introduced}<br><br></blockquote></div>'
            f'<blockquote type="cite"><div dir="ltr">{inner}</div></blockquote>'
        )
    return (
        '<html><head><meta http-equiv="content-type" content="text/html; charset=utf-8"></head>'
        f'<body dir="auto">{words}<br id="lineBreakAtBeginningOfSignature">{signature}{quote}</body></html>\n'
    )


def _outlook_html(account: Account, draft: Draft, inner: str) -> str:
    words = draft.html or _lines(draft.text, "p")
    if signature := _signature(account):
        words += f'<div id="Signature">{_lines(signature, "p")}</div>'
    quote = ""
    if draft.past is not None:
        rows = "<br>\n".join(f"<b>{label}:</b> {html.escape(value)}" for label, value in _block(account, draft.past))
        quote = (
            '<div id="appendonsend"></div><hr style="display:inline-block;width:98%" tabindex="-1">'
            '<div id="divRplyFwdMsg" dir="ltr"><font face="Calibri, sans-serif" style="font-size:11pt" '
            f'color="#000000">{rows}</font><div>&nbsp;</div></div><div class="BodyFragment">{inner}</div>'
        )
    return (
        '<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
        '<style type="text/css" style="display:none;">P {margin-top:0;margin-bottom:0;}</style></head>'
        f'<body dir="ltr"><div class="elementToProof">{words}</div>{quote}</body></html>\n'
    )
