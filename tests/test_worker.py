"""Workers on a team's library: what many processes make of a tree is what one makes of it, whatever ends them."""

from __future__ import annotations

import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PHOTOGRAPHS, Mmsearch, place_notes, place_photographs, refused
from interrupting import hooked, signal_at
from library_places import wait_until_nobody_writes
from library_state import QUERIES, assert_like_a_fresh_one
from PIL import Image
from postgres_server import PostgresServer, running_server, why_there_is_none
from serving import running
from test_crashes import DEADLY

from mmsearch import IndexSettings, Library, Query, RunState, connect
from mmsearch.files.crash_points import VARIABLE
from mmsearch.files.sidecar_writing import write_keywords
from mmsearch.indexing.changes import Candidate
from mmsearch.indexing.queueing import QueueingIndexer
from mmsearch.indexing.report import IndexReport
from mmsearch.searching.query import text_term
from mmsearch.store.locations import shown
from mmsearch.store.work import QueuedFile

LEASE = 2.0
# Of advisory locks: the first number of those of roots that are walked.
ROOT_LOCKS = 0x6D6D7366
_PATIENCE_SECONDS = 120


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


def make_tree(folder: Path) -> Path:
    """Photographs and notes, one of them twice, and one file that is damaged."""
    place_photographs(folder / "photos")
    place_notes(folder / "notes")
    (folder / "notes" / "copy.md").write_bytes((folder / "notes" / "coffee.md").read_bytes())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    return folder


