"""Twilio's bad days and ours: receipts in any order, doubts, downtimes, forged requests, a set-up that is not right."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from app.check import check
from channels.channel import Registers
from sandbox.twilio.signing import Key, Params, signed
from tests.providers import ACCOUNT, AUTH_TOKEN
from tests.scenarios.desk import card_of, card_shows, marked, query, start_of, thread_shows
from tests.scenarios.twilio import (
    PHONE,
    SMS,
    WHATSAPP_TWILIO,
    Action,
    answers,
    calls,
    chat,
    hurry,
    later_at_twilio,
    outgoing,
    person,
    posts,
    quiet,
    reads,
    reads_at_once,
    says,
    stored,
    texts,
    trouble,
    twilio,
    writes,
)
from tests.world import World, eventually

SENT, DELIVERED, READ, FAILED, DOUBT = "white_check_mark", "ballot_box_with_check", "eyes", "x", "warning"
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
OTHER = "AC00000000000000000000000000000999"
LONG_AGO = timedelta(minutes=1)  # so long that no webhook of that time is under way any more


async def asked(world: World, line: str = SMS, text: str = "Kargom nerede?") -> dict[str, Any]:
    """A world in which a customer of Twilio's has written, and the card that stands in Slack for it."""
    if world.app is None:
        await world.add_channels("sms", "whatsapp-twilio")
        await world.start()
        person(world)
    await says(world, line, text)
    return await world.card_with(text)


def form(**more: str) -> Params:
    """The parameters of an SMS from Ayşe."""
    sid = "SM000000000000000000000000000000aa"
    given = {"MessageSid": sid, "SmsMessageSid": sid, "SmsSid": sid, "SmsStatus": "received", "AccountSid": ACCOUNT}
    given |= {"From": PHONE, "To": SMS, "Body": "Sahte", "NumMedia": "0", "NumSegments": "1"}
    return list((given | more).items())


async def post(
    world: World,
    params: Params,
    *,
    to: str = "",
    secret: str = AUTH_TOKEN,
    headers: dict[str, str] | None = None,
    url: str = "",
    **how: Any,
) -> tuple[int, str, str]:
    """Sign as Twilio does for `url` and post it to us: status, content type and body of our answer."""
    made = signed(url or f"{world.url}/webhooks/sms", "POST", params, Key(secret=secret), **how)
    path = made.url.partition("/webhooks/")[2]
    given = {**made.headers, **(headers or {})}
    given = {name: value for name, value in given.items() if value}
    target = to or f"{world.url}/webhooks/{path}"
    async with aiohttp.ClientSession() as http, http.post(target, data=made.body, headers=given) as answer:
        return answer.status, answer.content_type, await answer.text()


# receipts


async def test_edge_06_receipts_shuffled_and_doubled_only_move_a_mark_up(world: World) -> None:
    card = await asked(world, WHATSAPP_TWILIO)
    await twilio(world).settle({"order": "shuffled", "duplicates": 1.0, "auto_read": True, "seed": 7})
    ts = await writes(world, card, "Yarın sizde")
    await marked(world, ts, READ)
    await quiet(world)
    await twilio(world).settle({"order": "", "duplicates": 0.0, "auto_read": False})
    (sent,) = outgoing(world)
    said = [one["params"]["MessageStatus"] for one in twilio(world).journal.attempts(0) if one["message"] == sent.sid]
    assert sorted(said) == sorted(["sending", "sent", "delivered", "read"] * 2)
    assert said != sorted(said, key=["sending", "sent", "delivered", "read"].index)
    await marked(world, ts, READ)
    (row,) = await query(world, "select status, external_id from deliveries")
    assert (row["status"], row["external_id"]) == (4, sent.sid)

    # Read without "delivered" ever said, and a late failure, which is shown.
    await twilio(world).settle({"carried_to": "sent"})
    ts = await writes(world, card, "Adresiniz doğru mu?")
    await marked(world, ts, SENT)
    await twilio(world).fail(outgoing(world)[-1].sid, 30008, "undelivered")
    await marked(world, ts, FAILED)
    await thread_shows(world, card["ts"], "30008")


