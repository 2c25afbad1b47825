"""The file of a backup: how it is packed, and how it is known to be whole.

A plain tar: `manifest.json` first (what is inside, counted in the dump's own snapshot), `database.dump` (pg_dump's
custom format), `files/…`, and `end.json` last with a digest over all of it.

Rule: what was cut short or altered is refused.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

import msgspec

from app.backup_errors import Damaged, NotABackup

FORMAT = 1

Progress = Callable[[str, int, int], None]
"""Called with a step (`database`, `files`, `check`, `tables`), how far it is, and how far it goes (0: not known)."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself. `tables` counts rows as of the dump; `server` and `pg_dump` are major versions."""

    format: int
    santral: str
    made_at: datetime
    server: int
    pg_dump: int
    tables: dict[str, int]
    files: bool  # False: the files were not in data_dir and are not in here


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What a complete backup ends with."""

    files: int
    bytes: int
    sha256: str


def inspect(source: Path) -> Manifest:
    """What the backup `source` says it holds, read from its first kilobytes. Raises NotABackup."""
    try:
        with tarfile.open(source, "r:") as tar:
            return manifest_of(tar, source)
    except (tarfile.TarError, OSError) as error:
        raise NotABackup(f"{source} is not a backup of Santral: {error}.") from error


def pack(part: Path, manifest: Manifest, dump: Path, files: Path | None, on_progress: Progress) -> None:
    """Write a whole backup to `part`. A file that is gone by now is left out, as it may be at any time."""
    digest, at = hashlib.sha256(), manifest.made_at
    count = size = 0
    found = sorted(path for path in files.rglob("*") if path.is_file() and not path.is_symlink()) if files else []
    with part.open("wb") as raw:
        with tarfile.open(fileobj=raw, mode="w:", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, "manifest.json", io.BytesIO(msgspec.json.encode(manifest)), digest, at)
            with dump.open("rb") as file:
                _add(tar, "database.dump", file, digest, at)
            for path in found:
                try:
                    file = path.open("rb")
                except FileNotFoundError:  # erased since: the dump may name it, as it may any file that is gone
                    continue
                with file:
                    size += _add(tar, f"files/{path.relative_to(files or path).as_posix()}", file, digest, at)
                count += 1
                on_progress("files", count, len(found))
            end = msgspec.json.encode(End(files=count, bytes=size, sha256=digest.hexdigest()))
            _add(tar, "end.json", io.BytesIO(end), digest, at)
        raw.flush()
        os.fsync(raw.fileno())


def unpack(source: Path, work: Path, on_progress: Progress) -> None:
    """Write the parts of `source` into `work`, and believe them only when the end is right."""
    digest = hashlib.sha256()
    count = size = 0
    end: End | None = None
    (work / "files").mkdir(mode=0o700)
    total = source.stat().st_size
    try:
        with tarfile.open(source, "r:") as tar:
            for member in tar:
                file = tar.extractfile(member)
                path = PurePosixPath(member.name)
                of_customers = path.parts[0] == "files" and len(path.parts) > 1
                known = of_customers or member.name in {"manifest.json", "database.dump", "end.json"}
                if file is None or not member.isreg() or ".." in path.parts or not known:
                    raise Damaged(f"{source} holds {member.name!r}, which no backup of ours does.")
                if member.name == "end.json":
                    end = msgspec.json.decode(file.read(1 << 20), type=End)
                    break
                digest.update(f"{member.name}\0{member.size}\0".encode())
                if of_customers:
                    count, size = count + 1, size + member.size
                place = work / path
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with place.open("xb") as out:
                    place.chmod(0o600)
                    shutil.copyfileobj(_Digested(file, digest), out, 1 << 20)
                on_progress("check", member.offset_data + member.size, total)
    except (tarfile.TarError, msgspec.MsgspecError) as error:
        raise Damaged(f"{source} is damaged: {error}.") from error
    if end is None or (end.files, end.bytes, end.sha256) != (count, size, digest.hexdigest()):
        raise Damaged(f"{source} was cut short or altered: its end does not fit what is inside. Use another backup.")


def _add(tar: tarfile.TarFile, name: str, file: IO[bytes], digest: Any, at: datetime) -> int:
    info = tarfile.TarInfo(name)
    info.size = file.seek(0, os.SEEK_END)
    info.mode, info.mtime = 0o600, int(at.timestamp())
    file.seek(0)
    digest.update(f"{name}\0{info.size}\0".encode())
    tar.addfile(info, _Digested(file, digest))
    return info.size


def manifest_of(tar: tarfile.TarFile, source: Path) -> Manifest:
    """The first part of an open backup. Raises `NotABackup`."""
    first = tar.next()
    file = tar.extractfile(first) if first and first.name == "manifest.json" and first.size < 1 << 20 else None
    if file is None:
        raise NotABackup(f"{source} is not a backup of Santral.")
    try:
        manifest = msgspec.json.decode(file.read(), type=Manifest)
    except msgspec.MsgspecError as error:
        raise NotABackup(f"{source} is not a backup this Santral can read: {error}.") from error
    if manifest.format != FORMAT:
        raise NotABackup(
            f"{source} was made by Santral {manifest.santral} in form {manifest.format}; this one reads form {FORMAT}. "
            "Restore it with that version."
        )
    return manifest


class _Digested(io.RawIOBase):
    """A file whose bytes are digested as they are read."""

    def __init__(self, file: IO[bytes], digest: Any) -> None:
        self.file, self.digest = file, digest

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.digest.update(data)
        return data
