"""A person has photos and texts in .zip archives, and finds them as files: `archive.zip!member`, when asked."""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from conftest import NOTES, Answer, Mmsearch, Viewer, jpeg, run_mmsearch
from interrupting import hooked
from library_places import FOLDER, Places, wait_until_nobody_writes
from library_state import failures, held_files, names
from office_files import fb2
from PIL import Image
from test_crashes import DEADLY

from mmsearch import Filters, Hit, Library, Query, Term, WalkRules
from mmsearch.files import archives, zip_directory
from mmsearch.files.archives import Archive, archive_of, status_at
from mmsearch.files.crash_points import VARIABLE
from mmsearch.files.paths import extension_of, is_below, with_parents
from mmsearch.files.sidecar_writing import write_keywords
from mmsearch.files.zip_directory import ZipEntry
from mmsearch.reading import UnreadableFile, open_file, opening, shown_at, unpacking
from mmsearch.records import Locator
from mmsearch.store.sqlite.salvage import salvage
from mmsearch.store.words import name_and_folders

ARCHIVES = WalkRules(archives=True)
TAX, COFFEE, KITTEN = (NOTES[name].encode() for name in ("tax.txt", "coffee.md", "kitten.txt"))
A_TIME = (2021, 7, 14, 16, 20, 0)
Members = Mapping[str, bytes]


def pack(path: Path, members: Members, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """An archive with these members, all of one date."""
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, A_TIME)
            info.compress_type = method
            packed.writestr(info, data)
    return path


