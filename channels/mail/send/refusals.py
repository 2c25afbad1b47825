"""What a mail server's refusal means for us: the one table from SMTP's codes to our failures.

Rule: what is our own fault never silences a customer, and a server's words decide only where it gave no enhanced code
(RFC 3463). Facts, by who is meant:

| the server says | our next move |
|--|--|
| 421, 450, 451, 452 and any 4xx | `Retry` after a minute at least; the whole channel where it is about us |
| 4.2.2 mailbox full for now | `Retry` in an hour |
| 5.4.5 daily limit of the account (Gmail) | `Retry` in an hour, whole channel |
| 530, 534, 535, 538; relaying denied; 5.7.60, 5.1.7, 5.1.8 our sender refused; any 5xx to MAIL | `Misconfigured` |
| 5.1.0-3, 5.1.6, 5.1.10, 5.2.1, 5.4.4, and 550/551/553 whose words say that nobody is there | `Unreachable` |
| 5.2.2 mailbox full | `Refused`: it may be emptied, so the address is kept |
| 5.2.3, 5.3.4, 552 to MAIL or after the text | `Refused` with FILE_TOO_BIG |
| 5.7.x, and words such as spam, blocked, policy, DMARC | `Refused`: they refuse us, the customer is fine |
| any other 5xx | `Refused` with the server's words |
"""

from __future__ import annotations

import re
from datetime import timedelta
from enum import Enum

from channels.errors import FILE_TOO_BIG, Misconfigured, Refused, Retry, SendFailed, Unreachable

SOON = timedelta(minutes=1)  # greylisting wants a minute at least, often five
LATER = timedelta(hours=1)
MOST_SAID = 200  # characters of a server's words that are shown

NOBODY = frozenset({"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4"})
TOO_BIG = frozenset({"5.2.3", "5.3.4"})
OUR_SENDER = frozenset({"5.1.7", "5.1.8", "5.7.60"})

# Pieces of what servers say, in lower case, where their codes leave it open.
NOBODY_WORDS = (
    *("user unknown", "unknown user", "unknown recipient", "unknown mailbox", "no such user", "no such recipient"),
    *("no such mailbox", "no such address", "does not exist", "doesn't exist", "not exist", "mailbox not found"),
    *("user not found", "recipient not found", "address not found", "no mailbox", "not a valid mailbox"),
    *("invalid recipient", "invalid mailbox", "mailbox unavailable", "mailbox is disabled", "account is disabled"),
    *("account has been disabled", "account disabled", "recipient address rejected: access denied"),
    *("doesn't have a", "not our customer"),
)
RELAY_WORDS = (
    "relaying denied",
    "relay access denied",
    "unable to relay",
    "relay not permitted",
    "not permitted to relay",
)
POLICY_WORDS = (
    *("spam", "block", "blacklist", "policy", "reputation", "listed", "dmarc", "dkim", "spf", "unsolicited", "banned"),
    *("authentication-results", "unauthenticated"),
)
FULL_WORDS = ("mailbox full", "mailbox is full", "over quota", "quota exceeded", "exceeded quota", "out of storage")
LIMIT_WORDS = (
    "sending limit",
    "sending quota",
    "daily limit",
    "rate limit",
    "too many messages",
    "too many connections",
)

_ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")


class Stage(Enum):
    """Where in the talk a server refused."""

    GREETING = "greeting"
    LOGIN = "login"
    SENDER = "sender"  # MAIL FROM
    RECIPIENT = "recipient"  # RCPT TO
    TEXT = "text"  # DATA, and after the final dot


def enhanced(text: str) -> str:
    """The enhanced status code such as "5.1.1", "" when there is none where one belongs."""
    found = _ENHANCED.search(text[:40])
    return found[1] if found else ""


def said(text: str) -> str:
    """A server's words as they may be shown: one short line."""
    text = "".join(char if char.isprintable() else " " for char in text[: MOST_SAID * 4])
    return " ".join(text.split())[:MOST_SAID]


