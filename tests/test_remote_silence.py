"""A bucket that takes requests and answers none: its files cost little, and it is asked rarely."""

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
from s3_server import SECRET, why_there_is_none

from mmsearch.files import remote
from mmsearch.indexing import root_presence
from mmsearch.indexing.root_presence import RootPresence
from mmsearch.reading import UnreachableFile, open_file


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
