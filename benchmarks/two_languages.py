"""How often a query in another language finds files that are named, and notes that are written, in English.

    python -m benchmarks.two_languages --pairs pairs.jsonl

languages.tsv beside this module holds queries for photos of `pairs.jsonl` (a line each with `file` and `by_eye`: a
sentence and a query), in English and in fifteen languages. For each there are a note that says the sentence, a file
that is called as the English query and says nothing, and in each language a note of the query's own words; the
sentences of other photos are notes beside them. Each query is asked by the words that were typed alone, and by those of
the readings in English too. Vectors are the same both times.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import tempfile
from pathlib import Path
from unittest.mock import patch

from benchmarks.languages import QUERIES
from benchmarks.tables import table, write_section
from mmsearch import Library, Query
from mmsearch.language import NAMES
from mmsearch.searching import word_channel
from mmsearch.searching.query import text_term
from mmsearch.searching.words import readings_of_query

KINDS = {"named": 5, "said": 10, "own": 10}


def main() -> None:
    """Writes the notes, indexes them, asks, and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1_500, help="of other notes")
    parser.add_argument("--document", type=Path, help="the Markdown file that gets the table")
    asked = parser.parse_args()
    with QUERIES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    os.environ["LC_ALL"] = "C"
    with tempfile.TemporaryDirectory() as place, Library(Path(place) / "library") as library:
        notes = Path(place) / "notes"
        _write(notes, rows, asked.pairs, asked.count)
        library.index(notes)
        lines = [["English", *_shares(library, rows, "en")]]
        for code, name in NAMES.items():
            with patch.object(word_channel, "readings_of_query", lambda terms: readings_of_query(terms)[:1]):
                before = _shares(library, rows, code)
            after = _shares(library, rows, code)
            lines.append([name, *(f"{one} → {other}" for one, other in zip(before, after, strict=True))])
    text = "\n".join([
        f"{len(rows)} queries a language; in percent, by the typed words → by those of the readings too.",
        "", table(["language", "named in English, of the first 5", "said in English, of the first 10",
                   "in the query's words, of the first 10"], lines),
    ])  # fmt: skip
    write_section(asked.document, "Words in two languages", text) if asked.document else print(text)


def _write(notes: Path, rows: list[dict[str, str]], pairs: Path, count: int) -> None:
    lines = [json.loads(line) for line in pairs.read_text(encoding="utf-8").splitlines()]
    sentences = {line["file"]: line["by_eye"][0] for line in lines if len(line.get("by_eye", ())) == 2}
    for kind in (*KINDS, "other"):
        (notes / kind).mkdir(parents=True)
    for number, row in enumerate(rows):
        (notes / "said" / f"{number}.txt").write_text(sentences[row["file"]], encoding="utf-8")
        (notes / "named" / f"{row['en']} {number}.txt").write_text(f"No. {number}", encoding="utf-8")
        for code in NAMES:
            (notes / "own" / f"{code} {number}.txt").write_text(row[code], encoding="utf-8")
    others = sorted(sentences.keys() - {row["file"] for row in rows})
    for number, name in enumerate(random.Random(7).sample(others, count)):
        (notes / "other" / f"{number}.txt").write_text(sentences[name], encoding="utf-8")


def _shares(library: Library, rows: list[dict[str, str]], code: str) -> list[str]:
    """Of each kind how many in a hundred queries have their file among the first hits."""
    queries = (Query((text_term(row[code]),), limit=max(KINDS.values()), min_score=0.0) for row in rows)
    found = dict.fromkeys(KINDS, 0)
    for number, result in enumerate(library.search_many(queries, scan="exact")):
        own = {"named": f"named/{rows[number]['en']} {number}.txt", "said": f"said/{number}.txt"}
        own["own"] = f"own/{code} {number}.txt"
        for kind, first in KINDS.items():
            found[kind] += any(hit.path.endswith(f"/{own[kind]}") for hit in result.hits[:first])
    return [f"{100 * count / len(rows):.0f}" if code != "en" or kind != "own" else "" for kind, count in found.items()]


if __name__ == "__main__":
    main()
