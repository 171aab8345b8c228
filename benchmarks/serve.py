"""How long answers of `mmsearch serve` take while many ask, and whether its memory grows.

    python -m benchmarks.serve --sizes 1000 100000 --requests 50000

Libraries of so many photos: a hundred JPEG files of three megapixels, of which thumbnails are made, and beside them
vectors grown from theirs (`benchmarks.large_library`), as those of photos on a drive that is away. A server runs as a
process of its own; each client keeps one connection, and asks again as soon as it has its answer. Linux only: memory
is read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np

from benchmarks.large_library import fill, path_of, texts_of, vectors_of_photos
from benchmarks.measuring import machine
from benchmarks.photo_folder import make_folder
from benchmarks.tables import table, write_section
from mmsearch import Library

PHOTOS = 100
CLIENTS = (1, 8, 32)
# What is loaded once, and caches that have a bound, are full before memory is looked at.
WARM_UP = 2_000
COUNTS = "its counts (facets)"
Paths = Iterator[str]


@dataclass(frozen=True)
class Server:
    """A server that runs, and how long its start took."""

    process: subprocess.Popen[str]
    address: str
    seconds: float

    def processor(self) -> float:
        """Seconds of a processor that it has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def running(library: Path) -> Iterator[Server]:
    """`mmsearch serve` of that library."""
    command = [sys.executable, "-m", "mmsearch", "serve", "--no-open", "--library", str(library)]
    cache = {"XDG_CACHE_HOME": str(library.parent / "cache")}
    began = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **cache}, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    try:
        yield Server(process, address, time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait()


class Client:
    """One connection that is kept."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._port = parts.port
        self._head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {parse_qs(parts.query)['token'][0]}\r\n\r\n"

    async def connected(self) -> Client:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def get(self, path: str) -> bytes:
        """The body of the answer, which is to be a good one."""
        self._writer.write(f"GET /api/v1/{path} HTTP/1.1\r\n{self._head}".encode())
        first, *headers = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().splitlines()
        length = next(int(line.partition(":")[2]) for line in headers if line.startswith("content-length:"))
        body = await self._reader.readexactly(length)
        assert first.split()[1] == "200", (path, first, body)
        return body

    def close(self) -> None:
        self._writer.close()


async def asked(address: str, paths: Paths, clients: int) -> tuple[list[float], float]:
    """Milliseconds that each answer took, and the seconds that all took together."""
    taken: list[float] = []

    async def ask(client: Client) -> None:
        for path in paths:
            began = time.perf_counter()
            await client.get(path)
            taken.append((time.perf_counter() - began) * 1000)
        client.close()

    ready = [await Client(address).connected() for _ in range(clients)]
    began = time.perf_counter()
    await asyncio.gather(*map(ask, ready))
    return taken, time.perf_counter() - began


def first_answer(address: str, path: str) -> Any:
    """One answer as JSON."""

    async def get() -> bytes:
        client = await Client(address).connected()
        try:
            return await client.get(path)
        finally:
            client.close()

    return json.loads(asyncio.run(get()))


def asked_for(words: str) -> str:
    """The parameters of a search that has twenty hits, as most have in a library of a person's own photos."""
    return urlencode({"q": words, "min_score": 0, "limit": 20})


def kinds_of(thumbs: list[str]) -> dict[str, Callable[[], Paths]]:
    """What is asked for, by name, each without an end; what is new is new whenever it is begun again."""
    scenes = sorted(set(texts_of(5_000)))
    new = (f"{one}, and {other}" for one, other in itertools.product(scenes, scenes) if one != other)
    folders = sorted({os.fsdecode(os.path.dirname(path_of(number))) for number in range(240)})
    return {
        "a new query": lambda: (f"search?{asked_for(words)}" for words in new),
        "asked before": lambda: (f"search?{asked_for(words)}" for words in itertools.cycle(scenes[:20])),
        COUNTS: lambda: (f"facets?{asked_for(words)}" for words in new),
        "files of a folder": lambda: (
            f"search?{urlencode({'in': one, 'limit': 20})}" for one in itertools.cycle(folders)
        ),
        "thumbnail, made before": lambda: itertools.cycle(thumbs),
    }


def make_library(place: Path, size: int, photos: Path) -> Path:
    """A library of `size` photos; those in the folder are there."""
    folder = place / "library"
    if folder.exists():
        return folder
    with Library(folder) as library:
        library.index([photos])
        fill(folder, vectors_of_photos(photos), size - PHOTOS)
        library.index([photos])
    return folder


def measure(size: int, place: Path, options: argparse.Namespace) -> tuple[list[list[str]], list[list[str]]]:
    """The rows of both tables for a library of that size: times, and memory."""
    photos = place / "photos"
    make_folder(photos, PHOTOS, 2_000, 1_500)
    library = make_library(place, size, photos)
    shutil.rmtree(place / "cache", ignore_errors=True)  # thumbnails of another time
    print(f"{size:,} photos made", file=sys.stderr)
    with running(library) as server:
        memory = [[f"{size:,}", "started", f"{server.megabytes():.0f}", f"after {server.seconds:.1f} s"]]
        began = time.perf_counter()
        first_answer(server.address, f"search?{asked_for('a lighthouse')}")
        took = f"which took {time.perf_counter() - began:.2f} s"
        memory.append([f"{size:,}", "after the first query", f"{server.megabytes():.0f}", took])
        hits = first_answer(server.address, f"search?{urlencode({'in': photos, 'limit': 500})}")["hits"]
        thumbs = [hit["thumb"].removeprefix("/api/v1/") for hit in hits]
        rows = [time_row(size, "thumbnail, the first time", server, iter(thumbs), 1)]
        kinds = kinds_of(thumbs)
        for name, paths in kinds.items():
            rows += [time_row(size, name, server, itertools.islice(paths(), options.repeats), one) for one in CLIENTS]
            print(rows[-len(CLIENTS) :], file=sys.stderr)
        if options.requests and size == max(options.sizes):
            memory += memory_rows(size, server, kinds, options.requests)
    return rows, memory


def time_row(size: int, name: str, server: Server, paths: Paths, clients: int) -> list[str]:
    before = server.processor()
    taken, seconds = asyncio.run(asked(server.address, paths, clients))
    times = [f"{np.percentile(taken, share):.1f}" for share in (50, 99)]
    processor = 1000 * (server.processor() - before) / len(taken)
    return [f"{size:,}", name, str(clients), *times, f"{len(taken) / seconds:,.0f}", f"{processor:.1f}"]


def memory_rows(size: int, server: Server, kinds: dict[str, Callable[[], Paths]], requests: int) -> list[list[str]]:
    """The server's memory after each fifth of so many requests of all kinds in turn, by 32 clients."""
    some = [paths() for name, paths in kinds.items() if name != COUNTS]  # which take longer than all others together
    mixed = itertools.chain.from_iterable(zip(*some, strict=False))
    asyncio.run(asked(server.address, itertools.islice(mixed, WARM_UP), max(CLIENTS)))
    rows, before = [], server.megabytes()
    for part in range(1, 6):
        asyncio.run(asked(server.address, itertools.islice(mixed, requests // 5), max(CLIENTS)))
        grown = server.megabytes() - before
        rows.append(
            [f"{size:,}", f"{part * requests // 5:,} requests later", f"{server.megabytes():.0f}", f"{grown:+.1f}"]
        )
        print(rows[-1], file=sys.stderr)
    return rows


def main() -> None:
    """Makes the libraries and prints or writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--repeats", type=int, default=500, help="answers of each kind, for each number of clients")
    parser.add_argument(
        "--requests", type=int, default=50_000, help="to the largest library, while memory is looked at"
    )
    parser.add_argument("--folder", type=Path, help="where the libraries are made, and kept for another time")
    parser.add_argument("--document", type=Path, help="the Markdown file that gets the tables")
    options = parser.parse_args()
    times: list[list[str]] = []
    memory: list[list[str]] = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as once:
            place = options.folder / str(size) if options.folder else Path(once)
            of_times, of_memory = measure(size, place, options)
        times, memory = times + of_times, memory + of_memory
    head = ["photos", "what is asked for", "clients", "p50 ms", "p99 ms", "answers a second", "processor ms each"]
    text = (
        f"{table(head, times)}\n\n{options.repeats:,} answers each.\n\n"
        f"{table(['photos', 'memory of the server', 'MB', ''], memory)}\n\n{machine()}."
    )
    print(text)
    if options.document:
        write_section(options.document, "A server that many ask", text)


if __name__ == "__main__":
    main()
