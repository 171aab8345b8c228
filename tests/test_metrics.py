"""How well a ranking finds what is relevant: worked examples, another library's answers, and the intervals."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

from mmsearch.evaluation.metrics import (
    Estimate,
    average_precision,
    estimate,
    f1_at,
    hit_at,
    ndcg_at,
    precision_at,
    recall_at,
    reciprocal_rank,
    relevant_ranks,
    retrieval_metrics,
    roc_auc,
)


def ranks_of(*queries: list[int]) -> list[npt.NDArray[np.int64]]:
    return [np.array(query, dtype=np.int64) for query in queries]


def ranks_in_row(scores: list[float], relevant: list[int], left_out: list[int] | None = None) -> list[int]:
    row = np.array([scores], np.float32)
    absent = None if left_out is None else np.array([left_out], bool)
    return [int(rank) for rank in relevant_ranks(row, np.array([relevant], bool), absent)[0]]


def test_ranks_are_counted_from_1_by_falling_score() -> None:
    assert ranks_in_row([0.1, 0.9, 0.5, 0.7], [0, 1, 0, 0]) == [1]
    assert ranks_in_row([0.1, 0.9, 0.5, 0.7], [1, 0, 1, 0]) == [3, 4]
    assert ranks_in_row([0.1, 0.9, 0.5, 0.7], [1, 1, 1, 1]) == [1, 2, 3, 4]


def test_ties_count_against_the_query() -> None:
    assert ranks_in_row([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0]) == [4]
    # 0.9 is irrelevant; of the four items of 0.5 the two irrelevant ones come first, so the relevant are 4th and 5th.
    assert ranks_in_row([0.5, 0.5, 0.5, 0.5, 0.9, 0.1], [1, 0, 1, 0, 0, 1]) == [4, 5, 6]


def test_infinite_scores_are_ranked_and_no_number_is_refused() -> None:
    assert ranks_in_row([-math.inf, math.inf, 0.0], [1, 0, 1]) == [2, 3]
    for scores in ([math.nan, 0.5], [0.5, math.nan]):
        with pytest.raises(ValueError, match="not a number"):
            ranks_in_row(scores, [1, 0])


def test_what_is_left_out_of_the_gallery_takes_no_rank() -> None:
    # A photo looks for its like: it is itself the nearest, and is neither a hit nor in the way.
    assert ranks_in_row([1.0, 0.8, 0.7, 0.3], [1, 0, 1, 0], left_out=[1, 0, 0, 0]) == [2]
    assert ranks_in_row([0.9, 0.8], [0, 1], left_out=[1, 0]) == [1]


def test_each_query_has_ranks_of_its_own() -> None:
    scores = np.array([[3, 2, 1], [1, 2, 3]], np.float32)
    relevant = np.array([[1, 0, 0], [1, 1, 0]], bool)
    assert [found.tolist() for found in relevant_ranks(scores, relevant)] == [[1], [2, 3]]
    assert relevant_ranks(scores, relevant)[0].dtype == np.int64


def test_a_query_without_anything_to_find_is_refused() -> None:
    with pytest.raises(ValueError, match="query 0 has no relevant items"):
        ranks_in_row([0.5, 0.4], [0, 0])
    with pytest.raises(ValueError, match="query 0 has no relevant items"):
        ranks_in_row([0.5, 0.4], [1, 0], left_out=[1, 0])
    with pytest.raises(ValueError, match="shapes"):
        relevant_ranks(np.zeros((1, 2), np.float32), np.zeros((2, 1), bool))
    without = ranks_of([1], [])
    for metric in (hit_at, precision_at, recall_at, f1_at, ndcg_at):
        with pytest.raises(ValueError, match="query 1 has no relevant items"):
            metric(without, 5)
        with pytest.raises(ValueError, match="k is 0"):
            metric(ranks_of([1]), 0)
    for uncut in (reciprocal_rank, average_precision):
        with pytest.raises(ValueError, match="query 1 has no relevant items"):
            uncut(without)


@given(
    arrays(np.float32, 12, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    arrays(np.bool_, 12).filter(lambda relevant: bool(relevant.any())),
    arrays(np.bool_, 12),
)
def test_ranks_are_those_of_a_sort_with_the_irrelevant_first(
    scores: npt.NDArray[np.float32], relevant: npt.NDArray[np.bool_], left_out: npt.NDArray[np.bool_]
) -> None:
    if not (relevant & ~left_out).any():
        return
    gallery = [item for item in range(12) if not left_out[item]]
    order = sorted(gallery, key=lambda item: (-scores[item], relevant[item]))
    expected = [rank for rank, item in enumerate(order, start=1) if relevant[item]]
    assert relevant_ranks(scores[None], relevant[None], left_out[None])[0].tolist() == expected


# Three relevant items found at ranks 1, 3 and 12; one found at rank 2; one found at rank 6.
WORKED = ranks_of([1, 3, 12], [2], [6])


@pytest.mark.parametrize(
    ("metric", "k", "expected"),
    [
        (hit_at, 1, [1, 0, 0]),
        (hit_at, 5, [1, 1, 0]),
        (precision_at, 1, [1, 0, 0]),
        (precision_at, 5, [2 / 5, 1 / 5, 0]),
        (recall_at, 1, [1 / 3, 0, 0]),
        (recall_at, 5, [2 / 3, 1, 0]),
        (recall_at, 12, [1, 1, 1]),
        # 2PR / (P + R): 2 (2/5)(2/3) / (2/5 + 2/3) = (8/15) / (16/15) = 1/2; 2 (1/5)(1) / (1/5 + 1) = 1/3; 0.
        (f1_at, 5, [1 / 2, 1 / 3, 0]),
        # (1/log2(2) + 1/log2(4)) / (1/log2(2) + 1/log2(3) + 1/log2(4)) = 1.5 / 2.13093; 1/log2(3); beyond 5.
        (ndcg_at, 5, [1.5 / 2.1309297535714578, 0.6309297535714575, 0]),
        # With k = 1 the best possible is one relevant item, 1/log2(2).
        (ndcg_at, 1, [1, 0, 0]),
        # 1/log2(7)
        (ndcg_at, 10, [1.5 / 2.1309297535714578, 0.6309297535714575, 0.35620718710802218]),
    ],
)
def test_worked_examples(metric: Callable[..., npt.NDArray[np.float64]], k: int, expected: list[float]) -> None:
    found = metric(WORKED, k)
    assert found.tolist() == pytest.approx(expected)
    assert found.dtype == np.float64


def test_worked_examples_of_the_whole_ranking() -> None:
    assert reciprocal_rank(WORKED).tolist() == pytest.approx([1, 1 / 2, 1 / 6])
    # (1/1 + 2/3 + 3/12) / 3 = (12 + 8 + 3) / 36 = 23/36; 1/2; 1/6
    assert average_precision(WORKED).tolist() == pytest.approx([23 / 36, 1 / 2, 1 / 6])


@st.composite
def distinct_scores(draw: st.DrawFn) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Scores [1, n] without ties, and which are relevant: at least one, and not all."""
    size = draw(st.integers(2, 40))
    order = draw(st.permutations(range(size)))
    relevant = draw(st.lists(st.booleans(), min_size=size, max_size=size).filter(lambda flags: len(set(flags)) == 2))
    return np.array([order], dtype=np.float32), np.array([relevant], dtype=np.bool_)


