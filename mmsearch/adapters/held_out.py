"""Queries with known answers: which of them teach and which judge, and how those do."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from mmsearch.evaluation.metrics import Estimate, estimate

# Of each query so many files are looked at.
LISTED = 50
# Fewer queries teach nothing that could be judged.
FEWEST_QUERIES = 20
HELD_OUT = 0.3


class Judged(NamedTuple):
    """How queries that were held out do without what was learned and with it: R@10, and the mean reciprocal rank of the
    first file that is right.
    """

    base_hits: Estimate
    fused_hits: Estimate
    base_mrr: Estimate
    fused_mrr: Estimate

    @property
    def better(self) -> bool:
        """Whether one of these rose and none fell."""
        hits, mrr = (
            after.value - before.value
            for before, after in ((self.base_hits, self.fused_hits), (self.base_mrr, self.fused_mrr))
        )
        return hits >= 0 and mrr >= 0 and hits + mrr > 0


def judged_by(base: Sequence[float], fused: Sequence[float]) -> Judged:
    """From the rank of the first right file of each query, infinite for none, without it and with it."""
    hits = (estimate([rank <= 10 for rank in ranks]) for ranks in (base, fused))
    mrr = (estimate([1 / rank for rank in ranks]) for ranks in (base, fused))
    return Judged(*hits, *mrr)


def split_queries(right: Sequence[frozenset[str]]) -> tuple[list[int], list[int]]:
    """The places of queries that train and of those that judge; those for the same files stay together."""
    groups: dict[frozenset[str], list[int]] = {}
    for place, paths in enumerate(right):
        groups.setdefault(paths, []).append(place)
    shuffled = sorted(groups.values())
    random.Random(0).shuffle(shuffled)
    judge: list[int] = []
    while shuffled and len(judge) < HELD_OUT * len(right):
        judge += shuffled.pop()
    return sorted(place for group in shuffled for place in group), sorted(judge)
