"""How well a ranking finds what is relevant, with the uncertainty of each number.

Relevance is binary. Every retrieval metric is derived from the ranks of a query's relevant items, counted from 1;
how many queries, items and relevant items there are does not matter. Means over queries come with an interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Ranks = Sequence[npt.NDArray[np.int64]]
"""Per query the ascending ranks of its relevant items, int64 [number of relevant items], the first rank being 1."""

# Resampled queries held at once by a bootstrap: 8 bytes each, in three arrays.
_RESAMPLED_AT_ONCE = 4_000_000
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over queries, and the bounds of its 95 % interval; all three in the metric's unit."""

    value: float
    low: float
    high: float


def relevant_ranks(scores: Scores, relevant: Flags, left_out: Flags | None = None) -> list[npt.NDArray[np.int64]]:
    """Per query the ascending 1-based ranks of its relevant items, when the items are sorted by falling score.

    Ties count against the query: an irrelevant item stands before a relevant one of the same score, so that a model
    that gives all items one score is not rewarded. Relevant items of one score have consecutive ranks.

    Args:
        scores: float32 [q, n], a row per query; higher is nearer. Infinities are allowed.
        relevant: bool [q, n].
        left_out: bool [q, n], items that are not in the query's gallery (the query itself); they take no rank.

    Returns:
        q arrays int64 [number of the query's relevant items in its gallery].

    Raises:
        ValueError: shapes that differ, a score that is no number, or a query without relevant items.
    """
    if scores.shape != relevant.shape or (left_out is not None and left_out.shape != scores.shape):
        raise ValueError("scores, relevant and left_out have different shapes")
    ranks = []
    for row in range(len(scores)):
        own, rest = relevant[row], ~relevant[row]
        if left_out is not None:
            own, rest = own & ~left_out[row], rest & ~left_out[row]
        if not own.any():
            raise ValueError(f"query {row} has no relevant items")
        ranks.append(_ranks_of_one(scores[row, own], scores[row, rest]))
    return ranks


def _ranks_of_one(relevant: Scores, irrelevant: Scores) -> npt.NDArray[np.int64]:
    """The ascending ranks of `relevant` scores [m] among themselves and `irrelevant` ones [n - m]."""
    if np.isnan(relevant).any() or np.isnan(irrelevant).any():
        raise ValueError("a score is not a number")
    rising = np.sort(relevant)
    # An irrelevant item stands before the relevant ones of its own score and of lower ones: the first so many.
    passed = np.bincount(np.searchsorted(rising, irrelevant, side="right"), minlength=len(rising) + 1)
    before = passed[1:][::-1].cumsum()
    return np.asarray(before + np.arange(1, len(rising) + 1), dtype=np.int64)


@dataclass(frozen=True)
class _Flat:
    """The ranks of all queries in a row: `rank` and the `query` it is of, int64 [all]; `counts` per query, [q]."""

    rank: npt.NDArray[np.int64]
    query: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]

    @property
    def first(self) -> npt.NDArray[np.int64]:
        """The rank of each query's best relevant item, int64 [q]."""
        found: npt.NDArray[np.int64] = self.rank[self.counts.cumsum() - self.counts]
        return found

    @property
    def nth(self) -> npt.NDArray[np.int64]:
        """The how many-th relevant item of its query each one is, from 1, int64 [all]."""
        return np.arange(1, len(self.rank) + 1) - np.repeat(self.counts.cumsum() - self.counts, self.counts)

    def summed(self, amounts: npt.NDArray[np.floating | np.integer | np.bool_]) -> Floats:
        """The sum of `amounts` [all] per query, float64 [q]."""
        return np.bincount(self.query, weights=amounts, minlength=len(self.counts)).astype(np.float64)


def _flat(ranks: Ranks, k: int = 1) -> _Flat:
    counts = np.array([len(of_query) for of_query in ranks], dtype=np.int64)
    if k < 1:
        raise ValueError(f"k is {k}; it is 1 or more")
    if not counts.all():
        raise ValueError(f"query {int(counts.argmin())} has no relevant items")
    rank = np.concatenate(ranks) if len(counts) else np.empty(0, np.int64)
    return _Flat(rank, np.repeat(np.arange(len(counts)), counts), counts)


