"""Bounces of many mail systems, one file each, written for these tests; and the shop they bounce to."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from channels.mail.values import Us

HERE = Path(__file__).parent
DELIVERY = UUID("0192f3c4-a5b6-7c8d-9e0f-1a2b3c4d5e6f")  # of ours, which most of them are about
US = Us(
    addresses=frozenset({"destek@ornek.com.tr", "support@ornek.com.tr"}),
    domains=frozenset({"ornek.com.tr"}),
    contact_forms=frozenset({"form@ornek.com.tr"}),
    trusted_authserv=frozenset({"mx.google.com"}),
)


def sample(name: str) -> bytes:
    return (HERE / f"{name}.eml").read_bytes()


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.eml"))
