"""How long a customer may be answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from channels.channel import Capabilities
from channels.message import Author
from inbox.windows import MARGIN, Window, closes_at, may_send, window

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
FREE = Capabilities(max_text=100)
WHATSAPP = Capabilities(max_text=100, reply_window=24 * HOUR)
MESSENGER = Capabilities(max_text=100, reply_window=24 * HOUR, agent_window=7 * 24 * HOUR)


def test_a_channel_without_a_window_is_always_open() -> None:
    assert window(FREE, None, AT) is Window.OPEN
    assert closes_at(FREE, AT) is None


def test_a_customer_who_never_wrote_may_not_be_written_to() -> None:
    assert window(WHATSAPP, None, AT) is Window.CLOSED
    assert not may_send(MESSENGER, Author.AGENT, None, AT)


def test_a_minute_is_kept_for_the_provider_s_own_queue() -> None:
    assert window(WHATSAPP, AT - 24 * HOUR + MARGIN + timedelta(seconds=1), AT) is Window.OPEN
    assert window(WHATSAPP, AT - 24 * HOUR + MARGIN, AT) is Window.CLOSED


def test_after_a_day_only_a_person_may_still_write_on_messenger() -> None:
    yesterday = AT - 30 * HOUR
    assert may_send(MESSENGER, Author.AGENT, yesterday, AT)
    assert not may_send(MESSENGER, Author.BOT, yesterday, AT)
    assert not may_send(WHATSAPP, Author.AGENT, yesterday, AT)
    assert closes_at(MESSENGER, yesterday) == yesterday + timedelta(days=7)


@given(st.timedeltas(min_value=timedelta(days=-1), max_value=timedelta(days=30)))
def test_a_program_may_never_do_what_a_person_may_not(age: timedelta) -> None:
    for can in (FREE, WHATSAPP, MESSENGER):
        if may_send(can, Author.BOT, AT - age, AT):
            assert may_send(can, Author.AGENT, AT - age, AT)
