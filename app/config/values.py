"""The kinds of values a configuration has, each with what is wrong with a bad one and how to mend it, in words.

Rule: a check raises `Wrong`; it never repeats a value that may be secret.
"""

from __future__ import annotations

import re
import unicodedata
import zoneinfo
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

import phonenumbers
from babel import Locale, UnknownLocaleError
from pydantic import AfterValidator, BeforeValidator, SecretStr, StringConstraints

from app.problems import Wrong
from templates.suggesting import meant, suggest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")  # part of a URL, and shown beside every customer's name


TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # with these a name can lie about others


class SecretUrl(SecretStr):
    """An address with a password in it: printed without user, password and query."""

    def _display(self) -> str:
        try:
            parts = urlsplit(self.get_secret_value())
            port = f":{parts.port}" if parts.port else ""
            return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
        except ValueError:
            return "**********"


class Listen(NamedTuple):
    """Where the web server listens. Host "" is every interface, port 0 any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def filled(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        raise Wrong("is empty", "write its value, or leave the key out if it is not needed", secret=True)
    return value.strip() if isinstance(value, str) else value


def number(value: object) -> object:
    if isinstance(value, bool):
        raise Wrong("must be a number, without quotes")
    return value


def listen_at(value: object) -> Listen:
    if isinstance(value, Listen):
        return value
    found = re.fullmatch(
        r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\s/]*)):(\d{1,5})", value.strip() if isinstance(value, str) else ""
    )
    if not found or int(found[3]) > 65535:
        raise Wrong("is not host:port", 'write "127.0.0.1:8080", "[::1]:8080", or ":8080" for every interface')
    if found[1]:
        try:
            ip_address(found[1])
        except ValueError:
            raise Wrong("has no IP address in its brackets", 'write "[::1]:8080"') from None
    return Listen(found[1] or found[2], int(found[3]))


def split(value: str, what: str, fix: str) -> SplitResult:
    """Take an address apart, or refuse it with these words; reading the port is what finds most of the broken ones."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise Wrong(what, fix, secret=True) from None
    if any(letter.isspace() for letter in value):
        raise Wrong("has a space in it", "write the address without spaces", secret=True)
    return parts


def beside(folder: Path, value: Path) -> Path:
    """A path relative to the folder of the configuration file, wherever the command is called; `~` is a home."""
    try:
        return Path(folder, value.expanduser()).absolute()
    except RuntimeError:
        raise Wrong("begins with a home folder that there is not", "write the whole path") from None


def nearby(host: str) -> bool:
    """Say whether a host can only be on this machine, a private network or a test."""
    if host == "localhost" or ("." not in host.strip(".") and ":" not in host):
        return True  # one word is a container or a machine on the own network
    try:
        address = ip_address(host)
    except ValueError:
        return host.endswith((".localhost", ".test", ".local", ".internal", ".lan", ".home.arpa"))
    return address.is_private or address.is_loopback or address.is_link_local


def web_address(value: str) -> str:
    """A web address: https, or http where nobody else can listen; no query, no credentials, no slash at its end."""
    parts = split(value, "is not an address", "write it like https://support.example.com")
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise Wrong("is not a web address", "write it like https://support.example.com", secret=True)
    if parts.username is not None or parts.password is not None:
        raise Wrong("has a user name or password in it", "remove the part before the @", secret=True)
    if parts.query or parts.fragment or "?" in value or "#" in value:
        raise Wrong("has a ? or # in it", "keep only the address, with a path at most", secret=True)
    if parts.scheme == "http" and not nearby(parts.hostname):
        fix = "write https://; http is for this machine, private networks and tests"
        raise Wrong("is not encrypted", fix, secret=True)
    return value.rstrip("/")


def origin(value: str) -> str:
    if urlsplit(web_address(value)).path:
        raise Wrong("has a path", "write only scheme and host, like https://shop.example")
    return value.rstrip("/")


def slashed(value: str) -> str:
    return f"{value}/"


def _database(value: SecretUrl) -> SecretUrl:
    what = "is not the address of a PostgreSQL"
    fix = "write postgres://user:password@host:5432/database, or leave the key out for the built-in PostgreSQL"
    escapes = "; in the password @ is %40, : %3A, / %2F, ? %3F, # %23"
    if split(value.get_secret_value(), what, fix + escapes).scheme not in ("postgres", "postgresql"):
        raise Wrong(what, fix, secret=True)
    return value