def streamed(path: Path, members: Members) -> Path:
    """The same as a program writes it that does not know the sizes beforehand: they stand behind each member."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise io.UnsupportedOperation

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as packed:
        for name, data in members.items():
            packed.writestr(zipfile.ZipInfo(name, A_TIME), data)
    path.write_bytes(pipe.getvalue())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "Pictures"
    made.mkdir()
    return made


def the_photo(library: Library) -> Hit:
    return library.search(Query((Term("text", "a photo"),), Filters("image"), min_score=0.0)).hits[0]


def find(library: Library, words: str, **filters: object) -> list[str]:
    query = Query((Term("text", words),), Filters(**filters), limit=5)  # type: ignore[arg-type]
    return [hit.path for hit in library.search(query).hits]


@contextmanager
def opened() -> Iterator[list[str]]:
    """The names of all files that this process opens meanwhile."""
    seen: list[str] = []
    is_on = True

    def look(event: str, arguments: tuple[object, ...]) -> None:
        if is_on and event == "open" and isinstance(arguments[0], (str, bytes)):
            seen.append(os.fsdecode(arguments[0]))

    sys.addaudithook(look)
    try:
        yield seen
    finally:
        is_on = False


@pytest.mark.slow
def test_photos_and_texts_in_an_archive_are_found_as_files_when_asked(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Pictures"
    folder.mkdir()
    sources = {name: (photos / "photos" / name).read_bytes() for name in ("cat.png", "coffee.png", "rocket.jpg")}
    pack(folder / "old.zip", {f"2021/{name}": data for name, data in sources.items()} | {"tax.txt": TAX})
    shutil.copy(photos / "photos" / "moon.png", folder)

    def run(*arguments: str | Path) -> Answer:
        return run_mmsearch(*arguments, library=tmp_path / "library")

    unasked = run("index", folder)
    assert unasked.out.startswith("1 file searchable: 1 added")
    assert "not read: 1 .zip; `mmsearch index FOLDER --archives` looks into .zip\n" in unasked.err
    assert "--archives` looks into .zip" in run("status").out
    assert run("index", folder, "--archives").out.startswith("5 files searchable: 4 added, 1 unchanged")
    hit = run("search", "a cat", "-n", "1", "--json").json["hits"][0]
    assert hit["path"] == f"{folder}/old.zip!2021/cat.png"
    assert (hit["type"], hit["width"], hit["bytes"], hit["available"]) == ("image", 451, len(sources["cat.png"]), True)
    assert hit["modified"].startswith("2021-07-14")
    assert run("search", "income tax", "--jsonl", "-n", "1").json["path"] == f"{folder}/old.zip!tax.txt"
    found = run("search", "--in", folder / "old.zip", "--json").json["hits"]
    assert len(found) == 4
    assert {one["path"] for one in found} == {
        *(f"{folder}/old.zip!2021/{name}" for name in sources),
        f"{folder}/old.zip!tax.txt",
    }
    # By example, and by a folder in the archive.
    alike = run("search", "--image", f"{folder}/old.zip!2021/rocket.jpg", "-n", "1", "--json").json["hits"][0]
    assert alike["path"] != f"{folder}/old.zip!2021/rocket.jpg"  # what is asked with is no answer
    assert run("search", "--in", f"{folder}/old.zip!2021", "--json").json["total"] == 3
    assert run("search", "--not-in", folder / "old.zip", "--paths").out == f"{folder}/moon.png\n"
    # It is remembered, and taken back.
    assert run("index").out.startswith("5 files searchable: 5 unchanged")
    assert "looks into" not in run("status").out
    assert json.loads(run("status", "--json").out)["roots"][0]["rules"]["archives"] is True
    assert run("index", folder, "--no-archives").out.startswith("1 file searchable: 1 unchanged, 4 removed")
    assert run("search", "--in", folder, "--paths").out == f"{folder}/moon.png\n"
    assert run("index", folder, "--archives").out.startswith("5 files searchable")


def test_an_unchanged_archive_is_not_opened(folder: Path, library: Library) -> None:
    pack(folder / "notes.zip", {"a/tax.txt": TAX, "coffee.md": COFFEE, "README": KITTEN, "x.exe": b"MZ", "blob": b"\0"})
    pack(folder / "broken.zip", {"tax.txt": TAX})
    os.truncate(folder / "broken.zip", 100)
    first = library.index([folder], rules=ARCHIVES)
    assert (first.added, first.failed, dict(first.unread)) == (3, 1, {".exe": 1, "": 1})
    with opened() as seen:
        again = library.index()
    assert not [name for name in seen if ".zip" in name]
    assert (again.unchanged, again.failing, dict(again.unread), again.failed) == (3, 1, {".exe": 1, "": 1}, 0)
    assert library.status().counts.unread == {".exe": 1, "": 1}


def test_of_a_changed_archive_only_what_changed_is_read(
    folder: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {f"{number}.txt": f"Note {number} of the harbour.".encode() for number in range(5)}
    pack(folder / "notes.zip", members)
    library.index([folder], rules=ARCHIVES)
    # One of the same size and date is another all the same.
    changed = {name: data for name, data in members.items() if name != "4.txt"}
    changed |= {"1.txt": b"Vote 1 of the harbour.", "new.txt": TAX}
    pack(folder / "notes.zip", changed)
    read: list[bytes] = []
    real = unpacking.member_bytes

    def noted(path: bytes, archive: Archive, entry: ZipEntry, most: int) -> bytes:
        read.append(entry.name)
        return real(path, archive, entry, most)

    monkeypatch.setattr(opening, "member_bytes", noted)
    report = library.index()
    assert sorted(read) == [b"1.txt", b"new.txt"]
    assert (report.added, report.updated, report.removed, report.unchanged) == (1, 1, 1, 3)
    assert find(library, "vote")[0].endswith("notes.zip!1.txt")


def test_a_photo_in_the_folder_and_in_an_archive_is_one_content(folder: Path, library: Library) -> None:
    photo = jpeg("navy")
    (folder / "a.jpg").write_bytes(photo)
    pack(folder / "old.zip", {"b.jpg": photo, "notes/tax.txt": TAX})
    report = library.index([folder], rules=ARCHIVES)
    assert (report.added, report.moved) in ((3, 0), (2, 1))
    assert library.status().counts.contents == 2
    hit = the_photo(library)
    assert (hit.path, hit.copies) == (f"{folder}/a.jpg", (f"{folder}/old.zip!b.jpg",))
    groups = library.duplicates()
    assert [sorted(file.path for file in group.files) for group in groups.groups] == [
        [f"{folder}/a.jpg", f"{folder}/old.zip!b.jpg"]
    ]
    # Moving the archive encodes nothing.
    (folder / "kept").mkdir()
    (folder / "old.zip").rename(folder / "kept" / "older.zip")
    moved = library.index()
    assert (moved.added, moved.moved, moved.removed) == (0, 2, 0)
    assert names(library, folder) == ["a.jpg", "kept/older.zip!b.jpg", "kept/older.zip!notes/tax.txt"]


def test_a_file_that_other_programs_can_open_stands_for_its_copy_in_an_archive(folder: Path, library: Library) -> None:
    photo = jpeg("navy")
    (folder / "z.jpg").write_bytes(photo)
    pack(folder / "old.zip", {"b.jpg": photo})
    os.utime(folder / "z.jpg", (2_000_000_000, 2_000_000_000))  # newer, with a name that comes last
    library.index([folder], rules=ARCHIVES)
    shown, packed = f"{folder}/z.jpg", f"{folder}/old.zip!b.jpg"
    for hit in (the_photo(library), library.list_files(Filters("image")).hits[0]):
        assert (hit.path, hit.copies) == (shown, (packed,))
    (group,) = library.duplicates().groups
    assert [(one.path, one.keep) for one in group.files] == [(shown, True), (packed, False)]
    assert group.why == "in no archive"
    (folder / "z.jpg").unlink()
    assert the_photo(library).path == packed


def test_a_script_gets_paths_of_files_and_how_to_take_others_out_of_their_archives(
    folder: Path, command: Mmsearch
) -> None:
    photo = jpeg("navy")
    (folder / "a.jpg").write_bytes(photo)
    own = folder / "wow.zip!a.md"  # a file of its own, whatever it is called
    own.write_bytes(KITTEN)
    pack(folder / "old.zip", {"2021/tax.txt": TAX, "b.jpg": photo, "coffee.md": COFFEE})
    assert command("index", folder, "--archives").code == 0
    listed = command("search", "--sort", "name", "-0")
    assert (listed.code, listed.raw) == (0, b"%s\0%s\0" % (os.fsencode(folder / "a.jpg"), os.fsencode(own)))
    assert listed.err == (
        "mmsearch: 2 files found lie in archives, where no path leads, and are left out; --jsonl tells the `archive` "
        "and `member` of each, and --open opens the best hit.\n"
    )
    one = command("search", "income tax", "--paths", "-n1")
    assert (one.code, one.out) == (1, "")
    assert "1 file found lies in archives, where no path leads, and is left out" in one.err
    hit = command("search", "income tax", "--jsonl", "-n1").json
    assert (hit["archive"], hit["member"]) == (str(folder / "old.zip"), "2021/tax.txt")
    with zipfile.ZipFile(hit["archive"]) as packed:
        assert packed.read(hit["member"]) == TAX
    told = command("search", "--in", own, "--jsonl").json
    assert (told["path"], told["archive"], told["member"]) == (str(own), None, None)
    # Of the double in the archive nobody can be rid by a path.
    double = command("duplicates", "--paths")
    assert (double.code, double.out) == (0, "")
    assert "1 file that need not be kept lies in archives, where no path leads, and is left out" in double.err
    (folder / "old.zip").unlink()
    gone = command("search", "income tax", "--jsonl", "-n1").json
    assert (gone["available"], gone["member"]) == (False, "2021/tax.txt")
    assert "left out; `mmsearch index`" in command("search", "income tax", "--paths", "-n1").err


def test_what_an_archive_held_goes_with_it(folder: Path, library: Library) -> None:
    (folder / "coffee.md").write_bytes(COFFEE)
    pack(folder / "many.zip", {f"{number}.txt": f"A note on ship {number}.".encode() for number in range(60)})
    library.index([folder], rules=ARCHIVES)
    (folder / "many.zip").unlink()
    hit = library.search(Query((Term("text", "a ship"),))).hits[0]
    assert not hit.available
    losses = library.care.losses().losses
    assert [(loss.path, loss.files) for loss in losses] == [(os.fsencode(folder / "many.zip"), 60)]
    report = library.index()
    # It was one file, however many lay in it: no person is asked.
    assert (report.removed, report.absent) == (60, [])
    assert names(library, folder) == ["coffee.md"]
    with closing(sqlite3.connect(Path(library.folder) / "library.db")) as connection:
        assert connection.execute("SELECT count(*) FROM archives").fetchone() == (0,)


def test_a_library_forgets_an_archive_or_a_file_of_it(folder: Path, library: Library) -> None:
    pack(folder / "notes.zip", {"tax.txt": TAX, "sub/coffee.md": COFFEE})
    (folder / "notes.zip.txt").write_bytes(KITTEN)
    library.index([folder], rules=ARCHIVES)
    assert library.forget(f"{folder}/notes.zip!sub").files == 1
    assert names(library, folder) == ["notes.zip!tax.txt", "notes.zip.txt"]
    library.index()  # the root brings it in again
    assert len(names(library, folder)) == 3
    assert library.forget(folder / "notes.zip").files == 2
    assert names(library, folder) == ["notes.zip.txt"]


def test_an_archive_is_given_by_its_own_name(folder: Path, library: Library) -> None:
    archive = pack(folder / "notes.zip", {"tax.txt": TAX})
    assert library.index([archive]).added == 1
    assert library.index().unchanged == 1
    archive.unlink()
    away = library.index()
    assert (away.offline, away.removed) == ([os.fsencode(archive)], 0)
    pack(archive, {"tax.txt": TAX})
    assert library.index().unchanged == 1


def test_rules_hold_in_archives_as_in_folders(folder: Path, library: Library) -> None:
    members = {
        "a.txt": TAX, "drafts/b.txt": TAX, ".hidden/c.txt": TAX, "__MACOSX/._a.txt": TAX, "node_modules/d.txt": TAX,
        "photos/e.jpg": jpeg("navy"), "deep/node/f.md": TAX,
    }  # fmt: skip
    pack(folder / "all.zip", members)

    def taken() -> list[str]:
        return [name.partition("!")[2] for name in names(library, folder)]

    library.index([folder], rules=ARCHIVES)
    assert taken() == ["a.txt", "deep/node/f.md", "drafts/b.txt", "photos/e.jpg"]
    # A changed ignore file is noticed, though the archive has not changed.
    (folder / ".mmsearchignore").write_text("drafts/\n")
    assert library.index().removed == 1
    assert taken() == ["a.txt", "deep/node/f.md", "photos/e.jpg"]
    (folder / ".mmsearchignore").unlink()
    library.index()
    assert len(taken()) == 4
    library.index([folder], rules=WalkRules(include=("*.jpg", "*.md"), archives=True))
    assert taken() == ["deep/node/f.md", "photos/e.jpg"]
    library.index([folder], rules=WalkRules(exclude=("all.zip/deep/", "*.jpg"), hidden=True, archives=True))
    assert taken() == [".hidden/c.txt", "a.txt", "drafts/b.txt"]


def test_ignore_files_in_an_archive_are_obeyed_as_in_a_folder(folder: Path, library: Library) -> None:
    members: dict[str, bytes] = {
        "a.txt": TAX, "b.log.txt": TAX, "b.log.md": TAX, ".mmsearchignore": b"*.log.txt\nsecret/\n",
        "secret/c.txt": TAX, "deep/.ignore": b"/d.txt\n", "deep/d.txt": TAX, "deep/e/d.txt": TAX, "deep/b.log.txt": TAX,
        "code/.git/HEAD": b"ref", "code/.gitignore": b"build\n", "code/build/f.txt": TAX, "code/g.txt": TAX,
        "plain/.gitignore": b"h.txt", "plain/h.txt": TAX, "env/pyvenv.cfg": b"", "env/i.txt": TAX,
    }  # fmt: skip
    pack(folder / "all.zip", members)
    for name, content in members.items():
        place = folder / "same" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def taken(begins: str) -> list[str]:
        return [name.removeprefix(begins) for name in names(library, folder) if name.startswith(begins)]

    library.index([folder], rules=ARCHIVES)
    kept = ["a.txt", "b.log.md", "code/g.txt", "deep/e/d.txt", "plain/h.txt"]
    assert taken("all.zip!") == kept == taken("same/")
    assert library.index().unchanged == 2 * len(kept)
    library.index([folder], rules=WalkRules(archives=True, ignore_files=False))
    assert taken("all.zip!") == taken("same/") == sorted([*kept, "b.log.txt", "code/build/f.txt", "deep/b.log.txt",
                                                          "deep/d.txt", "secret/c.txt"])  # fmt: skip
    pack(folder / "all.zip", members | {".mmsearchignore": b"*.md\n"})
    library.index([folder], rules=ARCHIVES)
    assert taken("all.zip!") == ["a.txt", "b.log.txt", "code/g.txt", "deep/b.log.txt", "deep/e/d.txt", "plain/h.txt",
                                 "secret/c.txt"]  # fmt: skip


def test_names_that_lead_out_of_an_archive_are_refused(folder: Path, library: Library) -> None:
    odd = ["../up.txt", "a/../../b.txt", "C:\\windows\\c.txt", "/etc/abs.txt", "./x//y.txt"]
    pack(folder / "odd.zip", dict.fromkeys(odd, TAX))
    with zipfile.ZipFile(folder / "odd.zip", "a") as more:
        back = zipfile.ZipInfo("placeholder.txt", A_TIME)
        back.filename = "back\\slash.txt"  # as some programs write it
        more.writestr(back, COFFEE)
    library.index([folder], rules=ARCHIVES)
    assert names(library, folder) == ["odd.zip!back/slash.txt", "odd.zip!etc/abs.txt", "odd.zip!x/y.txt"]
    assert failures(library) == {"odd.zip": "3 files inside with a name that leads out of it"}


def test_names_in_any_encoding(folder: Path, library: Library) -> None:
    pack(folder / "names.zip", {"Straße.txt": TAX, "ae.txt": COFFEE, "bad.txt": KITTEN})
    data = (folder / "names.zip").read_bytes()
    # In the code page of DOS, as old programs write names, and in bytes that are no UTF-8.
    data = data.replace(b"ae.txt", b"\x84\x81.txt").replace(b"bad.txt", b"\xff\xfe\x01.txt")
    (folder / "names.zip").write_bytes(data)
    library.index([folder], rules=ARCHIVES)
    assert set(names(library, folder)) == {"names.zip!Straße.txt", "names.zip!äü.txt", "names.zip!\u00a0■\x01.txt"}
    for path in held_files(Path(library.folder)):
        with open_file(path) as file:
            assert file.size > 0


def test_the_last_of_two_members_of_one_name_counts(folder: Path, library: Library) -> None:
    with zipfile.ZipFile(folder / "twice.zip", "w") as packed, pytest.warns(UserWarning, match="Duplicate"):
        packed.writestr(zipfile.ZipInfo("a.txt", A_TIME), TAX)
        packed.writestr(zipfile.ZipInfo("a.txt", A_TIME), COFFEE)
    library.index([folder], rules=ARCHIVES)
    with open_file(os.fsencode(folder / "twice.zip!a.txt")) as file:
        assert file.stream.read() == COFFEE


def test_links_archives_and_documents_in_archives(folder: Path, library: Library) -> None:
    link = zipfile.ZipInfo("link.txt", A_TIME)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    inner = pack(folder / "inner.zip", {"tax.txt": TAX})
    with zipfile.ZipFile(folder / "outer.zip", "w") as packed:
        packed.writestr(link, "/etc/passwd")
        packed.writestr("inner.zip", inner.read_bytes())
        packed.writestr("page.html", "<p>Boats in the harbour</p>")
    inner.unlink()
    tale = "<section><title><p>One</p></title><p>A tale of the sea and of ships that sail on it.</p></section>"
    pack(folder / "book.fb2.zip", {"book.fb2": fb2(tale)})
    report = library.index([folder], rules=ARCHIVES)
    assert names(library, folder) == ["book.fb2.zip", "outer.zip!page.html"]
    assert dict(report.unread) == {".zip": 1}


def test_links_in_a_truncated_archive_are_no_texts(folder: Path, library: Library) -> None:
    """Only the directory, which is cut off, says of a member that it is a link."""
    links = {
        "notes/latest.txt": "../tax.txt",
        "cut off.txt": "later/coffee.txt",
        "newest": "notes",
        "same.md": "/tax.txt",
    }
    with zipfile.ZipFile(folder / "old.zip", "w") as packed:
        for name, text in {"tax.txt": TAX, "word.txt": b"notes", "notes/file.txt": b"see tax.txt"}.items():
            packed.writestr(name, text)
        for name, target in links.items():
            link = zipfile.ZipInfo(name, A_TIME)
            link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            packed.writestr(link, target)
    whole = (folder / "old.zip").read_bytes()
    kept = [f"old.zip!{name}" for name in ("notes/file.txt", "tax.txt", "word.txt")]
    library.index([folder], rules=ARCHIVES)
    assert names(library, folder) == kept
    (folder / "old.zip").write_bytes(whole[: whole.index(b"PK\1\2")])
    library.index()
    assert (names(library, folder), failures(library)) == (kept, {"old.zip": "truncated zip"})


def test_encrypted_and_oddly_packed_members_are_failures(folder: Path, library: Library) -> None:
    pack(folder / "secret.zip", {"a.txt": TAX, "b.txt": COFFEE})
    data = bytearray((folder / "secret.zip").read_bytes())
    for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(signature) + at] |= 1
    (folder / "secret.zip").write_bytes(data)
    odd = bytearray(pack(folder / "odd.zip", {"c.txt": KITTEN * 9}).read_bytes())
    for signature, at in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        odd[odd.index(signature) + at] = 97
    (folder / "odd.zip").write_bytes(odd)
    library.index([folder], rules=ARCHIVES)
    assert names(library, folder) == ["secret.zip!b.txt"]
    assert failures(library) == {
        "secret.zip!a.txt": "encrypted",
        "odd.zip!c.txt": "packed in a way that is not known",
    }
    assert library.index().failing == 2
    assert library.index(retry=True).failed == 2


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing(folder: Path, library: Library, method: int) -> None:
    photo = io.BytesIO()
    Image.frombytes("RGB", (200, 300), random.Random(3).randbytes(180_000)).save(photo, "PNG")
    whole = pack(folder / "a.zip", {"noise.png": photo.getvalue(), "tax.txt": TAX}, method).read_bytes()
    pack(folder / "bomb.zip", {"a.txt": bytes(40_000_000)}, method)
    library.index([folder], rules=ARCHIVES)
    assert names(library, folder) == ["a.zip!noise.png", "a.zip!tax.txt"]
    assert failures(library) == {"bomb.zip!a.txt": "packed to less than a 300th: a zip bomb"}
    with open_file(os.fsencode(folder / "a.zip!noise.png")) as file:
        assert file.stream.read() == photo.getvalue()
    chance = random.Random(method)
    for number in range(20):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        (folder / f"{number}.zip").write_bytes(data)
    library.index()
    assert set(failures(library).values()) <= {
        "packed to less than a 300th: a zip bomb",
        "damaged zip",
        "not a zip",
        "encrypted",
        "packed in a way that is not known",
    }
    assert library.care.examine().sound


def test_bombs_are_refused(folder: Path, library: Library) -> None:
    pack(folder / "bomb.zip", {"a.txt": b" " * 20_000_000, "b.txt": TAX})
    pack(folder / "large.zip", {"a.txt": b"x y " * 17_000_000})
    one = zipfile.ZipInfo("0.txt", A_TIME)
    with zipfile.ZipFile(folder / "layers.zip", "w") as packed:
        packed.writestr(one, os.urandom(50_000))
        for number in range(1, 40):  # all of them at one place
            other = zipfile.ZipInfo(f"{number}.txt", A_TIME)
            other.CRC, other.compress_size, other.file_size, other.header_offset = one.CRC, 50_000, 50_000, 0
            packed.filelist.append(other)
            packed.NameToInfo[other.filename] = other
        packed._didModify = True  # type: ignore[attr-defined]
    library.index([folder], rules=ARCHIVES)
    assert failures(library) == {
        "bomb.zip!a.txt": "packed to less than a 300th: a zip bomb",
        "large.zip!a.txt": "68,000,000 bytes unpacked, over the limit of 64,000,000",
        "layers.zip": "a zip bomb",
    }
    assert names(library, folder) == ["bomb.zip!b.txt"]


@pytest.mark.parametrize("told", ["place", "size"])
def test_a_zip_that_lies_beyond_what_systems_can_count_ends_no_run(folder: Path, library: Library, told: str) -> None:
    most = 2**64 - 1
    one = zipfile.ZipInfo("a.txt", A_TIME)
    with zipfile.ZipFile(folder / "far.zip", "w") as packed:
        packed.writestr(one, TAX)
        packed.writestr("b.txt", COFFEE)
        if told == "place":
            one.header_offset = most
        else:
            one.file_size = most
    library.index([folder], rules=ARCHIVES)
    assert names(library, folder) == ["far.zip!b.txt"]
    assert list(failures(library)) == ["far.zip!a.txt"]
    assert library.index().failing == 1


def test_signs_of_sizes_without_end_are_not_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a zip breaks off in a member whose size stands behind it, what looks like a size may be anything."""
    begins = b"PK\3\4" + struct.pack("<5HIIIHH", 20, 8, 8, 0, 0, 0, 0, 0, 5, 0) + b"a.txt"
    looked: list[bytes] = []
    begins_next = zip_directory._begins_next

    def noted(data: bytes) -> bool:
        looked.append(data)
        return begins_next(data)

    monkeypatch.setattr(zip_directory, "_begins_next", noted)
    monkeypatch.setattr(zip_directory, "_MOST_LOOKED_THROUGH", 1_000_000)
    signs = b"".join(b"PK\7\10" + struct.pack("<III", 0, 16 * number, 1) for number in range(2_000))
    data = begins + signs + b"PK\3\4"
    assert list(zip_directory.entries_without_directory(io.BytesIO(data), len(data))) == []
    assert 0 < len(looked) < 600


