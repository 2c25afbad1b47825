"""Files between customers and the thread: every sort both ways, links into our own network, files without an end."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from sandbox.telegram.kinds import picture
from tests.providers import KINDS, SMS, X_USER
from tests.scenarios.desk import answer, card_of, query, say, thread_shows
from tests.scenarios.test_guarantees import KEY, LINES, PHONE, X_ID, Phone, begun, done
from tests.scenarios.twilio import files_on
from tests.world import World, eventually

Sort = tuple[str, bytes]
IMAGE: Sort = ("image/png", picture(120, 90))
SOUND: Sort = ("audio/mp4", struct.pack(">I4s4sI4s", 20, b"ftyp", b"M4A ", 0, b"M4A ") + bytes(range(256)) * 8)
FILM: Sort = ("video/mp4", struct.pack(">I4s4sI4s", 20, b"ftyp", b"mp42", 0, b"mp42") + bytes(range(256)) * 16)
PAPER: Sort = ("application/pdf", b"%PDF-1.4 " + bytes(range(256)))
SORTS = {"kutu.png": IMAGE, "ses.m4a": SOUND, "film.mp4": FILM, "fatura.pdf": PAPER}
CARRIES: Mapping[str, tuple[str, ...]] = {"x": ("kutu.png", "film.mp4")}  # the others carry them all
LIMIT = 25 << 20  # bytes; the most that any of those who are asked for a file without an end fetch


async def sends(phone: Phone, name: str) -> None:
    """The customer sends a file."""
    file = _file(name)
    match phone.kind:
        case "x":
            await phone.provider.say(person=X_ID, line=LINES["x"], file=file)
        case "sms" | "whatsapp-twilio":
            await phone.provider.say(PHONE, LINES[phone.kind], file=file)
        case _:
            await phone.provider.say(KEY, LINES[phone.kind], file=file)


def _file(name: str) -> dict[str, Any]:
    media_type, data = SORTS[name]
    return {"data": data, "media_type": media_type, "filename": name}


def arrived(phone: Phone) -> list[bytes]:
    """The files of the shop's that the phone shows."""
    match phone.kind:
        case "x":
            kept = phone.provider.media
            found = phone.provider.state()["chats"].get(f"{X_USER}|{X_ID}", [])
            mine = [one for one in found if one["from"] == "shop" and one["file"]]
            return [kept[one["file"]["url"].rpartition("/")[2]].data for one in mine]
        case "sms" | "whatsapp-twilio":
            return [data for _, data in files_on(phone.world, LINES[phone.kind])]
        case _:
            entries = phone.provider.chat(phone.provider.accounts.line(LINES[phone.kind]), KEY).entries.values()
            return [one.file.data for one in entries if one.author == "shop" and one.file is not None]


async def shows(phone: Phone, count: int, last: bytes) -> None:
    """Until the phone has so many files, and this is the last one."""
    await eventually(lambda: len(arrived(phone)) == count)
    assert arrived(phone)[-1] == last


async def in_thread(world: World, ts: str) -> list[bytes]:
    root = await card_of(world, ts)
    found = [file for message in (root, *root["replies"]) for file in message["files"]]
    return [world.slack.files[file["id"]].data or b"" for file in found]


@pytest.mark.parametrize("kind", KINDS)
async def test_pictures_sound_film_and_papers_go_both_ways_byte_for_byte(world: World, kind: str) -> None:
    phone = await begun(world, kind)
    if kind == "sms":
        phone.provider.line(SMS).mms = True  # in America
    await phone.says("Merhaba")
    card = await world.card_with("Merhaba")
    carried = CARRIES.get(kind, tuple(SORTS))
    for name in carried:
        await sends(phone, name)
    wanted = sorted(SORTS[name][1] for name in carried)

    async def all_came() -> bool:
        return sorted(await in_thread(world, card["ts"])) == wanted

    await eventually(all_came)

    if kind == "sms":  # in Turkey: links; see test_twilio.py
        return
    for number, name in enumerate(carried, start=1):
        ts = await answer(world, card, "", files=[(name, *SORTS[name])])
        await done(world, ts)
        await shows(phone, number, SORTS[name][1])
    before = len(phone.calls())
    for name in set(SORTS) - set(carried):
        await answer(world, card, "", files=[(name, *SORTS[name])])
        await thread_shows(world, card["ts"], name)
        await thread_shows(world, card["ts"], say("advice.file_refused"))
    assert len(phone.calls()) == before