async def test_edge_06_receipts_that_overtake_the_answer_to_the_call_find_their_message(world: World) -> None:
    card = await asked(world)
    await twilio(world).settle({"callback_first": True})
    ts = await writes(world, card, "Yarin sizde")
    await marked(world, ts, DELIVERED)
    await twilio(world).refuse(30006, at_once=False)
    lost = await writes(world, card, "Bu ulasmaz")
    await marked(world, lost, FAILED)
    await thread_shows(world, card["ts"], "30006")
    await quiet(world)
    assert answers(world, SMS) == ["Yarin sizde"]
    await marked(world, ts, DELIVERED)
    assert len(calls(world)) == 2


async def test_calls_too_many_only_delay_and_keep_the_order(world: World) -> None:
    card = await asked(world)
    trouble(world, Action.RATELIMIT, retry_after=1)
    trouble(world, Action.RATELIMIT)
    for text in ("bir", "iki", "uc"):
        await writes(world, card, text)
    await reads(world, SMS, "bir", "iki", "uc")
    assert [call["status"] for call in calls(world)] == [429, 429, 201, 201, 201]


# doubts


async def test_edge_05_a_doubt_is_settled_by_the_receipt_that_names_our_own_id(world: World) -> None:
    """The line breaks when Twilio has it, and its list does not answer: the receipt alone says what became of it."""
    card = await asked(world)
    trouble(world, Action.DROP_AFTER)
    trouble(world, Action.STATUS, "messages.list", status=503, times=None)
    ts = await writes(world, card, "Paraniz iade edildi")
    await marked(world, ts, DELIVERED)
    await writes(world, card, "Baska sorunuz var mi?")
    twilio(world).troubles.clear()
    await reads_at_once(world, SMS, "Paraniz iade edildi", "Baska sorunuz var mi?")
    await quiet(world)
    assert len(calls(world)) == 2
    assert "delivery_again" not in json.dumps(await card_of(world, card["ts"]))


async def test_edge_05_a_doubt_is_settled_by_twilios_list_where_no_receipt_comes(world: World) -> None:
    card = await asked(world)
    await twilio(world).hold()  # no receipts, until all is settled
    trouble(world, Action.DROP_AFTER)
    ts = await writes(world, card, "Paraniz iade edildi")
    await marked(world, ts, SENT)
    assert len(calls(world)) == 1 and looked_for(world)
    await twilio(world).release("reverse")
    await marked(world, ts, DELIVERED)
    assert answers(world, SMS) == ["Paraniz iade edildi"]


def looked_for(world: World) -> list[dict[str, Any]]:
    """The times we asked Twilio whether a message to Ayşe is there."""
    return [call for call in calls(world, "messages.list") if call["params"].get("To") == PHONE]


async def test_edge_05_what_never_arrived_is_sent_again_by_itself_once_twilio_surely_does_not_have_it(
    world: World,
) -> None:
    card = await asked(world)
    trouble(world, Action.DROP_BEFORE)
    ts = await writes(world, card, "Paraniz iade edildi")
    await eventually(lambda: looked_for(world))
    assert len(calls(world)) == 1 and answers(world, SMS) == []
    # A minute passes.
    await query(world, "update deliveries set sending_at = sending_at - interval '1 minute'")
    await reads_at_once(world, SMS, "Paraniz iade edildi")
    await marked(world, ts, DELIVERED)


async def test_edge_05_two_equal_answers_leave_a_doubt_that_a_person_settles(world: World) -> None:
    card = await asked(world)
    await twilio(world).hold()
    first = await writes(world, card, "Tamam")
    await marked(world, first, SENT)
    await twilio(world).elsewhere(PHONE, SMS, "Tamam")
    trouble(world, Action.DROP_BEFORE)
    ts = await writes(world, card, "Tamam")
    await marked(world, ts, DOUBT)
    await thread_shows(world, card["ts"], "delivery_again")
    assert len(calls(world)) == 2


