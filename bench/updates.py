"""Telegram updates as they come in: complete, with what people write to a shop, and escaped as Telegram escapes them.

Rule: pure; whoever calls says who writes what, and when.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

# What a shop is asked, short and long, in the three languages of the benched shop.
_DATA = Path(__file__).resolve().parent.parent / "routing" / "data"
_NAMES = (("Ayşe", "Yılmaz", "tr"), ("Иван", "Петров", "ru"), ("Emma", "Clark", "en"), ("Mehmet", "Kaya", "tr"))


@cache
def texts(language: str) -> tuple[str, ...]:
    """What customers write in a language: the labelled messages, a hundred characters on average."""
    lines = (_DATA / f"train-{language}.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line)["text"] for line in lines)


def language_of(customer: int) -> str:
    """Customers write in one language, as people do."""
    return _NAMES[customer % len(_NAMES)][2]


def update(*, number: int, customer: int, text: str, sent_at: int) -> bytes:
    """One message in a private chat. `number` is its update id and its message id; `sent_at` is in Unix seconds."""
    first, last, language = _NAMES[customer % len(_NAMES)]
    name = {"first_name": first, "last_name": last, "username": f"customer_{customer}"}
    message: dict[str, Any] = {
        "message_id": number,
        "from": {"id": customer, "is_bot": False, **name, "language_code": language},
        "chat": {"id": customer, **name, "type": "private"},
        "date": sent_at,
        "text": text,
    }
    return json.dumps({"update_id": number, "message": message}, separators=(",", ":")).encode()


def request(*, path: str, port: int, headers: dict[str, str], body: bytes) -> bytes:
    """A whole HTTP request on a line that is kept open."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: keep-alive",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
