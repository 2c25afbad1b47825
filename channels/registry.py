"""The kinds of channel there are. Besides `app`, this is the only place that names concrete adapters.

Rule: one line a kind; making a channel opens no connection and loads no SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from channels.channel import Capabilities, Channel
from channels.mail.adapter import CAPABILITIES as EMAIL
from channels.mail.adapter import Email, EmailConfig
from channels.meta.instagram import CAPABILITIES as INSTAGRAM
from channels.meta.instagram import Instagram, InstagramConfig
from channels.meta.messenger import CAPABILITIES as MESSENGER
from channels.meta.messenger import Messenger, MessengerConfig
from channels.telegram.adapter import CAPABILITIES as TELEGRAM
from channels.telegram.adapter import Telegram, TelegramConfig
from channels.twilio.adapter import SMS, WHATSAPP_BY_TWILIO, Sms, TwilioConfig, WhatsAppByTwilio
from channels.webchat.adapter import CAPABILITIES as WEBCHAT
from channels.webchat.adapter import Webchat, WebchatConfig
from channels.whatsapp.adapter import CAPABILITIES as WHATSAPP
from channels.whatsapp.adapter import WhatsApp, WhatsAppConfig
from channels.x.adapter import CAPABILITIES as X_CAPABILITIES
from channels.x.adapter import X, XConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of channel: how it is configured, how it is made, what it carries."""

    config: Callable[..., Any]  # the adapter's config dataclass: its fields are the kind's keys in `santral.toml`
    adapter: Callable[[str, Any], Channel]
    capabilities: Capabilities


KINDS: Mapping[str, Kind] = {
    "email": Kind(config=EmailConfig, adapter=Email, capabilities=EMAIL),
    "instagram": Kind(config=InstagramConfig, adapter=Instagram, capabilities=INSTAGRAM),
    "messenger": Kind(config=MessengerConfig, adapter=Messenger, capabilities=MESSENGER),
    "sms": Kind(config=TwilioConfig, adapter=Sms, capabilities=SMS),
    "telegram": Kind(config=TelegramConfig, adapter=Telegram, capabilities=TELEGRAM),
    "webchat": Kind(config=WebchatConfig, adapter=Webchat, capabilities=WEBCHAT),
    "whatsapp": Kind(config=WhatsAppConfig, adapter=WhatsApp, capabilities=WHATSAPP),
    "whatsapp-twilio": Kind(config=TwilioConfig, adapter=WhatsAppByTwilio, capabilities=WHATSAPP_BY_TWILIO),
    "x": Kind(config=XConfig, adapter=X, capabilities=X_CAPABILITIES),
}

CAPABILITIES: Mapping[str, Capabilities] = {name: kind.capabilities for name, kind in KINDS.items()}


def make(kind: str, name: str, settings: Mapping[str, Any]) -> Channel:
    """Make the channel called `name`. `settings` holds plain values of the kind's own keys, without name and kind.

    Raises `KeyError` for a kind that does not exist and `TypeError` for a key that is missing or unknown: the
    configuration is checked before it comes here.
    """
    made = KINDS[kind]
    return made.adapter(name, made.config(**settings))
