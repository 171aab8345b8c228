"""Words alone, vectors alone and both on three data sets of photos, as `mmsearch eval` measures them.

    python -m benchmarks.three_sets PAIRS.jsonl FOLDER [--sources osie,bsds500] [--photos 300] [--model NAME]

PAIRS is a JSONL of {file, source, by_eye: [sentence, query]}. In FOLDER three data sets are made of different photos of
these: `captions`, photos under the names that cameras give, asked for by the query; `names`, photos that are called
after a person and a town, asked for by these; and `notes`, photos with a note of the sentence, an order number and a
name, asked for by the number and by four words of the sentence in their order. The photos of the other two, with their
names and notes, are in the way of each.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tables import table
from benchmarks.word_merge import PEOPLE, TOWNS
from mmsearch import Library
from mmsearch.evaluation.datasets import read_dataset

METRICS = ("R@1", "R@5", "R@10", "MRR", "MAP")


def main() -> None:
    """Makes the data sets, measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sources", help="take photos of these alone; of all by default")
    parser.add_argument("--photos", type=int, default=300, help="of each data set")
    parser.add_argument("--model", action="append", help="measure this one (repeatable); the built-in one by default")
    asked = parser.parse_args()
    sources = asked.sources.split(",") if asked.sources else None
    lines = []
    for data in made(asked.pairs, asked.folder, asked.photos, sources):
        found = Library(asked.folder / "no library").evaluate(read_dataset(data), models=asked.model or ())
        for one in found.evaluations:
            for way in one.channels:
                numbers = [way.metrics[name] for name in METRICS]
                shown = [f"{100 * n.value:.0f} [{100 * n.low:.0f}, {100 * n.high:.0f}]" for n in numbers]
                lines.append([f"{data.stem} ({way.queries} queries)", one.model, way.name, *shown])
    print(table(["data set", "model", "channel", *METRICS], lines))


def made(pairs: Path, folder: Path, photos: int, sources: Sequence[str] | None) -> list[Path]:
    """The files of the three data sets."""
    lines = [json.loads(line) for line in pairs.read_text("utf-8").splitlines()]
    lines = [line for line in lines if len(line.get("by_eye", ())) == 2]
    lines = [line for line in lines if sources is None or line["source"] in sources]
    chance = random.Random(4)
    chosen = chance.sample(lines, 3 * photos)

    def camera(number: int, line: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return f"IMG_{number:04d}.jpg", {"captions": [line["by_eye"][1]]}

    def named(number: int, line: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        person, town = chance.choice(PEOPLE), chance.choice(TOWNS)
        return f"{person} {town} {number}.jpg", {"captions": [person, town, f"{person} in {town}"]}

    def noted(number: int, line: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        code, sentence = f"{chance.randrange(10_000, 99_999)}", line["by_eye"][0]
        note = f"{sentence.capitalize()}. Order {code}, to {chance.choice(PEOPLE)}."
        captions = [f"order {code}", " ".join(sentence.split()[1:5])]
        return f"IMG_{number:04d}.jpg", {"captions": captions, "words": note}

    kinds: dict[str, Callable[[int, dict[str, Any]], tuple[str, dict[str, Any]]]]
    kinds = {"captions": camera, "names": named, "notes": noted}
    rows: dict[str, list[dict[str, Any]]] = {}
    for place, (kind, shown) in enumerate(kinds.items()):
        (folder / kind).mkdir(parents=True)
        rows[kind] = []
        for number, line in enumerate(chosen[place * photos : (place + 1) * photos]):
            name, row = shown(number, line)
            shutil.copy(pairs.parent / line["file"], folder / kind / name)
            rows[kind].append({"file": f"{kind}/{name}", **row})
    for kind in kinds:
        others = [{**row, "captions": []} for other in kinds if other != kind for row in rows[other]]
        text = "\n".join(map(json.dumps, [*rows[kind], *others]))
        (folder / f"{kind}.jsonl").write_text(text, encoding="utf-8")
    return [folder / f"{kind}.jsonl" for kind in kinds]


if __name__ == "__main__":
    main()