@given(distinct_scores(), st.integers(1, 45))
def test_scikit_learn_agrees_where_there_are_no_ties(
    query: tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]], k: int
) -> None:
    scores, relevant = query
    ranks = relevant_ranks(scores, relevant)
    assert average_precision(ranks)[0] == pytest.approx(average_precision_score(relevant[0], scores[0]))
    assert ndcg_at(ranks, k)[0] == pytest.approx(ndcg_score(relevant, scores, k=k))
    auc = roc_auc(scores[relevant], scores[~relevant])
    assert auc == pytest.approx(roc_auc_score(relevant[0], scores[0]))


def test_area_under_the_curve_worked() -> None:
    # 0.9 is above 0.1, 0.5 and 0.7: 3. 0.5 is above 0.1 and equal to 0.5: 1.5. Together 4.5 of 6 pairs.
    assert roc_auc([0.9, 0.5], [0.1, 0.5, 0.7]) == 0.75
    assert roc_auc([0.5, 0.5], [0.5]) == 0.5
    assert roc_auc([1.0], [0.0]) == 1.0
    assert roc_auc([0.0], [1.0]) == 0.0


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
def test_scikit_learn_agrees_on_ties_under_the_curve(positives: list[int], negatives: list[int]) -> None:
    known = roc_auc_score([1] * len(positives) + [0] * len(negatives), positives + negatives)
    assert roc_auc(positives, negatives) == pytest.approx(known)


def test_the_area_of_millions_of_pairs() -> None:
    negatives = np.arange(3_000_000, dtype=np.float32) / 4_000_000
    # Above all of them, above none of them, and in their midst.
    assert roc_auc([1.0, -1.0, 0.375], negatives) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize(
    ("positives", "negatives"), [([], [1.0]), ([1.0], []), ([math.nan], [1.0]), ([1.0], [math.nan])]
)
def test_an_area_needs_numbers_on_both_sides(positives: list[float], negatives: list[float]) -> None:
    with pytest.raises(ValueError, match=r"positives and negatives|not a number"):
        roc_auc(positives, negatives)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 2**32))
