"""A bucket that takes requests and answers none: its files cost little, it is asked rarely, and nothing is lost."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import run_mmsearch
from s3_server import SECRET, S3Server, why_there_is_none

from mmsearch import Library
from mmsearch.files import remote, remote_presence
from mmsearch.indexing import root_presence
from mmsearch.indexing.report import Unreached
from mmsearch.indexing.root_presence import RootPresence
from mmsearch.indexing.run import IndexSettings
from mmsearch.output.reports import notes
from mmsearch.reading import UnreachableFile, open_file
from mmsearch.records import Progress


class SilentServer:
    """Takes connections, and says nothing."""

    def __init__(self) -> None:
        self.connections: list[socket.socket] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with suppress(OSError):  # of a socket that is closed
            while True:
                self.connections.append(self._socket.accept()[0])

    def close(self) -> None:
        self._socket.close()
        for one in self.connections:
            one.close()


class Way:
    """The way to a server, on which nothing goes through while it `is_cut`: connections are taken all the same."""

    def __init__(self, port: int) -> None:
        self.is_cut = False
        self._to, self._socket = port, socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with suppress(OSError):  # of a socket that is closed
            while True:
                here, there = self._socket.accept()[0], socket.create_connection(("127.0.0.1", self._to))
                for ends in ((here, there), (there, here)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if not self.is_cut:
                    target.sendall(data)
        with suppress(OSError):
            target.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def way(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    """That to a bucket of forty notes in two folders; who is not answered gives up soon, and asks again at once."""
    way = Way(int(s3_server.address.rpartition(":")[2]))
    for name, value in {**s3_server.environment, "AWS_ENDPOINT_URL": way.address}.items():
        monkeypatch.setenv(name, value)
    # A number of its own: for the same options fsspec would take what has asked another server.
    hasty = {
        "connect_timeout": 5,
        "read_timeout": 3 + int(way.address[-3:]) / 1e6,
        "retries": {"total_max_attempts": 1},
    }
    monkeypatch.setattr(remote, "_OPTIONS", {"s3": {"config_kwargs": hasty}})
    monkeypatch.setattr(remote, "_silence", remote._Silence())
    monkeypatch.setattr(remote, "_SILENT_SECONDS", 5.0)
    monkeypatch.setattr(remote_presence, "PATIENCE", 60.0)  # in which packages are loaded, on slow machines too
    with suppress(s3_server.client.exceptions.BucketAlreadyOwnedByYou):
        s3_server.client.create_bucket(Bucket="notes")
    for number in range(40):
        data = f"Note number {number} about boats.".encode()
        s3_server.put("notes", {f"all/{'new' if number % 2 else 'old'}/{number:02}.txt": data})
    yield way
    way.close()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentServer]:
    if reason := why_there_is_none():
        pytest.skip(reason)
    server = SilentServer()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(remote, "_silence", remote._Silence())
    yield server
    server.close()


def s3_config() -> Mapping[str, Any]:
    config: Mapping[str, Any] = remote._OPTIONS["s3"]["config_kwargs"]
    return config


def test_after_a_few_files_a_silent_bucket_is_asked_no_more_until_a_while_has_passed(
    silent: SilentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = s3_config()["retries"]["total_max_attempts"]
    assert tries * s3_config()["read_timeout"] < 40  # seconds a question: a file has one before it is given up
    hasty = {**s3_config(), "read_timeout": 0.2}
    monkeypatch.setattr(remote, "_OPTIONS", {"s3": {"config_kwargs": hasty}})
    reasons = []
    for number in range(10):
        with pytest.raises(UnreachableFile) as error, open_file(f"s3://silent/{number}.jpg".encode()):
            pass
        reasons.append(error.value.reason)
    assert all("cannot be reached" in reason for reason in reasons[:3])
    assert all("does not answer" in reason for reason in reasons[3:])
    asked = len(silent.connections)
    assert asked == 3 * tries
    with pytest.raises(UnreachableFile), open_file(b"s3://another/1.jpg"):  # which may answer
        pass
    assert len(silent.connections) == asked + tries
    monkeypatch.setattr(remote, "_SILENT_SECONDS", 0.0)
    with pytest.raises(UnreachableFile), open_file(b"s3://silent/1.jpg"):
        pass
    assert len(silent.connections) == asked + 2 * tries


@pytest.mark.slow
def test_a_silent_bucket_is_told_in_a_sentence(silent: SilentServer, tmp_path: Path) -> None:
    said = run_mmsearch("index", "s3://silent/photos", library=tmp_path / "library")
    assert said.code == 2 and "does not answer" in said.err and said.err.count("\n") == 1


def heard_again(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    way.is_cut = False
    monkeypatch.setattr(remote, "_SILENT_SECONDS", 0.0)


@pytest.mark.slow
def test_a_bucket_that_falls_silent_while_it_is_read_is_offline_and_its_files_are_read_next_time(
    way: Way, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = b"s3://notes/all"

    def cut(progress: Progress) -> None:
        way.is_cut = way.is_cut or (progress.stage == "encoding" and progress.done >= 8)

    report = library.index([os.fsdecode(root)], settings=IndexSettings(workers=1), on_progress=cut)
    left = 40 - report.added
    assert report.added >= 8 and left > 0
    assert (report.offline, report.unreached) == ([root], [Unreached(root, left)])
    assert (report.failed, report.failures, report.problems, library.status().failures) == (0, [], [], ())
    assert notes(report, lambda sentence, remedy: sentence) == [
        f"s3://notes/all went away while it was read; what was stored stays, and {left} files that were to be read are "
        "left to the next `mmsearch index`"
    ]
    heard_again(way, monkeypatch)
    report = library.index()
    assert (report.added, report.unchanged, report.offline, report.unreached) == (left, 40 - left, [], [])


@pytest.mark.slow
def test_a_bucket_that_falls_silent_while_it_is_listed_is_offline_and_loses_nothing(
    way: Way, s3_server: S3Server, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = b"s3://notes/all"
    assert library.index([os.fsdecode(root)]).added == 40
    for number in range(1, 40, 2):
        s3_server.client.delete_object(Bucket="notes", Key=f"all/new/{number:02}.txt")

    def cut(folder: bytes) -> None:
        way.is_cut = way.is_cut or folder.endswith(b"/old")

    report = library.index(settings=IndexSettings(on_folder=cut))
    assert (report.offline, report.removed, report.failed, report.problems) == ([root], 0, 0, [])
    assert library.status().failures == () and library.status().counts.contents == 40
    heard_again(way, monkeypatch)
    report = library.index()
    assert (report.offline, report.unchanged, report.removed) == ([], 20, 20)


def test_who_is_idle_asks_a_bucket_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked, there = [0.0], [], [True]

    def is_root_there(path: bytes) -> bool:
        asked.append(path)
        return there[0]

    monkeypatch.setattr(root_presence, "is_root_there", is_root_there)
    monkeypatch.setattr(root_presence, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    presence = RootPresence()
    for _ in range(120):  # ten minutes, of a worker that looks each five seconds
        assert presence.is_there(b"s3://photos/2021") and presence.is_there(b"/photos")
        clock[0] += 5
    assert asked.count(b"/photos") == 120 and asked.count(b"s3://photos/2021") <= 14
    there[0] = False
    for _ in range(13):
        clock[0] += 5
        presence.is_there(b"s3://photos/2021")
    assert not presence.is_there(b"s3://photos/2021")