@pytest.fixture
def own_tree(tmp_path: Path) -> Path:
    """`make_tree` of one's own, to be changed."""
    return make_tree(tmp_path / "tree")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same. Tests do not change it."""
    return make_tree(tmp_path_factory.mktemp("home") / "tree")


@pytest.fixture(scope="module")
def alone(postgres: PostgresServer, tree: Path) -> str:
    """A library that one process has made of `tree`. Tests do not change it."""
    return made_alone(postgres, [tree])


def made_alone(postgres: PostgresServer, roots: Sequence[Path]) -> str:
    """A library that one process makes of these folders as they are now."""
    url = postgres.new_database()
    with Library(url) as library:
        library.index(roots)
    return url


def many_pictures(folder: Path, count: int) -> Path:
    """Small pictures that are all different."""
    folder.mkdir(parents=True)
    for number in range(count):
        shade = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(shade).resize((64, 64)).save(folder / f"{number:03}.png")
    return folder


class Worker:
    """`mmsearch worker` in a process of its own."""

    def __init__(self, url: str, *options: str, lease: float = LEASE, hooks: Mapping[str, str] | None = None) -> None:
        command = ["worker", "--library", url, "--lease", str(lease), "--workers", "1", "--json", *options]
        self.process = start(*command, hooks=hooks)

    def end(self) -> dict[str, Any]:
        """Waits for its end. Returns what it printed."""
        out, error = self.process.communicate(timeout=_PATIENCE_SECONDS)
        assert self.process.returncode == 0, error.decode()
        told: dict[str, Any] = json.loads(out)
        return told

    def killed(self) -> None:
        """Waits until it is killed."""
        _, error = self.process.communicate(timeout=_PATIENCE_SECONDS)
        assert self.process.returncode == -signal.SIGKILL, error.decode()

    def kill(self) -> None:
        self.process.kill()
        with suppress(ValueError):
            self.process.communicate()


def start(*arguments: str, hooks: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mmsearch", *arguments]
    environment = {**os.environ, **(hooks or {})}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@contextmanager
def workers(url: str, count: int = 1, **how: Any) -> Iterator[list[Worker]]:
    """Workers that are killed at the end, if they have not ended."""
    started = [Worker(url, "--exit-when-empty", **how) for _ in range(count)]
    try:
        yield started
    finally:
        for one in started:
            one.kill()


def queue(url: str, *roots: Path) -> None:
    """Walks and queues, and does not wait for workers."""
    settings = IndexSettings(queue=True)
    settings.stop.set()
    with Library(url) as library:
        assert library.index(roots, settings=settings).stopped


def finished(url: str) -> IndexReport:
    """A run that does what is left to do once workers are through."""
    with Library(url) as library:
        return library.index(settings=IndexSettings(queue=True))


def jobs(postgres: PostgresServer, url: str) -> int:
    ((count,),) = postgres.run("SELECT count(*) FROM mmsearch.jobs", postgres.name_of(url))
    return int(count)


def vectors(postgres: PostgresServer, url: str) -> dict[tuple[bytes, str, int], list[float]]:
    """Every vector of the library by the path of its file, its modality and its place. One that is there twice, or an
    item without one, is an error.
    """
    found: dict[tuple[bytes, str, int], list[float]] = {}
    for path, modality, ordinal, vector in postgres.run(
        """SELECT path, items.modality, ordinal, vector::real[] FROM mmsearch.files
           LEFT JOIN mmsearch.items USING (content_id) LEFT JOIN mmsearch.vectors ON item_id = items.id""",
        postgres.name_of(url),
    ):
        assert vector is not None and (path, modality, ordinal) not in found
        found[path, modality, ordinal] = vector
    return found


def answers(library: Library) -> list[dict[str, float]]:
    asked = [Query((text_term(query),), limit=10_000, min_score=0.0, copies=True) for query in QUERIES]
    return [{hit.path: hit.similarity for hit in library.search(query).hits} for query in asked]


def assert_same(postgres: PostgresServer, url: str, alone: str) -> None:
    """The library holds, and answers, what one does that a single process has made of the same folders."""
    assert jobs(postgres, url) == 0
    ours, theirs = vectors(postgres, url), vectors(postgres, alone)
    assert ours.keys() == theirs.keys()
    for key, vector in theirs.items():
        np.testing.assert_allclose(ours[key], vector, atol=4e-3)
    with Library(url) as team, Library(alone) as plain:
        failures = [[(one.path, one.reason) for one in library.status().failures] for library in (team, plain)]
        assert failures[0] == failures[1]
        for found, expected in zip(answers(team), answers(plain), strict=True):
            assert found.keys() == expected.keys()
            assert all(abs(found[path] - expected[path]) < 4e-3 for path in expected)


def test_two_workers_share_the_work_and_the_library_is_as_one_process_makes_it(
    postgres: PostgresServer, url: str, tree: Path, alone: str
) -> None:
    queue(url, tree)
    assert jobs(postgres, url) == len([one for one in tree.rglob("*") if one.is_file()])
    with Library(url) as library:
        told = library.status().queue
        assert told is not None and (told.waiting, told.working, told.workers) == (jobs(postgres, url), 0, ())
    with workers(url, 2) as both:
        told_by_both = [one.end() for one in both]
    assert sum(told["stored"] for told in told_by_both) == len([one for one in tree.rglob("*") if one.is_file()])
    assert sum(told["failed"] for told in told_by_both) == 1
    report = finished(url)
    assert (report.unchanged, report.queued, report.failing) == (len(PHOTOGRAPHS) + 2 + 5, 0, 1)
    assert_same(postgres, url, alone)


def by_a_worker(url: str, *roots: Path) -> dict[str, Any]:
    """A run that queues and waits, with a worker. Returns what it printed."""
    walker = start("index", *map(str, roots), "--queue", "--library", url, "--json")
    worker = Worker(url)
    try:
        out, error = walker.communicate(timeout=_PATIENCE_SECONDS)
        assert walker.returncode == 0, error.decode()
        worker.process.send_signal(signal.SIGTERM)
        assert worker.end()["stopped"]
    finally:
        walker.kill()
        worker.kill()
    told: dict[str, Any] = json.loads(out)
    return told


def test_a_run_that_queues_waits_for_the_workers_and_tells_what_they_did(
    postgres: PostgresServer, url: str, own_tree: Path
) -> None:
    queue(url, own_tree)
    told = by_a_worker(url, own_tree)
    files = len([one for one in own_tree.rglob("*") if one.is_file()])
    assert (told["queued"], told["added"], told["failed"]) == (files, files - 1, 1)
    assert [os.path.basename(one["path"]) for one in told["failures"]] == ["broken.jpg"]
    assert_same(postgres, url, made_alone(postgres, [own_tree]))
    (own_tree / "photos" / "cat.png").rename(own_tree / "moved.png")
    (own_tree / "notes" / "tax.txt").unlink()
    (own_tree / "notes" / "coffee.md").write_text("Tea, this time.")
    told = by_a_worker(url)
    assert (told["removed"], told["moved"], told["added"], told["updated"], told["failing"]) == (1, 1, 0, 1, 1)
    assert_same(postgres, url, made_alone(postgres, [own_tree]))


@pytest.mark.slow
@pytest.mark.parametrize("point", ["jobs claimed", "jobs written", "jobs stored"])
def test_what_a_worker_was_at_that_is_killed_is_done_by_another_one(
    postgres: PostgresServer, url: str, tree: Path, alone: str, point: str
) -> None:
    queue(url, tree)
    with workers(url, hooks={VARIABLE: point}) as started:
        started[0].killed()
    with workers(url) as started:
        assert started[0].end()["given_up"] == 0
    finished(url)
    assert_same(postgres, url, alone)


# What is read is noted: the name of each picture, a line each time.
NOTING = """
def changed(module):
    read = module._read
    def noting(loaded, *rest):
        with open({notes!r}, "ab") as file:
            file.write(os.path.basename(loaded.path) + b"\\n")
        return read(loaded, *rest)
    module._read = noting
