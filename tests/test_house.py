"""The repository as a whole: what a person who clones it, reads it or builds an image of it relies on."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from prometheus_client import REGISTRY

from app import cli
from app.manifest import SCOPES
from inbox import figures

HOUSE = Path(__file__).parents[1]
NOT_OURS = {".git", ".venv", ".cache", "var", "dist", "__pycache__", "node_modules", "build"}
PROJECT: dict[str, Any] = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
LOCKS = ("requirements.lock", "requirements-dev.lock")

# Kilobytes. What grows beyond is generated, pasted or binary, and belongs elsewhere.
LARGEST = {".lock": 300, ".png": 400, ".jsonl": 120, ".model": 1_300, "": 80}
LONGEST = 1_100  # lines of a Python file: an alarm, not a target

# Everything a user's configuration may hold is a promise (the contract of `santral.toml`).
KEYS = re.findall(
    r"\w+",
    """
    public_url listen data_dir database_url
    name country timezone languages
    bot_token signing_secret app_token api_url posts_per_second
    slack_channel members hours replies ask_first undo_seconds
    rules templates model region exceptions assign capacity patience tags targets escalate
    mention raise_priority move_to first_answer next_answer resolution enabled long_wait per_minute id skills
    kind token receive secret address imap smtp trusted_authserv account_sid auth_token sender messaging_service_sid
    phone_number_id access_token app_secret verify_token page_id ig_id consumer_secret user_id origins identity_secret
    page form channel previous_auth_token shared_keys business_account_id color title side
    """,
)


def files(*suffixes: str) -> Iterator[Path]:
    """The repository's own files: not what git ignores, caches or a virtual environment."""
    for folder, folders, names in os.walk(HOUSE):
        hidden = {name for name in folders if name.endswith(("_cache", ".egg-info")) or name == ".hypothesis"}
        folders[:] = sorted(set(folders) - NOT_OURS - hidden)
        for name in sorted(names):
            if not suffixes or name.endswith(suffixes):
                yield Path(folder, name)


def text(path: str | Path) -> str:
    return (HOUSE / path).read_text(encoding="utf-8")


def named(path: Path) -> str:
    return path.relative_to(HOUSE).as_posix()


PAGES = [named(page) for page in files(".md")]


# --- what every file owes


def test_no_file_tells_where_it_was_made_or_where_packages_came_from() -> None:
    hosts = ["pypi" + ".org", "python" + "hosted", "registry.npm" + "js", "ghcr" + ".io"]
    hosts += ["docker" + ".io", "quay" + ".io"]
    told = [*hosts, "/" + "simple/", "index" + "-url", "extra" + "-index"]
    allowed = {"Makefile": {"index" + "-url"}}  # the option by which a lock is written without them
    for path in files():
        content = path.read_bytes().decode("utf-8", "replace")
        found = {word for word in told if word in content} - allowed.get(named(path), set())
        found |= set(re.findall(r"(?<![\w./-])/(?:work|home|Users|root)/[\w.-]+", content))
        assert not found, f"{named(path)} names {sorted(found)}"


def test_no_file_has_outgrown_its_place() -> None:
    for path in files():
        most = LARGEST.get(path.suffix, LARGEST[""])
        size = path.stat().st_size / 1000
        assert size <= most, f"{named(path)} has {size:.0f} kB of {most}"
        if path.suffix == ".py":
            lines = text(path).count("\n")
            assert lines <= LONGEST, f"{named(path)} has {lines} lines"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is(package: str) -> None:
    modules = [path for path in files(".py") if path.is_relative_to(HOUSE / package)]
    assert modules
    for path in modules:
        if path.name == "__init__.py" and not text(path).strip():
            continue
        said = ast.get_docstring(ast.parse(text(path))) or ""
        assert said.strip(), f"{named(path)} has no docstring"


