"""From raw bytes to what the mail says, who says it, and what that means for the inbox: pure, and slow on purpose.

Rule: the same bytes and facts give the same events. This runs in a child process (`process.py`), never in a web server.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from channels.mail.judge import machines, proof
from channels.mail.judge.dns import Keys
from channels.mail.parse import body, html, mime
from channels.mail.parse.files import referred
from channels.mail.quotes import own as quotes
from channels.mail.tokens import deliveries_in, delivery_in, delivery_of, untagged
from channels.mail.values import (
    CLAIMED,
    MOST_BYTES,
    MOST_REFERENCES,
    MOST_TEXT,
    PROVEN,
    Envelope,
    Fate,
    File,
    Mail,
    Mailbox,
    MailKind,
    Own,
    Trust,
    Us,
    Verdict,
)
from channels.message import (
    REFUSED,
    Address,
    Attachment,
    Automated,
    Event,
    Proof,
    Receipt,
    Received,
    Status,
)
from channels.subject import bare_subject

NOBODY = "unknown"  # the value of the address of a mail without a usable sender
HEAD = 64 << 10  # bytes that a stub is made of
SHORT = 600  # characters of a machine's words that are shown
LAST_REFERENCES = 19  # that an answer carries on, beside the first
MOST_ALSO = 20  # further recipients that are kept
MACHINE_SENDER = re.compile(r"(?:no|do-?not|donot)[-_.]?reply|notifications?|mailer|automated|robot|system", re.I)

_OUTCOMES = {"failed": Status.FAILED, "delivered": Status.DELIVERED, "relayed": Status.SENT}
_LINES = {
    MailKind.AUTO_REPLY: "auto_reply",
    MailKind.CALENDAR: "calendar",
    MailKind.LIST: "list",
    MailKind.LOOP: "loop",
    MailKind.BOUNCE: "bounced",
    MailKind.REPORT: "complaint",
    MailKind.READ_RECEIPT: "read",
}
# Mails whose words would be shown; the others are about mails of ours, and mean nothing unless they name one.
_SAID = frozenset({MailKind.MESSAGE, MailKind.AUTO_REPLY, MailKind.CALENDAR, MailKind.LIST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A mail with everything that was found out about it."""

    mail: Mail
    own: Own
    own_html: str  # the own words as they were marked up, "" where there is no such form
    html: str  # the same, sanitised
    verdict: Verdict
    trust: Trust
    customer: Mailbox | None
    envelope: Envelope
    admitted: bool = False  # an agent has said that a person wrote it


def examine(raw: bytes, envelope: Envelope, us: Us, keys: Keys | None = None, *, person: bool = False) -> Reading:
    """Read a mail. `person`: an agent has said that a person wrote it, whatever its signs."""
    mail = mime.parse(raw[:MOST_BYTES])
    verdict = machines.judge(mail, envelope, us, raw)
    if person:
        verdict = Verdict(kind=MailKind.MESSAGE, automatic=True, why="an agent said that a person wrote it")
    trust = proof.judge(mail, raw, envelope, us, keys)
    own, own_html = quotes.read_words(mail, ours=us.addresses)
    return Reading(
        mail=mail,
        own=own,
        own_html=own_html,
        html=html.clean(own_html, mail.files) if own_html else "",
        verdict=verdict,
        trust=trust,
        customer=proof.customer(mail, us),
        envelope=envelope,
        admitted=person,
    )


def events(channel: str, external_id: str, digest: bytes, at: datetime, read: Reading, us: Us) -> tuple[Event, ...]:
    """What a mail that came at `at` means for the inbox."""
    kind = read.verdict.kind
    if kind in _SAID and _unwanted(read, us):
        return (_automated(channel, external_id, digest, at, read, us, what=REFUSED),)
    if kind is MailKind.MESSAGE:
        return (_received(channel, external_id, digest, at, read, us),)
    told: list[Event] = []
    if kind is MailKind.BOUNCE:
        told = [receipt for fate in read.verdict.fates if (receipt := _receipt(channel, external_id, at, read, fate))]
    elif kind is MailKind.READ_RECEIPT:
        told = [_about(channel, external_id, at, read, Status.READ)]
    return tuple(told) or (_automated(channel, external_id, digest, at, read, us),)


