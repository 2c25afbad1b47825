"""What the keys of an e-mail channel can hold, alone and together, and how a wrong one is mended, in words.

Rule: what the parts of `channels/mail` would refuse when they are made is refused here already; they judge themselves
where they can, and are loaded for the keys that are given only.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Collection, Iterator, Mapping
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from app.config.values import SecretUrl, Text, beside, filled, matching, one_line, split
from app.problems import Place, Wrong, addition
from templates.suggesting import meant, suggest

NO_PASSWORD = ("", "-")  # "-" stands where a URL has to have one and OAuth makes it superfluous
STANDARD_PORTS = (None, 143, 993)  # the same mailboxes are behind them; others may lead to another machine
OAUTH = ("oauth_token_url", "oauth_client_id", "oauth_client_secret", "oauth_refresh_token", "oauth_scope")
DNS_NAME = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62}){0,20}"

_AUTHSERV = re.compile(rf"{DNS_NAME}|\*\.{DNS_NAME}\.[A-Za-z0-9_-]{{1,63}}|")
_SENDER = re.compile(r"[^<>]*<(?P<inside>[^<>]*)>|(?P<bare>[^<>]*)")


# --- One key --------------------------------------------------------------------------------------------------------


def mailbox(scheme: str, *, login: bool, options: Collection[str]) -> AfterValidator:
    """The URL of a mail server. `options` are what may stand after the ?, `login` whether a user is needed."""
    form = (
        f"write {scheme}s://user:password@{scheme}.example; in user and password @ is %40, : %3A, / %2F, ? %3F, # %23, "
        "% %25"
    )
    what = f"is not the address of an {scheme.upper()} server"

    def check(value: SecretUrl) -> SecretUrl:
        text = value.get_secret_value()
        if any(letter.isspace() for letter in text):
            raise Wrong("has a space in it", "write it without; one that belongs to the password is %20", secret=True)
        server, cut, rest = _server(text)
        if "@" in rest:  # what stands before it was taken for the host
            raise Wrong(f"has an unescaped {cut} in its user name or password", form, secret=True)
        if not _is_port(server):
            fix = f"write a number from 1 to 65535 after the host, or leave the port out; {form}"
            raise Wrong("has a port that is none", fix, secret=True)
        parts = split(text, what, form)
        if parts.scheme not in (scheme, f"{scheme}s") or not _is_host(parts.hostname or ""):
            raise Wrong(what, form, secret=True)
        if parts.path.strip("/"):
            folders = "; the inbox is always read, others are named in folders" if scheme == "imap" else ""
            raise Wrong("has a path", f"remove what stands after the host{folders}", secret=True)
        if parts.fragment or not set(filter(None, parts.query.split("&"))) <= set(options):
            fix = f"only {' and '.join(f'?{option}' for option in options)} can stand there"
            raise Wrong("has an unknown part after the host", fix, secret=True)
        _check_login(parts, login, form)
        return value

    return AfterValidator(check)


def _server(url: str) -> tuple[str, str, str]:
    """What a URL reader takes for user, password, host and port; the letter that ends it; and what follows."""
    after = url.partition("://")[2]
    found = re.search(r"[/?#]", after)
    return (after[: found.start()], found[0], after[found.end() :]) if found else (after, "", "")


def _is_port(server: str) -> bool:
    found = re.fullmatch(r"(?:\[[^\]]*\]|[^:]*)(?::(.*))?", server.rpartition("@")[2])
    if found is None or not found[1]:
        return True
    return bool(re.fullmatch(r"[0-9]{1,5}", found[1])) and 0 < int(found[1]) < 65536


def _is_host(name: str) -> bool:
    try:
        return bool(re.fullmatch(r"[\w.:%-]+", name) and name.encode("idna"))
    except UnicodeError:
        return False


def _check_login(parts: SplitResult, login: bool, form: str) -> None:
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    token = "auth=xoauth2" in parts.query.split("&")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in user + password):
        raise Wrong("has a control character in its user name or password", form, secret=True)
    if not user and (login or password or token):
        raise Wrong("has no user name and password" if login else "has no user name", form, secret=True)
    if user and not password and not token:
        raise Wrong("has no user name and password" if login else "has a user name but no password", form, secret=True)
    if password and password in NO_PASSWORD and not token:
        raise Wrong("has - for a password", "write the password, or add ?auth=xoauth2 for OAuth", secret=True)


def delivery_door(value: str) -> str:
    """Where mail servers deliver to us: `lmtp://host:port` or `smtp://host:port`."""
    what, fix = "is not where mail is delivered", "write lmtp://127.0.0.1:2424 or smtp://0.0.0.0:25"
    parts = split(value, what, fix)
    if parts.username is not None:
        raise Wrong("has a user name or password in it", f"nobody logs in there; {fix}", secret=True)
    more = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in ("lmtp", "smtp") or not parts.hostname or not parts.port or more:
        raise Wrong(what, fix)
    return value


def receiver(value: str) -> str:
    """An authserv-id as receivers write it: a host name, `*.` and a domain, or nothing."""
    value = value.strip().lower()
    if _AUTHSERV.fullmatch(value):
        return value
    host = re.sub(r"^[a-z]+://", "", value).split("/")[0].split(";")[0].strip(" .\"'")
    form = (
        'write the host alone, like mx.google.com, or *.yandex.net for all below a domain, or "" for one without a name'
    )
    near = meant(host if _AUTHSERV.fullmatch(host) else "")
    raise Wrong("is not how a receiver names itself", f"{near} {form}".strip())


def sendable(value: str) -> str:
    """An address that can stand in the envelope of a mail: ASCII before the @."""
    from channels.mail.send.fields import address

    found = address(value)
    if not found or not found.isascii():
        fix = "before the @ are letters a-z without accents, digits, and . _ + -; after it a domain"
        raise Wrong("is not an address that mail can be sent from", fix)
    return value


def sender(value: str) -> str:
    """`Name <address>`, or an address alone."""
    value = one_line(value)
    found = _SENDER.fullmatch(value)
    written = (found["inside"] if found["inside"] is not None else found["bare"]).strip() if found else ""
    form = 'write "Kumbara <support@shop.example>" or only the address'
    if not re.fullmatch(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+", written):
        raise Wrong("is neither an address nor a name with one", form)
    if parseaddr(value)[1] != written:
        raise Wrong("has a name that needs quotes", "write '\"Kumbara, İade\" <iade@shop.example>'")
    sendable(written)
    return value


def by_team(value: object) -> object:
    if not isinstance(value, dict):
        raise Wrong("is not a list of teams", 'write { support = "Kumbara <support@shop.example>" }', secret=True)
    return value


def certificates(value: Path, folder: Path) -> Path:
    """A PEM file of authorities, taken relative to the configuration file."""
    found = beside(folder, value)
    try:
        if not found.is_file():
            what = "is a folder" if found.is_dir() else "does not exist"
            raise Wrong(what, "name a PEM file of certificates; a relative name begins beside the configuration file")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=found)
    except ssl.SSLError:
        fix = "name a PEM file; it has a line -----BEGIN CERTIFICATE-----"
        raise Wrong("holds no certificate that can be read", fix) from None
    except OSError as error:
        raise Wrong(f"cannot be read ({error.strerror})", "mend its permissions") from None
    return found


def signing_key(value: SecretStr) -> SecretStr:
    """The private key of DKIM, judged by who signs with it."""
    from channels.mail.send.sign import Signer

    try:
        Signer("shop.example", "selector", value.get_secret_value())
    except ValueError as error:
        what, _, fix = str(error).removeprefix("The DKIM key ").rstrip(".").partition(". ")
        form = 'write the key itself, not the name of its file, like dkim_key = "${DKIM_KEY}"'
        raise Wrong(what, f"{fix[:1].lower()}{fix[1:]}" if fix else form, secret=True) from None
    return value


def token_url(value: str) -> str:
    """Where OAuth is asked for tokens; secrets go there, so that http is for this machine alone."""
    parts = urlsplit(value)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (host in ("localhost", "::1") or host.startswith("127.")):
        raise Wrong("is not encrypted", "write https://; http is for this machine", secret=True)
    return value


MailUrl = Annotated[SecretUrl, BeforeValidator(filled)]
ImapUrl = Annotated[MailUrl, mailbox("imap", login=True, options=("auth=xoauth2", "starttls=off"))]
SmtpUrl = Annotated[MailUrl, mailbox("smtp", login=False, options=("auth=xoauth2",))]
MailAddress = Annotated[
    Text,
    matching(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+", "is not an e-mail address", "write it like support@shop.example"),
    AfterValidator(str.lower),
]
OwnAddress = Annotated[MailAddress, AfterValidator(sendable)]
Receiver = Annotated[str, AfterValidator(receiver)]
Sender = Annotated[Text, AfterValidator(sender)]
Selector = Annotated[
    Text,
    matching(DNS_NAME, "is not a name that DNS can hold", "write what stands before ._domainkey in DNS, like santral"),
]
SigningDomain = Annotated[
    Text,
    matching(DNS_NAME, "is not a name that DNS can hold", "write it like shop.example, with ü and ş in its xn-- form"),
]


# --- Several keys ---------------------------------------------------------------------------------------------------


def across_mailbox(place: Place, table: Mapping[str, Any], teams: Collection[str]) -> Iterator[tuple[Place, str, str]]:
    """What is wrong with an e-mail channel as a whole. Reads plain values, which may be wrong in themselves."""
    if not {"imap", "listen", "inbound"} & set(table):
        yield place, "says of no way in which mail comes", addition("imap", "imaps://user:password@imap.example:993")
    yield from _across_inbound(place, table)
    if ("dkim_key" in table) != ("dkim_selector" in table):
        yield place, "dkim_key and dkim_selector belong together", "give both, or neither where your mail server signs"
    elif "dkim_key" in table and "dkim_domain" not in table and not str(table.get("address")).isascii():
        yield (*place, "dkim_domain"), "is missing", "add the domain of address in its xn-- form, which DNS holds"
    yield from _across_oauth(place, table)
    senders = table.get("senders")
    for team in senders if isinstance(senders, dict) and teams else ():
        if team not in teams:
            fix = f"{suggest(team, teams)} the teams are {', '.join(teams)}".strip()
            yield (*place, "senders"), f'there is no team "{team}"', fix


def _across_inbound(place: Place, table: Mapping[str, Any]) -> Iterator[tuple[Place, str, str]]:
    kind = table.get("inbound")
    if kind not in ("sendgrid", "mailgun", "postmark", "ses"):
        return
    key = "inbound_topic" if kind == "ses" else "inbound_secret"
    if kind != "ses" and "inbound_topic" in table:
        yield (*place, "inbound_topic"), 'belongs to inbound = "ses"', "remove it"
    secret = table.get(key)
    if key not in table:
        fix = (
            "the ARN of the SNS topic that brings the mail" if kind == "ses" else "the key by which the provider signs"
        )
        yield (*place, key), "is missing", f"copy {fix}{'' if kind == 'ses' else ', or user:password'}"
    elif isinstance(secret, str) and secret.strip():
        from channels.mail.inbound.providers import provider

        try:
            provider(kind, "mail", secret.strip())
        except ValueError as error:
            yield (*place, key), f"cannot be what {kind} gives", str(error)


def _across_oauth(place: Place, table: Mapping[str, Any]) -> Iterator[tuple[Place, str, str]]:
    tokens = [key for key in ("imap", "smtp") if _wants_token(table.get(key))]
    given = set(OAUTH) & set(table)
    missing = [key for key in OAUTH[:2] if key not in given]
    if not {"oauth_client_secret", "oauth_refresh_token"} & given:
        missing.append("oauth_client_secret or oauth_refresh_token")
    if missing and given:
        what = f"OAuth lacks {' and '.join(missing)}"
        yield place, what, "it takes oauth_token_url, oauth_client_id, and oauth_client_secret or oauth_refresh_token"
    elif missing and tokens:
        keys = f"{', '.join(missing[:-1])}, and {missing[-1]}"
        what = f"{' and '.join(tokens)} with ?auth=xoauth2 and no password: {keys} are missing"
        yield place, what, "add them, or put an access token in the place of the password"


def _wants_token(url: object) -> bool:
    """Whether a URL says xoauth2 and has no token itself. Of one that is wrong in itself nothing is said."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        return False
    found = parts is not None and bool(parts.hostname) and "auth=xoauth2" in parts.query.split("&")
    return found and parts is not None and unquote(parts.password or "").strip() in NO_PASSWORD


