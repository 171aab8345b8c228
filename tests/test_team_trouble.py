"""What goes wrong with the machines of a team: clocks that differ."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from interrupting import clock_off_by
from postgres_server import PostgresServer
from test_worker import Worker, assert_same, finished, made_alone, make_tree, start

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