def unreadable(
    channel: str, external_id: str, at: datetime, raw: bytes, why: str, envelope: Envelope, us: Us
) -> Received:
    """The stub of a mail that cannot be read: what its head says, and why there is no more.

    The head tells what the receiver judged and what is answered, so that it stands where the whole mail would.
    """
    mail = mime.parse(raw[:HEAD])
    trust = proof.judge(mail, b"", envelope, us, None)
    sender, twin, name = _sender(proof.customer(mail, us), trust)
    ours, theirs = _evidence(mail, envelope)
    return Received(
        channel=channel,
        external_id=external_id,
        sender=sender,
        twin=twin,
        sender_name=name,
        sent_at=at,
        subject=mail.subject,
        stub="mail",
        proof=trust.proof,
        warnings=tuple(dict.fromkeys(("unread", *trust.warnings))),
        why=why,
        quiet=True,
        answers=ours,
        refers_to=theirs,
        names=(mail.message_id,) if mail.message_id else (),
    )


def described(file: str, read: Reading) -> dict[str, Any]:
    """One line of `santral mail read`: how a mail was read and why."""
    mail = read.mail
    sender = read.customer or (mail.from_[0] if mail.from_ else None)
    return {
        "file": file,
        "subject": mail.subject,
        "from": sender.address if sender else "",
        "name": sender.name if sender else "",
        "proof": read.trust.proof.name.lower(),
        "why": read.trust.why,
        "automatic": read.verdict.automatic or read.verdict.kind is not MailKind.MESSAGE,
        "kind": read.verdict.kind.value,
        "kind_why": read.verdict.why,
        "text": _shown_text(read),
        "hidden": read.own.hidden,
        "hidden_why": list(read.own.why),
        "attachments": [
            {"filename": f.filename, "media_type": f.media_type, "size": len(f.data), "inline": f.inline}
            for f in mail.files
        ],
        "references": list(dict.fromkeys((*mail.in_reply_to, *mail.references))),
        "message_id": mail.message_id,
        "warnings": list(_warnings(read)),
        "defects": list(mail.defects),
        **({"failures": [_told(fate) for fate in read.verdict.fates]} if read.verdict.fates else {}),
        **({"about": list(read.verdict.about)} if read.verdict.about else {}),
    }


def undescribed(file: str, raw: bytes, why: str) -> dict[str, Any]:
    """The same line for a mail that cannot be read: what its head says."""
    line = described(file, examine(raw[: 16 << 10].partition(b"\n\n")[0] + b"\n\n", Envelope(), Us()))
    return {**line, "text": "", "hidden": "", "defects": [*line["defects"], f"This mail could not be read: {why}."]}


# --- a person's mail


def _received(channel: str, external_id: str, digest: bytes, at: datetime, read: Reading, us: Us) -> Received:
    mail, trust = read.mail, read.trust
    sender, twin, name = _sender(read.customer, read.trust)
    ours, theirs = _evidence(mail, read.envelope)
    text = _shown_text(read)
    return Received(
        channel=channel,
        external_id=external_id,
        sender=sender,
        twin=twin,
        sender_name=name,
        sent_at=at,
        also_to=_also_to(read, us),
        subject=mail.subject,
        text=text,
        html=read.html,
        hidden=read.own.hidden,
        attachments=tuple(_attachment(file) for file in _kept(read)),
        stub="mail" if not text and not mail.files and not mail.subject else "",
        proof=trust.proof,
        why=" · ".join((trust.why, *mail.defects)),
        warnings=_warnings(read),
        automatic=read.verdict.automatic and bool(MACHINE_SENDER.search(sender.value.partition("@")[0])),
        quiet=read.verdict.automatic,
        once=_once(mail, text, digest, at),
        answers=ours,
        refers_to=theirs,
        names=(mail.message_id,) if mail.message_id else (),
        context=_context(read, us),
    )


