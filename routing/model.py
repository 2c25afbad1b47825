"""The learned layer of triage: tags and a priority from what a message means, not only from its words.

Rule: a model says how sure it is, and a file that is missing or damaged is said in words (`BadModel`); the keyword
rules go on without it. Nothing here reads the network or the clock.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inbox.changes import Priority
from routing.features import KIND, SLOTS, Grams, grams
from routing.model_encoder import SIZE, TUNED, Encoder, EncoderMissing
from routing.model_read import BadModel, Read
from routing.weighing import TAGS

__all__ = ["BadModel", "Model", "Parts", "Read", "scores", "told"]

STARTER = "starter.model"
FORM = 2  # of the file
PRIORITIES = tuple(Priority)
WORDS = 3.0  # how long the words of a text are beside its meaning, which is 2 long: measured best of 1 to 4
_ENOUGH = 4.0  # more keywords than a clear phrase and a half say nothing new
_SHAPES = {
    "tuned": (TUNED,),
    "mean": (SIZE,),
    "tags": (SIZE + SLOTS + 1, len(TAGS)),
    "priority": (SIZE + SLOTS + 1, len(PRIORITIES)),
    "usual": (len(TAGS), len(PRIORITIES)),
}
_NUMBERS = {
    "weights": "the encoder's weights that it was tuned on, see model_encoder.fingerprint",
    "spread": "of meanings around their mean",
    "hint": "what a keyword's score adds to its tag",
    "hint_priority": "what the keywords' priority adds to that priority",
    "usual": "what the priorities usual for the tags count",
    "cool": "temperature of the tags: above 1 is more modest",
    "cool_priority": "temperature of the priorities",
    "urgent": "probability from which a message is urgent",
    "also": "probability from which a further tag is added",
    "sure": "probability of the main tag from which the model is sure",
}

Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A model as numbers: what a file holds and what training makes."""

    version: str
    arrays: Mapping[str, Numbers] = field(repr=False)  # see _SHAPES
    numbers: Mapping[str, float]
    notes: Mapping[str, Any] = field(default_factory=dict)  # examples, scores: for people

    def packed(self) -> bytes:
        """As a file. Half precision: no decision of the held-out split changes by it."""
        file = io.BytesIO()
        head = {"form": FORM, "features": KIND, "version": self.version, "tags": list(TAGS)}
        told = json.dumps({**head, "numbers": dict(self.numbers), "notes": dict(self.notes)}, ensure_ascii=False)
        # One fixed time, so that the same numbers are the same bytes.
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            archive.writestr(_entry("model.json"), told)
            for name, array in sorted(self.arrays.items()):
                content = io.BytesIO()
                np.save(content, array.astype(np.float16), allow_pickle=False)
                archive.writestr(_entry(f"{name}.npy"), content.getvalue())
        return file.getvalue()

    @classmethod
    def unpacked(cls, content: bytes) -> Parts:
        """The reverse. Raises BadModel, naming what is wrong."""
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                head = json.loads(archive.read("model.json"))
                arrays = {
                    name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name)), allow_pickle=False).astype(
                        np.float32
                    )
                    for name in archive.namelist()
                    if name.endswith(".npy")
                }
            if (head["form"], head["features"], tuple(head["tags"])) != (FORM, KIND, TAGS):
                raise BadModel("it was made for another version of Santral; train it again")
            numbers = {name: float(head["numbers"][name]) for name in _NUMBERS}
            version, notes = str(head["version"]), dict(head["notes"])
        except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError, EOFError, zlib.error) as error:
            raise BadModel(f"the file is damaged ({type(error).__name__})") from None
        for name, shape in _SHAPES.items():
            if name not in arrays or arrays[name].shape != shape:
                raise BadModel(f"the file is incomplete ({name})")
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise BadModel("the file is damaged (numbers out of range)")
        return cls(version=version, arrays=arrays, numbers=numbers, notes=notes)


class Model:
    """Reads messages. Loaded on first need in a process of its own: about 200 MB, 10 to 50 ms a message."""

    def __init__(self, parts: Parts) -> None:
        """Raises BadModel where the encoder is not installed."""
        self.parts = parts
        try:
            self._encoder = Encoder(parts.arrays["tuned"], made_for=int(parts.numbers["weights"]))
        except EncoderMissing as error:
            raise BadModel(str(error)) from None

    @classmethod
    def load(cls, path: Path | None = None) -> Model:
        """The model of a file, or the starter model. Raises BadModel with the file's name and the fix."""
        try:
            content = path.read_bytes() if path else (resources.files("routing") / "data" / STARTER).read_bytes()
        except OSError as error:
            raise BadModel(f"{path or STARTER} cannot be read: {error.strerror or error}") from None
        try:
            return cls(Parts.unpacked(content))
        except BadModel as error:
            raise BadModel(f"{path or STARTER}: {error}") from None

    @property
    def version(self) -> str:
        return self.parts.version

    def embed(self, texts: Sequence[str]) -> Numbers:
        """What each of `texts` means, as this model's encoder has it: what training works on."""
        return self._encoder.read_all(texts)

    def read(
        self,
        text: str,
        *,
        language: str = "",
        hints: Mapping[str, float] | None = None,
        level: Priority | None = None,
    ) -> Read:
        """Read one message. `hints` are the keyword layer's scores by tag and `level` its priority: evidence, no more.

        `language` is not needed: one model reads all languages, mixed ones too.
        """
        return told(self.parts, self._encoder.read(text), text, hints or {}, level)


def told(parts: Parts, meaning: Numbers, text: str, hints: Mapping[str, float], level: Priority | None = None) -> Read:
    """What a model says of `text` with that `meaning`. Pure."""
    numbers = parts.numbers
    found = grams(text)
    tags, levels = (scores(parts, meaning, found, head) for head in ("tags", "priority"))
    tags = tags / numbers["cool"]
    for place, tag in enumerate(TAGS):
        tags[place] += numbers["hint"] * min(hints.get(tag, 0.0), _ENOUGH)
    chances = _softmax(tags)
    levels = levels / numbers["cool_priority"] + numbers["usual"] * np.log(chances @ parts.arrays["usual"])
    if level is not None:
        levels[PRIORITIES.index(level)] += numbers["hint_priority"]
    ranked = sorted(zip(TAGS, chances.tolist(), strict=True), key=lambda one: -one[1])
    by_priority = dict(zip(PRIORITIES, _softmax(levels).tolist(), strict=True))
    return Read(
        tags=tuple(ranked),
        priorities=by_priority,
        priority=_decided(by_priority, numbers["urgent"]),
        also=numbers["also"],
        sure=ranked[0][1] >= numbers["sure"],
        version=parts.version,
    )


def scores(parts: Parts, meaning: Numbers, found: Grams, head: str) -> Numbers:
    """One number for each tag or priority, before any temperature: from what a text means and from its words."""
    table = parts.arrays[head]
    placed = (meaning - parts.arrays["mean"]) / parts.numbers["spread"]
    by_words = (found.weights * WORDS) @ table[SIZE + found.slots]
    return np.asarray(placed @ table[:SIZE] + by_words + table[-1], dtype=np.float32)


def _decided(priorities: Mapping[Priority, float], urgent: float) -> Priority:
    if priorities[Priority.URGENT] >= urgent:
        return Priority.URGENT
    return max((one for one in PRIORITIES if one is not Priority.URGENT), key=lambda one: priorities[one])


def _log_softmax(values: Numbers) -> Numbers:
    shifted = values - values.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), dtype=np.float32)


def _softmax(values: Numbers) -> Numbers:
    return np.asarray(np.exp(_log_softmax(values)), dtype=np.float32)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
