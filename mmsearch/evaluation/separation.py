"""How well calibrated scores tell hits from misses, and how often nonsense is told that nothing is close."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmsearch.evaluation.embedding import EmbeddedDataset
from mmsearch.evaluation.metrics import Estimate, estimate, roc_auc
from mmsearch.evaluation.retrieval import Direction
from mmsearch.records import Calibration, FloatMatrix
from mmsearch.searching import scoring as calibration

# As many hits as a search shows.
SHOWN = 10
# Other nonsense than that which calibrates.
NONSENSE_SEED = 1
_MOST_MISSES = 2_000_000


@dataclass(frozen=True)
class Separation:
    """One direction at the threshold that a search would use: shares in [0, 1], `threshold` a calibrated score.

    `roc_auc` is over the scores of all right and wrong pairs, None where none is wrong. `precision`, `recall` and
    `f1` are over all hits shown (at most ten a query, none below the threshold). `answered` queries are shown
    something, `refused` nonsense queries nothing; `refused_absent` are class names asked of a gallery without their
    class, where there are labels.
    """

    direction: str
    threshold: float
    roc_auc: float | None
    precision: float
    recall: float
    f1: float
    answered: Estimate
    refused: Estimate
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
    curves = calibration.refreshed(known, noise, {direction.answering: [(gallery.astype(np.float16), numbers)]})
    curve = curves["text", direction.answering]
    bound = calibration.nothing_close(curve, len(gallery))
    shown = right = relevant_in_all = 0
    answered: list[npt.NDArray[np.bool_]] = []
    hits: list[npt.NDArray[np.float32]] = []
    misses: list[npt.NDArray[np.float32]] = []
    chance = np.random.default_rng(0)
    kept_share = min(1.0, _MOST_MISSES / max(1, len(direction.queries) * len(gallery)))
    for cosines, relevant, left_out in direction.blocks():
        inside = np.ones_like(relevant) if left_out is None else ~left_out
        hits.append(cosines[relevant & inside])
        wrong = cosines[~relevant & inside]
        misses.append(wrong if kept_share == 1.0 else wrong[chance.random(len(wrong)) < kept_share])
        cosines = np.where(inside, cosines, -np.inf)
        first = _best(cosines)
        close = np.take_along_axis(cosines, first, axis=1) > bound
        shown += int(close.sum())
        right += int((close & np.take_along_axis(relevant, first, axis=1)).sum())
        relevant_in_all += int((relevant & inside).sum())
        answered.append(np.asarray(close.any(axis=1)))
    unrelated = np.concatenate(misses)
    precision, recall = right / max(1, shown), right / max(1, relevant_in_all)
    return Separation(
        direction=direction.name,
        threshold=float(calibration.scores(np.array([bound], np.float32), curve)[0]),
        roc_auc=roc_auc(np.concatenate(hits), unrelated) if len(unrelated) else None,
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / max(1e-12, precision + recall),
        answered=estimate(np.concatenate(answered)),
        refused=estimate(direction.cosines(nonsense).max(axis=1) <= bound),
        refused_absent=_refused_absent(dataset, direction, bound) if direction.name == "label→image" else None,
    )


def _best(cosines: FloatMatrix) -> npt.NDArray[np.int64]:
    """The places of the highest so many of each row, in no order."""
    if cosines.shape[1] <= SHOWN:
        return np.broadcast_to(np.arange(cosines.shape[1]), cosines.shape)
    return np.asarray(np.argpartition(-cosines, SHOWN, axis=1)[:, :SHOWN], np.int64)


def _refused_absent(dataset: EmbeddedDataset, direction: Direction, bound: float) -> Estimate | None:
    """Each class asked for where its photos are taken away."""
    labelled = np.flatnonzero(dataset.labels >= 0)
    labels = dataset.labels[labelled]
    present = np.unique(labels)
    if len(present) < 2:
        return None
    cosines = direction.cosines(direction.queries)
    cosines[present[:, None] == labels] = -np.inf
    return estimate(cosines.max(axis=1) <= bound)