def across_mailboxes(tables: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[tuple[Place, str, str]]:
    """What two e-mail channels must not share, or every mail would come twice."""
    seen: dict[tuple[str, object], int] = {}
    for position, table in tables:
        if table.get("kind") != "email":
            continue
        address = table.get("address")
        shared = (
            ("address", address.strip().lower() if isinstance(address, str) and "@" in address else None),
            ("imap", _mailbox_of(table.get("imap"))),
            ("listen", _door_of(table.get("listen"))),
        )
        for key, value in shared:
            first = seen.setdefault((key, value), position) if value is not None else position
            if first != position:
                yield ("channels", position, key), f"channels[{first + 1}] {_SHARED[key][0]}", _SHARED[key][1]


_SHARED = {
    "address": ("has the same address", "give every channel its own, or remove one of the two"),
    "imap": ("reads the same mailbox", "keep one of the two, and name the other address in its aliases"),
    "listen": ("listens at the same place", "give each its own port, or keep one with the other address in aliases"),
}


def _mailbox_of(url: object) -> object:
    try:
        parts = urlsplit(url.strip()) if isinstance(url, str) else None
        if parts is None or not parts.hostname or not parts.username:
            return None
        port = None if parts.port in STANDARD_PORTS else parts.port
    except ValueError:
        return None  # named where the key itself is checked
    return unquote(parts.username).lower(), parts.hostname, port


def _door_of(url: object) -> object:
    try:
        parts = urlsplit(url.strip()) if isinstance(url, str) else None
        return (parts.hostname, parts.port) if parts is not None and parts.hostname and parts.port else None
    except ValueError:
        return None