def _sender(who: Mailbox | None, trust: Trust) -> tuple[Address, Address | None, str]:
    """The address a mail is filed by, the same at the other level of proof, and the sender's name."""
    if who is None:
        return Address(kind=CLAIMED, value=NOBODY), None, ""
    proven = trust.proof is not Proof.CLAIMED
    kind, other = (PROVEN, CLAIMED) if proven else (CLAIMED, PROVEN)
    return Address(kind=kind, value=who.address), Address(kind=other, value=who.address), who.name


def _also_to(read: Reading, us: Us) -> tuple[str, ...]:
    """Who was written to beside us and the sender themselves."""
    own = {read.customer.address if read.customer else "", *(box.address for box in read.mail.from_)}
    others = (box.address for box in (*read.mail.to, *read.mail.cc))
    return tuple(dict.fromkeys(a for a in others if a not in own and untagged(a) not in us.addresses))[:MOST_ALSO]


def _evidence(mail: Mail, envelope: Envelope) -> tuple[tuple[UUID, ...], tuple[str, ...]]:
    """The deliveries of ours a mail answers, and the other ids it refers to, best evidence first."""
    places = [*envelope.recipients, *(box.address for box in (*mail.to, *mail.cc)), *mail.headers.all("delivered-to")]
    ours: dict[UUID, None] = {id: None for place in places if (id := delivery_in(place))}
    theirs: dict[str, None] = {}
    for reference in (*mail.in_reply_to, *reversed(mail.references)):
        if (id := delivery_of(reference)) is not None:
            ours[id] = None
        else:
            theirs[reference] = None
    return tuple(ours)[:MOST_REFERENCES], tuple(theirs)[:MOST_REFERENCES]


def _context(read: Reading, us: Us) -> dict[str, Any]:
    """What an answer needs. To an unproven sender only the address they wrote in From is answered."""
    mail = read.mail
    who = read.customer
    believed = read.trust.proof is not Proof.CLAIMED
    to = [box.address for box in mail.reply_to if box.address not in us.addresses] if believed else []
    reached = [box.address for box in (*mail.to, *mail.cc) if box.address in us.addresses]
    return {
        "message_id": mail.message_id,
        "references": [*mail.references[:1], *mail.references[1:][-LAST_REFERENCES:]],
        "subject": mail.subject,
        "to": to[:3] or ([who.address] if who else []),
        "mailbox": reached[0] if reached else "",
        "name": who.name if who else "",
    }


def _shown_text(read: Reading) -> str:
    """The sender's own words, what they enclose, and an invitation in words."""
    parts = [read.own.text]
    if read.mail.calendar and not read.own.text.strip():
        parts.append(body.calendar_as_text(read.mail.calendar))
    parts += [body.enclosed_as_text(mail) for mail in read.mail.enclosed[:3]]
    return "\n\n".join(part for part in (part.strip() for part in parts) if part)[:MOST_TEXT]


def _kept(read: Reading) -> list[File]:
    """The files worth showing: no pictures that only the quoted past or the signature shows."""
    if not read.own_html:
        return list(read.mail.files)
    past = referred(read.mail.html) - referred(read.own_html)
    return [file for file in read.mail.files if not (file.inline and file.content_id.strip("<>").lower() in past)]


def _attachment(file: File) -> Attachment:
    return Attachment(
        media_type=file.media_type,
        filename=file.filename,
        size=len(file.data),
        data=file.data,
        unique_ref=hashlib.sha256(file.data).hexdigest()[:32],
    )


def _once(mail: Mail, text: str, digest: bytes, at: datetime) -> str:
    """What copies of one mail share, by whichever way they came; another mail under the same Message-ID does not."""
    if not mail.message_id:
        return f"mail:{digest.hex()}:{at.isoformat()}"  # two mails may have the same few words and nothing else
    words = " ".join(unicodedata.normalize("NFKC", text).split())
    sender = mail.from_[0].address if mail.from_ else ""
    files = ",".join(sorted(hashlib.sha256(file.data).hexdigest()[:16] for file in mail.files))
    parts = (mail.message_id, sender, mail.headers.first("date"), bare_subject(mail.subject), words, files)
    return f"mail:{hashlib.sha256(chr(0).join(parts).encode('utf-8', 'replace')).hexdigest()}"


