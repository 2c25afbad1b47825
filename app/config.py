"""`santral.toml`, read and checked: everything Santral is told from outside, as frozen values.

Rule: every problem is found in one reading and said in words; a secret is in none of them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, overload
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from app.config_accounts import across_accounts
from app.config_contact import across_contact
from app.config_deciding import WrongPart
from app.config_deciding import path as path_given
from app.config_mail_values import across_mailbox, across_mailboxes
from app.config_sections import (
    KINDS,
    TELEGRAM_API,
    AcknowledgeConfig,
    AgentConfig,
    ChannelConfig,
    ContactConfig,
    EmailConfig,
    MetaConfig,
    Section,
    ShopConfig,
    SlackConfig,
    TargetsConfig,
    TeamConfig,
    TwilioConfig,
    WebchatConfig,
)
from app.config_values import NAME, DatabaseUrl, Listen, Url, beside, listen_at
from app.problems import ConfigProblems, Place, Problem, Wrong, addition, dotted, explain, misread, quoted, suggest

# Agents' words are stored under these (desk/events.py, desk/actions.py); a customer's there would not be shown.
RESERVED = frozenset({"slack", "slack-window"})
PERSON = re.compile(r"[UW][A-Z0-9]{2,20}")
TELEGRAM_PORTS = (None, 443, 80, 88, 8443)  # core.telegram.org/bots/webhooks
# --- The whole ------------------------------------------------------------------------------------------------------


class StoreConfig(Section):
    """As much as the commands about the database alone need."""

    data_dir: Path = Field(default=Path("var"), validate_default=True)
    database_url: DatabaseUrl | None = None

    @field_validator("data_dir", mode="after")
    @classmethod
    def beside_the_file(cls, value: Path, info: ValidationInfo) -> Path:
        """Take the folder relative to the configuration file, not to where the command is called."""
        found = beside((info.context or {}).get("folder", Path()), value)
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

    listen: Annotated[Listen, PlainValidator(listen_at)] = Listen("127.0.0.1", 8080)
    rules: Annotated[Path, BeforeValidator(path_given)] | None = None
    templates: Annotated[Path, BeforeValidator(path_given)] | None = None
    model: bool = True
    shop: ShopConfig = Field(examples=["[shop] with name, country, timezone and languages"])
    acknowledge: AcknowledgeConfig = Field(default_factory=AcknowledgeConfig)
    targets: TargetsConfig = Field(default_factory=TargetsConfig)
    contact: ContactConfig = Field(default_factory=ContactConfig)
    agents: tuple[AgentConfig, ...] = ()
    teams: tuple[TeamConfig, ...] = ()
    channels: tuple[ChannelConfig, ...] = ()

    @field_validator("rules", "templates", mode="after")
    @classmethod
    def files_beside_the_file(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        """Take a path relative to the configuration file. Raises where there is nothing."""
        if value is None:
            return None
        found = beside((info.context or {}).get("folder", Path()), value)
        rules = info.field_name == "rules"
        brought = "leave the key out for the rules" if rules else "leave the key out for the texts"
        if not found.exists():
            raise Wrong("is not there", f"mend the name, or {brought} that Santral brings")
        if found.is_dir() == rules:
            raise Wrong("is a folder" if rules else "is a file", f"name a {'file' if rules else 'folder'}")
        return found

    def webhook_url(self, channel: ChannelConfig) -> str:
        """Where a channel's provider calls us, "" without a public address."""
        return f"{self.public_url}/webhooks/{channel.name}" if self.public_url else ""

    def settings_of(self, channel: ChannelConfig) -> dict[str, Any]:
        """What a channel's adapter is made with: its own keys, and what else of the configuration it has to know."""
        if isinstance(channel, TwilioConfig):  # each message it sends says where to tell what became of it
            return {**channel.settings(), "webhook_url": self.webhook_url(channel)}
        if isinstance(channel, MetaConfig):  # Meta brings what all accounts of one app are told to one address
            return {**channel.settings(), "siblings": self._siblings(channel)}
        if isinstance(channel, WebchatConfig):
            return {**channel.settings(), "public_url": self.public_url or ""}
        if not isinstance(channel, EmailConfig):
            return channel.settings()
        ours = [address for c in self.channels if isinstance(c, EmailConfig) for address in (c.address, *c.aliases)]
        return {**channel.settings(), "mailboxes": tuple(dict.fromkeys(ours)), "timezone": self.shop.timezone}

    def _siblings(self, channel: MetaConfig) -> tuple[tuple[str, str], ...]:
        """Account and name of every other channel of the same kind and the same app of Meta's."""
        return tuple(
            (str(getattr(other, other.account)), other.name)
            for other in self.channels
            if isinstance(other, type(channel)) and other.app_secret == channel.app_secret and other is not channel
        )


