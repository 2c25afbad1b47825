"""`desk.slack` against Slack's emulator: every answer and every silence becomes the caller's next move."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from channels.errors import Refused, Retry
from channels.message import Attachment
from desk.blocks import Post
from desk.slack import AgentFiles, Gone, NotAllowed, Rejected, Slack, Unknown
from inbox.work import Unavailable, Wait
from sandbox import slack as sandbox
from sandbox.slack.world import World
from tests.world import AYSE, SUPPORT

WORDS = Post(text="Merhaba", blocks=[{"type": "section", "text": {"type": "plain_text", "text": "Merhaba"}}])
BEFORE = timedelta(minutes=1)


class Side:
    """The emulator and our client, connected."""

    def __init__(self, world: World, slack: Slack, url: str) -> None:
        self.world = world
        self.slack = slack
        self.url = url

    def spoil(self, match: str, action: str, **more: Any) -> None:
        self.world.troubles.add([{"match": match, "action": action, **more}])

    def count(self, method: str) -> int:
        return [call["method"] for call in self.world.calls].count(method)

    async def find(self, id: str, **more: Any) -> str | None:
        return await self.slack.find(SUPPORT, id, datetime.now(UTC) - BEFORE, **more)


@pytest_asyncio.fixture
async def side() -> AsyncIterator[Side]:
    world = World()
    world.change_settings({"posts_per_second": 0, "tier_scale": 0, "file_delay": 0})
    runner = web.AppRunner(sandbox.application(world), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    world.base = url
    slack = Slack("xoxb-sandbox-bot-token", f"{url}/api/")
    await slack.open()
    yield Side(world, slack, url)
    await slack.close()
    await runner.cleanup()


# posts


async def test_a_post_carries_its_id_unfurls_nothing_and_is_found_by_it(side: Side) -> None:
    root = await side.slack.post(SUPPORT, WORDS, id="one")
    reply = await side.slack.post(SUPPORT, WORDS, id="two", thread_ts=root)
    given = side.world.calls[0]["arguments"]
    assert {str(given["unfurl_links"]), str(given["unfurl_media"])} <= {"0", "False", "false"}
    assert await side.find("one") == root
    assert await side.find("two") is None  # a reply stands in its thread only
    assert await side.find("two", thread_ts=root) == reply
    assert await side.find("three", thread_ts=root) is None


async def test_a_post_is_found_behind_hundreds_of_others(side: Side) -> None:
    root = await side.slack.post(SUPPORT, WORDS, id="root")
    for number in range(420):
        await side.world.post(AYSE, SUPPORT, f"{number}", thread_ts=root)
    last = await side.slack.post(SUPPORT, WORDS, id="last", thread_ts=root)
    assert await side.find("last", thread_ts=root) == last


@pytest.mark.parametrize("thing", ["post", "update", "share"])
async def test_a_write_whose_answer_is_lost_is_unknown_and_never_repeated(side: Side, thing: str) -> None:
    root = await side.slack.post(SUPPORT, WORDS, id="one")
    methods = {"post": "chat.postMessage", "update": "chat.update", "share": "files.completeUploadExternal"}
    file = await side.slack.begin_upload("fiş.pdf", b"%PDF")
    before = side.count(methods[thing])
    side.spoil(methods[thing], "drop_after")
    with pytest.raises(Unknown):
        match thing:
            case "post":
                await side.slack.post(SUPPORT, WORDS, id="two")
            case "update":
                await side.slack.update(SUPPORT, root, WORDS)
            case _:
                await side.slack.share([(file, "fiş.pdf")], SUPPORT, root, "")
    assert side.count(methods[thing]) == before + 1
    side.world.troubles.clear()
    await side.world.settle()
    if thing == "post":
        assert await side.find("two") is not None
    if thing == "share":
        assert await side.slack.shared(file)


ANSWERS: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "it may have been done: internal_error": (
        {"json": {"ok": False, "error": "internal_error"}, "status": 200},
        Unknown,
    ),
    "it may have been done: fatal_error": ({"json": {"ok": False, "error": "fatal_error"}, "status": 200}, Unknown),
    "it may have been done: 500": ({"status": 500}, Unknown),
    "it may have been done: 502": ({"status": 502, "body": "bad gateway"}, Unknown),
    "it may have been done: 504": ({"status": 504, "body": "<html>"}, Unknown),
    "words instead of JSON": ({"status": 200, "body": "ok?"}, Unknown),
    "no JSON though it says so": ({"status": 200, "json": "not an object"}, Unknown),
    "surely not done: 503": ({"status": 503, "body": "busy"}, Unavailable),
    "surely not done: service_unavailable": (
        {"json": {"ok": False, "error": "service_unavailable"}, "status": 200},
        Unavailable,
    ),
    "set-up: not_in_channel": ({"json": {"ok": False, "error": "not_in_channel"}, "status": 200}, NotAllowed),
    "set-up: is_archived": ({"json": {"ok": False, "error": "is_archived"}, "status": 200}, NotAllowed),
    "set-up: token_revoked": ({"json": {"ok": False, "error": "token_revoked"}, "status": 200}, NotAllowed),
    "set-up: missing_scope": ({"json": {"ok": False, "error": "missing_scope"}, "status": 200}, NotAllowed),
    "this very call: invalid_blocks": ({"json": {"ok": False, "error": "invalid_blocks"}, "status": 200}, Rejected),
    "gone: restricted_action_thread_locked": (
        {"json": {"ok": False, "error": "restricted_action_thread_locked"}, "status": 200},
        Gone,
    ),
    "gone: thread_not_found": ({"json": {"ok": False, "error": "thread_not_found"}, "status": 200}, Gone),
    "gone: message_not_found": ({"json": {"ok": False, "error": "message_not_found"}, "status": 200}, Gone),
    "later: ratelimited without 429": ({"json": {"ok": False, "error": "ratelimited"}, "status": 200}, Wait),
}


@pytest.mark.parametrize(("answer", "meaning"), ANSWERS.values(), ids=ANSWERS)
async def test_what_slack_answers_means_what_to_do_next(
    side: Side, answer: dict[str, Any], meaning: type[Exception]
) -> None:
    side.spoil("chat.postMessage", "status", **answer)
    with pytest.raises(meaning) as caught:
        await side.slack.post(SUPPORT, WORDS, id="one")
    assert caught.type is meaning
    assert side.count("chat.postMessage") == 1
    assert "xoxb" not in str(caught.value)


async def test_when_nobody_listens_nothing_was_done(side: Side) -> None:
    nobody = Slack("xoxb-sandbox-bot-token", "http://127.0.0.1:9/api/")
    await nobody.open()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await nobody.post(SUPPORT, WORDS, id="one")
    await nobody.close()


async def test_retry_after_is_passed_on_for_the_whole_lane(side: Side) -> None:
    side.spoil("chat.postMessage", "ratelimit", retry_after=7)
    with pytest.raises(Wait) as caught:
        await side.slack.post(SUPPORT, WORDS, id="one")
    assert (caught.value.after, caught.value.whole_lane) == (timedelta(seconds=7), True)


async def test_a_card_that_became_a_tombstone_is_gone(side: Side) -> None:
    root = await side.slack.post(SUPPORT, WORDS, id="one")
    await side.world.post(AYSE, SUPPORT, "Cevap", thread_ts=root)
    await side.world.delete(AYSE, SUPPORT, root)
    with pytest.raises(Gone):
        await side.slack.update(SUPPORT, root, WORDS)


async def test_a_reaction_that_is_so_already_is_fine(side: Side) -> None:
    ts = (await side.world.post(AYSE, SUPPORT, "Cevap"))["ts"]
    for on in (True, True, False, False):
        await side.slack.react(SUPPORT, ts, "eyes", on=on)
    with pytest.raises(Gone):
        await side.slack.react(SUPPORT, "1790000000.000100", "eyes", on=True)


@pytest.mark.parametrize("action", ["drop_before", "drop_after", "down", "ratelimit"])
async def test_a_whisper_may_be_lost(side: Side, action: str) -> None:
    side.spoil("chat.postEphemeral", action)
    await side.slack.whisper(SUPPORT, AYSE, WORDS)
    await side.slack.whisper(SUPPORT, "U0NOBODY01", WORDS)


# questions


async def test_a_question_is_asked_again_when_the_line_breaks_and_given_up_in_words(side: Side) -> None:
    side.spoil("users.info", "drop_before", times=1)
    assert (await side.slack.person(AYSE))["profile"]["display_name"] == "Ayşe"
    assert side.count("users.info") == 2
    side.spoil("users.info", "drop_before")
    with pytest.raises(Unavailable):
        await side.slack.person(AYSE)


async def test_who_we_are_and_what_we_may(side: Side) -> None:
    who = await side.slack.introduce()
    assert (who.team_id, who.user_id, who.bot_id) == ("T0SANDBOX1", "U0SANTRAL1", "B0SANTRAL1")
    assert who.scopes is not None and "chat:write" in who.scopes
    await side.world.revoke("xoxb-sandbox-bot-token")
    with pytest.raises(NotAllowed, match="token_revoked"):
        await side.slack.introduce()


# files


async def test_a_file_is_uploaded_shown_and_fetched_back(side: Side) -> None:
    root = await side.slack.post(SUPPORT, WORDS, id="one")
    file = await side.slack.begin_upload("fiş.pdf", b"%PDF-1")
    assert not await side.slack.shared(file)
    await side.slack.share([(file, "fiş.pdf")], SUPPORT, root, "📎")
    await side.world.settle()
    assert await side.slack.shared(file)
    url = side.world.file_json(file)["url_private_download"]
    assert await fetched(side, url, "application/pdf") == b"%PDF-1"
    with pytest.raises(Gone):
        await side.slack.shared("F0NOSUCH01")


async def fetched(side: Side, url: str, media_type: str) -> bytes:
    attachment = Attachment(media_type=media_type, ref=url)
    return b"".join([part async for part in AgentFiles(side.slack).fetch(attachment)])


async def test_a_login_page_is_no_file(side: Side) -> None:
    post = await side.world.post(
        AYSE, SUPPORT, files=[("a.pdf", "application/pdf", b"%PDF"), ("a.html", "text/html", b"<p>")]
    )
    pdf, html = (file["url_private_download"] for file in post["files"])
    assert await fetched(side, html, "text/html") == b"<p>"
    side.world.change_app({"scopes": []})
    with pytest.raises(Refused, match="log-in page"):
        await fetched(side, pdf, "application/pdf")


async def test_our_token_goes_to_slacks_hosts_only(side: Side) -> None:
    for url in ("https://evil.example/files-pri/x", "http://files.slack.com/x", "https://slack.com.evil.example/x",
                "https://evilslack.com/x", "file:///etc/passwd", ""):  # fmt: skip
        assert not side.slack.trusts(url)
        with pytest.raises(Refused):
            await fetched(side, url, "image/png")
    assert side.slack.trusts("https://files.slack.com/files-pri/T1-F1/a.png")
    assert side.slack.trusts(f"{side.url}/files-pri/T1-F1/a.png")


@pytest.mark.parametrize(
    ("action", "more", "meaning"),
    [("status", {"status": 503}, Retry), ("drop_before", {}, Retry), ("status", {"status": 404}, Refused)],
)
async def test_a_file_that_does_not_come_is_tried_again_only_when_that_may_help(
    side: Side, action: str, more: dict[str, Any], meaning: type[Exception]
) -> None:
    post = await side.world.post(AYSE, SUPPORT, files=[("a.pdf", "application/pdf", b"%PDF")])
    side.spoil("download", action, **more)
    with pytest.raises(meaning):
        await fetched(side, post["files"][0]["url_private_download"], "application/pdf")
