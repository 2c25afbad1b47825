"""A week of mail, 1,000 of them, by a script that knows for itself where each belongs; Slack is left out.

Rule: what the script expects it writes down when a mail is written, from what a person would say, never from our code.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from channels.channel import Channel
from channels.mail.adapter import Email, EmailConfig
from channels.message import Status
from inbox import due
from inbox.changes import Conversation, Decision, Put
from inbox.delivery import Sender
from inbox.files import Files
from inbox.intake import Intake
from inbox.letters import Letters
from inbox.pull import Puller
from inbox.replies import Draft, Replies
from inbox.store import work
from inbox.store.database import Connection, Database
from inbox.work import Kind, Lane, Worker
from sandbox.mail import World
from sandbox.mail.clients import LANGUAGES, PROGRAMS
from sandbox.mail.reading import Seen, look
from sandbox.mail.search import head
from sandbox.mail.values import Account, Fate
from tests.scenarios.mail import SALES, US, letter
from tests.world import MAILBOX, eventually

MAILS = 1_000
FORM = "form@kumbara.example"
DEEDS = 145  # of people and machines in half a day
ANSWERS = 16  # of the agents in half a day
WORDS = {
    "tr": "Siparişim hâlâ gelmedi, çok şık bir hediyeydi.",
    "ru": "Где мой заказ? Жду уже две недели.",
    "de": "Wo bleibt meine Bestellung? Größe passt nicht.",
    "en": "Where is my order? It was a gift.",
}


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class Person:
    """A customer, and what the script knows of them."""

    account: Account
    mailbox: str = MAILBOX
    proven: bool = True
    wrote: list[str] = field(default_factory=list)  # Message-IDs of their mails
    answers: list[Seen] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.account.address

    @property
    def label(self) -> str:
        return f"email:{self.address}" if self.proven else f"email-claimed:{self.address}"


class Week:
    """The script: it writes mails and expects lines. `expected` is by conversation, in order."""

    def __init__(self, mail: World, seed: int) -> None:
        self.mail = mail
        self.random = random.Random(seed)
        self.expected: dict[str, list[str]] = defaultdict(list)
        self.failures = 0  # that agents have to be told of
        self.number = 0
        self.came: list[tuple[str, bytes]] = []  # to which mailbox
        self.back: set[bytes] = set()  # our own mails that came back
        self.boxes: dict[str, str] = {}  # through which mailbox a conversation goes in this half of the day
        self.people = [self._person(number) for number in range(90)]
        self.strangers = [self._person(number, "yabanci", proven=False) for number in range(25)]
        self.forms: list[Person] = []

    def _person(self, number: int, name: str = "musteri", *, proven: bool = True) -> Person:
        account = self.mail.add_account(
            f"{name}{number}@posta{number % 7}.example",
            name=f"{name.title()} {number}",
            client=PROGRAMS[number % len(PROGRAMS)],
            language=LANGUAGES[number // 3 % len(LANGUAGES)],
        )
        if name == "musteri":
            match number % 15:
                case 3:
                    account.vacation = "Ich bin nicht da"
                case 5:
                    account.fate = (Fate.BOUNCE, Fate.BOUNCE_FULL, Fate.BOUNCE_PLAIN)[number // 15 % 3]
                case 8:
                    account.fate = Fate.DELAY
                case _:
                    pass
        return Person(account=account, mailbox=SALES if number % 4 == 1 else MAILBOX, proven=proven)

    @property
    def delivered(self) -> int:
        return sum(len(self.mail.accounts[box].folder("INBOX").mails) for box in (MAILBOX, SALES))

    def half_a_day(self) -> None:
        """Mails of every kind."""
        self.boxes.clear()
        deeds: list[tuple[Callable[[], None], int]] = [
            (self.new, 40), (self.reply, 25), (self.to_both, 6), (self.again, 8), (self.unproven, 6), (self.spoof, 6),
            (self.two_froms, 2), (self.form, 4), (self.newsletter, 8), (self.backscatter, 4), (self.robot, 5),
            (self.friend, 6), (self.loop, 2),
        ]  # fmt: skip
        for deed in self.random.choices([deed for deed, _ in deeds], [weight for _, weight in deeds], k=DEEDS):
            deed()

    def ended(self) -> dict[str, str]:
        """A last mail for each mailbox; the letters they become, by channel: when they are read, all is."""
        found = {}
        for channel, box in (("mail", MAILBOX), ("sales", SALES)):
            self.newsletter(box)
            inbox = self.mail.accounts[box].folder("INBOX")
            found[channel] = f"imap:INBOX:{inbox.validity}:{inbox.next_uid - 1}"
        return found

    def _words(self, language: str = "en") -> str:
        self.number += 1
        return f"m{self.number:04} {WORDS[language]}"

    def _may(self, person: Person, box: str) -> bool:
        """Two mailboxes are read side by side: only what comes by the same one has an order."""
        return self.boxes.setdefault(person.address, box) == box

    def _known(self) -> Person | None:
        known = [person for person in self.people if person.wrote]
        return self.random.choice(known) if known else None

    # people

    def new(self) -> None:
        """A mail that refers to nothing. Its Date says anything."""
        person = self.random.choice(self.people)
        if self._may(person, person.mailbox):
            self._write(person, person.mailbox, at=now() + timedelta(hours=self.random.randint(-90, 50)))

    def reply(self) -> None:
        """An answer to any of our last mails to them, quoted as their program quotes."""
        answered = [person for person in (*self.people, *self.forms) if person.answers]
        if not answered:
            return
        person = self.random.choice(answered)
        past = self.random.choice(person.answers[-3:])
        to = past.reply_to or past.sender_address
        if not self._may(person, SALES if to.startswith("sales") else MAILBOX):
            return
        if not person.proven:  # who answers what we sent to an address has shown that it is theirs
            lines = self.expected.pop(person.label)
            person.proven = True
            self.expected[person.label] = lines
        self._write(person, to, past=past)

    def _write(self, person: Person, to: str, *, past: Seen | None = None, at: datetime | None = None) -> None:
        words = self._words(person.account.language)
        copy = self.mail.deliver(
            person.address, to, "" if past else self.random.choice(["Sipariş", "Re: Sipariş", "Order"]), words,
            in_reply_to=past.message_id if past else "", at=at,
        )  # fmt: skip
        assert copy is not None
        self.came.append((SALES if to.startswith("sales") else MAILBOX, copy.raw))
        person.wrote.append(look(head(copy.raw)).message_id)
        self.expected[person.label].append(f"in {words}")

    def to_both(self) -> None:
        person = self.random.choice(self.people)
        if person.address in self.boxes:
            return
        self.boxes[person.address] = "both"
        words = self._words(person.account.language)
        self.mail.deliver(person.address, [MAILBOX, SALES], "Fiyat", words)
        self.expected[person.label].append(f"in {words}")

    def again(self) -> None:
        """A mail comes once more, with another host's lines on top."""
        if self.came:
            box, raw = self.random.choice(self.came)
            self.mail.arrive(raw, box, mail_from="again@relay.example", signed=self.random.choice(["", "-"]))

    def friend(self) -> None:
        """Somebody who got a copy of the customer's mail answers to all, maybe before we have read that."""
        person = self._known()
        if person is None or not self._may(person, MAILBOX):
            return
        words = self._words()
        friend = f"arkadas{self.number}@dost.example"
        self._bring(words, f"Dost <{friend}>", friend, more=[f"In-Reply-To: {person.wrote[-1]}"])
        self.expected[person.label].append(f"in {words}")

    def form(self) -> None:
        """The shop's contact form writes for somebody new."""
        person = self._person(len(self.forms), "form", proven=False)
        words = self._words()
        self._bring(words, f"Form <{FORM}>", FORM, subject="İletişim formu", more=[f"Reply-To: {person.address}"])
        self.forms.append(person)
        self.expected[person.label].append(f"in {words}")

    # who they only say they are

    def unproven(self) -> None:
        """Somebody whose host proves nothing: a conversation of their own all the same."""
        person = self.random.choice(self.strangers)
        words = self._words()
        self._bring(words, f"{person.account.name} <{person.address}>")
        self.expected[person.label].append(f"in {words}")

    def spoof(self) -> None:
        """A stranger writes in a customer's name, and may know an id of theirs."""
        if (person := self._known()) is None:
            return
        words = self._words()
        more = [f"References: {self.random.choice(person.wrote)}"] if self.random.random() < 0.3 else []
        refused = f"{US}; dmarc=fail (p=reject) header.from={person.account.domain}"
        signed = refused if self.random.random() < 0.3 else ""
        self._bring(words, f"{person.account.name} <{person.address}>", more=more, signed=signed)
        if not signed:  # what its own domain disowns is shown to nobody
            self.expected[f"email-claimed:{person.address}"].append(f"in {words}")

    def two_froms(self) -> None:
        """A sender who hides behind a customer's address; their host proves only their own."""
        if (person := self._known()) is None:
            return
        words = self._words()
        thief = "bulk@spam.example"
        self._bring(words, f"{person.address} <{thief}>", thief, signed=f"{US}; dmarc=pass header.from=spam.example")
        self.expected[f"email-claimed:{thief}"].append(f"in {words}")

    # machines

    def newsletter(self, box: str = MAILBOX) -> None:
        self.number += 1
        self.mail.newsletter(f"news@marka{self.number % 9}.example", box, f"Issue {self.number}", "Buy now")

    def backscatter(self) -> None:
        """A bounce of what somebody else sent in our name."""
        words = f"<x@gone.example>: 550 5.1.1 no such user\n\nMessage-ID: <spam{self.number}@bot.example>"
        self._bring(words, "Mail Delivery System <MAILER-DAEMON@gone.example>", subject="Undelivered Mail", back="")

    def robot(self) -> None:
        """An autoresponder that answers itself, over and over."""
        self._bring(
            "I am away", "Robot <robot@list.example>", subject="Auto: Re:", more=["Auto-Submitted: auto-replied"]
        )

    def loop(self) -> None:
        """A mail of ours comes back from where it was sent to."""
        people = {person.address: person for person in self.people if person.answers}
        found = [sent for sent in self.mail.sent if sent.recipients[0] in people and sent.raw not in self.back]
        if not found:
            return
        sent = self.random.choice(found)
        person = people[sent.recipients[0]]
        if self._may(person, MAILBOX):
            self.back.add(sent.raw)
            assert self.mail.arrive(sent.raw, MAILBOX, mail_from=person.address)
            self.expected[person.label].append("event loop")

    def _bring(
        self, words: str, sender: str, honest: str = "", *, signed: str = "", back: str = "a@spam.example", **more: Any
    ) -> None:
        self.number += 1
        raw = letter(words, sender=sender, id=f"i{self.number}@x.example", **more)
        owner = Account(address=honest, password="") if honest else None
        assert self.mail.arrive(raw, MAILBOX, mail_from=honest or back, honest=owner, signed=signed)

    # agents

    def to_answer(self) -> list[tuple[Person, str]]:
        """Whom the agents answer now, and in which words."""
        waiting = [one for one in (*self.people, *self.forms, *self.strangers) if self.expected.get(one.label)]
        chosen = self.random.sample(waiting, min(ANSWERS, len(waiting)))
        return [(person, f"{self._words()} a") for person in chosen]

    def answered(self, person: Person, words: str) -> None:
        """An answer was written; what its way brings back."""
        lines = self.expected[person.label]
        lines.append(f"out {words}")
        if person.account.fate in (Fate.BOUNCE, Fate.BOUNCE_FULL, Fate.BOUNCE_PLAIN):
            self.failures += 1
            return
        if person.account.vacation:
            lines.append("event auto_reply")
        if person.account.fate is Fate.DELAY:
            lines.append("event delayed")
        found = [seen for seen in self.mail.inbox(person.address) if words in seen.own]
        assert len(found) == 1, "every answer arrives once"
        person.answers.append(found[0])