def test_nothing_is_left_to_do() -> None:
    for path in files(".py", ".js", ".css", ".sh", ".toml", ".yml"):
        left = re.findall(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b", text(path))
        assert not left, f"{named(path)} still has {left}"


# --- pages


@pytest.mark.parametrize("page", PAGES)
def test_every_link_inside_the_house_leads_somewhere(page: str) -> None:
    prose = re.sub(r"```.*?```", "", text(page), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        place, _, heading = target.partition("#")
        found = (HOUSE / page).parent / place if place else HOUSE / page
        assert found.exists(), f"{page} links to {target}"
        if heading:
            assert heading in {_anchor(line) for line in re.findall(r"^#+ (.+)$", text(found), re.M)}, target


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_the_readme_shows_the_thing_and_the_two_commands() -> None:
    readme = text("README.md")
    for words in ("make demo", "make test", "santral slack manifest", "santral check", "santral serve", "@BotFather"):
        assert words in readme
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme)
    assert (HOUSE / picture).read_bytes().startswith(b"\x89PNG")
    for page in ("configuration", "architecture", "adding-a-channel", "guarantees", "running", "slack"):
        assert f"docs/{page}.md" in readme, f"the README does not lead to docs/{page}.md"


def test_every_command_the_pages_name_exists() -> None:
    groups = {group.name: group.typer_instance for group in cli.app.registered_groups}
    commands = {found.name or getattr(found.callback, "__name__", "") for found in cli.app.registered_commands}
    for page in PAGES:
        code = re.findall(r"```.*?```|`[^`\n]+`", text(page), re.S)
        for first, second in re.findall(r"(?<![\w./-])(?:\.venv/bin/)?santral ([a-z]+)(?: ([a-z]+))?", "\n".join(code)):
            assert first in commands | set(groups), f"{page}: santral {first}"
            if first in groups and second:
                inner = getattr(groups[first], "registered_commands", [])
                assert second in {command.name for command in inner}, f"{page}: santral {first} {second}"


def test_every_promised_key_of_the_configuration_is_explained() -> None:
    page = text("docs/configuration.md")
    missing = [key for key in KEYS if f"`{key}`" not in page]
    assert not missing


def test_every_figure_is_explained() -> None:
    page = text("docs/running.md")
    ours = {id(value) for value in vars(figures).values()}
    names = [name for name, collector in REGISTRY._names_to_collectors.items() if id(collector) in ours]
    shown = [name for name in names if not name.endswith(("_created", "_bucket", "_sum", "_count"))]
    assert len(shown) >= 10
    for name in shown:
        assert name.removesuffix("_total") in page, name


def test_every_file_a_page_or_a_docstring_names_is_there() -> None:
    folders = "|".join([*PACKAGES, "tests", "bench", "docs"])
    naming = re.compile(rf"`((?:{folders})/[\w./-]+?\.(?:py|md|toml|js|sh))(?:::(\w+))?`")
    pages = [path for folder in ("docs", *PACKAGES) for path in (HOUSE / folder).rglob("*.[mp][dy]")]
    assert len(pages) > 300
    for page in [HOUSE / "README.md", HOUSE / "CONTRIBUTING.md", *pages]:
        for file, test in naming.findall(text(page)):
            assert (HOUSE / file).is_file(), f"{page.name} names {file}"
            assert not test or f"def {test}(" in text(file), f"{page.name} names {test}"


def test_every_table_and_every_kind_of_work_is_on_the_floor_plan() -> None:
    page = text("docs/architecture.md")
    migrations = "".join(text(path) for path in (HOUSE / "inbox/store/migrations").glob("m*.py"))
    for table in re.findall(r"create table (\w+)", migrations):
        assert f"`{table}`" in page, f"the table {table}"
    kinds = re.findall(r'Kind\(name="(\w+)"', text("app/build.py"))
    assert len(kinds) >= 8
    for kind in kinds:
        assert f"| `{kind}` |" in page, f"the work kind {kind}"


def test_every_scope_slack_is_asked_for_is_explained() -> None:
    page = text("docs/slack.md")
    assert [scope for scope in SCOPES if f"`{scope}`" not in page] == []


def test_every_guarantee_names_tests_that_exist() -> None:
    page = text("docs/guarantees.md")
    numbered = re.split(r"^## (\d+)\. ", page, flags=re.M)[1:]
    assert [int(number) for number in numbered[::2]] == list(range(1, 11))
    for number, promise in zip(numbered[::2], numbered[1::2], strict=True):
        named_ = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", promise)
        assert named_ or int(number) >= 9, f"guarantee {number} names no test"
        for path, function in named_:
            assert (HOUSE / path).is_file(), path
            assert not function or re.search(rf"^(?:async )?def {function}\b", text(path), re.M), f"{path}::{function}"


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in sorted((HOUSE / "docs/decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
    for path in (HOUSE / "docs/decisions").glob("*.md"):
        assert text(path).startswith(f"# {int(path.name[:4])}. ")
        assert text(path).count("\n") <= 26, f"{path.name} is a record, not an essay"


# --- imports, commands, dependencies


def test_the_floor_plan_is_enforced() -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert layers == ["app", "desk | bot | routing | insights", "inbox", "channels | templates | commerce"]
    (sandbox,) = [contract for contract in contracts if contract.get("source_modules") == ["sandbox"]]
    assert set(sandbox["forbidden_modules"]) == set(PACKAGES) - {"sandbox"}
    apart = {name for contract in contracts if contract["type"] == "independence" for name in contract["modules"]}
    apart |= {name for contract in contracts for name in contract.get("source_modules", []) if name != "sandbox"}
    assert apart == {f"channels.{path.parent.name}" for path in (HOUSE / "channels").glob("*/__init__.py")}
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == set(PACKAGES)


@pytest.mark.parametrize("target", ["demo", "test", "check", "bench", "help"])
def test_make_has_the_promised_targets(target: str) -> None:
    assert re.search(rf"^{target}:.*## \S", text("Makefile"), re.M)


def test_a_configuration_with_secrets_is_not_committed_by_accident() -> None:
    ignored = set(text(".gitignore").split())
    assert {"santral.toml", ".env", "var/"} <= {line.lstrip("/") for line in ignored}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_hashes_and_no_address(lock: str) -> None:
    content = text(lock)
    assert "://" not in content
    entries = re.split(r"^(?=[a-z0-9])", content, flags=re.M | re.I)[1:]
    assert len(entries) > 30
    for entry in entries:
        name, _, _ = entry.partition(" ")
        assert re.match(r"[\w.-]+==[\w.+!-]+$", name), name
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), f"{name} has no hash"
    assert not re.search(r"^-", content, re.M), "an option for the installer"


def test_what_is_needed_is_locked_and_nothing_else() -> None:
    locked = set(_locked("requirements.lock"))
    needed = _needed(PROJECT["project"]["dependencies"])
    assert needed - locked == set(), "run `make lock`"
    elsewhere = {"colorama", "exceptiongroup", "typing-extensions", "async-timeout", "tzdata"}  # other systems, Pythons
    assert locked - needed - elsewhere == set(), "nothing of ours needs these any more: run `make lock`"
    assert locked <= set(_locked("requirements-dev.lock"))


def test_every_runtime_dependency_is_permissively_licensed() -> None:
    # MPL-2.0 binds its own files only, and none is changed here: two lists (roots, suffixes) and a part of orjson.
    weak = {"certifi", "orjson", "publicsuffixlist"}
    free = r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Zlib|CC0|Unlicense|PostgreSQL"
    seen = 0
    for name in _locked("requirements.lock"):
        try:
            about = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue  # for another system
        seen += 1
        classifiers = [line for line in about.get_all("Classifier") or [] if line.startswith("License ::")]
        fields = [*(about.get_all("License-Expression") or []), *(about.get_all("License") or [])]
        told = " ".join([*(str(field)[:200] for field in fields), *classifiers])
        assert not re.search(r"GPL|General Public|SSPL|Commons Clause|Business Source", told), f"{name}: {told}"
        if "MPL" in told or "Mozilla" in told:
            assert name in weak, f"{name}: {told}"
        else:
            assert re.search(free, told), f"{name}: {told or 'no licence is told'}"
    assert seen > 30


def test_ours_is_apache() -> None:
    licence = text("LICENSE")
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert PROJECT["project"]["license"] == "Apache-2.0"


def _locked(lock: str) -> list[str]:
    return sorted({canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", text(lock), re.M)})


def _needed(roots: list[str]) -> set[str]:
    """Names of packages and all they need in turn on this system, extras included."""
    seen: dict[str, set[str]] = {}
    waiting = [Requirement(root) for root in roots]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        if name in seen and wanted.extras <= seen[name]:
            continue
        extras = seen.setdefault(name, set())
        extras |= wanted.extras
        try:
            inner = [Requirement(line) for line in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:
            continue
        for need in inner:
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                need.marker = None
                waiting.append(need)
    return set(seen)


# --- the image


def test_the_image_runs_as_nobody_and_holds_no_secret() -> None:
    steps = _steps()
    assert [args for step, args in steps if step == "USER"][-1] not in ("root", "0")
    assert [step for step, _ in steps if step == "USER"], "without USER a container runs as root"
    assert "ADD" not in {step for step, _ in steps}
    for step, args in steps:
        if step in ("ENV", "ARG"):
            assert not re.search(r"TOKEN|SECRET|PASSWORD|KEY", args), args
    assert len([step for step, _ in steps if step == "FROM"]) == 2, "what builds it stays behind"
    for _, image in [(step, args.split()[0]) for step, args in steps if step == "FROM"]:
        assert re.fullmatch(r"python:3\.1[2-9]-slim", image)
    (health,) = [args for step, args in steps if step == "HEALTHCHECK"]
    assert "/health/live" in health
    assert "/data" in [args for step, args in steps if step == "VOLUME"]


def test_the_image_is_made_of_locked_packages_and_all_of_ours() -> None:
    installs = re.findall(r"pip install (.+?)(?:&&|$)", " ".join(args for step, args in _steps() if step == "RUN"))
    assert installs
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install, install
    sources = {
        source for step, args in _steps() if step == "COPY" and "--from" not in args for source in args.split()[:-1]
    }
    for source in sources:
        assert (HOUSE / source).exists(), f"the Dockerfile copies {source}"
    kept = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    assert sources == kept, ".dockerignore lets in what the Dockerfile copies, and nothing else"
    assert set(PACKAGES) <= sources
    builders = re.search(r"\^\(([\w|-]+)\)==", text("Dockerfile"))
    assert builders
    assert set(builders[1].split("|")) == _needed(PROJECT["build-system"]["requires"])
    assert set(builders[1].split("|")) <= set(_locked("requirements-dev.lock"))


def test_the_compose_file_runs_santral_beside_a_postgresql() -> None:
    compose = yaml.safe_load(text("docker-compose.yml"))
    services = compose["services"]
    assert set(services) == {"postgres", "santral"}
    for name, service in services.items():
        assert service["restart"] == "unless-stopped", name
        assert "." not in service["image"].partition("/")[0], "an image of a private registry"
        for key, value in service["environment"].items():
            if re.search(r"TOKEN|SECRET|PASSWORD|URL", key):
                assert "${" in value, f"{key} is written out"
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or source.startswith("./santral.toml"), volume
    assert re.fullmatch(r"postgres:1[78]", services["postgres"]["image"])
    assert "pg_isready" in services["postgres"]["healthcheck"]["test"][1]
    assert services["santral"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services["santral"]["environment"]["DATABASE_URL"].startswith("postgres://")
    assert all(port.startswith("127.0.0.1:") for port in services["santral"]["ports"]), "TLS ends at a proxy"


def _steps() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", " ", text("Dockerfile"))
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(step, args) for step, _, args in (line.partition(" ") for line in lines)]


# --- continuous integration


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with `.ci/run` in it and a `bin` of programs that only write down what they were asked."""
    if shutil.which("timeout") is None or shutil.which("bash") is None:
        pytest.skip("no bash or timeout here; .ci/run is for Debian")
    (tmp_path / ".ci").mkdir()
    shutil.copy(HOUSE / ".ci/run", tmp_path / ".ci/run")
    (tmp_path / "bin").mkdir()
    for name in ("make", "chromium", "doveadm", "git", "apt-get", "sudo", "python3"):
        program(tmp_path, name, f'echo "{name} $* CI=$CI" >> "$0.log"')
    for name in ("bash", "timeout", "dirname", "id", "echo"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    return tmp_path


def program(folder: Path, name: str, body: str) -> None:
    path = folder / "bin" / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


def ci(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / ".ci/run"],
        env={"PATH": str(folder / "bin")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def asked(folder: Path, name: str) -> list[str]:
    log = folder / "bin" / f"{name}.log"
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def test_ci_tests_and_checks_and_is_green_when_both_are(bare: Path) -> None:
    ran = ci(bare)
    assert ran.returncode == 0, ran.stderr
    assert asked(bare, "make") == ["make test CI=true", "make check CI=true"]


@pytest.mark.parametrize("broken", ["test", "check"])
def test_ci_is_red_when_either_fails_and_still_runs_the_other(bare: Path, broken: str) -> None:
    program(bare, "make", f'echo "make $*" >> "$0.log"; [ "$1" != {broken} ]')
    ran = ci(bare)
    assert ran.returncode != 0
    assert asked(bare, "make") == ["make test", "make check"]
    assert f"Failed: make {broken}" in ran.stdout


@pytest.mark.parametrize(("absent", "package"), [("chromium", "chromium"), ("doveadm", "dovecot-imapd")])
def test_ci_installs_a_missing_browser_and_mail_server(bare: Path, absent: str, package: str) -> None:
    (bare / "bin" / absent).unlink()
    ran = ci(bare)
    assert ran.returncode == 0, ran.stderr
    installs = [line for line in asked(bare, "apt-get") + asked(bare, "sudo") if " install " in line]
    assert len(installs) == 1
    assert package in installs[0].split()


def test_ci_says_what_is_missing_where_it_may_not_install(bare: Path) -> None:
    (bare / "bin/chromium").unlink()
    (bare / "bin/sudo").unlink()
    (bare / "bin/id").unlink()
    program(bare, "id", "echo 1000")
    ran = ci(bare)
    assert ran.returncode != 0
    assert "apt-get install" in ran.stderr
    assert "chromium" in ran.stderr
    assert asked(bare, "make") == []


def test_the_programs_of_the_house_may_be_run() -> None:
    assert os.access(HOUSE / ".ci/run", os.X_OK)
    assert subprocess.run([shutil.which("sh") or "sh", "-n", HOUSE / "app/setup.sh"], check=False).returncode == 0
