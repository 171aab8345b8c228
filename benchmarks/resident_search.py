"""How long a search takes once everything is loaded (`search --batch`, `Library.search_many`), also with filters.

    python -m benchmarks.resident_search --photos ~/Pictures --rows 1000000

Times are those of finding the nearest items alone, without the model: the queries' vectors are known. recall@10 is
against exact search over the same rows. Beside that whole searches of a session are measured, by one thread and by
several, with the memory that they take: --searches 20000 tells whether it grows.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.large_library import exact_best, make_library, queries_of, texts_of, vectors_of_photos
from benchmarks.measuring import machine
from benchmarks.tables import table, write_section
from mmsearch import Library, Query
from mmsearch.nearest.gallery import Gallery, Wanted
from mmsearch.nearest.scan import Scan
from mmsearch.nearest.spaces import model_in_use
from mmsearch.nearest.vectors import StoredVectors
from mmsearch.records import Filters, FloatMatrix
from mmsearch.searching.query import text_term
from mmsearch.searching.ranked_files import FIRST_CANDIDATES
from mmsearch.store.sqlite.store import SqliteStore

FILTERS = {
    "none": Filters(),
    "60 % (--ext jpg)": Filters(extensions=(".jpg",)),
    "20 % (--ext heic)": Filters(extensions=(".heic",)),
    "5 % (--in one year)": Filters(folders=(b"/photos/2010",)),
    "1.7 % (--in one month)": Filters(folders=(b"/photos/2010/6",)),
}


def main() -> None:
    """Makes one library and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--searches", type=int, default=2_000, help="whole searches of a session")
    parser.add_argument("--library", type=Path, help="a library that is there already")
    parser.add_argument("--document", type=Path, help="the Markdown file that gets the table")
    asked = parser.parse_args()
    vectors = vectors_of_photos(asked.photos)
    queries = np.concatenate([queries_of(asked.queries), vectors[: asked.queries]])
    with tempfile.TemporaryDirectory() as place:
        library = asked.library or Path(place, "library")
        if asked.library is None:
            started = time.process_time(), time.perf_counter()
            make_library(library, vectors[asked.queries :], asked.rows, graph=True)
            took = time.process_time() - started[0], time.perf_counter() - started[1]
            print(f"made in {took[1]:.0f} s, {took[0]:.0f} CPU s, the graph included", file=sys.stderr)
        rows = measure(library, queries)
        whole = measure_session(library, texts_of(asked.queries), asked.searches)
    head = ["rows that pass", "way", "by", "p50 ms", "p99 ms", "recall@10"]
    of_session = ["way", "threads", "CPU ms a search", "ms a search", "MB more after all"]
    text = (
        f"{table(head, rows)}\n\n{asked.queries:,} queries of each kind.\n\n{table(of_session, whole)}\n\n"
        f"Whole searches of a session, {asked.searches:,} of them. {machine()}."
    )
    print(text)
    if asked.document:
        write_section(asked.document, f"Searches once everything is loaded, {asked.rows:,} photos", text)


def measure(library: Path, queries: FloatMatrix) -> list[list[str]]:
    """A row for each filter, way and kind of query."""
    store = SqliteStore.read(str(library))
    in_use = model_in_use(store)
    assert in_use is not None
    space = in_use.space("image")
    rows = []
    for name, filters in FILTERS.items():
        passing = Wanted(store.matching_items(filters, in_use.model_id, "image")) if filters else None
        half, among = len(queries) // 2, passing.item_ids if passing else None
        vectors = StoredVectors(store, space, 0)
        right = exact_best(vectors, queries[:half], among, by_text=1.0) + exact_best(vectors, queries[half:], among)
        ways: tuple[Scan, ...] = ("auto", "codes", "graph")
        for way in ways:
            gallery = Gallery(str(library), space, way)
            for query in queries[:2]:
                gallery.ranking(store, query, passing, by_text=1.0)[0](FIRST_CANDIDATES)
            times, shared = timed(gallery, store, passing, queries, right)
            for kind, part in (("text", slice(0, half)), ("photo", slice(half, None))):
                rows.append(
                    [
                        name,
                        way,
                        kind,
                        f"{np.percentile(times[part], 50):.1f}",
                        f"{np.percentile(times[part], 99):.1f}",
                        f"{np.mean(shared[part]):.3f}",
                    ]
                )
            print(rows[-2:], file=sys.stderr)
    store.close()
    return rows


def timed(
    gallery: Gallery, store: SqliteStore, passing: Wanted | None, queries: FloatMatrix, right: list[set[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds and the share of the exact ten, for each query: the first half of them are texts."""
    times, shared = [], []
    for place, (query, expected) in enumerate(zip(queries, right, strict=True)):
        by_text = float(place < len(queries) // 2)
        started = time.perf_counter()
        found = gallery.ranking(store, query, passing, by_text=by_text)[0](FIRST_CANDIDATES)
        times.append((time.perf_counter() - started) * 1000)
        shared.append(len(set(found.item_ids[:10].tolist()) & expected) / max(1, len(expected)))
    return np.array(times), np.array(shared)


def measure_session(library: Path, texts: list[str], searches: int) -> list[list[str]]:
    """A row for each way and number of threads: processor time and wall time a search, and what memory grew by."""
    rows = []
    ways: tuple[Scan, ...] = ("auto", "codes")
    for way in ways:
        for threads in (1, 4):
            with Library(library) as opened, opened.session(scan=way) as session:
                queries = [Query((text_term(text),), min_score=0) for text in texts]
                for query in queries:
                    session.search(query)
                asked = [queries[number % len(queries)] for number in range(searches)]
                memory, processor, wall = resident_bytes(), time.process_time(), time.perf_counter()
                with ThreadPoolExecutor(threads) as executor:
                    for _ in executor.map(session.search, asked):
                        pass
                took = (time.process_time() - processor, time.perf_counter() - wall)
                milliseconds = [f"{1000 * seconds / searches:.2f}" for seconds in took]
                rows.append([way, str(threads), *milliseconds, f"{(resident_bytes() - memory) / 1e6:.1f}"])
    return rows


def resident_bytes() -> int:
    """The memory that this process has now. Linux only."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
