"""One evaluation: a dataset in the space of one model, measured in every direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mmsearch.encoding.noise import noise_queries, noise_vectors
from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import Invalid
from mmsearch.evaluation.channels import compare_channels
from mmsearch.evaluation.comparison import Comparison, ComparisonResult, compare
from mmsearch.evaluation.datasets import Dataset
from mmsearch.evaluation.embedding import EmbeddedDataset
from mmsearch.evaluation.retrieval import DEFAULT_KS, DirectionResult, ZeroShot, directions, measure, zero_shot
from mmsearch.evaluation.separation import NONSENSE_SEED, Separation, separation
from mmsearch.searching import scoring


@dataclass(frozen=True)
class Evaluation:
    """How one model did on one dataset. `from_library` photos were not encoded anew, `unreadable` ones left out.

    `channels` are words alone, vectors alone and both, for captions asked of photos that have words of them.
    """

    dataset: str = field(metadata={"json": None})
    model: str
    photos: int
    captions: int
    classes: int
    from_library: int
    unreadable: tuple[str, ...]
    directions: tuple[DirectionResult, ...]
    zero_shot: ZeroShot | None
    separations: tuple[Separation, ...]
    comparisons: tuple[ComparisonResult, ...]
    channels: tuple[DirectionResult, ...] = ()


@dataclass(frozen=True)
class Evaluations:
    """How some models did on one dataset, each through one adapter or none."""

    dataset: Dataset
    evaluations: tuple[Evaluation, ...] = field(metadata={"digits": 5})


def evaluate(
    dataset: EmbeddedDataset,
    encoder: Encoder,
    *,
    ks: Sequence[int] = DEFAULT_KS,
    comparisons: Sequence[Comparison] = (),
) -> Evaluation:
    """Measures all that can be asked of the dataset.

    Args:
        encoder: the one that made the vectors. Where it has no calibration, one is read off the dataset.

    Raises:
        Invalid: the dataset has neither captions nor labels.
    """
    asked = directions(dataset)
    if not asked:
        raise Invalid(
            f"{dataset.name} has neither captions nor labels to measure by; give photos with captions, or a folder of "
            "class folders."
        )
    texts = np.concatenate([dataset.texts, dataset.class_texts])
    curves = encoder.calibration or scoring.measured(
        {"image": dataset.images, "text": texts}, {"image": dataset.hub_numbers()}
    )
    noise = noise_vectors(encoder)
    nonsense = encoder.encode("text", noise_queries(seed=NONSENSE_SEED))
    separations = [separation(dataset, one, curves, noise, nonsense) for one in asked if one.asked == "text"]
    return Evaluation(
        dataset=dataset.name,
        model=dataset.model,
        photos=len(dataset.examples),
        captions=len(dataset.captions),
        classes=len(dataset.classes),
        from_library=dataset.from_library,
        unreadable=dataset.unreadable,
        directions=tuple(measure(one, ks) for one in asked),
        zero_shot=zero_shot(dataset),
        separations=tuple(separations),
        comparisons=tuple(setting for one in asked for setting in compare(one, *comparisons)) if comparisons else (),
        channels=compare_channels(dataset, asked[0], curves, ks) if len(dataset.captions) else (),
    )
