"""Tuning the encoder to what shops' customers write about: a vector or two of each upper layer, and nothing else of it.

Rule: this runs where the starter model is made, for an hour or so, and nowhere else; what comes of it are the `tuned`
numbers of a model file. The matrices stay as they are, four bits a weight: what may move are the gains of their rows,
their biases and the norms, fifty thousand numbers in all, so that a few thousand examples cannot make it forget.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from routing.model_encoder import BLOCK, FIRST, LAYERS, MATRICES, SIZE, cut, directory, image, installed, tuned_names
from routing.model_pieces import Pieces

Numbers = NDArray[np.float32]
Layer = dict[str, Numbers]

HEADS = 12
EPSILON = 1e-12
SCALE = 20.0  # meanings lie close together: their distances from the mean, this much longer, are about 5 long
TOKENS = 1_600  # of one step, padding included
_RATE, _HEAD_RATE = 3e-3, 1e-2
_WARM = 60  # steps until the full rate, or a tenth of all
_SMOOTH = 0.05  # how much of a goal is spread over all answers
_DROPPED = 0.1
_LONGEST_STEP = 1.0  # of the slope's length


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a text is about (a share for each tag) and its priority's number."""

    text: str
    tags: Numbers
    priority: int


@dataclass(slots=True)
class _Head:
    """A linear layer with Adam's two averages, here because its rate is its own."""

    table: Numbers
    moves: _Moves = field(init=False)

    def __post_init__(self) -> None:
        self.moves = _Moves([self.table])


class _Moves:
    """Adam over some arrays, in place."""

    def __init__(self, arrays: Sequence[Numbers]) -> None:
        self._arrays = arrays
        self._first = [np.zeros_like(one) for one in arrays]
        self._second = [np.zeros_like(one) for one in arrays]
        self._step = 0

    def move(self, slopes: Sequence[Numbers], rate: float) -> None:
        self._step += 1
        for array, slope, first, second in zip(self._arrays, slopes, self._first, self._second, strict=True):
            first += 0.1 * (slope - first)
            second += 0.001 * (slope * slope - second)
            size = np.sqrt(second / (1 - 0.999**self._step)) + 1e-8
            array -= rate * (first / (1 - 0.9**self._step)) / size


