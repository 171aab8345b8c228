"""What a monitor is told of the state of a library that many processes share, in numbers that the store itself has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

# Measures that are taken together. "roots" are this machine's to look at; the others are asked of the store.
MeasureGroup = Literal[
    "queue", "workers", "done", "failures", "lacking", "files", "tables", "replication", "archiving", "roots"
]
MEASURE_GROUPS: tuple[MeasureGroup, ...] = get_args(MeasureGroup)


@dataclass(frozen=True)
class Measure:
    """A number by its name, as `jobs`, and by what it is of: pairs of a label and its value, as `("state", "waiting")`.

    Ages are in seconds, sizes in bytes.
    """

    name: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


class Measured(Protocol):
    """What every store tells of itself."""

    @property
    def has_measures(self) -> bool:
        """Whether there is anything to be told: not by a store that one process has for itself."""

    def measured(self, group: MeasureGroup) -> tuple[Measure, ...] | None:
        """The measures of a group now; None where they take the store too long, or its role may not see them."""
