"""Files as they are kept: byte for byte, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inbox.files import Files, TooLarge

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


async def parts(*given: bytes) -> AsyncIterator[bytes]:
    for part in given:
        yield part


@pytest.mark.parametrize("given", [(), (b"",), (b"%PDF", b"-1"), (b"x" * (6 << 20), b"y" * (6 << 20))])
async def test_a_file_comes_back_as_it_came(tmp_path: Path, given: tuple[bytes, ...]) -> None:
    files = Files.in_folder(tmp_path)
    path, size = await files.keep(parts(*given), AT)
    assert (await files.read(path), size) == (b"".join(given), len(b"".join(given)))


async def test_a_file_that_is_too_large_leaves_nothing_behind(tmp_path: Path) -> None:
    files = Files.in_folder(tmp_path)
    with pytest.raises(TooLarge):
        await files.keep(parts(b"x" * 600, b"x" * 600), AT, most=1_000)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


async def test_a_file_that_is_gone_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await Files.in_folder(tmp_path).read("2026/03/02/gone")