# downtimes


async def test_edge_04_what_people_wrote_while_we_were_away_is_fetched_once_and_in_order(world: World) -> None:
    card = await asked(world)
    await quiet(world)
    await world.stop()
    await twilio(world).settle({"retry_scale": 0.02})
    await later_at_twilio(world, -LONG_AGO)
    await says(world, SMS, "Alo?")
    await says(world, WHATSAPP_TWILIO, "Kimse yok mu?", file={"data": b"%PDF-1.4 x", "media_type": "application/pdf"})
    await says(world, SMS, "Bekliyorum")
    await twilio(world).idle()
    alerts = [alert["code"] for alert in twilio(world).state()["alerts"]]
    assert len(alerts) == 3 and {*alerts} <= {11200, 11205}  # no connection, or none in the time a busy machine has
    assert await texts(world) == ["Kargom nerede?"]
    await world.start(connect=False)
    await thread_shows(world, card["ts"], "Bekliyorum")
    await thread_shows(world, card["ts"], "Kimse yok mu?")
    await eventually(lambda: query(world, "select 1 from attachments where state = 'kept'"))
    shown = str(await card_of(world, card["ts"]))
    assert shown.index("Alo?") < shown.index("Bekliyorum")
    rows = await query(world, "select text from messages where direction = 'in' order by sent_at, position")
    assert sorted(row["text"] for row in rows) == sorted(["Kargom nerede?", "Alo?", "Kimse yok mu?", "Bekliyorum"])
    # What Twilio brings after all is known.
    for message in [one.sid for one in twilio(world).ledger.messages.values() if one.author == "customer"]:
        await twilio(world).repeat(message)
    await quiet(world)
    assert len(await texts(world)) == 4
    await writes(world, card, "Buradayiz")
    await eventually(lambda: "Buradayiz" in answers(world, SMS) + answers(world, WHATSAPP_TWILIO))


async def test_edge_04_a_look_at_the_list_does_not_overtake_a_webhook_that_tells_more(world: World) -> None:
    """What was pressed and where somebody is, Twilio's list does not have: told by it first, that would be lost."""
    card = await asked(world, WHATSAPP_TWILIO)
    await quiet(world)
    await twilio(world).hold()
    place = {"latitude": 41.0256, "longitude": 28.9742, "label": "Galata Kulesi"}
    await says(world, WHATSAPP_TWILIO, location=place)
    await later_at_twilio(world, -LONG_AGO)
    await says(world, WHATSAPP_TWILIO, "Buradan da yazmıştım")  # of this one nothing but the list ever tells
    await later_at_twilio(world, timedelta(0))
    await hurry(world, "missed")
    await thread_shows(world, card["ts"], "Buradan da yazmıştım")
    await twilio(world).release()
    await thread_shows(world, card["ts"], "Galata Kulesi")
    await quiet(world)
    assert len(await texts(world)) == 3


async def test_edge_04_a_stop_during_a_downtime_counts_and_one_taken_back_does_not(world: World) -> None:
    card = await asked(world)
    person(world, "Mehmet Kaya", "+905550001002")
    await says(world, SMS, "Ben de sorayim", "+905550001002")
    other = await world.card_with("Ben de sorayim")
    await quiet(world)
    await world.stop()
    await twilio(world).settle({"retry_scale": 0.02})
    await says(world, SMS, "STOP")
    await says(world, SMS, "STOP", "+905550001002")
    await says(world, SMS, "START", "+905550001002")
    await twilio(world).idle()
    await world.start(connect=False)
    await card_shows(world, card["ts"], "🚫")
    await writes(world, other, "Buyurun")
    await reads(world, SMS, "Buyurun", who="+905550001002")
    assert "🚫" not in str((await card_of(world, other["ts"]))["blocks"])


