"""Words alone, vectors alone and both, on labelled queries; and how often a match with a word score is right.

    python -m benchmarks.word_merge DATA FOLDER [--photos 150]

DATA is a JSONL of {file, by_eye: [sentence, query]}. In FOLDER a library of three kinds of files is made of it: photos
under the names of cameras (asked for by their captions), photos under names that people give (asked for by these), and
notes with a number or a name in them (asked for by it, in words or as a phrase). All lie in one library, so that every
kind is in the way of the others. Both ways of merging that are held against ours need nothing but the two lists.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from mmsearch import Library, Query
from mmsearch.evaluation.metrics import retrieval_metrics
from mmsearch.records import Filters
from mmsearch.searching.query import text_term
from mmsearch.searching.word_ranking import WordRanking
from mmsearch.searching.words import LEAST_WORD_SCORE, words_of_query
from mmsearch.store.sqlite.store import SqliteStore

PEOPLE = (
    "Ottilie",
    "Barnaby",
    "Xenia",
    "Leopold",
    "Wilhelmina",
    "Quentin",
    "Philippa",
    "Ignatius",
    "Rosalind",
    "Tarquin",
)
TOWNS = ("Norddeich", "Zakopane", "Kirkwall", "Vlissingen", "Bregenz", "Sigtuna", "Ravello", "Coimbra", "Hvar", "Nikko")
FUSION = 60  # of reciprocal rank fusion: Cormack, Clarke and Büttcher, 2009
LISTED = 100
NOT_FOUND = 1_000_000_000
METRICS = ("R@1", "R@5", "MRR")


class Asked(NamedTuple):
    kind: str
    query: str
    relevant: frozenset[str]


def made(data: Path, folder: Path, photos: int) -> list[Asked]:
    """Puts the files in place, and gives the queries."""
    lines = [json.loads(line) for line in data.read_text("utf-8").splitlines()]
    captioned = [line for line in lines if len(line.get("by_eye", ())) == 2]
    chance = random.Random(4)
    chosen = chance.sample(captioned, 3 * photos)
    asked: list[Asked] = []
    for place in ("DCIM", "Holidays", "Notes"):
        (folder / place).mkdir(parents=True)
    for number, line in enumerate(chosen[:photos]):
        path = folder / "DCIM" / f"IMG_{number:04d}.jpg"
        shutil.copy(data.parent / line["file"], path)
        asked.append(Asked("photos by captions", line["by_eye"][1], frozenset((str(path),))))
    named: dict[str, set[str]] = {}
    for number, line in enumerate(chosen[photos : 2 * photos]):
        person, town = chance.choice(PEOPLE), chance.choice(TOWNS)
        path = folder / "Holidays" / f"{person} {town} {number}.jpg"
        shutil.copy(data.parent / line["file"], path)
        for name in (person, town, f"{person} in {town}"):
            named.setdefault(name, set()).add(str(path))
    for number, line in enumerate(chosen[2 * photos :]):
        path = folder / "Notes" / f"note {number}.txt"
        code, sentence = f"{chance.randrange(10_000, 99_999)}", line["by_eye"][0]
        person = chance.choice(PEOPLE)
        path.write_text(f"{sentence.capitalize()}. Order {code}, to {person}.", encoding="utf-8")
        named.setdefault(person, set()).add(str(path))
        asked.append(Asked("notes by exact words", f"order {code}", frozenset((str(path),))))
        words = sentence.split()
        asked.append(Asked("notes by phrases", f'"{" ".join(words[1:5])}"', frozenset((str(path),))))
    return asked + [Asked("files by names", name, frozenset(paths)) for name, paths in named.items()]


def by_words(store: SqliteStore, asked: Asked) -> Iterator[tuple[str, float]]:
    """The files that words find, each with its score."""
    model_ids = [model_id for model_id, _ in store.model_rows()]
    ranking = WordRanking(store, words_of_query([text_term(asked.query)]), Filters(), model_ids)
    sources = store.word_sources([place.item_id for place in ranking.best(LISTED).places], Filters()) if ranking else []
    for source in sources:
        yield os.fsdecode(source.path), ranking.match(source).score


def fused(*lists: Sequence[str]) -> list[str]:
    """By reciprocal rank."""
    scores: dict[str, float] = {}
    for paths in lists:
        for rank, path in enumerate(paths, start=1):
            scores[path] = scores.get(path, 0.0) + 1 / (FUSION + rank)
    return sorted(scores, key=lambda path: -scores[path])


def measure(folder: Path, asked: Sequence[Asked]) -> None:
    ranks: dict[tuple[str, str], list[npt.NDArray[np.int64]]] = {}
    pairs: list[tuple[float, bool]] = []
    with (
        Library(folder / "library") as library,
        closing(SqliteStore.read(str(folder / "library"))) as store,
        library.session() as session,
        library.session() as without,
    ):
        for one in asked:
            query = Query((text_term(one.query),), limit=LISTED, min_score=0.0)
            both = [hit.path for hit in session.search(query).hits]
            with patch.object(SqliteStore, "has_words", lambda self: False):
                near = {hit.path: hit.score for hit in without.search(query).hits}
            said = dict(sorted(by_words(store, one), key=lambda pair: -pair[1]))
            pairs += [(score, path in one.relevant) for path, score in said.items() if score >= LEAST_WORD_SCORE]
            best = {path: max(near.get(path, 0.0), said.get(path, 0.0)) for path in {*near, *said}}
            ways = {
                "words alone": list(said),
                "vectors alone": list(near),
                "both": both,
                "the higher score": sorted(best, key=lambda path: -best[path]),
                "reciprocal rank fusion": fused(list(near), list(said)),
            }
            for way, paths in ways.items():
                rank = next((place for place, path in enumerate(paths, start=1) if path in one.relevant), NOT_FOUND)
                ranks.setdefault((one.kind, way), []).append(np.array([rank]))
    print(f"{'':24}{'':24}{'R@1':>16}{'R@5':>16}{'MRR':>16}  queries; percent [95 % interval]")
    for (kind, way), found in sorted(ranks.items()):
        metrics = retrieval_metrics(found, (1, 5))
        shown = [f"{100 * n.value:.0f} [{100 * n.low:.0f}, {100 * n.high:.0f}]" for n in map(metrics.get, METRICS) if n]
        print(f"{kind:24}{way:24}{''.join(f'{one:>16}' for one in shown)}  {len(found)}")
    print("of the matches with a score, the share that is right:")
    for low in (0.5, 0.75, 0.9, 0.95):
        high = {0.5: 0.75, 0.75: 0.9, 0.9: 0.95, 0.95: 1.01}[low]
        right = [is_right for score, is_right in pairs if low <= score < high]
        print(f"  {low:.2f} to {min(high, 1):.2f}: {np.mean(right) if right else math.nan:.2f} of {len(right)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=150)
    arguments = parser.parse_args()
    asked = made(arguments.data, arguments.folder / "tree", arguments.photos)
    with Library(arguments.folder / "library") as library:
        library.index([arguments.folder / "tree"])
    measure(arguments.folder, asked)


if __name__ == "__main__":
    main()
