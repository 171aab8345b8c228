"""Named pipes, devices, sockets and folders where a file of the library's is expected: one sentence, and no waiting."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from mmsearch import Library
from mmsearch.errors import Refused
from mmsearch.models.packing import import_model

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX files")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)  # the path of a socket must be short


KINDS: dict[Callable[[Path], None], str] = {
    pipe: "a named pipe",
    folder: "a folder",
    device: "a device",
    bound_socket: "a socket",
}
each_kind = pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)


def refused(do: Callable[[], object], path: Path, make: Callable[[Path], None]) -> None:
    with pytest.raises(Refused) as caught:
        do()
    assert str(caught.value) == f"{path} is {KINDS[make]}, not a regular file; move it away, or choose another."


@each_kind
def test_what_is_no_file_is_no_place_for_a_backup(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "backup")
    refused(lambda: Library(own).care.backup(tmp_path / "backup"), tmp_path / "backup", make)


@each_kind
@pytest.mark.parametrize("name", ["library.db", "library.db-wal"])
def test_what_is_no_file_is_no_database(
    own: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(own)
    (own / name).unlink(missing_ok=True)
    make(own / name)
    for do in (Library(own).index, Library(own).status, lambda: Library(own).search("cat"), Library(own).care.examine):
        refused(do, own / name, make)


@each_kind
@pytest.mark.parametrize("name", ["library.lock", "in-flight"])
def test_what_is_no_file_is_no_lock_and_no_list(
    own: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(own)
    (own / name).unlink(missing_ok=True)
    make(own / name)
    refused(Library(own).index, own / name, make)


@each_kind
def test_what_is_no_file_is_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "model.zip")
    refused(lambda: import_model("model.zip"), tmp_path / "model.zip", make)


def test_a_pipe_in_the_place_of_a_derived_file_is_replaced(own: Path) -> None:
    for path in (own / "derived").iterdir():
        path.unlink()
        os.mkfifo(path)
    with Library(own) as library:
        before = library.search("a cat").hits
        assert library.index().rebuilt
        assert library.search("a cat").hits == before
    assert all(path.is_file() for path in (own / "derived").iterdir())


@pytest.mark.parametrize("ending", [".codes", ".hnsw", ".hnsw-header"])
def test_a_folder_in_the_place_of_a_derived_file_is_named(own: Path, photos: Path, ending: str) -> None:
    path = next(path for path in sorted((own / "derived").iterdir()) if path.name.endswith(ending))
    path.unlink()
    (path / "what is in it").mkdir(parents=True)
    with Library(own) as library:
        assert library.search("a cat").hits
        refused(lambda: library.index([photos]), path, folder)
        refused(library.care.repair, path, folder)
        path.rename(own / "moved away")
        library.index([photos])
        assert path.is_file() and library.care.examine().sound