# --- Santral without its desk


def channels(mail: World) -> dict[str, Email]:
    def box(name: str, address: str) -> Email:
        config = EmailConfig(
            address=address,
            imap=mail.imap_url(address),
            smtp=mail.smtp_url(address),
            mailboxes=(MAILBOX, SALES),
            trusted_authserv=(US,),
            contact_forms=(FORM,),
            reply_token=True,
            per_minute=60_000,
        )
        return Email(name, config)

    return {"mail": box("mail", MAILBOX), "sales": box("sales", SALES)}


@asynccontextmanager
async def santral(database: Database, mail: World, folder: Path) -> AsyncIterator[Replies]:
    """Reading, sending and answering, from start to stop."""
    emails = channels(mail)
    every: dict[str, Channel] = dict(emails)

    def nothing(conversation: Conversation, *, lines: bool) -> list[Put]:
        return []

    async def alarm(c: Connection, *told: object) -> None:
        raise AssertionError(told)

    async def fine(c: Connection, channel: str) -> None:
        pass

    files = Files.in_folder(folder)
    intake = Intake(database, decide=lambda facts: Decision(), follow_up=nothing, now=now)
    letters = Letters(database, files, intake, emails, now=now)
    puller = Puller(database, intake, letters, emails, refused=alarm, reads=fine, now=now)
    sender = Sender(database, every, files, follow_up=nothing, now=now)
    kinds = [
        Kind(name="read", run=letters.run, tries=0),
        Kind(name="pull", run=puller.run, tries=0),
        Kind(name="deliver", run=sender.run),
    ]
    lanes = [Lane(name=due.send_lane(name), kinds=("deliver",), spacing=timedelta(milliseconds=1)) for name in emails]
    worker = Worker(database, kinds, lanes, alarm=alarm)
    async with database.transaction() as c:
        await work.put(c, [put for name in emails for put in (Put(kind="pull", key=name), due.reading(name))])
    running = asyncio.create_task(worker.run())
    try:
        yield Replies(database, every, follow_up=nothing, now=now)
    finally:
        puller.stop()
        worker.stop()
        await running
        await intake.close()
        for email in emails.values():
            await email.close()


