"""From cosines to scores that mean the same for photos and for notes.

In a joint space a text lies nearer to any text than to any photo (the modality gap: Liang et al., "Mind the Gap",
2022), so raw cosines of different modalities cannot be compared. A cosine is therefore told as its distance from
the background of unrelated pairs, in standard deviations, and that as a score in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmsearch.encoding import Background, Calibration, FloatMatrix
from mmsearch.items import MODALITIES, Modality

# For a model without a calibration of its own: how far from the background a match lies, in standard deviations.
TYPICAL_MIDPOINT = 3.5
TYPICAL_SLOPE = 1.5
SAMPLE_ROWS = 1_000
# Where a modality has too few rows to be measured: typical of CLIP-style models.
TYPICAL = {
    ("text", "image"): (0.18, 0.03),
    ("image", "text"): (0.18, 0.03),
    ("text", "text"): (0.5, 0.1),
    ("image", "image"): (0.5, 0.1),
}
FEWEST_ROWS = 20


@dataclass(frozen=True)
class WeightedTerm:
    """A term of a query: its modality, the weight it has in the query's unit vector, and its own unit vector."""

    modality: Modality
    weight: float
    vector: FloatMatrix


def scores(cosines: npt.NDArray[np.float32], background: Background) -> npt.NDArray[np.float32]:
    """Calibrated scores in [0, 1], same shape; rising with the cosine. See `Background` for the formula."""
    away = (cosines.astype(np.float64) - background.mean) / background.std - background.midpoint
    logits = np.clip(background.slope * away, -60, 60)
    return (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)


def combined(calibration: Calibration, terms: Sequence[WeightedTerm], items: Modality) -> Background:
    """The background of a query vector that is the weighted sum of several unit term vectors.

    Its cosine with an item is the same sum of the terms' cosines. The means add up; so do the covariances, where the
    correlation of two terms' cosines with unrelated items is taken to be the cosine of the terms. A term given
    twice is thereby the same as given once. Midpoint and slope are averaged by weight.
    """
    pairs = [(term.weight, calibration[term.modality, items]) for term in terms]
    total = sum(abs(weight) for weight, _ in pairs)
    vectors = np.stack([term.vector for term in terms])
    deviations = np.array([weight * background.std for weight, background in pairs])
    variance = float(deviations @ (vectors @ vectors.T) @ deviations)
    return Background(
        mean=sum(weight * background.mean for weight, background in pairs),
        std=max(variance, 1e-12) ** 0.5,
        midpoint=sum(abs(weight) * background.midpoint for weight, background in pairs) / total,
        slope=sum(abs(weight) * background.slope for weight, background in pairs) / total,
    )


def measured(samples: dict[Modality, FloatMatrix]) -> Calibration:
    """A calibration read off a library's own vectors: its items stand for unrelated queries.

    `samples` holds, per modality, unit vectors, float32 [n, dimension], of items drawn at random.
    """
    calibration = {}
    for asked in MODALITIES:
        for answering in MODALITIES:
            mean, std = TYPICAL[asked, answering]
            queries, items = samples[asked], samples[answering]
            if min(len(queries), len(items)) >= FEWEST_ROWS:
                cosines = queries @ items.T
                # Pairs that are alike (a row with itself, copies, bursts) are no background: median and quartiles.
                low, mean, high = np.percentile(cosines, (25, 50, 75))
                std = max(float(high - low) / 1.349, 1e-3)
            calibration[asked, answering] = Background(float(mean), std, TYPICAL_MIDPOINT, TYPICAL_SLOPE)
    return calibration
