"""Slack by Socket Mode, for shops without a public address: the same desk over a connection we open."""

from __future__ import annotations

import pytest

from tests.scenarios.desk import answer, card_of, card_shows, lines, marked, opened, query, received, say, thread_shows
from tests.world import AYSE, MEHMET, SUPPORT, World, eventually


@pytest.fixture
async def socket(world: World) -> World:
    """A world whose Slack app has no addresses, only its app-level token."""
    world.workspace |= {"app_token": "xapp-1-sandbox-app-token", "signing_secret": None}
    await world.slack.set_up({"app": {"socket_mode": True}})
    world.slack.change_settings({"disconnect_seconds": 0.05})
    return world


async def test_the_desk_works_over_socket_mode(socket: World) -> None:
    await socket.start()
    customer, card = await opened(socket)
    reply = await answer(socket, card, "Yarin sizde")
    await received(socket, customer, "Yarin sizde")
    await marked(socket, reply, "white_check_mark")
    await socket.slack.edit(AYSE, SUPPORT, reply, "Yarın sizde")
    await received(socket, customer, "Yarın sizde")

    assert (await socket.slack.press(AYSE, "take", channel=SUPPORT, ts=card["ts"])).ok
    await card_shows(socket, card["ts"], f"<@{AYSE}>")
    assert (await socket.slack.press(MEHMET, "note", channel=SUPPORT, ts=card["ts"])).ok
    (view,) = await eventually(lambda: list(socket.slack.views.values()))
    assert (await socket.slack.submit(MEHMET, view.id, {"text": "VIP müşteri"})).ok
    await thread_shows(socket, card["ts"], "VIP müşteri")
    assert (await socket.slack.shortcut(MEHMET, "conv_resolve", channel=SUPPORT, ts=reply)).ok
    await card_shows(socket, card["ts"], "'reopen'", say.word("state", "resolved"))

    await answer(socket, card, "", files=[("form.pdf", "application/pdf", b"%PDF-form")])
    await eventually(lambda: [each for each in socket.telegram.files.values() if each.data == b"%PDF-form"])
    events = [each for each in socket.slack.deliveries if each["kind"] == "event"]
    assert events and {each["status"] for each in events} == {200}


async def test_after_a_disconnect_the_desk_goes_on_and_says_nothing_twice(socket: World) -> None:
    await socket.start()
    customer, card = await opened(socket)
    assert await socket.slack.disconnect() == 1  # as Slack does every few hours
    await answer(socket, card, "Bir")
    await received(socket, customer, "Bir")
    connections = socket.slack.deliveries_under_way.connections
    await eventually(lambda: len(connections) == 1 and not connections[0].leaving)
    (left,) = connections

    await socket.slack.deliveries_under_way.drop()  # as a broken line does, without a word
    await eventually(lambda: connections and connections[0] is not left)
    await answer(socket, card, "İki")
    await received(socket, customer, "Bir", "İki")
    await socket.telegram.say(customer, text="Sağ olun")
    await thread_shows(socket, card["ts"], "Sağ olun")
    assert lines(await card_of(socket, card["ts"]), ["Sağ olun"]) == ["Sağ olun"]
    assert len(await query(socket, "select 1 from deliveries")) == 2
    assert await socket.ready()


async def test_an_event_we_could_not_store_is_not_acknowledged_and_comes_again(socket: World) -> None:
    await socket.start()
    customer, card = await opened(socket)
    socket.slack.change_settings({"answer_seconds": 0.5})
    await query(socket, "alter table slack_events rename to slack_events_away")
    await answer(socket, card, "Bekledi")
    await eventually(lambda: [each for each in socket.slack.deliveries if each.get("reason") == "timeout"])
    await query(socket, "alter table slack_events_away rename to slack_events")
    await received(socket, customer, "Bekledi")
