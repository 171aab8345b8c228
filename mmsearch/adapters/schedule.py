"""The learning rate over a training."""

from __future__ import annotations

import math


def cosine_rate(step: int, steps: int, warm_up: float) -> float:
    """Share of the full rate at a step: a linear warm-up, then half a cosine to zero.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, without restarts.
    """
    ramp = max(1, int(steps * warm_up))
    if step < ramp:
        return (step + 1) / ramp
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1, steps - ramp)))
