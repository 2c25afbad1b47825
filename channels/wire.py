"""JSON of a provider, read although it is not quite as documented.

Rule: every field but the ids may be missing or wrong, for none of it is ours; what is wrong is left out, not raised.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from channels.errors import Malformed

Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # chat ids reach 52 bits; what is stored, 64


class Wire(msgspec.Struct, frozen=True, gc=False, rename={"sender": "from"}):
    """Part of a provider's JSON, with what we read of it and nothing else."""


T = TypeVar("T", bound=Wire)


def decoded(raw: msgspec.Raw, shape: type[T]) -> T | None:
    """Read `raw`, leaving out optional fields that are not of their type. None when a required one is not."""
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError:
        return salvaged(raw, shape)


def salvaged(raw: msgspec.Raw, shape: type[T]) -> T | None:
    try:
        parts = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return None
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(shape):
        if field.encode_name not in parts:
            continue
        try:
            values[field.name] = msgspec.json.decode(parts[field.encode_name], type=field.type)
        except msgspec.ValidationError:
            # Of a list only the whole can be left out: one of its parts in its place would be of another type.
            inner = next((it for it in (field.type, *get_args(field.type)) if is_wire(it)), None)
            if get_origin(field.type) is list:
                inner = None
            if inner and (value := salvaged(parts[field.encode_name], inner)) is not None:
                values[field.name] = value
    required = (field.name for field in msgspec.structs.fields(shape) if field.required)
    return shape(**values) if values.keys() >= set(required) else None


def is_wire(shape: object) -> bool:
    return isinstance(shape, type) and issubclass(shape, Wire)


def mended(body: bytes) -> bytes:
    """Replace what no database and no other program takes as text: NUL, lone surrogates, bytes that are not UTF-8."""
    try:
        value = json.loads(body.decode("utf-8", "replace"), parse_float=finite, parse_constant=refuse)
        return json.dumps(clean(value), ensure_ascii=False).encode()
    except ValueError as error:
        raise Malformed("The body is not JSON.") from error


def clean(value: Any) -> Any:
    match value:
        case str():
            return re.sub("[\x00\ud800-\udfff]", "\ufffd", value)
        case list():
            return [clean(item) for item in value]
        case dict():
            return {clean(key): clean(item) for key, item in value.items()}
        case _:
            return value


def finite(digits: str) -> float | None:
    number = float(digits)
    return number if abs(number) != float("inf") else None


def refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
