"""What "A without B" finds: photos of A that show no B, by their captions.

    python -m benchmarks.negation PAIRS.jsonl [--sources coco,osie,unsplash-web,bsds500] [--least 8]

PAIRS is a JSONL of {file, source, captions, by_eye}. Photos are indexed and searched as a user's. Of each A and B that
at least so many photos show together, and so many A alone, three searches are compared: A by itself, the sentence as
one text, and as the engine reads it, as two terms of which the second is avoided. Photos whose captions do not speak
of a thing may still show it, so that the shares are to be compared with each other.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.tables import table
from mmsearch import Library, Query, Session, Term
from mmsearch.evaluation.metrics import estimate
from mmsearch.output.estimates import percent
from mmsearch.searching.query import text_terms

FIRST = 10
PLACES = (
    *("beach", "street", "road", "room", "kitchen", "table", "park"),
    *("field", "snow", "water", "boat", "horse", "bench"),
)
AVOIDED = {
    "people": "people person persons man men woman women boy boys girl girls child children kid kids crowd couple "
    "player players rider surfer skier skateboarder baby lady guy group family",
    "cars": "car cars truck trucks van vans vehicle vehicles bus buses taxi traffic",
    "trees": "tree trees palm palms forest woods",
    "dogs": "dog dogs puppy",
    "buildings": "building buildings house houses skyscraper skyscrapers church tower",
    "food": "food pizza sandwich cake plate meal fruit bread salad",
}
Terms = Callable[[str, str], tuple[Term, ...]]
WAYS: dict[str, Terms] = {
    "A": lambda place, avoided: (Term("text", place),),
    "A without B, one text": lambda place, avoided: (Term("text", f"{place} without {avoided}"),),
    "A without B, as read": lambda place, avoided: tuple(text_terms(f"{place} without {avoided}")),
    "no B in the A, one text": lambda place, avoided: (Term("text", f"no {avoided} in the {place}"),),
    "no B in the A, as read": lambda place, avoided: tuple(text_terms(f"no {avoided} in the {place}")),
    "A, no B, as read": lambda place, avoided: tuple(text_terms(f"{place}, no {avoided}")),
}


@dataclass(frozen=True)
class Case:
    """A thing and one to be without, with the photos that show both, and those that show the first alone."""

    place: str
    avoided: str
    both: frozenset[str]
    alone: frozenset[str]


def main() -> None:
    """Indexes the photos, searches, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--sources", default="coco,osie,unsplash-web,bsds500", help="take photos of these")
    parser.add_argument("--least", type=int, default=8, help="photos that show both, and as many of A alone")
    asked = parser.parse_args()
    lines = [json.loads(line) for line in asked.pairs.read_text("utf-8").splitlines()]
    lines = [line for line in lines if line["source"] in asked.sources.split(",") and line.get("by_eye")]
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place, "photos")
        photos.mkdir()
        words = {}
        for number, line in enumerate(lines):
            # Names that say nothing: what is looked for is to be seen.
            name = f"{number}.jpg"
            shutil.copyfile(asked.pairs.parent / line["file"], photos / name)
            words[name] = set(re.findall(r"[a-z]+", " ".join([*line.get("captions", ()), *line["by_eye"]]).lower()))
        cases = list(cases_in(words, asked.least))
        with Library(Path(place, "library")) as library:
            library.index([photos])
            with library.session() as session:
                rows = [row_of(name, terms, cases, session) for name, terms in WAYS.items()]
    print(table(["the query", "% of the first ten: A alone", "% of the first ten: B too"], rows))
    print(f"\n{len(cases)} pairs of A and B, {len(lines):,} photos.")


def cases_in(words: dict[str, set[str]], least: int) -> Iterator[Case]:
    """Each A and B that enough photos show together, and enough A alone."""
    for place in PLACES:
        shows = {name for name, spoken in words.items() if spoken & {place, f"{place}s", f"{place}es"}}
        for avoided, names in AVOIDED.items():
            both = {name for name in shows if words[name] & set(names.split())}
            if least <= len(both) and least <= len(shows - both):
                yield Case(place, avoided, frozenset(both), frozenset(shows - both))


def row_of(name: str, terms: Terms, cases: list[Case], session: Session) -> list[str]:
    """How many of the first ten are as wanted, and how many show what is to be avoided, over all cases."""
    wanted, unwanted = [], []
    for case in cases:
        query = Query(terms(case.place, case.avoided), limit=FIRST, min_score=0.0)
        hits = [Path(hit.path).name for hit in session.search(query).hits]
        wanted.append(len(case.alone.intersection(hits)) / FIRST)
        unwanted.append(len(case.both.intersection(hits)) / FIRST)
    return [name, *(percent(estimate(np.array(shares)), ".0f") for shares in (wanted, unwanted))]


if __name__ == "__main__":
    main()
