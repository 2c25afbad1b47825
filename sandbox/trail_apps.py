"""What travelled between Santral and the providers of the apps: Twilio, Meta and X.

Rule: pure. `delivered` names the messages that Santral has taken, as `provider:id`, for the ticks on the phones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox.trail import object_of, quoted, travelled

Json = dict[str, Any]


def from_twilio(record: Json) -> Json | None:
    """Turn a record of the Twilio emulator into an entry; None for what the page shows elsewhere."""
    match record["type"]:
        case "attempt":
            params = object_of(record.get("params"))
            status = params.get("MessageStatus", "") if record["kind"] == "status" else ""
            name = f"webhook: {status}" if status else "webhook: message"
            text = quoted(params.get("Body")) or ("" if status else params.get("MessageType", ""))
            return _came(record, "w", "twilio", name, text, params, [] if status else [record["message"]])
        case "call":
            params = object_of(record.get("params"))
            return _called(record, "w", "twilio", quoted(params.get("Body")))
    return None


def from_meta(record: Json) -> Json | None:
    """Turn a record of Meta's emulator into an entry; None for what the page shows elsewhere."""
    match record["type"]:
        case "attempt":
            body = object_of(record.get("body"))
            told = list(_told(body))
            names = list(dict.fromkeys(name for name, _, _ in told))
            text = next((words for _, words, _ in told if words), "")
            ids = [id for name, _, id in told if id and name in ("message", "button")]
            return _came(record, "f", "meta", f"webhook: {', '.join(names) or 'event'}", text, body, ids)
        case "call":
            params = object_of(record.get("params"))
            message = object_of(params.get("message")) or object_of(params.get("text"))
            template = object_of(params.get("template")).get("name", "")
            return _called(record, "f", "meta", quoted(message.get("text") or message.get("body")) or template)
    return None


def from_x(record: Json) -> Json | None:
    """Turn a record of X's emulator into an entry; None for what the page shows elsewhere."""
    match record["type"]:
        case "attempt":
            body = object_of(record.get("body"))
            payload = object_of(object_of(body.get("data")).get("payload"))
            events = payload.get("direct_message_events") or [{}]
            data = object_of(object_of(events[0].get("message_create")).get("message_data"))
            ids = [events[0]["id"]] if "id" in events[0] else []
            return _came(record, "x", "x", f"webhook: {record['kind']}", quoted(data.get("text")), body, ids)
        case "call":
            return _called(record, "x", "x", quoted(object_of(record.get("params")).get("text")))
    return None


def _told(body: Json) -> Iterator[tuple[str, str, str]]:
    """What a payload of Meta's tells: what happened, its words, and the id of the message."""
    for entry in body.get("entry") or []:
        for change in entry.get("changes") or []:
            value = object_of(change.get("value"))
            for message in value.get("messages") or value.get("message_echoes") or []:
                kind = change.get("field") if change.get("field") != "messages" else _kind(message)
                words = object_of(message.get(message.get("type"))).get("body")
                yield str(kind).replace("smb_message_echoes", "sent elsewhere"), quoted(words), message.get("id", "")
            for status in value.get("statuses") or []:
                yield str(status.get("status", "status")), "", ""
        for item in [*(entry.get("messaging") or []), *(entry.get("standby") or [])]:
            yield _page_event(item)


def _kind(message: Json) -> str:
    kind = message.get("type", "")
    return {"reaction": "reaction", "edit": "edit", "revoke": "unsent", "interactive": "button"}.get(kind, "message")


def _page_event(item: Json) -> tuple[str, str, str]:
    message = object_of(item.get("message"))
    if message:
        name = "sent elsewhere" if message.get("is_echo") else "unsent" if message.get("is_deleted") else "message"
        return name, quoted(message.get("text")), str(message.get("mid", ""))
    for field, name in (
        ("postback", "button"),
        ("reaction", "reaction"),
        ("read", "read"),
        ("delivery", "delivered"),
        ("message_edit", "edit"),
        ("optin", "opted in"),
        ("referral", "referral"),
    ):
        if field in item:
            inner = object_of(item[field])
            return name, quoted(inner.get("title") or inner.get("text")), str(inner.get("mid", ""))
    return "event", "", ""


def _came(record: Json, mark: str, world: str, name: str, text: str, body: Json, ids: list[str]) -> Json:
    """An entry of a webhook."""
    status = record.get("status") or 0
    ok = 200 <= status < 300
    made = travelled(
        record,
        mark,
        **{"from": world},
        to="santral",
        lane=world,
        name=name,
        text=text,
        status=str(status) if status else record.get("error") or "no answer",
        ok=ok,
        repeat=record.get("retry") or 0,
        detail={"request": body, "answer": {"status": status, "error": record.get("error") or None}},
    )
    if ok:
        made["delivered"] = [f"{world}:{id}" for id in ids]
    return made


def _called(record: Json, mark: str, world: str, text: str) -> Json:
    """An entry of a call to the provider's API."""
    status, answer, trouble = record.get("status"), record.get("answer"), record.get("trouble") or ""
    ok = bool(status) and 200 <= int(status or 0) < 400 and not trouble
    said = "" if ok else _complaint(object_of(answer))
    return travelled(
        record,
        mark,
        **{"from": "santral"},
        to=world,
        lane=world,
        name=record["method"],
        text=text or said,
        status=trouble or (str(status) if status else "no answer"),
        ok=ok,
        detail={
            "path": record.get("path"),
            "parameters": record.get("params") or None,
            "answer": answer,
            "note": said or None,
        },
    )


def _complaint(answer: Json) -> str:
    """What a provider says of a call it refuses."""
    error = object_of(answer.get("error"))
    return str(error.get("message") or answer.get("message") or answer.get("detail") or "")
