"""Which of our mails did not arrive, and why: delivery reports in every dialect, complaints and read receipts.

Rule: evidence in order of how hard it is to fake or to garble: our mark in the recipient, our Message-ID anywhere,
RFC 3464 fields, flufl.bounce, the words of the notice. An address is called dead only on a permanent code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message
from uuid import UUID

from channels.mail.judge import words
from channels.mail.judge.fates import NOTICE, around, fate, first_code, reply_code
from channels.mail.judge.words import folded
from channels.mail.tokens import deliveries_in, delivery_in, delivery_of
from channels.mail.values import Envelope, Fate, Mail, MailKind, Us, Verdict

# --- facts

MOST_FATES = 50
MOST_ABOUT = 20
_LINES = 150  # that flufl.bounce is given; its patterns are quadratic in a line's length
_LINE = 200
_FIELD = 10_000  # characters of one field of a report

_COMPLAINTS = frozenset({"abuse", "fraud", "complaint", "opt-out", "opt-out-list", "other", ""})
_OUTCOMES = {
    "failed": "failed",
    "failure": "failed",
    "fail": "failed",
    "error": "failed",  # OpenSMTPD
    "delayed": "delayed",
    "delivered": "delivered",
    "relayed": "relayed",
    "expanded": "relayed",
}
_WHERE = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-forwarded-to", "x-rcpt-to")

_DAEMON = re.compile(r"(?:mailer|mail)[-_. ]?daemon|mdaemon(?!\w)|microsoftexchange[0-9a-f]{8}|mail[-_. ]?delivery")
_ADDRESS = re.compile(r"[^\s<>()\[\]\\,;:\"'@=|*]{1,64}@[^\s<>()\[\]\\,;:\"'@=|*/?&]{1,253}")
_LONE = re.compile(r"[\s<\[(\"'>*•·-]*(?:smtp:|mailto:|rcpt to:)?[\s<\[(\"']*$")
_ID = re.compile(r"message-id:\s{0,20}(<[^<>\s]{1,250}>)", re.IGNORECASE)
_BRACKETED = re.compile(r"<[^<>\s]{1,250}>")
_TO = re.compile(r"^(?:to|x-original-to|original-rcpt-to|x-rcpt-to): ?(.{1,500})$", re.IGNORECASE | re.MULTILINE)


# --- the judgement


def judge(mail: Mail, envelope: Envelope, us: Us) -> Verdict | None:
    """The verdict on a delivery report, a complaint or a read receipt; None for any other mail."""
    if not mail.reports and not _suspect(mail, envelope):
        return None
    about, deliveries = subject_matter(mail, envelope)
    for report in mail.reports:
        match report.media_type.removesuffix("-utf-8"):
            case "message/feedback-report":
                why, fates = _complaint(report.text, mail)
                return _verdict(MailKind.REPORT, why, fates, about, deliveries)
            case "message/disposition-notification" | "message/global-disposition-notification":
                kind, why = _disposition(report.text)
                return _verdict(kind, why, (), about, deliveries)
    status = [report.text for report in mail.reports if report.media_type.endswith("delivery-status")]
    if fates := tuple(_reported(status, mail, us)):
        return _verdict(MailKind.BOUNCE, "a delivery report (RFC 3464)", fates, about, deliveries)
    notice, copy = _parts(mail)
    if why := "a delivery report" if status else _sign(mail, envelope, notice, bool(deliveries)):
        return _verdict(MailKind.BOUNCE, why, _told(mail, us, notice, copy), about, deliveries)
    return None


def _verdict(
    kind: MailKind, why: str, fates: tuple[Fate, ...], about: tuple[str, ...], deliveries: tuple[UUID, ...]
) -> Verdict:
    return Verdict(
        kind=kind, automatic=True, why=why, fates=fates[:MOST_FATES], about=about[:MOST_ABOUT], deliveries=deliveries
    )


def null_sender(mail: Mail, envelope: Envelope) -> bool:
    """Whether it was sent so that nothing can be answered to it: MAIL FROM:<>, in some logs by another name."""
    if envelope.mail_from is not None:
        return envelope.mail_from.strip() in ("", "<>")
    path = mail.headers.first("return-path").strip(" <>").lower()
    return path.startswith("mailer-daemon") or (not path and "return-path" in mail.headers)


def marked(mail: Mail, envelope: Envelope) -> tuple[UUID, ...]:
    """The deliveries whose marks stand in the addresses this mail was sent to, best evidence first."""
    told = [*envelope.recipients, *(value for name in _WHERE for value in mail.headers.all(name))]
    told += [mailbox.address for mailbox in (*mail.to, *mail.cc)]
    return tuple(dict.fromkeys(id for address in told if (id := delivery_in(address))))


def answered(mail: Mail) -> tuple[UUID, ...]:
    """The deliveries a mail says to answer, in the ids it names."""
    named = (*mail.in_reply_to, *reversed(mail.references))
    return tuple(dict.fromkeys(id for name in named if (id := delivery_of(name))))


def subject_matter(mail: Mail, envelope: Envelope) -> tuple[tuple[str, ...], tuple[UUID, ...]]:
    """Which mails a machine's mail is about: Message-IDs and deliveries of ours. Looks into enclosed mails and text."""
    ids: dict[str, None] = {}
    for report in mail.reports:
        for fields in _blocks(report.text):
            for name in ("original-message-id", "x-original-message-id", "original-envelope-id", "message-id"):
                ids.update(dict.fromkeys(_BRACKETED.findall(fields.get(name, "")[:1000])))
    ids.update(dict.fromkeys(inner.message_id for inner in mail.enclosed if inner.message_id))
    ids.update(dict.fromkeys((*mail.in_reply_to, *reversed(mail.references))))
    ids.update(dict.fromkeys(_ID.findall(mail.all_text)))
    ids.pop(mail.message_id, None)
    named = (id for name in ids if (id := delivery_of(name)))
    inside = (id for inner in mail.enclosed for _, value in inner.headers for id in deliveries_in(value))
    text = (id for id in deliveries_in(mail.all_text))
    bounced = (id for inner in mail.enclosed for mailbox in inner.reply_to if (id := delivery_in(mailbox.address)))
    deliveries = dict.fromkeys((*marked(mail, envelope), *named, *inside, *text, *bounced))
    if own := delivery_of(mail.message_id):
        deliveries.pop(own, None)
    ours_first = sorted(ids, key=lambda name: delivery_of(name) is None)
    return tuple(ours_first), tuple(deliveries)[:MOST_ABOUT]


