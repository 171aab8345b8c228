"""A year of deleted and replaced files: does the graph stay as good as a new one, and does the room come back?

    python -m benchmarks.churn --rows 20000 --rounds 24 --share 0.1

Each round drops a share of all files and adds as many others, and brings the derived files up to date as an index run
does. The vectors are clustered: random directions around random centres, as near to them as photos of one thing are to
each other. Prints a line for each round: recall@10 of the graph against exact search, that of a graph built anew, and
what lies on the disk.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np

from mmsearch.nearest.code_file import refresh_codes
from mmsearch.nearest.derived import derived_bytes
from mmsearch.nearest.hnsw import EF_SEARCH, built, read_graph, refresh_graph
from mmsearch.nearest.spaces import Space
from mmsearch.nearest.vectors import VectorRows, rows_of
from mmsearch.records import Content, EncodedItem, FileState, ModelIdentity
from mmsearch.store.models import add_model
from mmsearch.store.sqlite.compaction import compact_database, is_wasteful, wasted_bytes
from mmsearch.store.sqlite.store import SqliteStore

DIMENSION = 384
CENTRES = 400
SPREAD = 0.9


def clustered(count: int, chance: np.random.Generator, centres: np.ndarray) -> np.ndarray:
    """Unit vectors, float32 [count, DIMENSION]."""
    rows = centres[chance.integers(len(centres), size=count)] + SPREAD * chance.normal(size=(count, DIMENSION)) / 20
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def recall(found: np.ndarray, rows: VectorRows, queries: np.ndarray) -> float:
    """Of the exact ten, the share that is among the ten found; ids [q, 10]."""
    cosines = rows.cosines(queries)
    best = np.argpartition(-cosines, 10, axis=0)[:10].T
    exact = [set(rows.item_ids[one].tolist()) for one in best]
    return float(np.mean([len(set(ours.tolist()) & theirs) / 10 for ours, theirs in zip(found, exact, strict=True)]))


def add(store: SqliteStore, root_id: int, model_id: int, rows: np.ndarray, first: int) -> list[int]:
    """Files, contents and items of these vectors; returns the ids of the files."""
    with store.transaction():
        for number, row in enumerate(rows, start=first):
            digest = number.to_bytes(16, "big")
            content = store.put_content(Content(digest, "image", 1))
            store.add_items(content, model_id, [EncodedItem("image", row)])
            store.put_file(FileState(root_id, b"/photos/%d.jpg" % number, 1, number), content)
    return [row[0] for row in store.connection.execute("SELECT id FROM files ORDER BY id DESC LIMIT ?", (len(rows),))]


def main() -> None:
    """Runs all rounds and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--share", type=float, default=0.1)
    asked = parser.parse_args()
    chance = np.random.default_rng(0)
    centres = chance.normal(size=(CENTRES, DIMENSION)) / 20
    queries = clustered(300, chance, centres)
    identity = ModelIdentity("benchmark", "1", DIMENSION, "benchmark" * 8)
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore.write(folder)
        with store.transaction():
            model_id = add_model(store, identity)
            root_id = store.put_root(b"/photos", "{}").id
        space = Space(model_id, identity, "image")
        files = add(store, root_id, model_id, clustered(asked.rows, chance, centres), 1)
        made = asked.rows
        print("| round | recall@10 | of a new graph | database MB | free in it MB | derived MB |")
        print("|-|-|-|-|-|-|")
        for turn in range(asked.rounds + 1):
            if turn:
                count = int(asked.share * len(files))
                chance.shuffle(files)
                with store.transaction():
                    store.remove_files(files[:count])
                    store.retire_orphans()
                new = add(store, root_id, model_id, clustered(count, chance, centres), made + 1)
                files = files[count:] + new
                made += count
                if is_wasteful(store):
                    compact_database(store, folder)
            refresh_graph(folder, store, refresh_codes(folder, store, space)[0])
            live = rows_of(store, space, np.array(sorted(held(store)), np.int64))
            graph = read_graph(folder, store, space)
            found = [graph.nearest(query, 40)[0] for query in queries]
            ours = recall(live_of(found, live), live, queries)
            fresh = built([live], DIMENSION, len(live))
            fresh.set_ef(EF_SEARCH)  # as wide as the other is looked through
            anew = recall(fresh.knn_query(queries, k=10)[0], live, queries)
            free, size = wasted_bytes(store)
            disk = (size / 1e6, free / 1e6, derived_bytes(folder) / 1e6)
            print(f"| {turn} | {ours:.4f} | {anew:.4f} | {disk[0]:.1f} | {disk[1]:.1f} | {disk[2]:.1f} |", flush=True)
        store.close()


def held(store: SqliteStore) -> list[int]:
    """Items whose content a file holds: what a search shows."""
    return [
        row[0]
        for row in store.connection.execute("SELECT id FROM items WHERE content_id IN (SELECT content_id FROM files)")
    ]


def live_of(found: list[np.ndarray], live: VectorRows) -> np.ndarray:
    """The first ten of each row that are still held, as a search takes them; ids [q, 10]."""
    known = set(live.item_ids.tolist())
    return np.array([[one for one in row.tolist() if one in known][:10] for row in found])


if __name__ == "__main__":
    main()
