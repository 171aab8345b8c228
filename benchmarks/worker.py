"""What workers of a team's library get through, beside one run of `index`, and what the queue itself costs a photo.

    python -m benchmarks.worker URL --photos FOLDER --count 300 --workers 1 2 4

URL names a PostgreSQL server on this machine by a database in which nothing is lost: new ones are made beside it, and
dropped. Each row is one pass over the same photos: `index` with one thread, and then N workers of one thread each, from
when they have begun. The queue's own cost is that of its statements for made-up jobs: processor time of the client and,
as the system tells it, of the server's process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from benchmarks.measuring import run
from benchmarks.tables import table
from mmsearch import IndexSettings, Library
from mmsearch.store.postgres.store import PostgresStore
from mmsearch.store.work import QueuedFile

# As many are made up, and claimed at a time.
JOBS, CLAIMED = 8_000, 16
COMMAND = (sys.executable, "-m", "mmsearch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, databases(options.url) as new_database:
        chosen = sorted(options.photos.rglob("*.jpg"))[: options.count]
        for number, path in enumerate(chosen):
            shutil.copy(path, Path(folder, f"{number:05}.jpg"))
        rows = [("index", *by_index(next(new_database), folder, len(chosen)))]
        rows += [
            (f"{count} workers", *by_workers(next(new_database), folder, count, len(chosen)))
            for count in options.workers
        ]
        print(table(("who", "photos a second", "processor a photo, ms"), rows), flush=True)
        client, server = cost_of_queue(next(new_database))
    print(f"\nthe queue a photo: {client:.2f} ms of the client's processor, {server:.2f} ms of the server's")


@contextmanager
def databases(url: str) -> Iterator[Iterator[str]]:
    """URLs of new databases beside that one, dropped at the end."""
    made: list[str] = []

    def names() -> Iterator[str]:
        for number in itertools.count():
            made.append(f"mmsearch_benchmark_{os.getpid()}_{number}")
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {made[-1]} TEMPLATE template0".encode())
            yield urlunsplit(urlsplit(url)._replace(path=f"/{made[-1]}"))

    try:
        yield names()
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            for name in made:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def by_index(url: str, folder: str, photos: int) -> tuple[str, str]:
    """Photos a second, and milliseconds of the processor a photo, of one run. Its start is not in it."""
    done = run([*COMMAND, "index", folder, "--workers", "1", "--json", "--library", url])
    start = run([*COMMAND, "index", "--workers", "1", "--json", "--library", url])
    return (
        f"{photos / json.loads(done.out)['seconds']:.1f}",
        f"{1000 * (done.processor - start.processor) / photos:.1f}",
    )


def by_workers(url: str, folder: str, count: int, photos: int) -> tuple[str, str]:
    """The same of so many workers, from when the first has begun to when the last has ended."""
    command = [*COMMAND, "worker", "--exit-when-empty", "--workers", "1", "--json", "--library", url]
    settings = IndexSettings(queue=True)
    settings.stop.set()
    with Library(url) as library:
        library.index([folder], settings=settings)
    with ThreadPoolExecutor(count) as executor:
        done = list(executor.map(run, [command] * count))
    told = [json.loads(one.out) for one in done]
    if sum(one["stored"] for one in told) != photos:
        raise SystemExit(f"{told} is not what {photos} photos make")
    start = run(command).processor
    processor = sum(one.processor for one in done) - count * start
    return f"{photos / max(one['seconds'] for one in told):.1f}", f"{1000 * processor / photos:.1f}"


def cost_of_queue(url: str) -> tuple[float, float]:
    """Milliseconds a job of the client's and of the server's processor, from queueing it to taking it out as done."""
    with tempfile.TemporaryDirectory() as folder, Library(url) as library:
        Path(folder, "a.txt").write_text("Nothing much.")
        library.index([folder])
    with closing(PostgresStore.share(url)) as store:
        (root,), (model_id, _) = store.roots(), store.model_rows()[0]
        made_up = [
            QueuedFile(root.id, b"/photos/%d.jpg" % number, number, number, number, None, False, False, False, False)
            for number in range(JOBS)
        ]
        (process,) = store.connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        client, server = time.process_time(), processor_of(process)
        store.queue(model_id, made_up, later=False)
        worker = store.enlist("benchmark", 60)
        while jobs := store.claim(worker, [model_id], [root.id], CLAIMED):
            ids = [job.id for job in jobs]
            with store.transaction():
                store.finish(store.own(worker, ids))
            store.renew(worker, 60)
        client, server = time.process_time() - client, processor_of(process) - server
        store.leave(worker)
    return 1000 * client / JOBS, 1000 * server / JOBS


def processor_of(process: int) -> float:
    """The processor seconds that a process of this machine has had."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
