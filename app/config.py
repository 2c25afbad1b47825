"""`santral.toml`, read and checked: everything Santral is told from outside, as frozen values.

Rule: every problem is found in one reading and said in words; a secret is in none of them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import tomllib
import unicodedata
import zoneinfo
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar, overload
from urllib.parse import SplitResult, unquote, urlsplit

import phonenumbers
from babel import Locale, UnknownLocaleError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from app.problems import ConfigProblems, Place, Problem, Wrong, addition, dotted, explain, misread, quoted, suggest
from channels import registry

BUILT = frozenset(registry.KINDS)  # kinds whose adapter exists

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")  # part of a URL, and shown beside every customer's name
# Agents' words are stored under these (desk/events.py, desk/actions.py); a customer's there would not be shown.
RESERVED = frozenset({"slack", "slack-window"})
TELEGRAM_API = "https://api.telegram.org"
TELEGRAM_PORTS = (None, 443, 80, 88, 8443)  # core.telegram.org/bots/webhooks
TELEGRAM_SECRET_LABEL = b"santral: secret of the telegram webhook"  # changing it breaks every registered webhook

# --- Kinds of values ------------------------------------------------------------------------------------------------


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


def _secret(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        raise Wrong("is empty", secret=True)
    return value.strip() if isinstance(value, str) else value


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise Wrong("must be a number, without quotes")
    return value


def _listen(value: object) -> Listen:
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


def _split(value: str) -> SplitResult:
    """Take an address apart; reading the port is what finds most of the broken ones."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise Wrong("is not an address", "write it like https://support.example.com", secret=True) from None
    if any(letter.isspace() for letter in value):
        raise Wrong("has a space in it", "write the address without spaces", secret=True)
    return parts


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
    parts = _split(value)
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


def _origin(value: str) -> str:
    if urlsplit(web_address(value)).path:
        raise Wrong("has a path", "write only scheme and host, like https://shop.example")
    return value.rstrip("/")


def _slashed(value: str) -> str:
    return f"{value}/"


def _database(value: SecretUrl) -> SecretUrl:
    if _split(value.get_secret_value()).scheme not in ("postgres", "postgresql"):
        fix = "write postgres://user:password@host:5432/database, or leave the key out for the built-in PostgreSQL"
        raise Wrong("is not the address of a PostgreSQL", fix, secret=True)
    return value


def _mailbox(scheme: str, *, login: bool) -> AfterValidator:
    def check(value: SecretUrl) -> SecretUrl:
        parts = _split(value.get_secret_value())
        form = f"write {scheme}s://user:password@{scheme}.example; in the password @ is %40, : %3A, / %2F, ? %3F, # %23"
        if parts.scheme not in (scheme, f"{scheme}s") or not parts.hostname:
            raise Wrong(f"is not the address of an {scheme.upper()} server", form, secret=True)
        if login and not (parts.username and parts.password):
            raise Wrong("has no user name and password", form, secret=True)
        if parts.query not in ("", "auth=xoauth2"):
            raise Wrong("has an unknown part after the ?", "only ?auth=xoauth2 is known", secret=True)
        return value

    return AfterValidator(check)


def _matching(pattern: str, what: str, fix: str, *, secret: bool = False) -> AfterValidator:
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


def _timezone(value: str) -> str:
    if value in _zones():
        return value
    if not _zones():
        raise Wrong("cannot be checked: this machine has no time zone data", "install tzdata")
    cities = {zone.rpartition("/")[2].casefold(): zone for zone in sorted(_zones()) if "/" in zone}
    city = cities.get(value.rpartition("/")[2].replace(" ", "_").casefold())
    hint = f"did you mean {city}?" if city else suggest(value, _zones())
    raise Wrong("is not a time zone", hint or "write one like Europe/Istanbul")


@cache
def _english() -> Locale:
    return Locale("en")


