"""The sections of `santral.toml` but its channels: which keys each has, with their defaults.

Rule: unknown keys are refused.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
)

from app.config.deciding import (
    day,
    hours_of_day,
    known_hours,
    known_region,
    one_person,
    table,
    time_allowed,
    time_only,
    whole_number,
)
from app.config.values import (
    Languages,
    Listen,
    MemberId,
    Name,
    Secret,
    SecretUrl,
    ShortText,
    SlackChannelId,
    Text,
    Url,
    distinct,
    known_country,
    known_timezone,
    matching,
    number,
    slashed,
)


class Section(BaseModel):
    """Keys of one section: fixed once read, unknown ones refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    @classmethod
    def part(cls, written: dict[str, Any]) -> dict[str, Any]:
        """What is looked at of its keys, for a section that needs less than stands there."""
        return written

    def redacted(self) -> dict[str, Any]:
        """Everything as plain values for a log line, secrets masked and addresses without their passwords."""
        return {key: _shown(value) for key, value in self}

    def secrets(self) -> frozenset[str]:
        """Every secret value in it, so that a text about to be shown can be searched for them."""
        return frozenset(_hidden(self))


Days = Annotated[
    dict[Annotated[Text, AfterValidator(day)], Annotated[str, BeforeValidator(hours_of_day)]],
    table('{ "2026-12-31" = "09:00-13:00", "2027-01-02" = "off" }'),
]
TimeOnly = Annotated[str, BeforeValidator(time_only)]
TimeAllowed = Annotated[str, BeforeValidator(time_allowed)]


class ShopConfig(Section):
    name: ShortText = Field(examples=["Kumbara"])
    country: Annotated[Text, AfterValidator(known_country)] = Field(examples=["TR"])
    timezone: Annotated[Text, AfterValidator(known_timezone)] = Field(examples=["Europe/Istanbul"])
    languages: Annotated[Languages, Field(min_length=1), AfterValidator(distinct)] = Field(examples=[["tr", "en"]])
    region: Annotated[Text, AfterValidator(known_region)] | None = None
    exceptions: Days = Field(default_factory=dict)

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.timezone)


class SlackConfig(Section):
    bot_token: Annotated[
        Secret,
        matching(
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
            matching(
                r"xapp-\S+",
                "is not an app-level token: it does not begin with xapp-",
                "make one under Basic Information of your Slack app, with the scope connections:write",
                secret=True,
            ),
        ]
        | None
    ) = Field(default=None, examples=["${SLACK_APP_TOKEN}"])
    api_url: Annotated[Url, AfterValidator(slashed)] = "https://slack.com/api/"
    posts_per_second: Annotated[float, BeforeValidator(number), Field(gt=0, le=1000)] = 1.0

    @property
    def socket_mode(self) -> bool:
        """Events come through Slack's socket as soon as there is an app token; else Slack calls `public_url`."""
        return self.app_token is not None


class TargetConfig(Section):
    """What is promised at one priority."""

    first_answer: TimeAllowed | None = None
    next_answer: TimeAllowed | None = None
    resolution: TimeAllowed | None = None


Target = Annotated[TargetConfig, table('{ first_answer = "1h", resolution = "2d" }')]


class TargetsConfig(Section):
    """What is promised."""

    urgent: Target | None = None
    high: Target | None = None
    normal: Target | None = None
    low: Target | None = None

    def written(self) -> dict[str, dict[str, str]]:
        """Only what is promised, by priority."""
        return {priority: found for priority, one in self if (found := one and {k: v for k, v in one if v is not None})}


class EscalateConfig(Section):
    """What happens when a promise of a team is broken."""

    mention: tuple[MemberId, ...] = ()
    raise_priority: bool = True
    move_to: Text | None = None


class AgentConfig(Section):
    """What Santral is told of a person beyond Slack."""

    id: Annotated[MemberId, AfterValidator(one_person)] = Field(examples=["U0123456789"])
    languages: Annotated[Languages, AfterValidator(distinct)] = ()
    skills: tuple[ShortText, ...] = ()
    capacity: Annotated[int, BeforeValidator(whole_number), Field(ge=1, le=1000)] | None = None
    hours: Annotated[Text, AfterValidator(known_hours)] | None = None
    timezone: Annotated[Text, AfterValidator(known_timezone)] | None = None


class AcknowledgeConfig(Section):
    """What customers are told at once."""

    enabled: bool = True
    long_wait: TimeOnly | None = None
    per_minute: Annotated[int, BeforeValidator(whole_number), Field(ge=1, le=10_000)] = 60


class ContactConfig(Section):
    """The public contact page and its form."""

    page: bool = True
    form: bool = True
    channel: Name | None = None
    languages: Annotated[Languages, AfterValidator(distinct)] = ()


class TeamConfig(Section):
    name: Name = Field(examples=["support"])
    slack_channel: SlackChannelId = Field(examples=["C0123456789"])
    members: tuple[MemberId, ...] = ()
    hours: Annotated[Text, AfterValidator(known_hours)] | None = None
    timezone: Annotated[Text, AfterValidator(known_timezone)] | None = None
    exceptions: Days = Field(default_factory=dict)
    replies: Literal["send", "note"] = "send"
    ask_first: bool = True
    undo_seconds: Annotated[float, BeforeValidator(number), Field(ge=0, le=60)] = 5.0
    languages: Annotated[Languages, AfterValidator(distinct)] = ()
    tags: tuple[ShortText, ...] = ()
    assign: Literal["by_hand", "round_robin", "least_busy"] = "by_hand"
    capacity: Annotated[int, BeforeValidator(whole_number), Field(ge=1, le=1000)] = 10
    patience: TimeOnly = "1h"
    targets: Annotated[TargetsConfig, table('{ urgent = { first_answer = "30m" } }')] = Field(
        default_factory=TargetsConfig
    )
    escalate: Annotated[EscalateConfig, table('{ mention = ["S0123456789"] }')] = Field(default_factory=EscalateConfig)

    @property
    def undo_delay(self) -> timedelta:
        return timedelta(seconds=self.undo_seconds)


def _shown(value: object) -> Any:
    if isinstance(value, Section):
        return {key: _shown(item) for key, item in value}
    if isinstance(value, tuple) and not isinstance(value, Listen):
        return [_shown(item) for item in value]
    return str(value) if isinstance(value, (SecretStr, Path, Listen)) else value


def _hidden(value: object) -> Iterator[str]:
    if isinstance(value, Section):
        for _, item in value:
            yield from _hidden(item)
    elif isinstance(value, SecretUrl):
        yield value.get_secret_value()
        if password := urlsplit(value.get_secret_value()).password:
            yield from (password, unquote(password))
    elif isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, tuple):
        for item in value:
            yield from _hidden(item)
