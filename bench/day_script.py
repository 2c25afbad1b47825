"""What happens on the scripted day: who the customers are, and what each of them does in which order. Pure.

Rule: everything follows from the seed. A message is known again by a word of ours in it (`mark`), and a file by that
word in its bytes.
"""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

MARK = re.compile(r"zq[0-9]+x[0-9]+z")
EDITED, ANSWER, ECHO = 3_000, 5_000, 8_000  # what is added to a message's number, for what becomes of it
HELD = 6  # messages that a provider keeps back before it brings them late
GATHERED = 3.5  # that gather on a slow machine before its patience ends; elsewhere the last holds are not needed
LATE, BROKEN = 0.05, 0.02  # shares of the messages, and of the files
EVERY = 5  # message of a day that an agent answers
TROUBLES = ("500", "404", "expired", "gone")  # of files, the last for good
HOLDING = ("telegram", "twilio", "meta", "x")  # the emulators that keep webhooks back

# Who there is: the channels of one person, and how many of a hundred persons are like that. Only proof joins channels:
# the carrier's number, or the shop's signed word of who a visitor of the web chat is.
CROWD: Sequence[tuple[tuple[str, ...], int]] = (
    (("telegram",), 17),
    (("sms", "whatsapp-twilio", "whatsapp"), 16),
    (("webchat", "email", "sms"), 8),
    (("email",), 11),
    (("messenger",), 11),
    (("instagram",), 10),
    (("x",), 9),
    (("webchat",), 8),
    (("whatsapp",), 4),
    (("form",), 6),
)
WORLD = {
    "telegram": "telegram",
    "sms": "twilio",
    "whatsapp-twilio": "twilio",
    "whatsapp": "meta",
    "messenger": "meta",
    "instagram": "meta",
    "x": "x",
    "webchat": "shop",
    "email": "mail",
    "form": "shop",
}
PICTURES = frozenset(WORLD) - {"sms", "form"}
VOICES = frozenset({"telegram", "whatsapp-twilio", "whatsapp", "messenger", "instagram", "email", "webchat"})
EDITS = frozenset({"telegram", "whatsapp", "messenger", "instagram", "webchat"})
UNSENDS = frozenset({"whatsapp", "messenger", "instagram", "webchat"})
REACTS = frozenset({"telegram", "whatsapp", "messenger", "instagram"})
ECHOES = frozenset({"messenger", "instagram", "x"})

# Whose answer comes too late: the kind, how old their only message is, and whether an answer still goes.
CLOSED: Sequence[tuple[str, float, bool]] = (
    ("whatsapp", 26, False),
    ("whatsapp-twilio", 26, False),
    ("messenger", 26, True),  # an agent has seven days there
    ("instagram", 8 * 24, False),
)
STOPPED = (("sms", "STOP"), ("whatsapp", "DUR"))