def test_more_files_than_are_looked_at(folder: Path, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 2)
    pack(folder / "many.zip", {"a.txt": TAX, "b.txt": COFFEE, "c.txt": KITTEN})
    library.index([folder], rules=ARCHIVES)
    assert names(library, folder) == ["many.zip!a.txt", "many.zip!b.txt"]
    assert failures(library) == {"many.zip": "more than 2 files inside"}


@pytest.mark.parametrize("is_streamed", [False, True])
def test_of_a_truncated_archive_the_files_that_are_whole_are_found(
    folder: Path, library: Library, is_streamed: bool
) -> None:
    members = {"a.txt": TAX, "b.txt": COFFEE, "c.jpg": jpeg("navy"), "d.jpg": jpeg("red") + b"PK\7\10" * 20}
    whole = (streamed if is_streamed else pack)(folder / "notes.zip", members).read_bytes()
    (folder / "kept.txt").write_bytes(KITTEN)
    library.index([folder], rules=ARCHIVES)
    assert (len(names(library, folder)), failures(library)) == (5, {})
    # Where each begins, and the directory.
    begins = [place.start() for place in re.finditer(rb"PK(\x03\x04|\x01\x02)", whole)][:5]
    for place in range(1, 11):
        cut = len(whole) * place // 11
        (folder / "notes.zip").write_bytes(whole[:cut])
        report = library.index()
        there = [f"notes.zip!{name}" for name, end in zip(members, begins[1:], strict=True) if end <= cut]
        assert (report.failed, names(library, folder)) == (1, ["kept.txt", *there]), place
        assert failures(library) == {"notes.zip": "truncated zip"}
        assert library.index().failing == 1
    assert len(there) == 4
    assert find(library, "income tax")[0].endswith("notes.zip!a.txt")
    (folder / "notes.zip").write_bytes(whole)
    assert library.index().failing == 0
    assert (len(names(library, folder)), failures(library)) == (5, {})
    (folder / "notes.zip").write_bytes(b"no archive at all")
    library.index()
    assert failures(library) == {"notes.zip": "not a zip"}


