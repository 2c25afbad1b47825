"""What travelled, as the page draws it: one entry for each request, call and event the emulators saw.

Rule: pure. An entry says from whom to whom, what, how it ended and how long it took; `detail` holds the rest.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

Json = dict[str, Any]

_UPDATES = {
    "message": "webhook: message",
    "edited_message": "webhook: edited message",
    "callback_query": "webhook: button",
    "my_chat_member": "webhook: blocked or not",
}


def from_telegram(record: Json) -> Json | None:
    """Turn a record of the Telegram emulator into an entry; None for what the page shows elsewhere."""
    match record["type"]:
        case "attempt":
            return _update(record)
        case "call":
            return _bot_call(record)
    return None


def from_mail(record: Json) -> Json | None:
    """Turn a record of the mail world into an entry; None for what the page shows elsewhere."""
    if record["type"] != "call":
        return None
    protocol, _, what = record["method"].partition(" ")
    pushed = what == "EXISTS"
    name = {"EXISTS": "new mail", "DATA": "mail", "UID FETCH": "fetch", "AUTH": "login"}.get(what, what.lower())
    text = record.get("text") or ""
    return travelled(
        record,
        "m",
        **{"from": "mail" if pushed else "santral"},
        to="santral" if pushed else "mail",
        lane="mail",
        name=f"{protocol}: {name}",
        text=quoted(text) if what == "DATA" else text,
        status=record["status"],
        ok=record["ok"],
        detail={"account": record["account"], "to": record.get("recipients"), "answer": record["answer"] or None},
    )


def from_slack(record: Json) -> Json | None:
    """Turn a record of the Slack emulator into an entry; None for what the page shows elsewhere."""
    match record["type"]:
        case "delivery":
            return _event(record)
        case "call":
            return _web_call(record)
    return None


def travelled(record: Json, side: str, **facts: Any) -> Json:
    """An entry of a record. `side` is a letter of its world, which keeps the ids of different worlds apart."""
    milliseconds = record.get("milliseconds")
    at = record["at"]
    ended = datetime.fromisoformat(at).timestamp() if isinstance(at, str) else float(at)
    # Drawn where it began, or an answer would stand above its own cause.
    began = ended - (milliseconds or 0) / 1000
    return {"id": f"{side}{record['seq']}", "at": began, "ms": milliseconds, **facts}


def _update(record: Json) -> Json:
    body, status, kind = record["body"], record["status"], record["kind"]
    inner = body.get(kind)
    inner = inner if isinstance(inner, dict) else {}
    ok = 200 <= status < 300
    made = travelled(
        record,
        "t",
        **{"from": "telegram"},
        to="santral",
        lane="telegram",
        name=_UPDATES.get(kind, f"webhook: {kind}"),
        text=_words(inner),
        status=str(status) if status else record["error"],
        ok=ok,
        repeat=record["retry"],
        detail={"request": body, "answer": {"status": status, "error": record["error"] or None}},
    )
    if ok and "message_id" in inner:
        made["delivered"] = f"{object_of(inner.get('chat')).get('id')}:{inner['message_id']}"
    return made


def _bot_call(record: Json) -> Json:
    params = record.get("params") or {}
    answer = object_of(record.get("answer"))
    status = record.get("status")
    ok = bool(answer.get("ok")) and not record.get("trouble")
    said = answer.get("description", "") if not ok else ""
    made = travelled(
        record,
        "t",
        **{"from": "santral"},
        to="telegram",
        lane="telegram",
        name=record["method"],
        text=quoted(params.get("text") or params.get("caption")) or said,
        status=record.get("trouble") or (str(status) if status else "no answer"),
        ok=ok,
        detail={"parameters": params, "files": record.get("files") or None, "answer": answer, "note": said or None},
    )
    if record["method"] == "sendChatAction":
        made["typing"] = str(params.get("chat_id", ""))
    return made


def _event(record: Json) -> Json:
    body = object_of(record.get("body"))
    status, what = record.get("status", 0), record.get("what", "")
    event = object_of(body.get("event"))
    names = {"event": f"event: {what}", "interaction": f"pressed: {what}", "challenge": "event: challenge"}
    name = names.get(record.get("kind", ""), what)
    if what == "message" and event.get("subtype"):
        name = f"event: {event['subtype']}"
    actions = body.get("actions") or [{}]
    text = quoted(event.get("text")) or event.get("reaction", "") or actions[0].get("action_id", "")
    return travelled(
        record,
        "s",
        **{"from": "slack"},
        to="santral",
        lane="event",
        name=name,
        text=text or body.get("callback_id", ""),
        status=str(status) if status else record.get("reason", "no answer"),
        ok=200 <= status < 300,
        repeat=record.get("retry") or 0,
        detail={
            "event": event or None,
            "envelope" if event else "request": {name: value for name, value in body.items() if name != "event"},
            "answer": {"status": status, "reason": record.get("reason"), "body": record.get("answer")},
        },
    )


def _web_call(record: Json) -> Json:
    params, answer = object_of(record.get("arguments")), object_of(record.get("answer"))
    status, error = record["status"], answer.get("error", "")
    spoiled = "spoiled" if record.get("spoiled") else ""
    text = params.get("text") or params.get("name") or params.get("filename") or ""
    return travelled(
        record,
        "s",
        **{"from": "santral"},
        to="slack",
        lane="slack",
        name=record["method"],
        text=quoted(text),
        status=str(error or (f"{status} {spoiled}".strip())),
        ok=status == 200 and not error and not spoiled,
        detail={"arguments": {name: _parsed(value) for name, value in params.items()}, "answer": answer},
    )


def object_of(value: Any) -> Json:
    """The value if it is an object, else an empty one: what travels may hold anything."""
    return value if isinstance(value, dict) else {}


def _parsed(value: Any) -> Any:
    """Structures travel as JSON text in a form; the page shows them open."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _words(message: Json) -> str:
    if "contact" in message:
        return "contact"
    for kind in ("photo", "document", "voice", "video", "sticker", "audio", "location"):
        if kind in message:
            return f"{kind} {quoted(message.get('caption'))}".strip()
    if "new_chat_member" in message:
        return str(object_of(message["new_chat_member"]).get("status", ""))
    return quoted(message.get("text") or message.get("data"))


def quoted(text: Any, most: int = 90) -> str:
    """Nothing for what is no text: an update may hold anything."""
    shown = " ".join(text.split()) if isinstance(text, str) else ""
    return f"“{shown[:most]}{'…' if len(shown) > most else ''}”" if shown else ""


def row(table: str, key: str, values: Json, change: str, at: float, number: int) -> Json:
    """Make an entry of a database row that came, changed or went."""
    wanted = ("kind", "key", "direction", "text", "channel", "status", "state", "part", "attempts", "last_error", "ts")
    facts = [f"{name} {_short(values[name])}" for name in wanted if values.get(name) not in (None, "", 0, {}, [])][:4]
    return {
        "id": f"d{number}",
        "at": at,
        "ms": None,
        "from": "santral",
        "to": "database",
        "lane": "database",
        "name": f"{table}: {change}",
        "text": " · ".join(facts) or key,
        "status": "",
        "ok": True,
        "detail": {"row": values},
    }


def _short(value: Any) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    shown = " ".join(shown.split())
    return shown if len(shown) <= 40 else f"{shown[:39]}…"
