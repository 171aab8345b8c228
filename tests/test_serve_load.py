"""`mmsearch serve` under load: 32 clients over HTTP while another process changes the library, and its memory."""

from __future__ import annotations

import http.client
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from interrupting import hooked
from serving import Reply, Server, running

from mmsearch import Library

pytest.importorskip("starlette", reason="the serve extra is not installed")

CLIENTS = 32
KEPT_NOTES = 40
# What one round of the other process brings, and takes away again.
COMING = ("coffee.png", "moon.png", "coins.png")
CHANGING = """
import shutil, sys
from pathlib import Path
from mmsearch import Library
home, photos, names = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
with Library(sys.argv[1]) as library:
    for turn in range(3):
        for name in names:
            shutil.copy(photos / name, home / name)
        (home / f"whale {turn}.txt").write_text(f"A whale was seen on day {turn}.")
        assert library.index().added
        for name in names:
            library.forget(home / name)
        library.care.compact()
"""


@pytest.fixture
def own(tmp_path: Path, photos: Path) -> Path:
    """A folder with notes and two photos, and beside it their library."""
    home = tmp_path / "home"
    home.mkdir()
    for number in range(KEPT_NOTES):
        (home / f"note {number}.txt").write_text(f"Ship number {number} sails by the lighthouse.")
    shutil.copy(photos / "photos" / "cat.png", home)
    shutil.copy(photos / "photos" / "rocket.jpg", home)
    with Library(tmp_path / "library") as library:
        library.index([home])
    return tmp_path


class Asker:
    """One of many clients: what it asks for at random, and what every answer has to be."""

    def __init__(self, server: Server, own: Path, number: int) -> None:
        self._server = server
        self._chance = random.Random(number)
        self._kept = {path.name: path.read_bytes() for path in (own / "home").iterdir()}
        hits = server.get("search", limit=500).json["hits"]
        self._ids = {os.path.basename(hit["path"]): hit["id"] for hit in hits}
        self.statuses: Counter[tuple[str, int]] = Counter()

    def ask(self) -> None:
        """One request, or those of all pages of an answer."""
        self._chance.choice([self.search, self.pages, self.file, self.picture, self.original, self.counts])()

    def got(self, path: str, *statuses: int, **parameters: Any) -> Reply:
        reply = self._server.get(path, **parameters)
        assert reply.status in statuses, (path, reply.status, reply.body)
        self.statuses[path.split("/")[-1], reply.status] += 1
        return reply

    def search(self) -> None:
        words = self._chance.choice(["a ship at sea", "a whale", "the moon", f"ship {self._chance.random()}"])
        answer = self.got("search", 200, q=words, min_score=0, limit=500).json
        self.check_names([os.path.basename(hit["path"]) for hit in answer["hits"]], answer["total"])

    def pages(self) -> None:
        """Pages that fit together, or the word that they do not any more."""
        asked: dict[str, Any] = self._chance.choice([{"q": "a ship", "min_score": 0}, {"sort": "name"}])
        names: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            reply = self.got("search", 200, 410, limit=15, **asked, **cursor)
            if reply.status == 410:
                assert cursor
                assert reply.code == "gone"
                return
            names += [os.path.basename(hit["path"]) for hit in reply.json["hits"]]
            if reply.json["cursor"] is None:
                self.check_names(names, reply.json["total"])
                return
            cursor = {"cursor": reply.json["cursor"]}

    def check_names(self, names: list[str], total: int) -> None:
        """All that is always there, each once, and of the rest what comes and goes."""
        assert len(names) == len(set(names)) == total
        others = set(names) - set(self._kept)
        assert set(self._kept) <= set(names)
        assert others <= {*COMING, *(f"whale {turn}.txt" for turn in range(3))}

    def file(self) -> None:
        name = self._chance.choice(list(self._ids))
        assert os.path.basename(self.got(f"files/{self._ids[name]}", 200).json["path"]) == name

    def picture(self) -> None:
        side = self._chance.randrange(64, 80)
        jpeg = self.got(f"files/{self._ids['cat.png']}/thumb", 200, side=side).body
        assert jpeg.startswith(b"\xff\xd8")

    def original(self) -> None:
        name = self._chance.choice(list(self._ids))
        reply = self.got(f"files/{self._ids[name]}/original", 200, 503)
        if reply.status == 503:  # no more than sixteen are sent at once
            assert int(reply.headers["retry-after"]) > 0
        else:
            assert reply.body == self._kept[name]

    def counts(self) -> None:
        found = self.got("facets", 200).json
        assert sum(one["count"] for one in found["types"]) == found["total"] >= len(self._kept)


@pytest.mark.slow
def test_every_answer_is_right_while_another_process_changes_the_library(own: Path, photos: Path) -> None:
    with ThreadPoolExecutor(CLIENTS) as threads, running(own / "library", cache=own / "cache") as server:
        askers = [Asker(server, own, number) for number in range(CLIENTS)]
        places = [own / "library", own / "home", photos / "photos"]
        changing = subprocess.Popen([sys.executable, "-c", CHANGING, *map(str, places), *COMING])

        def ask(asker: Asker) -> None:
            for _ in iter(changing.poll, 0):
                assert changing.returncode is None
                asker.ask()

        list(threads.map(ask, askers))
        told = sum((asker.statuses for asker in askers), Counter[tuple[str, int]]())
        last = server.get("search", limit=500).json
        assert last["total"] == KEPT_NOTES + 2 + 3
        assert server.end() == (0, "")
    assert told["search", 410]
    assert all(told[path, 200] > CLIENTS for path in ("search", "thumb", "original", "facets"))


def test_it_ends_in_good_order_while_many_wait(own: Path) -> None:
    # What is in work may take longer than a person is made to wait for it.
    hooks = hooked(own, "mmsearch.server.rest.running", "def changed(module): module._GRACE_SECONDS = 100")
    with ThreadPoolExecutor(CLIENTS) as threads, running(own / "library", cache=own / "cache", hooks=hooks) as server:

        def ask(number: int) -> Counter[int]:
            seen: Counter[int] = Counter()
            with suppress(OSError, http.client.HTTPException):  # until nobody answers any more
                while True:
                    seen[server.get("search", q=f"ship {number} {sum(seen.values())}", min_score=0).status] += 1
            return seen

        asking = [threads.submit(ask, number) for number in range(CLIENTS)]
        while not re.search(r'waiting\{queue="search"\} [1-9]\d', server.get("metrics").body.decode()):
            assert not any(one.done() for one in asking)
        assert server.end() == (0, "")
        told = sum((one.result() for one in asking), Counter[int]())
    assert set(told) == {200, 503}


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from /proc")
def test_memory_does_not_grow_with_what_is_asked(own: Path) -> None:
    """Of 1,250 requests, most of them new, nothing is kept but the vectors of the last thousand texts."""
    with ThreadPoolExecutor(8) as threads, running(own / "library", cache=own / "cache") as server:
        asker = Asker(server, own, 0)
        numbers = itertools.count()

        def ask(_: int) -> None:
            number = next(numbers)
            server.get("search", q=f"a ship on day {number}", limit=20)
            server.get("facets", q=f"day {number}")
            server.get(f"files/{number:032x}")
            server.send("search", {"q": "x" * 200 + str(number)})
            asker.counts()

        def megabytes() -> float:
            pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

        list(threads.map(ask, range(150)))
        before = megabytes()
        list(threads.map(ask, range(250)))
        # 750 answers to new queries would take 10 MB and more, if they were kept.
        assert megabytes() - before < 5
        assert server.end() == (0, "")