TEXTS: dict[str, Sequence[str]] = {
    "tr": (
        "Merhaba, siparişim hâlâ gelmedi, bakabilir misiniz?",
        "Kargo takip numaram çalışmıyor.",
        "Mavi olanın M bedeni ne zaman gelir?",
        "Teşekkürler, bekliyorum.",
        "Adresimi yanlış yazmışım, değiştirebilir misiniz?",
    ),
    "ru": (
        "Здравствуйте, где мой заказ?",
        "Посылка пришла, но не тот цвет.",
        "Можно обменять на размер больше?",
        "Спасибо, буду ждать.",
    ),
    "en": (
        "Hi, my parcel says delivered but it is not here.",
        "Do you ship to Malta?",
        "The zip is broken, see the photo.",
        "Thanks, that would be great.",
    ),
    "de": (
        "Guten Tag, wann kommt meine Bestellung?",
        "Die Tasse war leider zerbrochen.",
        "Kann ich das noch umtauschen?",
    ),
    "ar": ("مرحبا، أين طلبي؟", "وصل الطرد لكن المقاس صغير.", "شكرا لكم، سأنتظر."),
}
LANGUAGES = ("tr", "tr", "tr", "ru", "ru", "en", "en", "de", "ar")


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A person. `hours` is how long ago they write, `answerable` whether an answer may still reach them then."""

    number: int
    language: str
    kinds: tuple[str, ...]
    hours: float = 0.0
    answerable: bool = True
    word: str = ""  # by which they end what is sent to them

    @property
    def name(self) -> str:
        return f"{NAMES[self.language][self.number % len(NAMES[self.language])]} {self.number}"

    @property
    def phone(self) -> str:
        return f"+90555011{self.number:04d}"

    @property
    def email(self) -> str:
        return f"musteri{self.number}@posta{self.number % 5}.example"


NAMES: dict[str, Sequence[str]] = {
    "tr": ("Ayşe", "Mehmet", "Elif", "Can"),
    "ru": ("Ольга", "Павел", "Ирина"),
    "en": ("Grace", "Tom", "Nora"),
    "de": ("Lena", "Jürgen"),
    "ar": ("ليلى", "سامي"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One message. `trouble` is what befalls its file: 500, 404, expired (once), or gone (for good)."""

    number: int
    kind: str
    text: str
    what: str = "text"  # picture, voice
    trouble: str = ""
    then: str = ""  # edit, unsend
    twice: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a customer writes in one go, and whether an agent answers its last message."""

    customer: int
    deeds: tuple[Deed, ...]
    answered: bool = False
    echoed: bool = False  # the shop answers from somewhere else as well
    reacts: bool = False  # the customer reacts to the answer
    last: bool = False  # they end what is sent to them; what an agent writes then must not come


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """From here on an emulator keeps its webhooks back, until some have gathered; then they come in any order."""

    world: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    customers: tuple[Customer, ...]
    steps: tuple[Turn | Hold, ...]

    @property
    def turns(self) -> list[Turn]:
        return [step for step in self.steps if isinstance(step, Turn)]

    @property
    def messages(self) -> int:
        return sum(len(turn.deeds) for turn in self.turns)


def mark(customer: int, number: int) -> str:
    """A word no customer writes, to know a text again by."""
    return f"zq{customer}x{number}z"


def written(seed: int, messages: int, people: int) -> Script:
    """Write a day: about so many messages of so many people, who take turns in no order."""
    chance = random.Random(seed)
    customers = _customers(chance, people)
    turns = {customer.number: deque(_turns(chance, customer, 1)) for customer in customers}
    busy = [one for one in customers if not (one.hours or one.word or one.kinds == ("form",))]
    left = messages - sum(len(turn.deeds) for own in turns.values() for turn in own)
    numbers = {one.number: sum(len(turn.deeds) for turn in turns[one.number]) for one in busy}
    while left > 0:
        customer = chance.choice(busy)
        turn = _turn(chance, customer, numbers[customer.number], min(left, chance.choice((1, 1, 1, 2, 3))))
        numbers[customer.number] += len(turn.deeds)
        left -= len(turn.deeds)
        turns[customer.number].append(turn)
    order = [number for number, own in turns.items() for _ in own]
    chance.shuffle(order)
    mixed: list[Turn | Hold] = list(_broken(chance, [turns[number].popleft() for number in order]))
    holds = max(len(HOLDING), round(messages * LATE / GATHERED))
    for place in range(holds):
        at = (place + 1) * len(mixed) // (holds + 1)
        mixed.insert(at, Hold(world=HOLDING[place % len(HOLDING)]))
    return Script(customers=tuple(customers), steps=tuple(_first_known(mixed, customers)))


def _customers(chance: random.Random, people: int) -> list[Customer]:
    found: list[Customer] = []

    def add(*kinds: str, hours: float = 0.0, answerable: bool = True, word: str = "") -> None:
        language = chance.choice(LANGUAGES)
        found.append(
            Customer(number=len(found), language=language, kinds=kinds, hours=hours, answerable=answerable, word=word)
        )

    for kinds, share in CROWD:
        for _ in range(max(1, round(people * share / 100))):
            add(*kinds)
    for kind, hours, answerable in CLOSED:
        add(kind, hours=hours, answerable=answerable)
    for kind, word in STOPPED:
        add(kind, word=word)
    return found


def _turns(chance: random.Random, customer: Customer, count: int) -> list[Turn]:
    """The first thing somebody writes, or all that people write who do little else."""
    if customer.hours:
        text = chance.choice(TEXTS[customer.language])
        deed = Deed(number=0, kind=customer.kinds[0], text=text)
        return [Turn(customer=customer.number, deeds=(deed,), answered=True)]
    if customer.word:
        first = _deed(chance, customer, 0, customer.kinds[0], plain=True)
        end = Deed(number=1, kind=customer.kinds[0], text=customer.word, what="word")
        return [
            Turn(customer=customer.number, deeds=(first,), answered=True),
            Turn(customer=customer.number, deeds=(end,), answered=True, last=True),
        ]
    deed = _deed(chance, customer, 0, customer.kinds[0], plain=True)
    return [Turn(customer=customer.number, deeds=(deed,), answered=len(customer.kinds) > 1)] * count


def _turn(chance: random.Random, customer: Customer, first: int, count: int) -> Turn:
    deeds = tuple(_deed(chance, customer, first + each, chance.choice(customer.kinds)) for each in range(count))
    kind = deeds[-1].kind
    return Turn(
        customer=customer.number,
        deeds=deeds,
        # Of a turn only the last message is answered, so that one in five is in the end.
        answered=chance.random() < 1.8 / EVERY,
        echoed=kind in ECHOES and chance.random() < 0.1,
        reacts=kind in REACTS and chance.random() < 0.2,
    )


def _deed(chance: random.Random, customer: Customer, number: int, kind: str, *, plain: bool = False) -> Deed:
    what, then = "text", ""
    drawn = chance.random()
    if not plain and kind in PICTURES and drawn < 0.15:
        what = "picture"
    elif not plain and kind in VOICES and drawn < 0.22:
        what = "voice"
    elif not plain and kind in EDITS and drawn < 0.27:
        then = "edit"
    elif not plain and kind in UNSENDS and drawn < 0.30:
        then = "unsend"
    twice = kind in ("telegram", "email", "webchat", "form") and chance.random() < 0.05
    text = chance.choice(TEXTS[customer.language])
    return Deed(number=number, kind=kind, text=text, what=what, then=then, twice=twice)


def _broken(chance: random.Random, turns: Sequence[Turn]) -> Sequence[Turn]:
    """Let some of the files that are fetched not come: a share of them, and each trouble at least once."""
    files = [
        (at, place)
        for at, turn in enumerate(turns)
        for place, deed in enumerate(turn.deeds)
        if deed.what in ("picture", "voice") and WORLD[deed.kind] in HOLDING
    ]
    chosen = chance.sample(files, min(len(files), max(len(TROUBLES), round(len(files) * BROKEN))))
    found = list(turns)
    for number, (at, place) in enumerate(chosen):
        deeds = list(found[at].deeds)
        deeds[place] = replace(deeds[place], trouble=TROUBLES[number % len(TROUBLES)])
        found[at] = replace(found[at], deeds=tuple(deeds))
    return found


def _first_known(steps: Sequence[Turn | Hold], customers: Sequence[Customer]) -> list[Turn | Hold]:
    """Let those whom the shop vouches for be vouched for first: before that nobody can know whose number it is."""
    known = {one.number for one in customers if len(one.kinds) > 1 and one.kinds[0] == "webchat"}
    first: list[Turn | Hold] = []
    seen: set[int] = set()
    for step in steps:
        if isinstance(step, Turn) and step.customer in known and step.customer not in seen:
            seen.add(step.customer)
            first.append(step)
    chosen = set(map(id, first))
    return [*first, *(step for step in steps if id(step) not in chosen)]