def test_an_interval_holds_its_value(per_query: list[float], seed: int) -> None:
    found = estimate(per_query, seed=seed, draws=50)
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(np.mean(per_query))
    assert min(per_query) - 1e-9 <= found.low
    assert found.high <= max(per_query) + 1e-9


def test_an_interval_is_that_of_the_binomial_and_shrinks_with_more_queries() -> None:
    few, many = (estimate([0, 1] * half) for half in (50, 5_000))
    # Half of n queries succeed: the standard error is 0.5 / √n and the interval 1.96 of them to each side.
    assert few.high - few.low == pytest.approx(2 * 1.96 * 0.5 / 10, rel=0.1)
    assert many.high - many.low == pytest.approx(2 * 1.96 * 0.5 / 100, rel=0.1)


def test_a_seed_gives_one_interval_and_another_seed_another() -> None:
    per_query = np.random.default_rng(1).random(200)
    assert estimate(per_query, seed=3) == estimate(per_query, seed=3)
    assert estimate(per_query, seed=3) != estimate(per_query, seed=4)


def test_captions_of_one_photo_are_no_independent_queries() -> None:
    photos = np.random.default_rng(2).integers(0, 2, 100)
    alone = estimate(photos)
    per_caption = np.repeat(photos, 5)
    naive = estimate(per_caption)
    grouped = estimate(per_caption, groups=np.repeat(np.arange(100) * 7 + 1_000, 5))
    # Five identical captions each: nothing more is known than from one.
    assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high))
    assert naive.high - naive.low < 0.6 * (grouped.high - grouped.low)
    assert grouped.value == naive.value


def test_photos_with_more_captions_weigh_more() -> None:
    found = estimate([1, 1, 1, 0], groups=[0, 0, 0, 1])
    # Two photos, drawn twice: (3 + 0) / 4 queries, or one of them twice, 6/6 or 0/2.
    assert found == Estimate(0.75, 0.0, 1.0)


def test_many_queries_are_resampled_in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    per_query = np.random.default_rng(3).random(500)
    whole = estimate(per_query, draws=200)
    monkeypatch.setattr("mmsearch.evaluation.metrics._RESAMPLED_AT_ONCE", 1_700)
    parts = estimate(per_query, draws=200)
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high))


def test_an_estimate_needs_queries_draws_and_a_group_for_each() -> None:
    with pytest.raises(ValueError, match="at least one"):
        estimate([])
    with pytest.raises(ValueError, match="at least one"):
        estimate([1.0], draws=0)
    with pytest.raises(ValueError, match="groups"):
        estimate([1.0, 0.0], groups=[1])
    with pytest.raises(ValueError, match="one number per query"):
        estimate([[1.0, 0.0]])


def test_all_metrics_of_a_retrieval() -> None:
    found = retrieval_metrics(WORKED, ks=(1, 5), groups=[0, 1, 1])
    assert list(found) == ["R@1", "R@5", "MRR", "MAP", "nDCG@10", "P@1", "P@5", "recall@1", "recall@5", "F1@1", "F1@5"]
    assert found["R@5"].value == pytest.approx(2 / 3)
    assert found["recall@5"].value == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["P@5"].value == pytest.approx((2 + 1 + 0) / 15)
    assert found["F1@5"].value == pytest.approx((1 / 2 + 1 / 3) / 3)
    assert found["MRR"].value == pytest.approx((1 + 1 / 2 + 1 / 6) / 3)
    assert found["MAP"].value == pytest.approx((23 / 36 + 1 / 2 + 1 / 6) / 3)
    alone = estimate(reciprocal_rank(WORKED), groups=[0, 1, 1])
    assert (found["MRR"].low, found["MRR"].high) == pytest.approx((alone.low, alone.high))
    assert "R@10" in retrieval_metrics(WORKED)
    with pytest.raises(ValueError, match="at least one"):
        retrieval_metrics([])


def test_a_perfect_ranking_has_the_best_of_each() -> None:
    found = retrieval_metrics(ranks_of([1], [1], [1]))
    for name in ("R@1", "MRR", "MAP", "nDCG@10", "P@1", "recall@10", "F1@1"):
        assert found[name] == Estimate(1.0, 1.0, 1.0)
    assert found["P@5"].value == pytest.approx(0.2)
