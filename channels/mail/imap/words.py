"""What goes wrong at an IMAP server, and what the shop can do about it: errors to our failures, in words.

Rule: a server's own words are shown shortened, and never a password or a token, whoever says it back to us.
"""

from __future__ import annotations

import re
import socket
import ssl
import zlib
from collections.abc import Iterable
from datetime import timedelta

from channels.errors import Misconfigured, Retry, SendFailed

MOST_SAID = 200  # characters of a server's words that are shown
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(minutes=5)  # between two tries at a server that is away
SOONEST, LATEST = timedelta(minutes=1), timedelta(minutes=15)  # between two logins after a refused one

# Host names' ends to what their provider wants. A password for people opens none of these mailboxes.
APP_ADVICE = (
    "Turn on two-step verification and make an app password at {where}, and put that into `imap` instead of the "
    "password you sign in with. Or use OAuth (?auth=xoauth2)."
)
MICROSOFT = (
    "Microsoft takes no passwords for IMAP any more. Use OAuth: ?auth=xoauth2 in `imap`, and the oauth_ keys "
    "(docs/channels/email.md, Microsoft 365). IMAP must be on for this mailbox in the Exchange admin centre."
)
ADVICE: dict[str, str] = {
    "gmail.com": APP_ADVICE.format(where="myaccount.google.com/apppasswords"),
    "googlemail.com": APP_ADVICE.format(where="myaccount.google.com/apppasswords"),
    "office365.com": MICROSOFT,
    "outlook.com": MICROSOFT,
    "hotmail.com": MICROSOFT,
    "yandex.com": "Allow IMAP and app passwords in Yandex Mail, Settings, Email clients; make an app password for Mail "
    "at id.yandex.com, Security, and put that into `imap`.",
    "mail.ru": "Make a password for external applications in Mail.ru, Settings, Security, and put that into `imap`.",
    "mail.me.com": "Make an app-specific password at account.apple.com, Sign-In and Security, and put it into `imap`.",
    "yahoo.com": "Make an app password at login.yahoo.com, Account security, and put that into `imap`.",
    "zoho.com": "Turn IMAP on in Zoho Mail, Settings, Mail accounts, and make an app password at accounts.zoho.com.",
    "zoho.eu": "Turn IMAP on in Zoho Mail, Settings, Mail accounts, and make an app password at accounts.zoho.eu.",
}
ADVICE["yandex.ru"] = ADVICE["yandex.com.tr"] = ADVICE["yandex.com"]
ANY = "Look at the user name and the password in `imap`, and that the provider has IMAP turned on for this mailbox."
OAUTH_ADVICE = (
    "The access token is refused. Look at oauth_scope and that the person who granted it owns this mailbox: IMAP needs "
    "https://mail.google.com/ (Google) or https://outlook.office.com/IMAP.AccessAsUser.All (Microsoft)."
)
PLAIN = (
    "{host} offers no encryption (STARTTLS), so the password could be read on its way, and nothing was sent. Use "
    "imaps:// in `imap`, or the port on which it encrypts."
)
IMAP_OFF = "IMAP is turned off for this mailbox. Turn it on in the provider's settings (POP/IMAP, mail programs)."
CERTIFICATE = (
    "The certificate of {host} is not trusted ({why}). Write the host name that is on it, or name its CA in cafile."
)
NO_TLS = "{host} does not speak TLS on port {port}. imaps:// goes to port 993; use imap:// where STARTTLS is spoken."

# Response codes (RFC 5530) and pieces of words that say: later, not never.
PASSING = (
    *("[unavailable]", "[inuse]", "[limit]", "[serverbug]", "[overquota]", "[throttled]"),
    *("temporar", "try again", "later", "too many", "too fast", "rate limit", "maximum number of connections"),
    *("system error", "server error", "internal error", "backend", "unavailable", "timeout", "timed out"),
)
OFF = ("not enabled for imap", "imap access is disabled", "imap is disabled", "imap disabled", "imap access disabled")
# The name of a secret and what stands for it, should a server repeat what it was given.
SECRETS = re.compile(r"(?i)\b(bearer|token|password|pass)([ =:]+)[^\s\]\"']+")


