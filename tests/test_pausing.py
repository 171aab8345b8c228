"""Pausing parts of the queue: no worker begins them, on any machine, until somebody resumes them."""

from __future__ import annotations

import getpass
import os
import platform
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Mmsearch, refused
from postgres_server import PostgresServer
from serving import running
from test_monitoring import told_of
from test_worker import Worker, _wait_until, assert_same, finished, jobs, library_model, made_alone, queue, workers

from mmsearch import Library, Pause, connect
from mmsearch.records import ModelIdentity
from mmsearch.store.models import add_model
from mmsearch.store.postgres.store import PostgresStore
from mmsearch.store.work import QueuedFile


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders of notes that are all different."""
    for name in ("letters", "recipes"):
        (tmp_path / name).mkdir()
        for number in range(5):
            (tmp_path / name / f"{number}.txt").write_text(f"Number {number} of the {name}, about tea and rain.")
    return tmp_path / "letters", tmp_path / "recipes"


def test_workers_leave_a_root_that_is_paused_and_take_it_once_it_is_resumed(
    postgres: PostgresServer, url: str, folders: tuple[Path, Path], mmsearch: Mmsearch
) -> None:
    letters, recipes = folders
    queue(url, letters, recipes)
    done = mmsearch("worker", "--pause", "--root", letters, "--library", url)
    assert done.code == 0 and "queue     10 wait (5 of them paused), 0 in work\n" in done.out
    assert f"paused    {letters} since 20" in done.out
    with workers(url) as started:
        assert started[0].end()["stored"] == 5
    assert jobs(postgres, url) == 5
    told = mmsearch("status", "--library", url).out
    assert f"paused    {letters} since 20" in told and "no worker is there" not in told
    model = f'model="{library_model(url)}"'
    monitored = told_of(url)
    assert monitored["mmsearch_jobs"][f'{model},state="paused"'] == 5
    assert monitored["mmsearch_oldest_job_seconds"] == {model: 0}
    # Nor does one that stays, which takes it up again by itself.
    worker = Worker(url)
    try:
        (recipes / "more.txt").write_text("Another one, about soup.")
        queue(url, recipes)
        _wait_until(lambda: jobs(postgres, url) == 5)
        done = mmsearch("worker", "--resume", "--root", letters, "--library", url)
        assert done.code == 0 and "paused" not in done.out
        _wait_until(lambda: jobs(postgres, url) == 0)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.end()["stored"] == 6
    finally:
        worker.kill()
    finished(url)
    assert_same(postgres, url, made_alone(postgres, [letters, recipes]))


@pytest.fixture
def store(url: str, folders: tuple[Path, Path]) -> Iterator[PostgresStore]:
    """A library with two roots, two models and a made-up job of each pair of these."""
    with Library(url) as library:
        library.index([*folders])
    with closing(PostgresStore.write(url)) as writer, writer.transaction():
        add_model(writer, ModelIdentity("other", "1", 8, "f" * 32))
    with closing(PostgresStore.share(url)) as store:
        for model_id, _ in store.model_rows():
            for root in store.roots():
                path = b"%s/of-%d.txt" % (root.path, model_id)
                job = QueuedFile(root.id, path, 1, 1, None, None, False, False, False, False)
                store.queue(model_id, [job], later=False)
        yield store


def claimable(store: PostgresStore) -> set[tuple[str, str]]:
    """Of which root and model a worker would take jobs, by the names of their folders and their ids among all."""
    worker = store.enlist("one", 60)
    models = [model_id for model_id, _ in store.model_rows()]
    roots = {root.id: root.path.decode() for root in store.roots()}
    taken = set()
    while claimed := store.claim(worker, models, list(roots), 16):
        taken |= {(Path(roots[job.file.root_id]).name, "other" if job.model_id != models[0] else "") for job in claimed}
    store.leave(worker)
    return taken


ALL = {("letters", ""), ("recipes", ""), ("letters", "other"), ("recipes", "other")}


def test_a_root_a_model_both_or_all_are_paused_and_resumed(
    store: PostgresStore, url: str, folders: tuple[Path, Path], mmsearch: Mmsearch
) -> None:
    letters, recipes = folders
    assert claimable(store) == ALL
    with Library(url) as library:
        library.pause_queue(letters, "other")
        assert claimable(store) == ALL - {("letters", "other")}
        library.pause_queue(model="other")
        library.pause_queue(model="other")  # which is nothing new
        assert claimable(store) == {("letters", ""), ("recipes", "")}
        assert library.resume_queue(model="other") == 2  # of that model, wherever it was paused
        library.pause_queue(recipes)
        assert claimable(store) == {("letters", ""), ("letters", "other")}
        library.pause_queue()
        assert claimable(store) == set()
        state = library.queue_state()
        assert (state.waiting, state.paused, state.left) == (4, 4, 4)
        assert [(one.root, one.model) for one in state.pauses] == [(bytes(recipes), None), (None, None)]
        assert library.resume_queue(recipes) == 1 and claimable(store) == set()
        assert library.resume_queue() == 1 and claimable(store) == ALL
    done = mmsearch("worker", "--resume", "--library", url)
    assert done.code == 1 and "4 wait, 0 in work" in done.out
    assert done.err == "mmsearch: nothing of that was paused.\n"
    told = mmsearch("worker", "--pause", "--model", "other", "--library", url, "--json").json
    assert told["pauses"][0]["model"] == "other"
    assert "paused    what other is to encode since 20" in mmsearch("status", "--library", url).out


def test_who_has_no_name_pauses_by_a_number(
    store: PostgresStore, url: str, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> str:
        raise ImportError("No module named 'pwd'")  # as where USERNAME is not set on Windows

    monkeypatch.setattr(getpass, "getuser", unknown)
    with Library(url) as library:
        library.pause_queue(folders[0])
        (pause,) = library.queue_state().pauses
    assert pause.by == f"{os.getuid()}@{platform.node()}"


def test_pausing_brings_the_library_into_no_other_state_and_waits_for_no_writer(store: PostgresStore, url: str) -> None:
    before = store.state()
    with closing(PostgresStore.write(url)), Library(url) as library:
        library.pause_queue()
        assert claimable(store) == set() and store.state() == before


def test_a_pause_leaves_with_its_root_or_model(store: PostgresStore, url: str, folders: tuple[Path, Path]) -> None:
    letters, _ = folders
    with Library(url) as library:
        library.pause_queue(letters)
        library.pause_queue(model="other")
        library.pause_queue(letters, "other")
        library.forget(letters)
        assert [(one.root, one.model) for one in library.queue_state().pauses] == [(None, "other")]
        library.models.drop("other")
        assert library.queue_state().pauses == () and store.pauses() == []


def test_who_asks_a_server_is_told_what_is_paused(store: PostgresStore, url: str, folders: tuple[Path, Path]) -> None:
    with Library(url) as library:
        library.pause_queue(folders[0], "other")
        told = library.queue_state().pauses
    with running(url) as server:
        queued = connect(server.address).status().queue
        assert queued is not None and queued.pauses == told and queued.paused == 1
    assert isinstance(told[0], Pause) and told[0].root == bytes(folders[0]) and "@" in told[0].by


def test_what_cannot_be_paused_is_said(
    store: PostgresStore, url: str, folders: tuple[Path, Path], tmp_path: Path, mmsearch: Mmsearch
) -> None:
    done = mmsearch("worker", "--pause", "--root", tmp_path / "elsewhere", "--library", url)
    assert done.code == 2 and "is none of the library's roots; `mmsearch status` lists" in done.err
    assert mmsearch("worker", "--pause", "--model", "nobody", "--library", url).code == 2
    for wrong in (["--pause", "--resume"], ["--root", folders[0]], ["--model", "other"]):
        assert mmsearch("worker", *wrong, "--library", url).code == 2
    with Library(tmp_path / "folder") as library:
        library.index([tmp_path / "letters"])
        for refuse in (library.queue_state, library.pause_queue, library.resume_queue):
            with refused("has no workers"):
                refuse()
