"""Retrieval quality of a trained model on what was held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Recall:
    """Share of queries with their match among the first k, in percent, with a 95 % interval."""

    at_1: float
    at_5: float
    at_10: float
    interval_1: tuple[float, float]
    interval_5: tuple[float, float]
    interval_10: tuple[float, float]
    mrr: float
    queries: int
    gallery: int


def ranks(queries: Floats, gallery: Floats, match: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """0-based rank of each query's match; equal scores count against it.

    Args:
        queries: unit vectors float32 [n, d].
        gallery: unit vectors float32 [m, d].
        match: row of the gallery that belongs to each query, [n].
    """
    scores = queries @ gallery.T
    own = scores[np.arange(len(queries)), match]
    return np.asarray((scores >= own[:, None]).sum(1) - 1)


def recall(found: npt.NDArray[np.intp], gallery: int, seed: int = 0, draws: int = 2000) -> Recall:
    """Recall at 1, 5, 10 with percentile bootstrap intervals over queries (Efron, 1979)."""
    hits = np.stack([found < k for k in (1, 5, 10)], axis=1).astype(np.float64) * 100
    picks = np.random.default_rng(seed).integers(0, len(found), (draws, len(found)))
    low, high = np.percentile(hits[picks].mean(1), [2.5, 97.5], axis=0)
    at = [round(float(value), 1) for value in hits.mean(0)]
    between = [(round(float(a), 1), round(float(b), 1)) for a, b in zip(low, high, strict=True)]
    return Recall(
        at_1=at[0],
        at_5=at[1],
        at_10=at[2],
        interval_1=between[0],
        interval_5=between[1],
        interval_10=between[2],
        mrr=round(float((1 / (found + 1)).mean()) * 100, 1),
        queries=len(found),
        gallery=gallery,
    )


def both_ways(texts: Floats, images: Floats, distractors: Floats) -> dict[str, dict[str, Any]]:
    """text→image over photos and distractors, image→text over the captions; row k matches row k."""
    own = np.arange(len(texts))
    gallery = np.concatenate([images, distractors])
    return {
        "text-image": asdict(recall(ranks(texts, gallery, own), len(gallery))),
        "image-text": asdict(recall(ranks(images, texts, own), len(texts))),
    }


def zero_shot(images: Floats, labels: Sequence[str], names: Sequence[str], class_vectors: Floats) -> float:
    """Top-1 accuracy in percent of naming each photo by its nearest class text."""
    best = (images @ class_vectors.T).argmax(1)
    return round(100 * float(np.mean([names[b] == label for b, label in zip(best, labels, strict=True)])), 1)


def table(rows: dict[str, dict[str, dict[str, Any]]]) -> str:
    """A Markdown table of recalls, one line per model and direction."""
    lines = ["| model | direction | gallery | R@1 | R@5 | R@10 | MRR |", "|-|-|-|-|-|-|-|"]
    for model, directions in rows.items():
        for direction, r in directions.items():
            cells = []
            for k in (1, 5, 10):
                low, high = r[f"interval_{k}"]
                cells.append(f"{r[f'at_{k}']} [{low}, {high}]")
            lines.append(f"| {model} | {direction} | {r['gallery']} | " + " | ".join(cells) + f" | {r['mrr']} |")
    return "\n".join(lines)