class Config(IntakeConfig):
    """All of it: what `serve` needs."""

    slack: SlackConfig = Field(examples=["[slack] with bot_token, and app_token or signing_secret"])
    teams: Annotated[tuple[TeamConfig, ...], Field(min_length=1)] = Field(
        examples=["[[teams]] with a name and a slack_channel"]
    )


SECTIONS: Mapping[str, type[Section]] = {
    "shop": ShopConfig,
    "slack": SlackConfig,
    "teams": TeamConfig,
    "targets": TargetsConfig,
    "acknowledge": AcknowledgeConfig,
    "contact": ContactConfig,
    "agents": AgentConfig,
}
LISTS = frozenset({"teams", "agents", "channels"})  # sections written in double brackets
Needed = TypeVar("Needed", bound=Section)


@overload
def load(path: Path, environ: Mapping[str, str]) -> Config: ...
@overload
def load(path: Path, environ: Mapping[str, str], *, needs: type[Needed]) -> Needed: ...
def load(path: Path, environ: Mapping[str, str], *, needs: type[Section] = Config) -> Section:
    """Read and check the file.

    `needs` says how much of it a command uses: sections it has no field for may be absent, wrong, or name unset
    variables. Raises `ConfigProblems` with every problem there is.
    """
    written = _read(path)
    reading = _Reading(written, environ, needs)
    config = reading.config(path.absolute().parent)
    if reading.problems or config is None:
        raise ConfigProblems(str(path), reading.in_order())
    return config


