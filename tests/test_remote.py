"""A person has photos in a bucket, and finds them as files: `s3://bucket/2021/beach.jpg`. The server is a real one."""

from __future__ import annotations

import importlib.util
import io
import itertools
import json
import os
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from browsing import Page, browser, wait_for
from conftest import NOTES, Mmsearch, Viewer, jpeg, run_mmsearch
from library_state import held_files
from postgres_server import PostgresServer
from s3_server import SECRET, S3Server
from serving import free_port, running
from test_worker import workers

from mmsearch import Filters, Library, Query, Term, WalkRules
from mmsearch.errors import Invalid, Unavailable
from mmsearch.files import remote, remote_presence
from mmsearch.files.archives import is_there
from mmsearch.files.paths import is_below, with_parents
from mmsearch.files.remote import RemoteEntry, RemoteFile, entry_at, open_remote
from mmsearch.indexing.roots import absolute
from mmsearch.indexing.run import IndexSettings
from mmsearch.reading import (
    ReadLimits,
    UnreachableFile,
    UnreadableFile,
    open_file,
    open_known,
    remote_opening,
    shown_at,
)
from mmsearch.records import Locator

TAX, COFFEE = NOTES["tax.txt"].encode(), NOTES["coffee.md"].encode()
_numbers = itertools.count()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    s3_server.asked()
    return s3_server


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """A new bucket with two photos and a note."""
    name = f"photos-{next(_numbers)}"
    s3.client.create_bucket(Bucket=name)
    s3.put(name, {"pics/2021/red.jpg": jpeg("red"), "pics/2021/blue.jpg": jpeg("blue"), "pics/tax.txt": TAX})
    s3.asked()
    return name


def names(library: Library) -> list[str]:
    return sorted(os.fsdecode(path).partition("/pics/")[2] for path in held_files(Path(library.folder)))


def find(library: Library, words: str, **filters: object) -> list[str]:
    query = Query((Term("text", words),), Filters(**filters), limit=5)  # type: ignore[arg-type]
    return [hit.path for hit in library.search(query).hits]


def objects_read(s3: S3Server) -> list[str]:
    """The keys of objects that were fetched, whole or in part, since it was asked last."""
    return [one.removeprefix("GET /") for one in s3.asked() if one.startswith("GET /") and one.count("/") > 1]


def test_photos_in_a_bucket_are_found_and_what_changes_there_is_followed(
    s3: S3Server, bucket: str, library: Library
) -> None:
    root = f"s3://{bucket}/pics"
    s3.put(bucket, {"pics/.mmsearchignore": b"secret/\n", "pics/secret/a.jpg": jpeg("green"), "pics/raw/README": b"x"})
    assert library.index([root]).added == 3
    assert names(library) == ["2021/blue.jpg", "2021/red.jpg", "tax.txt"]
    read = objects_read(s3)
    assert sorted(read) == [f"{bucket}/pics/{name}" for name in (".mmsearchignore", *names(library))]
    assert find(library, "income tax")[0] == f"{root}/tax.txt"
    find(library, f"{root}/2021/red.jpg")  # what looks like a URL is words
    assert s3.asked() == []  # a search waits for no network
    assert len(find(library, "a colour", medium="image", folders=(f"{root}/2021".encode(),))) == 2

    report = library.index()
    assert (report.unchanged, report.added, report.updated) == (3, 0, 0)
    assert objects_read(s3) == [f"{bucket}/pics/.mmsearchignore"]

    s3.write_again(bucket, "pics/2021/red.jpg")
    s3.put(bucket, {"pics/tax.txt": COFFEE, "pics/2022/red too.jpg": jpeg("red")})
    s3.put(bucket, {"pics/2022/ü ?#%&+.jpg": jpeg("pink")})
    s3.client.delete_object(Bucket=bucket, Key="pics/2021/blue.jpg")
    s3.asked()
    report = library.index()
    assert (report.added, report.updated, report.moved, report.removed, report.unchanged) == (1, 1, 1, 1, 1)
    # What was written again with the same bytes is not fetched: its etag tells.
    assert f"{bucket}/pics/2021/red.jpg" not in objects_read(s3)
    assert names(library) == ["2021/red.jpg", "2022/red too.jpg", "2022/ü ?#%&+.jpg", "tax.txt"]
    assert find(library, "a cup of coffee")[0] == f"{root}/tax.txt" and not find(library, '"income tax"')
    assert library.index().unchanged == 4
    with library.session() as session:
        hit = next(one for one in session.search("red").hits if "red" in one.path)
        (there, *_) = session.sources(hit.id).there
        # Of what was written again the new time is known: it is opened as what was indexed.
        with open_known(there.path, there.size, there.mtime_ns, ReadLimits()) as file:
            assert file.reader.medium == "image"
    assert library.forget(f"{root}/2022").files == 2 and len(names(library)) == 2