async def test_edge_04_we_ask_twilio_to_try_again_and_it_does(world: World) -> None:
    """Twilio repeats nothing that we answered with 5xx, unless the address we register asks for it."""
    card = await asked(world)
    assert twilio(world).line(SMS).url.partition("#")[2] == "rc=3&rp=5xx,ct,rt&ct=2000&rt=4000"
    await quiet(world)
    await world.stop()
    sid = ""

    async def back() -> None:
        nonlocal sid
        sid = await says(world, SMS, "Alo?")
        await eventually(lambda: posts(world, sid))
        await world.start(connect=False)

    await back()
    await thread_shows(world, card["ts"], "Alo?")
    assert posts(world, sid)[0] == 0
    await quiet(world)
    assert await texts(world) == ["Kargom nerede?", "Alo?"]


# who is let in, and what they are told


async def test_edge_01_whatever_we_answer_nobody_is_texted_our_words(world: World) -> None:
    card = await asked(world)
    await twilio(world).repeat(next(iter(twilio(world).ledger.messages)))
    nameless = dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid"), "")
    for odd in ({"From": SMS}, {"To": "+905550100099"}, {"MessageStatus": "hovering"}, nameless, {"AccountSid": OTHER}):
        await says(world, SMS, "Tuhaf", extra=odd)
    await twilio(world).idle()
    statuses = [one["status"] for one in twilio(world).journal.attempts(0)]
    assert sorted(statuses) == [200, 200, 200, 200, 200, 400, 401]
    assert [alert["code"] for alert in twilio(world).state()["alerts"]] == [11200, 11200]  # the last two
    assert [entry["from"] for entry in chat(world, SMS)] == ["customer"] * 6
    for params, secret, status in ((form(), AUTH_TOKEN, 200), (form(), "forged", 401), ([("a", "b")], AUTH_TOKEN, 401)):
        assert await post(world, params, secret=secret) == (status, "text/xml", EMPTY)
    await card_shows(world, card["ts"], "Kargom nerede?")


async def test_edge_02_behind_a_proxy_the_configured_address_counts_and_no_header(world: World) -> None:
    public = "https://localhost"  # nothing listens there: TLS ends at the proxy
    world.settings["public_url"] = public
    await world.add_channels("sms")
    await world.start(connect=False)
    await world.connect(telegram=False)
    hook = f"{public}/webhooks/sms"
    await eventually(lambda: twilio(world).line(SMS).url.startswith(f"{hook}#"))  # `serve` has seen to that itself
    assert (await post(world, form(Body="Merhaba"), url=hook))[0] == 200
    assert (await post(world, form(MessageSid="SM04", Body="İkinci"), url=f"{public}:443/webhooks/sms"))[0] == 200
    assert (await post(world, form(MessageSid="SM05"), url=f"{hook}?delivery=%C5%9F+%20a"))[0] == 200
    assert (await post(world, form(MessageSid="SM06"), url=f"{hook}/"))[0] in (401, 404)
    lies = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example", "Host": "evil.example"}
    assert (await post(world, form(MessageSid="SM07"), url=hook, headers=lies))[0] == 200
    for elsewhere in (hook.replace("https", "http"), "https://evil.example/webhooks/sms", f"{world.url}/webhooks/sms"):
        assert (await post(world, form(MessageSid="SM08"), url=elsewhere, headers=lies))[0] == 401
    target = f"{world.url}/webhooks/sms?a=b"
    assert (await post(world, form(MessageSid="SM09"), url=hook, to=target))[0] == 401
    await stored(world, "Merhaba", "İkinci", "Sahte", "Sahte")


