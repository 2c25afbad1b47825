"""The desk shows and steers deciding: cards with targets and reasons, notices, corrections, templates, another team."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from inbox.changes import Put
from inbox.store import deliveries, work
from inbox.store.database import Database
from sandbox.slack.workspace import Channel
from tests.scenarios.desk import (
    Json,
    answer,
    card_of,
    card_shows,
    hired,
    marked,
    opened,
    query,
    received,
    say,
    start_of,
    thread_shows,
    told,
    whispers,
)
from tests.world import AYSE, MEHMET, SUPPORT, World, eventually

RETURNS = "C0RETURNS1"


def two_teams(world: World) -> None:
    """A second team whose Slack channel is another one."""
    members = [*world.slack.channels[SUPPORT].members]
    world.slack.channels[RETURNS] = Channel(id=RETURNS, name="iadeler", members=members)
    world.more_teams = [{"name": "returns", "slack_channel": RETURNS, **world.team}]


async def window(world: World, agent: str, action: str, card: Json, channel: str = SUPPORT) -> Any:
    """The window that a button on the card opens for an agent."""
    await world.slack.press(agent, action, channel=channel, ts=card["ts"])
    return await eventually(lambda: next((view for view in world.slack.views.values() if view.user == agent), None))


def block(view: Any, start: str) -> Json:
    """The one block of a window whose id begins so."""
    (found,) = (each for each in view.body["blocks"] if str(each["block_id"]).startswith(start))
    return dict(found)


def options(element: Json) -> list[str]:
    return [option["value"] for option in element["options"]]


async def notified(world: World, conversation_id: int | None, key: str, notice: Json) -> None:
    """Leave word for the desk, as the rounds do."""
    lane = f"slack:{SUPPORT}"
    piece = Put(kind="mirror", key=str(conversation_id), lane=lane)
    async with Database.open(world.database_url, connections=1) as database, database.transaction() as c:
        assert await deliveries.notify_desk(c, conversation_id, key, notice)
        await work.put(c, [piece if conversation_id is not None else Put(kind="alarms", key=SUPPORT, lane=lane)])


# the card


async def test_the_card_shows_the_main_tag_first_the_reasons_and_the_target(world: World) -> None:
    world.team["targets"] = {"normal": {"first_answer": "2h"}, "urgent": {"first_answer": "30m"}}
    world.team["targets"] |= {"high": {"first_answer": "1h"}}
    await world.start()
    _, card = await opened(world, "Paketim kırık geldi, param iade edilsin istiyorum")
    shown = await card_shows(world, card["ts"], say.word("priority", "high"), start_of("card.due_first_answer"))
    standing, why = (each["elements"][0]["text"] for each in shown["blocks"] if each["type"] == "context")
    tags = re.findall("`([a-z-]+)`", standing)
    rows = await query(
        world, "select change ->> 'value' as tag from changes where change ->> 'change' = 'add_tag' order by id"
    )
    assert tags == [row["tag"] for row in rows] and "damaged" in tags
    assert why.startswith("💡 ") and tags[0] in why
    (row,) = await query(world, "select due_at from conversations")
    assert f"<!date^{int(row['due_at'].timestamp())}^" in standing


async def test_a_target_is_warned_of_and_then_broken_on_the_card_and_in_the_thread(world: World) -> None:
    world.team["targets"] = {"normal": {"first_answer": "2h"}}
    world.team["escalate"] = {"mention": [MEHMET]}
    await world.start()
    start = world.shop_clock()
    _, card = await opened(world, "Kırmızı olanı da var mı acaba?")
    await card_shows(world, card["ts"], start_of("card.due_first_answer"))
    await world.turn(start + timedelta(hours=1, minutes=50))
    warned = await thread_shows(world, card["ts"], start_of("promise.warned_first_answer"))
    assert "2 saat" in str(warned) and say("promise.nobody") in str(warned)
    assert MEHMET not in str(warned["blocks"])
    await card_shows(world, card["ts"], "⚠️ " + start_of("card.due_first_answer"))
    await world.turn(start + timedelta(hours=2, minutes=5))
    broken = await thread_shows(world, card["ts"], start_of("promise.broken_first_answer"))
    assert {"type": "user", "user_id": MEHMET} in [
        element
        for each in broken["blocks"]
        if each["type"] == "rich_text"
        for element in each["elements"][0]["elements"]
    ]
    await card_shows(world, card["ts"], start_of("card.was_due_first_answer"))


async def test_what_concerns_the_rules_and_the_model_is_told_to_all(world: World) -> None:
    await world.start()
    mistakes = "\n".join(f"rules.toml:{line} rules[{line}] . when: no such condition" for line in range(1, 13))
    await notified(world, None, "rules:1", {"notice": "rules", "detail": mistakes})
    alarm = await world.card_with("rules.toml:1 ")
    assert "rules.toml:10 " in str(alarm) and "rules.toml:11 " not in str(alarm)
    assert start_of("reload.what") in str(alarm) and say("reload.more", count=2) in str(alarm)
    await notified(world, None, "rules_again:1", {"notice": "rules_again"})
    await world.card_with(say("reload.again"))
    await notified(world, None, "model:1", {"notice": "model", "detail": "model.bin: cut short"})
    alarm = await world.card_with("model.bin")
    assert say("model.what") in str(alarm)


# what we say ourselves


async def test_an_acknowledgement_is_shown_as_what_it_is_with_marks_and_the_customer_still_waits(world: World) -> None:
    world.team["hours"] = "Mo-Fr 09:00-18:00"
    at = datetime(2027, 3, 6, 23, 40, tzinfo=ZoneInfo("Europe/Istanbul"))
    await world.turn(at.astimezone(UTC))
    await world.start()
    customer, card = await opened(world, "Merhaba, kargom nerede?")
    shown = await thread_shows(world, card["ts"], say("aside.closed", channel="Telegram"))
    (said,) = await eventually(lambda: world.answers(customer))
    assert said in str(shown["blocks"]) and shown["username"].endswith("🤖")
    await marked(world, shown["ts"], "white_check_mark")
    await card_shows(world, card["ts"], start_of("card.waiting"), without=[say.word("state", "waiting")])


# setting right


async def test_a_correction_changes_the_card_and_is_kept_to_learn_from(world: World) -> None:
    two_teams(world)
    world.more_teams[0]["slack_channel"] = SUPPORT
    await world.start()
    _, card = await opened(world, "Kargom nerede kaldı acaba?")
    await card_shows(world, card["ts"], "`order-status`")
    view = await window(world, MEHMET, "more", card)
    assert block(view, "team")["element"]["initial_option"]["value"] == "support"
    assert options(block(view, "priority")["element"]) == ["urgent", "high", "normal", "low"]
    assert {"order-status", "legal"} <= set(options(block(view, "tags")["element"]))
    values = {"priority": "urgent", "tags": ["legal", "order-status"], "team": "returns", "language": "ru"}
    await world.slack.submit(MEHMET, view.id, values)
    await card_shows(
        world, card["ts"], "`legal`", "`order-status`", say.word("priority", "urgent"), "returns", say.language("ru")
    )
    (kept,) = await query(world, "select * from corrections")
    (message,) = await query(world, "select id from messages where direction = 'in'")
    assert (kept["message_id"], kept["by"], kept["language"]) == (message["id"], MEHMET, "ru")
    assert (kept["tags"], kept["priority"]) == (["legal", "order-status"], 0)
    made = await query(world, "select by from changes where by = $1", MEHMET)
    assert len(made) >= 4
    assert "💡" not in str((await card_of(world, card["ts"]))["blocks"])  # what she overruled is no reason any more


async def test_a_window_that_changes_nothing_teaches_nothing_and_one_about_the_team_neither(world: World) -> None:
    two_teams(world)
    world.more_teams[0]["slack_channel"] = SUPPORT
    await world.start()
    _, card = await opened(world)
    before = await query(world, "select count(*) from changes")
    view = await window(world, AYSE, "more", card)
    await world.slack.submit(AYSE, view.id, {})
    assert await query(world, "select count(*) from changes") == before
    view = await window(world, AYSE, "more", card)
    await world.slack.submit(AYSE, view.id, {"team": "returns"})
    await card_shows(world, card["ts"], "returns")
    assert await query(world, "select * from corrections") == []


async def test_only_what_was_touched_in_the_window_is_changed(world: World) -> None:
    await world.start()
    customer, card = await opened(world, "Kargom nerede kaldı acaba?")
    await card_shows(world, card["ts"], "`order-status`")
    view = await window(world, AYSE, "more", card)
    await world.telegram.say(customer, text="Paketim kırık geldi")
    await card_shows(world, card["ts"], "`damaged`")
    await world.slack.submit(AYSE, view.id, {"priority": "low"})
    await card_shows(world, card["ts"], "`damaged`", say.word("priority", "low"))


async def test_who_is_not_in_the_team_can_neither_set_right_nor_send_a_template(world: World) -> None:
    world.team["members"] = [AYSE]
    await world.start()
    _, card = await opened(world)
    for action in ("more", "template"):
        await world.slack.press(MEHMET, action, channel=SUPPORT, ts=card["ts"])
    await eventually(lambda: whispers(world, MEHMET).count(say("not_sent.not_member")) == 2)
    assert not world.slack.views


# reply with a template


async def test_a_template_is_chosen_filled_changed_sent_and_shown_with_marks(world: World) -> None:
    await world.start()
    customer, card = await opened(world, "Kargom nerede kaldı acaba?", "Deniz Kaya")
    await card_shows(world, card["ts"], "`order-status`")
    view = await window(world, AYSE, "template", card)
    menu = block(view, "template")["elements"][0]
    assert options(menu)[:1] == ["order-status"] and view.body.get("submit") is None
    await world.slack.press(AYSE, "template_choice", view_id=view.id, value="order-status")
    text = (await eventually(lambda: _box(view)))["element"]["initial_value"]
    assert "Deniz" in text and "{" not in text
    number = block(view, "value:order")
    await world.slack.press(AYSE, "template_value", view_id=view.id, block_id=number["block_id"], value="TR-1042")
    filled = (await eventually(lambda: _box(view, "TR-1042")))["element"]["initial_value"]
    await world.slack.submit(AYSE, view.id, {_box(view)["block_id"]: f"{filled}\nSevgiler"})
    await received(world, customer, f"{filled}\nSevgiler")
    shown = await thread_shows(world, card["ts"], say("aside.agent", channel="Telegram"))
    assert "TR-1042" in str(shown["blocks"]) and shown["username"].startswith("Ayşe")
    await marked(world, shown["ts"], "white_check_mark")
    await card_shows(world, card["ts"], say.word("state", "waiting"))


def _box(view: Any, words: str = "") -> Json:
    """The box with the text in a window, once these words stand in it."""
    boxes = [each for each in view.body["blocks"] if str(each["block_id"]).startswith("text:")]
    return next((dict(each) for each in boxes if words in each["element"]["initial_value"]), {})


async def test_a_number_typed_and_not_entered_is_shown_in_the_text_before_anything_is_sent(world: World) -> None:
    await world.start()
    customer, card = await opened(world, "Kargom nerede kaldı acaba?")
    view = await window(world, AYSE, "template", card)
    await world.slack.press(AYSE, "template_choice", view_id=view.id, value="order-status")
    await eventually(lambda: _box(view))
    typed = {block(view, "value:order")["block_id"]: "TR-77"}
    await world.slack.submit(AYSE, view.id, typed)
    text = (await eventually(lambda: _box(view, "TR-77")))["element"]["initial_value"]
    assert await world.answers(customer) == []
    await world.slack.submit(AYSE, view.id, typed)
    await received(world, customer, text)


async def test_what_a_text_cannot_do_without_is_asked_for_and_never_left_out(world: World, tmp_path: Any) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "tr.toml").write_text(
        '[numara]\ntitle = "Numara"\ntext = "Sipariş {{ order }} yolda, {{ shop }}"\n', "utf-8"
    )
    world.settings["templates"] = str(folder)
    await world.start()
    customer, card = await opened(world)
    view = await window(world, AYSE, "template", card)
    await world.slack.press(AYSE, "template_choice", view_id=view.id, value="numara")
    asked = await eventually(
        lambda: [each for each in view.body["blocks"] if str(each["block_id"]).startswith("value:")]
    )
    assert not asked[0]["optional"] and not _box(view)
    with pytest.raises(ValueError, match="empty"):
        await world.slack.submit(AYSE, view.id, {})
    await world.slack.submit(AYSE, view.id, {asked[0]["block_id"]: " "})
    assert await world.answers(customer) == []
    await world.slack.submit(AYSE, view.id, {asked[0]["block_id"]: "42"})
    assert _box(view, "Sipariş 42 yolda, Kumbara")
    await world.slack.submit(AYSE, view.id, {asked[0]["block_id"]: "42"})
    await received(world, customer, "Sipariş 42 yolda, Kumbara")


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("Siparişiniz {{ order }} yolda", "left_over"),
        ("Siparişiniz {order} yolda", "left_over"),
        ("// gizli not", "note"),
        (" ／／ gizli not", "note"),
        ("\u200b", "empty"),
    ],
)
async def test_what_no_customer_should_read_does_not_leave_the_window(world: World, words: str, key: str) -> None:
    world.team["replies"] = "note"
    await world.start()
    customer, card = await opened(world)
    view = await window(world, AYSE, "template", card)
    await world.slack.press(AYSE, "template_choice", view_id=view.id, value="thanks")
    text = (await eventually(lambda: _box(view)))["element"]["initial_value"]
    box = _box(view)["block_id"]
    answer = await world.slack.submit(AYSE, view.id, {box: words})
    braces = words[words.index("{") : words.rindex("}") + 1] if "{" in words else ""
    assert answer.body == {"response_action": "errors", "errors": {box: say(f"template.{key}", words=braces)}}
    await world.slack.submit(AYSE, view.id, {})
    await received(world, customer, text.strip())
    assert len(await world.answers(customer)) == 1


async def test_who_sends_what_a_colleague_has_resolved_meanwhile_is_told_first(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    view = await window(world, AYSE, "template", card)
    await world.slack.press(AYSE, "template_choice", view_id=view.id, value="thanks")
    box = (await eventually(lambda: _box(view)))["block_id"]
    await world.slack.press(MEHMET, "resolve", channel=SUPPORT, ts=card["ts"])
    await card_shows(world, card["ts"], say.word("state", "resolved"))
    await world.slack.submit(AYSE, view.id, {box: "Rica ederiz, Deniz!"})
    assert say("template.resolved") in str(view.body["blocks"])
    assert _box(view, "Rica ederiz, Deniz!")["block_id"] == box
    assert await world.answers(customer) == []
    await world.slack.submit(AYSE, view.id, {box: "Rica ederiz, Deniz!"})
    await received(world, customer, "Rica ederiz, Deniz!")


async def test_a_template_can_be_taken_back_within_the_delay_and_the_thread_says_so(world: World) -> None:
    world.team["undo_seconds"] = 60
    await world.start()
    customer, card = await opened(world)
    view = await window(world, AYSE, "template", card)
    await world.slack.press(AYSE, "template_choice", view_id=view.id, value="thanks")
    await eventually(lambda: _box(view))
    await world.slack.submit(AYSE, view.id, {})
    shown = await thread_shows(world, card["ts"], say("aside.agent", channel="Telegram"))
    await marked(world, shown["ts"], "hourglass_flowing_sand")
    offer = await told(world, AYSE, start_of("undo.going"))
    await world.slack.press(AYSE, "undo_send", channel=SUPPORT, ts=offer["ts"])
    await thread_shows(world, card["ts"], say("aside.undone"))
    await marked(world, shown["ts"])
    assert await world.answers(customer) == []


# another team


async def test_a_conversation_moves_to_the_slack_channel_of_its_new_team(world: World) -> None:
    two_teams(world)
    await world.start()
    customer, card = await opened(world, "Bir sorum var", "Deniz Kaya")
    first = await answer(world, card, "Buyurun")
    await received(world, customer, "Buyurun")
    view = await window(world, AYSE, "more", card)
    await world.slack.submit(AYSE, view.id, {"team": "returns"})

    async def there() -> Json | None:
        return next(iter(await world.roots(RETURNS)), None)

    new = await eventually(there)
    assert new and "Bir sorum var" in str(new["blocks"])
    old = await card_shows(world, card["ts"], RETURNS, new["ts"].replace(".", ""), without=["'take'", "'more'"])
    assert not [each for each in old["blocks"] if each["type"] == "actions"]

    async def linked() -> bool:
        return card["ts"].replace(".", "") in str((await world.roots(RETURNS))[0]["blocks"])

    await eventually(linked)

    late = await answer(world, card, "Bunu eski yere yazdım")
    whisper = await told(world, AYSE, start_of("not_sent.moved"))
    assert RETURNS in str(whisper["blocks"]) and new["ts"].replace(".", "") in str(whisper["blocks"])
    await world.slack.edit(AYSE, SUPPORT, first, "Buyurun efendim")
    await received(world, customer, "Buyurun efendim")  # what was sent from there can still be changed there
    await world.telegram.say(customer, text="İade etmek istiyorum")
    await world.card_with("İade etmek istiyorum", RETURNS)
    await world.slack.post(MEHMET, RETURNS, "Tabii", thread_ts=new["ts"])
    await received(world, customer, "Buyurun efendim", "Tabii")
    await marked(world, late)
    assert "İade etmek" not in str(await world.roots(SUPPORT))


async def test_a_conversation_that_comes_back_gets_a_new_thread_and_every_old_card_leads_there(world: World) -> None:
    two_teams(world)
    await world.start()
    _, card = await opened(world)
    for team in ("returns", "support"):
        async with Database.open(world.database_url, connections=1) as database, database.transaction() as c:
            await c.execute("update conversations set team = $1", team)
            await work.put(c, [Put(kind="card", key="1", lane="slack-update")])
        slack_channel, count = (RETURNS, 1) if team == "returns" else (SUPPORT, 2)
        await eventually(lambda slack_channel=slack_channel, count=count: _stand(world, slack_channel, count))  # type: ignore[misc]
    newest = (await world.roots(SUPPORT))[-1]
    await card_shows(world, card["ts"], newest["ts"].replace(".", ""), without=["'take'"])
    await eventually(lambda: _leads(world, newest["ts"]))
    assert "'take'" in str((await card_of(world, newest["ts"]))["blocks"])


async def _stand(world: World, slack_channel: str, count: int) -> bool:
    """Whether so many threads stand there, and Santral has noted all of them."""
    rows = await query(world, "select 1 from slack_threads where ts is null or slack_channel <> $1", slack_channel)
    return len(await world.roots(slack_channel)) == count and not rows


async def _leads(world: World, ts: str) -> bool:
    (card,) = await world.roots(RETURNS)
    return ts.replace(".", "") in str(card["blocks"]) and "'take'" not in str(card["blocks"])


async def test_a_crash_between_leaving_and_arriving_opens_one_thread(world: World) -> None:
    two_teams(world)
    await world.start()
    _, card = await opened(world)
    world.slack.troubles.add([{"match": "chat.postMessage", "action": "drop_after", "times": 1}])
    async with Database.open(world.database_url, connections=1) as database, database.transaction() as c:
        await c.execute("update conversations set team = 'returns'")
        await work.put(c, [Put(kind="card", key="1", lane="slack-update")])
    await card_shows(world, card["ts"], RETURNS, without=["'take'"])
    assert len(await world.roots(RETURNS)) == 1


async def test_two_who_submit_the_same_window_send_once(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    view = await window(world, AYSE, "template", card)
    await world.slack.press(AYSE, "template_choice", view_id=view.id, value="thanks")
    text = (await eventually(lambda: _box(view)))["element"]["initial_value"]
    await asyncio.gather(*(world.slack.submit(AYSE, view.id, {}) for _ in range(2)))
    await received(world, customer, text.strip())


async def test_an_agent_reads_windows_in_their_own_language(world: World) -> None:
    user = hired(world, "U0NADYA001", "nadya", locale="ru-RU")
    await world.start()
    _, card = await opened(world)
    view = await window(world, user, "template", card)
    assert view.body["title"]["text"] == say.catalog.text("template.title", "ru")
    titles = [option["text"]["text"] for option in block(view, "template")["elements"][0]["options"]]
    assert any(re.search("[а-я]", title) for title in titles)
