"""Telegram updates as they come in: complete, with what people write to a shop, and escaped as Telegram escapes them.

Rule: pure; whoever calls says who writes what, and when.
"""

from __future__ import annotations

import json
from typing import Any

# What a shop is asked, short and long, in the three languages of the benched shop.
TEXTS = (
    "Kargom nerede?",
    "Merhaba, geçen hafta verdiğim sipariş hâlâ gelmedi. Takip numarası 7341902288 ama üç gündür aynı yerde görünüyor.",
    "İade etmek istiyorum, beden küçük geldi. Kargo ücreti kime ait?",
    "Здравствуйте! Когда отправите мой заказ? Деньги списали ещё в понедельник, а письма с трек-номером так и нет.",
    "Спасибо, всё пришло 🎉",
    "Hi, the parcel arrived but the left shoe has a scratch on it. Can I exchange it without sending both back first?",
    "Do you ship to Kazakhstan, and how long does it take?",
    "Siparişimi iptal edin lütfen, yanlış adres yazmışım: Atatürk Cad. No 12 değil 21 olacaktı.",
)
_NAMES = (("Ayşe", "Yılmaz", "tr"), ("Иван", "Петров", "ru"), ("Emma", "Clark", "en"), ("Mehmet", "Kaya", "tr"))


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
