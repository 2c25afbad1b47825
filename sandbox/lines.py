"""The apps customers write with, and the shop's accounts at Twilio, Meta and X that they write to.

Rule: values only. Everything is fixed, so that a configuration can name it; `sections` writes the one that fits.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

Json = dict[str, Any]

TWILIO_ACCOUNT, TWILIO_TOKEN = "AC00000000000000000000000000000d01", "demo-twilio-token"
META_SECRET, META_VERIFY = "demo-meta-secret", "demo-meta-verify"
NUMBER_TOKEN, PAGE_TOKEN = "demo-number-token", "demo-page-token"
BUSINESS = "102290129340398"
CONSUMER = ("demo-x-consumer", "demo-x-consumer-secret")
ACCESS = ("demo-x-access", "demo-x-access-secret")

SMS_LINE = "+905000000100"
TWILIO_WHATSAPP_LINE = "whatsapp:+905000000101"
WHATSAPP_LINE, WHATSAPP_NUMBER = "106540352242922", "+90 500 000 01 02"
PAGE_LINE = "108264108264108"
INSTAGRAM_LINE = "17841400000000000"
X_LINE = "2244994945"

RETRIES = "#rc=3&rp=5xx,ct,rt&ct=2000&rt=4000"  # else Twilio repeats nothing
HURRY = 0.05  # of the time Meta waits before it delivers again
X_EVENTS = ("dm.received", "dm.sent", "dm.read", "dm.indicate_typing")
TEMPLATE = "answer_ready"
# What Meta approved, by language. {{1}} is the customer's name.
TEMPLATES = {
    "en": "Hello {{1}}, we have an answer to your question. Write back and we send it at once.",
    "tr": "Merhaba {{1}}, sorunuzun yanıtı hazır. Bu mesajı yanıtlarsanız hemen gönderiyoruz.",
    "de": "Guten Tag {{1}}, die Antwort auf Ihre Frage liegt bereit. Schreiben Sie kurz zurück, dann schicken wir sie.",
    "ru": "Здравствуйте, {{1}}! Ответ на ваш вопрос готов. Напишите нам, и мы сразу его отправим.",
    "ar": "مرحبًا {{1}}، الرد على سؤالك جاهز. راسلنا وسنرسله إليك فورًا.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An app on customers' phones, at the emulator of `world`; `channel` is what the configuration calls it."""

    name: str
    world: str
    line: str
    shop: str  # what the shop is called there
    note: str  # stands below that
    channel: str = ""
    can: tuple[str, ...] = field(default_factory=tuple)  # what people do there beyond writing


APPS = {
    "telegram": App(name="Telegram", world="telegram", line="", shop="Kumbara", note="bot", channel="kumbara-bot"),
    "sms": App(
        name="SMS", world="twilio", line=SMS_LINE, shop=SMS_LINE, note="Text message", channel="sms", can=("stop",)
    ),
    "whatsapp-twilio": App(
        name="WhatsApp",
        world="twilio",
        line=TWILIO_WHATSAPP_LINE,
        shop="Kumbara",
        note="Business account, by Twilio",
        channel="whatsapp-twilio",
        can=("files", "reply", "place", "press", "block"),
    ),
    "whatsapp": App(
        name="WhatsApp",
        world="meta",
        line=WHATSAPP_LINE,
        shop="Kumbara",
        note="Business account",
        channel="whatsapp",
        can=("files", "reply", "react", "edit", "unsend", "place", "press", "block", "elsewhere"),
    ),
    "messenger": App(
        name="Messenger",
        world="meta",
        line=PAGE_LINE,
        shop="Kumbara",
        note="Usually replies in minutes",
        channel="messenger",
        can=("files", "reply", "react", "edit", "unsend", "press", "block", "elsewhere"),
    ),
    "instagram": App(
        name="Instagram",
        world="meta",
        line=INSTAGRAM_LINE,
        shop="kumbara.shop",
        note="Kumbara",
        channel="instagram",
        can=("files", "reply", "react", "edit", "unsend", "press", "block", "elsewhere"),
    ),
    "x": App(
        name="X",
        world="x",
        line=X_LINE,
        shop="Kumbara",
        note="@kumbara",
        channel="x",
        can=("files", "unsend", "block", "unblock", "elsewhere", "encrypt"),
    ),
    "shop": App(name="Web chat", world="web", line="", shop="Kumbara", note="", channel="chat"),
    "contact": App(name="Contact page", world="web", line="", shop="Kumbara", note=""),
}


def plain() -> Json:
    """The apps as the page shows them."""
    return {name: asdict(app) for name, app in APPS.items()}


def sections(base: str) -> str:
    """Write the channels of `santral.toml` that fit these accounts."""
    twilio = {"account_sid": TWILIO_ACCOUNT, "auth_token": TWILIO_TOKEN, "api_url": f"{base}/twilio"}
    meta = {"app_secret": META_SECRET, "verify_token": META_VERIFY, "api_url": f"{base}/meta"}
    written = {
        "sms": {**twilio, "sender": SMS_LINE},
        "whatsapp-twilio": {**twilio, "sender": TWILIO_WHATSAPP_LINE},
        "whatsapp": {
            **meta,
            "access_token": NUMBER_TOKEN,
            "phone_number_id": WHATSAPP_LINE,
            "business_account_id": BUSINESS,
        },
        "messenger": {**meta, "access_token": PAGE_TOKEN, "page_id": PAGE_LINE},
        "instagram": {**meta, "access_token": PAGE_TOKEN, "ig_id": INSTAGRAM_LINE, "page_id": PAGE_LINE},
        "x": {
            "consumer_key": CONSUMER[0],
            "consumer_secret": CONSUMER[1],
            "access_token": ACCESS[0],
            "access_token_secret": ACCESS[1],
            "user_id": X_LINE,
            "api_url": f"{base}/x",
        },
    }
    return "\n".join(
        f'[[channels]]\nname = "{APPS[kind].channel}"\nkind = "{kind}"\n'
        + "".join(f'{key} = "{value}"\n' for key, value in values.items())
        for kind, values in written.items()
    )


def approved() -> str:
    """Write the `approved.toml` that lists the same templates."""
    return "\n".join(
        f'[[approved]]\nchannel = "{APPS["whatsapp"].channel}"\nname = "{TEMPLATE}"\nlanguage = "{language}"\n'
        f'category = "utility"\nbody = "{body}"\nvariables = ["customer"]\n'
        for language, body in TEMPLATES.items()
    )