class Net:
    """The encoder's layers as plain numbers: 90 MB. `low` runs those that stay, `high` those that are tuned."""

    def __init__(self, tuned: Numbers | None = None, *, pieces: Pieces | None = None) -> None:
        """`tuned` as for an `Encoder`; `pieces` where the caller has them, because they take a second to load."""
        content = image(installed()[0])
        self._content, self._places = content, directory(content)
        self.pieces = pieces or Pieces(content)
        self._words: dict[int, Numbers] = {}
        self._position = self._vector("emb.pos").reshape(-1, SIZE)
        self._type = self._vector("emb.type")[:SIZE]
        self._first = {"w": self._vector("emb.ln.w"), "b": self._vector("emb.ln.b")}
        self.layers = [self._layer(number) for number in range(LAYERS)]
        self.names = [name for name, _ in tuned_names()]
        self.tuned = [self._of(name) for name in self.names]
        self._origin = [one.copy() for one in self.tuned]
        if tuned is not None:
            at = 0
            for one in self.tuned:
                one += tuned[at : at + one.size]
                at += one.size

    def differences(self) -> Numbers:
        """What tuning came to: the `tuned` of an `Encoder`."""
        return np.concatenate([now - before for now, before in zip(self.tuned, self._origin, strict=True)])

    def _vector(self, name: str) -> Numbers:
        place = self._places[name]
        return np.frombuffer(self._content[place.offset : place.offset + place.size].tobytes(), dtype="<f4").copy()

    def _matrix(self, name: str, rows: int, columns: int, first: int = 0) -> Numbers:
        width = columns // 32 * BLOCK.itemsize
        start = self._places[name].offset + first * width
        blocks = np.frombuffer(self._content[start : start + rows * width].tobytes(), dtype=BLOCK)
        low, high = blocks["weights"] & 15, blocks["weights"] >> 4
        weights = np.concatenate([low, high], axis=1).astype(np.float32) - 8
        return (weights * blocks["scale"].astype(np.float32)[:, None]).reshape(rows, columns)

    def _layer(self, number: int) -> Layer:
        found: Layer = {}
        for name, (rows, columns) in MATRICES.items():
            found[name] = self._matrix(f"l{number}.{name}.w", rows, columns)
            found[f"{name}.w"] = np.ones(rows, dtype=np.float32)
            found[f"{name}.b"] = self._vector(f"l{number}.{name}.b")
        for name in ("aln", "oln"):
            found[f"{name}.w"] = self._vector(f"l{number}.{name}.w")
            found[f"{name}.b"] = self._vector(f"l{number}.{name}.b")
        return found

    def _of(self, name: str) -> Numbers:
        layer, _, rest = name.partition(".")
        return self.layers[int(layer[1:])][rest]

    def low(self, texts: Sequence[str]) -> list[Numbers]:
        """Each text after the layers that stay as they are: a row for each piece."""
        cuts = [self.pieces.of(cut(text)) for text in texts]
        found: list[Numbers] = [np.zeros((0, SIZE), dtype=np.float32)] * len(texts)
        for places in batches([len(one) for one in cuts], 2 * TOKENS):
            rows, mask = padded([self._embedded(cuts[place]) for place in places])
            for layer in self.layers[:FIRST]:
                rows, _ = forward(layer, rows, mask, None)
            for row, place in zip(rows, places, strict=True):
                found[place] = row[: len(cuts[place])].copy()
        return found

    def _embedded(self, numbers: Sequence[int]) -> Numbers:
        for number in numbers:
            if number not in self._words:
                self._words[number] = self._matrix("emb.word", 1, SIZE, number)[0]
        rows = np.stack([self._words[number] for number in numbers])
        return _norm(rows + self._position[: len(numbers)] + self._type, self._first["w"], self._first["b"])[0]

    def high(self, texts: Sequence[Numbers], chance: np.random.Generator | None = None) -> tuple[Numbers, _Past]:
        """The meanings of texts that `low` began, as unit vectors, and what `back` needs."""
        rows, mask = padded(texts)
        pasts = []
        for layer in self.layers[FIRST:]:
            rows, past = forward(layer, rows, mask, chance)
            pasts.append(past)
        counts = mask.sum(1, keepdims=True)
        means = (rows * mask[:, :, None]).sum(1) / counts
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        return means / lengths, _Past(mask=mask, counts=counts, lengths=lengths, layers=pasts)

    def back(self, meanings: Numbers, past: _Past, slope: Numbers) -> list[Numbers]:
        """Slopes of everything tuned, in the order of `tuned`, from the slope of the meanings."""
        slope = (slope - meanings * (slope * meanings).sum(1, keepdims=True)) / past.lengths
        rows = (slope / past.counts)[:, None, :] * past.mask[:, :, None]
        found: dict[str, Numbers] = {}
        for number in range(LAYERS - 1, FIRST - 1, -1):
            rows = backward(self.layers[number], past.layers[number - FIRST], rows, f"l{number}.", found)
        return [found[name] for name in self.names]


@dataclass(slots=True)
class _Past:
    mask: Numbers
    counts: Numbers
    lengths: Numbers
    layers: list[dict[str, Numbers]]


def padded(texts: Sequence[Numbers]) -> tuple[Numbers, Numbers]:
    """Texts as one block, and where in it there is something."""
    longest = max(len(one) for one in texts)
    rows = np.zeros((len(texts), longest, SIZE), dtype=np.float32)
    mask = np.zeros((len(texts), longest), dtype=np.float32)
    for number, one in enumerate(texts):
        rows[number, : len(one)] = one
        mask[number, : len(one)] = 1
    return rows, mask


