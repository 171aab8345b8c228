"""A model's calibration as it is written to files."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import cast

from mmsearch.records import Background, Calibration, Modality

# Mean and deviation of the cosines of unrelated texts and pictures that are typical of CLIP-style models.
TYPICAL_ACROSS = (0.18, 0.03)
# The same of CLAP models' texts and sounds, which lie further apart: an estimate, as none was there to be measured.
TYPICAL_OF_SOUND = (0.05, 0.1)
_NUMBERS = frozenset(field.name for field in fields(Background))


def as_json(calibration: Calibration) -> dict[str, dict[str, float]]:
    """As it is written to files: `{"text-image": {"mean": ...}, ...}`, to five digits."""
    return {
        f"{asked}-{answering}": {name: round(value, 5) for name, value in asdict(curve).items() if value is not None}
        for (asked, answering), curve in calibration.items()
    }


def from_json(written: dict[str, dict[str, float]]) -> Calibration:
    """What `as_json` wrote; numbers that other versions of the program wrote besides are left out.

    Raises:
        TypeError: a curve lacks a number.
    """
    return {
        cast("tuple[Modality, Modality]", tuple(pair.split("-"))): Background(
            **{name: number for name, number in numbers.items() if name in _NUMBERS}
        )
        for pair, numbers in written.items()
    }
