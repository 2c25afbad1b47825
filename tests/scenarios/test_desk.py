"""The desk as agents use it: take, answer, note, undo, edit, files, and what must never reach a customer."""

from __future__ import annotations

import asyncio
import base64
import re

from desk.words import WORD_JOINER
from sandbox.slack.workspace import UserGroup
from tests.desk.limits import ACTIVE, strings
from tests.scenarios.desk import (
    answer,
    calls,
    card_of,
    card_shows,
    hired,
    lines,
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

HOSTILE = "<!channel> <@U0AYSE0001> <!subteam^S0GROUP001> @here <https://x.example|label> *bold* & :tada:"


async def test_of_two_agents_who_press_take_at_once_one_has_it_and_the_other_is_told_who(world: World) -> None:
    await world.start()
    _, card = await opened(world)
    agents = {AYSE: "Ayşe", MEHMET: "Mehmet"}
    answers = await asyncio.gather(
        *(world.slack.press(agent, "take", channel=SUPPORT, ts=card["ts"]) for agent in agents)
    )
    assert [each.status for each in answers] == [200, 200]
    (slower,) = await eventually(lambda: [agent for agent in agents if whispers(world, agent)])
    (winner,) = set(agents) - {slower}
    assert agents[winner] in whispers(world, slower)[0]
    await card_shows(world, card["ts"], f"<@{winner}>", say("button.take_over"))

    await world.slack.press(slower, "take", channel=SUPPORT, ts=card["ts"])
    await card_shows(world, card["ts"], f"<@{slower}>", without=[f"<@{winner}>"])


async def test_a_resolved_conversation_is_reopened_by_the_button_and_by_the_customer(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    await world.slack.press(AYSE, "resolve", channel=SUPPORT, ts=card["ts"])
    await card_shows(world, card["ts"], say.word("state", "resolved"), "'reopen'", without=["'take'", "'resolve'"])
    await world.slack.press(AYSE, "reopen", channel=SUPPORT, ts=card["ts"])
    await card_shows(world, card["ts"], "'resolve'", "'take'", without=["'reopen'"])

    first = await answer(world, card, "Yolda")
    await card_shows(world, card["ts"], say.word("state", "waiting"))
    await world.slack.shortcut(MEHMET, "conv_resolve", channel=SUPPORT, ts=first)
    await card_shows(world, card["ts"], "'reopen'")
    await world.telegram.say(customer, text="Hâlâ gelmedi")
    await card_shows(world, card["ts"], "'resolve'", without=["'reopen'"])
    assert lines(await card_of(world, card["ts"]), ["Hâlâ gelmedi"]) == ["Hâlâ gelmedi"]


async def test_many_changes_are_few_posts_and_few_card_updates(world: World) -> None:
    world.workspace["posts_per_second"] = 4
    await world.start()
    customer, card = await opened(world, "Soru 00")
    texts = [f"Soru {number:02}" for number in range(1, 25)]
    for text in texts:
        await world.telegram.say(customer, text=text)
    await world.slack.press(AYSE, "take", channel=SUPPORT, ts=card["ts"])
    await world.slack.shortcut(MEHMET, "conv_resolve", channel=SUPPORT, ts=card["ts"])

    async def all_shown() -> bool:
        return lines(await card_of(world, card["ts"]), texts) == texts

    await eventually(all_shown)
    await card_shows(world, card["ts"], f"<@{AYSE}>")
    assert len(calls(world, "chat.postMessage")) <= 8
    assert len(calls(world, "chat.update")) <= 8


async def test_a_note_stays_inside_however_it_is_made(world: World) -> None:
    world.team["undo_seconds"] = 60
    await world.start()
    customer, card = await opened(world)
    slashed = await answer(world, card, "// müşteri hep böyle")
    await marked(world, slashed, "memo")

    await world.slack.press(AYSE, "note", channel=SUPPORT, ts=card["ts"])
    (view,) = await eventually(lambda: list(world.slack.views.values()))
    await world.slack.submit(AYSE, view.id, {"text": "pencereden *not*"})
    shown = await thread_shows(world, card["ts"], "pencereden *not*")
    assert shown["username"].startswith("Ayşe")

    second = await answer(world, card, "Bu aslında bize")
    await marked(world, second, "hourglass_flowing_sand")
    await world.slack.shortcut(AYSE, "conv_note", channel=SUPPORT, ts=second)
    await marked(world, second, "memo")
    assert await world.answers(customer) == []


async def test_in_a_team_of_notes_only_an_arrow_sends_and_a_note_can_be_sent_after_all(world: World) -> None:
    world.team["replies"] = "note"
    await world.start()
    customer, card = await opened(world)
    note = await answer(world, card, "stokta yok galiba")
    await marked(world, note, "memo")
    await answer(world, card, "-> Yarın *gelir*")
    await received(world, customer, "Yarın gelir")
    await world.slack.shortcut(MEHMET, "conv_send", channel=SUPPORT, ts=note)
    await received(world, customer, "Yarın gelir", "stokta yok galiba")
    await marked(world, note, "white_check_mark")


async def test_a_first_reply_is_asked_about_once_and_only_its_author_decides(world: World) -> None:
    world.team["ask_first"] = True
    await world.start()
    customer, card = await opened(world)
    reply = await answer(world, card, "Yarin gelir")
    question = await thread_shows(world, card["ts"], "reply_send")
    await world.slack.edit(AYSE, SUPPORT, reply, "Yarın gelir")
    await world.slack.settle()
    await world.slack.press(MEHMET, "reply_send", channel=SUPPORT, ts=question["ts"])
    await told(world, MEHMET, say("ask.not_yours"))
    assert await world.answers(customer) == []

    await world.slack.press(AYSE, "reply_send", channel=SUPPORT, ts=question["ts"])
    await received(world, customer, "Yarın gelir")  # the words as they stand when she says so
    settled = await thread_shows(world, card["ts"], start_of("ask.sent"))
    assert "reply_send" not in str(settled)
    await answer(world, card, "Kargo no 42")
    await received(world, customer, "Yarın gelir", "Kargo no 42")

    await answer(world, card, "kim bakıyor buna?", MEHMET)
    question = await thread_shows(world, card["ts"], "reply_note")
    await world.slack.press(MEHMET, "reply_note", channel=SUPPORT, ts=question["ts"])
    await thread_shows(world, card["ts"], start_of("ask.kept"))
    assert "reply_send" not in str(await card_of(world, card["ts"]))
    assert await world.answers(customer) == ["Yarın gelir", "Kargo no 42"]


async def test_a_deleted_first_reply_cannot_be_sent_by_its_question(world: World) -> None:
    world.team["ask_first"] = True
    await world.start()
    customer, card = await opened(world)
    reply = await answer(world, card, "yanlış yere yazdım")
    question = await thread_shows(world, card["ts"], "reply_send")
    await world.slack.delete(AYSE, SUPPORT, reply)
    await world.slack.settle()
    await world.slack.press(AYSE, "reply_send", channel=SUPPORT, ts=question["ts"])
    await told(world, AYSE, say("ask.not_yours"))
    assert await world.answers(customer) == []


async def test_within_the_delay_a_reply_is_undone_changed_or_cancelled(world: World) -> None:
    world.team["undo_seconds"] = 60
    await world.start()
    names = ("Ali Ak", "Banu Bal", "Can Cin", "Derya Dağ")
    (ali, by_button), (banu, by_shortcut), (can, changed), (derya, deleted) = await asyncio.gather(
        *(opened(world, f"Ben {name}", name) for name in names)
    )
    first, second, third, fourth = await asyncio.gather(
        *(answer(world, card, "Merhba") for card in (by_button, by_shortcut, changed, deleted))
    )
    await eventually(lambda: len(world.slack.ephemerals) == 4)
    offer = next(each for each in world.slack.ephemerals if each["thread_ts"] == by_button["ts"])
    await asyncio.gather(
        world.slack.press(AYSE, "undo_send", channel=SUPPORT, ts=offer["ts"]),
        world.slack.shortcut(AYSE, "conv_undo", channel=SUPPORT, ts=second),
        world.slack.edit(AYSE, SUPPORT, third, "Merhaba"),
        world.slack.delete(AYSE, SUPPORT, fourth),
    )
    await eventually(lambda: whispers(world, AYSE).count(say("undo.done")) == 2)

    async def planned() -> bool:
        texts = await query(world, "select body ->> 'text' as text from deliveries where status = 0")
        return [row["text"] for row in texts] == ["Merhaba"]

    await eventually(planned)
    await marked(world, third, "hourglass_flowing_sand")
    await query(world, "update deliveries set due_at = now() where status = 0")  # the delay is over
    await query(world, "update work set run_at = now() where kind = 'deliver'")
    await received(world, can, "Merhaba")
    await marked(world, third, "white_check_mark")
    for undone in (first, second):
        await marked(world, undone)
    assert [await world.answers(customer) for customer in (ali, banu, derya)] == [[], [], []]
    adds = [call["arguments"] for call in calls(world, "reactions.add")]
    moved = [each["name"] for each in adds if each["timestamp"] == third]
    assert moved == ["hourglass_flowing_sand", "white_check_mark"]


async def test_after_the_delay_an_edit_and_a_deletion_reach_the_customers_app(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    reply = await answer(world, card, "Yarin")
    await received(world, customer, "Yarin")
    await world.slack.touch(SUPPORT, reply)  # a link preview, a language detected: no edit
    await world.slack.edit(AYSE, SUPPORT, reply, "Yarın")
    await received(world, customer, "Yarın")
    edits = [call for call in world.telegram.journal.calls(0, "") if call["method"] == "editMessageText"]
    assert len(edits) == 1

    await world.slack.edit(AYSE, SUPPORT, reply, "// bunu müşteri görmesin")

    async def deleted() -> bool:
        return [message["deleted"] for message in await world.chat(customer) if message["from"] == "bot"] == [True]

    await eventually(deleted)
    assert "görmesin" not in str(await world.chat(customer))


async def test_what_the_customers_app_can_no_longer_change_the_agent_is_told(world: World) -> None:
    refusal = {"ok": False, "error_code": 400, "description": "Bad Request: message can't be edited"}
    world.telegram.troubles.add([{"match": "editMessageText", "action": "status", "status": 400, "json": refusal}])
    await world.start()
    customer, card = await opened(world)
    reply = await answer(world, card, "Yarın")
    await received(world, customer, "Yarın")
    await world.slack.edit(AYSE, SUPPORT, reply, "Öbür gün")
    await thread_shows(world, card["ts"], say("late.edit", channel="Telegram"))
    await received(world, customer, "Yarın")


async def test_a_failure_and_a_doubt_are_explained_with_what_can_be_done(world: World) -> None:
    await world.start()
    (gone, refused_card), (unsure, doubted) = await asyncio.gather(
        opened(world, "Ben Gül", "Gül Gün"), opened(world, "Ben Okan", "Okan Ok")
    )
    world.telegram.user(gone).deactivated = True
    failed = await answer(world, refused_card, "Merhaba")
    await thread_shows(world, refused_card["ts"], say("advice.unreachable"))
    await marked(world, failed, "x")

    world.telegram.troubles.add([{"match": "sendMessage", "action": "drop_after", "times": 1}])
    reply = await answer(world, doubted, "Paranız yolda")
    question = await thread_shows(world, doubted["ts"], "delivery_again")
    await marked(world, reply, "warning")
    both = await asyncio.gather(
        world.slack.press(AYSE, "delivery_again", channel=SUPPORT, ts=question["ts"]),
        world.slack.press(MEHMET, "delivery_again", channel=SUPPORT, ts=question["ts"]),
    )
    assert [each.status for each in both] == [200, 200]
    await received(world, unsure, "Paranız yolda", "Paranız yolda")  # once doubted, once on request, however often
    await marked(world, reply, "white_check_mark")
    settled = await thread_shows(world, doubted["ts"], start_of("doubt.again"))
    assert "delivery_again" not in str(settled)


async def test_what_an_agent_writes_arrives_as_a_customer_should_read_it(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    await answer(
        world,
        card,
        "*Merhaba* <@U0MEHMET01> :tada: 👍 a & b < c, bakın https://kargo.example/?a=1&b=2 ve `x<y`\n"
        "• bir\n• _iki_ <#C0SUPPORT1> <!here> <!subteam^S0GROUP001>",
    )
    (text,) = await eventually(lambda: world.answers(customer))
    assert text.startswith(
        "Merhaba @Mehmet 🎉 👍 a & b < c, bakın https://kargo.example/?a=1&b=2 ve x<y\n• bir\n• iki "
    )
    assert not re.search(r"U0MEHMET|C0SUPPORT|S0GROUP|<[!@#]|&amp;|&lt;", text)
    (sent,) = (message for message in await world.chat(customer) if message["from"] == "bot")
    assert {entity["type"] for entity in sent["entities"]} >= {"bold", "code", "italic"}


async def test_nothing_a_customer_writes_can_mention_link_or_format_its_way_into_slack(world: World) -> None:
    await world.start()
    customer = world.customer(f"*Ali* {HOSTILE}"[:64])
    await world.telegram.say(customer, text=f"{HOSTILE} bir")
    card = await world.card_with(" bir")
    await world.telegram.say(customer, text=f"{HOSTILE} iki")
    file = {"name": f"{HOSTILE}.txt", "media_type": "text/plain", "data": base64.b64encode(b"x").decode()}
    await world.telegram.say(customer, kind="document", caption=f"{HOSTILE} üç", files=[file])
    await eventually(lambda: calls(world, "files.completeUploadExternal"))
    await thread_shows(world, card["ts"], " üç")

    for method in ("chat.postMessage", "chat.update", "files.completeUploadExternal"):
        for call in calls(world, method):
            given = call["arguments"]
            if method == "chat.postMessage":
                assert str(given["unfurl_links"]) in "0 False false" and str(given["unfurl_media"]) in "0 False false"
            assert not ACTIVE.search(str(given.get("text", "")))
            assert not ACTIVE.search(str(given.get("username", "")))
            assert not re.search(r"[<*]", str(given.get("initial_comment", "")))
    root = await card_of(world, card["ts"])
    shown = [root, *root["replies"]]
    for message in shown:
        for block in message["blocks"]:
            for element in _inside(block):
                assert element["type"] not in {"user", "usergroup", "broadcast", "channel"}
                if element["type"] == "mrkdwn":
                    assert not ACTIVE.search(re.sub(r"<!date\^[^>|]*\|[^>]*>", "", element["text"]))
    said = "".join(text for message in shown for text in strings(message["blocks"])).replace(WORD_JOINER, "")
    assert said.count("<https://x.example|label> *bold* & :tada:") >= 3  # to be read exactly as written


def _inside(block: object) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    if isinstance(block, dict):
        found = [block] if "type" in block else []
        for value in block.values():
            found += _inside(value)
    elif isinstance(block, list):
        for value in block:
            found += _inside(value)
    return found


async def test_only_people_of_the_house_are_forwarded_and_the_others_told_why(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    guest = hired(world, "U0GUEST001", "gizem", is_restricted=True)
    outsider = hired(world, "U0OTHER001", "oliver", is_stranger=True, team_id="T0STRANGER")
    slack = world.slack
    await slack.post("", SUPPORT, "Ben bir botum", thread_ts=card["ts"], bot_id="B0OTHER001")
    await answer(world, card, "Ben misafirim", guest)
    await answer(world, card, "Ben yabancıyım", outsider)
    await slack.post(AYSE, SUPPORT, "Kanala yazdım")
    elsewhere = await slack.post(AYSE, "C0GENERAL1", "Öğle yemeği?")
    await slack.post(MEHMET, "C0GENERAL1", "Olur", thread_ts=elsewhere["ts"])
    chat = await slack.post(AYSE, SUPPORT, "Ekip, toplantı")
    await slack.post(MEHMET, SUPPORT, "Geldim", thread_ts=chat["ts"])
    await told(world, guest, say("not_sent.guest"))
    await told(world, outsider, say("not_sent.outsider"))
    answers = await slack.press(outsider, "resolve", channel=SUPPORT, ts=card["ts"])
    assert answers.status == 200
    await eventually(lambda: len(whispers(world, outsider)) == 2)
    await answer(world, card, "Bu gider")
    await received(world, customer, "Bu gider")
    assert "'reopen'" not in str(await card_of(world, card["ts"]))


async def test_a_team_with_members_is_they_their_groups_and_guests_it_names(world: World) -> None:
    guest = hired(world, "U0GUEST001", "gizem", is_restricted=True)
    other = hired(world, "U0CAN00001", "can")
    world.slack.groups["S0GROUP001"] = UserGroup(id="S0GROUP001", handle="destek", users=[MEHMET])
    world.team["members"] = [guest, "S0GROUP001"]
    await world.start()
    (first, one), (second, two), (third, three) = await asyncio.gather(
        opened(world, "Bir", "Ali Ak"), opened(world, "İki", "Banu Bal"), opened(world, "Üç", "Can Cin")
    )
    await answer(world, one, "Misafirden", guest)
    await answer(world, two, "Gruptan", MEHMET)
    refused = await answer(world, three, "Dışarıdan", other)
    note = await answer(world, three, "// yine de not", other)
    await received(world, first, "Misafirden")
    await received(world, second, "Gruptan")
    await told(world, other, say("not_sent.not_member"))
    await marked(world, note, "memo")
    await marked(world, refused)
    assert await world.answers(third) == []


async def test_files_go_both_ways(world: World) -> None:
    await world.start()
    customer = world.customer("Ayşe Yılmaz")
    file = {"name": "../fiş.pdf", "media_type": "application/pdf", "data": base64.b64encode(b"%PDF-kumbara").decode()}
    await world.telegram.say(customer, kind="document", caption="Fişim", files=[file])
    card = await world.card_with("Fişim")
    shared = await thread_shows(world, card["ts"], "fiş.pdf")
    assert world.slack.files[shared["files"][0]["id"]].data == b"%PDF-kumbara"
    await card_shows(world, card["ts"], "fiş.pdf", without=[say("file.arriving")])

    picture = {"name": "kutu.png", "media_type": "image/png"}
    await world.telegram.say(customer, kind="photo", caption="Kutu ezik", files=[picture])
    line = await thread_shows(world, card["ts"], "Kutu ezik")
    await eventually(lambda: say("file.arriving") not in str(world.slack.channels[SUPPORT].messages[line["ts"]].blocks))

    async def both_shared() -> bool:  # Slack shows a file some time after it has taken it
        return len([x for x in (await card_of(world, card["ts"]))["replies"] if x["files"]]) == 2

    await eventually(both_shared)

    reply = await answer(world, card, "İade formu", files=[("form.pdf", "application/pdf", b"%PDF-form")])

    async def arrived() -> dict[str, object] | None:
        return next((x for x in await world.chat(customer) if x["from"] == "bot" and x.get("file")), None)

    sent = await eventually(arrived)
    assert sent is not None and "İade formu" in str(sent)
    await marked(world, reply, "white_check_mark")
    (kept,) = (each for each in world.telegram.files.values() if each.name == "form.pdf")
    assert kept.data == b"%PDF-form"


async def test_a_file_that_cannot_be_had_or_carried_is_told_and_never_replaced_by_a_login_page(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    huge = {"name": "film.mp4", "media_type": "video/mp4", "size": 30 << 20, "data": base64.b64encode(b"x").decode()}
    await world.telegram.say(customer, kind="video", files=[huge])
    shown = await thread_shows(world, card["ts"], "film.mp4")

    async def says_so() -> bool:
        found = next(x for x in (await card_of(world, card["ts"]))["replies"] if x["ts"] == shown["ts"])
        return say("file.arriving") not in str(found)

    await eventually(says_so)

    world.slack.change_app({"scopes": [scope for scope in world.slack.app.scopes if scope != "files:read"]})
    lost = await answer(world, card, "", files=[("form.pdf", "application/pdf", b"%PDF-form")])
    await thread_shows(world, card["ts"], say("advice.file_lost"))
    await marked(world, lost, "x")

    event = {
        "type": "message",
        "subtype": "file_share",
        "user": AYSE,
        "channel": SUPPORT,
        "thread_ts": card["ts"],
        "text": "",
        "files": [{"id": "F0HUGE0001", "name": "dev.zip", "mimetype": "application/zip", "size": 60 << 20,
                   "url_private_download": f"{world.slack_url}/files-pri/T0SANDBOX1-F0HUGE0001/download/dev.zip"}],
    }  # fmt: skip
    await world.slack.event({**event, "ts": "1790000000.000100"})
    await thread_shows(world, card["ts"], say("advice.file_too_big"))
    await world.slack.event({**event, "ts": "1790000000.000200", "files": [{"id": "F0GONE0001", "mode": "tombstone"}]})
    await told(world, AYSE, say("not_sent.file_lost"))
    assert await world.answers(customer) == []


async def test_what_a_customer_edits_is_edited_in_slack_or_said_anew(world: World) -> None:
    await world.start()
    customer = world.customer("Ayşe Yılmaz")
    first = await world.telegram.say(customer, text="Sipariş 41")
    card = await world.card_with("Sipariş 41")
    long = "uzun " * 800
    second = await world.telegram.say(customer, text=f"{long}eski")
    line = await thread_shows(world, card["ts"], "eski")
    await world.telegram.edit(customer, first["message_ids"][-1], text="Sipariş 42 <!here>")
    await card_shows(world, card["ts"], "Sipariş 42", without=["Sipariş 41"])
    await world.telegram.edit(customer, second["message_ids"][0], text=f"{long}yeni")
    assert (await thread_shows(world, card["ts"], "yeni"))["ts"] == line["ts"]

    await world.slack.delete(MEHMET, SUPPORT, line["ts"])
    await world.telegram.edit(customer, second["message_ids"][0], text="kısa")
    shown = await thread_shows(world, card["ts"], "kısa")
    assert shown["ts"] != line["ts"]
    assert await world.answers(customer) == []


async def test_a_deleted_card_is_opened_anew_and_the_old_thread_still_answers(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    reply = await answer(world, card, "Bakıyorum")
    await received(world, customer, "Bakıyorum")
    await marked(world, reply, "white_check_mark")
    await world.slack.delete(MEHMET, SUPPORT, card["ts"])

    async def anew() -> dict[str, object] | None:
        return next((x for x in await world.roots() if "Kargom nerede?" in str(x["blocks"])), None)

    second = await eventually(anew)
    assert second is not None and second["ts"] != card["ts"]
    await world.telegram.say(customer, text="Alo?")
    await thread_shows(world, str(second["ts"]), "Alo?")
    await answer(world, second, "Yeni yerden")
    await received(world, customer, "Bakıyorum", "Yeni yerden")
    await answer(world, card, "Eski yerden")
    await received(world, customer, "Bakıyorum", "Yeni yerden", "Eski yerden")


async def test_where_an_admin_locked_the_thread_the_conversation_goes_on_in_a_new_one(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    await world.slack.lock_thread(SUPPORT, card["ts"])
    await world.telegram.say(customer, text="Duyuyor musunuz?")
    await eventually(lambda: len(calls(world, "chat.postMessage")) == 3)
    first, second = await world.roots()
    assert (first["replies"], lines(second, ["Duyuyor musunuz?"])) == ([], ["Duyuyor musunuz?"])
    await answer(world, second, "Duyuyoruz")
    await received(world, customer, "Duyuyoruz")
