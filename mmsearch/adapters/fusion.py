"""Learning what the scores of each channel are worth, from queries of which it is known what is right.

Channels are merged as if they told independently: a file is right if one of them says so rightly, `1 - (1 - v)(1 - w)`
(a noisy-or: Pearl, "Probabilistic Reasoning in Intelligent Systems", 1988). Its weights are found by expectation
maximisation, two steps by turns. Each right file is credited to the channels, as each has said that it is right. Then
each channel's weights are a logistic regression of these credits on its logits, by Newton's method. So vectors are not
blamed for what words have found, nor the other way round.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mmsearch.adapters.held_out import FEWEST_QUERIES, LISTED, Judged, judged_by, split_queries
from mmsearch.adapters.picture_weight import PictureReport, learn_picture_weight
from mmsearch.errors import Invalid, Refused, Remedy
from mmsearch.evaluation.datasets import Dataset
from mmsearch.evaluation.metrics import Estimate
from mmsearch.records import Progress
from mmsearch.searching.fusion import WORDS, ChannelWeights, Fusion, logits
from mmsearch.searching.merging import Told, together, told_by_words
from mmsearch.searching.query import Query, text_terms
from mmsearch.searching.session import Session
from mmsearch.searching.words import LEAST_WORD_SCORE

_ROUNDS, _STEPS = 30, 4
# As if so many pairs had said that scores are right as they are: few queries move them little.
_TRUST = 5.0
_LEAST_SLOPE = 0.05

Floats = npt.NDArray[np.float64]


class Answered(NamedTuple):
    """The files that answer one query, as they are merged without a fusion, and which of them are right."""

    told: tuple[Told, ...]
    right: tuple[bool, ...]


@dataclass(frozen=True)
class FusionReport:
    """How a fusion was learned and how it did on queries that were held out, without it and with it.

    `channels` are its weights; `mrr` is the mean reciprocal rank of the first file that is right. What was learned from
    captions and labels is None where there are too few of them, and `picture` where there are too few queries of a
    picture and words.
    """

    label: str
    dataset: str
    queries: int
    trained_on: int
    judged_on: int
    not_in_library: int
    seconds: float
    channels: Mapping[str, ChannelWeights]
    base_hits: Estimate | None
    fused_hits: Estimate | None
    base_mrr: Estimate | None
    fused_mrr: Estimate | None
    picture: PictureReport | None = None

    @property
    def judged(self) -> Judged | None:
        """How queries by words did that were held out; None where nothing was learned from such."""
        found = self.base_hits, self.fused_hits, self.base_mrr, self.fused_mrr
        return None if None in found else Judged(*(one for one in found if one is not None))

    @property
    def better(self) -> bool:
        """Whether held-out queries find more with some of what was learned."""
        return any(one.better for one in (self.judged, self.picture and self.picture.judged) if one)


class FusionRefused(Refused):
    """A fusion that was not kept, since held-out queries find no more with it; `report` tells how it did."""

    def __init__(self, message: str, report: FusionReport) -> None:
        super().__init__(message, Remedy("train.force"))
        self.report = report


def learn_fusion(
    session: Session, holds: Callable[[str], bool], dataset: Dataset, on_progress: Callable[[Progress], None]
) -> tuple[Fusion, FusionReport]:
    """Asks the library the captions and labels of a dataset, and its queries of a picture and words, and learns from
    what is right.

    `session` merges without a fusion; `holds` tells whether the library has a file. Captions of one file train or
    judge, never both.

    Raises:
        Invalid: too few of the files are in the library.
    """
    started = time.perf_counter()
    queries, missing = _queries_of(dataset, holds)
    picture = learn_picture_weight(session, holds, dataset, on_progress)
    fusion, report = Fusion({}), FusionReport("", dataset.name, 0, 0, 0, missing, 0.0, {}, None, None, None, None)
    if len(queries) >= FEWEST_QUERIES:
        fusion, report = _of_channels(session, dataset.name, queries, missing, on_progress)
    elif picture is None:
        raise Invalid(
            f"{dataset.name} has {len(queries):,} queries for files of this library; {FEWEST_QUERIES} are needed.",
            Remedy("train.data"),
        )
    weight = 1.0 if picture is None else picture.weight
    report = replace(report, seconds=time.perf_counter() - started, picture=picture)
    return Fusion(fusion.channels, weight), report


def what_helps(fusion: Fusion, report: FusionReport) -> Fusion:
    """What of a fusion let held-out queries find more; the rest is as it is without."""
    helps_words = report.judged is not None and report.judged.better
    helps_pictures = report.picture is not None and report.picture.judged.better
    return Fusion(fusion.channels if helps_words else {}, fusion.picture_weight if helps_pictures else 1.0)


def _of_channels(
    session: Session,
    name: str,
    queries: Mapping[str, frozenset[str]],
    missing: int,
    on_progress: Callable[[Progress], None],
) -> tuple[Fusion, FusionReport]:
    answered: list[Answered] = []
    for place, (text, right) in enumerate(queries.items()):
        told = session.told(Query(tuple(text_terms(text)), limit=LISTED, min_score=0.0))
        are_right = tuple(not right.isdisjoint(paths) for paths, _ in told)
        answered.append(Answered(tuple(one for _, one in told), are_right))
        on_progress(Progress("asking", place + 1, len(queries), "queries"))
    train, judge = split_queries(list(queries.values()))
    fusion = fitted([answered[place] for place in train])
    base, fused = ([_first_right(answered[place], one) for place in judge] for one in (None, fusion))
    judged = judged_by(base, fused)
    report = FusionReport("", name, len(queries), len(train), len(judge), missing, 0.0, fusion.channels, *judged)
    return fusion, report


def refuse_no_better(report: FusionReport) -> None:
    """Raises FusionRefused for a fusion that helps nothing or does harm."""
    if not report.better:
        judged = report.judged or (report.picture and report.picture.judged)
        assert judged is not None
        raise FusionRefused(
            f"Held-out queries find no more with what was learned (R@10 {100 * judged.fused_hits.value:.1f} % instead "
            f"of {100 * judged.base_hits.value:.1f} %, MRR {judged.fused_mrr.value:.3f} instead of "
            f"{judged.base_mrr.value:.3f}), so it was not kept.",
            report,
        )


def fitted(answered: Sequence[Answered]) -> Fusion:
    """The fusion under which what is right is most likely."""
    told = [one for of_query in answered for one in of_query.told]
    right = np.array([one for of_query in answered for one in of_query.right], bool)
    names = np.array([one.modality for one in told])
    by_vector = logits(np.array([one.by_vector for one in told]))
    by_words = logits(np.array([one.by_words for one in told]))
    has_words = np.array([one.by_words >= LEAST_WORD_SCORE for one in told], bool)
    members = {name: (names == name, by_vector) for name in sorted({*names.tolist()} - {""})}
    members[WORDS] = (has_words, by_words)
    weights = {name: np.array([1.0, 0.0]) for name, (some, _) in members.items() if some.any()}
    for _ in range(_ROUNDS):
        says = {name: _says(weights[name], members[name]) for name in weights}
        merged = 1 - np.prod([1 - one for one in says.values()], axis=0)
        for name in weights:
            some, values = members[name]
            thanks = np.where(right, says[name] / np.maximum(merged, 1e-9), 0.0)
            weights[name] = _regressed(values[some], thanks[some], weights[name])
    return Fusion({name: ChannelWeights(float(slope), float(shift)) for name, (slope, shift) in weights.items()})


def _says(weights: Floats, member: tuple[npt.NDArray[np.bool_], Floats]) -> Floats:
    """How probable a channel says that each file is right; 0 where it says nothing."""
    some, values = member
    return np.where(some, 1 / (1 + np.exp(-np.clip(weights[0] * values + weights[1], -60, 60))), 0.0)


def _regressed(values: Floats, target: Floats, weights: Floats) -> Floats:
    """Slope and shift, by Newton's method from those that are known, drawn to 1 and 0."""
    columns = np.stack([values, np.ones_like(values)], axis=1)
    prior = np.array([1.0, 0.0])
    for _ in range(_STEPS):
        says = 1 / (1 + np.exp(-np.clip(columns @ weights, -60, 60)))
        slope = columns.T @ (says - target) + _TRUST * (weights - prior)
        curve = (columns * (says * (1 - says))[:, np.newaxis]).T @ columns + _TRUST * np.eye(2)
        step = np.clip(np.linalg.solve(curve, slope), -1, 1)  # far from the best Newton's steps go too far
        if weights[0] - step[0] < _LEAST_SLOPE:  # the slope stays at its least, and the shift alone goes on
            step = np.array([weights[0] - _LEAST_SLOPE, np.clip(slope[1] / curve[1, 1], -1, 1)])
        weights = weights - step
    return weights


def _queries_of(dataset: Dataset, holds: Callable[[str], bool]) -> tuple[dict[str, frozenset[str]], int]:
    """By query the files that are right, and how many files are not in the library."""
    right: dict[str, set[str]] = {}
    missing = 0
    for example in dataset.examples:
        if not holds(example.path):
            missing += 1
            continue
        for text in (*example.captions, *([example.label] if example.label else ())):
            right.setdefault(text, set()).add(os.path.abspath(example.path))
    return {text: frozenset(paths) for text, paths in right.items()}, missing


def _first_right(answered: Answered, fusion: Fusion | None) -> float:
    """The rank of the first file that is right; infinite where none is."""
    order = range(len(answered.told)) if fusion is None else _reordered(answered.told, fusion)
    return next((float(rank) for rank, place in enumerate(order, start=1) if answered.right[place]), float("inf"))


def _reordered(told: Sequence[Told], fusion: Fusion) -> Iterator[int]:
    """The places of files, best first, as they are merged by a fusion; of equal ones in the order of before."""

    def score(one: Told) -> float:
        return together(fusion.moved_one(one.modality, one.by_vector), told_by_words(one.by_words, fusion=fusion))

    return iter(sorted(range(len(told)), key=lambda place: (-score(told[place]), place)))
