"""From cosines to scores that mean the same for photos and for notes.

In a joint space a text lies nearer to any text than to any photo (the modality gap: Liang et al., "Mind the Gap",
2022), so raw cosines of different modalities cannot be compared. A cosine is therefore told as its distance from
the background of unrelated pairs, in standard deviations, and that as a score in [0, 1].

A query that asks for nothing there is has a nearest item too. How near that is depends on the model, on the library and
on how many items it has: it is measured with queries of random letters, and what is no nearer is no answer. Random
letters are unlike all that people ask: a query that is more like the texts of the query bank (its *familiarity*)
needs less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mmsearch.encoding.calibration import TYPICAL_ACROSS, TYPICAL_OF_SOUND
from mmsearch.records import Background, Calibration, FloatMatrix, HalfMatrix, Modality

if TYPE_CHECKING:
    from mmsearch.encoding.query_bank import QueryBank
    from mmsearch.searching.weighted_terms import WeightedTerm

# For a model without a calibration of its own: how far from the background a match lies, in standard deviations.
TYPICAL_MIDPOINT = 3.5
TYPICAL_SLOPE = 1.5
SAMPLE_ROWS = 1_000
# Where nothing was measured, mean and deviation that are typical of CLIP-style models, of one modality.
TYPICAL_WITHIN = (0.5, 0.1)
FEWEST_ROWS = 20

# The share of nonsense queries that may find something all the same.
FALSE_ALARMS = 0.1
# Three in a hundred of what scores less is right: no query is so familiar that this is shown.
LEAST_SCORE = 0.02
_LEAST_LOGIT = math.log(LEAST_SCORE / (1 - LEAST_SCORE))
# So many rows of a library weigh as much as the model's own measurement.
_ROWS_OF_TRUST = 200


# Cosines of what is nearly the same picture or text, and of a copy as far as float16 tells.
ALIKE, SAME = 0.98, 0.9995


def scores(cosines: npt.NDArray[np.float32], background: Background) -> npt.NDArray[np.float32]:
    """Calibrated scores in [0, 1], same shape; rising with the cosine. See `Background` for the formula.

    Towards a cosine of 1 they are drawn to 1: what is the same as the query is no matter of chance.
    """
    wide = cosines.astype(np.float64)
    away = (wide - background.mean) / background.std - background.midpoint
    logits = np.clip(background.slope * away, -60, 60)
    sameness = np.clip((wide - ALIKE) / (SAME - ALIKE), 0, 1) ** 2
    return (1 - (1 - 1.0 / (1.0 + np.exp(-logits))) * (1 - sameness)).astype(np.float32)


def background_of(calibration: Calibration, asked: Modality, answering: Modality) -> Background:
    """The background of a pairing; a typical one where the calibration does not have it."""
    known = calibration.get((asked, answering))
    return known if known is not None else _typical(asked, answering)


def _typical(asked: Modality, answering: Modality) -> Background:
    across = TYPICAL_OF_SOUND if "audio" in (asked, answering) else TYPICAL_ACROSS
    mean, std = TYPICAL_WITHIN if asked == answering else across
    return Background(mean, std, TYPICAL_MIDPOINT, TYPICAL_SLOPE, noise_mean=mean, noise_std=std)


def combined(calibration: Calibration, terms: Sequence[WeightedTerm], items: Modality) -> Background:
    """The background of a query vector that is the weighted sum of several unit term vectors.

    Its cosine with an item is the same sum of the terms' cosines. The means add up; so do the covariances, where the
    correlation of two terms' cosines with unrelated items is taken to be the cosine of the terms. A term given
    twice is thereby the same as given once. Midpoint and slope are averaged by weight.
    """
    pairs = [(term.weight, background_of(calibration, term.modality, items)) for term in terms]
    total = sum(abs(weight) for weight, _ in pairs)
    vectors = np.stack([term.vector for term in terms])
    gram = vectors @ vectors.T

    def joined(deviations: list[float]) -> float:
        weighted = np.array([weight * one for (weight, _), one in zip(pairs, deviations, strict=True)])
        return math.sqrt(max(float(weighted @ gram @ weighted), 1e-12))

    return Background(
        mean=sum(weight * background.mean for weight, background in pairs),
        std=joined([background.std for _, background in pairs]),
        midpoint=sum(abs(weight) * background.midpoint for weight, background in pairs) / total,
        slope=sum(abs(weight) * background.slope for weight, background in pairs) / total,
        noise_mean=sum(weight * background.noise_mean for weight, background in pairs),
        noise_std=joined([background.noise_std for _, background in pairs]),
        noise_familiarity=next((background.noise_familiarity for weight, background in pairs if weight > 0), None),
    )


def nothing_close(background: Background, rows: int, familiarity: float | None = None) -> float:
    """The cosine that the nearest of `rows` items stays below for all but `FALSE_ALARMS` of the nonsense queries.

    The tail of the cosines of nonsense is taken for normal: the bound is its (1 - FALSE_ALARMS / rows) quantile
    (Bonferroni's inequality). For each unit by which the query is more familiar than nonsense, the bound is lower by
    one standard deviation of unrelated pairs, as long as it asks for a score of `LEAST_SCORE`.
    """
    bound = background.noise_mean + background.noise_std * _quantile_of_nearest(rows)
    if familiarity is None or background.noise_familiarity is None:
        return bound
    least = background.mean + background.std * (background.midpoint + _LEAST_LOGIT / background.slope)
    return max(min(bound, least), bound - background.std * (familiarity - background.noise_familiarity))


def least_score(background: Background, rows: int, familiarity: float | None) -> float:
    """The score of what is just as near as `nothing_close` says: a search for one text shows nothing below it."""
    bound = nothing_close(background, rows, familiarity)
    return float(scores(np.array([bound], np.float32), background)[0])


# Vectors float16 [n, d], and what is added to their cosines with a text, float16 [n].
Corrected = tuple[HalfMatrix, HalfMatrix]


def refreshed(
    calibration: Calibration,
    noise: FloatMatrix,
    blocks: Mapping[Modality, Iterable[Corrected]],
    bank: QueryBank | None = None,
) -> Calibration:
    """The calibration of a model, brought nearer to a library: what nonsense finds there, for queries by text.

    The background moves by as much as the cosines of nonsense do, and the bound of `nothing_close` becomes what was
    measured over all rows. Few rows weigh little against the model's own figures.

    Args:
        noise: `noise_vectors` of the model, unit, float32 [q, d].
        blocks: per modality the library's vectors, unit, with their hub numbers, a block at a time.
        bank: the query bank, by which the familiarity of queries is told; without it that is left out.
    """
    found = dict(calibration)
    familiarity = None if bank is None else bank.familiarity(noise)
    for modality, of_modality in blocks.items():
        rows, mean, nearest = _noise_over(noise, of_modality)
        if rows:
            known = background_of(calibration, "text", modality)
            trust = rows / (rows + _ROWS_OF_TRUST)
            moved = trust * (mean - known.noise_mean)
            bound = nothing_close(known, rows)
            highest = nearest if familiarity is None else nearest + _eased(familiarity, known.std)
            bound += trust * (float(np.quantile(highest, 1 - FALSE_ALARMS)) - bound)
            noise_mean = known.noise_mean + moved
            found["text", modality] = replace(
                known,
                mean=known.mean + moved,
                noise_mean=noise_mean,
                noise_std=max((bound - noise_mean) / _quantile_of_nearest(rows), 1e-4),
                noise_familiarity=None if familiarity is None else float(familiarity.mean()),
            )
    return found


def noise_figures(
    cosines: npt.NDArray[np.float32],
    familiarity: npt.NDArray[np.float32] | None = None,
    std: float = 1.0,
    seed: int = 0,
) -> tuple[float, float, float | None]:
    """`noise_mean`, `noise_std` and `noise_familiarity` from nonsense queries.

    The mean is that of all; the deviation is the one with which `nothing_close` holds on average over galleries of
    a tenth of the items and of all of them.

    Args:
        cosines: those of the queries with items, float32 [q, n], n being 100 or more.
        familiarity: that of each query, float32 [q], where the bound is to be told by it.
        std: the standard deviation of unrelated pairs, by which familiarity counts.
    """
    mean = float(cosines.mean())
    if familiarity is not None:
        cosines = cosines + _eased(familiarity, std)[:, np.newaxis]
    draw, count = np.random.default_rng(seed), cosines.shape[1]
    deviations = []
    for rows in (count // 10, count):
        chosen = draw.permutation(count)[:rows]
        bound = float(np.quantile(cosines[:, chosen].max(axis=1), 1 - FALSE_ALARMS))
        deviations.append((bound - mean) / _quantile_of_nearest(rows))
    return mean, float(np.mean(deviations)), None if familiarity is None else float(familiarity.mean())


def _eased(familiarity: npt.NDArray[np.float32], std: float) -> npt.NDArray[np.float32]:
    """By how much less is asked of each nonsense query, float32 [q], than of one that is as familiar as their mean."""
    return np.asarray(std * (familiarity - familiarity.mean()), np.float32)


def _noise_over(noise: FloatMatrix, blocks: Iterable[Corrected]) -> tuple[int, float, npt.NDArray[np.float32]]:
    """How many vectors there are, the mean of all cosines, and per query the highest, float32 [q]."""
    rows, total, nearest = 0, 0.0, np.full(len(noise), -1.0, np.float32)
    for vectors, numbers in blocks:
        cosines = vectors.astype(np.float32) @ noise.T + numbers.astype(np.float32)[:, np.newaxis]
        rows += len(vectors)
        total += float(cosines.sum(dtype=np.float64))
        np.maximum(nearest, cosines.max(axis=0), out=nearest)
    return rows, total / max(1, rows * len(noise)), nearest


def _quantile_of_nearest(rows: int) -> float:
    return NormalDist().inv_cdf(1 - FALSE_ALARMS / max(1, rows))


def measured(
    samples: Mapping[Modality, FloatMatrix], numbers: Mapping[Modality, HalfMatrix] | None = None
) -> Calibration:
    """A calibration read off a library's own vectors: its items stand for unrelated queries.

    `samples` holds, per modality, unit vectors, float32 [n, dimension], of items drawn at random, and `numbers` hub
    numbers of some modalities, float16 [n], which are added to their cosines with texts. Pairings with too few are left
    out.
    """
    calibration = {}
    for asked, queries in samples.items():
        for answering, items in samples.items():
            if min(len(queries), len(items)) >= FEWEST_ROWS:
                cosines = queries @ items.T
                if asked == "text" and numbers and answering in numbers:
                    cosines += numbers[answering].astype(np.float32)
                # Pairs that are alike (a row with itself, copies, bursts) are no background: median and quartiles.
                low, mean, high = np.percentile(cosines, (25, 50, 75))
                std = max(float(high - low) / 1.349, 1e-3)
                calibration[asked, answering] = replace(
                    _typical(asked, answering), mean=float(mean), std=std, noise_mean=float(mean), noise_std=std
                )
    return calibration