def hit_at(ranks: Ranks, k: int) -> Floats:
    """1 where a relevant item is among the first k, else 0; float64 [q].

    Its mean is what papers on CLIP and on captions call recall at k, R@k: Young et al., "From image descriptions to
    visual denotations", 2014; Karpathy and Fei-Fei, "Deep visual-semantic alignments", 2015.

    Raises:
        ValueError: a query has no relevant items, or k is below 1. So it is with all metrics here.
    """
    return (_flat(ranks, k).first <= k).astype(np.float64)


def precision_at(ranks: Ranks, k: int) -> Floats:
    """Share of relevant items among the first k, float64 [q]; a gallery of fewer than k items does not change k.

    Manning, Raghavan and Schütze, "Introduction to Information Retrieval", 2008, section 8.4.
    """
    flat = _flat(ranks, k)
    return flat.summed(flat.rank <= k) / k


def recall_at(ranks: Ranks, k: int) -> Floats:
    """Share of the relevant items that are among the first k, float64 [q].

    Manning, Raghavan and Schütze, "Introduction to Information Retrieval", 2008, section 8.3.
    """
    flat = _flat(ranks, k)
    return flat.summed(flat.rank <= k) / flat.counts


def f1_at(ranks: Ranks, k: int) -> Floats:
    """Harmonic mean of precision and recall at k, float64 [q]; 0 where both are.

    With h hits and m relevant items, 2PR / (P + R) = 2h / (k + m). Van Rijsbergen, "Information Retrieval", 1979.
    """
    flat = _flat(ranks, k)
    return 2 * flat.summed(flat.rank <= k) / (k + flat.counts)


def reciprocal_rank(ranks: Ranks) -> Floats:
    """1 / the rank of the first relevant item, float64 [q]; its mean is the MRR.

    Voorhees, "The TREC-8 Question Answering Track Report", 1999.
    """
    return 1.0 / _flat(ranks).first


def average_precision(ranks: Ranks) -> Floats:
    """Mean over the relevant items of the precision at each one's rank, float64 [q]; its mean is the MAP of TREC.

    Not interpolated and not cut off. Manning, Raghavan and Schütze, "Introduction to Information Retrieval", 2008,
    section 8.4.
    """
    flat = _flat(ranks)
    return flat.summed(flat.nth / flat.rank) / flat.counts


def ndcg_at(ranks: Ranks, k: int) -> Floats:
    """Normalised discounted cumulated gain of the first k, float64 [q].

    Σ 1 / log2(1 + rank) over the relevant items among the first k, divided by the same sum for the best possible
    ranking. Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002, with gain 1; the
    discount log2(1 + rank), which also tells rank 1 from rank 2, is that of Burges et al., "Learning to rank using
    gradient descent", 2005.
    """
    flat = _flat(ranks, k)
    gained = flat.summed(np.where(flat.rank <= k, 1 / np.log2(1 + flat.rank), 0))
    ideal = flat.summed(np.where(flat.nth <= k, 1 / np.log2(1 + flat.nth), 0))
    return gained / ideal