def one_line(value: str) -> str:
    """A name that people read: no line breaks, no control characters, nothing that turns the direction of others."""
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in TURNS for letter in value):
        fix = "write it in one line, with visible characters only"
        raise Wrong("has a line break or another invisible character in it", fix, secret=True)
    return value


def matching(pattern: str, what: str, fix: str, *, secret: bool = False) -> AfterValidator:
    def check(value: Any) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not re.fullmatch(pattern, text):
            raise Wrong(what, fix, secret=secret)
        return value

    return AfterValidator(check)


def _plain(text: str) -> str:
    """The word without case, accents and punctuation, Turkish dotless ı as i: "Ağrı Şubesi!" becomes "agri-subesi"."""
    bare = unicodedata.normalize("NFKD", text.casefold().replace("ı", "i"))
    return re.sub(r"[^a-z0-9_]+", "-", "".join(c for c in bare if not unicodedata.combining(c))).strip("-_")


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise Wrong("cannot be a name", "use letters a-z, digits, - and _, at most 40, like support-bot")
    return value


@cache
def _zones() -> frozenset[str]:
    return frozenset(zone for zone in zoneinfo.available_timezones() if zone not in ("localtime", "Factory"))


def known_timezone(value: str) -> str:
    if value in _zones():
        return value
    if not _zones():
        raise Wrong("cannot be checked: this machine has no time zone data", "install tzdata")
    cities = {zone.rpartition("/")[2].casefold(): zone for zone in sorted(_zones()) if "/" in zone}
    city = cities.get(value.rpartition("/")[2].replace(" ", "_").casefold())
    hint = meant(city) or suggest(value, _zones())
    raise Wrong("is not a time zone", hint or "write one like Europe/Istanbul")


@cache
def _english() -> Locale:
    return Locale("en")


def known_country(value: str) -> str:
    code = value.upper()
    if code in phonenumbers.SUPPORTED_REGIONS:
        return code
    names = {_plain(name): code for code, name in _english().territories.items() if len(code) == 2 and code.isalpha()}
    named = {**names, "turkey": "TR", "uk": "GB", "england": "GB", "usa": "US"}.get(_plain(value))
    raise Wrong("is not a country code of two letters", meant(named) or "write one like TR, DE or US (ISO 3166)")


def _language(value: str) -> str:
    try:
        if "_" not in value:
            return str(Locale.parse(value, sep="-")).replace("_", "-")
    except (ValueError, UnknownLocaleError):
        pass
    named = {_plain(name): code for code, name in _english().languages.items() if len(code) == 2}.get(_plain(value))
    if named is None and "_" in value:
        try:
            named = _language(value.replace("_", "-"))
        except Wrong:
            named = None
    raise Wrong("is not a language code", meant(named) or "write one like tr, ru or pt-BR (BCP 47)")


def distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    for position, value in enumerate(values):
        if value in values[:position]:
            raise Wrong(f"names {value} twice", "name each once", secret=False)
    return values


def _slack_id(letters: str, what: str, fix: str) -> AfterValidator:
    return matching(rf"[{letters}][A-Z0-9]{{2,20}}", what, fix)


CHANNEL_ID_FIX = (
    "in Slack open the channel, click its name, and copy the id at the bottom of About (C0123456789); "
    "a name like #support can change"
)
MEMBER_ID_FIX = "copy the member id from the ⋮ menu of a Slack profile (U0123456789), or the id of a user group (S…)"

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
OneLine = Annotated[Text, AfterValidator(one_line)]
ShortText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), AfterValidator(one_line)
]
ShortTextOrNone = Annotated[str, StringConstraints(strip_whitespace=True, max_length=80), AfterValidator(one_line)]
Secret = Annotated[SecretStr, BeforeValidator(filled)]
DatabaseUrl = Annotated[SecretUrl, BeforeValidator(filled), AfterValidator(_database)]
Url = Annotated[Text, AfterValidator(web_address)]
Name = Annotated[str, AfterValidator(_name)]
Languages = tuple[Annotated[Text, AfterValidator(_language)], ...]
SlackChannelId = Annotated[Text, _slack_id("CG", "is not the id of a Slack channel", CHANNEL_ID_FIX)]
MemberId = Annotated[Text, _slack_id("UWS", "is not the id of a person or user group in Slack", MEMBER_ID_FIX)]
Digits = Annotated[Text, matching(r"\d+", "is not an id of digits", "copy the number from the provider's page")]
