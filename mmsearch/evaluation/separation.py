"""How well calibrated scores tell hits from misses, and how often nonsense is told that nothing is close."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmsearch.encoding.query_bank import QueryBank
from mmsearch.evaluation.embedding import EmbeddedDataset
from mmsearch.evaluation.metrics import Estimate, estimate, roc_auc
from mmsearch.evaluation.retrieval import Direction
from mmsearch.records import Background, Calibration, FloatMatrix
from mmsearch.searching import scoring

# As many hits as a search shows.
SHOWN = 10
# Other nonsense than that which calibrates.
NONSENSE_SEED = 1
_MOST_MISSES = 2_000_000


@dataclass(frozen=True)
class Separation:
    """One direction at the threshold that a search would use: shares in [0, 1], `threshold` a calibrated score.

    Each query has a threshold of its own, of which that is the median. `roc_auc` is over the scores of all right and
    wrong pairs, None where none is wrong. `precision`, `recall` and `f1` are over all hits shown (at most ten a query,
    none below the threshold). `answered` queries are shown something, `refused` nonsense queries nothing; `hidden` is
    the share of right answers among the ten nearest that the threshold leaves out, None where there are none;
    `refused_absent` are class names asked of a gallery without their class, where there are labels.
    """

    direction: str
    threshold: float
    roc_auc: float | None
    precision: float
    recall: float
    f1: float
    answered: Estimate
    refused: Estimate
    hidden: Estimate | None
    refused_absent: Estimate | None


def separation(
    dataset: EmbeddedDataset, direction: Direction, known: Calibration, noise: FloatMatrix, nonsense: FloatMatrix
) -> Separation:
    """Measures a direction that is asked by text.

    Args:
        known: the calibration of the model that made the vectors.
        noise: vectors of the queries that calibrate, float32 [q, d].
        nonsense: vectors of other queries of random letters, float32 [p, d].
    """
    gallery = direction.gallery
    numbers = np.zeros(len(gallery), np.float16) if direction.numbers is None else direction.numbers
    blocks = {direction.answering: [(gallery.astype(np.float16), numbers)]}
    curve = scoring.refreshed(known, noise, blocks, dataset.query_bank)["text", direction.answering]
    bounds = _Bounds(curve, len(gallery), dataset.query_bank)
    first = _first(direction, bounds)
    shown, right = int(first.is_shown.sum()), int((first.is_shown & first.is_right).sum())
    precision, recall = right / max(1, shown), right / max(1, first.right_in_all)
    thresholds = scoring.scores(bounds.of(direction.queries).ravel(), curve)
    return Separation(
        direction=direction.name,
        threshold=float(np.median(thresholds)),
        roc_auc=roc_auc(first.hits, first.misses) if len(first.misses) else None,
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / max(1e-12, precision + recall),
        answered=estimate(first.is_shown.any(axis=1)),
        refused=estimate(bounds.refuse(nonsense, direction.cosines(nonsense))),
        hidden=estimate(~first.is_shown[first.is_right]) if first.is_right.any() else None,
        refused_absent=_refused_absent(dataset, direction, bounds) if direction.name == "label→image" else None,
    )


@dataclass(frozen=True)
class _Bounds:
    """What cosine is enough in a gallery of so many rows, by query."""

    curve: Background
    rows: int
    bank: QueryBank | None

    def of(self, queries: FloatMatrix) -> FloatMatrix:
        """Float32 [q, 1] for unit vectors [q, d]."""
        familiar = [None] * len(queries) if self.bank is None else self.bank.familiarity(queries).tolist()
        return np.array([[scoring.nothing_close(self.curve, self.rows, one)] for one in familiar], np.float32)

    def refuse(self, queries: FloatMatrix, cosines: FloatMatrix) -> npt.NDArray[np.bool_]:
        """Whether nothing is enough for the query, [q], given all cosines [q, n]."""
        return np.asarray((cosines <= self.of(queries)).all(axis=1))


@dataclass(frozen=True)
class _First:
    """The nearest ten of each query [q, 10]: whether they are shown, and right. Cosines of right and wrong pairs."""

    is_shown: npt.NDArray[np.bool_]
    is_right: npt.NDArray[np.bool_]
    hits: npt.NDArray[np.float32]
    misses: npt.NDArray[np.float32]
    right_in_all: int


def _first(direction: Direction, bounds: _Bounds) -> _First:
    shown: list[npt.NDArray[np.bool_]] = []
    right: list[npt.NDArray[np.bool_]] = []
    hits: list[npt.NDArray[np.float32]] = []
    misses: list[npt.NDArray[np.float32]] = []
    right_in_all, asked = 0, 0
    chance = np.random.default_rng(0)
    kept_share = min(1.0, _MOST_MISSES / max(1, len(direction.queries) * len(direction.gallery)))
    for cosines, relevant, left_out in direction.blocks():
        inside = np.ones_like(relevant) if left_out is None else ~left_out
        hits.append(cosines[relevant & inside])
        wrong = cosines[~relevant & inside]
        misses.append(wrong if kept_share == 1.0 else wrong[chance.random(len(wrong)) < kept_share])
        cosines = np.where(inside, cosines, -np.inf)
        first = _best(cosines)
        enough = bounds.of(direction.queries[asked : asked + len(cosines)])
        asked += len(cosines)
        shown.append(np.take_along_axis(cosines, first, axis=1) > enough)
        right.append(np.take_along_axis(relevant & inside, first, axis=1))
        right_in_all += int((relevant & inside).sum())
    return _First(
        np.concatenate(shown), np.concatenate(right), np.concatenate(hits), np.concatenate(misses), right_in_all
    )


def _best(cosines: FloatMatrix) -> npt.NDArray[np.int64]:
    """The places of the highest so many of each row, in no order."""
    if cosines.shape[1] <= SHOWN:
        return np.broadcast_to(np.arange(cosines.shape[1]), cosines.shape)
    return np.asarray(np.argpartition(-cosines, SHOWN, axis=1)[:, :SHOWN], np.int64)


def _refused_absent(dataset: EmbeddedDataset, direction: Direction, bounds: _Bounds) -> Estimate | None:
    """Each class asked for where its photos are taken away."""
    labelled = np.flatnonzero(dataset.labels >= 0)
    labels = dataset.labels[labelled]
    present = np.unique(labels)
    if len(present) < 2:
        return None
    cosines = direction.cosines(direction.queries)
    cosines[present[:, None] == labels] = -np.inf
    return estimate(bounds.refuse(direction.queries, cosines))
