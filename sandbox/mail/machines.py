"""Mail that no person writes: vacation notes, reports of servers, newsletters.

Rule: pure. Each carries the headers its kind carries in the wild, so that a program can know it for what it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.utils import format_datetime

from sandbox.mail.clients import POLICY, message_id
from sandbox.mail.reading import Seen
from sandbox.mail.search import head
from sandbox.mail.values import Account, Fate

_AWAY = {"tr": "Otomatik yanıt", "ru": "Автоматический ответ", "de": "Automatische Antwort", "en": "Automatic reply"}
_REPORTS = {
    Fate.BOUNCE: ("failed", "5.1.1", "550 5.1.1 The account that you tried to reach does not exist"),
    Fate.BOUNCE_FULL: ("failed", "5.2.2", "552 5.2.2 The recipient's mailbox is full"),
    Fate.BOUNCE_POLICY: ("failed", "5.7.1", "550 5.7.1 Message refused by our policy: poor reputation of the sender"),
    Fate.DELAY: ("delayed", "4.4.1", "421 4.4.1 Connection timed out"),
}


def vacation(account: Account, about: Seen, at: datetime) -> bytes:
    """Answer a mail in the name of somebody who is away."""
    note = EmailMessage(policy=POLICY)
    note["From"] = account.mailbox if account.mailbox.isascii() else account.address
    note["To"] = about.reply_to or about.sender_address
    note["Subject"] = f"{_AWAY.get(account.language, _AWAY['en'])}: {about.subject}"
    note["Date"] = format_datetime(at)
    note["Message-ID"] = message_id(account.client, account.domain)
    if about.message_id:
        note["In-Reply-To"] = about.message_id
        note["References"] = " ".join([*about.references[-10:], about.message_id])
    note["Auto-Submitted"] = "auto-replied"
    note["X-Auto-Response-Suppress"] = "All"
    note["Precedence"] = "bulk"
    note.set_content(account.vacation + "\n", cte="base64")
    return note.as_bytes()


def newsletter(sender: Account, to: str, subject: str, text: str, at: datetime) -> bytes:
    """Write an issue of a newsletter, with all that bulk mail carries today."""
    issue = EmailMessage(policy=POLICY)
    token = secrets.token_urlsafe(12)
    issue["From"] = sender.mailbox if sender.mailbox.isascii() else sender.address
    issue["To"] = to
    issue["Subject"] = subject
    issue["Date"] = format_datetime(at)
    issue["Message-ID"] = f"<{token}@news.{sender.domain}>"
    issue["List-Id"] = f"<news.{sender.domain}>"
    issue["List-Unsubscribe"] = f"<https://news.{sender.domain}/u/{token}>, <mailto:leave@{sender.domain}>"
    issue["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    issue["Precedence"] = "bulk"
    issue["Feedback-ID"] = f"{token}:{sender.domain}"
    issue.set_content(f"{text}\n\nhttps://news.{sender.domain}/u/{token}\n", cte="quoted-printable")
    issue.add_alternative(
        f"<html><body><table><tr><td><p>{text}</p><p><a href='https://news.{sender.domain}/u/{token}'>"
        "Unsubscribe</a></p></td></tr></table></body></html>\n",
        subtype="html",
        cte="quoted-printable",
    )
    return issue.as_bytes()


def report(fate: Fate, sent: bytes, recipient: str, host: str, at: datetime) -> bytes:
    """Tell the sender that a mail did not get through, as RFC 3464 wants it; BOUNCE_PLAIN as it is often done."""
    if fate is Fate.BOUNCE_PLAIN:
        return _plain_report(sent, recipient, host, at)
    action, status, diagnostic = _REPORTS[fate]
    about = message_from_bytes(head(sent))
    late = action == "delayed"
    boundary = secrets.token_hex(12)
    words = (
        f"Your message to {recipient} has not been delivered yet. It will be tried for 46 more hours."
        if late
        else f"Your message to {recipient} could not be delivered.\n\nThe other server said:\n{diagnostic}"
    )
    fields = {
        "From": f"Mail Delivery Subsystem <mailer-daemon@{host}>",
        "To": _return_path(about),
        "Subject": f"Delivery Status Notification ({'Delay' if late else 'Failure'})",
        "Date": format_datetime(at),
        "Message-ID": f"<{secrets.token_hex(12)}@{host}>",
        "Auto-Submitted": "auto-replied",
        "In-Reply-To": str(about.get("Message-ID", "")),
        "References": str(about.get("Message-ID", "")),
        "MIME-Version": "1.0",
        "Content-Type": f'multipart/report; report-type=delivery-status; boundary="{boundary}"',
    }
    told = {
        "Final-Recipient": f"rfc822; {recipient}",
        "Action": action,
        "Status": status,
        "Remote-MTA": f"dns; mx.{recipient.rpartition('@')[2]}",
        "Diagnostic-Code": f"smtp; {diagnostic}",
    }
    if late:
        told["Will-Retry-Until"] = format_datetime(at + timedelta(hours=46))
    parts = [
        ("text/plain; charset=us-ascii", words),
        ("message/delivery-status", f"Reporting-MTA: dns; {host}\n\n{_lines(told)}"),
        ("text/rfc822-headers", head(sent).decode("ascii", "replace").replace("\r\n", "\n").strip()),
    ]
    body = "".join(f"--{boundary}\nContent-Type: {kind}\n\n{text}\n" for kind, text in parts)
    return f"{_lines(fields)}\n\n{body}--{boundary}--\n".replace("\n", "\r\n").encode("ascii", "replace")


def _lines(fields: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in fields.items())


def _plain_report(sent: bytes, recipient: str, host: str, at: datetime) -> bytes:
    about = message_from_bytes(head(sent))
    note = EmailMessage(policy=POLICY)
    note["From"] = f"Mail Administrator <postmaster@{host}>"
    note["To"] = _return_path(about)
    note["Subject"] = "Undeliverable mail"
    note["Date"] = format_datetime(at)
    note["Message-ID"] = f"<{secrets.token_hex(12)}@{host}>"
    shown = head(sent).decode("utf-8", "replace").replace("\r\n", "\n")
    note.set_content(f"{recipient}: user unknown\n\n----- the mail as it came -----\n\n{shown}", cte="quoted-printable")
    return note.as_bytes()


def _return_path(about: Message) -> str:
    found = str(about.get("Return-Path", "")).strip("<> ")
    return found or " ".join(str(about.get("From", "")).split())  # it may be folded