def test_patterns_hold_for_keys_and_what_lies_beside_a_photo_tells_of_it(
    s3: S3Server, bucket: str, library: Library
) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' \
        b'<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'  # fmt: skip
    s3.put(bucket, {"pics/2021/red.xmp": xmp, "pics/.hidden/a.jpg": jpeg("gold"), "pics/2023/x.jpg": jpeg("grey")})
    library.index([f"s3://{bucket}/pics"], rules=WalkRules(include=("*.jpg", "*.xmp"), exclude=("/2023",)))
    assert names(library) == ["2021/blue.jpg", "2021/red.jpg"]
    ratings = {hit.path.rpartition("/")[2]: hit.rating for hit in library.search("red or blue").hits}
    assert ratings == {"red.jpg": 4, "blue.jpg": None}
    assert "LIST pics/2023/" not in s3.asked()  # what is left out is not listed
    single = Library(library.folder + "-single")
    assert single.index([f"s3://{bucket}/pics/tax.txt"]).added == 1


def test_an_object_may_be_called_as_a_folder_is(s3: S3Server, bucket: str, library: Library) -> None:
    root = f"s3://{bucket}/pics"
    s3.put(bucket, {"pics/2021/red.jpg/notes.txt": COFFEE})
    library.index([root])
    held = ["2021/blue.jpg", "2021/red.jpg", "2021/red.jpg/notes.txt", "tax.txt"]
    assert names(library) == held
    assert library.index().unchanged == 4
    assert find(library, "a cup of coffee")[0] == f"{root}/2021/red.jpg/notes.txt"
    s3.client.delete_object(Bucket=bucket, Key="pics/2021/red.jpg")
    assert library.index().removed == 1 and names(library) == [held[0], *held[2:]]
    # Its folder goes as any, and the object of that name stays.
    s3.put(bucket, {"pics/2021/red.jpg": jpeg("red")})
    s3.client.delete_object(Bucket=bucket, Key="pics/2021/red.jpg/notes.txt")
    library.index()
    assert names(library) == ["2021/blue.jpg", "2021/red.jpg", "tax.txt"]


