"""A tar is looked into as a zip is: what lies in it is found, shown and opened as files."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import NOTES, Mmsearch, Viewer, jpeg
from library_state import failures, names

from mmsearch import Library, Query, Term, WalkRules
from mmsearch.files.archives import Archive, archive_at
from mmsearch.files.zip_directory import ZipEntry
from mmsearch.reading import OpenFile, ReadLimits, UnreadableFile, open_file, opening, unpacking

ARCHIVES = WalkRules(archives=True)
TAX, COFFEE, KITTEN = (NOTES[name].encode() for name in ("tax.txt", "coffee.md", "kitten.txt"))
A_TIME = 1_626_279_600  # a day in July 2021
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def pack(path: Path, members: Mapping[str, bytes], kind: str = "pax", time: int = A_TIME) -> Path:
    """A tar with these members, all of one date."""
    with tarfile.open(path, "w", format=FORMATS[kind]) as packed:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), time
            packed.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "Pictures"
    made.mkdir()
    return made


def find(library: Library, words: str) -> list[str]:
    return [hit.path for hit in library.search(Query((Term("text", words),), limit=5)).hits]


def test_what_lies_in_a_tar_is_found_shown_and_opened(
    folder: Path, photos: Path, command: Mmsearch, tmp_path: Path, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cat = (photos / "photos" / "cat.png").read_bytes()
    pack(folder / "old.tar", {"2021/cat.png": cat, "tax.txt": TAX})
    shutil.copy(photos / "photos" / "cat.png", folder)
    unasked = command("index", folder)
    assert unasked.out.startswith("1 file searchable: 1 added")
    assert "not read: 1 .tar; `mmsearch index FOLDER --archives` looks into .tar\n" in unasked.err
    assert command("index", folder, "--archives").out.startswith(
        "3 files searchable: 1 added, 1 moved or copied, 1 unchanged"
    )
    hit = command("search", "income tax", "-n", "1", "--json").json["hits"][0]
    assert (hit["path"], hit["bytes"], hit["available"]) == (f"{folder}/old.tar!tax.txt", len(TAX), True)
    assert hit["modified"].startswith("2021-07-14")
    (group,) = command("duplicates", "--json").json["groups"]  # the photo lies there twice, and was encoded once
    assert {Path(file["path"]).name for file in group["files"]} == {"cat.png"}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    called = viewer("xdg-open")
    assert command("search", "income tax", "-n", "1", "--open").code == 0
    ((_, copy),) = called()
    assert Path(copy).read_bytes() == TAX
    assert command("index").out.startswith("3 files searchable: 3 unchanged")


@pytest.mark.parametrize("kind", FORMATS)
def test_tars_of_all_kinds_give_their_files(folder: Path, library: Library, kind: str) -> None:
    long = "/".join(["a folder with a long name"] * (5 if kind == "ustar" else 9)) + "/tax.txt"
    members = {long: TAX, "./café/coffee.md": COFFEE, "kitten.txt": KITTEN, "empty.txt": b""}
    pack(folder / "a.tar", members, kind)
    report = library.index([folder], rules=ARCHIVES)
    assert (report.added, report.failed) == (3, 1)
    assert failures(library) == {"a.tar!empty.txt": "empty file"}
    assert names(library, folder) == sorted([f"a.tar!{long}", "a.tar!café/coffee.md", "a.tar!kitten.txt"])
    for name, content in members.items():
        if content:
            with open_file(os.fsencode(folder / f"a.tar!{name.removeprefix('./')}")) as file:
                assert file.stream.read() == content


def test_what_gnu_tar_writes_is_read(folder: Path, tmp_path: Path, library: Library) -> None:
    told = subprocess.run(["tar", "--version"], capture_output=True, check=False) if shutil.which("tar") else None
    if told is None or b"GNU tar" not in told.stdout:
        pytest.skip("there is no GNU tar here")
    source = tmp_path / "source"
    (source / "deep" / ("x" * 120)).mkdir(parents=True)
    (source / "deep" / ("x" * 120) / "tax.txt").write_bytes(TAX)
    (source / "coffee.md").write_bytes(COFFEE)
    (source / "link.md").symlink_to("coffee.md")
    os.link(source / "coffee.md", source / "same.md")
    os.mkfifo(source / "pipe.md")
    with open(source / "holes.txt", "wb") as file:
        for number in range(30):  # more than a header has room for
            file.seek(number * 1_000_000)
            file.write(b"Some words.")
    (source / "zebra.txt").write_bytes(KITTEN)  # what comes behind the holes is read
    subprocess.run(["tar", "--sparse", "--format=gnu", "-C", source, "-cf", folder / "a.tar", "."], check=True)
    library.index([folder], rules=ARCHIVES)
    held = {name.rpartition("/")[2] for name in names(library, folder)}
    # Of two names of one file the first is the file, whichever that is.
    assert {"tax.txt", "a.tar!zebra.txt"} <= held
    assert len(held & {"a.tar!coffee.md", "a.tar!same.md"}) == 1
    assert not held & {"a.tar!link.md", "a.tar!pipe.md", "a.tar!holes.txt"}


def test_names_that_lead_out_are_left_out_and_said(folder: Path, library: Library) -> None:
    path = folder / "a.tar"
    with tarfile.open(path, "w") as packed:
        for name in ("../../evil.txt", "/etc/tax.txt", "C:\\evil.txt", "fine.txt"):
            info = tarfile.TarInfo(name)
            info.size = len(TAX)
            packed.addfile(info, io.BytesIO(TAX))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo(f"of kind {kind.decode()}.txt")
            info.type, info.linkname = kind, "/etc/passwd"
            packed.addfile(info)
    library.index([folder], rules=ARCHIVES)
    assert names(library, folder) == ["a.tar!etc/tax.txt", "a.tar!fine.txt"]
    assert failures(library) == {"a.tar": "2 files inside with a name that leads out of it"}


def test_of_a_tar_that_has_changed_all_is_read_and_only_the_new_encoded(
    folder: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {f"{number}.txt": f"Note {number} of the harbour.".encode() for number in range(4)}
    pack(folder / "notes.tar", members)
    library.index([folder], rules=ARCHIVES)
    read: list[bytes] = []
    real = unpacking.member_bytes

    def noted(path: bytes, archive: Archive, entry: ZipEntry, most: int) -> bytes:
        read.append(entry.name)
        return real(path, archive, entry, most)

    monkeypatch.setattr(opening, "member_bytes", noted)
    assert (library.index().unchanged, read) == (4, [])
    # One of the same size and date is another all the same.
    pack(folder / "notes.tar", members | {"1.txt": b"Vote 1 of the harbour.", "new.txt": TAX})
    report = library.index()
    assert (report.added, report.updated, report.unchanged) == (1, 1, 3)
    assert len(read) == 5
    assert find(library, "vote")[0] == str(folder / "notes.tar!1.txt")
    pack(folder / "notes.tar", {"new.txt": TAX})
    assert library.index().removed == 4


@pytest.mark.parametrize("kind", FORMATS)
def test_of_a_tar_that_breaks_off_the_whole_files_are_read(folder: Path, library: Library, kind: str) -> None:
    path = pack(folder / "a.tar", {"tax.txt": TAX, "a.jpg": jpeg("red"), "kitten.txt": KITTEN}, kind)
    whole = path.read_bytes()
    at = whole.index(KITTEN)
    path.write_bytes(whole[: at + 20])
    assert library.index([folder], rules=ARCHIVES).added == 2
    assert names(library, folder) == ["a.tar!a.jpg", "a.tar!tax.txt"]
    assert failures(library) == {"a.tar": "truncated tar"}
    path.write_bytes(whole)
    library.index()
    assert names(library, folder) == ["a.tar!a.jpg", "a.tar!kitten.txt", "a.tar!tax.txt"]
    assert failures(library) == {}


def with_size(field: bytes) -> Callable[[bytes], bytes]:
    """Says that the first member has that size, with the right sum over the header."""

    def changed(content: bytes) -> bytes:
        header = bytearray(content[:512])
        header[124:136] = field
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        return bytes(header) + content[512:]

    return changed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: TAX, "truncated tar"),
        (lambda content: TAX * 9, "not a tar"),
        (lambda content: content[:300], "truncated tar"),
        (lambda content: content[:10] + b"?" + content[11:], "not a tar"),
        (with_size(b"77777777777\0"), "truncated tar"),
        (with_size(b"\xff" * 11 + b"\x00"), "damaged tar"),
        (with_size(b"\x80" + b"\xff" * 11), "truncated tar"),
        (with_size(b"-0000000777\0"), "damaged tar"),
        (lambda content: gzip.compress(content), "truncated tar"),
    ],
)
def test_what_is_no_tar_is_a_failure(
    folder: Path, library: Library, change: Callable[[bytes], bytes], reason: str
) -> None:
    path = pack(folder / "a.tar", {"tax.txt": TAX}, "ustar")
    path.write_bytes(change(path.read_bytes()))
    assert library.index([folder], rules=ARCHIVES).failed == 1
    assert failures(library) == {"a.tar": reason}


def test_a_damaged_byte_is_no_other_file(folder: Path) -> None:
    """Whatever byte of its headers is another, a tar gives no more than it holds, or a reason."""
    content = pack(folder / "a.tar", {"tax.txt": TAX, "b/kitten.txt": KITTEN}, "pax").read_bytes()
    path = folder / "broken.tar"
    for place in range(0, 512 * 4, 3):
        broken = bytearray(content)
        broken[place] ^= 0xFF
        path.write_bytes(broken)
        os.utime(path, (A_TIME + place, A_TIME + place))
        try:
            archive = archive_at(os.fsencode(path))
        except OSError:
            continue
        for entry in archive.members.values():
            data = unpacking.member_bytes(os.fsencode(path), archive, entry, 10_000)
            assert len(data) == entry.unpacked <= len(content)


def test_headers_without_end_end(folder: Path, library: Library) -> None:
    info = tarfile.TarInfo("x" * 90)
    info.type = b"L"
    header = info.tobuf(tarfile.USTAR_FORMAT)
    (folder / "a.tar").write_bytes(header * 40_000)
    library.index([folder], rules=ARCHIVES)
    assert failures(library) == {"a.tar": "damaged tar"}


def test_a_file_over_the_limit_is_refused_and_a_packed_tar_is_counted(folder: Path, library: Library) -> None:
    pack(folder / "a.tar", {"large.txt": TAX * 100, "tax.txt": TAX})
    with (
        pytest.raises(UnreadableFile, match="over the limit"),
        open_file(os.fsencode(folder / "a.tar!large.txt"), ReadLimits(max_member_bytes=1_000)) as file,
    ):
        assert isinstance(file, OpenFile)
    (folder / "b.tar.gz").write_bytes(gzip.compress((folder / "a.tar").read_bytes()))
    pack(folder / "c.tar", {"inner.tar": (folder / "a.tar").read_bytes()})
    report = library.index([folder], rules=ARCHIVES)
    assert (report.added, dict(report.unread)) == (2, {".gz": 1, ".tar": 1})
