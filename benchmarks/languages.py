"""How well photos are found by queries in other languages, beside the same ones in English.

    python -m benchmarks.languages --pairs pairs.jsonl --count 1500 --library /tmp/library

languages.tsv beside this module holds queries for photos of the folder of `pairs.jsonl` (a line each with `file`), in
English and as people would type them in fifteen languages. Those photos and others, drawn with the same dice each time,
are indexed with the built-in model. R@10 is the share of the queries of which the photo is among the first ten hits:
as they are typed, and as they are read; the language is told by their words, without help of the locale.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.tables import table, write_section
from mmsearch import Library, Query
from mmsearch.language import NAMES
from mmsearch.searching.query import text_term

QUERIES = Path(__file__).with_name("languages.tsv")
FIRST = 10


def main() -> None:
    """Indexes the photos, asks, and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1_500, help="of photos")
    parser.add_argument("--library", type=Path, help="the folder that keeps photos and vectors for the next time")
    parser.add_argument("--document", type=Path, help="the Markdown file that gets the table")
    asked = parser.parse_args()
    with QUERIES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    os.environ["LC_ALL"] = "C"
    with _folder(asked.library) as folder, Library(folder / "library") as library:
        photos = folder / "photos"
        if not library.exists():
            _copy(asked.pairs, [row["file"] for row in rows], asked.count, photos)
            library.index(photos)
        english = found(library, rows, "en", "en")
        lines = [["English", "", str(english), ""]]
        for code, name in NAMES.items():
            typed, read = found(library, rows, code, "en"), found(library, rows, code, None)
            lines.append([name, str(typed), str(read), f"{read / english:.0%}"])
    text = "\n".join([
        f"{len(rows)} queries a language, {asked.count:,} photos: how many have theirs among the first {FIRST}.",
        "", table(["language", "as typed", "read", "of English"], lines),
    ])  # fmt: skip
    write_section(asked.document, "Queries in other languages", text) if asked.document else print(text)


def found(library: Library, rows: list[dict[str, str]], column: str, language: str | None) -> int:
    """How many of the queries in that column have their photo among the first hits."""
    queries = (Query((text_term(row[column]),), limit=FIRST, min_score=0.0, language=language) for row in rows)
    results = zip(rows, library.search_many(queries, scan="exact"), strict=True)
    return sum(any(hit.path.endswith(row["file"]) for hit in result.hits) for row, result in results)


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


def _copy(pairs: Path, wanted: list[str], count: int, photos: Path) -> None:
    """The wanted photos and so many others with captions as make up the count."""
    lines = [json.loads(line) for line in pairs.read_text(encoding="utf-8").splitlines()]
    others = sorted({line["file"] for line in lines if line.get("by_eye")} - set(wanted))
    random.Random(7).shuffle(others)
    for name in (*wanted, *others[: count - len(wanted)]):
        path = photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pairs.parent / name, path)


if __name__ == "__main__":
    main()