# --- reports made for machines


def _blocks(text: str) -> Iterator[Mapping[str, str]]:
    """Groups of header fields with an empty line between them, as RFC 3464 reports are written."""
    fields: dict[str, str] = {}
    last = ""
    for line in text[:100_000].splitlines():
        if not line.strip():
            if fields:
                yield fields
            fields, last = {}, ""
        elif line[0] in " \t" and last:
            if len(fields[last]) < _FIELD:
                fields[last] += " " + line.strip()
        else:
            name, colon, value = line.partition(":")
            last = name.strip().lower() if colon else ""
            if last in fields and len(fields[last]) < _FIELD:  # Original-Rcpt-To comes once for each
                fields[last] += ", " + value.strip()
            elif last:
                fields[last] = value.strip()
    if fields:
        yield fields


def _disposition(text: str) -> tuple[MailKind, str]:
    """RFC 8098: `manual-action/MDN-sent-manually; displayed`. Deleted or filed unread is an answer, but no reading."""
    for fields in _blocks(text):
        if said := fields.get("disposition", ""):
            what = said.rpartition(";")[2].split("/")[0].strip().lower()
            kind = MailKind.READ_RECEIPT if what == "displayed" else MailKind.AUTO_REPLY
            return kind, f"read receipt: {what[:40]}"
    return MailKind.AUTO_REPLY, "a read receipt that does not say what happened"


def _complaint(text: str, mail: Mail) -> tuple[str, tuple[Fate, ...]]:
    """RFC 5965. Each recipient who complained is a fate with outcome "delivered"; other feedback has none."""
    fields: dict[str, str] = {}
    for block in _blocks(text):
        fields |= block
    kind = fields.get("feedback-type", "").lower()
    if kind not in _COMPLAINTS:
        return f"feedback report: {kind[:40]}", ()
    told = _addresses(" ".join(fields.get(name, "") for name in ("original-rcpt-to", "removal-recipient")))
    told = told or [mailbox.address for inner in mail.enclosed for mailbox in inner.to]
    named = [address for address in dict.fromkeys(told) if "redacted" not in address] or [""]
    detail = f"complaint: {kind or 'abuse'}"
    return detail, tuple(Fate(recipient=address, outcome="delivered", detail=detail) for address in named)


