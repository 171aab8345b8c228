"""How much of a picture that is to be avoided (`--not-image`) is to be taken away.

    python -m benchmarks.avoided_picture PAIRS.jsonl [--model NAME]

PAIRS is a JSONL of {file, source, label}. A wider word ("an animal") is asked for, away from one picture of one kind of
these (a dog), four pictures of each kind: how many of the first ten are of the other kinds, and of that kind itself.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.tables import table
from mmsearch.encoding.protocol import text_vectors
from mmsearch.encoding.query_bank import query_bank_of
from mmsearch.evaluation.datasets import Dataset, Example
from mmsearch.evaluation.embedding import embed
from mmsearch.evaluation.metrics import estimate
from mmsearch.models.opening import open_encoder
from mmsearch.output.estimates import percent

WEIGHTS = (0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0)
FIRST, PICTURES, OF_A_KIND = 10, 4, 16
# By a wider word the kinds of photos, each as its source and its label there.
WIDER = {
    "an animal": "pacs-photo dog, pacs-photo horse, pacs-photo elephant, pacs-photo giraffe, natural8 cat, "
    "caltech101 kangaroo, caltech101 llama, caltech101 leopards, caltech101 hawksbill, caltech101 butterfly",
    "a vehicle": "natural8 car, natural8 motorbike, natural8 airplane, caltech101 helicopter, caltech101 ferry, "
    "caltech101 ketch",
    "food in a supermarket": "grocery juice, grocery apple, grocery milk, grocery tomato, grocery pear, "
    "grocery melon, grocery pepper, grocery potato",
    "people doing sports": "sports100 baseball, sports100 basketball, sports100 balance beam, sports100 archery, "
    "sports100 axe throwing, sports100 arm wrestling, sports100 air hockey, sports100 baton twirling",
    "a room": "sun-scenes kitchen, sun-scenes auditorium, sun-scenes laundromat, sun-scenes library, "
    "sun-scenes art gallery, sun-scenes conference room, sun-scenes computer room, sun-scenes bedroom",
    "a landscape outdoors": "sun-scenes desert, sun-scenes windmill, sun-scenes beach, sun-scenes waterfall, "
    "sun-scenes ocean, sun-scenes mountain, sun-scenes bamboo forest, sun-scenes rainforest",
    "clothes": "clothing T-Shirt, clothing Pants, clothing Shoes, clothing Shirt, clothing Dress, clothing Outwear, "
    "clothing Shorts",
    "a musical instrument": "caltech101 grand piano, caltech101 euphonium, caltech101 accordion, "
    "caltech101 electric guitar, pacs-photo guitar",
}
OTHERS = ("osie", "unsplash-web", "bsds500")


class Photo(NamedTuple):
    path: str
    kind: str
    wider: str


def main() -> None:
    """Encodes the photos, asks with each weight, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--model", default="mmsearch-mini")
    asked = parser.parse_args()
    photos = photos_in(asked.pairs)
    encoder = open_encoder(asked.model)
    bank = query_bank_of(encoder)
    data = Dataset("photos", "jsonl", tuple(Example(photo.path) for photo in photos))
    embedded = embed(data, encoder, query_bank=bank)
    numbers = embedded.hub_numbers().astype(np.float32)
    texts = dict(zip(WIDER, text_vectors(list(WIDER), encoder), strict=True))
    kinds, wider = np.array([photo.kind for photo in photos]), np.array([photo.wider for photo in photos])
    rows = []
    for weight in WEIGHTS:
        others, same = [], []
        for kind in sorted({photo.kind for photo in photos if photo.wider}):
            own = np.flatnonzero(kinds == kind)
            for picture in own[:PICTURES]:
                name = wider[picture]
                vector = texts[name] - weight * embedded.images[picture]
                scores = embedded.images @ vector + numbers  # the length of the vector changes no order
                scores[picture] = -np.inf
                first = np.argsort(-scores)[:FIRST]
                others.append(float(((wider[first] == name) & (kinds[first] != kind)).mean()))
                same.append(float((kinds[first] == kind).mean()))
        groups = np.repeat(np.arange(len(others) // PICTURES), PICTURES)
        rows.append([f"{weight:g}", *(percent(estimate(shares, groups=groups), ".0f") for shares in (others, same))])
    print(table(["weight", "of the other kinds, of the first ten", "of that kind"], rows))


def photos_in(pairs: Path) -> list[Photo]:
    wider = {kind: name for name, kinds in WIDER.items() for kind in kinds.split(", ")}
    of_kind: dict[str, list[str]] = {}
    others = []
    for line in map(json.loads, pairs.read_text("utf-8").splitlines()):
        kind, path = f"{line['source']} {line.get('label')}", str(pairs.parent / line["file"])
        if kind in wider:
            of_kind.setdefault(kind, []).append(path)
        elif line["source"] in OTHERS:
            others.append(path)
    chance = random.Random(5)
    found = [
        Photo(path, kind, wider[kind])
        for kind, paths in of_kind.items()
        for path in chance.sample(paths, min(OF_A_KIND, len(paths)))
    ]
    return found + [Photo(path, "", "") for path in chance.sample(others, 250)]


if __name__ == "__main__":
    main()
