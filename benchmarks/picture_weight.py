"""What a library learns a picture to weigh beside words, by what those who ask mean (`mmsearch train --fusion`).

    python -m benchmarks.picture_weight PAIRS.jsonl FOLDER [--model NAME]

PAIRS is a JSONL of {file, source, label}. Photos of 60 kinds, and others, are put into a library in FOLDER, with two
data sets of queries of a photo of one kind and words. In `narrowed` the words are wider ("an animal") and photos of the
photo's kind are right; in `changed` the words are another such kind (a horse and "dog"), of which photos are right.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import defaultdict
from pathlib import Path

from benchmarks.avoided_picture import photos_in
from benchmarks.mixed_query import PICTURES, few_of_each
from benchmarks.tables import table
from mmsearch import Library
from mmsearch.evaluation.datasets import read_dataset
from mmsearch.output.estimates import percent

OF_A_KIND = 8


def main() -> None:
    """Makes the library and the data, learns from each, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model")
    asked = parser.parse_args()
    data = made(asked.pairs, asked.folder)
    rows = []
    with Library(asked.folder / "library") as library:
        library.index([asked.folder / "photos"], model=asked.model)
        for path in data:
            found = library.fusions.train(read_dataset(path), force=True).picture
            assert found is not None
            library.fusions.use("fusion@none")
            hits, mrr = (found.base_hits, found.fused_hits), (found.base_mrr, found.fused_mrr)
            shown = [percent(one, ".0f") for one in (*hits, *mrr)]
            counts = f"{found.trained_on} / {found.judged_on}"
            rows.append(
                [path.stem, counts, f"{found.weight:.2f}", *shown, "kept" if found.judged.better else "refused"]
            )
    head = ["what is meant", "learned from / judged by", "weight of the picture", "R@10 without", "with it"]
    print(table([*head, "MRR without", "with it", ""], rows))


def made(pairs: Path, folder: Path) -> list[Path]:
    """The files of both data sets, and the photos under names that say nothing."""
    photos = few_of_each(photos_in(pairs), OF_A_KIND)
    (folder / "photos").mkdir(parents=True)
    of_kind: dict[str, list[str]] = defaultdict(list)
    wider: dict[str, str] = {}
    for number, photo in enumerate(photos):
        shutil.copy(photo.path, folder / "photos" / f"{number}.jpg")
        if photo.wider:
            of_kind[photo.kind].append(f"photos/{number}.jpg")
            wider[photo.kind] = photo.wider
    narrowed: dict[str, list[dict[str, str]]] = defaultdict(list)
    changed: dict[str, list[dict[str, str]]] = defaultdict(list)
    for kind, files in of_kind.items():
        others = sorted(one for one in of_kind if wider[one] == wider[kind] and one != kind)
        for place, picture in enumerate(files[:PICTURES]):
            for file in files:
                if file != picture:
                    narrowed[file].append({"image": picture, "text": wider[kind]})
            for other in others[place::PICTURES][:1]:
                for file in of_kind[other]:
                    changed[file].append({"image": picture, "text": other.split(" ", 1)[1].lower()})
    found = []
    for name, queries in (("narrowed", narrowed), ("changed", changed)):
        path = folder / f"{name}.jsonl"
        path.write_text("\n".join(json.dumps({"file": file, "queries": of}) for file, of in queries.items()), "utf-8")
        found.append(path)
    return found


if __name__ == "__main__":
    main()
