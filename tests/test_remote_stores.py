"""Photos in Google's and in Microsoft's store, asked of servers on this machine that speak as those do.

They run where the packages and the servers are installed, which CONTRIBUTING.md says.
"""

from __future__ import annotations

import base64
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import NOTES, place_photographs, run_mmsearch
from library_state import held_files
from serving import free_port, running, wait_for

from mmsearch import Library, Query, Term
from mmsearch.files import remote, remote_presence
from mmsearch.indexing.report import Unreached
from mmsearch.indexing.run import IndexSettings
from mmsearch.reading import ReadLimits, UnreachableFile, UnreadableFile, open_file, open_known
from mmsearch.records import Progress

# That of the server alone, which whoever has it knows.
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass
class Store:
    """A store with a bucket `photos` in it; `root` is the URL of a folder there."""

    root: str
    system: Any
    process: subprocess.Popen[bytes]

    def put(self, name: str, data: bytes) -> None:
        self.system.pipe_file(f"photos/pics/{name}", data)

    def remove(self, name: str) -> None:
        self.system.rm_file(f"photos/pics/{name}")


def _google(port: int) -> tuple[Sequence[str], dict[str, str]]:
    options = ["start", "--host", "127.0.0.1", "--port", str(port), "--in-memory"]
    environment = {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}", "FSSPEC_GS_TOKEN": "anon"}
    return [sys.executable, "-m", "gcp_storage_emulator", *options], environment


def _microsoft(port: int) -> tuple[Sequence[str], dict[str, str]]:
    options = ["--silent", "--skipApiVersionCheck", "--inMemoryPersistence", "--disableTelemetry"]
    told = {
        "DefaultEndpointsProtocol": "http",
        "AccountName": "devstoreaccount1",
        "AccountKey": _KEY,
        "BlobEndpoint": f"http://127.0.0.1:{port}/devstoreaccount1",
    }
    connection = "".join(f"{name}={value};" for name, value in told.items())
    return ["azurite-blob", "--blobPort", str(port), *options], {"AZURE_STORAGE_CONNECTION_STRING": connection}


@pytest.fixture(params=["gs", "az", "abfs"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    package, server = ("gcsfs", "gcp_storage_emulator") if request.param == "gs" else ("adlfs", "azurite-blob")
    for module in (package, *([server] if request.param == "gs" else [])):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    if request.param != "gs" and shutil.which(server) is None:
        pytest.skip(f"{server} is not installed")
    import fsspec

    port = free_port()
    command, environment = (_google if request.param == "gs" else _microsoft)(port)
    for name, value in {**environment, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(remote, "_silence", remote._Silence())
    log = open(tmp_path / "server.log", "wb")  # noqa: SIM115 - for as long as the server runs
    process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    try:
        wait_for(port, process)
        kind = fsspec.get_filesystem_class(request.param)
        kind.clear_instance_cache()  # whose members have asked a server of another test
        system = fsspec.filesystem(request.param, use_listings_cache=False)
        system.mkdir("photos")
        store = Store(f"{request.param}://photos/pics", system, process)
        photos = place_photographs(tmp_path / "photos")
        for name in ("coffee.png", "rocket.jpg"):
            store.put(f"2021/{name}", (photos / name).read_bytes())
        store.put("tax.txt", NOTES["tax.txt"].encode())
        yield store
    finally:
        process.kill()
        with suppress(OSError):
            process.wait(30)
        log.close()


def names(library: Library) -> list[str]:
    return sorted(os.fsdecode(path).partition("/pics/")[2] for path in held_files(Path(library.folder)))


@pytest.mark.slow
def test_photos_in_another_store_are_found_followed_and_shown(store: Store, library: Library, tmp_path: Path) -> None:
    assert library.index([store.root]).added == 3
    found = library.search(Query((Term("text", "income tax"),), limit=1)).hits
    assert [hit.path for hit in found] == [f"{store.root}/tax.txt"]
    report = library.index()
    assert (report.unchanged, report.added, report.updated) == (3, 0, 0)

    before = NOTES["tax.txt"].encode()
    store.put("tax.txt", before.replace(b"July", b"June"))  # of the same size
    store.put("2022/\u00fc & more.md", NOTES["coffee.md"].encode())
    store.remove("2021/rocket.jpg")
    report = library.index()
    assert (report.added, report.updated, report.removed, report.unchanged) == (1, 1, 1, 1)
    assert names(library) == ["2021/coffee.png", "2022/\u00fc & more.md", "tax.txt"]

    photo = store.system.cat_file("photos/pics/2021/coffee.png")
    with running(Path(library.folder), cache=tmp_path / "cache") as server:
        called = server.id_of("coffee.png")
        part = server.get(f"files/{called}/original", {"Range": "bytes=100-199"})
        assert (part.status, part.body) == (206, photo[100:200])
        assert server.get(f"files/{called}/original").body == photo
        assert server.get(f"files/{called}/thumb").status == 200
        store.put("2021/coffee.png", photo[:-1])
        assert server.get(f"files/{called}/original").status == 409


@pytest.mark.slow
@pytest.mark.parametrize("store", ["az"], indirect=True)  # that of gs:// asks for none
def test_wrong_credentials_are_told_as_refused(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
    for key in (base64.b64encode(b"of nobody" * 7).decode(), "no key at all"):
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", right.replace(_KEY, key))
        told = run_mmsearch("index", store.root, library=tmp_path / "library")
        assert (told.code, told.err.count("\n")) == (2, 1), told.err
        assert f"{store.root} cannot be read, as that store refuses the credentials" in told.err and key not in told.err
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", right)
    assert run_mmsearch("index", store.root, library=tmp_path / "library").code == 0
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", right.replace(_KEY, "bm9uZQ=="))
    away = run_mmsearch("index", library=tmp_path / "library")
    assert away.code == 0 and "its files stay" in away.err


@pytest.mark.slow
def test_a_long_file_is_read_by_ranges_and_not_taken_if_it_changes_meanwhile(store: Store) -> None:
    data = os.urandom(4_500_000).hex().encode() + b"\n" + NOTES["tax.txt"].encode()
    store.put("long.txt", data)
    path = f"{store.root}/long.txt".encode()
    with open_file(path) as file:
        assert file.stream.read() == data
        state = file.size, file.mtime_ns
    with open_known(path, *state, ReadLimits()) as file:
        file.stream.seek(len(data) - 100)
        assert file.stream.read() == data[-100:]
    known = open_known(path, *state, ReadLimits())
    with pytest.raises(UnreadableFile, match="changed while it was read"), known as file:
        store.put("long.txt", data[::-1])
    with pytest.raises(UnreachableFile, match="vanished"), open_file(f"{store.root}/none.txt".encode()):
        pass


@pytest.mark.slow
def test_another_store_that_goes_away_is_offline(
    store: Store, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PATIENCE", 2.0)
    monkeypatch.setattr(remote_presence, "PATIENCE", 3.0)
    root = store.root.encode()
    for number in range(20):
        store.put(f"notes/{number:02}.txt", f"Note number {number} about boats.".encode())

    def end(progress: Progress) -> None:
        if progress.stage == "encoding" and progress.done >= 4:
            store.process.kill()

    report = library.index([store.root], settings=IndexSettings(workers=1), on_progress=end)
    left = 23 - report.added
    assert left > 0 and (report.offline, report.unreached) == ([root], [Unreached(root, left)])
    assert (report.failures, library.status().failures) == ([], ())
    report = library.index()
    assert (report.offline, report.removed) == ([root], 0)
    assert len(names(library)) == 23 - left