ELSEWHERE = ("http://169.254.169.254/latest/meta-data/", "https://10.0.0.7/admin", "https://[::ffff:192.168.0.1]/")


async def names(phone: Phone, number: int, url: str) -> str:
    """A message comes that says its file lies somewhere; answers its words."""
    text, line = f"Bak şuna {number}", LINES[phone.kind]
    meta = phone.world.providers.meta
    match phone.kind:
        case "whatsapp":  # where a file lies is told when it is asked for
            rule = {"match": "media", "action": "status", "status": 200, "json": {"url": url}, "times": 1}
            meta.troubles.add([rule])
            file = {"data": b"png", "media_type": "image/png"}
            await meta.say(KEY, line, text, file=file)
        case "messenger" | "instagram":
            extra = {"attachments": [{"type": "image", "payload": {"url": url}}]}
            await meta.say(KEY, line, text, extra=extra)
        case _:
            params = {
                "MessageSid": f"MM{number:032x}",
                "AccountSid": phone.provider.account().sid,
                "From": f"whatsapp:{PHONE}" if phone.kind == "whatsapp-twilio" else PHONE,
                "To": line,
                "Body": text,
                "NumMedia": "1",
                "MediaUrl0": url,
                "MediaContentType0": "image/png",
            }
            await phone.provider.raw(line, params)
    return text


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "x"])  # see test_x.py
async def test_edge_15_a_link_into_our_own_network_is_not_followed_and_its_words_are_there(
    world: World, kind: str
) -> None:
    phone = await begun(world, kind)
    for number, url in enumerate(ELSEWHERE):
        await world.card_with(await names(phone, number, url))

    async def told() -> bool:
        shown = str([[root["blocks"], [reply["blocks"] for reply in root["replies"]]] for root in await world.roots()])
        return shown.count(say("file.lost")) == len(ELSEWHERE)

    await eventually(told)
    rows = await query(world, "select state, why from attachments")
    assert {tuple(row) for row in rows} == {("failed", "The file's address is not one that may be fetched.")}


@pytest.mark.parametrize("kind", ["messenger", "whatsapp-twilio"])
async def test_a_file_without_an_end_is_cut_off_while_it_streams(world: World, kind: str) -> None:
    """It says nothing of its length, so that only counting helps."""
    told = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal told
        response = web.StreamResponse(headers={"Content-Type": "image/png"})
        await response.prepare(request)
        chunk = bytes(1 << 18)
        while told < 4 * LIMIT:
            await response.write(chunk)
            told += len(chunk)
        return response

    store = web.Application()
    store.router.add_get("/film.png", endless)
    url = await world._host(store)
    phone = await begun(world, kind)
    text = await names(phone, 1, f"{url}/film.png")
    card = await world.card_with(text)

    async def said_so() -> bool:
        return say("file.too_big") in str(await card_of(world, card["ts"]))

    await eventually(said_so)
    assert 0 < told < 2 * LIMIT  # what lay in the buffers of two programs comes on top
    assert await in_thread(world, card["ts"]) == []
    folder = world.folder / "var" / "files"
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) == 0


@pytest.mark.parametrize("kind", ["whatsapp", "messenger", "instagram"])  # the others: test_twilio.py, test_x.py
async def test_edge_14_a_file_that_is_not_handed_out_now_is_asked_for_again_and_holds_no_words_up(
    world: World, kind: str
) -> None:
    phone = await begun(world, kind)
    meta = world.providers.meta
    meta.troubles.add([{"match": "download", "action": "status", "status": 503, "times": 2}])
    await meta.say(KEY, LINES[kind], "" if kind != "whatsapp" else "Kutu ezik", file=_file("kutu.png"))
    await phone.says("Kutu ezik geldi")
    card = await world.card_with("Kutu ezik geldi")

    async def came() -> bool:
        await query(world, "update work set run_at = now() where kind = 'media' and lease is null")
        return await in_thread(world, card["ts"]) == [IMAGE[1]]

    await eventually(came)
    assert [rule["fired"] for rule in meta.troubles.plain()] == [2]
