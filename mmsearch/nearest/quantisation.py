"""Iterative quantisation: the axes along which the signs of vectors tell most of where they lie.

Gong and Lazebnik, "Iterative Quantization: A Procrustean Approach to Learning Binary Codes", 2011. The vectors are
seen along the directions in which they differ most; then signs and a rotation of these directions are found in turns,
each the best for the other, so that no bit says more than another.
"""

from __future__ import annotations

import numpy as np

from mmsearch.records import FloatMatrix

# More rounds gain nothing that could be measured.
_ROUNDS, _SEED = 20, 1


def learned_axes(centred: FloatMatrix, bits: int) -> FloatMatrix:
    """Orthonormal axes, float32 [d, b], learned from vectors less their mean, float32 [n, d].

    b is `bits`, or d where that is less. The same vectors give the same axes, as far as the processor does.
    """
    count = min(bits, centred.shape[1])
    _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    main = directions[:, ::-1][:, :count].astype(np.float32)
    along = centred @ main
    turned = np.linalg.qr(np.random.default_rng(_SEED).normal(size=(count, count)))[0].astype(np.float32)
    for _ in range(_ROUNDS if len(centred) else 0):
        signs = np.where(along @ turned > 0, np.float32(1), np.float32(-1))
        left, _, right = np.linalg.svd(along.T @ signs)
        turned = left @ right
    return np.ascontiguousarray(main @ turned, np.float32)