def _warnings(read: Reading) -> tuple[str, ...]:
    found = list(read.trust.warnings)
    if read.trust.refused:
        found.append("dmarc_refused")
    if read.envelope.spam:
        found.append("spam_folder")
    if read.mail.seal == "encrypted":
        found.append("encrypted")
    return tuple(dict.fromkeys(found))


# --- machines


def _unwanted(read: Reading, us: Us) -> bool:
    """Whether the domain in From disowns a mail and asks that such mail be refused, and it answers none of ours.

    A contact form is let through: nobody believes its sender anyway, and whoever set it up wants what it sends.
    """
    form = any(box.address in us.contact_forms for box in read.mail.from_)
    if not read.trust.refused or read.admitted or form:
        return False
    return not read.verdict.deliveries and not _evidence(read.mail, read.envelope)[0]


def _receipt(channel: str, external_id: str, at: datetime, read: Reading, fate: Fate) -> Receipt | None:
    status = _OUTCOMES.get(fate.outcome)
    if status is None:  # delayed: not the end of it
        return None
    verdict = read.verdict
    detail = fate.detail if fate.code in fate.detail else f"{fate.code} {fate.detail}".strip()
    named = bool(verdict.deliveries or verdict.about)
    if not named and not fate.recipient:
        return None
    return Receipt(
        channel=channel,
        status=status,
        at=at,
        delivery=verdict.deliveries[0] if verdict.deliveries else None,
        external_id=verdict.about[0] if verdict.about and not verdict.deliveries else "",
        recipient=Address(kind=PROVEN, value=fate.recipient.lower()) if fate.recipient else None,
        code=_code(fate) if status is Status.FAILED else "",
        detail=detail[:500] if status is Status.FAILED else "",
        unreachable=fate.hard,
        letter=external_id,
    )


def _code(fate: Fate) -> str:
    if fate.hard:
        return "unreachable"
    if fate.ours:
        return "rejected_as_spam"
    return "mailbox_full" if fate.code.endswith(".2.2") else "refused"


def _about(channel: str, external_id: str, at: datetime, read: Reading, status: Status) -> Receipt:
    verdict = read.verdict
    return Receipt(
        channel=channel,
        status=status,
        at=at,
        delivery=verdict.deliveries[0] if verdict.deliveries else None,
        external_id=verdict.about[0] if verdict.about and not verdict.deliveries else "",
        letter=external_id,
    )


def _automated(
    channel: str, external_id: str, digest: bytes, at: datetime, read: Reading, us: Us, *, what: str = ""
) -> Automated:
    mail, verdict = read.mail, read.verdict
    sender, _, _ = _sender(read.customer, read.trust)
    ours, theirs = _evidence(mail, read.envelope)
    what = what or _LINES[verdict.kind]
    if verdict.kind is MailKind.REPORT and not verdict.fates:  # nobody complains in it
        what = _LINES[MailKind.LIST]
    if verdict.kind is MailKind.BOUNCE and any(fate.outcome == "delayed" for fate in verdict.fates):
        what = "delayed"
    return Automated(
        channel=channel,
        external_id=external_id,
        sender=sender,
        what=what,
        at=at,
        subject=mail.subject,
        text=read.own.text[:SHORT],
        proof=read.trust.proof,
        once=_once(mail, read.own.text, digest, at),
        answers=tuple(dict.fromkeys((*verdict.deliveries, *ours, *deliveries_in(mail.all_text)))),
        refers_to=tuple(dict.fromkeys((*verdict.about, *theirs)))[:MOST_REFERENCES],
    )


def _told(fate: Fate) -> Mapping[str, Any]:
    return {
        "recipient": fate.recipient,
        "outcome": fate.outcome,
        "code": fate.code,
        "detail": fate.detail,
        "hard": fate.hard,
    }