def estimate(
    per_query: npt.ArrayLike, *, seed: int = 0, draws: int = 1000, groups: npt.ArrayLike | None = None
) -> Estimate:
    """The mean over queries, with a percentile bootstrap interval of 95 %.

    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. Queries of one group (the captions of
    one photo) are resampled together, because they succeed and fail together: the cluster bootstrap, Davison and
    Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.

    Args:
        per_query: a metric of each query, float [q].
        seed: the same seed gives the same interval.
        draws: how many times the queries are resampled.
        groups: which group each query is of, int [q], any numbers; None: each query is a group of its own.

    Raises:
        ValueError: no queries, no draws, or not one group per query.
    """
    values = np.asarray(per_query, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError("per_query has one number per query")
    return _estimates(values[:, None], groups, seed, draws)[0]


def _estimates(values: Floats, groups: npt.ArrayLike | None, seed: int = 0, draws: int = 1000) -> list[Estimate]:
    """One estimate per column of `values` [q, metrics]; all columns share the resamples."""
    if not len(values) or draws < 1:
        raise ValueError("an estimate needs at least one query and one draw")
    sums = values
    sizes: npt.NDArray[np.float64] = np.ones(len(values))
    if groups is not None:
        if np.shape(groups) != (len(values),):
            raise ValueError("groups has one number per query")
        group = np.unique(groups, return_inverse=True)[1]
        sizes = np.bincount(group).astype(np.float64)
        sums = np.stack([np.bincount(group, weights=column) for column in values.T], axis=1)
    tail = 50 * (1 - _CONFIDENCE)
    lows, highs = np.percentile(_resampled_means(sums, sizes, seed, draws), (tail, 100 - tail), axis=0)
    # Only rounding, or very few draws, could place the mean outside.
    return [
        Estimate(value, min(low, value), max(high, value))
        for value, low, high in zip(values.mean(0).tolist(), lows.tolist(), highs.tolist(), strict=True)
    ]


def _resampled_means(sums: Floats, sizes: Floats, seed: int, draws: int) -> Floats:
    """Means [draws, metrics] over groups drawn with replacement; `sums` [g, metrics] and `sizes` [g] per group."""
    chance, groups = np.random.default_rng(seed), len(sums)
    at_once = max(1, _RESAMPLED_AT_ONCE // groups)
    means = []
    for start in range(0, draws, at_once):
        rows = min(at_once, draws - start)
        drawn = chance.integers(0, groups, (rows, groups))
        drawn += np.arange(rows)[:, None] * groups
        # How often each group was drawn: one matrix product then serves all metrics.
        times = np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups).astype(np.float64)
        means.append((times @ sums) / (times @ sizes)[:, None])
    return np.concatenate(means)


def roc_auc(positives: npt.ArrayLike, negatives: npt.ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive's score is above a negative's, ties counted half.

    By the rank-sum statistic: Hanley and McNeil, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", 1982. O((p + n) log n) time, so that millions of negatives are no trouble.

    Args:
        positives: scores of related pairs, float [p].
        negatives: scores of unrelated pairs, float [n].

    Raises:
        ValueError: one of them is empty or holds something that is no number.
    """
    above, below = np.ravel(positives), np.sort(np.ravel(negatives))
    if not len(above) or not len(below):
        raise ValueError("the area under the ROC curve needs positives and negatives")
    if np.isnan(above).any() or np.isnan(below[-1]):
        raise ValueError("a score is not a number")
    beaten = int(np.searchsorted(below, above, side="left").sum())
    beaten_or_equal = int(np.searchsorted(below, above, side="right").sum())
    return (beaten + beaten_or_equal) / (2 * len(above) * len(below))


def retrieval_metrics(
    ranks: Ranks, ks: Sequence[int] = (1, 5, 10), groups: npt.ArrayLike | None = None
) -> dict[str, Estimate]:
    """All metrics of a retrieval: R@k, MRR, MAP, nDCG@10, and P@k, recall@k, F1@k, for each k; shares in [0, 1].

    R@k is the share of queries with a hit (`hit_at`), recall@k the share of relevant items found (`recall_at`).
    See `estimate` for the intervals and for `groups`.

    Raises:
        ValueError: there are no queries, or one has no relevant items.
    """
    per_query = {f"R@{k}": hit_at(ranks, k) for k in ks}
    per_query |= {"MRR": reciprocal_rank(ranks), "MAP": average_precision(ranks), "nDCG@10": ndcg_at(ranks, 10)}
    per_query |= {f"P@{k}": precision_at(ranks, k) for k in ks}
    per_query |= {f"recall@{k}": recall_at(ranks, k) for k in ks}
    per_query |= {f"F1@{k}": f1_at(ranks, k) for k in ks}
    estimates = _estimates(np.stack(list(per_query.values()), axis=1), groups)
    return dict(zip(per_query, estimates, strict=True))
