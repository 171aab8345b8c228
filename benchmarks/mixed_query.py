"""What words and a picture are worth beside one another in one query (`search "dog" --image x.jpg`).

    python -m benchmarks.mixed_query PAIRS.jsonl [--model NAME] [--of-a-kind 8]

PAIRS is a JSONL of {file, source, label}. Words are asked for together with a picture, which has the weight 1 as the
words have, or another: a picture of the kind that the words name (a dog and "dog"), of a kind that a wider word holds
("an animal"), and of another such kind (a horse and "dog"). How much of the first so many photos as there are of a kind
is of the kind of the picture, and of that of the words.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.avoided_picture import WIDER, Photo, photos_in
from benchmarks.tables import table
from mmsearch.encoding.protocol import text_vectors
from mmsearch.encoding.query_bank import query_bank_of
from mmsearch.evaluation.datasets import Dataset, Example
from mmsearch.evaluation.embedding import embed
from mmsearch.evaluation.metrics import estimate
from mmsearch.models.opening import open_encoder
from mmsearch.output.estimates import percent

WEIGHTS = (0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 2.0)
PICTURES = 2


def main() -> None:
    """Encodes the photos, asks with each weight, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--model", default="mmsearch-mini")
    parser.add_argument("--of-a-kind", type=int, default=8)
    asked = parser.parse_args()
    photos = few_of_each(photos_in(asked.pairs), asked.of_a_kind)
    encoder = open_encoder(asked.model)
    data = Dataset("photos", "jsonl", tuple(Example(photo.path) for photo in photos))
    embedded = embed(data, encoder, query_bank=query_bank_of(encoder))
    numbers = embedded.hub_numbers().astype(np.float32)
    kinds, wider = np.array([photo.kind for photo in photos]), np.array([photo.wider for photo in photos])
    wider_of = {photo.kind: photo.wider for photo in photos}
    names = {kind: kind.split(" ", 1)[1].lower() for kind in sorted({photo.kind for photo in photos if photo.wider})}
    words = [*names.values(), *WIDER]
    texts = dict(zip(words, text_vectors(words, encoder), strict=True))

    def first(text: str, picture: int, weight: float) -> npt.NDArray[np.str_]:
        scores = embedded.images @ (texts[text] + weight * embedded.images[picture]) + numbers
        scores[picture] = -np.inf
        return kinds[np.argsort(-scores)[: asked.of_a_kind - 1]]

    rows = []
    for weight in WEIGHTS:
        shares: dict[str, list[float]] = {"named": [], "wider": [], "of the words": [], "of the picture": []}
        for kind, name in names.items():
            others = sorted(set(kinds[wider == wider_of[kind]]) - {kind})[:3]
            for picture in np.flatnonzero(kinds == kind)[:PICTURES]:
                shares["named"].append(float((first(name, picture, weight) == kind).mean()))
                shares["wider"].append(float((first(wider[picture], picture, weight) == kind).mean()))
                for other in others:
                    found = first(names[other], picture, weight)
                    shares["of the words"].append(float((found == other).mean()))
                    shares["of the picture"].append(float((found == kind).mean()))
        rows.append([f"{weight:g}", *(percent(estimate(one), ".0f") for one in shares.values())])
    print(table(["weight of the picture", *shares], rows))


def few_of_each(photos: list[Photo], of_a_kind: int) -> list[Photo]:
    """So many of each kind, and twenty times as many of none of them."""
    found: list[Photo] = []
    for photo in photos:
        most = of_a_kind if photo.wider else 20 * of_a_kind
        same = sum(one.kind == photo.kind if photo.wider else not one.wider for one in found)
        if same < most:
            found.append(photo)
    return found


if __name__ == "__main__":
    main()