async def test_edge_03_who_is_not_surely_twilio_is_refused_and_leaves_nothing(world: World) -> None:
    await asked(world)
    signature, settings = "X-Twilio-Signature", "X-Twilio-Webhooks-Signature-Settings"
    hostile: list[dict[str, Any]] = [
        {"params": form(), "headers": {signature: ""}},
        {"params": form(), "headers": {signature: "=?ü"}},
        {"params": form(), "secret": "another token"},
        {"params": form(AccountSid=OTHER)},
        {"params": form(), "headers": {"Content-Type": "application/json"}},
        {"params": form(), "headers": {settings: "key=a,algorithm=NONE"}},
        {"params": form(), "headers": {settings: "key=a,algorithm=HMAC_SHA256"}},
        {"params": form(AccountSid=OTHER), "as_json": True},
        {"params": form(), "as_json": True, "to": f"{world.url}/webhooks/sms"},
        {"params": form(), "to": f"{world.url}/webhooks/whatsapp-twilio?x=y"},
    ]
    for attempt in hostile:
        assert (await post(world, **attempt))[0] == 401, attempt
    assert await texts(world) == ["Kargom nerede?"]
    assert await query(world, "select 1 from quarantine") == []


async def test_every_way_of_twilios_to_sign_is_believed(world: World) -> None:
    await world.add_channels("sms")
    world.more[0] |= {"previous_auth_token": "the-token-before", "shared_keys": ["a-shared-key-of-the-shop"]}
    await world.start()
    person(world)
    await says(world, SMS, "eski usul")
    await twilio(world).settle({"sign_without_port": True})
    await says(world, SMS, "kapi numarasiz")
    await twilio(world).settle({"json_webhooks": True})
    await says(world, SMS, "JSON ile 🙂")
    card = await world.card_with("JSON ile 🙂")
    ts = await writes(world, card, "Buradayiz")
    await marked(world, ts, DELIVERED)  # receipts as well, whose address has a query already
    await twilio(world).settle({"json_webhooks": False, "shared_key": "a-shared-key-of-the-shop"})
    await says(world, SMS, "ortak anahtarla")
    await twilio(world).settle({"shared_key": "", "sign_without_port": False})
    assert (await post(world, form(Body="onceki anahtarla"), secret="the-token-before"))[0] == 200
    wanted = ["eski usul", "kapi numarasiz", "JSON ile 🙂", "ortak anahtarla", "onceki anahtarla"]

    async def look() -> bool:
        return sorted(await texts(world)) == sorted(wanted)

    await eventually(look)
    assert twilio(world).state()["alerts"] == []


# the set-up


async def wrong(world: World) -> list[str]:
    """What `santral check` finds wrong with the channels of Twilio; each comes with what to do."""
    found = [one for one in await check(world.config()) if one.what.startswith(("sms:", "whatsapp-twilio:"))]
    assert found and all(one.ok or one.fix for one in found)
    assert not any(AUTH_TOKEN in f"{one.what} {one.fix}" for one in found)
    return [one.what for one in found if not one.ok]


async def test_what_is_set_up_is_registered_once_and_found_to_be_right(world: World) -> None:
    await world.add_channels("sms", "whatsapp-twilio")
    template = twilio(world).add_template(
        name="haber", types={"twilio/text": {"body": "Haberimiz var"}}, language="tr", status="approved"
    )
    twilio(world).line(WHATSAPP_TWILIO).status_url = "https://elsewhere.example/statuses"
    await world.start()
    assert world.app is not None
    changes = ("numbers.update", "senders.update")
    assert [len(calls(world, change)) for change in changes] == [1, 1]
    for name in ("sms", "whatsapp-twilio"):
        channel = world.app.channels[name]
        assert isinstance(channel, Registers)
        await channel.register(f"{world.url}/webhooks/{name}")
    assert [len(calls(world, change)) for change in changes] == [1, 1]
    # What else stood there has stayed.
    assert twilio(world).line(WHATSAPP_TWILIO).status_url == "https://elsewhere.example/statuses"
    assert await wrong(world) == []

    twilio(world).judge(template.sid, status="paused")
    (told,) = await wrong(world)
    assert "No template is approved" in told


def _token(world: World) -> None:
    for section in world.more:
        section["auth_token"] = "a token of long ago"


def _secondary(world: World) -> None:
    account = twilio(world).account()
    account.auth_token, account.secondary_token = "the primary one", AUTH_TOKEN


def _suspended(world: World) -> None:
    twilio(world).suspend()