class Lost(Exception):
    """The line is gone or was never there. `words` are for a person; `stay` when trying again will not mend it."""

    def __init__(self, words: str, *, stay: bool = False) -> None:
        super().__init__(words)
        self.words = words
        self.stay = stay


class LoginRefused(Exception):
    """The server knows us and does not let us in."""

    def __init__(self, failure: Misconfigured) -> None:
        super().__init__(failure.detail)
        self.failure = failure


def lost(error: Exception, host: str, port: int, stage: str, secrets: Iterable[str] = ()) -> Lost:
    """What an error of the line, of TLS or of the protocol means. `stage` says what was being done."""
    match error:
        case Lost():
            return error
        case ssl.SSLCertVerificationError():
            return Lost(CERTIFICATE.format(host=host, why=error.verify_message or "invalid"), stay=True)
        case ssl.SSLError() if stage == "connect" and error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return Lost(NO_TLS.format(host=host, port=port), stay=True)
        case socket.gaierror():
            return Lost(f"No server is known by the name {host}. Look at how it is written in `imap`.")
        case ConnectionRefusedError():
            return Lost(f"{host} takes no connections on port {port}. Look at host and port in `imap`.")
        case TimeoutError():
            words = f"{host}:{port} cannot be reached in time" if stage == "connect" else f"{host} fell silent"
            return Lost(f"{words}. A firewall may be in between.")
        case OSError():
            return Lost(f"The line to {host} broke ({error.strerror or type(error).__name__}).")
        case _:
            first = error.args[0] if error.args else ""
            said = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
            said = "" if "socket error" in said else shortened(said.removeprefix("* BYE "), secrets)
            return Lost(f"{host} hung up{': ' + said if said else ''}.")


def refused(said: str, host: str, *, oauth: bool, secrets: Iterable[str] = ()) -> SendFailed:
    """What a refused login means: `Retry` when it is the server's trouble, else `Misconfigured` with what to do."""
    words = shortened(said, secrets)
    low = words.lower()
    if "[authenticationfailed]" not in low and any(piece in low for piece in PASSING):
        return Retry(f"{host} lets nobody in just now: {words}", whole_channel=True)
    if any(piece in low for piece in OFF):
        return Misconfigured(f"{IMAP_OFF} {host} says: {words}")
    fix = OAUTH_ADVICE if oauth else next((advice for end, advice in ADVICE.items() if belongs(host, end)), ANY)
    return Misconfigured(f"{host} refuses the login: {words}. {fix}")


def belongs(host: str, end: str) -> bool:
    return host.lower() == end or host.lower().endswith(f".{end}")


def shortened(said: str, secrets: Iterable[str] = ()) -> str:
    """A server's words on one line, without what we gave it."""
    words = " ".join("".join(c if c.isprintable() else " " for c in said[:2_000]).split())
    for secret in filter(None, secrets):
        words = words.replace(secret, "…")
    words = SECRETS.sub(r"\1\2…", words).strip().rstrip(".")
    return words if len(words) <= MOST_SAID else f"{words[: MOST_SAID - 1]}…"


def pause(failures: int, name: str) -> timedelta:
    """How long to leave a server alone after so many failures in a row: doubling, and not all mailboxes at once."""
    whole = min(SHORTEST * 2.0 ** min(failures - 1, 20), LONGEST)
    spread = zlib.crc32(f"{name} {failures}".encode()) % 1000 / 1000
    return whole * (0.75 + spread / 4)


def login_pause(refusals: int) -> timedelta:
    """How long no login is tried after so many refused ones: providers lock accounts that are tried too often."""
    return min(SOONEST * 2.0 ** min(refusals - 1, 10), LATEST)
