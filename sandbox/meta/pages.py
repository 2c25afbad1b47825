"""Lists in pages, and answers cut down to the fields asked for.

Rule: pure but for the address of the next page. `fields=a,b{c,d}` names fields, and fields of fields.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import urlencode

from sandbox.meta.call import Call
from sandbox.meta.values import Json, invalid

LIMIT = 25
Fields = dict[str, Any]  # a name, and the fields inside it or {}


def fields(text: str) -> Fields:
    """Read `a,b{c,d},e.limit(5){f}`. Raises `ApiError` when a bracket is left open."""
    found, rest = _inside(text)
    if rest:
        raise invalid("Syntax error in the field expansion")
    return found


def _inside(text: str) -> tuple[Fields, str]:
    found: Fields = {}
    name = ""
    while text:
        letter, text = text[0], text[1:]
        if letter == "{":
            inner, text = _inside(text)
            if not text.startswith("}"):
                raise invalid("Syntax error in the field expansion")
            found[_bare(name)], name, text = inner, "", text[1:]
        elif letter == "}":
            text = letter + text
            break
        elif letter == ",":
            if _bare(name):
                found[_bare(name)] = {}
            name = ""
        else:
            name += letter
    if _bare(name):
        found[_bare(name)] = {}
    return found, text


def _bare(name: str) -> str:
    return name.partition(".")[0].strip()


def chosen(whole: Json, wanted: Fields, always: tuple[str, ...] = ("id",)) -> Json:
    """Keep the fields asked for; what an object does not have is left out, as Graph does for most."""
    kept: Json = {}
    for name, value in whole.items():
        if name not in wanted and name not in always:
            continue
        inner = wanted.get(name) or {}
        if inner and isinstance(value, dict) and isinstance(value.get("data"), list):
            value = {**value, "data": [chosen(one, inner) for one in value["data"]]}
        elif inner and isinstance(value, dict):
            value = chosen(value, inner)
        kept[name] = value
    return kept


def paged(call: Call, path: str, rows: list[Json]) -> Json:
    """Cut a list into pages by `limit` and `after`. Raises `ApiError` for a cursor that is none."""
    try:
        limit = int(call.text("limit") or LIMIT)
        start = int(base64.b64decode(call.text("after"), validate=True) or 0)
    except (ValueError, binascii.Error) as error:
        raise invalid("Param after must be a cursor") from error
    part = rows[start : start + max(1, limit)]
    if not part:
        return {"data": []}
    before, after = (base64.b64encode(str(place).encode()).decode() for place in (start, start + len(part)))
    paging: Json = {"cursors": {"before": before, "after": after}}
    if start + len(part) < len(rows):
        kept = {
            name: str(value) for name, value in call.values.items() if name not in ("access_token", "appsecret_proof")
        }
        version = f"/{call.version}" if call.version else ""
        host = f"/{call.host}" if call.host else ""
        query = urlencode({**kept, "limit": limit, "after": after})
        paging["next"] = f"{call.world.base}{host}{version}/{path}?{query}"
    return {"data": part, "paging": paging}
