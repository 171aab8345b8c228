"""How many items of a graph a search looks at, and how graphs, and that setting, are called in the database."""

from __future__ import annotations

import math
from dataclasses import dataclass

# In larger graphs more are looked at: of a million mixtures of 600 photos 400 find .80 of the ten, and 1,000 .91.
_GROWS = 0.4


@dataclass(frozen=True)
class Enough:
    """How many items were enough to be looked at in a graph `of` so many."""

    ef: int
    of: int

    @classmethod
    def read(cls, setting: str | None) -> Enough | None:
        """The one that a setting tells, as `str` writes it; None where there is none, or it makes no sense."""
        numbers = (setting or "").split(" of ")
        return cls(*map(int, numbers)) if len(numbers) == 2 and all(map(str.isdecimal, numbers)) else None

    def __str__(self) -> str:
        return f"{self.ef} of {self.of}"

    def among(self, rows: int) -> float:
        """How many are looked at in the graph once it has so many rows."""
        return self.ef * math.pow(max(1.0, rows / max(1, self.of)), _GROWS)


# How many are looked at where it was not measured how many have to be, and how many pgvector looks at, at most. With so
# many 98 % of the ten nearest are found among 100,000 photos that are mixtures of 600, a crowd beside each, and more of
# them elsewhere (`benchmarks/team_search.py`).
USUAL, MOST_EF = Enough(400, 100_000), 1_000


def graph_of(table: str) -> str:
    """The name of the graph of the space in that table."""
    return f"{table}_graph"


def looked_at_in(table: str) -> str:
    """By what setting it is kept how much of that graph has to be looked at."""
    return f"looked at in {graph_of(table)}"
