"""Margin losses between two batches of vectors that belong together row by row: the other choice beside InfoNCE."""

from __future__ import annotations

import torch
from torch import Tensor


def hardest_triplets(image: Tensor, text: Tensor, positive: Tensor, margin: float) -> Tensor:
    """Hinge loss against the hardest negative of the batch, both ways: the max of hinges of VSE++.

    mean over i of max(0, margin + max_j s(i, j) - s(i, i)), j being no match of i, for rows and for columns.
    Faghri et al., "VSE++: Improving Visual-Semantic Embeddings with Hard Negatives", 2018, equation 6.

    Args:
        image, text: unit vectors float [n, d]; row i of one belongs to row i of the other.
        positive: bool [n, n], which texts (columns) are right for which images (rows).
        margin: in units of the cosine.
    """
    cosines = image @ text.T
    own = cosines.diagonal()
    negatives = cosines.masked_fill(positive, -torch.inf)
    by_row = (margin + negatives.amax(dim=1) - own).clamp(min=0)
    by_column = (margin + negatives.amax(dim=0) - own).clamp(min=0)
    return 0.5 * (by_row.mean() + by_column.mean())


def contrastive_margin(image: Tensor, text: Tensor, positive: Tensor, margin: float) -> Tensor:
    """Pairs that match are drawn together, others pushed apart as far as the margin.

    mean of D² over matches plus mean of max(0, margin - D)² over the rest, D being the Euclidean distance of unit
    vectors, D² = 2 - 2 cos. Hadsell et al., "Dimensionality Reduction by Learning an Invariant Mapping", 2006,
    equation 4; the two means keep the few matches from being outweighed.

    Args:
        image, text: unit vectors float [n, d].
        positive: bool [n, n], which texts (columns) are right for which images (rows).
        margin: in units of the distance, from 0 to 2.
    """
    squared = (2.0 - 2.0 * image @ text.T).clamp(min=0)
    near = squared[positive].mean()
    rest = squared[~positive]
    if not len(rest):
        return near
    # The root has no slope at zero.
    apart = (margin - (rest + 1e-9).sqrt()).clamp(min=0) ** 2
    return near + apart.mean()
