"""The kinds of channel there are. Besides `app`, this is the only place that names concrete adapters.

Rule: one function a kind. An adapter is imported when its kind is asked for: a process that is configured for one does
not pay for nine. Making a channel opens no connection and loads no SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from channels.channel import Capabilities, Channel

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of channel: how it is configured, how it is made, what it carries."""

    config: Callable[..., Any]  # the adapter's config dataclass: its fields are the kind's keys in `santral.toml`
    adapter: Callable[[str, Any], Channel]
    capabilities: Capabilities


def _email() -> Kind:
    from channels.mail.adapter import CAPABILITIES, Email, EmailConfig

    return Kind(config=EmailConfig, adapter=Email, capabilities=CAPABILITIES)


def _instagram() -> Kind:
    from channels.meta.instagram import CAPABILITIES, Instagram, InstagramConfig

    return Kind(config=InstagramConfig, adapter=Instagram, capabilities=CAPABILITIES)


def _messenger() -> Kind:
    from channels.meta.messenger import CAPABILITIES, Messenger, MessengerConfig

    return Kind(config=MessengerConfig, adapter=Messenger, capabilities=CAPABILITIES)


def _sms() -> Kind:
    from channels.twilio.adapter import SMS, Sms, TwilioConfig

    return Kind(config=TwilioConfig, adapter=Sms, capabilities=SMS)


def _telegram() -> Kind:
    from channels.telegram.adapter import CAPABILITIES, Telegram, TelegramConfig

    return Kind(config=TelegramConfig, adapter=Telegram, capabilities=CAPABILITIES)


def _webchat() -> Kind:
    from channels.webchat.adapter import CAPABILITIES, Webchat, WebchatConfig

    return Kind(config=WebchatConfig, adapter=Webchat, capabilities=CAPABILITIES)


def _whatsapp() -> Kind:
    from channels.whatsapp.adapter import CAPABILITIES, WhatsApp, WhatsAppConfig

    return Kind(config=WhatsAppConfig, adapter=WhatsApp, capabilities=CAPABILITIES)


def _whatsapp_by_twilio() -> Kind:
    from channels.twilio.adapter import WHATSAPP_BY_TWILIO, TwilioConfig, WhatsAppByTwilio

    return Kind(config=TwilioConfig, adapter=WhatsAppByTwilio, capabilities=WHATSAPP_BY_TWILIO)


def _x() -> Kind:
    from channels.x.adapter import CAPABILITIES, X, XConfig

    return Kind(config=XConfig, adapter=X, capabilities=CAPABILITIES)


_NAMED: Mapping[str, Callable[[], Kind]] = {
    "email": _email,
    "instagram": _instagram,
    "messenger": _messenger,
    "sms": _sms,
    "telegram": _telegram,
    "webchat": _webchat,
    "whatsapp": _whatsapp,
    "whatsapp-twilio": _whatsapp_by_twilio,
    "x": _x,
}


class _ByKind(Mapping[str, Value], Generic[Value]):
    """A value for each kind, made when it is looked up. Which kinds there are is known without."""

    def __init__(self, of: Callable[[Kind], Value]) -> None:
        self._of = of

    def __getitem__(self, kind: str) -> Value:
        return self._of(_NAMED[kind]())

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMED)

    def __len__(self) -> int:
        return len(_NAMED)

    def __contains__(self, kind: object) -> bool:
        return kind in _NAMED


KINDS: Mapping[str, Kind] = _ByKind(lambda kind: kind)
CAPABILITIES: Mapping[str, Capabilities] = _ByKind(lambda kind: kind.capabilities)


def make(kind: str, name: str, settings: Mapping[str, Any]) -> Channel:
    """Make the channel called `name`. `settings` holds plain values of the kind's own keys, without name and kind.

    Raises `KeyError` for a kind that does not exist and `TypeError` for a key that is missing or unknown: the
    configuration is checked before it comes here.
    """
    made = KINDS[kind]
    return made.adapter(name, made.config(**settings))
