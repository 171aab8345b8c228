"""The first five photos of queries as people say them, and of plain nouns, on sheets that are to be judged by eye.

    python -m benchmarks.natural_queries PAIRS.jsonl FOLDER [--sources osie,unsplash-web,bsds500] [--model NAME]...

PAIRS is a JSONL of {file, source}. Of these sources 950 photos are drawn and searched as ever, so that what is
no nearer than random letters would find is left out. FOLDER gets sheets, a row a query and beside
one another the five of each model, and `found.json` with their names.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from mmsearch import Library, Query
from mmsearch.searching.query import text_terms

SAID = (
    "my cat",
    "photo of my dog at the beach",
    "show me the kids playing outside",
    "a birthday party",
    "us at a restaurant",
    "someone reading a book",
    "a man on his phone",
    "that picture with snow and trees",
    "sunset over the sea",
    "boys playing football",
    "an old building with columns",
    "a boat on a calm lake",
    "someone jumping in the air",
    "friends laughing together",
    "a person working on a laptop",
    "wild animals in africa",
    "a bird in flight",
    "flowers in a vase",
    "food on a plate",
    "a cup of coffee",
    "the city at night",
    "the train we took",
    "a path through a foggy forest",
    "a couple holding hands",
    "a sleeping baby",
    "somebody playing the guitar",
    "a woman in a red dress",
    "a car on an empty road",
    "mountains with snow on top",
    "the street seen from above",
    "a child with a toy",
    "men in suits at a meeting",
    "our wedding",
    "a beach without people",
    "black and white portrait of an old man",
    "horses in a field",
    "an insect on a leaf",
    "my messy desk",
    "a bedroom with a big bed",
    "grandma cooking",
    "a sign with writing on it",
    "fish under water",
    "people dancing at a concert",
    "a rainy day in the city",
    "people hiking in the mountains",
)
NOUNS = (
    *("dog", "cat", "horse", "bird", "boat", "car", "bicycle", "train", "flower", "tree", "mountain", "beach"),
    *("bridge", "guitar", "laptop", "book", "chair", "baby", "phone", "tiger"),
)
FIRST, SIDE, ROWS, LABEL = 5, 140, 11, 200


def main() -> None:
    """Draws the photos, asks, and writes the sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sources", default="osie,unsplash-web,bsds500", help="take photos of these")
    parser.add_argument("--photos", type=int, default=950)
    parser.add_argument("--model", action="append", help="ask this one (repeatable); the built-in one by default")
    asked = parser.parse_args()
    wanted = set(asked.sources.split(","))
    lines = [json.loads(line) for line in asked.pairs.read_text("utf-8").splitlines()]
    files = sorted(str(asked.pairs.parent / line["file"]) for line in lines if line["source"] in wanted)
    photos = asked.folder / "photos"
    photos.mkdir(parents=True)
    for number, file in enumerate(random.Random(5).sample(files, asked.photos)):
        shutil.copy(file, photos / f"{number}.jpg")  # names and folders say nothing
    queries, models = (*SAID, *NOUNS), asked.model or ("mmsearch-mini",)
    found = {one: first_of(one, photos, asked.folder / f"library-{k}", queries) for k, one in enumerate(models)}
    (asked.folder / "found.json").write_text(json.dumps({"queries": queries, "found": found}, indent=1), "utf-8")
    for start in range(0, len(queries), ROWS):
        sheet = _sheet(queries[start : start + ROWS], [of[start : start + ROWS] for of in found.values()])
        sheet.save(asked.folder / f"sheet-{start // ROWS}.png")


def first_of(model: str, photos: Path, library: Path, queries: Sequence[str]) -> list[list[str]]:
    """Of each query the photos that a search shows first, five at most."""
    with Library(library) as opened:
        opened.index([photos], model=model)
        asked = (Query(tuple(text_terms(query)), limit=FIRST, language="en") for query in queries)
        return [[hit.path for hit in result.hits] for result in opened.search_many(asked, scan="exact")]


def _sheet(queries: Sequence[str], found: Sequence[Sequence[Sequence[str]]]) -> Image.Image:
    sheet = Image.new("RGB", (LABEL + len(found) * (FIRST * SIDE + 20), len(queries) * (SIDE + 4)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, query in enumerate(queries):
        top = row * (SIDE + 4)
        draw.multiline_text((4, top + 20), query.replace(" ", "\n", 3), fill="black")
        for place, of_model in enumerate(found):
            for column, path in enumerate(of_model[row]):
                with Image.open(path) as picture:
                    small = picture.convert("RGB")
                small.thumbnail((SIDE, SIDE))
                sheet.paste(small, (LABEL + place * (FIRST * SIDE + 20) + column * SIDE, top))
    return sheet


if __name__ == "__main__":
    main()
