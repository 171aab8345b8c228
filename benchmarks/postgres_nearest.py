"""What is found near to a vector in a PostgreSQL library, of what is there, and what it costs the server.

    python -m benchmarks.postgres_nearest URL --items 20000 --dimension 128

The database at URL is to be an empty one on this machine, as the server's processor time is read from the system. The
vectors are made up: clusters that overlap. Shares of them lie in folders, by which they are filtered. Recall is that of
the ten nearest, measured against all vectors of the folder.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from benchmarks.tables import table
from mmsearch.records import Content, EncodedItem, FileState, Filters, FloatMatrix, ModelIdentity
from mmsearch.store.models import add_model
from mmsearch.store.postgres.store import PostgresStore

WANTED = 10
ITEMS_A_CLUSTER, SPREAD = 100, 2.0
ITEMS_A_TRANSACTION = 1_000
# Each lies in the one before: a folder, and the share of all items that lies in it.
FOLDERS = (
    ("/all", 1.0),
    ("/all/half", 0.5),
    ("/all/half/5", 0.05),
    ("/all/half/5/1", 0.01),
    ("/all/half/5/1/0", 0.001),
)


@dataclass(frozen=True)
class MadeUp:
    """Items and queries, unit vectors, float32 [n, dimension]; the items of each folder are the first ones."""

    items: FloatMatrix
    queries: FloatMatrix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--queries", type=int, default=50)
    options = parser.parse_args()
    made_up = make_up(options.items, options.dimension, options.queries)
    with closing(PostgresStore.write(options.url)) as store:
        started = time.perf_counter()
        model_id = fill(store, made_up.items)
        print(f"{options.items:,} items stored in {time.perf_counter() - started:.1f} s", flush=True)
        started = time.perf_counter()
        store.build_nearest()
        print(f"their graph made in {time.perf_counter() - started:.1f} s\n", flush=True)
        rows = [measured(store, model_id, made_up, folder, share) for folder, share in FOLDERS]
    print(table(("pass the filter", "recall@10", "server's processor, ms", "p50, ms"), rows))


def make_up(count: int, dimension: int, queries: int) -> MadeUp:
    chance = np.random.default_rng(3)
    centres = chance.normal(size=(max(1, count // ITEMS_A_CLUSTER), dimension))
    of = centres[chance.integers(0, len(centres), count + queries)]
    rows = (of + SPREAD * chance.normal(size=of.shape)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return MadeUp(rows[:count], rows[count:])


def fill(store: PostgresStore, items: FloatMatrix) -> int:
    """Stores the items, as those of one content for each folder. Returns the id of their model."""
    with store.transaction():
        model_id = add_model(store, ModelIdentity("made-up", "1", items.shape[1], "f" * 32))
        root = store.put_root(b"/all", "{}")
    begins = 0
    for folder, share in reversed(FOLDERS):
        ends = round(share * len(items))
        for first in range(begins, ends, ITEMS_A_TRANSACTION):
            last = min(ends, first + ITEMS_A_TRANSACTION)
            with store.transaction():
                content_id = store.put_content(Content(ends.to_bytes(16, "big"), "document", 10))
                some = [EncodedItem("image", row) for row in items[first:last]]
                store.add_items(content_id, model_id, some, first - begins, is_whole=last == ends)
                store.put_file(FileState(root.id, f"{folder}/1.pdf".encode(), 10, 1), content_id)
        begins = ends
    return model_id


def measured(store: PostgresStore, model_id: int, made_up: MadeUp, folder: str, share: float) -> tuple[str, ...]:
    """A row of the table."""
    stored = made_up.items[: round(share * len(made_up.items))].astype(np.float16).astype(np.float32)
    filters = Filters() if share == 1 else Filters(folders=(folder.encode(),))
    first_id = int(store.item_ids(model_id, "image")[0])
    found, seconds, processor = 0, [], processor_seconds(store)
    for query in made_up.queries:
        started = time.perf_counter()
        item_ids = store.nearest(model_id, "image", query, WANTED, filters).item_ids
        seconds.append(time.perf_counter() - started)
        best = np.argsort(-(stored @ query), kind="stable")[:WANTED] + first_id
        found += len(np.intersect1d(best, item_ids))
    recall = found / (min(WANTED, len(stored)) * len(made_up.queries))
    spent = 1_000 * (processor_seconds(store) - processor) / len(made_up.queries)
    return f"{share:.1%}", f"{recall:.3f}", f"{spent:.1f}", f"{1_000 * statistics.median(seconds):.1f}"


def processor_seconds(store: PostgresStore) -> float:
    """How much of the processor the server's process of this connection has had."""
    with open(f"/proc/{store.connection.info.backend_pid}/stat", encoding="ascii") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
