"""Numbers as Prometheus reads them (text format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Family:
    """Numbers of one name: what they are, and each by its labels as they are written, "" where it has none."""

    name: str
    about: str
    values: Mapping[str, float]
    kind: Literal["gauge", "counter"] = "gauge"


def labels(pairs: Iterable[tuple[str, str]]) -> str:
    """Pairs of a label and its value, as they are written."""
    written = ",".join(f'{label}="{_escaped(value)}"' for label, value in pairs)
    return f"{{{written}}}" if written else ""


def lines(families: Iterable[Family]) -> Iterator[str]:
    """The lines of all of them."""
    for family in families:
        yield f"# HELP {family.name} {family.about}"
        yield f"# TYPE {family.name} {family.kind}"
        for written, value in family.values.items():
            yield f"{family.name}{written} {_number(value)}"


def _number(value: float) -> str:
    """All of its digits: a counter that is rounded seems to stand still."""
    return str(int(value)) if value == int(value) else repr(float(value))


def _escaped(value: str) -> str:
    """As a label's value is written. Bytes that are no text, as in names of folders, are told by U+FFFD."""
    text = value.encode("utf-8", "replace").decode()
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
