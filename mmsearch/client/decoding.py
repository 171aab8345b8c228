"""JSON → the dataclasses that it was made from: what `output.json` writes, read back by the types of their fields."""

from __future__ import annotations

import os
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Kind = TypeVar("Kind")


class NotDecoded(ValueError):
    """What was read is not what its description says; the message names the field."""


def decoded(
    kind: type[Kind],
    value: Any,
    known: Mapping[str, Any] | None = None,
    names: Mapping[str, Any] | None = None,
) -> Kind:
    """A dataclass of an object in JSON. Fields that it has not are passed over; those with a default may be lacking.

    `known` are values of fields that are known already, and are not read. `names` are types that the module of the
    class names and does not import.

    Raises:
        NotDecoded: a field is lacking, or of another type.
    """
    if not isinstance(value, dict):
        raise NotDecoded("the answer is no object")
    return _object(kind, value, "", known or {}, names or {})


def _object(kind: type[Kind], value: Any, at: str, known: Mapping[str, Any], names: Mapping[str, Any]) -> Kind:
    if not isinstance(value, dict):
        raise NotDecoded(f"`{at}` is no object")
    named: Any = kind
    hints = _hints(named, frozenset(names.items()))
    found: dict[str, Any] = {}
    for field in fields(named):
        called = field.metadata.get("json", field.name)
        here = f"{at}.{called}" if at else str(called)
        if field.name in known:
            found[field.name] = known[field.name]
        elif called in value:
            found[field.name] = _value(hints[field.name], value[called], here, names)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise NotDecoded(f"`{here}` is lacking")
    return kind(**found)


@lru_cache(maxsize=64)
def _hints(kind: Any, names: frozenset[tuple[str, Any]]) -> Mapping[str, Any]:
    return get_type_hints(kind, localns=dict(names))


def _value(kind: Any, value: Any, at: str, names: Mapping[str, Any]) -> Any:
    """A value of that type."""
    origin, of = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in of:
            return None
        return _value(next(one for one in of if one is not type(None)), value, at, names)
    if origin is tuple:
        return _tuple(of, value, at, names)
    if origin is not None and origin is not Literal and issubclass(origin, Mapping):
        if isinstance(value, dict):
            return {key: _value(of[1], one, f"{at}.{key}", names) for key, one in value.items()}
    elif is_dataclass(kind) and isinstance(kind, type):
        return _object(kind, value, at, {}, names)
    elif kind is datetime:
        if isinstance(value, str):
            return _moment(value, at)
    elif kind is bytes:  # of a path
        if isinstance(value, str):
            return os.fsencode(value)
    elif kind is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    # A newer server may have more words for something than are known here.
    elif isinstance(value, str if origin is Literal else kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise NotDecoded(f"`{at}` is of another type")


def _moment(value: str, at: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise NotDecoded(f"`{at}` is no date-time") from None


def _tuple(of: tuple[Any, ...], value: Any, at: str, names: Mapping[str, Any]) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise NotDecoded(f"`{at}` is no list")
    kinds = [of[0]] * len(value) if of[-1] is Ellipsis else list(of)
    if len(kinds) != len(value):
        raise NotDecoded(f"`{at}` has not {len(kinds)} values")
    return tuple(
        _value(one, held, f"{at}[{number}]", names) for number, (one, held) in enumerate(zip(kinds, value, strict=True))
    )