def test_a_hundred_damaged_copies_end_no_run(folder: Path, library: Library) -> None:
    whole = pack(folder / "0.zip", {"a.txt": TAX, "b/c.txt": COFFEE, "d.jpg": jpeg("navy")}).read_bytes()
    (folder / "0.zip").unlink()
    chance = random.Random(11)
    for number in range(100):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            # The directory is where damage tells most.
            place = chance.randrange(len(data)) if chance.random() < 0.4 else len(data) - chance.randrange(1, 260)
            data[place] = chance.randrange(256)
        (folder / f"{number}.zip").write_bytes(data)
    report = library.index([folder], rules=ARCHIVES)
    assert report.added + report.moved + report.failed > 100
    reasons = set(failures(library).values())
    assert "damaged zip" in reasons
    for path in held_files(Path(library.folder)):
        with open_file(path) as file:  # what was stored of them is whole
            assert file.stream.read() in (TAX, COFFEE, jpeg("navy"))
    again = library.index()
    assert (again.added, again.updated, again.removed, again.failed) == (0, 0, 0, 0)
    assert library.care.examine().sound


@pytest.mark.slow
def test_what_cannot_be_looked_at_is_not_gone(folder: Path, library: Library, mmsearch: Mmsearch) -> None:
    (folder / "coffee.md").write_bytes(COFFEE)
    archive = pack(folder / "notes.zip", {"tax.txt": TAX})
    home = Path(library.folder)
    mmsearch("index", folder, "--archives", library=home)
    os.utime(archive, ns=(0, 10**18))
    archive.chmod(0)
    barred = mmsearch("index", library=home, as_anybody=True)
    assert "permission denied" in barred.err
    assert len(held_files(home)) == 2
    archive.chmod(0o600)
    assert mmsearch("index", library=home).out.startswith("2 files searchable")


