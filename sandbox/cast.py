"""The invented shop, its customers with their phones and mailboxes, and its people in Slack. Nobody here exists.

Rule: ids are fixed, so that a configuration can name them; phone numbers come from ranges nobody is given.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sandbox.mail import World as Mail
from sandbox.slack import World as Slack
from sandbox.telegram import World as Telegram

Json = dict[str, Any]

SHOP = "Kumbara"
ZONE = "Europe/Istanbul"
BOT_NAME = "Kumbara"
BOT_USERNAME = "kumbara_bot"
TELEGRAM_TOKEN = "4711:demo"  # noqa: S105  # of the emulator
SLACK_BOT_TOKEN = "xoxb-demo"  # noqa: S105
SLACK_APP_TOKEN = "xapp-demo"  # noqa: S105
SLACK_SIGNING_SECRET = "demo-signing-secret"  # noqa: S105
MAILBOX = "support@kumbara.example"
MAILBOX_PASSWORD = "demo-mailbox"  # noqa: S105

TEAM = "T08KUMBARA0"
SUPPORT_CHANNEL = "C08KUMBARA1"
RETURNS_CHANNEL = "C08KUMBARA2"
GENERAL_CHANNEL = "C08KUMBARA3"
TEAM_CHANNELS = (SUPPORT_CHANNEL, RETURNS_CHANNEL)
APP_NAME = "Santral"
APP_ID = "A08SANTRAL0"
BOT_ID = "B08SANTRAL0"
BOT_USER = "U08SANTRAL0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a portrait is drawn."""

    sky: tuple[str, str]
    skin: str
    hair: str  # bun, long, short, crop, curly, scarf
    tint: str  # of the hair
    shirt: str
    beard: str = ""
    glasses: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A customer. `hint` is shown while they have not written yet.

    `apps` are what they write with, by their names in `lines.APPS`. `id` is theirs on Telegram and X.
    """

    key: str
    id: int
    apps: tuple[str, ...] = ("telegram",)
    first_name: str
    last_name: str
    username: str
    language: str
    language_name: str
    city: str
    phone: str
    hint: str
    look: Look

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A customer who writes mail, with the program `client`. `hint` is shown while they have not written yet."""

    key: str
    first_name: str
    last_name: str
    address: str
    client: str
    client_name: str
    language: str
    language_name: str
    city: str
    signature: str
    subject: str
    hint: str
    away: str  # what their vacation note says
    look: Look

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Somebody in the shop's Slack."""

    key: str
    id: str
    first_name: str
    name: str
    note: str
    look: Look
    locale: str = "en-US"
    admin: bool = False
    guest: bool = False