def _unknown_number(world: World) -> None:
    world.more[0]["sender"] = "+905550100777"


def _unknown_sender(world: World) -> None:
    world.more[1]["sender"] = "whatsapp:+905550100777"


def _elsewhere(world: World) -> None:
    twilio(world).line(SMS).url = "https://elsewhere.example/sms"


def _no_retries(world: World) -> None:
    twilio(world).line(SMS).url = twilio(world).line(SMS).url.partition("#")[0]


def _offline(world: World) -> None:
    twilio(world).line(WHATSAPP_TWILIO).status = "OFFLINE"


def _away(world: World) -> None:
    trouble(world, Action.DOWN, "*", times=None)


BROKEN: tuple[tuple[Callable[[World], None], str, int], ...] = (
    (_token, "does not accept the account SID and auth token", 2),
    (_secondary, "Twilio signs with the primary", 2),
    (_suspended, "The Twilio account Kumbara is suspended", 2),
    (_unknown_number, "has no number +905550100777", 1),
    (_unknown_sender, "has no WhatsApp sender +905550100777", 1),
    (_no_retries, "what fails is not tried again", 1),
    (_offline, "WhatsApp does not let it send yet: OFFLINE", 1),
    (_away, "The provider asks to try again later", 2),
)


async def test_check_names_each_part_that_is_broken_and_nothing_else(world: World) -> None:
    await world.add_channels("sms", "whatsapp-twilio")
    twilio(world).add_template(
        name="haber", types={"twilio/text": {"body": "Haberimiz var"}}, language="tr", status="approved"
    )
    await world.start()
    assert await wrong(world) == []
    for breaks, words, count in BROKEN:
        before = [dict(section) for section in world.more]
        lines = {address: (line.url, line.status) for address, line in twilio(world).ledger.lines.items()}
        breaks(world)
        told = await wrong(world)
        assert [words in one for one in told] == [True] * count, (breaks.__name__, told)
        world.more[:] = before
        for address, (url, status) in lines.items():
            twilio(world).line(address).url, twilio(world).line(address).status = url, status
        twilio(world).suspend(status="active")
        twilio(world).account().auth_token = AUTH_TOKEN
        twilio(world).troubles.clear()
    assert await wrong(world) == []


async def test_check_warns_of_the_token_that_opens_the_api_and_signs_nothing(world: World) -> None:
    """Everything seems well then, answers go out, and not one message of a customer would come in."""
    card = await asked(world)
    _secondary(world)
    await writes(world, card, "Yarin sizde")
    await reads(world, SMS, "Yarin sizde")
    sid = await says(world, SMS, "Orada misiniz?")
    await eventually(lambda: posts(world, sid) == [401])
    assert all("auth_token is the secondary one" in one for one in await wrong(world) if "template" not in one)
    twilio(world).account().auth_token = AUTH_TOKEN


async def test_a_token_that_was_changed_delays_rings_and_sends_once_it_is_mended(world: World) -> None:
    card = await asked(world)
    account = twilio(world).account()
    account.auth_token = "a new one, which nobody has told us"
    ts = await writes(world, card, "Yarin sizde")
    await thread_shows(world, card["ts"], start_of("failure.misconfigured"))
    account.auth_token = AUTH_TOKEN
    await reads_at_once(world, SMS, "Yarin sizde")
    await marked(world, ts, DELIVERED)
    assert AUTH_TOKEN not in json.dumps(await world.state())


@pytest.mark.parametrize("code", [21408, 30007, 63024])
async def test_what_twilio_refuses_is_said_in_words_with_its_code(world: World, code: int) -> None:
    line = WHATSAPP_TWILIO if code > 60_000 else SMS
    card = await asked(world, line)
    await twilio(world).refuse(code, at_once=code == 21408)
    ts = await writes(world, card, "Yarin sizde")
    await marked(world, ts, FAILED)
    await thread_shows(world, card["ts"], str(code))
    assert (await card_of(world, card["ts"])) and len(calls(world)) == 1
