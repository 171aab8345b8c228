"""Learning what a picture weighs beside words in one query, from queries of both of which it is known what is right.

With weights `a` and `b` a picture is `a c + b p` near to the query, `c` being its cosine with the words and `p` that
with the query's picture. Which of the nearest is right is taken for a choice among them (a conditional logit, the
logistic regression of choices: McFadden, "Conditional logit analysis of qualitative choice behavior", 1974), fitted by
Newton's method; `b / a` is the weight. Held-out queries are searched with it and without.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mmsearch.adapters.held_out import FEWEST_QUERIES, LISTED, Judged, judged_by, split_queries
from mmsearch.evaluation.datasets import Dataset, PictureQuery
from mmsearch.evaluation.metrics import Estimate
from mmsearch.records import Progress
from mmsearch.searching.query import Query, Term
from mmsearch.searching.session import Session

# A picture counts neither for nothing nor alone, whatever few queries say.
LEAST, MOST = 1 / 8, 8.0
_STEPS = 50
# As if the weights were drawn from around 0 with a deviation of ten: what is told by a few queries stays finite.
_TRUST = 0.01

Floats = npt.NDArray[np.float64]


class Choice(NamedTuple):
    """The nearest pictures of one query: their cosines with its words and its picture [n, 2], and which are right."""

    cosines: Floats
    right: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PictureReport:
    """How the weight of a picture beside words was learned, and how held-out queries of both do without it and with it.

    `weight` is that of the picture where the words have 1.
    """

    weight: float
    queries: int
    trained_on: int
    judged_on: int
    base_hits: Estimate
    fused_hits: Estimate
    base_mrr: Estimate
    fused_mrr: Estimate

    @property
    def judged(self) -> Judged:
        """How held-out queries do."""
        return Judged(self.base_hits, self.fused_hits, self.base_mrr, self.fused_mrr)


def learn_picture_weight(
    session: Session, holds: Callable[[str], bool], dataset: Dataset, on_progress: Callable[[Progress], None]
) -> PictureReport | None:
    """Asks the library the queries of a picture and words, and learns from what is right; None where they are too few.

    `session` searches without a fusion; `holds` tells whether the library has a file.
    """
    queries = _queries_of(dataset, holds)
    if len(queries) < FEWEST_QUERIES:
        return None
    train, judge = split_queries(list(queries.values()))
    asked = list(queries.items())
    done, total = 0, len(train) + 2 * len(judge)
    choices: list[Choice] = []
    for place in train:
        query, right = asked[place]
        near = session.parts(_query(query))
        cosines = np.array([one for _, one in near], np.float64).reshape(-1, 2)
        choices.append(Choice(cosines, np.array([path in right for path, _ in near], bool)))
        done += 1
        on_progress(Progress("asking", done, total, "queries"))
    weight = fitted_weight(choices)
    ranks: list[list[float]] = []
    for of_picture in (1.0, weight):
        ranks.append([])
        for place in judge:
            query, right = asked[place]
            ranks[-1].append(_first_right(session, _query(query, of_picture), right))
            done += 1
            on_progress(Progress("asking", done, total, "queries"))
    return PictureReport(weight, len(queries), len(train), len(judge), *judged_by(*ranks))


def fitted_weight(choices: Sequence[Choice]) -> float:
    """The weight of the picture, where the words have 1, under which what is right is most likely.

    Queries of which nothing near is right, or all, tell nothing. Of several right ones each is as good.
    """
    told = [one for one in choices if one.right.any() and not one.right.all()]
    weights = np.ones(2)
    for _ in range(_STEPS):
        slope, curve = -_TRUST * weights, _TRUST * np.eye(2)
        for one in told:
            says = np.exp(one.cosines @ weights - (one.cosines @ weights).max())
            says /= says.sum()
            mean = says @ one.cosines
            slope += one.cosines[one.right].mean(axis=0) - mean
            away = one.cosines - mean
            curve += (away * says[:, np.newaxis]).T @ away
        weights = weights + np.linalg.solve(curve, slope)
    of_words, of_picture = weights.tolist()
    if of_words <= 0:
        return MOST if of_picture > 0 else 1.0
    return float(np.clip(of_picture / of_words, LEAST, MOST))


def _queries_of(dataset: Dataset, holds: Callable[[str], bool]) -> dict[PictureQuery, frozenset[str]]:
    """By query the files that are right."""
    right: dict[PictureQuery, set[str]] = {}
    for example in dataset.examples:
        for query in example.queries if holds(example.path) else ():
            right.setdefault(query, set()).add(os.path.abspath(example.path))
    return {query: frozenset(paths) for query, paths in right.items()}


def _query(query: PictureQuery, weight: float = 1.0) -> Query:
    terms = Term("text", query.text), Term("image", query.image, weight)
    return Query(terms, limit=LISTED, min_score=0.0)


def _first_right(session: Session, query: Query, right: frozenset[str]) -> float:
    """The rank of the first file that is right; infinite where none is."""
    told = enumerate(session.told(query), start=1)
    return next((float(rank) for rank, (paths, _) in told if not right.isdisjoint(paths)), float("inf"))
