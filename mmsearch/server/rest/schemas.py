"""JSON Schemas of answers, made from the dataclasses that the API gives: as `output.json` writes them."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bytes: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    datetime: {"type": "string"},
    Any: {},
}
Schema = dict[str, Any]


def object_of(properties: Mapping[str, Schema], optional: tuple[str, ...] = (), is_open: bool = False) -> Schema:
    """An object with just these fields, all of them there but for the optional ones; others too where it `is_open`."""
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": dict(properties),
        "required": required,
        **({} if is_open else {"additionalProperties": False}),
    }


def reference(name: str) -> Schema:
    """The schema of that name among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(schema: Schema) -> Schema:
    """That, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def array_of(schema: Schema) -> Schema:
    """A list of these."""
    return {"type": "array", "items": schema}


def schema_of(described: type, own: Mapping[str, Schema]) -> Schema:
    """The schema of a dataclass that has no `json_fields`; `own` are those of fields that say for themselves."""
    hints = get_type_hints(described)
    properties: dict[str, Schema] = {}
    for one in fields(described):
        called = one.metadata.get("json", one.name)
        if called is not None:
            properties[called] = own[called] if called in own else _of_type(hints[one.name])
    return object_of(properties)


def _of_type(kind: Any) -> Schema:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if is_dataclass(kind):
        assert isinstance(kind, type)
        return reference(kind.__name__)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin in (Union, types.UnionType):
        kinds = [one for one in arguments if one is not type(None)]
        schemas = [_of_type(one) for one in kinds]
        return or_null(schemas[0]) if len(kinds) == 1 and len(arguments) == 2 else {"anyOf": schemas}
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return array_of(_of_type(arguments[0]))
        each = [_of_type(one) for one in arguments]
        return {"type": "array", "prefixItems": each, "items": False, "minItems": len(each)}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _of_type(arguments[1])}
    raise TypeError(f"{kind} has no schema")