async def all_read(database: Database, last: dict[str, str]) -> None:
    async def look() -> bool:
        async with database.connection() as c:
            found = await c.fetchval(
                "select count(*) from letters l join unnest($1::text[], $2::text[]) as t (channel, external_id) "
                "using (channel, external_id) where read_at is not null "
                "and not exists (select from letters u where u.channel = l.channel and u.read_at is null)",
                list(last), list(last.values()),
            )  # fmt: skip
        return bool(found == len(last))

    await eventually(look, within=30)


async def agents_answer(database: Database, replies: Replies, week: Week) -> None:
    wanted = week.to_answer()
    async with database.connection() as c:
        rows = await c.fetch(
            "select a.kind || ':' || a.value as label, v.id from addresses a join conversations v using (customer_id)"
        )
    where = {row["label"]: row["id"] for row in rows}
    for person, words in wanted:
        draft = Draft(text=words, source=("slack", words), author="U1", author_name="Ada", at=now())
        await replies.reply(where[person.label], draft)

    async def sent() -> bool:
        async with database.connection() as c:
            return not await c.fetchval("select count(*) from deliveries where status = $1", Status.QUEUED)

    await eventually(sent)
    for person, words in wanted:
        week.answered(person, words)


async def conversations(database: Database) -> dict[str, list[str]]:
    """What stands in each conversation, by the address of its customer."""
    async with database.connection() as c:
        rows = await c.fetch(
            """
            select (select string_agg(kind || ':' || value, ' ') from addresses where customer_id = v.customer_id)
                as label, m.direction, case when m.direction = 'event' then m.body ->> 'event' else m.text end as words
            from messages m join conversations v on v.id = m.conversation_id order by v.id, m.position
            """
        )
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        found[row["label"]].append(f"{row['direction']} {row['words']}")
    return found


