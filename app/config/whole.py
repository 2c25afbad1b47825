"""`santral.toml` as a whole: what stands at its top and which sections it has, as much of it as a command needs.

Rule: each class has what one kind of command reads, and no more: what is wrong elsewhere must not keep it from running.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator

from app.config.deciding import path as path_given
from app.config.kinds import ChannelConfig, EmailConfig, MetaConfig, TwilioConfig, WebchatConfig
from app.config.sections import (
    AcknowledgeConfig,
    AgentConfig,
    ContactConfig,
    Section,
    ShopConfig,
    SlackConfig,
    TargetsConfig,
    TeamConfig,
)
from app.config.values import DatabaseUrl, Listen, Url, beside, listen_at
from app.problems import Wrong


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