"""


def _killed_often(postgres: PostgresServer, url: str, folder: Path, kills: int, pictures: int) -> None:
    """Kills workers at any moments, and holds what became of it against what one process makes of the same."""
    tree, notes = many_pictures(folder / "many", pictures), folder / "notes"
    hooks = hooked(folder, "mmsearch.reading.image_reading", NOTING.format(notes=str(notes)))
    queue(url, tree)
    chance = random.Random(kills)
    for _ in range(kills):
        point = chance.choice(["jobs claimed", "jobs written", "jobs stored"])
        with workers(url, lease=1.0, hooks={**hooks, VARIABLE: f"{point}:{chance.randint(1, 2)}"}) as started:
            assert started[0].process.wait(_PATIENCE_SECONDS) == -signal.SIGKILL
    with workers(url, 2, lease=1.0, hooks=hooks) as both:
        assert all(one.end()["failed"] == 0 for one in both)
    finished(url)
    read = Counter(notes.read_bytes().split())
    assert len(read) == pictures
    # At most what a worker has claimed is done twice each time: a batch, and what the threads are at.
    assert read.total() <= pictures + kills * (16 + 2)
    assert_same(postgres, url, made_alone(postgres, [tree]))


@pytest.mark.slow
def test_workers_that_are_killed_again_and_again_lose_and_double_nothing(
    postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    _killed_often(postgres, url, tmp_path, kills=3, pictures=60)


@pytest.mark.slow
def test_workers_that_are_killed_fifty_times_lose_and_double_nothing(
    postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    _killed_often(postgres, url, tmp_path, kills=50, pictures=600)


def test_a_file_that_ends_every_worker_is_found_out_and_the_others_are_innocent(
    postgres: PostgresServer, url: str, own_tree: Path, tmp_path: Path
) -> None:
    (own_tree / "photos" / "cat.png").rename(own_tree / "photos" / "deadly.png")
    queue(url, own_tree)
    hooks, lost = hooked(tmp_path, "mmsearch.reading.image_reading", DEADLY), 0
    while True:
        with workers(url, lease=1.0, hooks=hooks) as started:
            if started[0].process.wait(_PATIENCE_SECONDS) == 0:
                break
            lost += 1
            assert lost < 10
    assert lost == 4  # once with others, and then alone until it was suspicious
    finished(url)
    with Library(url) as library:
        told = library.status()
        failures = {os.path.basename(one.path): one.reason for one in told.failures}
        assert failures.keys() == {b"deadly.png", b"broken.jpg"}
        assert "ended the program" in failures[b"deadly.png"]
        assert told.counts.images == len(PHOTOGRAPHS) + 2 - 1 and jobs(postgres, url) == 0
    queue(url, own_tree)
    assert jobs(postgres, url) == 0  # it is tried again when it changes, or a reader does


@pytest.mark.parametrize("point", ["jobs written", pytest.param("jobs claimed", marks=pytest.mark.slow)])
def test_a_worker_that_wakes_up_once_others_have_given_it_up_stores_nothing_twice(
    postgres: PostgresServer, url: str, tree: Path, alone: str, tmp_path: Path, point: str
) -> None:
    queue(url, tree)
    asleep = Worker(url, "--exit-when-empty", lease=1.0, hooks=signal_at(tmp_path, point, 1, signal.SIGSTOP))
    try:
        os.waitid(os.P_PID, asleep.process.pid, os.WSTOPPED | os.WNOWAIT)
        with workers(url, lease=1.0) as awake:
            assert awake[0].end()["stored"] == len([one for one in tree.rglob("*") if one.is_file()])
        before = vectors(postgres, url)
        asleep.process.send_signal(signal.SIGCONT)
        assert asleep.end()["stored"] == 0
    finally:
        asleep.kill()
    assert vectors(postgres, url) == before
    finished(url)
    assert_same(postgres, url, alone)


@pytest.mark.parametrize("sent", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_worker_that_is_told_to_end_finishes_what_it_is_at_and_gives_back_the_rest(
    postgres: PostgresServer, url: str, tmp_path: Path, sent: signal.Signals
) -> None:
    queue(url, many_pictures(tmp_path / "many", 60))
    worker = Worker(url, hooks=signal_at(tmp_path, "jobs stored", 1, sent))
    out, error = worker.process.communicate(timeout=_PATIENCE_SECONDS)
    assert worker.process.returncode == (0 if sent == signal.SIGTERM else 130), error.decode()
    told = json.loads(out)
    assert told["stopped"] and 0 < told["stored"] < 60 and "giving back" in error.decode()
    left = postgres.run("SELECT count(*), count(worker_id) FROM mmsearch.jobs WHERE NOT tried", postgres.name_of(url))
    assert left == [(60 - told["stored"], 0)] and jobs(postgres, url) == 60 - told["stored"]
    assert postgres.run("SELECT FROM mmsearch.workers", postgres.name_of(url)) == []
    with workers(url) as started:
        assert started[0].end()["stored"] == 60 - told["stored"]


def test_what_workers_store_while_a_walk_goes_on_is_not_queued_again(
    postgres: PostgresServer, url: str, own_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(url, own_tree)  # by a run that was cut off
    queues = QueueingIndexer._read_all

    def once_workers_are_through(self: QueueingIndexer, candidates: Sequence[Candidate], *rest: Any) -> None:
        """The walk has seen the files as they were before."""
        with workers(url) as (worker,):
            worker.end()
        (own_tree / "notes" / "coffee.md").write_text("Tea, this time.")
        queues(self, [found_now(one) if one.file.path.endswith(b"coffee.md") else one for one in candidates], *rest)

    def found_now(candidate: Candidate) -> Candidate:
        status = os.stat(candidate.file.path)
        file = candidate.file._replace(size=status.st_size, mtime_ns=status.st_mtime_ns, ctime_ns=status.st_ctime_ns)
        return replace(candidate, file=file)

    monkeypatch.setattr(QueueingIndexer, "_read_all", once_workers_are_through)
    queue(url, own_tree)
    waiting = postgres.run("SELECT path FROM mmsearch.jobs ORDER BY path", postgres.name_of(url))
    # What could not be read is tried again, and what has changed is read.
    assert [os.path.basename(bytes(path)) for (path,) in waiting] == [b"broken.jpg", b"coffee.md"]
    monkeypatch.undo()
    with workers(url) as (worker,):
        worker.end()
    finished(url)
    assert_same(postgres, url, made_alone(postgres, [own_tree]))


def test_one_process_walks_a_root_at_a_time_and_one_that_is_killed_queues_nothing_twice(
    postgres: PostgresServer, url: str, tree: Path, mmsearch: Mmsearch
) -> None:
    killed = start("index", str(tree / "photos"), "--queue", "--library", url, hooks={VARIABLE: "queued"})
    killed.communicate(timeout=_PATIENCE_SECONDS)
    assert killed.returncode == -signal.SIGKILL
    before = jobs(postgres, url)
    assert before == len(PHOTOGRAPHS) + 2
    told = mmsearch("status", "--library", url).out
    assert "note      a run of index was cut off; `mmsearch index` goes on with it\n" in told and "run   " not in told
    walker = start("index", str(tree / "photos"), "--queue", "--library", url)
    assert walker.stderr is not None
    try:
        assert (
            f"{before} files wait for a worker; start one with `mmsearch worker`." in walker.stderr.readline().decode()
        )
        _wait_until(lambda: _locks(postgres, url) == 1)
        who = f"{platform.node()}:{walker.pid}"
        told = mmsearch("status", "--library", url).out
        assert f"run       {who} walks {tree / 'photos'}\n" in told and "cut off" not in told
        (run,) = json.loads(mmsearch("status", "--library", url, "--json").out)["queue"]["runs"]
        assert run == {"name": who, "root": str(tree / "photos")}
        with refused("photos is being walked by another process"):
            queue(url, tree / "photos")
        queue(url, tree / "notes")  # which nobody walks
        assert jobs(postgres, url) == before + 5
        with workers(url):
            assert walker.wait(_PATIENCE_SECONDS) == 0
    finally:
        walker.kill()
        walker.communicate()
    finished(url)
    assert_same(postgres, url, made_alone(postgres, [tree / "photos", tree / "notes"]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    ["root noted", "walk noted", "run begun", "queued", "gone files removed", "calibration kept", "run finished"],
)
def test_a_walker_that_is_killed_at_any_point_leaves_a_library_that_the_next_one_makes_whole(
    url: str, own_tree: Path, tmp_path: Path, point: str
) -> None:
    os.mkfifo(own_tree / "pipe.txt")  # which a walk notes as a problem
    (own_tree / "gone.txt").write_text("A note that goes again.")
    by_a_worker(url, own_tree / "notes", own_tree)
    (own_tree / "gone.txt").unlink()
    (own_tree / "photos" / "cat.png").rename(own_tree / "moved.png")
    (own_tree / "other.txt").mkdir()
    os.mkfifo(own_tree / "other.txt" / "pipe.txt")
    for number in range(4):
        (own_tree / "notes" / f"{number}.txt").write_text(f"Note {number} about bread and butter.")
    worker = Worker(url)
    try:
        killed = start("index", "--queue", "--library", url, hooks={VARIABLE: point})
        _, error = killed.communicate(timeout=_PATIENCE_SECONDS)
        assert killed.returncode == -signal.SIGKILL, error.decode()
        wait_until_nobody_writes(url)
        again = start("index", "--queue", "--library", url)
        _, error = again.communicate(timeout=_PATIENCE_SECONDS)
        assert again.returncode == 0, error.decode()
        worker.process.send_signal(signal.SIGTERM)
        worker.end()
    finally:
        worker.kill()
    assert_like_a_fresh_one(Library(url), [own_tree / "notes", own_tree], tmp_path / "one machine")


def _locks(postgres: PostgresServer, url: str) -> int:
    """How many roots are walked."""
    ((count,),) = postgres.run(
        f"""SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = {ROOT_LOCKS}
            AND database = (SELECT oid FROM pg_database WHERE datname = '{postgres.name_of(url)}')"""
    )
    return int(count)


def _wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_workers_wait_while_a_process_has_the_library_for_itself(
    postgres: PostgresServer, url: str, tree: Path, alone: str
) -> None:
    from mmsearch.store.postgres.store import PostgresStore

    queue(url, tree)
    files = jobs(postgres, url)
    with workers(url) as started:
        with closing(PostgresStore.write(url)) as store:
            claimed = "SELECT count(worker_id) FROM mmsearch.jobs"
            _wait_until(lambda: postgres.run(claimed, postgres.name_of(url)) != [(0,)])
            with Library(url) as library:
                assert library.queue_state().runs == (RunState(f"{platform.node()}:{os.getpid()}", None),)
            time.sleep(3)  # longer than a batch takes, and than the lease
            assert jobs(postgres, url) == files and store.file_count() == 0
        assert started[0].end() | {"seconds": 0} == {
            "schema_version": 1,
            "library": shown(url),
            "worker": f"{platform.node()}:{started[0].process.pid}",
            "stored": files,
            "failed": 1,
            "given_up": 0,
            "stopped": False,
            "seconds": 0,
            "failures": [{"path": str(tree / "broken.jpg"), "reason": "truncated JPEG"}],
            "hindered": [],
            "elsewhere": [],
        }
    finished(url)
    assert_same(postgres, url, alone)


def test_what_is_forgotten_while_workers_are_at_it_does_not_come_back(
    postgres: PostgresServer, url: str, tree: Path, tmp_path: Path
) -> None:
    queue(url, tree / "photos", tree / "notes")
    hooks = signal_at(tmp_path, "jobs claimed", 1, signal.SIGSTOP)
    with workers(url, lease=60.0, hooks=hooks) as started, Library(url) as library:
        os.waitid(os.P_PID, started[0].process.pid, os.WSTOPPED | os.WNOWAIT)
        library.forget(tree / "notes")  # whose files it has claimed
        started[0].process.send_signal(signal.SIGCONT)
        assert started[0].end()["given_up"] == 0  # it lives, and goes on with what was not forgotten
        assert [root.path for root in library.status().roots] == [os.fsencode(tree / "photos")]
    finished(url)
    assert_same(postgres, url, made_alone(postgres, [tree / "photos"]))


# A worker stops before it stores a file of which it has found that the library knows its content.
STOPPED_AT_WHAT_IS_KNOWN = """
import signal
def changed(module):
    store_all = module.Shift._store_all
    def stopped(self):
        if any(one.content_id is not None for one in self._outcomes):
            module.Shift._store_all = store_all
            os.kill(os.getpid(), signal.SIGSTOP)
        store_all(self)
    module.Shift._store_all = stopped