AYSE = Person(
    key="ayse",
    id=7_204_118_301,
    apps=("telegram", "instagram"),
    first_name="Ayşe",
    last_name="Yılmaz",
    username="ayse_y",
    language="tr",
    language_name="Türkçe",
    city="İzmir",
    phone="+905000000001",
    hint="Merhaba, siparişim nerede?",
    look=Look(sky=("#ffd6a8", "#f08a5d"), skin="#f3c9a5", hair="long", tint="#4a2c20", shirt="#7a3b69"),
)
DMITRY = Person(
    key="dmitry",
    id=7_204_118_302,
    first_name="Дмитрий",
    last_name="Орлов",
    username="d_orlov",
    language="ru",
    language_name="Русский",
    city="Казань",
    phone="+79000000002",
    hint="Здравствуйте! Копилка ещё в наличии?",
    look=Look(
        sky=("#bfe3f2", "#5b97c9"), skin="#f1cdb0", hair="short", tint="#7b5a3a", shirt="#29485f", beard="#7b5a3a"
    ),
)
EMILY = Person(
    key="emily",
    id=7_204_118_303,
    apps=("telegram", "sms"),
    first_name="Emily",
    last_name="Carter",
    username="emilyc",
    language="en",
    language_name="English",
    city="Leeds",
    phone="+447700900123",
    hint="Hi! Can I still change my address?",
    look=Look(sky=("#d9edc4", "#7cb07a"), skin="#8d5a3b", hair="curly", tint="#241813", shirt="#e2b33c"),
)
JONAS = Person(
    key="jonas",
    id=7_204_118_304,
    apps=("telegram", "whatsapp"),
    first_name="Jonas",
    last_name="Weber",
    username="jonasweber",
    language="de",
    language_name="Deutsch",
    city="Bremen",
    phone="+493023125004",
    hint="Hallo, ich möchte etwas umtauschen.",
    look=Look(sky=("#dcd3f2", "#8a7cc0"), skin="#f5d3b8", hair="crop", tint="#c9a15a", shirt="#3c6e5f", glasses=True),
)
ELIF = Person(
    key="elif",
    id=7_204_118_305,
    apps=("whatsapp", "sms", "instagram"),
    first_name="Elif",
    last_name="Demir",
    username="elif.demir",
    language="tr",
    language_name="Türkçe",
    city="Ankara",
    phone="+905000000005",
    hint="Merhaba, kumbaranın kırmızısı kaldı mı?",
    look=Look(sky=("#f9d5e5", "#c86b98"), skin="#f0c3a0", hair="bun", tint="#2b1d1a", shirt="#31507a"),
)
OMAR = Person(
    key="omar",
    id=7_204_118_306,
    apps=("whatsapp-twilio", "messenger"),
    first_name="عمر",
    last_name="الحسن",
    username="omar.alhassan",
    language="ar",
    language_name="العربية",
    city="Manchester",
    phone="+447700900456",
    hint="مرحبًا، هل يصل الطلب إلى مانشستر؟",
    look=Look(
        sky=("#f6e3b4", "#c79a4b"), skin="#c98f62", hair="short", tint="#17120f", shirt="#2e5d4f", beard="#17120f"
    ),
)
NINA = Person(
    key="nina",
    id=7_204_118_307,
    apps=("x", "messenger"),
    first_name="Nina",
    last_name="Brooks",
    username="ninabrooks",
    language="en",
    language_name="English",
    city="Boston",
    phone="+16175550142",
    hint="Hey! Do you ship to the US?",
    look=Look(sky=("#cfe0ff", "#6b7fc4"), skin="#5f3b26", hair="curly", tint="#120c09", shirt="#d2603a", glasses=True),
)
THEO = Person(
    key="theo",
    id=7_204_118_308,
    apps=("shop", "contact"),
    first_name="Theo",
    last_name="Hall",
    username="theohall",
    language="en",
    language_name="English",
    city="Bristol",
    phone="+447700900789",
    hint="Hello, does the money box open without a hammer?",
    look=Look(sky=("#d8f0e3", "#5fa98a"), skin="#f3cdb2", hair="crop", tint="#8a4a26", shirt="#4a4f63"),
)
PEOPLE = (AYSE, DMITRY, EMILY, JONAS, ELIF, OMAR, NINA, THEO)

ZEYNEP = Writer(
    key="zeynep",
    first_name="Zeynep",
    last_name="Kaya",
    address="zeynep.kaya@posta.example",
    client="gmail",
    client_name="Gmail",
    language="tr",
    language_name="Türkçe",
    city="Bursa",
    signature="Zeynep Kaya\nNilüfer, Bursa",
    subject="Siparişim hakkında",
    hint="Merhaba,\n\nsiparişim ne zaman gelir?",
    away="Merhaba,\n\n29 Kasım'a kadar izindeyim, döndüğümde yazarım.\n\nZeynep Kaya",
    look=Look(sky=("#fde2c8", "#d9775f"), skin="#edc09a", hair="scarf", tint="#3f7f86", shirt="#2c5f66"),
)
HANNA = Writer(
    key="hanna",
    first_name="Hanna",
    last_name="Vogel",
    address="hanna.vogel@brief.example",
    client="outlook",
    client_name="Outlook",
    language="de",
    language_name="Deutsch",
    city="Köln",
    signature="Mit freundlichen Grüßen\nHanna Vogel\n\nTel. 030 23125 006",
    subject="Frage zu meiner Bestellung",
    hint="Guten Tag,\n\nkönnen Sie mir sagen, wann meine Bestellung kommt?",
    away="Guten Tag,\n\nich bin bis zum 29. November im Urlaub und lese keine E-Mails.\n\nHanna Vogel",
    look=Look(sky=("#d3e8f5", "#6d93b8"), skin="#f6d9c6", hair="bun", tint="#d8b26a", shirt="#8a4a5e", glasses=True),
)
WRITERS = (ZEYNEP, HANNA)