def _reported(texts: Iterable[str], mail: Mail, us: Us) -> Iterator[Fate]:
    for text in texts:
        for fields in _blocks(text):
            if "final-recipient" not in fields and "original-recipient" not in fields and "action" not in fields:
                continue
            said = fields.get("diagnostic-code", "")
            detail = said.partition(";")[2].strip() if re.match(r"[\w-]{1,20}\s?;", said) else said
            status = first_code(fields.get("status", "")) or _success(fields.get("status", ""))
            action = re.match(r"[a-z]*", fields.get("action", "").strip().lower())
            outcome = _OUTCOMES.get(action[0] if action else "", "")
            outcome = outcome or {"4": "delayed", "2": "delivered"}.get(status[:1], "failed")
            if not detail and outcome in ("failed", "delayed"):
                detail = around(_parts(mail)[0])
            yield fate(_recipient(fields, mail, us), outcome, status, detail)


def _recipient(fields: Mapping[str, str], mail: Mail, us: Us) -> str:
    names = ("original-recipient", "final-recipient", "x-actual-recipient")
    told = [address for name in names for address in _addresses(fields.get(name, ""))]
    told += [mailbox.address for inner in mail.enclosed if len(inner.to) == 1 for mailbox in inner.to]
    return next((address for address in told if not _ours(address, us)), "")


def _success(status: str) -> str:
    found = re.match(r"\s*(2\.\d{1,3}\.\d{1,3})", status)
    return found[1] if found else ""


# --- notices written for people


def _suspect(mail: Mail, envelope: Envelope) -> bool:
    """Whether a mail is worth a closer look; cheap, because every mail of a person passes here."""
    if "x-failed-recipients" in mail.headers or words.SUBJECT.match(folded(mail.subject[:300])):
        return True
    return any(_system(mail)) or _automatic(mail, envelope)


def _sign(mail: Mail, envelope: Envelope, notice: str, known: bool) -> str:
    """Why a mail without a report is a bounce all the same; "" when it is none."""
    if mail.headers.first("x-failed-recipients"):
        return "X-Failed-Recipients"
    subject = folded(mail.subject[:300])
    titled = bool(words.SUBJECT.match(subject))
    begun = bool(words.OPENING.search(folded(notice[:1_200])))
    proven = known or bool(first_code(notice) or reply_code(notice))
    daemon, named = _system(mail)
    automatic = _automatic(mail, envelope)
    if daemon and (titled or begun or proven or automatic):
        return "written by a mail system"
    if (named or automatic) and (titled or (begun and proven) or (words.VAGUE.match(subject) and proven)):
        return "sent by a machine, with the words of a delivery report"
    opens = words.OPENING.search(folded("\n".join(notice.strip().splitlines()[:3])[:400]))
    if titled and opens and proven:
        return "the words and codes of a delivery report"
    return ""


def _system(mail: Mail) -> tuple[bool, bool]:
    """Whether the sender is a mail system for certain, and whether it calls itself one."""
    sender = mail.from_[0].address if mail.from_ else mail.headers.first("from").lower()[-100:].rpartition("<")[2]
    local = sender.partition("@")[0].strip()
    name = folded(mail.from_[0].name[:100]) if mail.from_ else ""
    named = local in ("postmaster", "post_master") or bool(words.DAEMON_NAME.match(name))
    return bool(_DAEMON.match(local)), named


def _automatic(mail: Mail, envelope: Envelope) -> bool:
    return _auto_submitted(mail) or null_sender(mail, envelope) or mail.media_type == "multipart/report"


def _auto_submitted(mail: Mail) -> bool:
    value = mail.headers.first("auto-submitted").partition(";")[0].strip().lower()
    return bool(value) and value != "no"


def _parts(mail: Mail) -> tuple[str, str]:
    """What the mail system says, and the copy of our mail under it."""
    text = mail.text[: 2 * NOTICE]
    place = 0
    for line in text.splitlines(keepends=True):
        ruled = line.lstrip()[:1] in ("-", "=", "*", "_", "+", "~", ">")
        if place > 0 and words.COPY.match(folded(line[:120]) if ruled else line[:30].lower()):
            return text[:place][:NOTICE], text[place:]
        place += len(line)
    return text[:NOTICE], ""


