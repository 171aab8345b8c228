"""Retrieval quality of a trained model on what was held out, by the metrics of `mmsearch eval`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from mmsearch.encoding.query_bank import QueryBank
from mmsearch.evaluation.metrics import Estimate, relevant_ranks, retrieval_metrics
from mmsearch.output.estimates import percent

Floats = npt.NDArray[np.float32]


def paired(queries: Floats, gallery: Floats) -> dict[str, Any]:
    """All metrics where row k of the queries belongs to row k of the gallery, as shares with their intervals.

    Args:
        queries: unit vectors float32 [n, d].
        gallery: unit vectors float32 [m, d], m >= n; the rest are distractors.
    """
    relevant = np.eye(len(queries), len(gallery), dtype=bool)
    metrics = retrieval_metrics(relevant_ranks(queries @ gallery.T, relevant))
    return {
        "queries": len(queries),
        "gallery": len(gallery),
        "metrics": {name: asdict(found) for name, found in metrics.items()},
    }


def both_ways(
    texts: Floats, images: Floats, distractors: Floats, bank: QueryBank | None = None
) -> dict[str, dict[str, Any]]:
    """text→image over photos and distractors, image→text over the captions; row k matches row k.

    With a query bank hubs among the photos are corrected.
    """
    gallery = np.concatenate([images, distractors])
    found = paired(texts, gallery) if bank is None else paired(as_asked(texts), as_answered(gallery, bank))
    return {"text-image": found, "image-text": paired(images, texts)}


def as_answered(images: Floats, bank: QueryBank) -> Floats:
    """Photos with their hub numbers, float32 [n, d + 1]."""
    return np.column_stack([images, bank.numbers(images).astype(np.float32)])


def as_asked(texts: Floats) -> Floats:
    """Texts whose products with what `as_answered` gives are corrected cosines, float32 [q, d + 1]."""
    return np.column_stack([texts, np.ones(len(texts), np.float32)])


def zero_shot(images: Floats, labels: Sequence[str], names: Sequence[str], class_vectors: Floats) -> float:
    """Top-1 accuracy in percent of naming each photo by its nearest class text."""
    best = (images @ class_vectors.T).argmax(1)
    return round(100 * float(np.mean([names[b] == label for b, label in zip(best, labels, strict=True)])), 1)


def table(rows: dict[str, dict[str, dict[str, Any]]]) -> str:
    """A Markdown table of recalls in percent, one line per model and direction."""
    lines = ["| model | direction | gallery | R@1 | R@5 | R@10 | MRR |", "|-|-|-|-|-|-|-|"]
    for model, directions in rows.items():
        for direction, found in directions.items():
            cells = [percent(Estimate(**found["metrics"][name])) for name in ("R@1", "R@5", "R@10", "MRR")]
            lines.append(f"| {model} | {direction} | {found['gallery']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