"""


def test_a_moved_file_is_encoded_anew_where_what_was_known_of_it_is_dropped_meanwhile(
    postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    notes = place_notes(tmp_path / "notes")
    with Library(url) as library:
        library.index([notes])
    (notes / "tax.txt").rename(notes / "moved.txt")
    queue(url, notes)
    hooks = hooked(tmp_path, "mmsearch.indexing.shift", STOPPED_AT_WHAT_IS_KNOWN)
    with workers(url, lease=60.0, hooks=hooks) as started, Library(url) as library:
        os.waitid(os.P_PID, started[0].process.pid, os.WSTOPPED | os.WNOWAIT)
        library.care.prune(library.care.losses())  # the content had one file, which is gone
        started[0].process.send_signal(signal.SIGCONT)
        told = started[0].end()
    assert (told["stored"], told["failed"], told["given_up"]) == (1, 0, 0)
    assert_same(postgres, url, made_alone(postgres, [notes]))


# A photo is forgotten by another process while its sidecar is read.
FORGOTTEN_AS_IT_IS_READ = """
import subprocess
def changed(module):
    read = module.facts_of_sidecars
    def forgotten(paths):
        facts = read(paths)
        if b"cat" in paths[0]:
            subprocess.run([sys.executable, "-m", "mmsearch", "forget", os.fsdecode(paths[0][:-4])], check=True)
        return facts
    module.facts_of_sidecars = forgotten
