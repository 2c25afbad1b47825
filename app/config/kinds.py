"""What `[[channels]]` of `santral.toml` may hold: a section for each kind of channel.

Rule: the keys of a kind are the fields of its adapter's config dataclass; unknown keys are refused.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from app.config.mail_values import (
    ImapUrl,
    MailAddress,
    OwnAddress,
    Receiver,
    Selector,
    Sender,
    SigningDomain,
    SmtpUrl,
    by_team,
    certificates,
    delivery_door,
    signing_key,
    token_url,
)
from app.config.sections import Section
from app.config.values import (
    Digits,
    Name,
    OneLine,
    Secret,
    ShortText,
    ShortTextOrNone,
    Text,
    Url,
    filled,
    matching,
    number,
    origin,
)
from app.problems import Wrong

TELEGRAM_API = "https://api.telegram.org"
TELEGRAM_SECRET_LABEL = b"santral: secret of the telegram webhook"  # changing it breaks every registered webhook


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
        matching(
            r"[0-9]+:[A-Za-z0-9_-]+",
            "is not a bot token",
            "copy it from @BotFather; it looks like 123456789:AA…",
            secret=True,
        ),
    ] = Field(examples=["${TELEGRAM_TOKEN}"])
    receive: Literal["webhook", "poll"] = "poll"
    secret: Annotated[
        Secret,
        matching(
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
    """A mailbox. It is read by IMAP, or delivered to `listen`, or brought by a provider that calls our webhook."""

    name: Name = Field(examples=["mail"])
    kind: Literal["email"]
    address: OwnAddress = Field(examples=["support@shop.example"])
    aliases: tuple[MailAddress, ...] = ()
    imap: ImapUrl | None = Field(default=None, examples=["${IMAP_URL}"])
    smtp: SmtpUrl = Field(examples=["${SMTP_URL}"])
    trusted_authserv: tuple[Receiver, ...] = ()
    folders: tuple[OneLine, ...] = ()
    import_hours: Annotated[float, BeforeValidator(number), Field(ge=0, le=24 * 366)] = 1.0
    contact_forms: tuple[MailAddress, ...] = ()
    from_name: ShortTextOrNone = ""
    senders: Annotated[dict[str, Sender], BeforeValidator(by_team)] = Field(default_factory=dict)
    reply_token: bool | None = None
    bounce_address: OwnAddress | None = None
    per_minute: Annotated[float, BeforeValidator(number), Field(gt=0, le=6000)] = 60.0
    cafile: Annotated[Path, BeforeValidator(filled)] | None = None
    dkim_selector: Selector | None = None
    dkim_domain: SigningDomain | None = None
    dkim_key: Annotated[Secret, AfterValidator(signing_key)] | None = None
    oauth_token_url: Annotated[Url, AfterValidator(token_url)] | None = None
    oauth_client_id: OneLine | None = None
    oauth_client_secret: Secret | None = None
    oauth_refresh_token: Secret | None = None
    oauth_scope: OneLine | None = None
    listen: Annotated[Text, AfterValidator(delivery_door)] | None = Field(
        default=None, examples=["lmtp://127.0.0.1:2424"]
    )
    inbound: Literal["sendgrid", "mailgun", "postmark", "ses"] | None = None
    inbound_secret: Secret | None = None
    inbound_topic: Text | None = None

    @field_validator("cafile", mode="after")
    @classmethod
    def readable(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        """Look into the file now, rather than when the first mail is to be fetched."""
        return value and certificates(value, (info.context or {}).get("folder", Path()))

    @property
    def receives(self) -> str:
        return "poll" if self.imap is not None else "webhook" if self.inbound else "delivery"

    def settings(self) -> dict[str, Any]:
        return {
            key: str(value) if isinstance(value, Path) else value
            for key, value in super().settings().items()
            if value is not None
        }


class TwilioConfig(ChannelSection):
    """SMS and WhatsApp by Twilio."""

    name: Name = Field(examples=["sms"])
    kind: Literal["sms", "whatsapp-twilio"]
    account_sid: Annotated[
        Text,
        matching(r"AC[0-9A-Za-z]+", "is not an account SID", "copy it from the Twilio console: AC…"),
    ] = Field(examples=["${TWILIO_ACCOUNT_SID}"])
    auth_token: Secret = Field(examples=["${TWILIO_AUTH_TOKEN}"])
    previous_auth_token: Secret | None = None
    api_key: (
        Annotated[Text, matching(r"SK[0-9A-Za-z]+", "is not the SID of an API key", "it begins with SK")] | None
    ) = None
    api_secret: Secret | None = None
    shared_keys: tuple[Secret, ...] = ()
    sender: (
        Annotated[
            Text,
            matching(
                r"(whatsapp:)?\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}",
                "is not a sender",
                "write the number with + and country, like +905321234567",
            ),
        ]
        | None
    ) = None
    messaging_service_sid: (
        Annotated[Text, matching(r"MG[0-9A-Za-z]+", "is not a messaging service SID", "it begins with MG")] | None
    ) = None
    per_second: Annotated[float, BeforeValidator(number), Field(gt=0, le=1000)] | None = None
    api_url: Url = "https://api.twilio.com"
    receives: ClassVar[str] = "webhook"

    @field_validator("sender", mode="after")
    @classmethod
    def of_its_kind(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Take names and short numbers for SMS alone, and WhatsApp's way of writing a number for WhatsApp alone."""
        if value is None:
            return None
        if info.data.get("kind") == "sms" and value.startswith("whatsapp:"):
            raise Wrong("is a WhatsApp sender", 'write the number alone, or kind = "whatsapp-twilio"')
        if info.data.get("kind") == "whatsapp-twilio" and not value.removeprefix("whatsapp:").startswith("+"):
            raise Wrong("is not a WhatsApp sender", "write the number with + and country, like +905321234567")
        return value

    def settings(self) -> dict[str, Any]:
        known = {key: value for key, value in super().settings().items() if value is not None}
        return known | {"shared_keys": tuple(key.get_secret_value() for key in self.shared_keys)}