def forward(
    layer: Layer, rows: Numbers, mask: Numbers, chance: np.random.Generator | None
) -> tuple[Numbers, dict[str, Numbers]]:
    """One layer. With a `chance` some of what it adds is dropped, as in training."""
    past: dict[str, Numbers] = {"x": rows}
    query, key, value = (_heads(_times(layer, name, rows)) for name in "qkv")
    raw = query @ key.swapaxes(-1, -2) * np.float32((SIZE // HEADS) ** -0.5)
    raw += (mask - 1)[:, None, None, :] * np.float32(1e9)
    raw -= raw.max(-1, keepdims=True)
    np.exp(raw, out=raw)
    raw /= raw.sum(-1, keepdims=True)
    past |= {"query": query, "key": key, "value": value, "looks": raw}
    past["seen"] = _joined(np.asarray(raw @ value, dtype=np.float32))
    added = _dropped(_times(layer, "ao", past["seen"]), "drop1", chance, past)
    middle, past["aln"], past["aln.size"] = _norm(rows + added, layer["aln.w"], layer["aln.b"])
    past["middle"] = middle
    inner = _times(layer, "fi", middle)
    past["share"] = _normal(inner)
    past["inner"] = inner
    past["bent"] = inner * past["share"]
    added = _dropped(_times(layer, "fo", past["bent"]), "drop2", chance, past)
    out, past["oln"], past["oln.size"] = _norm(middle + added, layer["oln.w"], layer["oln.b"])
    return out, past


def backward(layer: Layer, past: dict[str, Numbers], slope: Numbers, prefix: str, found: dict[str, Numbers]) -> Numbers:
    """The slope before a layer from the one behind it; those of its vectors go into `found`."""
    slope = _norm_back(layer, past, "oln", slope, prefix, found)
    inside = slope * past["drop2"] if "drop2" in past else slope
    inside = _times_back(layer, "fo", past["bent"], inside, prefix, found)
    inner = past["inner"]
    bell = np.exp(-0.5 * inner * inner) * np.float32(0.3989422804)
    inside = inside * (past["share"] + inner * bell)
    slope = slope + _times_back(layer, "fi", past["middle"], inside, prefix, found)
    slope = _norm_back(layer, past, "aln", slope, prefix, found)
    inside = slope * past["drop1"] if "drop1" in past else slope
    seen = _heads(_times_back(layer, "ao", past["seen"], inside, prefix, found))
    looks = past["looks"]
    value = looks.swapaxes(-1, -2) @ seen
    raw = seen @ past["value"].swapaxes(-1, -2)
    raw = looks * (raw - (raw * looks).sum(-1, keepdims=True)) * np.float32((SIZE // HEADS) ** -0.5)
    query, key = raw @ past["key"], raw.swapaxes(-1, -2) @ past["query"]
    for name, one in (("q", query), ("k", key), ("v", value)):
        slope = slope + _times_back(layer, name, past["x"], _joined(one), prefix, found)
    return slope


def _times(layer: Layer, name: str, rows: Numbers) -> Numbers:
    flat = rows.reshape(-1, rows.shape[-1]) @ layer[name].T
    flat *= layer[f"{name}.w"]
    flat += layer[f"{name}.b"]
    return flat.reshape(*rows.shape[:-1], -1)


def _times_back(
    layer: Layer, name: str, rows: Numbers, slope: Numbers, prefix: str, found: dict[str, Numbers]
) -> Numbers:
    flat = slope.reshape(-1, slope.shape[-1])
    plain = rows.reshape(-1, rows.shape[-1]) @ layer[name].T
    found[f"{prefix}{name}.w"] = (flat * plain).sum(0)
    found[f"{prefix}{name}.b"] = flat.sum(0)
    before = (flat * layer[f"{name}.w"]) @ layer[name]
    return np.asarray(before.reshape(rows.shape), dtype=np.float32)


def _norm(rows: Numbers, weight: Numbers, bias: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    centred = rows - rows.mean(-1, keepdims=True)
    size = 1 / np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(EPSILON))
    centred *= size
    return centred * weight + bias, centred, size


def _norm_back(
    layer: Layer, past: dict[str, Numbers], name: str, slope: Numbers, prefix: str, found: dict[str, Numbers]
) -> Numbers:
    plain = past[name]
    found[f"{prefix}{name}.w"] = (slope * plain).reshape(-1, SIZE).sum(0)
    found[f"{prefix}{name}.b"] = slope.reshape(-1, SIZE).sum(0)
    slope = slope * layer[f"{name}.w"]
    lean = slope.mean(-1, keepdims=True)
    along = (slope * plain).mean(-1, keepdims=True)
    return np.asarray((slope - lean - plain * along) * past[f"{name}.size"], dtype=np.float32)


def _normal(values: Numbers) -> Numbers:
    """The share of a normal distribution below each value, within a thousandth."""
    found = values * values
    found *= np.float32(0.0356774081)
    found += np.float32(0.7978845608)
    found *= values
    np.tanh(found, out=found)
    found += 1
    found *= np.float32(0.5)
    return found


def _dropped(rows: Numbers, name: str, chance: np.random.Generator | None, past: dict[str, Numbers]) -> Numbers:
    if chance is None:
        return rows
    kept = chance.random(rows.shape, dtype=np.float32) >= _DROPPED
    past[name] = kept.astype(np.float32) / np.float32(1 - _DROPPED)
    return rows * past[name]


def _heads(rows: Numbers) -> Numbers:
    texts, pieces, _ = rows.shape
    return rows.reshape(texts, pieces, HEADS, -1).swapaxes(1, 2)


def _joined(heads: Numbers) -> Numbers:
    texts, _, pieces, _ = heads.shape
    return np.ascontiguousarray(heads.swapaxes(1, 2)).reshape(texts, pieces, -1)


def batches(sizes: Sequence[int], most: int, chance: random.Random | None = None) -> list[list[int]]:
    """Places of texts of about one length, `most` pieces together; with a `chance` no two rounds are the same."""
    order = sorted(range(len(sizes)), key=lambda place: sizes[place] + (8 * chance.random() if chance else 0))
    found: list[list[int]] = [[]]
    longest = 0
    for place in order:
        longest = max(longest, sizes[place])
        if found[-1] and (len(found[-1]) + 1) * longest > most:
            found.append([])
            longest = sizes[place]
        found[-1].append(place)
    if chance:
        chance.shuffle(found)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What tuning comes to: the `tuned` numbers of an `Encoder`, and what reads tags and priorities from its meanings.

    A meaning is taken from the `mean`, times SCALE; the heads' last line is added.
    """

    numbers: Numbers
    mean: Numbers
    tags: Numbers
    priority: Numbers

    def between(self, other: Tuned) -> Tuned:
        """Half way to another that went on from this one: steadier than either."""
        half = np.float32(0.5)
        return Tuned(
            numbers=(self.numbers + other.numbers) * half,
            mean=self.mean,
            tags=(self.tags + other.tags) * half,
            priority=(self.priority + other.priority) * half,
        )


def tune(
    net: Net,
    goals: Sequence[Goal],
    *,
    rounds: int,
    seed: int = 1,
    after: Tuned | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Tuned:
    """Tune `net` in place. It goes on from where it stands, and with the heads of what it was tuned to `after` which.

    Every text is seen as it is and as somebody in a hurry would type it, in turn.
    """
    pick, chance = random.Random(seed), np.random.default_rng(seed)  # noqa: S311 - nothing secret
    ways = [net.low([one.text for one in goals]), net.low([hurried(one.text, pick) for one in goals])]
    tell("began")
    mean = after.mean if after else _mean(net, ways[0][:: max(1, len(goals) // 400)])
    tags = np.stack([one.tags for one in goals]).astype(np.float32)
    levels = np.eye(4, dtype=np.float32)[[one.priority for one in goals]]
    tags, levels = (one * (1 - _SMOOTH) + _SMOOTH / one.shape[1] for one in (tags, levels))
    tables = [after.tags, after.priority] if after else [np.zeros((SIZE + 1, one.shape[1])) for one in (tags, levels)]
    heads = [_Head(np.array(one, dtype=np.float32)) for one in tables]
    moves = _Moves(net.tuned)
    total = warm = step = 0
    for number in range(rounds):
        texts = [pick.choice(both) for both in zip(*ways, strict=True)]
        chosen = batches([len(one) for one in texts], TOKENS, pick)
        total = total or len(chosen) * rounds
        warm = min(_WARM, 1 + total // 10)
        lost = 0.0
        for places in chosen:
            rate = min(1.0, (step + 1) / warm) * max(0.02, 1 - step / total)
            step += 1
            meanings, past = net.high([texts[place] for place in places], chance)
            rows = np.concatenate([(meanings - mean) * SCALE, np.ones((len(places), 1), dtype=np.float32)], axis=1)
            slope = np.zeros_like(rows)
            for head, goal in zip(heads, (tags[places], levels[places]), strict=True):
                shares = _shares(rows @ head.table)
                lost -= float((goal * np.log(shares + 1e-9)).sum() / len(places))
                errors = (shares - goal) / np.float32(len(places))
                slope += errors @ head.table.T
                head.moves.move([rows.T @ errors], _HEAD_RATE * rate)
            slopes = net.back(meanings, past, slope[:, :-1] * np.float32(SCALE))
            size = float(np.sqrt(sum(float((one * one).sum()) for one in slopes)))
            if size > _LONGEST_STEP:
                slopes = [one * np.float32(_LONGEST_STEP / size) for one in slopes]
            moves.move(slopes, _RATE * rate)
        tell(f"round {number + 1} of {rounds}: {lost / len(chosen):.3f}")
    return Tuned(numbers=net.differences(), mean=mean, tags=heads[0].table, priority=heads[1].table)


def _mean(net: Net, texts: Sequence[Numbers]) -> Numbers:
    meanings = np.concatenate([net.high(part)[0] for part in _parts(texts)])
    return np.asarray(meanings.mean(0), dtype=np.float32)


def _parts(texts: Sequence[Numbers]) -> Iterator[list[Numbers]]:
    for places in batches([len(one) for one in texts], 2 * TOKENS):
        yield [texts[place] for place in places]


def _shares(raw: Numbers) -> Numbers:
    raw = raw - raw.max(1, keepdims=True)
    np.exp(raw, out=raw)
    return np.asarray(raw / raw.sum(1, keepdims=True), dtype=np.float32)


_PLAIN = str.maketrans("çğıöşüÇĞİÖŞÜâîûé", "cgiosuCGIOSUaiue")
_LATIN = str.maketrans(
    dict(
        zip(
            "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
            (
                "a",
                "b",
                "v",
                "g",
                "d",
                "e",
                "e",
                "zh",
                "z",
                "i",
                "y",
                "k",
                "l",
                "m",
                "n",
                "o",
                "p",
                "r",
                "s",
                "t",
                "u",
                "f",
                "h",
                "c",
                "ch",
                "sh",
                "sch",
                "",
                "y",
                "",
                "e",
                "yu",
                "ya",
            ),
            strict=True,
        )
    )
)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})
_SIGNS = str.maketrans("", "", ".,;:!?…'\"()-–—¿؟،")


def hurried(text: str, pick: random.Random) -> str:
    """The same text as somebody else might type it: without signs, small, in letters the keyboard has, a word short."""
    way = pick.random()
    if way < 0.3:
        return text
    if way < 0.45:
        if any("а" <= letter <= "я" for letter in text):
            return text.lower().translate(_LATIN) if pick.random() < 0.5 else text.lower()
        return text.translate(_UMLAUTS if "ß" in text or "ä" in text else _PLAIN)
    if way < 0.62:
        return text.lower()
    if way < 0.8:
        return text.translate(_SIGNS)
    words = text.split()
    if way < 0.85 and len(words) < 30:
        return text.upper()
    if len(words) > 6:
        del words[pick.randrange(len(words))]
    return " ".join(words)