def right_part(path: Path, environ: Mapping[str, str]) -> IntakeConfig | None:
    """What is right in a file that is not, for the checks of its hours, rules and texts that can go on.

    Teams and agents keep their places; one whose name is wrong has the name "". None where too little is right.
    """
    try:
        reading = _Reading(_read(path), environ, IntakeConfig)
    except ConfigProblems:
        return None
    reading.config(path.absolute().parent)
    return reading.right(path.absolute().parent)


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

    def __init__(self, written: dict[str, Any], environ: Mapping[str, str], needs: type[Section]) -> None:
        self.needs = needs
        self.problems: dict[Place, list[Problem]] = {}
        self.names: dict[Place, tuple[str, ...]] = {}  # the variables a value came from
        self.labels: dict[Place, str] = {
            (section, position): name
            for section in ("teams", "channels", "agents")
            for position, table in _tables(written, section)
            if isinstance(name := table.get("id" if section == "agents" else "name"), str)
            and (PERSON if section == "agents" else NAME).fullmatch(name)
        }
        for key in written:
            if key not in Config.model_fields:
                self.unknown((key,))
        used = needs.part({key: value for key, value in written.items() if key in needs.model_fields})
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
        wrong = frozenset(self.problems)  # in itself: no need to say that it does not fit the others either
        for place, what, fix in _across(self.values, self.needs):
            if place not in wrong:
                self.add(place, what, fix)
        return config

    def right(self, folder: Path) -> IntakeConfig | None:
        """What `right_part` answers. A wrong entry of a list makes the whole list wrong."""
        wrong = {place[: 3 if place[1:] and isinstance(place[1], int) else 2] for place in self.problems}

        def kept(place: Place, table: object) -> dict[str, Any]:
            given = table if isinstance(table, dict) else {}
            return {key: value for key, value in given.items() if (*place, key) not in wrong}

        def entries(section: str, needed: Mapping[str, str]) -> list[dict[str, Any]]:
            return [{**needed, **kept((section, position), table)} for position, table in _tables(self.values, section)]

        def named(section: str, key: str, made: Iterable[Needed]) -> tuple[Needed, ...]:
            tables = (kept((section, position), table) for position, table in _tables(self.values, section))
            return tuple(
                one if key in table else one.model_copy(update={key: ""})
                for one, table in zip(made, tables, strict=True)
            )

        values = {
            **kept((), self.values),
            "shop": {"name": "?", "timezone": "UTC", **kept(("shop",), self.values.get("shop"))},
            "teams": entries("teams", {"name": "team", "slack_channel": "C0123456789"}),
            "agents": entries("agents", {"id": "U0123456789"}),
            "channels": (),
        }
        try:
            config = IntakeConfig.model_validate(values, context={"folder": folder})
        except ValidationError:
            return None  # without its country and languages nothing can be said of a shop
        channels = (table for _, table in _tables(self.values, "channels"))
        return config.model_copy(
            update={
                "teams": named("teams", "name", config.teams),
                "agents": named("agents", "id", config.agents),
                "channels": tuple(
                    KINDS[kind].model_construct(name=name, kind=kind)
                    for table in channels
                    if NAME.fullmatch(name := str(table.get("name"))) and (kind := str(table.get("kind"))) in KINDS
                ),
            }
        )

    def in_order(self) -> list[Problem]:
        """Problems in the order of the documentation: first the keys at the top, then section by section."""
        order = ["shop", "slack", "teams", "targets", "acknowledge", "contact", "agents", "channels"]

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
        wrong = error.get("ctx", {}).get("error")
        if isinstance(wrong, WrongPart) and self.names.get(place):
            error = {**error, "ctx": {"error": wrong.plain}}  # what a variable holds is nobody's to see
        if place[-1:] == ("[key]",):  # told of the table: what should be a day may be anything
            self.add(place[:-2], *explain(error, ()))
        elif error["type"] == "extra_forbidden":
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
        elif str(error["type"]).startswith("date_"):
            what = quoted(error["input"], self.names.get(place, ()), "is not a date")
            self.add(place, what, 'write it like "2026-12-31"')
        else:
            self.add(place, *explain({**error, "loc": place}, self.names.get(place, ())))

    def section(self, place: Place) -> type[Section]:
        """The model whose keys stand at `place`."""
        if not place:
            return Config
        if place[0] == "channels" and len(place) > 1 and isinstance(place[1], int):
            return KINDS.get(str(self.values["channels"][place[1]].get("kind")), Section)
        model: type[Section] = Config
        for part in place:
            model = model if isinstance(part, int) else _inner(model).get(part, Section)
        return model

    def missing(self, place: Place) -> str:
        key = str(place[-1])
        field = self.needs.model_fields[key] if len(place) == 1 else self.section(place[:-1]).model_fields[key]
        return addition(key, field.examples[0]) if field.examples else f"add {key}"

    def unknown(self, place: Place) -> None:
        key = str(place[-1])
        fields = self.section(place[:-1]).model_fields
        homes = [name for name, model in SECTIONS.items() if key in model.model_fields]
        home = homes[0] if homes else None
        fix = suggest(key, fields)
        inner = _inner(self.section(place[:-1])) if len(place) > 1 else {}
        within = next((name for name, model in inner.items() if key in model.model_fields), None)
        if within is not None:
            fix = f"write it in {within} = {{ {key} = … }}"
        elif len(place) > 1 and key in Config.model_fields and key not in SECTIONS and key != "channels":
            fix = "it belongs at the top of the file, before the first section"
        elif (len(place) > 1 and (home == place[0] or (not fix and len(homes) > 1))) or (not fix and home is None):
            fix = "known here are " + ", ".join(fields)
        elif not fix:
            fix = f"it belongs in {f'[[{home}]]' if home in LISTS else f'[{home}]'}"
        self.add(place, "is not a key that Santral knows", fix)


def _inner(model: type[Section]) -> Mapping[str, type[Section]]:
    """The keys of a section that are sections themselves, or lists of one kind of section."""
    found = {}
    for key, field in model.model_fields.items():
        parts = [field.annotation, *get_args(field.annotation)]
        kinds = [getattr(part, "__origin__", part) for part in parts]  # what Annotated is about
        sections = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]
        if len(sections) == 1:
            found[key] = sections[0]
    return found


