"""Losses between two batches of vectors that belong together row by row."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_targets(text: Tensor, sharpness: float, own: float) -> Tensor:
    """Which texts of a batch would do for which rows, float [n, n], rows summing to 1.

    A batch often holds captions that say nearly the same; treating them as wrong answers for one another
    teaches noise. Each row gives ``own`` of its weight to its own text and spreads the rest by the softmax
    of ``sharpness`` times the cosine between texts (soft labels from the text side, as in Andonian et al.,
    "Robust Cross-Modal Representation Learning with Progressive Self-Distillation", 2022).

    Args:
        text: unit vectors float [n, d] of the unchanged text tower.
    """
    spread = F.softmax(sharpness * (text @ text.T), dim=-1)
    return own * torch.eye(len(text), dtype=text.dtype, device=text.device) + (1.0 - own) * spread


def symmetric_info_nce(image: Tensor, text: Tensor, scale: Tensor, targets: Tensor) -> Tensor:
    """CLIP's symmetric cross-entropy (Radford et al., 2021) against soft targets.

    Args:
        image, text: unit vectors float [n, d].
        scale: inverse temperature, a scalar.
        targets: float [n, n]; rows sum to 1.
    """
    logits = scale * image @ text.T
    by_column = targets.T / targets.T.sum(-1, keepdim=True)
    rows = -(targets * F.log_softmax(logits, dim=-1)).sum(-1).mean()
    columns = -(by_column * F.log_softmax(logits.T, dim=-1)).sum(-1).mean()
    return 0.5 * (rows + columns)


def distribution_distillation(given: Tensor, expected: Tensor) -> Tensor:
    """Cross-entropy between a teacher's and a student's choice among the same texts, a scalar.

    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, on similarities as in Fang et al., "SEED:
    Self-supervised Distillation for Visual Representation", 2021.

    Args:
        given, expected: the student's and the teacher's logits, float [n, m].
    """
    return -(F.softmax(expected, dim=-1) * F.log_softmax(given, dim=-1)).sum(-1).mean()
