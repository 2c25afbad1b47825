"""Who there is: the app and its subscriptions, lines, tokens, templates, and people under the ids each line knows.

Rule: an id means something only to the line it was given to; there is no way from one line's id to another's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.meta.values import DAY, OBJECTS, Json, Kind, Line, Person, Template, Token

PAGE_FIELDS = (
    "messages",
    "message_echoes",
    "message_deliveries",
    "message_reads",
    "message_reactions",
    "message_edits",
    "messaging_postbacks",
    "messaging_referrals",
    "messaging_optins",
    "messaging_handovers",
    "standby",
)
FIELDS = {
    "page": PAGE_FIELDS,
    "instagram": (
        "messages",
        "messaging_postbacks",
        "messaging_seen",
        "message_reactions",
        "message_edit",
        "messaging_referral",
        "standby",
    ),
    "whatsapp_business_account": (
        "messages",
        "smb_message_echoes",
        "message_template_status_update",
        "account_update",
        "user_id_update",
    ),
}
SCOPES = {
    Kind.WHATSAPP: ("whatsapp_business_management", "whatsapp_business_messaging"),
    Kind.MESSENGER: ("pages_manage_metadata", "pages_messaging"),
    Kind.INSTAGRAM: ("instagram_basic", "instagram_manage_messages", "pages_manage_metadata", "pages_messaging"),
}
LOGIN_SCOPES = ("instagram_business_basic", "instagram_business_manage_messages")
TOKEN_LIFE = 60 * DAY  # of an Instagram user's token
PERSON_FACTS = {"phone", "username", "bsuid", "hidden", "on_whatsapp", "reachable", "profile", "no_marketing", "avatar"}


# Webhooks that a number or a WABA may have brought elsewhere; all others go to the app's own address.
# developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/override
OVERRIDDEN = frozenset({"messages", "message_echoes", "smb_message_echoes", "smb_app_state_sync", "history"})


@dataclass(slots=True, kw_only=True)
class Subscription:
    """What one kind of object tells the app. `object` is page, instagram or whatsapp_business_account."""

    object: str
    callback_url: str
    verify_token: str = field(repr=False)
    fields: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Accounts:
    """The app and everybody it knows. `seed` makes ids that are derived from names differ between worlds."""

    app_id: str
    app_secret: str = field(repr=False)
    instagram_secret: str = field(repr=False)
    seed: int = 0
    lines: dict[str, Line] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    templates: dict[str, list[Template]] = field(default_factory=dict)  # by WABA
    subscriptions: dict[str, Subscription] = field(default_factory=dict)  # by object
    subscribed: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by account; a WABA has no fields
    callbacks: dict[str, str] = field(default_factory=dict)  # by WABA, where its events go instead

    @property
    def app_token(self) -> str:
        return f"{self.app_id}|{self.app_secret}"

    # lines

    def add(self, line: Line, at: float, scopes: Iterable[str]) -> Line:
        """Add a line and let its token reach it. Raises ValueError when another line has the id."""
        if line.id in self.lines:
            raise ValueError(f"there is a line {line.id} already")
        self.lines[line.id] = line
        own = line.kind is Kind.INSTAGRAM and line.login == "instagram"
        kind = "INSTAGRAM" if own else "SYSTEM_USER" if line.kind is Kind.WHATSAPP else "PAGE"
        token = self.tokens.get(line.token)
        if token is None:
            owner = {"PAGE": line.page or line.id, "SYSTEM_USER": f"1000{line.id[-11:]}"}.get(kind, line.id)
            expires = at + TOKEN_LIFE if own else 0.0
            token = self.tokens[line.token] = Token(
                value=line.token, kind=kind, owner=owner, issued_at=at, expires_at=expires
            )
        token.reach |= {one for one in (line.id, line.waba, line.page) if one}
        token.scopes = tuple(sorted({*token.scopes, *scopes}))
        return line

    def line(self, id: Any) -> Line:
        """Find a line by its id or its name. Raises KeyError."""
        if line := self.lines.get(str(id)):
            return line
        named = [line for line in self.lines.values() if id in (line.name, line.username)]
        if len(named) != 1:
            raise KeyError("no such line")
        return named[0]

    def of_waba(self, waba: str) -> list[Line]:
        return [line for line in self.lines.values() if line.waba == waba]

    def linked(self, page: str) -> Line | None:
        """The Instagram account of a Page that answers by the Page's token."""
        return next((line for line in self.lines.values() if line.page == page and line.login == "facebook"), None)

    # people

    def add_person(self, key: str, name: str, facts: Json) -> Person:
        """Add a person, or change the one with this key. Raises ValueError for a fact people do not have."""
        if unknown := set(facts) - PERSON_FACTS:
            raise ValueError(f"a person has no {', '.join(sorted(unknown))}")
        person = self.people.get(key)
        if person is None:
            person = self.people[key] = Person(key=key, name=name)
        for fact, value in {"name": name, **facts}.items():
            setattr(person, fact, value)
        person.phone = "".join(letter for letter in person.phone if letter.isdigit())
        person.bsuid = person.bsuid or self.new_bsuid(person)
        return person

    def person(self, key: Any) -> Person:
        person = self.people.get(str(key))
        if person is None:
            raise KeyError("no such person")
        return person

    def new_bsuid(self, person: Person) -> str:
        """The business-scoped id of a person with this phone: country, a dot, digits. A new phone means a new one."""
        return f"TR.{self._number(f'bsuid|{person.key}|{person.phone}', 16)}"

    def scoped(self, line: Line, person: Person) -> str:
        """The PSID or IGSID a line knows a person by. It differs between the two flavours of Instagram."""
        known = person.scoped.get(line.id)
        if known is None:
            known = person.scoped[line.id] = self._number(f"{line.id}|{line.login}|{person.key}", 17)
        return known

    def _number(self, of: str, digits: int) -> str:
        number = int.from_bytes(hashlib.sha256(f"{self.seed}|{of}".encode()).digest()[:8]) % 10 ** (digits - 1)
        return str(number + 10 ** (digits - 1))

    def by_scoped(self, line: Line, id: str) -> Person | None:
        return next((person for person in self.people.values() if person.scoped.get(line.id) == id), None)

    def by_phone(self, digits: str) -> Person | None:
        """Whose WhatsApp answers when this is dialled; a number may be known in two spellings."""
        wanted = spellings(digits)
        return next((one for one in self.people.values() if one.phone and one.phone in wanted), None)

    def by_bsuid(self, bsuid: str) -> Person | None:
        return next((person for person in self.people.values() if person.bsuid == bsuid), None)

    # subscriptions

    def hears(self, line: Line, field: str) -> bool:
        """Whether the app gets events of this field about this line."""
        subscription = self.subscriptions.get(OBJECTS[line.kind])
        # Instagram's edits are documented under both names.
        names = {field, "message_edits"} if field == "message_edit" else {field}
        if subscription is None or not names.intersection(subscription.fields):
            return False
        if line.kind is Kind.INSTAGRAM and line.login == "facebook":
            # The account itself has no such list: its Page's decides, whatever fields that takes.
            return line.page in self.subscribed
        fields = self.subscribed.get(line.account)
        return fields is not None and (line.kind is Kind.WHATSAPP or bool(names.intersection(fields)))

    def callback(self, line: Line, field: str) -> str:
        """Where an event goes: to the number's own address, else to its account's, else to the app's; "" nowhere."""
        if (
            line.kind is Kind.WHATSAPP
            and field in OVERRIDDEN
            and (own := line.callback or self.callbacks.get(line.waba))
        ):
            return own
        subscription = self.subscriptions.get(OBJECTS[line.kind])
        return subscription.callback_url if subscription else ""

    def subscribe(self, line: Line, fields: Iterable[str] = ()) -> None:
        """Subscribe the app to a line's account, to every field unless some are named."""
        if line.kind is Kind.INSTAGRAM and line.login == "facebook":
            self.subscribed.setdefault(line.page, PAGE_FIELDS)
        else:
            chosen = tuple(fields) or FIELDS[OBJECTS[line.kind]]
            self.subscribed[line.account] = () if line.kind is Kind.WHATSAPP else chosen

    def unsubscribe(self, line: Line) -> None:
        self.subscribed.pop(
            line.page if line.kind is Kind.INSTAGRAM and line.login == "facebook" else line.account, None
        )


def spellings(digits: str) -> frozenset[str]:
    """The ways one mobile number is written: Brazil's ninth digit, Mexico's 1 and Argentina's 9 come and go."""
    found = {digits}
    if digits.startswith("55") and len(digits) == 13 and digits[4] == "9":
        found.add(digits[:4] + digits[5:])
    elif digits.startswith("55") and len(digits) == 12:
        found.add(f"{digits[:4]}9{digits[4:]}")
    for country, mark, length in (("52", "1", 12), ("54", "9", 12)):
        if digits.startswith(country + mark) and len(digits) == length + 1:
            found.add(country + digits[3:])
        elif digits.startswith(country) and len(digits) == length:
            found.add(country + mark + digits[2:])
    return frozenset(found)
