"""What `from mmsearch import …` gives: the library, its doors, and every type that they take or give."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

import pytest

import mmsearch
from mmsearch import Adapters, Care, Client, Fusions, Library, Models

# Of the standard library, of typing, or of a library of pictures and numbers.
ELSEWHERE = {
    "Any", "BaseException", "Callable", "ClassVar", "Counter", "Event", "Image", "Iterable", "Iterator", "Mapping",
    "None", "PathLike", "Sequence", "TracebackType", "bool", "bytes", "datetime", "dict", "float", "int", "list",
    "object", "os", "set", "str", "threading", "tuple", "type",
}  # fmt: skip
DOORS = (Library, Models, Adapters, Fusions, Care, Client)


def names_in(annotation: Any) -> set[str]:
    tree = ast.parse(annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "None"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def methods() -> Iterator[Any]:
    for door in DOORS:
        for name, method in vars(door).items():
            if not name.startswith("_") and inspect.isfunction(method):
                yield pytest.param(method, id=f"{door.__name__}.{name}")


@pytest.mark.parametrize("method", list(methods()))
def test_all_that_a_method_takes_or_gives_can_be_imported(method: Any) -> None:
    named = set().union(*(names_in(one) for one in inspect.get_annotations(method).values()))
    assert named <= ELSEWHERE | set(mmsearch.__all__)
    assert method.__doc__


@pytest.mark.parametrize("name", [name for name in mmsearch.__all__ if name != "__version__"])
def test_all_that_a_result_holds_can_be_imported(name: str) -> None:
    held = getattr(mmsearch, name)
    if is_dataclass(held):
        annotations = vars(held).get("__annotations__", {})
        named = set().union(*(names_in(one) for key, one in annotations.items() if not key.startswith("_")))
        assert named <= ELSEWHERE | set(mmsearch.__all__)


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(AttributeError, match="no attribute"):
        _ = mmsearch.nothing
