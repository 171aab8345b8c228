"""Whole searches of a warm session over a library in PostgreSQL: how soon they answer, what they cost, what they find.

    python -m benchmarks.team_search URL --photos FOLDER --items 10000 --searches 200
    python -m benchmarks.team_search URL --searches 1000                     of a library that was made so before

The database at URL is to be an empty one on this machine, as the server's processor time is read from the system. The
library is made up: each vector is a mixture of those of two real photos with some noise (`benchmarks.large_library`),
and each photo a file of its own in one of the folders that are filtered by. Recall is that of the ten best, hubs
corrected, measured against a comparison with all vectors. Each client has asked a dozen times before
it is measured, as a connection plans its statements anew for the first ones.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.large_library import grown, texts_of, vectors_of_photos
from benchmarks.measuring import machine
from benchmarks.tables import table
from mmsearch import Filters, Library, Query, Session, Term
from mmsearch.records import Content, EncodedItem, FileState, FloatMatrix
from mmsearch.store.models import searched_model
from mmsearch.store.postgres.store import PostgresStore

WANTED, CLIENTS, ITEMS_A_TRANSACTION, WARM = 10, (1, 8), 1_000, 12
HEAD = ("pass the filter", "clients", "p50, ms", "p99, ms", "CPU ms here", "CPU ms server", "recall@10")
# Each lies in the one before: the folder, and of how many photos one lies in it.
FOLDERS = {"": 1, "/half": 2, "/half/20": 20, "/half/20/100": 100, "/half/20/100/1000": 1_000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--photos", type=Path, help="A folder of some hundred photos, to make a library of.")
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--searches", type=int, default=200, help="Searches of each kind.")
    parser.add_argument("--exact", type=int, default=20, help="Searches that are compared with exact ones.")
    options = parser.parse_args()
    with Library(options.url) as library:
        if options.photos is not None:
            make(library, options)
        server, items = server_of(options.url)
        texts = texts_of(options.searches)
        with library.session() as session, library.session(scan="exact") as exact:
            for text in texts:  # encodes them, once
                session.search(query_of(text, ""))
            rows = []
            for folder in FOLDERS:
                for row in measured(session, exact, texts, folder, options.exact, server):
                    print(*row, file=sys.stderr, flush=True)
                    rows.append(row)
    print(table(HEAD, rows))
    print(f"\n{items:,} photos, {options.searches:,} searches of each kind. {machine()}.")


def server_of(url: str) -> tuple[int, int]:
    """The id of the server's first process, and how many items the library has."""
    with closing(PostgresStore.read(url)) as store:
        return int(stat_of(store.connection.info.backend_pid)[1]), store.item_count()


def make(library: Library, options: argparse.Namespace) -> None:
    """The library, as an index run would have left it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "note.txt").write_text("A note, so that there is a text too.")
        library.index([folder])
        started = time.perf_counter()
        with closing(PostgresStore.write(options.url)) as store:
            fill(store, vectors_of_photos(options.photos), options.items)
        print(f"{options.items:,} photos stored in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
        started = time.perf_counter()
        library.index([folder])
        print(f"calibrated, and a graph made, in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


def fill(store: PostgresStore, vectors: FloatMatrix, items: int) -> None:
    model = searched_model(store)
    assert model is not None
    with store.transaction():
        root_id = store.put_root(b"/photos", "{}").id  # a drive that is away: no run looks for its files
    number = 0
    for part in grown(vectors, items, at_once=ITEMS_A_TRANSACTION):
        with store.transaction():
            for row in part:
                number += 1
                content_id = store.put_content(Content(number.to_bytes(16, "big"), "image", 3_500_000))
                store.add_items(content_id, model.id, [EncodedItem("image", row)])
                deepest = next(folder for folder in reversed(FOLDERS) if number % FOLDERS[folder] == 0)
                path = f"/photos{deepest}/{number}.jpg".encode()
                store.put_file(FileState(root_id, path, 3_500_000, number * 1_000_000_000), content_id)


def query_of(text: str, folder: str) -> Query:
    filters = Filters(folders=(f"/photos{folder}".encode(),)) if folder else Filters()
    return Query((Term("text", text),), filters, limit=WANTED, min_score=0.0)


def measured(
    session: Session, exact: Session, texts: list[str], folder: str, compared: int, server: int
) -> Iterator[tuple[str, ...]]:
    """A row for each number of clients."""
    found, wanted = 0, 0
    for text in texts[:compared]:
        right = {hit.path for hit in exact.search(query_of(text, folder)).hits}
        found += len(right & {hit.path for hit in session.search(query_of(text, folder)).hits})
        wanted += len(right)
    for clients in CLIENTS:
        times: list[float] = []
        ready = threading.Barrier(clients + 1)
        threads = [
            threading.Thread(target=ask, args=(session, texts, range(one, len(texts), clients), folder, ready, times))
            for one in range(clients)
        ]
        for thread in threads:
            thread.start()
        ready.wait()
        with spent(server) as processor:
            for thread in threads:
                thread.join()
        here, there = (f"{1_000 * seconds / len(times):.1f}" for seconds in processor)
        p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
        share = f"{1 / FOLDERS[folder]:.1%}"
        yield share, str(clients), f"{p50:.1f}", f"{p99:.1f}", here, there, f"{found / max(1, wanted):.3f}"


def ask(
    session: Session,
    texts: list[str],
    numbers: Sequence[int],
    folder: str,
    ready: threading.Barrier,
    times: list[float],
) -> None:
    """Searches for texts by their numbers in a thread of its own, once all threads have warmed up; milliseconds."""
    for text in texts[:WARM]:
        session.search(query_of(text, folder))
    ready.wait()
    for number in numbers:
        started = time.perf_counter()
        session.search(query_of(texts[number], folder))
        times.append(1_000 * (time.perf_counter() - started))


@contextmanager
def spent(server: int) -> Iterator[list[float]]:
    """Processor seconds of this process, and of all of the server, meanwhile."""
    processor: list[float] = []
    before = time.process_time(), server_seconds(server)
    yield processor
    processor += [time.process_time() - before[0], server_seconds(server) - before[1]]


def server_seconds(server: int) -> float:
    """Of the server's first process and all that it has started, those that have ended included."""
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        fields = stat_of(int(folder.name))
        if fields and server in (int(folder.name), int(fields[1])):
            ticks += sum(map(int, fields[11:15] if int(folder.name) == server else fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def stat_of(process: int) -> list[str]:
    """What the system says of a process from its state on: the second is its parent; nothing if it has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


if __name__ == "__main__":
    main()
