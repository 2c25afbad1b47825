"""Token buckets, and whose request a request is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.limits import Buckets, Counted, client_address, take_all

AT = datetime(2027, 2, 9, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_so_many_are_allowed_at_once_and_then_one_in_each_span() -> None:
    buckets = Buckets(3, MINUTE)
    assert [buckets.take("a", AT) for _ in range(3)] == [timedelta()] * 3
    assert buckets.take("a", AT) == MINUTE
    assert buckets.take("a", AT + MINUTE / 2) == MINUTE / 2, "to ask costs nothing"
    assert not buckets.take("a", AT + MINUTE)
    assert buckets.take("a", AT + MINUTE)
    assert not buckets.take("b", AT), "each key has its own"


@given(st.integers(1, 20), st.lists(st.floats(0, 30), max_size=200))
def test_never_more_than_the_burst_and_what_time_has_given(burst: int, pauses: list[float]) -> None:
    buckets, at, taken = Buckets(burst, timedelta(seconds=10)), AT, 0
    for pause in pauses:
        at += timedelta(seconds=pause)
        taken += not buckets.take("a", at)
        assert taken <= burst + (at - AT) / timedelta(seconds=10) + 1e-6


@given(st.integers(1, 5), st.lists(st.floats(0, 30), max_size=60))
def test_who_waits_as_long_as_told_is_let_in(burst: int, pauses: list[float]) -> None:
    buckets, at = Buckets(burst, timedelta(seconds=10)), AT
    for pause in pauses:
        at += timedelta(seconds=pause)
        if wait := buckets.take("a", at):
            at += wait + timedelta(milliseconds=1)
            assert not buckets.take("a", at)


def test_a_flood_of_keys_does_not_fill_the_memory_and_busy_keys_stay() -> None:
    buckets = Buckets(1, timedelta(days=1), keys=100)
    for number in range(10_000):
        buckets.take(str(number), AT)
        buckets.take("busy", AT)
    assert len(buckets) <= 101
    assert buckets.take("busy", AT)


def test_full_buckets_are_the_first_to_be_forgotten() -> None:
    buckets = Buckets(1, MINUTE, keys=10)
    for number in range(10):
        buckets.take(f"early {number}", AT)
    later = AT + timedelta(hours=1)
    buckets.take("now", later)
    assert len(buckets) == 1
    assert buckets.take("now", later)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.floats(0, 30)), max_size=60))
def test_who_is_refused_by_one_limit_has_lost_nothing_of_the_other(asked: list[tuple[str, str, float]]) -> None:
    visitors, networks, at = Buckets(2, MINUTE), Buckets(3, MINUTE), AT
    for visitor, network, pause in asked:
        at += timedelta(seconds=pause)
        before = [visitors.wait(visitor, at, 2), networks.wait(network, at, 3)]
        wait = take_all(at, (visitors, visitor, 1), (networks, network, 1))
        after = [visitors.wait(visitor, at, 2), networks.wait(network, at, 3)]
        assert (before == after) == bool(wait)
        at += wait + timedelta(milliseconds=1)
        assert not wait or not take_all(at, (visitors, visitor, 1), (networks, network, 1))


def test_what_comes_again_is_counted_already_and_other_things_of_the_name_are_not() -> None:
    counted = Counted(names=3)
    assert "a" not in counted
    counted.begin("a")
    assert counted.covers("a", "a1"), "the first to be known whole is what was counted"
    counted.end("a", "a1")
    assert "a" in counted
    assert counted.covers("a", "a1")
    assert not counted.covers("a", "a2")
    counted.begin("a")
    assert not counted.covers("a", "a2"), "begun anew it stays what it was"
    counted.forget("a")
    assert "a" not in counted
    for name in "bcde":
        counted.end(name, name)
    assert len(counted) == 3
    assert "b" not in counted


@pytest.mark.parametrize(
    ("peer", "forwarded", "counts"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),  # anybody may send the header
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.3", ["192.0.2.9, 198.51.100.1"], "198.51.100.1"),
        ("::1", ["192.0.2.9", "198.51.100.1:4711"], "198.51.100.1"),
        ("127.0.0.1", ["[2001:db8:1:2::7]:443"], "2001:db8:1:2::/64"),
        ("127.0.0.1", ["unknown"], "127.0.0.1"),
        ("::ffff:203.0.113.7", [], "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("fe80::1%eth0", ["198.51.100.1"], "198.51.100.1"),
        ("", [], "local"),
        (None, ["198.51.100.1"], "local"),
    ],
)
def test_a_request_counts_for_its_peer_or_for_whom_our_own_proxy_names(
    peer: str | None, forwarded: list[str], counts: str
) -> None:
    assert client_address(peer, forwarded) == counts


@given(st.text(max_size=40), st.lists(st.text(max_size=40), max_size=3))
def test_whatever_stands_in_the_header_there_is_somebody_it_counts_for(peer: str, forwarded: list[str]) -> None:
    assert client_address(peer, forwarded)