@pytest.mark.slow
def test_a_bucket_that_cannot_be_reached_loses_nothing(
    s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, library = f"s3://{bucket}/pics", tmp_path / "library"
    assert run_mmsearch("index", root, library=library).code == 0
    nowhere = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", nowhere)
    away = run_mmsearch("index", "--json", library=library)
    assert away.json["offline"] == [root] and away.json["removed"] == 0
    asked = run_mmsearch("index", root, library=library)
    assert asked.code == 2 and "cannot be reached" in asked.err and nowhere not in asked.err
    assert run_mmsearch("prune", "--yes", "--json", library=library).json["files"] == 0
    status = run_mmsearch("status", "--json", library=library).json
    assert status["roots"][0]["offline"] and status["roots"][0]["files"] == 3
    hit = run_mmsearch("search", "income tax", "--json", library=library).json["hits"][0]
    assert (hit["path"], hit["available"]) == (f"{root}/tax.txt", True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.address)
    assert run_mmsearch("index", "--json", library=library).json["unchanged"] == 3


def test_a_bucket_that_hangs_is_waited_for_once(
    s3: S3Server, bucket: str, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = f"s3://{bucket}/pics".encode()
    library.index([os.fsdecode(root)])
    asked: list[bytes] = []
    answers = threading.Event()

    def hangs(path: bytes) -> RemoteEntry:
        asked.append(path)
        answers.wait()
        return entry_at(path)

    with monkeypatch.context() as patch:
        patch.setattr(remote, "entry_at", hangs)
        patch.setattr(remote_presence, "PATIENCE", 0.05)
        assert library.status().roots[0].offline
        report = library.index()
        assert (report.offline, report.removed) == ([root], 0)
        with pytest.raises(Unavailable, match="does not answer"):
            library.index([os.fsdecode(root)])
        assert asked == [root]
        answers.set()
    while not is_there(root):  # once it has answered it is asked again
        time.sleep(0.01)
    assert not library.status().roots[0].offline and library.index().unchanged == 3


@pytest.mark.parametrize("what", ["prefix", "bucket"])
def test_what_is_suddenly_empty_or_not_there_at_all_is_offline(
    s3: S3Server, bucket: str, library: Library, what: str
) -> None:
    root = f"s3://{bucket}/pics"
    library.index([root])
    for key in ("pics/2021/red.jpg", "pics/2021/blue.jpg", "pics/tax.txt"):
        s3.client.delete_object(Bucket=bucket, Key=key)
    if what == "bucket":
        s3.client.delete_bucket(Bucket=bucket)
    report = library.index()
    assert (report.offline, report.removed) == ([root.encode()], 0)
    assert len(names(library)) == 3
    # What is in a bucket is gone if the bucket says so; one that is not there may lie elsewhere.
    assert library.care.prune(library.care.losses()).dropped == (3 if what == "prefix" else 0)


def test_nothing_secret_is_kept_or_said(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    library = tmp_path / "library"
    done = [run_mmsearch(*asked, "--json", library=library) for asked in (["index", f"s3://{bucket}"], ["status"])]
    kept = [path.read_bytes() for path in library.rglob("*") if path.is_file()]
    assert not any(SECRET in answer.out + answer.err for answer in done)
    assert not any(SECRET.encode() in data for data in kept) and any(b"s3://" in data for data in kept)
    told = run_mmsearch("index", f"s3://me:{SECRET}@{bucket}/pics", library=library)
    assert told.code == 2 and SECRET not in told.err and "password" in told.err
    for written in (f"az://me:pa/{SECRET}@host/pics", f"az://me:{SECRET}@host"):
        with pytest.raises(Invalid, match="password") as error:
            absolute(written)
        assert SECRET not in str(error.value)
        with pytest.raises(Invalid, match="mount") as error:
            absolute(written.replace("az", "sftp"))
        assert SECRET not in str(error.value)


@pytest.mark.slow
def test_what_cannot_be_done_with_a_bucket_is_said(s3: S3Server, bucket: str, mmsearch: Mmsearch) -> None:
    root = f"s3://{bucket}/pics"
    assert "not looked into" in mmsearch("index", root, "--archives").err
    s3.put(bucket, {"pics/old.zip": b"PK"})
    said = "1 .zip; .zip in a bucket is not looked into\n"
    assert f"not read: {said}" in mmsearch("index", root).err and said in mmsearch("status").out
    assert "Nobody tells of changes" in mmsearch("watch", root).err
    if importlib.util.find_spec("gcsfs") is None:
        assert "pip install gcsfs" in mmsearch("index", "gs://photos").err
    assert "sftp:// is not read; mount what lies there" in mmsearch("index", "sftp://me@nas/photos").err
    assert "of URLs those of s3, gs" in mmsearch("index", "gopher://photos").err
    assert "lost a slash" in mmsearch("index", "s3:/photos").err
    assert "There is nothing at" in mmsearch("index", f"s3://{bucket}/none").err
    assert "names no folder" in mmsearch("index", f"s3://{bucket}/../other").err
    assert "of which nothing is fetched" in mmsearch("search", "--image", f"{root}/2021/red.jpg").err
    s3.put(bucket, {"pics/a//b.jpg": jpeg("red"), "pics/a/../c.jpg": jpeg("red")})
    s3.put(bucket, {"pics/d?versionId=1.jpg": jpeg("red")})
    problems = mmsearch("index", root, "--json").json["problems"]
    assert [one["reason"] for one in problems] == 3 * ["a name that no file can have"]


def test_a_url_has_folders_above_it_up_to_the_bucket() -> None:
    path = b"s3://photos/2021/a.jpg"
    assert list(with_parents(path)) == [path, b"s3://photos/2021", b"s3://photos"]
    assert is_below(path, b"s3://photos") and not is_below(path, b"s3://photo")
    assert absolute("s3://photos/2021/") == b"s3://photos/2021"


def test_a_large_file_is_hashed_from_a_file_of_its_own_and_read_again_by_ranges(
    s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(30_000).hex().encode() + b"\n" + TAX
    (tmp_path / "long.txt").write_bytes(data)
    s3.put(bucket, {"long.txt": data})
    path = f"s3://{bucket}/long.txt".encode()
    with open_file(os.fsencode(tmp_path / "long.txt")) as local:
        digest = local.digest
    monkeypatch.setattr(remote_opening, "KEPT_BYTES", 10_000)
    monkeypatch.setattr(remote_opening, "FETCHED_BYTES", 16_384)
    with open_file(path) as file:
        assert (file.digest, file.size, file.stream.read()) == (digest, len(data), data)
        assert os.fstat(file.stream.fileno()).st_nlink == 0  # private: it has no name
        state = file.mtime_ns
    asked: list[tuple[int, int]] = []
    read_at = RemoteFile.read_at

    def noted(self: RemoteFile, start: int, count: int) -> bytes:
        asked.append((start, count))
        return read_at(self, start, count)

    monkeypatch.setattr(RemoteFile, "read_at", noted)
    monkeypatch.setattr(remote_opening, "_RANGE_BYTES", 4_096)
    with open_known(path, len(data), state, ReadLimits()) as file:
        file.stream.seek(-len(TAX), io.SEEK_END)
        assert file.stream.read() == TAX
    assert len(asked) == 2 and sum(count for _, count in asked) < 10_000
    with pytest.raises(UnreachableFile), open_known(path, len(data), state, ReadLimits()) as file:
        s3.client.delete_object(Bucket=bucket, Key="long.txt")
        file.stream.seek(20_000)
        with suppress(OSError):  # as a reader that takes it for damage
            file.stream.read(10)


def test_a_file_that_changes_while_it_is_read_is_not_taken(s3: S3Server, bucket: str) -> None:
    path = f"s3://{bucket}/pics/tax.txt".encode()
    with open_file(path) as file:
        size, state = file.size, file.mtime_ns
    another = open_known(path, size - 1, state, ReadLimits())
    with pytest.raises(UnreadableFile, match="changed while it was read"), another:
        pass
    opened = open_remote(path)
    s3.put(bucket, {"pics/tax.txt": COFFEE})
    with pytest.raises(OSError, match="changed while it was read"):
        opened.read_at(0, 10)


def test_copies_in_a_bucket_are_told_and_are_not_said_to_be_away(s3: S3Server, bucket: str, command: Mmsearch) -> None:
    photo = jpeg("navy", (640, 480))
    s3.put(bucket, {"copies/one.jpg": photo, "copies/two.jpg": photo})
    assert command("index", f"s3://{bucket}/copies").code == 0
    found = command("duplicates")
    for name in ("one", "two"):
        assert f"s3://{bucket}/copies/{name}.jpg (in a bucket, not looked for)" in found.out
    assert "not there now" not in found.out + found.err
    assert command("duplicates", "--paths").out == ""  # none is to be spared that nobody has looked for


def test_a_script_gets_no_paths_that_no_program_can_open_of_what_lies_in_a_bucket(
    s3: S3Server, bucket: str, command: Mmsearch
) -> None:
    assert command("index", f"s3://{bucket}/pics").code == 0
    paths = command("search", "income tax", "-n1", "--paths")
    assert (paths.code, paths.out) == (1, "")
    assert paths.err == (
        "mmsearch: 1 file found lies in buckets, where no path leads, and is left out; --jsonl tells the URL of each, "
        "and --open opens the best hit.\n"
    )
    hit = command("search", "income tax", "-n1", "--jsonl").json
    assert (hit["path"], hit["archive"], hit["available"]) == (f"s3://{bucket}/pics/tax.txt", None, True)


@pytest.mark.slow
def test_a_photo_in_a_bucket_is_served_shown_and_opened(
    s3: S3Server, bucket: str, command: Mmsearch, tmp_path: Path, viewer: Viewer
) -> None:
    photo = jpeg("navy", (640, 480))
    s3.put(bucket, {"pics/2021/navy.jpg": photo, "pics/2021/red too.jpg": jpeg("red")})
    root, library = f"s3://{bucket}/pics", tmp_path / "library"
    assert command("index", root).code == 0
    assert command("duplicates", "--paths").out == ""  # nobody was asked whether they are there: none is to be spared
    shown = shown_at(f"{root}/2021/navy.jpg".encode(), Locator(), 64)
    assert shown.picture is not None and min(shown.picture.size) >= 64
    with running(library, cache=tmp_path / "cache") as server:
        folder = quote(f"{root}/2021/", safe="")
        assert server.get(f"facets?in={folder}").json["folders"] == [{"value": f"{root}/2021", "count": 3}]
        assert server.get(f"search?q=income+tax&not_in={folder}").json["total"] == 1
        called = server.id_of("navy.jpg")
        part = server.get(f"files/{called}/original", {"Range": "bytes=100-199"})
        assert (part.status, part.body) == (206, photo[100:200])
        assert part.headers["content-range"] == f"bytes 100-199/{len(photo)}"
        whole = server.get(f"files/{called}/original")
        assert (whole.status, whole.body) == (200, photo)
        assert server.get(f"files/{called}/thumb").status == 200
        s3.put(bucket, {"pics/2021/navy.jpg": jpeg("maroon", (640, 480))})
        assert server.get(f"files/{called}/original").status == 409
        s3.client.delete_object(Bucket=bucket, Key="pics/2021/navy.jpg")
        gone = server.get(f"files/{called}/original")
        assert (gone.status, "vanished" in gone.json["error"]["message"]) == (503, True)
    noted = viewer("xdg-open", "open")
    assert command("search", "income tax", "--open").code == 0
    copy = Path(noted()[0][1])
    assert (copy.name, copy.read_bytes()) == ("tax.txt", TAX)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600 and stat.S_IMODE(copy.parent.stat().st_mode) == 0o700


@pytest.mark.slow
def test_folders_of_a_bucket_are_chosen_on_the_page(s3: S3Server, bucket: str, library: Library) -> None:
    s3.put(bucket, {"pics/2022/gold.jpg": jpeg("gold")})
    library.index([f"s3://{bucket}/pics"])
    with running(Path(library.folder)) as server, browser() as driver:
        page = Page(driver, server.address).loaded()
        wait_for(lambda: [text.split("\n") for text in page.texts("#filters .facet") if text.startswith("202")])
        page.click("#filters .facet", "2022")
        wait_for(lambda: page.names == ["gold.jpg"])
        assert page.query == f"in=s3://{bucket}/pics/2022"


@pytest.mark.slow
def test_workers_of_a_team_read_a_bucket(s3: S3Server, bucket: str, postgres: PostgresServer) -> None:
    url, root = postgres.new_database(), f"s3://{bucket}/pics"
    settings = IndexSettings(queue=True)
    settings.stop.set()
    with Library(url) as library:
        assert library.index([root], settings=settings).stopped
    with workers(url) as (worker,):
        assert worker.end()["stored"] == 3
    with Library(url) as library:
        report = library.index(settings=IndexSettings(queue=True))
        assert (report.unchanged, report.added, report.removed) == (3, 0, 0)
        assert find(library, "income tax")[0] == f"{root}/tax.txt"
        s3.client.delete_object(Bucket=bucket, Key="pics/2021/blue.jpg")
        assert library.index().removed == 1
        assert json.dumps(library.status().roots[0].files) == "2"
