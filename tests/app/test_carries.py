"""The capability table: what is printed is what the adapters declare, and the documentation shows the same."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from app.carries import COLUMNS, markdown, plain, row
from channels.channel import Capabilities, Rate
from channels.registry import CAPABILITIES

PAGE = Path(__file__).parents[2] / "docs" / "channels" / "README.md"


def test_a_row_says_what_a_person_wants_to_know() -> None:
    can = Capabilities(
        max_text=1000,
        unit="bytes",
        max_choices=13,
        media={"*/*": 25 << 20, "image/png": 8 << 20},
        reply_window=timedelta(hours=24),
        agent_window=timedelta(days=7),
        receipts=frozenset({"read", "delivered"}),
        rate=Rate(count=15, per=timedelta(minutes=15)),
        experimental=True,
    )
    assert dict(zip(COLUMNS, row("instagram", can), strict=True)) == {
        "kind": "instagram (experimental)",
        "text": "1,000 bytes",
        "files": "25 MB, image/png 8 MB",
        "buttons": "13 of 20",
        "answers until": "24 h, people 7 d",
        "edit": "–",
        "take back": "–",
        "receipts": "delivered, read",
        "pace": "15 in 15 min",
    }
    assert plain(can)["reply_window"] == 86_400


def test_a_channel_without_files_or_buttons_says_so() -> None:
    told = row("plain", Capabilities(max_text=10, templates=True, reply_window=timedelta(hours=24)))
    assert told[2:5] == ("–", "numbered lines", "24 h, then templates")


def test_the_documentation_shows_the_table_as_it_is() -> None:
    assert markdown(CAPABILITIES) in PAGE.read_text(encoding="utf-8")


def test_every_kind_has_a_page() -> None:
    missing = [kind for kind in CAPABILITIES if not (PAGE.parent / f"{kind}.md").exists()]
    assert missing == []