DENIZ = Agent(
    key="deniz",
    id="U08DENIZ001",
    first_name="Deniz",
    name="Deniz Aydın",
    note="In the support team",
    admin=True,
    look=Look(
        sky=("#c6ece6", "#3f9c92"), skin="#e8b48c", hair="short", tint="#1f1a1a", shirt="#1f5a66", beard="#1f1a1a"
    ),
)
MARTA = Agent(
    key="marta",
    id="U08MARTA001",
    first_name="Marta",
    name="Marta Lind",
    note="In the support team",
    look=Look(sky=("#ffe0e4", "#d8738a"), skin="#f6d7c0", hair="bun", tint="#b8622f", shirt="#40355f"),
)
GUS = Agent(
    key="gus",
    id="U08GUEST003",
    first_name="Gus",
    name="Guest Gus",
    note="A guest of the workspace: may read along, not answer customers",
    guest=True,
    look=Look(sky=("#e6e6e6", "#9aa0a6"), skin="#e9bfa0", hair="curly", tint="#6d6d6d", shirt="#55606b"),
)
AGENTS = (DENIZ, MARTA, GUS)

# What Santral's manifest puts into Slack's message menu.
SHORTCUTS = (
    ("conv_assign_me", "Take conversation"),
    ("conv_resolve", "Resolve conversation"),
    ("conv_note", "Keep as note"),
    ("conv_send", "Send to customer"),
    ("conv_undo", "Undo sending"),
)
TOPICS = {
    SUPPORT_CHANNEL: "Customers, one thread each",
    RETURNS_CHANNEL: "What comes back: returns, refunds, broken and wrong things",
    GENERAL_CHANNEL: "Everybody at Kumbara",
}
NAMES = {SUPPORT_CHANNEL: "support", RETURNS_CHANNEL: "returns", GENERAL_CHANNEL: "general"}


def plain() -> Json:
    """The cast as the page shows it."""
    return {
        "shop": SHOP,
        "app_name": APP_NAME,
        "bot": {"name": BOT_NAME, "username": BOT_USERNAME},
        "support_channel": SUPPORT_CHANNEL,
        "team_channels": TEAM_CHANNELS,
        "people": [{**asdict(person), "name": person.name} for person in PEOPLE],
        "writers": [{**asdict(writer), "name": writer.name} for writer in WRITERS],
        "mailbox": MAILBOX,
        "agents": [asdict(agent) for agent in AGENTS],
        "shortcuts": [{"callback_id": name, "name": label} for name, label in SHORTCUTS],
        "topics": TOPICS,
    }


def enter_telegram(world: Telegram, token: str) -> None:
    """Add the shop's bot and the customers."""
    world.add_bot(token=token, username=BOT_USERNAME, name=BOT_NAME)
    for person in PEOPLE:
        if "telegram" not in person.apps:
            continue
        world.add_user(
            id=person.id,
            first_name=person.first_name,
            last_name=person.last_name,
            username=person.username,
            language_code=person.language,
            phone=person.phone,
        )


def enter_mail(world: Mail, password: str) -> None:
    """Open the mailboxes of the shop and of the customers who write mail."""
    world.add_account(MAILBOX, name=SHOP, password=password)
    for writer in WRITERS:
        world.add_account(
            writer.address,
            name=writer.name,
            client=writer.client,
            language=writer.language,
            signature=writer.signature,
        )


async def enter_slack(world: Slack, app: Json) -> None:
    """Make the workspace the shop's own. `app` holds what the configuration decides: tokens, secret, URLs."""
    everyone = [agent.id for agent in AGENTS]
    await world.set_up(
        {
            "team": {"id": TEAM, "name": SHOP, "domain": "kumbara"},
            "users": [
                {
                    "id": agent.id,
                    "name": agent.key,
                    "real_name": agent.name,
                    "display_name": agent.first_name if not agent.guest else agent.name,
                    "locale": agent.locale,
                    "is_admin": agent.admin,
                    "is_ultra_restricted": agent.guest,
                    "is_restricted": agent.guest,
                }
                for agent in AGENTS
            ],
            "channels": [
                {
                    "id": channel,
                    "name": name,
                    "members": [*everyone, *([BOT_USER] if channel in TEAM_CHANNELS else [])],
                }
                for channel, name in NAMES.items()
            ],
            "app": {"app_id": APP_ID, "bot_id": BOT_ID, "bot_user": BOT_USER, "name": APP_NAME, **app},
        }
    )