class MetaConfig(ChannelSection):
    """What Meta's three channels share."""

    access_token: Secret = Field(examples=["${META_ACCESS_TOKEN}"])
    app_secret: Secret = Field(examples=["${META_APP_SECRET}"])
    verify_token: Secret = Field(examples=["${META_VERIFY_TOKEN}"])
    api_url: Url = "https://graph.facebook.com"
    receives: ClassVar[str] = "webhook"
    account: ClassVar[str]  # the key that names whose events these are


class WhatsAppConfig(MetaConfig):
    """WhatsApp by Meta's Cloud API."""

    name: Name = Field(examples=["whatsapp"])
    kind: Literal["whatsapp"]
    phone_number_id: Digits = Field(examples=["106540352242922"])
    business_account_id: Digits | None = None
    account: ClassVar[str] = "phone_number_id"


class MessengerConfig(MetaConfig):
    name: Name = Field(examples=["messenger"])
    kind: Literal["messenger"]
    page_id: Digits = Field(examples=["108264108264108"])
    account: ClassVar[str] = "page_id"


class InstagramConfig(MetaConfig):
    name: Name = Field(examples=["instagram"])
    kind: Literal["instagram"]
    ig_id: Digits = Field(examples=["17841400000000000"])
    page_id: Digits | None = None
    instagram_app_secret: Secret | None = None
    token_until: date | None = None
    account: ClassVar[str] = "ig_id"


class XConfig(ChannelSection):
    """Direct messages on X."""

    name: Name = Field(examples=["x"])
    kind: Literal["x"]
    consumer_key: Secret = Field(examples=["${X_CONSUMER_KEY}"])
    consumer_secret: Secret = Field(examples=["${X_CONSUMER_SECRET}"])
    access_token: Secret = Field(examples=["${X_ACCESS_TOKEN}"])
    access_token_secret: Secret = Field(examples=["${X_ACCESS_TOKEN_SECRET}"])
    user_id: Digits = Field(examples=["2244994945"])
    client_secret: Secret | None = None
    api_url: Url = "https://api.x.com"
    receives: ClassVar[str] = "webhook"

    def settings(self) -> dict[str, Any]:
        return {key: value for key, value in super().settings().items() if value is not None}


class WebchatConfig(ChannelSection):
    """The chat bubble on the shop's own pages."""

    name: Name = Field(examples=["chat"])
    kind: Literal["webchat"]
    origins: Annotated[tuple[Annotated[Text, AfterValidator(origin)], ...], Field(min_length=1)] = Field(
        examples=[["https://shop.example"]]
    )
    identity_secret: Secret | None = None
    title: ShortText | None = None
    color: Annotated[
        Text,
        matching(
            r"#[0-9A-Fa-f]{6}", "is not a color", "write it like #1f5fbf, as your designer or a color picker does"
        ),
    ] = "#1f5fbf"
    side: Literal["right", "left"] = "right"
    receives: ClassVar[str] = "browser"

    def settings(self) -> dict[str, Any]:
        return {key: value for key, value in super().settings().items() if value is not None}


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
