"""How long one search takes in a fresh process, over libraries of any size, with the page cache warm.

    python -m benchmarks.cold_search --photos ~/Pictures --sizes 10000 100000 1000000

Each query is new, so that the model is loaded for it; `asked before` repeats one. The libraries are those of
`benchmarks.large_library`; recall@10 is the share of the exact ten among the ten that are found, over `--queries` texts
and as many photos. With --rclip, rclip's own step from a stored library to a ranking is run on as many vectors.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.large_library import exact_best, grown, make_library, queries_of, vectors_of_photos
from benchmarks.measuring import Run, machine, middle, mmsearch_command, run, spread
from benchmarks.tables import exponent, plot, table, write_section
from mmsearch.nearest.gallery import Gallery
from mmsearch.nearest.spaces import model_in_use
from mmsearch.nearest.vectors import StoredVectors
from mmsearch.records import FloatMatrix
from mmsearch.searching.ranked_files import FIRST_CANDIDATES
from mmsearch.store.sqlite.store import SqliteStore

# What rclip 3.3.0 does once it knows the query: all vectors from SQLite, one product, a sort in Python.
RCLIP_STEP = """
import sqlite3, sys, numpy as np
rows = sqlite3.connect(sys.argv[1]).execute("SELECT filepath, vector FROM images WHERE deleted IS NULL").fetchall()
features = np.stack([np.frombuffer(row[1], np.float32) for row in rows])
query = features[0]
print(sorted(zip(query @ features.T, range(len(rows))), key=lambda one: one[0], reverse=True)[:10])
"""


def main() -> None:
    """Makes the libraries, searches them in turn, and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--rclip", action="store_true", help="measure rclip's search step too")
    parser.add_argument("--document", type=Path, help="the Markdown file that gets the table, and a plot beside it")
    asked = parser.parse_args()
    vectors = vectors_of_photos(asked.photos)
    held_out, seeds = vectors[: asked.queries], vectors[asked.queries :]
    texts = queries_of(asked.queries)
    with tempfile.TemporaryDirectory() as place:
        libraries = {size: Path(place, str(size)) for size in asked.sizes}
        for size, library in libraries.items():
            make_library(library, seeds, size, graph=False)
            print(f"{size:,} rows made", file=sys.stderr)
        runs = measure(libraries, seeds, asked)
        recalls = {
            size: (recall(library, texts, by_text=1.0), recall(library, held_out))
            for size, library in libraries.items()
        }
    text = report(runs, recalls, asked)
    print(text)
    if asked.document:
        picture = asked.document.parent / "cold-search.png"
        curves = {
            name: {size: middle([one.wall for one in of]) for size, of in by.items()} for name, by in runs.items()
        }
        plot(picture, curves, "photos in the library", "seconds, whole process")
        write_section(asked.document, "One search in a fresh process", f"{text}\n\n![Seconds by size]({picture.name})")


Runs = dict[str, dict[int, list[Run]]]


def measure(libraries: dict[int, Path], seeds: FloatMatrix, asked: argparse.Namespace) -> Runs:
    """Runs of each kind, by size."""
    names = ["a new query", "asked before", *(["rclip, search step alone"] if asked.rclip else [])]
    runs: Runs = {name: {size: [] for size in libraries} for name in names}
    for library in libraries.values():
        search(library, "a boat")  # what is read once: the page cache, the model's optimised graph
    for turn in range(asked.repeats):
        for size, library in libraries.items():
            runs["a new query"][size].append(search(library, f"a boat on lake number {turn}"))
            runs["asked before"][size].append(search(library, "a boat"))
    if asked.rclip:
        for size, library in libraries.items():
            database = library / "rclip.db"
            write_as_rclip(database, seeds, size)
            for _ in range(min(3, asked.repeats)):
                runs["rclip, search step alone"][size].append(run([sys.executable, "-c", RCLIP_STEP, str(database)]))
            database.unlink()
    return runs


def search(library: Path, words: str) -> Run:
    command = [*mmsearch_command(), "search", words, "--min-score", "0", "--json"]
    done = run(command, {"MMSEARCH_LIBRARY": str(library)})
    assert done.code == 0, done.out
    return done


def write_as_rclip(database: Path, seeds: FloatMatrix, rows: int) -> None:
    """A table as rclip keeps it: 512 float32 numbers a photo."""
    import sqlite3

    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE images (filepath TEXT, vector BLOB, deleted BOOLEAN)")
    number = 0
    for part in grown(seeds, rows):
        padded = np.pad(part, ((0, 0), (0, 512 - part.shape[1])))
        connection.executemany(
            "INSERT INTO images VALUES (?, ?, NULL)",
            ((f"/photos/{number + place}.jpg", row.tobytes()) for place, row in enumerate(padded)),
        )
        number += len(part)
    connection.commit()
    connection.close()


def recall(library: Path, queries: FloatMatrix, by_text: float = 0.0) -> float:
    """The share of the exact ten that a search finds, over all queries."""
    store = SqliteStore.read(str(library))
    in_use = model_in_use(store)
    assert in_use is not None
    space = in_use.space("image")
    codes = Gallery(str(library), space, "codes")
    shared = []
    exact = exact_best(StoredVectors(store, space, 0), queries, by_text=by_text)
    for query, right in zip(queries, exact, strict=True):
        found = set(codes.ranking(store, query, by_text=by_text)[0](FIRST_CANDIDATES).item_ids[:10].tolist())
        shared.append(len(right & found) / 10)
    store.close()
    return float(np.mean(shared))


def report(runs: Runs, recalls: dict[int, tuple[float, float]], asked: argparse.Namespace) -> str:
    """One row a kind and size, and how time grows."""
    rows = []
    for name, by_size in runs.items():
        for size, of_size in by_size.items():
            found = "–" if name != "a new query" else " / ".join(f"{one:.3f}" for one in recalls[size])
            rows.append(
                [
                    name,
                    f"{size:,}",
                    spread([one.wall for one in of_size]),
                    f"{middle([one.processor for one in of_size]):.2f}",
                    f"{max(one.peak for one in of_size) / 1e6:,.0f}",
                    found,
                ]
            )
    head = ["", "photos", "seconds, whole process", "CPU s", "peak MB", "recall@10, by text / by photo"]
    growth = [
        f"{name}: time grows as N^{exponent(list(by), [middle([one.wall for one in of]) for of in by.values()]):.2f}"
        for name, by in runs.items()
        if len(by) > 1
    ]
    return f"{table(head, rows)}\n\n{'; '.join(growth)}.\n\nMedian of {asked.repeats} [lowest–highest]. {machine()}."


if __name__ == "__main__":
    main()