def _country(value: str) -> str:
    code = value.upper()
    if code in phonenumbers.SUPPORTED_REGIONS:
        return code
    names = {_plain(name): code for code, name in _english().territories.items() if len(code) == 2 and code.isalpha()}
    named = {**names, "turkey": "TR", "uk": "GB", "england": "GB", "usa": "US"}.get(_plain(value))
    hint = f"did you mean {named}?" if named else ""
    raise Wrong("is not a country code of two letters", hint or "write one like TR, DE or US (ISO 3166)")


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
    hint = f"did you mean {named}?" if named else ""
    raise Wrong("is not a language code", hint or "write one like tr, ru or pt-BR (BCP 47)")


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    for position, value in enumerate(values):
        if value in values[:position]:
            raise Wrong(f"names {value} twice", "name each once", secret=False)
    return values


def _slack_id(letters: str, what: str, fix: str) -> AfterValidator:
    return _matching(rf"[{letters}][A-Z0-9]{{2,20}}", what, fix)


CHANNEL_ID_FIX = (
    "in Slack open the channel, click its name, and copy the id at the bottom of About (C0123456789); "
    "a name like #support can change"
)
MEMBER_ID_FIX = "copy the member id from the ⋮ menu of a Slack profile (U0123456789), or the id of a user group (S…)"

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
Secret = Annotated[SecretStr, BeforeValidator(_secret)]
DatabaseUrl = Annotated[SecretUrl, BeforeValidator(_secret), AfterValidator(_database)]
Url = Annotated[Text, AfterValidator(web_address)]
Name = Annotated[str, AfterValidator(_name)]
Languages = tuple[Annotated[Text, AfterValidator(_language)], ...]
SlackChannelId = Annotated[Text, _slack_id("CG", "is not the id of a Slack channel", CHANNEL_ID_FIX)]
MemberId = Annotated[Text, _slack_id("UWS", "is not the id of a person or user group in Slack", MEMBER_ID_FIX)]
Digits = Annotated[Text, _matching(r"\d+", "is not an id of digits", "copy the number from the provider's page")]


# --- Sections -------------------------------------------------------------------------------------------------------


class Section(BaseModel):
    """Keys of one section: fixed once read, unknown ones refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    def redacted(self) -> dict[str, Any]:
        """Everything as plain values for a log line, secrets masked and addresses without their passwords."""
        return {key: _redacted(value) for key, value in self}

    def secrets(self) -> frozenset[str]:
        """Every secret value in it, so that a text about to be shown can be searched for them."""
        return frozenset(_secrets(self))


class ShopConfig(Section):
    name: ShortText = Field(examples=["Kumbara"])
    country: Annotated[Text, AfterValidator(_country)] = Field(examples=["TR"])
    timezone: Annotated[Text, AfterValidator(_timezone)] = Field(examples=["Europe/Istanbul"])
    languages: Annotated[Languages, Field(min_length=1), AfterValidator(_distinct)] = Field(examples=[["tr", "en"]])

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.timezone)


class SlackConfig(Section):
    bot_token: Annotated[
        Secret,
        _matching(
            r"xoxb-\S+",
            "is not a bot token: it does not begin with xoxb-",
            "copy the Bot User OAuth Token from OAuth & Permissions of your Slack app",
            secret=True,
        ),
    ] = Field(examples=["${SLACK_BOT_TOKEN}"])
    signing_secret: Secret | None = Field(default=None, examples=["${SLACK_SIGNING_SECRET}"])
    app_token: (
        Annotated[
            Secret,
            _matching(
                r"xapp-\S+",
                "is not an app-level token: it does not begin with xapp-",
                "make one under Basic Information of your Slack app, with the scope connections:write",
                secret=True,
            ),
        ]
        | None
    ) = Field(default=None, examples=["${SLACK_APP_TOKEN}"])
    api_url: Annotated[Url, AfterValidator(_slashed)] = "https://slack.com/api/"
    posts_per_second: Annotated[float, BeforeValidator(_number), Field(gt=0, le=1000)] = 1.0

    @property
    def socket_mode(self) -> bool:
        """Events come through Slack's socket as soon as there is an app token; else Slack calls `public_url`."""
        return self.app_token is not None