async def test_a_week_of_mail_ends_with_the_right_conversations_and_no_mail_to_a_machine(
    database: Database, tmp_path: Path
) -> None:
    mail = World()
    for address in (MAILBOX, SALES):
        mail.add_account(address, name="Kumbara")
    await mail.start()
    week = Week(mail, 20261122)
    half = 0
    while week.delivered < MAILS:
        week.half_a_day()  # nobody reads yet, the first time and after every restart
        async with santral(database, mail, tmp_path) as replies:
            while True:
                await all_read(database, week.ended())
                await agents_answer(database, replies, week)
                await all_read(database, week.ended())
                half += 1
                if half == 4:
                    mail.renew(MAILBOX)  # as if the mailbox had moved to another server
                if half % 3 == 0 or week.delivered >= MAILS:
                    break
                week.half_a_day()
    found = await conversations(database)
    assert {label: lines for label, lines in found.items() if lines != week.expected.get(label)} == {}
    assert set(found) == set(week.expected)
    async with database.connection() as c:
        failures = await c.fetchval("select count(*) from notices where notice ->> 'notice' = 'failure'")
    assert failures == week.failures
    people = {person.address for person in (*week.people, *week.forms, *week.strangers)}
    assert {address for sent in mail.sent for address in sent.recipients} <= people
    outs = sum(line.startswith("out ") for lines in week.expected.values() for line in lines)
    assert len(mail.sent) <= outs, "nothing left that no agent wrote"
    await mail.close()