"""


def test_what_is_forgotten_while_its_sidecar_is_read_leaves_no_text_behind(
    postgres: PostgresServer, url: str, own_tree: Path, tmp_path: Path
) -> None:
    photos = own_tree / "photos"
    with Library(url) as library:
        library.index([photos])
    for name, word in (("cat.png", "Ottilie"), ("coffee.png", "Otto")):
        write_keywords(os.fsencode(photos / name), [word])
    hooks = hooked(tmp_path, "mmsearch.indexing.sidecars", FORGOTTEN_AS_IT_IS_READ)
    walker = start("index", "--queue", hooks={**hooks, "MMSEARCH_LIBRARY": url})
    assert walker.communicate(timeout=_PATIENCE_SECONDS) and walker.returncode == 0
    assert [path for path, *_ in vectors(postgres, url) if b"cat.png" in path] == []
    assert postgres.run("SELECT keywords FROM mmsearch.sidecars", postgres.name_of(url)) == [("Otto",)]


def test_what_is_forgotten_below_a_root_does_not_wait_any_more(
    postgres: PostgresServer, url: str, tree: Path, mmsearch: Mmsearch
) -> None:
    queue(url, tree)
    files = jobs(postgres, url)
    with Library(url) as library:
        forgotten = library.forget(tree / "notes")
        assert (forgotten.files, forgotten.queued) == (0, 5)  # none was encoded so far
        assert jobs(postgres, url) == files - 5
        told = mmsearch("forget", str(tree / "photos" / "cat.png"), "--library", url).out
        assert told == "0 files forgotten, and 1 that waited for workers\n"
        assert jobs(postgres, url) == files - 6
        with refused("Nothing in the library lies at"):
            library.forget(tree / "photos" / "cat.png")
    with workers(url) as started:
        assert started[0].end()["stored"] == files - 6


def test_a_run_that_waits_takes_what_is_forgotten_for_neither_read_nor_unreadable(url: str, tree: Path) -> None:
    walker = start("index", str(tree / "photos"), str(tree / "notes"), "--queue", "--library", url, "--json")
    assert walker.stderr is not None
    try:
        assert b"wait for a worker" in walker.stderr.readline()
        with Library(url) as library:
            library.forget(tree / "photos")
            library.forget(tree / "notes" / "coffee.md")
            with workers(url):
                out, error = walker.communicate(timeout=_PATIENCE_SECONDS)
            told = json.loads(out)
            assert walker.returncode == 0, error.decode()
            assert (told["added"], told["others"], told["unread"]) == (4, 0, {})
            (problem,) = told["problems"]
            assert problem["path"] == str(tree / "notes") and problem["reason"].startswith(
                "1 file that waited: forgotten"
            )
            status = library.status()
            assert [root.path for root in status.roots] == [os.fsencode(tree / "notes")]
            assert not status.counts.unread
    finally:
        walker.kill()
        walker.communicate()


def test_a_worker_that_is_started_too_early_waits(postgres: PostgresServer, url: str, tree: Path) -> None:
    with workers(url) as at_once:  # it is to end when there is nothing to do, and would hide a wrong address
        _, error = at_once[0].process.communicate(timeout=_PATIENCE_SECONDS)
        assert at_once[0].process.returncode == 2 and b"There is no library" in error
        assert b"; correct --library, which names it, or run `mmsearch index --library " in error
    early = Worker(url)
    try:
        assert early.process.stderr is not None
        said = early.process.stderr.readline()
        assert b"There is no library in" in said and b"waiting until there is one" in said
        walker = start("index", str(tree / "notes"), "--queue", "--library", url)
        assert walker.wait(_PATIENCE_SECONDS) == 0
        early.process.send_signal(signal.SIGTERM)
        _, rest = early.process.communicate(timeout=_PATIENCE_SECONDS)
        assert early.process.returncode == 0 and b"no library" not in rest
    finally:
        early.kill()
    with Library(url) as library:
        assert library.status().counts.texts == 5


@pytest.mark.slow
def test_a_worker_that_is_started_before_the_server_waits(tmp_path: Path) -> None:
    if reason := why_there_is_none():
        pytest.skip(reason)
    with running_server() as server:
        url = server.new_database()
        queue(url, place_notes(tmp_path / "notes"))
        server.stop()
        early = Worker(url)
        try:
            assert early.process.stderr is not None
            assert b"out of reach" in early.process.stderr.readline()
            server.start()
            _wait_until(lambda: jobs(server, url) == 0)
            early.process.send_signal(signal.SIGTERM)
            assert early.end()["stored"] == 4
        finally:
            early.kill()


def test_files_whose_root_is_not_there_are_left_to_others(
    postgres: PostgresServer, url: str, own_tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()  # of which nobody misses anything
    queue(url, own_tree, tmp_path / "empty")
    files = jobs(postgres, url)
    away = own_tree.rename(own_tree.with_name("away"))
    with workers(url) as started:
        told = started[0].end()
    assert told["elsewhere"] == [str(own_tree)] and told["stored"] == 0 and jobs(postgres, url) == files
    away.rename(own_tree)
    with workers(url) as started:
        assert started[0].end()["stored"] == files
    finished(url)
    assert_same(postgres, url, made_alone(postgres, [own_tree, tmp_path / "empty"]))


def test_new_files_come_before_what_another_model_is_to_encode_again(url: str, tree: Path) -> None:
    from mmsearch.store.postgres.store import PostgresStore

    with Library(url) as library:
        library.index([tree / "notes"])
    with closing(PostgresStore.share(url)) as store:
        (model_id, _), (root,) = store.model_rows()[0], store.roots()
        file = QueuedFile(root.id, b"/again", 1, 1, None, None, True, True, False, False)
        store.queue(model_id, [file, file._replace(path=b"/another")], later=True)
        store.queue(model_id, [file._replace(path=b"/new", known=False, unchanged=False)], later=False)
        worker = store.enlist("one", 60)
        claimed = [job.file.path for job in store.claim(worker, [model_id], [root.id], 2)]
        assert sorted(claimed) == [b"/again", b"/new"]
        assert [job.file.path for job in store.claim(worker, [model_id], [root.id], 2)] == [b"/another"]
        store.queue(model_id, [file._replace(path=b"/new", size=2)], later=False)  # which is in work
        assert store.claim(worker, [model_id], [root.id], 2) == []
        store.leave(worker)
        assert store.claim(worker, [model_id], [root.id], 2) == []  # it is a worker no more


def test_a_person_and_a_monitor_are_told_what_waits_and_who_is_at_work(
    url: str, tree: Path, mmsearch: Mmsearch
) -> None:
    from mmsearch.store.postgres.store import PostgresStore

    queue(url, tree / "notes")
    told = mmsearch("status", "--library", url).out
    assert "queue     5 wait, 0 in work\n" in told and "no worker is there; `mmsearch worker` takes" in told
    with closing(PostgresStore.share(url)) as store:
        worker = store.enlist("tower:7", 60)
        claimed = store.claim(worker, [store.model_rows()[0][0]], [store.roots()[0].id], 2)
        assert len(claimed) == 2
        assert store.renew(worker, 60)
        told = mmsearch("status", "--library", url).out
        assert "queue     3 wait, 2 in work\n" in told and "no worker" not in told
        assert re.search(r"worker    tower:7 since 20\d\d-.*Z, 0 files stored\n", told)
        with running(url) as server:
            monitored = server.get("metrics").body.decode()
            queued = connect(server.address).status().queue
            assert queued is not None and [one.name for one in queued.workers] == ["tower:7"] and queued.waiting == 3
        model = f'model="{library_model(url)}"'
        assert f'mmsearch_jobs{{{model},state="waiting"}} 3\n' in monitored
        assert f'mmsearch_jobs{{{model},state="working"}} 2\n' in monitored
        assert "mmsearch_workers 1\n" in monitored
        with store.transaction():
            store.finish(store.own(worker, [job.id for job in claimed[:1]]))
        told = mmsearch("status", "--library", url).out  # without another sign of life
        assert "queue     3 wait, 1 in work\n" in told
        assert re.search(r"worker    tower:7 since 20\d\d-.*Z, 1 file stored\n", told)
        store.leave(worker)


def library_model(url: str) -> str:
    """The name of the library's only model."""
    with Library(url) as library:
        (model,) = library.status().models
        return model.name


def test_a_library_in_a_folder_has_no_workers(tmp_path: Path, home: Path) -> None:
    with Library(tmp_path / "folder") as library:
        library.index([home])
        assert library.status().queue is None
        with refused("has no workers, as one process writes a library in a folder; run `mmsearch index`"):
            library.work()
        with refused("has no workers"):
            library.index(settings=IndexSettings(queue=True))


def _have_left(server: PostgresServer, url: str, most: int) -> bool:
    return jobs(server, url) <= most


@pytest.mark.slow
def test_a_server_that_is_killed_ten_times_holds_workers_up_and_nothing_more(tmp_path: Path) -> None:
    if reason := why_there_is_none():
        pytest.skip(reason)
    with running_server() as server:
        url, tree = server.new_database(), many_pictures(tmp_path / "many", 600)
        queue(url, tree)
        with workers(url, 2, lease=30.0) as both:
            for ending in (signal.SIGQUIT, signal.SIGKILL) * 5:
                _wait_until(partial(_have_left, server, url, max(0, jobs(server, url) - 20)))
                server.stop(ending)
                server.start()
            assert sum(one.end()["failed"] for one in both) == 0
        finished(url)
        assert_same(server, url, made_alone(server, [tree]))
