"""What goes wrong with a team's machines and its server: clocks that differ, a full disk, a server that only reads."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

import pytest
from conftest import place_notes, run_mmsearch
from interrupting import clock_off_by
from postgres_server import UNPRIVILEGED, PostgresServer, running_server
from test_worker import Worker, assert_same, finished, jobs, made_alone, make_tree, many_pictures, queue, start

from mmsearch import Library
from mmsearch.files.crash_points import VARIABLE

_PATIENCE_SECONDS = 120


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


def moment_of(server: PostgresServer) -> datetime:
    """What the server's clock says, to the second."""
    ((moment,),) = server.run("SELECT date_trunc('second', clock_timestamp())")
    assert isinstance(moment, datetime)
    return moment


@contextmanager
def running_walker(url: str, *roots: str, hooks: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A run that queues and waits for workers, killed at the end if it has not ended."""
    walker = start("index", *roots, "--queue", "--library", url, hooks=hooks)
    try:
        yield walker
    finally:
        walker.kill()
        walker.communicate()


@contextmanager
def staying_worker(url: str, hooks: Mapping[str, str] | None = None) -> Iterator[Worker]:
    """A worker that waits for files until the end, and is told to end then."""
    worker = Worker(url, hooks=hooks)
    try:
        yield worker
        worker.process.send_signal(signal.SIGTERM)
    except BaseException:
        worker.kill()
        raise


@pytest.mark.parametrize("seconds", [3600, pytest.param(-3600, marks=pytest.mark.slow)])
def test_machines_whose_clocks_are_an_hour_wrong_are_as_good_as_any(
    postgres: PostgresServer, url: str, tree: Path, tmp_path: Path, seconds: int
) -> None:
    folders = [tmp_path / name for name in ("ahead", "behind")]
    for folder in folders:
        folder.mkdir()
    wrong, other_way = (clock_off_by(folder, by) for folder, by in zip(folders, (seconds, -seconds), strict=True))
    began = moment_of(postgres)
    with running_walker(url, str(tree), hooks=wrong) as walker:
        Worker(url, hooks={**other_way, VARIABLE: "jobs claimed"}).killed()
        with staying_worker(url) as right:
            assert walker.wait(_PATIENCE_SECONDS) == 0
    (tree / "notes" / "late.md").write_text("A note that comes later.")
    with running_walker(url, hooks=other_way) as walker, staying_worker(url, hooks=wrong) as off:
        assert walker.wait(_PATIENCE_SECONDS) == 0
    first, last = right.end(), off.end()
    assert (first["given_up"], last["given_up"]) == (0, 0)
    files = [one for one in tree.rglob("*") if one.is_file()]
    assert first["stored"] + last["stored"] == len(files)
    finished(url)
    assert_same(postgres, url, made_alone(postgres, [tree]))
    with Library(url) as library:
        told = library.status()
    for moment in (told.roots[0].changed, *(one.noted for one in told.failures)):
        assert moment is not None
        assert began <= datetime.fromisoformat(moment) <= moment_of(postgres) + timedelta(seconds=1)


# A fusion as training keeps it, by a program that opens the library at a URL.
_LEARN = """
import sys
from mmsearch.searching.fusion import ChannelWeights, Fusion, add_fusion
from mmsearch.store.postgres.store import PostgresStore
store = PostgresStore.write(sys.argv[1])
add_fusion(store, Fusion({"words": ChannelWeights(0.5, 0.0)}), {})
store.close()
"""


def test_what_was_learned_on_a_machine_with_a_wrong_clock_has_the_date_of_the_server(
    postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    began = moment_of(postgres)
    elsewhere = {**os.environ, **clock_off_by(tmp_path, 3600)}
    subprocess.run([sys.executable, "-c", _LEARN, url], env=elsewhere, check=True)
    with Library(url) as library:
        (learned,) = library.fusions.list()
    assert began <= datetime.fromisoformat(learned.added) <= moment_of(postgres) + timedelta(seconds=1)


class Disk:
    """A small disk, mounted at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def leave_room(self, spare: int) -> None:
        """Lets nothing be added to what lies there but so many bytes."""
        status = os.statvfs(self.folder)
        self._resize((status.f_blocks - status.f_bfree) * status.f_frsize + spare)

    def make_room(self) -> None:
        self._resize(1 << 30)

    def _resize(self, size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", self.folder], check=True)


@pytest.fixture
def disk() -> Iterator[Disk]:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting takes root on Linux")
    folder = tempfile.mkdtemp(prefix="mmsearch-disk-")  # which servers of tests reach, which do not run as root
    try:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1g,mode=755", "tmpfs", folder]
        if subprocess.run(mount, check=False).returncode:
            pytest.skip("nothing can be mounted here")
        try:
            yield Disk(Path(folder))
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
    finally:
        os.rmdir(folder)


@contextmanager
def small_server(disk: Disk, what: str) -> Iterator[tuple[PostgresServer, str]]:
    """A server with a database of which the tables alone, or all and its log, lie on the small disk."""
    with running_server(disk.folder if what == "log" else None) as server:
        if what == "tables":
            shutil.chown(disk.folder, UNPRIVILEGED)
            server.run(f"CREATE TABLESPACE small LOCATION '{disk.folder}'")
        yield server, server.new_database(tablespace="small" if what == "tables" else "pg_default")


def read_until(stream: IO[bytes] | None, words: str) -> str:
    """All lines up to the first that has these words."""
    assert stream is not None
    read = ""
    for line in stream:
        read += line.decode()
        if words in read:
            return read
    raise AssertionError(read)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["tables", "log"])
def test_the_disk_of_the_server_is_full(disk: Disk, tmp_path: Path, what: str) -> None:
    photos, notes, more = many_pictures(tmp_path / "many", 100), place_notes(tmp_path / "notes"), tmp_path / "more"
    many_pictures(more, 300)
    with small_server(disk, what) as (server, url):
        queue(url, notes)
        with running_walker(url, str(photos)) as walker:
            read_until(walker.stderr, "100 files wait for a worker")
            disk.leave_room(60_000)
            if what == "log":
                with suppress(Exception):  # the server cannot go on without a new part of it, and falls
                    server.run("SELECT pg_switch_wal()")
            for command in (["index", str(more), "--queue"], ["index", str(more)]):
                said = run_mmsearch(*command, library=url)
                assert said.code == 2 and said.err.startswith("mmsearch: The server of ") and said.err.count("\n") == 1
                assert what == "log" or "no room left on its disk" in said.err
                assert what == "log" or said.err.endswith("; make room there, and run the command again.\n")
            with staying_worker(url) as worker:
                waits = "waiting until it can be written" if what == "tables" else "trying again until it is there"
                read_until(worker.process.stderr, waits)
                if what == "tables":
                    assert run_mmsearch("status", library=url).code == 0
                disk.make_room()
                server.start_again()
                assert walker.wait(_PATIENCE_SECONDS) == (0 if what == "tables" else 2)
                for folder in (photos, more):
                    with running_walker(url, str(folder)) as again:
                        assert again.wait(_PATIENCE_SECONDS) == 0
        told = worker.end()
        assert (told["failed"], told["given_up"]) == (0, 0) and told["stored"] >= 100
        assert finished(url).failing == 0
        assert_same(server, url, made_alone(server, [notes, photos, more]))


@pytest.mark.slow
def test_a_server_that_was_set_to_be_read_only_is_searched_and_workers_wait(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    url, notes = own_server.new_database(), place_notes(tmp_path / "notes")
    with Library(url) as library:
        library.index([notes / "tax.txt"])
    queue(url, notes)
    with staying_worker(url) as worker, running_walker(url, str(notes)) as walker:
        assert walker.wait(_PATIENCE_SECONDS) == 0
        set_read_only(own_server, "on")
        (notes / "late.md").write_text("A note that comes late.")
        for command in (["index"], ["index", "--queue"], ["forget", str(notes)], ["worker", "--pause"]):
            said = run_mmsearch(*command, library=url)
            assert said.code == 2 and said.err.count("\n") == 1, said.err
            assert "takes no writes at present" in said.err and "; let it take writes again, and run" in said.err
        assert run_mmsearch("search", "income tax", library=url).code == 0
        early = run_mmsearch("worker", "--exit-when-empty", library=url)
        assert early.code == 2 and "takes no writes at present" in early.err
        with staying_worker(url) as another:
            assert "waiting until it can be written" in read_until(another.process.stderr, "takes no writes at present")
            set_read_only(own_server, "off")
            while jobs(own_server, url):  # a walker may queue again what is being stored, and that would count twice
                time.sleep(0.1)
            with running_walker(url) as again:
                assert again.wait(_PATIENCE_SECONDS) == 0
    assert worker.end()["stored"] + another.end()["stored"] == 4
    assert_same(own_server, url, made_alone(own_server, [notes]))


def set_read_only(server: PostgresServer, how: str) -> None:
    """Sets it for all sessions, those that are there too."""
    server.run(f"ALTER SYSTEM SET default_transaction_read_only = {how}")
    server.run("SELECT pg_reload_conf()")
    while server.run("SHOW default_transaction_read_only") != [(how,)]:
        pass
