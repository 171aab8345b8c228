"""One serialiser: the JSON of every command is made from the dataclasses that the API gives.

A field's name is its JSON name. What is otherwise is said where the class is written: a field's metadata `{"json":
"type"}` calls it so, `{"json": None}` leaves it out, `{"digits": 4}` rounds the numbers in it, and `{"document": True}`
makes of what it holds a document of its own, with a schema version. A class may list fields and properties in
`JSON_FIELDS`, or give values by name in a method `json_fields`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from typing import Any

SCHEMA_VERSION = 1


def to_json(value: Any) -> str:
    r"""One line of ASCII JSON. Bytes of a name that are no UTF-8 are lone surrogates: byte 0xNN as `\udcNN`."""
    return json.dumps(document(value), ensure_ascii=True)


def document(value: Any) -> dict[str, Any]:
    """What is printed of a dataclass or a mapping: its fields, after the version of their description."""
    return {"schema_version": SCHEMA_VERSION, **described(value)}


def described(value: Any, digits: int | None = None) -> Any:
    """Dictionaries, lists, texts and numbers that stand for `value`; numbers with a fraction to so many digits.

    Raises:
        TypeError: JSON has no word for it.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return value if digits is None else round(value, digits)
    if isinstance(value, bytes):
        return os.fsdecode(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {described(key): described(one, digits) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [described(one, digits) for one in value]
    if is_dataclass(value):
        return dict(_fields(value, digits))
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _fields(value: Any, digits: int | None) -> Iterator[tuple[str, Any]]:
    if hasattr(value, "json_fields"):
        for name, one in value.json_fields().items():
            yield name, described(one, digits)
        return
    metadata_of = {field.name: field.metadata for field in fields(value)}
    for name in getattr(value, "JSON_FIELDS", metadata_of):
        metadata: Mapping[str, Any] = metadata_of.get(name, {})
        called = metadata.get("json", name)
        if called is not None:
            held = getattr(value, name)
            if metadata.get("document") and held is not None:
                yield called, document(held)
            else:
                yield called, described(held, metadata.get("digits", digits))
