"""A text bridge: a linear map from one model's vectors of texts into the space of another.

A library that was made with an older revision of the built-in model is asked in that revision's space. Its text tower
need not be kept for that: the bridge brings the text vectors of the newest one there. It is fitted by
`recipe/older_revision.py`, which tells what it costs.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mmsearch.records import FloatMatrix


@dataclass(frozen=True)
class TextBridge:
    """`weights` float32 [from, to] and `offset` float32 [to], for the text tower whose file has that SHA-256."""

    tower_sha256: str
    weights: FloatMatrix
    offset: FloatMatrix

    def __call__(self, vectors: npt.NDArray[Any]) -> FloatMatrix:
        """Unit vectors, float32 [n, to], of unit vectors [n, from] of that tower."""
        moved = np.asarray(vectors.astype(np.float32) @ self.weights + self.offset, np.float32)
        moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
        return moved

    def to_bytes(self) -> bytes:
        """The bridge as one file in numpy's npz form, in half precision."""
        file = io.BytesIO()
        np.savez(
            file,
            tower_sha256=np.frombuffer(self.tower_sha256.encode(), np.uint8),
            weights=self.weights.astype(np.float16),
            offset=self.offset.astype(np.float16),
        )
        return file.getvalue()

    @classmethod
    def from_bytes(cls, stored: bytes) -> TextBridge:
        """What `to_bytes` made.

        Raises:
            ValueError, KeyError, zipfile.BadZipFile: it is damaged.
        """
        with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
            tower = arrays["tower_sha256"].tobytes().decode()
            weights, offset = (arrays[name].astype(np.float32) for name in ("weights", "offset"))
        if weights.ndim != 2 or offset.shape != weights.shape[1:]:
            raise ValueError(f"weights {weights.shape} do not go with an offset {offset.shape}")
        return cls(tower, weights, offset)
