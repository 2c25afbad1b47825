"""What customers do on Telegram, and how it stands in Slack: once, in order, whole."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from inbox.store.database import credentials
from sandbox.telegram.kinds import picture
from tests.world import AYSE, SUPPORT, World, eventually


async def rows(world: World, query: str, *values: Any) -> list[Any]:
    """What the database holds."""
    connection = await asyncpg.connect(**credentials(world.database_url))
    try:
        return list(await connection.fetch(query, *values))
    finally:
        await connection.close()


async def texts(world: World) -> list[str]:
    """What customers said, in the order of their conversations."""
    found = await rows(world, "select text from messages where direction = 'in' order by conversation_id, position")
    return [row["text"] for row in found]


def seen(root: dict[str, Any], words: str) -> int:
    """How often words stand in a thread, card included."""
    blocks = [message["blocks"] for message in (root, *root["replies"])]
    return json.dumps(blocks, ensure_ascii=False).count(words)


def files(root: dict[str, Any]) -> list[dict[str, Any]]:
    return [file for message in (root, *root["replies"]) for file in message["files"]]


async def only(world: World) -> dict[str, Any]:
    """The one thread there is."""
    (root,) = await world.roots()
    return root


async def shows(world: World, *words: str) -> dict[str, Any]:
    """The one thread there is, once it shows all of this."""

    async def look() -> dict[str, Any] | None:
        found = await world.roots()
        return found[0] if len(found) == 1 and all(seen(found[0], each) for each in words) else None

    return dict(await eventually(look) or {})


async def quiet(world: World) -> None:
    """Until every update was answered and no work is due."""

    async def look() -> bool:
        waiting = await rows(
            world, "select 1 from work where kind <> 'pull' and (lease is not null or run_at < now() + interval '2 s')"
        )
        return not waiting and world.telegram.mail(world.telegram.bot()).count == 0

    await eventually(look)


async def test_the_same_update_again_and_again_is_stored_and_shown_once(world: World) -> None:
    await world.start()
    customer = world.customer()
    told = await world.telegram.say(customer, text="Kargom nerede?")
    (update,) = told["update_ids"]
    await world.telegram.repeat(update)
    await world.telegram.repeat(update)
    await shows(world, "Kargom nerede?")
    await world.telegram.say(customer, text="Hâlâ bekliyorum")
    await shows(world, "Hâlâ bekliyorum")
    await world.telegram.repeat(update)
    await quiet(world)
    root = await only(world)
    assert (seen(root, "Kargom nerede?"), seen(root, "Hâlâ bekliyorum")) == (1, 1)
    assert await texts(world) == ["Kargom nerede?", "Hâlâ bekliyorum"]


async def test_three_quick_messages_are_one_conversation_in_their_order(world: World) -> None:
    await world.start()
    customer = world.customer()
    for text in ("Merhaba", "siparişim gelmedi", "1042 numaralı"):
        await world.telegram.say(customer, text=text)
    root = await shows(world, "Merhaba", "siparişim gelmedi", "1042 numaralı")
    assert await texts(world) == ["Merhaba", "siparişim gelmedi", "1042 numaralı"]
    words = json.dumps([root["blocks"], *(reply["blocks"] for reply in root["replies"])], ensure_ascii=False)
    assert words.index("Merhaba") < words.index("siparişim") < words.index("1042 numaralı")


async def test_two_first_messages_at_once_make_one_customer(world: World) -> None:
    """As an album or fast typing over several connections: reordered, they no longer share a queue at Telegram."""
    await world.start()
    customer, other = world.customer(), world.customer("Иван Петров")
    await world.telegram.hold()
    said = [f"soru {number}" for number in range(8)]
    for text in said:
        await world.telegram.say(customer, text=text)
    await world.telegram.say(other, text="Где мой заказ?")
    await world.telegram.release("shuffle")

    async def stored() -> bool:
        return sorted(await texts(world)) == sorted([*said, "Где мой заказ?"])

    await eventually(stored)
    await eventually(lambda: _two_cards(world))
    assert len(await rows(world, "select 1 from customers")) == 2
    assert len(await rows(world, "select 1 from conversations")) == 2


async def _two_cards(world: World) -> bool:
    return len(await world.roots()) == 2


async def test_an_album_is_one_post_and_every_picture_is_in_the_thread(world: World) -> None:
    await world.start()
    customer = world.customer()
    await world.telegram.say(customer, text="Merhaba")
    await shows(world, "Merhaba")
    pictures = [picture(120 + number, 90) for number in range(3)]
    given = [{"name": f"{number}.png", "media_type": "image/png", "data": data} for number, data in enumerate(pictures)]
    told = await world.telegram.say(customer, kind="photo", caption="Kırık geldi", files=given)
    await eventually(lambda: _files(world, 3))
    root = await only(world)
    posts = [reply for reply in root["replies"] if "Kırık geldi" in json.dumps(reply["blocks"], ensure_ascii=False)]
    assert len(posts) == 1
    assert [len(reply["files"]) for reply in root["replies"] if reply["files"]] == [3]
    assert sorted(world.slack.files[file["id"]].data or b"" for file in files(root)) == sorted(pictures)

    group = world.telegram.entry(world.telegram.bot(), world.telegram.user(customer), told["message_ids"][0])
    late = {"media_group_id": group.wire["media_group_id"]}
    await world.telegram.say(customer, kind="photo", extra=late)
    await eventually(lambda: _files(world, 4))
    assert len(await world.roots()) == 1


async def _files(world: World, count: int) -> bool:
    found = await world.roots()
    return bool(found) and len(files(found[0])) == count


KINDS = (
    *("photo", "document", "audio", "voice", "video", "video_note", "animation", "sticker", "location", "venue"),
    *("contact", "dice", "poll", "story", "checklist", "rich_message", "paid_media", "forward", "hologram"),
)


async def test_every_kind_of_message_shows_something_and_keeps_its_payload(world: World) -> None:
    """Those Telegram invents next year, such as a hologram, included."""
    await world.start()
    customer = world.customer()
    for kind in KINDS:
        extra = {"hologram": {"depth": 3}} if kind == "hologram" else None
        text = "başkasının sözü" if kind == "forward" else None
        await world.telegram.say(customer, kind=kind, text=text, extra=extra)

    async def stored() -> bool:
        return len(await texts(world)) == len(KINDS)

    await eventually(stored)
    raws = await rows(world, "select body, raw from messages where direction = 'in' order by position")
    for kind, row in zip(KINDS, raws, strict=True):
        message = json.loads(row["raw"])["message"]
        assert {"forward": "forward_origin"}.get(kind, kind) in message
    stubs = {json.loads(row["body"]).get("stub") for row in raws} - {None}
    assert stubs == {"dice", "poll", "story", "checklist", "rich_message", "paid_media", "hologram"}
    root = await shows(world, "hologram", "Galata", "openstreetmap", "başkasının sözü", "Somebody Else", "sticker.webp")
    assert seen(root, "⚠️") == 7
    await eventually(lambda: _files(world, 8))


async def test_an_edit_changes_what_slack_shows(world: World) -> None:
    await world.start()
    customer = world.customer()
    first = await world.telegram.say(customer, text="Sipariş 1041")
    await shows(world, "Sipariş 1041")
    later = await world.telegram.say(customer, text="Adres: Kadıköy")
    await shows(world, "Adres: Kadıköy")

    await world.telegram.edit(customer, first["message_ids"][0], text="Sipariş 1042")
    await world.telegram.edit(customer, later["message_ids"][0], text="Adres: Moda")
    corrected = await world.telegram.edit(customer, later["message_ids"][0], text="Adres: Üsküdar")
    root = await shows(world, "Sipariş 1042", "Adres: Üsküdar")
    assert seen(root, "Sipariş 1041") == seen(root, "Kadıköy") == seen(root, "Moda") == 0
    assert len(root["replies"]) == 1

    await world.telegram.repeat(corrected["update_id"] - 1)
    await quiet(world)
    assert seen(await only(world), "Üsküdar") == 1
    (kept,) = await rows(world, "select received from messages where text = 'Adres: Üsküdar'")
    assert json.loads(kept["received"])["text"] == "Adres: Kadıköy"


@pytest.mark.parametrize("receive", ["webhook", "poll"])
async def test_an_edit_while_its_post_is_being_made_is_not_lost(world: World, receive: str) -> None:
    world.channel = {"receive": receive, **({"secret": "webhook-secret"} if receive == "webhook" else {})}
    await world.start()
    await world.slack.trouble([{"match": "chat.postMessage", "action": "slow", "seconds": 0.3}])
    customer = world.customer()
    for text in ("önce", "sonra", "en son"):
        told = await world.telegram.say(customer, text=f"{text} yanlış")
        await eventually(lambda: rows(world, "select 1 from slack_posts where ts is null"))
        await world.telegram.edit(customer, told["message_ids"][0], text=f"{text} doğru")
        root = await shows(world, f"{text} doğru")
        assert seen(root, "yanlış") == 0


async def test_an_edit_too_long_for_slacks_update_still_shows(world: World) -> None:
    """Escaped, 4,000 ampersands are 20,000 characters, and Slack updates take 4,000."""
    await world.start()
    customer = world.customer()
    await world.telegram.say(customer, text="Merhaba")
    await shows(world, "Merhaba")
    told = await world.telegram.say(customer, text="Liste & fiyat")
    await shows(world, "Liste & fiyat")
    await world.telegram.edit(customer, told["message_ids"][0], text="Yeni liste: " + "A&B <x> " * 500 + "son")
    await shows(world, "Yeni liste: A&B")


async def test_an_edit_of_a_message_we_never_got_is_stored_and_shown(world: World) -> None:
    await world.start()
    customer = world.customer()
    await world.telegram.hold()
    told = await world.telegram.say(customer, text="ilk hâli")
    await world.telegram.edit(customer, told["message_ids"][0], text="ikinci hâli")
    await world.telegram.edit(customer, told["message_ids"][0], text="son hâli")
    await world.telegram.release("reverse")
    await shows(world, "son hâli")
    await quiet(world)
    assert await texts(world) == ["son hâli"]
    root = await only(world)
    assert seen(root, "ilk hâli") == seen(root, "ikinci hâli") == 0


async def test_a_picture_replaced_by_an_edit_arrives_too(world: World) -> None:
    await world.start()
    customer = world.customer()
    old, new = picture(120, 90), picture(130, 90)
    bot, user = world.telegram.bot(), world.telegram.user(customer)
    told = await world.telegram.say(customer, kind="photo", caption="bu", files=[{"name": "a.png", "data": old}])
    await eventually(lambda: _files(world, 1))
    entry = world.telegram.entry(bot, user, told["message_ids"][0])
    file = world.telegram.add_file(bot, name="b.png", media_type="image/png", data=new)
    changed = {
        **entry.wire,
        "edit_date": world.telegram.stamp(),
        "photo": [{**file.reference(), "width": 130, "height": 90}],
    }
    world.telegram.mail(bot).add("edited_message", changed)
    await eventually(lambda: _files(world, 2))
    assert [world.slack.files[each["id"]].data for each in files(await only(world))] == [old, new]


async def test_an_own_phone_number_is_proof_and_somebody_elses_is_only_words(world: World) -> None:
    await world.start()
    customer = world.customer(phone="+905321234567")
    await world.telegram.say(customer, kind="contact")
    await shows(world, "+905551112233")
    assert await rows(world, "select 1 from addresses where kind = 'phone'") == []
    await world.telegram.say(customer, kind="own_contact")

    async def proven() -> list[Any]:
        return await rows(world, "select value, proof from addresses where kind = 'phone'")

    await eventually(proven)
    assert [tuple(row) for row in await proven()] == [("+905321234567", 2)]
    assert len(await rows(world, "select 1 from customers")) == 1
    await shows(world, "+905321234567 (✓")


async def test_a_start_link_keeps_its_payload(world: World) -> None:
    await world.start()
    customer = world.customer()
    await world.telegram.say(customer, start="k7Jd_x-9")
    await shows(world, "/start k7Jd\\_x-9".replace("\\", ""))
    (row,) = await rows(world, "select body ->> 'payload' as payload from messages")
    assert row["payload"] == "k7Jd_x-9"
    await world.telegram.say(customer, start="../../etc passwd %00")
    await shows(world, "etc passwd")


async def test_what_a_customer_sends_reaches_slack_byte_for_byte(world: World) -> None:
    await world.start()
    customer = world.customer()
    data = bytes(range(256)) * 1_000
    given = [{"name": "fatura <b>.pdf", "media_type": "application/pdf", "data": data}]
    await world.telegram.say(customer, kind="document", caption="Fatura", files=given)
    await eventually(lambda: _files(world, 1))
    (file,) = files(await only(world))
    assert world.slack.files[file["id"]].data == data
    assert "fatura" in file["name"]


async def test_a_file_larger_than_telegram_hands_out_is_named_with_its_size(world: World) -> None:
    await world.start()
    customer = world.customer()
    await world.telegram.say(customer, text="Merhaba")
    await shows(world, "Merhaba")
    for name in ("ilk.mp4", "ikinci.mp4"):
        given = [{"name": name, "media_type": "video/mp4", "data": b"x", "size": 30 << 20}]
        await world.telegram.say(customer, kind="video", files=given)
    root = await shows(world, "ilk.mp4", "ikinci.mp4", "31,5 MB")

    async def told() -> bool:
        return seen(await only(world), "alınamayacak kadar büyük") == 2

    await eventually(told)
    assert files(root) == []
    assert [call for call in world.telegram.journal.calls(0, "getFile") if call["status"] == 200] == []


async def test_ids_that_begin_anew_after_a_quiet_week_lose_nothing(world: World) -> None:
    await world.start()
    customer = world.customer()
    await world.telegram.say(customer, text="önce")
    await shows(world, "önce")
    await world.telegram.settle({"next_update_id": 17})
    await world.telegram.say(customer, text="sonra")
    await shows(world, "sonra")


async def test_offsets_counted_in_utf16_format_the_right_letters(world: World) -> None:
    await world.start()
    customer = world.customer()
    await world.telegram.say(customer, text="😀😀 acil lütfen", entities=[{"type": "bold", "offset": 5, "length": 4}])
    root = await shows(world, "acil")
    bold = [
        element["text"]
        for block in root["blocks"]
        if block["type"] == "rich_text"
        for section in block["elements"]
        for element in section["elements"]
        if element.get("style", {}).get("bold")
    ]
    assert bold == ["acil"]


async def test_two_accounts_of_a_business_are_answered_where_they_wrote(world: World) -> None:
    """A business chat may have the id of an ordinary one: same person, but the answer must name the connection."""
    await world.start()
    customer = world.customer()
    told = await world.telegram.say(customer, text="bota yazdım")
    root = await shows(world, "bota yazdım")
    user = world.telegram.user(customer)
    message = {
        "message_id": told["message_ids"][0],
        "from": user.plain(),
        "chat": user.chat(),
        "date": world.telegram.stamp(),
        "business_connection_id": "bc_1",
        "text": "hesaba yazdım",
    }
    await world.telegram.raw({"business_message": message})
    await shows(world, "bota yazdım", "hesaba yazdım")
    assert len(await rows(world, "select 1 from customers")) == 1
    await world.slack.post(AYSE, SUPPORT, "Buradan da yardım ederiz", thread_ts=root["ts"])
    await eventually(lambda: world.answers(customer))
    (call,) = world.telegram.journal.calls(0, "sendMessage")
    assert call["params"]["business_connection_id"] == "bc_1"


@pytest.mark.parametrize("receive", ["webhook", "poll"])
async def test_a_restart_in_the_middle_loses_and_doubles_nothing(world: World, receive: str) -> None:
    world.channel = {"receive": receive, **({"secret": "webhook-secret"} if receive == "webhook" else {})}
    await world.start()
    customers = [world.customer(f"Müşteri {number}") for number in range(4)]
    said = [(customer, f"soru {number} {customer}") for number in range(5) for customer in customers]
    for customer, text in said[:8]:
        await world.telegram.say(customer, text=text)
    stopping = asyncio.create_task(world.stop())
    for customer, text in said[8:16]:
        await world.telegram.say(customer, text=text)
    await stopping
    for customer, text in said[16:]:
        await world.telegram.say(customer, text=text)
    await world.start(connect=False)

    async def stored() -> bool:
        return sorted(await texts(world)) == sorted(text for _, text in said)

    await eventually(stored)
    for customer in customers:
        own = [text for text in await texts(world) if text.endswith(str(customer))]
        assert own == [text for who, text in said if who == customer]
    if receive == "poll":
        (cursor,) = await rows(world, "select value from cursors where name = 'bot'")
        assert int(cursor["value"]) == world.telegram.mail(world.telegram.bot()).next_id - 1

    async def shown() -> bool:
        found = await world.roots()
        return len(found) == 4 and all(sum(seen(root, text) for root in found) == 1 for _, text in said)

    await eventually(shown)


async def test_polling_shows_and_answers_like_the_webhook(world: World) -> None:
    world.channel = {"receive": "poll"}
    await world.start()
    customer = world.customer()
    told = await world.telegram.say(customer, text="Kargom nerde?")
    root = await shows(world, "Kargom nerde?")
    await world.telegram.edit(customer, told["message_ids"][0], text="Kargom nerede?")
    await shows(world, "Kargom nerede?")
    await world.slack.post(AYSE, SUPPORT, "Yolda", thread_ts=root["ts"])
    await eventually(lambda: world.answers(customer))
    await world.telegram.settle({"next_update_id": 17})
    await world.telegram.say(customer, text="Teşekkürler")
    await shows(world, "Teşekkürler")
    assert await texts(world) == ["Kargom nerede?", "Teşekkürler"]
