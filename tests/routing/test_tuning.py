"""Tuning the encoder: it sees inside what the engine does, and its slopes are the true ones."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.model_encoder import TUNED, Encoder, image, installed
from routing.model_pieces import Pieces
from routing.tuning import SCALE, Goal, Net, batches, hurried, tune

TEXTS = (
    "Where is my parcel? It was promised for Friday.",
    "iade etmek istiyorum",
    "где мой заказ, уже две недели жду и никто не отвечает",
    "وصل مكسور وما يشتغل 😡",
)


@cache
def pieces() -> Pieces:
    return Pieces(image(installed()[0]))


@cache
def net() -> Net:
    return Net(pieces=pieces())


def test_the_layers_as_numbers_say_what_the_engine_says() -> None:
    chance = np.random.default_rng(1)
    moved = chance.normal(0, 0.02, TUNED).astype(np.float32)
    for encoder, inside in ((Encoder(), net()), (Encoder(moved), Net(moved, pieces=pieces()))):
        meanings, _ = inside.high(inside.low(TEXTS))
        assert np.all((encoder.read_all(TEXTS) * meanings).sum(1) > 0.999)
    assert np.allclose(inside.differences(), moved, atol=1e-6)


def test_slopes_are_what_a_small_step_makes() -> None:
    inside = net()
    low = inside.low(TEXTS)
    meanings, past = inside.high(low)
    toward = np.random.default_rng(0).normal(size=meanings.shape).astype(np.float32)
    slopes = inside.back(meanings, past, toward)
    for name in ("l6.q.w", "l8.v.b", "l9.ao.w", "l10.fi.b", "l6.fo.w", "l11.oln.w", "l6.aln.b"):
        place = inside.names.index(name)
        at = int(np.abs(slopes[place]).argmax())
        array, before, found = inside.tuned[place], inside.tuned[place][at], []
        for step in (0.02, -0.02):
            array[at] = before + step
            found.append(float((inside.high(low)[0] * toward).sum()))
        array[at] = before
        assert (found[0] - found[1]) / 0.04 == pytest.approx(float(slopes[place][at]), rel=0.02), name


def test_tuning_tells_apart_what_it_is_told_to() -> None:
    inside = Net(pieces=pieces())
    tags = np.eye(18, dtype=np.float32)
    goals = [Goal(text=text, tags=tags[number], priority=number) for number, text in enumerate(TEXTS)]
    said: list[str] = []
    made = tune(inside, goals, rounds=8, tell=said.append)
    first, last = (float(line.rpartition(" ")[2]) for line in (said[1], said[-1]))
    assert last < first / 2
    meanings, _ = inside.high(inside.low(TEXTS))
    assert ((meanings - made.mean) @ made.tags[:-1] + made.tags[-1] / SCALE).argmax(1).tolist() == [0, 1, 2, 3]
    assert np.array_equal(made.numbers, inside.differences())
    further = tune(inside, goals, rounds=1, seed=2, after=made)
    between = made.between(further)
    assert np.allclose(between.numbers * 2, made.numbers + further.numbers)
    assert np.array_equal(between.mean, made.mean)


def test_pieces_begin_and_end_and_know_every_letter() -> None:
    assert pieces().of("")[0] == 0
    assert pieces().of("a  b") == pieces().of("a b")
    for text in ("\U00010ffff", "日本語", "a" * 500):
        assert pieces().of(text)[-1] == 2


@given(st.lists(st.integers(1, 100), min_size=1, max_size=60), st.integers(100, 500))
def test_every_text_is_in_one_batch_and_none_is_too_large(sizes: list[int], most: int) -> None:
    found = batches(sizes, most, random.Random(1))
    assert sorted(place for one in found for place in one) == list(range(len(sizes)))
    assert all(len(one) * max(sizes[place] for place in one) <= most for one in found if len(one) > 1)


@given(st.text(max_size=200), st.integers())
def test_whatever_somebody_types_can_be_typed_in_a_hurry(text: str, seed: int) -> None:
    assert isinstance(hurried(text, random.Random(seed)), str)
