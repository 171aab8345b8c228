"""Noise: queries of random letters, which ask for nothing. From what they find it is told when nothing is close."""

from __future__ import annotations

import os
import random
import string
from typing import TYPE_CHECKING

import numpy as np

from mmsearch.records import FloatMatrix

if TYPE_CHECKING:
    from mmsearch.encoding.protocol import Encoder

NOISE_QUERIES = 128


def noise_queries(count: int = NOISE_QUERIES, seed: int = 0) -> list[str]:
    """Queries of one to four words of random letters; the same for the same seed."""
    draw = random.Random(f"nonsense {seed}")

    def word() -> str:
        return "".join(draw.choices(string.ascii_lowercase, k=draw.randint(3, 10)))

    return [" ".join(word() for _ in range(draw.randint(1, 4))) for _ in range(count)]


def noise_vectors(encoder: Encoder) -> FloatMatrix:
    """`noise_queries` as unit vectors, float32 [q, dimension]: those that came with the model, or encoded now, on all
    processors.
    """
    if encoder.noise is not None:
        return encoder.noise
    from concurrent.futures import ThreadPoolExecutor

    queries, threads = noise_queries(), os.cpu_count() or 1
    parts = [queries[start::threads] for start in range(threads)]
    with ThreadPoolExecutor(threads) as executor:
        return np.concatenate(list(executor.map(lambda part: encoder.encode("text", part), parts)))