@pytest.mark.parametrize("point", ["run begun", "batch written", "batch committed", "archives noted"])
def test_killed_in_the_middle_it_goes_on(folder: Path, tmp_path: Path, places: Places, point: str) -> None:
    pack(folder / "notes.zip", {"a.txt": TAX, "b.txt": COFFEE, "c.txt": KITTEN})
    pack(folder / "more.zip", {f"{number}.jpg": jpeg("navy") for number in range(3)})
    library = Library(places.new())
    command_ = [sys.executable, "-m", "mmsearch", "index", str(folder), "--archives", "--workers", "1"]
    environment = {**os.environ, VARIABLE: point, "MMSEARCH_LIBRARY": library.given}
    killed = subprocess.run(command_, env=environment, capture_output=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    wait_until_nobody_writes(library.given)
    library.index()
    fresh = Library(tmp_path / "fresh")
    fresh.index([folder], rules=ARCHIVES)
    assert sorted(held_files(library.given)) == sorted(held_files(fresh.given))
    with opened() as seen:
        assert library.index().unchanged == 6
    assert not [name for name in seen if ".zip" in name]
    assert places.kind != FOLDER or library.care.examine().sound


def test_sidecars_and_companions_lie_in_the_archive(folder: Path, library: Library) -> None:
    takeout = json.dumps({"description": "Grandma's garden", "photoTakenTime": {"timestamp": "1500000000"}})
    pack(folder / "takeout.zip", {"Photos/a.jpg": jpeg("navy"), "Photos/a.jpg.json": takeout.encode()})
    library.index([folder], rules=ARCHIVES)
    hit = the_photo(library)
    assert (hit.description, hit.taken is not None and hit.taken[:4]) == ("Grandma's garden", "2017")
    assert names(library, folder) == ["takeout.zip!Photos/a.jpg"]
    with pytest.raises(OSError):  # `label --xmp` leaves archives alone
        write_keywords(os.fsencode(hit.path), ["garden"])
    assert os.listdir(folder) == ["takeout.zip"]
    library.index()  # and stays, though the archive is not opened
    assert the_photo(library).description == "Grandma's garden"
    pack(folder / "takeout.zip", {"Photos/a.jpg": jpeg("navy")})
    library.index()
    assert the_photo(library).description is None


def test_a_film_in_an_archive_is_found_at_its_moment_and_a_live_photo_is_one_hit(
    photos: Path, folder: Path, library: Library, tmp_path: Path
) -> None:
    pytest.importorskip("av", reason="the video extra is not installed")
    from made_videos import write_film

    with Image.open(photos / "photos" / "cat.png") as cat, Image.open(photos / "photos" / "coffee.png") as coffee:
        film = write_film(tmp_path / "film.mp4", [(coffee, 6.0), (cat, 6.0)]).read_bytes()
        live = write_film(tmp_path / "live.mov", [(coffee, 2.0)]).read_bytes()
        coffee.convert("RGB").save(tmp_path / "live.jpg")
    members = {"film.mp4": film, "roll/IMG_1.mov": live, "roll/IMG_1.jpg": (tmp_path / "live.jpg").read_bytes()}
    pack(folder / "phone.zip", members)
    library.index([folder], rules=ARCHIVES)
    found = library.search(Query((Term("text", "a cat"),), Filters("video"), min_score=0.0)).hits[0]
    assert found.path == f"{folder}/phone.zip!film.mp4"
    assert found.time is not None and found.time[1] > 6
    roll = Filters(folders=(os.fsencode(folder / "phone.zip!roll"),))
    (photo,) = library.search(Query((Term("text", "a cup of coffee"),), roll)).hits
    assert (photo.path, photo.companions) == (
        f"{folder}/phone.zip!roll/IMG_1.jpg", (f"{folder}/phone.zip!roll/IMG_1.mov",)
    )  # fmt: skip


def test_a_file_in_an_archive_that_ends_the_program_is_set_aside(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(folder / "old.zip", {"deadly.jpg": jpeg("navy"), "tax.txt": TAX})
    # Where the package is found without being installed, it still is.
    hooks = hooked(tmp_path, "mmsearch.reading.image_reading", DEADLY)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((hooks["PYTHONPATH"], os.environ.get("PYTHONPATH", ""))))
    run = [run_mmsearch("index", folder, "--archives", library=tmp_path / "library") for _ in range(3)]
    assert run[0].code == -signal.SIGKILL
    assert f"skipped {folder}/old.zip!deadly.jpg: ended the program that read it" in run[1].err
    assert (run[1].out.partition(":")[0], run[2].code) == ("1 file searchable", 0)


def test_a_dry_run_looks_into_archives(folder: Path, library: Library) -> None:
    pack(folder / "old.zip", {"a.txt": TAX, "b.txt": COFFEE})
    seen = library.preview([folder], rules=ARCHIVES)
    assert (seen.added, seen.others) == (2, 0)
    assert library.preview([folder]).others == 1
    library.index([folder], rules=ARCHIVES)
    pack(folder / "old.zip", {"b.txt": COFFEE, "c.txt": KITTEN})
    seen = library.preview()
    assert (seen.added, seen.removed, seen.absent, seen.unchanged) == (1, 1, 0, 1)


def test_roots_within_roots_have_rules_of_their_own(folder: Path, library: Library) -> None:
    (folder / "sub").mkdir()
    pack(folder / "a.zip", {"a.txt": TAX})
    pack(folder / "sub" / "b.zip", {"b.txt": COFFEE})
    library.index([folder], rules=ARCHIVES)
    library.index([folder / "sub"], rules=WalkRules())
    assert names(library, folder) == ["a.zip!a.txt"]
    assert library.index().unchanged == 1
    library.index([folder / "sub" / "b.zip"])
    assert names(library, folder) == ["a.zip!a.txt", "sub/b.zip!b.txt"]
    assert (library.index().unchanged, library.index().removed) == (2, 0)
    with opened() as seen:
        library.index()
    assert not [name for name in seen if ".zip" in name]


def test_hits_in_archives_are_grouped_by_what_holds_them(folder: Path, library: Library) -> None:
    pack(
        folder / "notes.zip", {"ship.txt": b"A ship.", "sub/ship2.txt": b"A second ship.", "IMG_7.txt": b"Third ship."}
    )
    library.index([folder], rules=ARCHIVES)
    hits = library.search(Query((Term("text", "ship"),), group="folder")).hits
    assert {(hit.path.rpartition("!")[2], hit.group) for hit in hits} == {
        ("ship.txt", f"{folder}/notes.zip"),
        ("IMG_7.txt", f"{folder}/notes.zip"),
        ("sub/ship2.txt", f"{folder}/notes.zip!sub"),
    }
    assert find(library, "IMG_7")[0].endswith("!IMG_7.txt")  # by its name
    assert name_and_folders(b"/a/b/old.zip!c.txt", b"/a/b") == ("c.txt", "b/old.zip")


def test_a_real_file_comes_before_one_in_an_archive(folder: Path, library: Library) -> None:
    pack(folder / "notes.zip", {"tax.txt": TAX, "coffee.md": COFFEE})
    (folder / "notes.zip!tax.txt").write_bytes(KITTEN)
    library.index([folder], rules=ARCHIVES)
    assert names(library, folder) == ["notes.zip!coffee.md", "notes.zip!tax.txt"]
    path = os.fsencode(folder / "notes.zip!tax.txt")
    assert archive_of(path) is None
    with open_file(path) as file:
        assert file.stream.read() == KITTEN
    assert archive_of(os.fsencode(folder / "notes.zip!coffee.md")) == (os.fsencode(folder / "notes.zip"), b"coffee.md")


def test_a_file_that_is_called_as_one_in_an_archive_is_not_gone_without_it(folder: Path, library: Library) -> None:
    (folder / "old.zip!a.txt").write_bytes(TAX)
    (folder / "old.zip!deep").mkdir()
    (folder / "old.zip!deep" / "b.txt").write_bytes(COFFEE)
    pack(folder / "new.zip", {"c.txt": KITTEN})
    library.index([folder], rules=ARCHIVES)
    held = names(library, folder)
    assert held == ["new.zip!c.txt", "old.zip!a.txt", "old.zip!deep/b.txt"]
    assert library.care.prune(library.care.losses()).dropped == 0
    (folder / "new.zip").unlink()
    (folder / "old.zip!a.txt").unlink()
    assert library.care.prune(library.care.losses()).dropped == 2 and names(library, folder) == held[2:]


@pytest.mark.slow
def test_paths_of_members(folder: Path) -> None:
    assert archive_of(b"/a/b!c.txt") is None
    assert archive_of(b"/a/x.ZIP!b/c.txt") == (b"/a/x.ZIP", b"b/c.txt")
    assert archive_of(b"/a/.zip!c.txt") is None
    pack(folder / "a.zip!b.zip", {"c.txt": TAX})
    inner = os.fsencode(folder / "a.zip!b.zip")
    assert archive_of(inner + b"!c.txt") == (inner, b"c.txt")
    assert status_at(inner + b"!c.txt").st_size == len(TAX)
    with zipfile.ZipFile(folder / "wide.zip", "w") as packed:  # more than 16 bits count
        for number in range(70_000):
            packed.writestr(zipfile.ZipInfo(f"{number}.txt", A_TIME), b"x")
    wide = os.fsencode(folder / "wide.zip")
    assert status_at(wide + b"!69999.txt").st_size == 1
    assert len(archives.archive_at(wide).members) == 70_000
    assert list(with_parents(b"/a/x.zip!b/c.txt")) == [b"/a/x.zip!b/c.txt", b"/a/x.zip!b", b"/a/x.zip", b"/a", b"/"]
    assert is_below(b"/a/x.zip!b", b"/a/x.zip") and not is_below(b"/a/x!b", b"/a/x")
    assert (extension_of(b"/a/x.zip!README"), extension_of(b"/a/x.zip!b.JPG")) == ("", ".jpg")


def test_a_member_is_shown_and_opened(folder: Path, command: Mmsearch, tmp_path: Path, viewer: Viewer) -> None:
    photo = jpeg("navy", (640, 480))
    pack(folder / "old.zip", {"sub/a.jpg": photo, "tax.txt": TAX})
    command("index", folder, "--archives")
    shown = shown_at(os.fsencode(folder / "old.zip!sub/a.jpg"), Locator(), 64)
    assert shown.picture is not None and min(shown.picture.size) >= 64
    assert command("search", "--type", "image", "--contact-sheet", tmp_path / "sheet.html").code == 0
    sheet = (tmp_path / "sheet.html").read_text()
    assert f"file://{folder}/old.zip" in sheet and "data:image/" in sheet
    called = viewer("xdg-open", "open")
    assert command("search", "income tax", "--open").code == 0
    copy = Path(called()[0][1])
    assert (copy.name, copy.read_bytes()) == ("tax.txt", TAX)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600 and stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    os.utime(copy.parent, (0, 0))
    command("search", "income tax", "--open")
    assert not copy.exists()  # an older copy goes with the next one


def test_doctor_repairs_what_is_known_of_archives(folder: Path, library: Library) -> None:
    pack(folder / "notes.zip", {"tax.txt": TAX})
    library.index([folder], rules=ARCHIVES)
    library.close()
    with closing(sqlite3.connect(Path(library.folder) / "library.db")) as connection:
        connection.execute("UPDATE archives SET size = size + 1")
        connection.commit()
    assert not library.care.examine().sound
    assert library.care.repair() is not None
    assert library.care.examine().sound
    assert library.index().unchanged == 1


def test_a_damaged_library_is_saved_with_its_archives(folder: Path, library: Library) -> None:
    pack(folder / "notes.zip", {"tax.txt": TAX})
    library.index([folder], rules=ARCHIVES)
    library.close()
    database = os.path.join(library.folder, "library.db")
    saved, _ = salvage(database, f"{database}-damaged")
    assert saved.files == 1
    with opened() as seen:
        assert Library(library.folder).index().unchanged == 1
    assert not [name for name in seen if ".zip" in name]


def test_an_archive_that_changes_while_it_is_read_is_tried_again(folder: Path) -> None:
    path = os.fsencode(pack(folder / "notes.zip", {"tax.txt": TAX})) + b"!tax.txt"
    with open_file(path) as file:
        assert file.stream.read() == TAX
    pack(folder / "notes.zip", {"coffee.md": COFFEE})
    with pytest.raises(UnreadableFile, match="vanished"), open_file(path):
        pass