def _tables(values: Mapping[str, Any], section: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The entries of a list of sections that are sections, with their positions."""
    entries = values.get(section)
    for position, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            yield position, entry


def _across(values: Mapping[str, Any], needs: type[Section]) -> Iterator[tuple[Place, str, str]]:
    """What only shows when keys are seen together. Reads plain values: the parts may be wrong in themselves."""
    public_url = values.get("public_url")
    for section in ("teams", "channels"):
        yield from _same_names(section, _tables(values, section))
    teams = [name for _, team in _tables(values, "teams") if isinstance(name := team.get("name"), str)]
    yield from _across_teams(values, teams)
    for position, table in _tables(values, "channels"):
        yield from _across_channel(("channels", position), table, public_url, teams)
    yield from across_mailboxes(_tables(values, "channels"))
    yield from across_accounts(_tables(values, "channels"))
    yield from across_contact(values)
    slack = values.get("slack")
    if isinstance(slack, dict) and "app_token" not in slack and "signing_secret" not in slack:
        yield (
            ("slack",),
            "neither app_token nor signing_secret is given",
            "add app_token for Socket Mode (no public address needed), or signing_secret if Slack calls public_url",
        )


def _across_teams(values: Mapping[str, Any], teams: Collection[str]) -> Iterator[tuple[Place, str, str]]:
    seen: dict[str, int] = {}
    for position, agent in _tables(values, "agents"):
        if isinstance(id := agent.get("id"), str) and seen.setdefault(id.strip(), position) != position:
            first = seen[id.strip()]
            yield ("agents", position, "id"), f"agents[{first + 1}] is the same person", "make one section of the two"
    for position, team in _tables(values, "teams"):
        escalate = team.get("escalate")
        move_to = escalate.get("move_to") if isinstance(escalate, dict) else None
        place: Place = ("teams", position, "escalate", "move_to")
        if isinstance(move_to, str) and move_to.strip() not in teams:
            others = [name for name in teams if name != team.get("name") and NAME.fullmatch(name)]
            known = f"name one of {', '.join(others)}" if others else "leave it out: there is no other team"
            yield place, "is no team", suggest(move_to, others) or known
        elif isinstance(move_to, str) and move_to.strip() == team.get("name"):
            yield place, "is this team itself", "name another one, or leave it out"


def _same_names(section: str, tables: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[tuple[Place, str, str]]:
    seen: dict[str, int] = {}
    for position, table in tables:
        name = table.get("name")
        if isinstance(name, str) and NAME.fullmatch(name):
            first = seen.setdefault(name.casefold(), position)
            if first != position:
                yield (section, position, "name"), f"{section}[{first + 1}] has the same name", "choose another"


def _across_channel(
    place: Place, table: Mapping[str, Any], public_url: object, teams: Collection[str]
) -> Iterator[tuple[Place, str, str]]:
    if str(table.get("name", "")).casefold() in RESERVED:
        yield (*place, "name"), "is what Slack's own side is called", "choose another"
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return
    if kind in ("sms", "whatsapp-twilio") and ("sender" in table) == ("messaging_service_sid" in table):
        yield place, "give exactly one of sender and messaging_service_sid", ""
    telegram = kind == "telegram"
    if kind == "email":
        yield from across_mailbox(place, table, teams)
    called = table.get("receive") == "webhook" if telegram else kind != "email" or "inbound" in table
    if called and not public_url:
        fix = "add public_url at the top of the file" + (', or write receive = "poll"' if telegram else "")
        yield place, "its provider has no address to call: public_url is missing", fix
    if not called or not isinstance(public_url, str):
        return
    try:
        parts = urlsplit(public_url)
        port = parts.port
    except ValueError:
        return  # named where public_url itself is checked
    if parts.scheme != "https":
        return
    if telegram and table.get("api_url", TELEGRAM_API) == TELEGRAM_API and port not in TELEGRAM_PORTS:
        yield ("public_url",), "Telegram calls the ports 443, 80, 88 and 8443 only", "use one of them"
    if kind == "x" and port is not None:  # docs.x.com/x-api/webhooks/quickstart
        yield ("public_url",), "X takes no address with a port in it", "leave the port out and serve it at 443"


def without_secrets(text: str, secrets: Collection[str]) -> str:
    """Mask every one of the secrets in a text that is about to be shown."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) > 3:  # masking "a" would make the text unreadable, and tell what it is
            text = text.replace(secret, "•••")
    return text