def outcome(stage: Stage, code: int, text: str) -> SendFailed:
    """What a refusal means. Nothing was sent; `code` is what the server answered, whatever that is."""
    status = enhanced(text)
    named = status or str(code)
    words = text.lower()
    if stage is Stage.LOGIN:
        return _login(code, named, words)
    if 500 <= code < 600:
        return _final(stage, code, status, named, words, said(text))
    if status == "4.2.2":
        return Retry("The customer's mailbox is full.", after=LATER, provider_code=named)
    ours = code == 421 or stage in (Stage.GREETING, Stage.SENDER) or _any(LIMIT_WORDS, words)
    return Retry(f"The mail server asks to wait: {said(text)}", after=SOON, whole_channel=ours, provider_code=named)


def _login(code: int, named: str, words: str) -> SendFailed:
    """No words of the server are shown here: some repeat what they were given."""
    if code < 500:
        return Retry("The mail server takes no login for now.", after=SOON, whole_channel=True, provider_code=named)
    if "5.7.139" in words or "smtpclientauthentication" in words or "basic authentication is disabled" in words:
        detail = (
            "Microsoft 365 takes no password over SMTP for this mailbox. Use OAuth (?auth=xoauth2), or have an "
            "administrator switch on Authenticated SMTP for it."
        )
    elif code == 534 or "5.7.9" in words or "application-specific" in words or "app password" in words:
        detail = "The mail server wants an app password here, not the account's own. Make one and put it into `smtp`."
    elif code in (530, 538):
        detail = "The mail server wants a login over an encrypted connection. Check user, password and port in `smtp`."
    elif code in (500, 502, 503, 504):
        detail = "The mail server does not know this way of logging in. Check port and ?auth= in `smtp`."
    else:
        detail = (
            "The mail server does not accept user and password. Many providers want an app password, or OAuth "
            "(?auth=xoauth2), and SMTP switched on in the mailbox's settings."
        )
    return Misconfigured(detail, provider_code=named)


def _final(stage: Stage, code: int, status: str, named: str, words: str, shown: str) -> SendFailed:
    if code in (530, 534, 535, 538):
        return Misconfigured("The mail server sends only for who logs in. Check `smtp`.", provider_code=named)
    if stage is Stage.GREETING:
        return Misconfigured(f"The mail server refuses to talk to us: {shown}", provider_code=named)
    if status == "5.4.5" or _any(LIMIT_WORDS, words):
        detail = "The mailbox has sent as much as its provider allows for now."
        return Retry(detail, after=LATER, whole_channel=True, provider_code=named)
    if status in TOO_BIG or (code == 552 and status != "5.2.2" and stage is not Stage.RECIPIENT):
        return Refused("The mail is larger than the mail server takes.", provider_code=FILE_TOO_BIG)
    if status in OUR_SENDER or _any(RELAY_WORDS, words) or stage is Stage.SENDER:
        return Misconfigured(f"The mail server does not send for our address: {shown}", provider_code=named)
    return _about_them(stage, code, status, named, words, shown)


def _about_them(stage: Stage, code: int, status: str, named: str, words: str, shown: str) -> SendFailed:
    if status == "5.2.2" or _any(FULL_WORDS, words) or (code == 552 and stage is Stage.RECIPIENT):
        return Refused("The customer's mailbox is full.", provider_code=named)
    policy = status.startswith("5.7.") or (not status and _any(POLICY_WORDS, words))
    denied = status == "5.4.1" and "recipient address rejected" in words  # Microsoft 365 for an unknown mailbox
    told = not policy and status[:4] in ("", "5.0.", "5.5.") and _any(NOBODY_WORDS, words)
    if status in NOBODY or denied or told:
        return Unreachable(f"This address takes no mail: {shown}", provider_code=named)
    if policy:
        detail = f"Their mail server refuses mail from us, not this customer: {shown}"
        return Refused(detail, provider_code=named)
    return Refused(f"The mail server refuses this mail: {shown}", provider_code=named)


def _any(pieces: tuple[str, ...], words: str) -> bool:
    return any(piece in words for piece in pieces)
