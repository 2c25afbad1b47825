"""The pages in docs/channels, followed to the letter: what they have one write works, what they quote is said."""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.check import check
from app.config import load
from channels.registry import KINDS as ALL_KINDS
from tests.providers import KINDS
from tests.scenarios.test_guarantees import Phone
from tests.world import World

HOUSE = Path(__file__).parents[2]
PAGES = HOUSE / "docs" / "channels"
BASE = """
[shop]
name = "Kumbara"
country = "TR"
timezone = "Europe/Istanbul"
languages = ["tr", "en"]

[slack]
bot_token = "xoxb-1"
app_token = "xapp-1"

[[teams]]
name = "support"
slack_channel = "C0SUPPORT1"
"""
MADE_UP = {
    "IMAP_URL": "imaps://support%40shop.example:secret@mail.shop.example",
    "SMTP_URL": "smtps://support%40shop.example:secret@mail.shop.example",
    "TWILIO_ACCOUNT_SID": "AC" + 32 * "0",
}


def page(kind: str) -> str:
    return (PAGES / f"{kind}.md").read_text(encoding="utf-8")


def sections(kind: str) -> list[dict[str, Any]]:
    """The channels that a page says to write into santral.toml."""
    return [tomllib.loads(block)["channels"][0] for block in blocks(kind)]


def blocks(kind: str) -> list[str]:
    """What a page says to write into santral.toml, where there is a channel in it."""
    found = re.findall(r"^ *```toml\n(.*?)^ *```", page(kind), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for block in found if "[[channels]]" in block]


def test_there_is_a_page_for_every_kind_and_none_for_another() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} - {"README"} == set(ALL_KINDS)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_what_a_page_says_to_write_down_is_taken_as_it_stands(kind: str, tmp_path: Path) -> None:
    found = blocks(kind)
    assert found
    for number, block in enumerate(found):
        top, _, rest = block.partition("[[channels]]")
        if "public_url" not in top:
            top += 'public_url = "https://support.example.com"\n'
        place = tmp_path / f"{number}.toml"
        place.write_text(f"{top}{BASE}[[channels]]{rest}", encoding="utf-8")
        wanted = re.findall(r"\$\{(\w+)\}", block)
        (channel,) = load(place, {name: MADE_UP.get(name, "4711:" + 35 * "a") for name in wanted}).channels
        assert channel.kind == kind


async def test_who_does_what_the_pages_say_hears_of_every_channel(world: World) -> None:
    """With the emulators' keys in the places of one's own; `check` first, then `serve`, then a first message."""
    providers = await world.add_channels()
    keys = {section["kind"]: section for section in providers.channels()}
    world.more.clear()
    for kind in KINDS:
        channel = sections(kind)[0]
        own = keys[kind]
        taken = {key: own[key] if "${" in str(value) else value for key, value in channel.items()}
        assert set(taken) <= {"name", "kind", *own}, "a key of the page that nobody has"
        if "sender" in taken:
            taken["sender"] = own["sender"]
        world.more.append({**taken, "name": kind, "api_url": own["api_url"]})
    lacking = {one.what.partition(":")[0] for one in await check(world.config()) if not one.ok}
    assert {"whatsapp", "messenger", "instagram", "x"} <= lacking  # nobody is told where to call yet
    await world.start()
    wrong = [one.what for one in await check(world.config()) if one.what.partition(":")[0] in KINDS and not one.ok]
    assert wrong == []
    for kind in KINDS:
        phone = Phone(world=world, kind=kind)
        phone.takes(f"Ayşe {kind}")
        await phone.says(f"Merhaba {kind}")
        await world.card_with(f"Merhaba {kind}")


# --- what the pages quote

FILLED_IN = re.compile(r"…|\b[a-z]+_[a-z_]+\b(?: and [a-z_]+)?|\b[A-Z]{3}\b")  # names of keys, a method


def quoted(kind: str) -> Iterator[str]:
    """The first column of "it says": what `santral check` is to be read with, in pieces around what varies."""
    for table in re.findall(r"^\| it says \|.*?\n\|[-| ]+\n((?:\|.*\n)*)", page(kind), re.MULTILINE):
        for row in table.splitlines():
            for said in re.split(r" / ", row.split("|")[1]):
                yield from (piece.strip(" .:") for piece in FILLED_IN.split(said))


def said_in_code() -> str:
    """Every text that the adapters and `santral check` may say, with a gap where something is filled in."""
    found: list[str] = []
    sources = [*(HOUSE / "channels").rglob("*.py"), HOUSE / "app" / "check.py", *(HOUSE / "app").glob("config*.py")]
    sources += (HOUSE / "app" / "config").rglob("*.py")
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("\0".join(str(it.value) for it in node.values if isinstance(it, ast.Constant)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_what_the_pages_quote_of_check_is_what_check_says() -> None:
    code = said_in_code()
    missing = [(kind, piece) for kind in ALL_KINDS for piece in quoted(kind) if len(piece) > 3 and piece not in code]
    assert missing == []
