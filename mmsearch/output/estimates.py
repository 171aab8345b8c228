"""How a measured share is written: in per cent, with its 95 % interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmsearch.evaluation.metrics import Estimate


def percent(found: Estimate, form: str = ".1f", sign: str = "") -> str:
    """`61.0 [52.3, 70.1]`, where what stands around it says that it is per cent."""
    return f"{100 * found.value:{form}}{sign} [{100 * found.low:{form}}, {100 * found.high:{form}}]"


def share(found: Estimate) -> str:
    """`61.0 % [52.3, 70.1]`, within a sentence."""
    return percent(found, sign=" %")