class TeamConfig(Section):
    name: Name = Field(examples=["support"])
    slack_channel: SlackChannelId = Field(examples=["C0123456789"])
    members: tuple[MemberId, ...] = ()
    hours: Text | None = None
    replies: Literal["send", "note"] = "send"
    ask_first: bool = True
    undo_seconds: Annotated[float, BeforeValidator(_number), Field(ge=0, le=60)] = 5.0

    @property
    def undo_delay(self) -> timedelta:
        return timedelta(seconds=self.undo_seconds)


class ChannelSection(Section):
    """What all kinds of channel have."""

    def settings(self) -> dict[str, Any]:
        """The kind's own keys as its adapter takes them: plain values, secrets in clear."""
        return {
            key: value.get_secret_value() if isinstance(value, SecretStr) else value
            for key, value in self
            if key not in ("name", "kind")
        }


class TelegramConfig(ChannelSection):
    name: Name = Field(examples=["bot"])
    kind: Literal["telegram"]
    token: Annotated[
        Secret,
        _matching(
            r"[0-9]+:[A-Za-z0-9_-]+",
            "is not a bot token",
            "copy it from @BotFather; it looks like 123456789:AA…",
            secret=True,
        ),
    ] = Field(examples=["${TELEGRAM_TOKEN}"])
    receive: Literal["webhook", "poll"] = "poll"
    secret: Annotated[
        Secret,
        _matching(
            r"[A-Za-z0-9_-]{1,256}",
            "is not what Telegram takes: 1 to 256 letters, digits, _ and -",
            "leave the key out: Santral then makes one from the token",
            secret=True,
        ),
    ] = Field(default=SecretStr(""), validate_default=True)
    api_url: Url = TELEGRAM_API

    @field_validator("secret", mode="wrap")
    @classmethod
    def derived(cls, value: object, checked: Any, info: ValidationInfo) -> SecretStr:
        """Make the secret from the token unless it is given, so that it survives restarts and nobody invents one."""
        if not isinstance(value, SecretStr) or value.get_secret_value():
            return SecretStr(checked(value).get_secret_value())
        token = info.data.get("token", SecretStr(""))
        digest = hmac.new(token.get_secret_value().encode(), TELEGRAM_SECRET_LABEL, hashlib.sha256)
        return SecretStr(digest.hexdigest())

    @property
    def receives(self) -> str:
        return self.receive