def _told(mail: Mail, us: Us, notice: str, copy: str) -> tuple[Fate, ...]:
    """What a notice without RFC 3464 fields tells of its recipients."""
    subject = folded(mail.subject[:300])
    said = subject + "\n" + folded(notice[:4_000])
    code = first_code(notice) or reply_code(notice)
    outcome = "failed"
    if not code.startswith("5"):
        outcome = "delayed" if words.DELAYED.search(said) else outcome
        outcome = "delivered" if not code and words.DELIVERED.search(said) else outcome
    failed = [address for value in mail.headers.all("x-failed-recipients") for address in _addresses(value)]
    recipients = [address for address in failed if not _ours(address, us)] or _named(mail, us, notice)
    recipients = recipients or _flufl(mail, us) or _any_named(mail, us, notice)
    recipients = recipients or _copied(mail, us, copy)
    several = len(recipients) > 1
    fates = (
        fate(address, outcome, "", around(notice, address) if several else around(notice))
        for address in dict.fromkeys(recipients or [""])
    )
    return tuple(fates)[:MOST_FATES]


def _named(mail: Mail, us: Us, notice: str) -> list[str]:
    """Addresses that stand at the beginning of a line of the notice: how nearly all systems list who failed."""
    found = []
    for line in notice.splitlines()[:400]:
        place = _ADDRESS.search(line[:400]) if "@" in line else None
        if place and (_LONE.match(line[: place.start()]) or "rcpt to" in line[: place.start()].lower()):
            found.append(place[0])
    return _foreign(found, mail, us)


def _any_named(mail: Mail, us: Us, notice: str) -> list[str]:
    return _foreign(_addresses(notice), mail, us)[:1]


def _copied(mail: Mail, us: Us, copy: str) -> list[str]:
    """To whom our mail was, as the copy says, if it was one person."""
    told = [mailbox.address for inner in mail.enclosed for mailbox in inner.to]
    text = copy or "\n".join(r.text for r in mail.reports if "rfc822" in r.media_type) or mail.all_text[:NOTICE]
    told = told or [address for line in _TO.findall(text)[:5] for address in _addresses(line)]
    foreign = _foreign(told, mail, us)
    return foreign if len(foreign) == 1 else []


def _flufl(mail: Mail, us: Us) -> list[str]:
    from flufl.bounce import all_failures

    message = Message()
    for name in ("from", "subject", "x-mailer"):
        if value := mail.headers.first(name):
            message[name] = value[:_LINE].replace("\r", " ").replace("\n", " ")
    lines = [line[:_LINE] for line in mail.text[:NOTICE].splitlines()[:_LINES]]
    message.set_payload("\n".join(lines).encode("utf-8", "replace"), "utf-8")
    try:
        temporary, permanent = all_failures(message)
    except (ValueError, LookupError, TypeError, AttributeError):  # its detectors were not written for hostile mail
        return []
    found = sorted(address.decode("utf-8", "replace") for address in temporary | permanent)
    return _foreign([address for told in found for address in _addresses(told)], mail, us)


def _foreign(addresses: Iterable[str], mail: Mail, us: Us) -> list[str]:
    """Those that may be a customer's: not ours, not the mail system's own, no Message-ID."""
    system = {mailbox.address for mailbox in (*mail.from_, *mail.sender)}
    ids = {mail.message_id.lower(), *(name.lower() for name in _ID.findall(mail.all_text))}
    kept = (
        address
        for address in (_tidy(address) for address in addresses)
        if address
        and not _ours(address, us)
        and address not in system
        and not re.match(r"postmaster@|abuse@|mailer-daemon@|helpdesk@", address)
        and f"<{address}>" not in ids
    )
    return list(dict.fromkeys(kept))[:MOST_FATES]


def _ours(address: str, us: Us) -> bool:
    if delivery_in(address) or delivery_of(address):
        return True
    local, _, domain = address.rpartition("@")
    return address in us.addresses or f"{local.partition('+')[0]}@{domain}" in us.addresses


def _addresses(text: str) -> list[str]:
    return [tidy for found in _ADDRESS.findall(text[:NOTICE]) if (tidy := _tidy(found))]


def _tidy(address: str) -> str:
    address = address.strip("<>\"'.,;:!").lower()
    local, _, domain = address.rpartition("@")
    return address if local and "." in domain and len(address) <= 254 else ""
