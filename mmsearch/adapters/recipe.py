"""How an adapter is trained, and how its training went. Needs no torch: the command line and reports use it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mmsearch.errors import Invalid, Refused, Remedy
from mmsearch.evaluation.metrics import Estimate

FEWEST_PHOTOS = 40


class TrainingLoss(str, Enum):
    """What is minimised; `mmsearch.adapters.fitting` names the sources."""

    INFO_NCE = "info-nce"
    TRIPLET = "triplet"
    MARGIN = "margin"


@dataclass(frozen=True)
class AdapterRecipe:
    """Every setting of a training.

    `rate` is AdamW's, reached after a linear warm-up over the first tenth of the steps and brought to zero by half a
    cosine. `hold_out` is the share of photos that do not train: one half of them stops the training, the other judges
    it. `patience` epochs that are no better end it. `margin` is the cosine of triplets, the distance of margin.

    Raises:
        Invalid: a number is out of range.
    """

    loss: TrainingLoss = TrainingLoss.INFO_NCE
    epochs: int = 60
    batch: int = 256
    rate: float = 1e-3
    weight_decay: float = 0.05
    rank: int = 64
    margin: float = 0.2
    hold_out: float = 0.3
    patience: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ("epochs", 1, 10_000), ("batch", 2, 65_536), ("rate", 1e-8, 1.0), ("weight_decay", 0.0, 10.0),
            ("rank", 1, 4_096), ("margin", 0.0, 2.0), ("hold_out", 0.05, 0.8), ("patience", 1, 10_000),
            ("seed", 0, 2**32 - 1),
        ):  # fmt: skip
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise Invalid(
                    f"The {name.replace('_', ' ')} is {value:g}; it must lie between {lowest:g} and {highest:g}."
                )


@dataclass(frozen=True)
class Epoch:
    """One pass over the photos; epoch 0 is the model without an adapter, and has no loss.

    `recall` is R@10 and `precision` the mean average precision, in [0, 1], on the photos that stop the training.
    """

    number: int
    loss: float | None
    recall: float
    precision: float

    def better_than(self, other: Epoch) -> bool:
        """By R@10 and, where that is equal (it is soon 1 for a few classes), by average precision."""
        return (self.recall, self.precision) > (other.recall, other.precision)


@dataclass(frozen=True)
class AdapterReport:
    """How a training went: text→image R@10, in [0, 1], on photos that neither trained nor stopped it.

    `difference` is that between `adapted` and `base`, query by query; the `_map` are mean average precisions.
    `best_epoch` 0: nothing was learnt, and `kept_epoch` is the last one. `unreadable` photos were left out.
    """

    label: str
    model: str
    photos: int
    trained_on: int
    judged_on: int
    seconds: float
    unreadable: int
    best_epoch: int
    kept_epoch: int
    base: Estimate
    adapted: Estimate
    difference: Estimate
    base_map: Estimate
    adapted_map: Estimate
    history: tuple[Epoch, ...]

    @property
    def worse(self) -> bool:
        """Whether held-out photos are found less often than without the adapter or, where as often, later."""
        return (self.adapted.value, self.adapted_map.value) < (self.base.value, self.base_map.value)


class AdapterRefused(Refused):
    """An adapter that was not kept, since held-out photos are found no better with it; `report` tells how it did."""

    def __init__(self, message: str, report: AdapterReport) -> None:
        super().__init__(message, Remedy("train.force"))
        self.report = report