class EmailConfig(ChannelSection):
    name: Name = Field(examples=["mail"])
    kind: Literal["email"]
    address: Annotated[
        Text,
        _matching(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+", "is not an e-mail address", "write it like support@shop.example"),
    ] = Field(examples=["support@shop.example"])
    imap: Annotated[SecretUrl, BeforeValidator(_secret), _mailbox("imap", login=True)] = Field(examples=["${IMAP_URL}"])
    smtp: Annotated[SecretUrl, BeforeValidator(_secret), _mailbox("smtp", login=False)] = Field(
        examples=["${SMTP_URL}"]
    )
    trusted_authserv: tuple[Text, ...] = ()
    receives: ClassVar[str] = "poll"


class TwilioConfig(ChannelSection):
    """SMS and WhatsApp by Twilio."""

    name: Name = Field(examples=["sms"])
    kind: Literal["sms", "whatsapp-twilio"]
    account_sid: Annotated[
        Text,
        _matching(r"AC[0-9A-Za-z]+", "is not an account SID", "copy it from the Twilio console: AC…"),
    ] = Field(examples=["${TWILIO_ACCOUNT_SID}"])
    auth_token: Secret = Field(examples=["${TWILIO_AUTH_TOKEN}"])
    sender: (
        Annotated[
            Text,
            _matching(
                r"(whatsapp:)?\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}",
                "is not a sender",
                "write the number with + and country, like +905321234567",
            ),
        ]
        | None
    ) = None
    messaging_service_sid: (
        Annotated[Text, _matching(r"MG[0-9A-Za-z]+", "is not a messaging service SID", "it begins with MG")] | None
    ) = None
    api_url: Url = "https://api.twilio.com"
    receives: ClassVar[str] = "webhook"


class MetaConfig(ChannelSection):
    """What Meta's three channels share."""

    access_token: Secret = Field(examples=["${META_ACCESS_TOKEN}"])
    app_secret: Secret = Field(examples=["${META_APP_SECRET}"])
    verify_token: Secret = Field(examples=["${META_VERIFY_TOKEN}"])
    api_url: Url = "https://graph.facebook.com"
    receives: ClassVar[str] = "webhook"


class WhatsAppConfig(MetaConfig):
    """WhatsApp by Meta's Cloud API."""

    name: Name = Field(examples=["whatsapp"])
    kind: Literal["whatsapp"]
    phone_number_id: Digits = Field(examples=["106540352242922"])


class MessengerConfig(MetaConfig):
    name: Name = Field(examples=["messenger"])
    kind: Literal["messenger"]
    page_id: Digits = Field(examples=["108264108264108"])


class InstagramConfig(MetaConfig):
    name: Name = Field(examples=["instagram"])
    kind: Literal["instagram"]
    ig_id: Digits = Field(examples=["17841400000000000"])


class XConfig(ChannelSection):
    """Direct messages on X."""

    name: Name = Field(examples=["x"])
    kind: Literal["x"]
    consumer_key: Secret = Field(examples=["${X_CONSUMER_KEY}"])
    consumer_secret: Secret = Field(examples=["${X_CONSUMER_SECRET}"])
    access_token: Secret = Field(examples=["${X_ACCESS_TOKEN}"])
    access_token_secret: Secret = Field(examples=["${X_ACCESS_TOKEN_SECRET}"])
    user_id: Digits = Field(examples=["2244994945"])
    api_url: Url = "https://api.x.com"
    receives: ClassVar[str] = "webhook"


class WebchatConfig(ChannelSection):
    """The chat bubble on the shop's own pages."""

    name: Name = Field(examples=["chat"])
    kind: Literal["webchat"]
    origins: Annotated[tuple[Annotated[Text, AfterValidator(_origin)], ...], Field(min_length=1)] = Field(
        examples=[["https://shop.example"]]
    )
    identity_secret: Secret | None = None
    receives: ClassVar[str] = "browser"


ChannelConfig = Annotated[
    TelegramConfig
    | EmailConfig
    | TwilioConfig
    | WhatsAppConfig
    | MessengerConfig
    | InstagramConfig
    | XConfig
    | WebchatConfig,
    Field(discriminator="kind"),
]

KINDS: Mapping[str, type[Section]] = {
    "telegram": TelegramConfig,
    "email": EmailConfig,
    "sms": TwilioConfig,
    "whatsapp": WhatsAppConfig,
    "whatsapp-twilio": TwilioConfig,
    "messenger": MessengerConfig,
    "instagram": InstagramConfig,
    "x": XConfig,
    "webchat": WebchatConfig,
}

# --- The whole ------------------------------------------------------------------------------------------------------


class StoreConfig(Section):
    """As much as the commands about the database alone need."""

    data_dir: Path = Field(default=Path("var"), validate_default=True)
    database_url: DatabaseUrl | None = None

    @field_validator("data_dir", mode="after")
    @classmethod
    def beside_the_file(cls, value: Path, info: ValidationInfo) -> Path:
        """Take the folder relative to the configuration file, not to where the command is called."""
        folder: Path = (info.context or {}).get("folder", Path())
        found = Path(folder, value.expanduser()).absolute()
        if found.exists() and not found.is_dir():
            raise Wrong("is a file", "name a folder; it is made if it does not exist")
        return found

    @property
    def files_dir(self) -> Path:
        """Where customers' and agents' files are kept."""
        return self.data_dir / "files"


class PublicConfig(Section):
    """As much as it takes to tell a provider our address."""

    public_url: Url | None = None


class IntakeConfig(StoreConfig, PublicConfig):
    """As much as it takes to read what customers sent, without Slack."""

    listen: Annotated[Listen, PlainValidator(_listen)] = Listen("127.0.0.1", 8080)
    shop: ShopConfig = Field(examples=["[shop] with name, country, timezone and languages"])
    teams: tuple[TeamConfig, ...] = ()
    channels: tuple[ChannelConfig, ...] = ()


class Config(IntakeConfig):
    """All of it: what `serve` needs."""

    slack: SlackConfig = Field(examples=["[slack] with bot_token, and app_token or signing_secret"])
    teams: Annotated[tuple[TeamConfig, ...], Field(min_length=1)] = Field(
        examples=["[[teams]] with a name and a slack_channel"]
    )


SECTIONS: Mapping[str, type[Section]] = {"shop": ShopConfig, "slack": SlackConfig, "teams": TeamConfig}
Needed = TypeVar("Needed", bound=Section)


@overload
def load(path: Path, environ: Mapping[str, str], *, built: Collection[str] = BUILT) -> Config: ...
@overload
def load(path: Path, environ: Mapping[str, str], *, needs: type[Needed], built: Collection[str] = BUILT) -> Needed: ...
def load(
    path: Path, environ: Mapping[str, str], *, needs: type[Section] = Config, built: Collection[str] = BUILT
) -> Section:
    """Read and check the file.

    `needs` says how much of it a command uses: sections it has no field for may be absent, wrong, or name unset
    variables. `built` are the kinds of channel that exist. Raises `ConfigProblems` with every problem there is.
    """
    written = _read(path)
    reading = _Reading(written, environ, needs, built)
    config = reading.config(path.absolute().parent)
    if reading.problems or config is None:
        raise ConfigProblems(str(path), reading.in_order())
    return config


def slack_calls(path: Path, environ: Mapping[str, str]) -> str | None:
    """Return the `public_url` that Slack is to call, or None for Socket Mode, from a file that may be unfinished."""

    slack = _read(path).get("slack")
    if isinstance(slack, dict) and "app_token" in slack:
        return None
    return load(path, environ, needs=PublicConfig).public_url


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Put environment variables in the place of `${NAME}`; `$${` stands for the two characters themselves.

    Raises `Wrong` for a variable that is not set, or a `${` without a name and `}`.
    """

    def value(found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        name = found["name"]
        if not name:
            raise Wrong(
                'has a "${" that no variable name and "}" follow', "write $${ for the two characters themselves"
            )
        if name not in environ:
            near = suggest(name, environ, likeness=0.85)  # SLACK_TOKEN is not TELEGRAM_TOKEN
            raise Wrong(f"{name} is not set in the environment", near or "export it or write the value")
        if found[0] == text and not environ[name].strip():
            raise Wrong(f"{name} is empty in the environment", "export it with a value or remove the key")
        return environ[name]

    unset = [name for found in _VARIABLE.finditer(text) if (name := found["name"]) and name not in environ]
    if len(set(unset)) > 1:
        raise Wrong(
            f"{', '.join(dict.fromkeys(unset))} are not set in the environment", "export them or write the value"
        )
    return _VARIABLE.sub(value, text)


_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")  # editors on Windows put a mark first
        return tomllib.loads(text)
    except FileNotFoundError:
        problem = Problem(
            key="",
            what="there is no such file",
            fix="try `santral demo`, which needs none, or copy santral.example.toml and fill it in",
        )
    except IsADirectoryError:
        problem = Problem(key="", what="this is a folder", fix="name the file in it")
    except OSError as error:
        problem = Problem(key="", what=f"the file cannot be read ({error.strerror})", fix="mend its permissions")
    except UnicodeDecodeError:
        problem = Problem(key="", what="the file is not UTF-8 text", fix="save it as UTF-8")
    except tomllib.TOMLDecodeError as error:
        problem = misread(str(error))
    raise ConfigProblems(str(path), [problem])


class _Reading:
    """One reading of one file: what was written, and the problems found on the way."""

    def __init__(
        self, written: dict[str, Any], environ: Mapping[str, str], needs: type[Section], built: Collection[str]
    ) -> None:
        self.needs = needs
        self.built = built
        self.problems: dict[Place, list[Problem]] = {}
        self.names: dict[Place, tuple[str, ...]] = {}  # the variables a value came from
        self.labels: dict[Place, str] = {
            (section, position): name
            for section in ("teams", "channels")
            for position, table in _tables(written, section)
            if isinstance(name := table.get("name"), str) and NAME.fullmatch(name)
        }
        for key in written.keys() - Config.model_fields.keys():
            self.unknown((key,))
        used = {key: value for key, value in written.items() if key in needs.model_fields}
        self.values: dict[str, Any] = self.expanded(used, (), environ)

    def config(self, folder: Path) -> Section | None:
        for _, table in _tables(self.values, "channels"):
            if table.get("kind") == "telegram":
                table.setdefault("receive", "webhook" if self.values.get("public_url") else "poll")
        config = None
        try:
            config = self.needs.model_validate(self.values, context={"folder": folder})
        except ValidationError as failed:
            for error in failed.errors(include_url=False):
                self.invalid(error)
        for place, what, fix in _across(self.values, self.needs, self.built):
            self.add(place, what, fix)
        return config

    def in_order(self) -> list[Problem]:
        """Problems in the order of the documentation: first the keys at the top, then section by section."""
        order = ["shop", "slack", "teams", "channels"]

        def rank(place: Place) -> tuple[int, int]:
            top = order.index(str(place[0])) if place and place[0] in order else -1
            return top, place[1] if len(place) > 1 and isinstance(place[1], int) else -1

        return [problem for place in sorted(self.problems, key=rank) for problem in self.problems[place]]

    def add(self, place: Place, what: str, fix: str) -> None:
        problem = Problem(key=dotted(place, self.labels), what=what, fix=fix)
        self.problems.setdefault(place, []).append(problem)

    def expanded(self, value: Any, place: Place, environ: Mapping[str, str]) -> Any:
        if isinstance(value, dict):
            return {key: self.expanded(item, (*place, key), environ) for key, item in value.items()}
        if isinstance(value, list):
            return [self.expanded(item, (*place, position), environ) for position, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        if names := tuple(found["name"] for found in _VARIABLE.finditer(value) if found["name"]):
            self.names[place] = names
        try:
            return expand(value, environ)
        except Wrong as wrong:
            self.add(place, f"the value {wrong.what}" if wrong.what.startswith("has ") else wrong.what, wrong.fix)
            return value

    def invalid(self, error: Mapping[str, Any]) -> None:
        place: Place = tuple(error["loc"])
        if place[:1] == ("channels",) and len(place) > 2 and place[2] in KINDS:
            place = (*place[:2], *place[3:])  # pydantic puts the kind there
        if error["type"] == "extra_forbidden":
            self.unknown(place)
        elif place in self.problems or (error["type"] == "too_short" and error["input"]):
            return  # its variable is not set, or its entries have been named one by one
        elif error["type"] == "missing":
            self.add(place, "is missing", self.missing(place))
        elif error["type"] == "union_tag_not_found":
            self.add((*place, "kind"), "is missing", addition("kind", "telegram"))
        elif error["type"] == "union_tag_invalid":
            place = (*place, "kind")
            kind, names = str(error["ctx"]["tag"]), self.names.get(place, ())
            if place not in self.problems:
                near = "" if names else suggest(kind, KINDS)
                self.add(place, quoted(kind, names, "is no kind of channel"), near or "known are " + ", ".join(KINDS))
        else:
            self.add(place, *explain({**error, "loc": place}, self.names.get(place, ())))

    def section(self, place: Place) -> type[Section]:
        """The model whose keys stand at `place`."""
        if not place:
            return Config
        if place[0] == "channels" and len(place) > 1 and isinstance(place[1], int):
            return KINDS.get(str(self.values["channels"][place[1]].get("kind")), Section)
        return SECTIONS.get(str(place[0]), Section)

    def missing(self, place: Place) -> str:
        key = str(place[-1])
        field = self.needs.model_fields[key] if len(place) == 1 else self.section(place[:-1]).model_fields[key]
        return addition(key, field.examples[0]) if field.examples else f"add {key}"

    def unknown(self, place: Place) -> None:
        key = str(place[-1])
        fields = self.section(place[:-1]).model_fields
        home = next((name for name, model in SECTIONS.items() if key in model.model_fields), None)
        fix = suggest(key, fields)
        if len(place) > 1 and key in Config.model_fields and key not in SECTIONS and key != "channels":
            fix = "it belongs at the top of the file, before the first section"
        elif (len(place) > 1 and home == place[0]) or (not fix and home is None):
            fix = "known here are " + ", ".join(fields)
        elif not fix:
            fix = f"it belongs in {f'[[{home}]]' if home == 'teams' else f'[{home}]'}"
        self.add(place, "is not a key that Santral knows", fix)


def _tables(values: Mapping[str, Any], section: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The entries of a list of sections that are sections, with their positions."""
    entries = values.get(section)
    for position, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            yield position, entry


def _across(
    values: Mapping[str, Any], needs: type[Section], built: Collection[str]
) -> Iterator[tuple[Place, str, str]]:
    """What only shows when keys are seen together. Reads plain values: the parts may be wrong in themselves."""
    public_url = values.get("public_url")
    for section in ("teams", "channels"):
        yield from _same_names(section, _tables(values, section))
    for position, table in _tables(values, "channels"):
        yield from _across_channel(("channels", position), table, public_url, built)
    slack = values.get("slack")
    if isinstance(slack, dict) and "app_token" not in slack and "signing_secret" not in slack:
        yield (
            ("slack",),
            "neither app_token nor signing_secret is given",
            "add app_token for Socket Mode (no public address needed), or signing_secret if Slack calls public_url",
        )


def _same_names(section: str, tables: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[tuple[Place, str, str]]:
    seen: dict[str, int] = {}
    for position, table in tables:
        name = table.get("name")
        if isinstance(name, str) and NAME.fullmatch(name):
            first = seen.setdefault(name.casefold(), position)
            if first != position:
                yield (section, position, "name"), f"{section}[{first + 1}] has the same name", "choose another"


def _across_channel(
    place: Place, table: Mapping[str, Any], public_url: object, built: Collection[str]
) -> Iterator[tuple[Place, str, str]]:
    if str(table.get("name", "")).casefold() in RESERVED:
        yield (*place, "name"), "is what Slack's own side is called", "choose another"
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return
    if kind not in built:
        yield place, f'kind "{kind}" comes with a later version of Santral', "remove it for now"
    if kind in ("sms", "whatsapp-twilio") and ("sender" in table) == ("messaging_service_sid" in table):
        yield place, "give exactly one of sender and messaging_service_sid", ""
    telegram = kind == "telegram"
    called = table.get("receive") == "webhook" if telegram else kind != "email"
    if called and not public_url:
        fix = "add public_url at the top of the file" + (', or write receive = "poll"' if telegram else "")
        yield place, "its provider has no address to call: public_url is missing", fix
    if called and telegram and isinstance(public_url, str) and table.get("api_url", TELEGRAM_API) == TELEGRAM_API:
        try:
            parts = urlsplit(public_url)
            if parts.scheme == "https" and parts.port not in TELEGRAM_PORTS:
                yield ("public_url",), "Telegram calls the ports 443, 80, 88 and 8443 only", "use one of them"
        except ValueError:
            return  # named where public_url itself is checked


def _redacted(value: object) -> Any:
    if isinstance(value, Section):
        return {key: _redacted(item) for key, item in value}
    if isinstance(value, tuple) and not isinstance(value, Listen):
        return [_redacted(item) for item in value]
    return str(value) if isinstance(value, (SecretStr, Path, Listen)) else value


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, Section):
        for _, item in value:
            yield from _secrets(item)
    elif isinstance(value, SecretUrl):
        yield value.get_secret_value()
        if password := urlsplit(value.get_secret_value()).password:
            yield from (password, unquote(password))
    elif isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, tuple):
        for item in value:
            yield from _secrets(item)


def without_secrets(text: str, secrets: Collection[str]) -> str:
    """Mask every one of the secrets in a text that is about to be shown."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) > 3:  # masking "a" would make the text unreadable, and tell what it is
            text = text.replace(secret, "•••")
    return text
