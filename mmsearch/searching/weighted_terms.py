"""The terms of a query with their weights and vectors, and the one vector that they make in the space of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mmsearch.errors import Invalid
from mmsearch.records import FloatMatrix, Modality
from mmsearch.searching.query import Term


@dataclass(frozen=True)
class WeightedTerm:
    """A term of a query: its modality, the weight it has in the query's unit vector, and its own unit vector."""

    modality: Modality
    weight: float
    vector: FloatMatrix


class QueryVector(NamedTuple):
    """A query in the space of one model: the unit vector of the weighted sum of its terms, and those terms."""

    vector: FloatMatrix
    terms: tuple[WeightedTerm, ...]

    @property
    def by_text(self) -> float:
        """How much of the vector are texts; see `nearest.vectors.SpaceQuery`."""
        return sum(term.weight for term in self.terms if term.modality == "text")

    @classmethod
    def of(cls, terms: Sequence[Term], vectors: Sequence[FloatMatrix]) -> QueryVector:
        """Of terms and their unit vectors, float32 [dimension].

        Raises:
            Invalid: they cancel each other out.
        """
        weighted = [
            WeightedTerm(term.modality, term.weight, vector) for term, vector in zip(terms, vectors, strict=True)
        ]
        return cls.summed(weighted, "The terms of the query cancel each other out; change a term or a weight.")

    @classmethod
    def summed(cls, terms: Sequence[WeightedTerm], cancelled: str) -> QueryVector:
        """Of terms with any weights.

        Raises:
            Invalid: they cancel each other out; `cancelled` is what is said then.
        """
        total = np.sum([term.weight * term.vector for term in terms], axis=0)
        length = float(np.linalg.norm(total))
        if length < 1e-6:
            raise Invalid(cancelled)
        scaled = (WeightedTerm(term.modality, term.weight / length, term.vector) for term in terms)
        return cls((total / length).astype(np.float32), tuple(scaled))
