"""Documents of Office before 2007, and mails of Outlook: read by what is in them, with the extra `office`."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
from pathlib import Path

import compound_writer as made
import pytest
from office_files import picture
from test_documents import parts_of, refused
from test_office_damage import outcome

from mmsearch import Library
from mmsearch.reading import ReadLimits, document, medium_of, open_file, read
from mmsearch.reading.document.compound_file import CompoundFile
from mmsearch.reading.document.formats import FORMATS

needs_extra = pytest.mark.skipif("office" not in document.READER.installed(), reason="the extra is not installed")
LETTER = "Dear aunt,\nthe garden was lovely, and the roses too. Дорогая тётя. "
SHEETS = {"Shed": [["saw", "two"], ["ladder", "one"]], "Numbers": [["1", "2"]], "House": [["a grand piano"]]}
KINDS = {
    "a.doc": made.word(LETTER * 9),
    "a.xls": made.excel(SHEETS),
    "a.ppt": made.powerpoint(["Budget\rRent and wages", "Thanks"]),
    "a.msg": made.mail("Saturday", "Ada", "Bob", "Bring the ladder.", {"list.txt": b"saws and hammers"}),
}


def put(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def texts(path: Path) -> list[tuple[int | None, str | None, str]]:
    return [(part.locator.page, part.locator.part_name, part.payload) for part in parts_of(path)]


@needs_extra
def test_a_folder_of_old_documents_is_found_by_their_words(tmp_path: Path, library: Library) -> None:
    for name, data in KINDS.items():
        put(tmp_path, name, data)
    report = library.index([tmp_path])
    assert (report.added, report.failed) == (4, 0)
    assert Path(library.search("roses in the garden").hits[0].path).name == "a.doc"
    hit = library.search("a piano").hits[0]
    assert (Path(hit.path).name, hit.page, hit.part_name, hit.type) == ("a.xls", 3, "House", "document")
    hit = library.search("hammers and saws").hits[0]
    assert (Path(hit.path).name, hit.part_name) == ("a.msg", "Saturday/list.txt")


@needs_extra
def test_workbooks_are_read_sheet_by_sheet_and_slides_once(tmp_path: Path) -> None:
    assert texts(put(tmp_path, "a.xls", KINDS["a.xls"])) == [
        (1, "Shed", "saw\ttwo\nladder\tone"),
        (3, "House", "a grand piano"),
    ]
    master = "Click to edit Master text styles\rSecond level"
    path = put(tmp_path, "a.ppt", made.powerpoint(["Budget\rRent and wages", master, "Thanks"]))
    assert texts(path) == [(None, None, "Budget\nRent and wages\nThanks")]


@needs_extra
def test_a_chart_on_a_sheet_takes_the_place_of_no_cell(tmp_path: Path) -> None:
    rows = [[f"tree {number} in the orchard", "apples"] for number in range(90)]
    whole = made.excel({"Trees": rows, "House": [["a grand piano"]]})
    charted = made.excel({"Trees": rows, "House": [["a grand piano"]]}, charted=[5.0, 7.0, 9.0] * 30)
    assert texts(put(tmp_path, "a.xls", charted)) == texts(put(tmp_path, "b.xls", whole))


@needs_extra
def test_what_word_writes_of_links_and_lists_is_not_read(tmp_path: Path) -> None:
    text = (
        'See HYPERLINK "http://a.example/roses" \\hour roses and  HYPERLINK  \\l "Below" what follows. '
        'TOC \\o "1-3" \\h \\z \\u Roses PAGEREF _Toc42 \\h 7. Figure SEQ "Figure" \\* ARABIC 1 shows HYPERLINKS.'
    )
    (part,) = parts_of(put(tmp_path, "a.doc", made.word(text)))
    assert " ".join(part.payload.split()) == "See our roses and what follows. Roses 7. Figure 1 shows HYPERLINKS."


@needs_extra
def test_a_mail_says_who_wrote_it_and_what_is_attached_is_read_as_what_it_is(tmp_path: Path, photos: Path) -> None:
    attached = {
        "list.txt": b"saws and hammers",
        "cat.png": (photos / "photos" / "cat.png").read_bytes(),
        "dot.png": picture(20),
        "data.exe": b"MZ\0\1\2",
    }
    path = put(tmp_path, "a.msg", made.mail("Saturday", "Ada", "Bob", "Bring the ladder.\r\n\r\nAda", attached))
    with open_file(os.fsencode(path)) as file:
        found = read(file, 64)
        first, listed, cat = found.parts
    assert found.facts.taken == "2024-01-17T21:20:00+00:00"
    assert first.payload.startswith('Saturday\nFrom: "Ada" <ada@example.com>\nTo: "Bob" <bob@example.com>\nDate: 2024-')
    assert first.payload.endswith("\n\nBring the ladder.\n\nAda\n\nAttached: list.txt, cat.png, dot.png, data.exe")
    assert (first.locator.part_name, listed.locator.part_name) == ("Saturday", "Saturday/list.txt")
    assert listed.payload == "saws and hammers"
    assert (cat.modality, cat.source, cat.locator.part_name) == ("image", "embedded", "Saturday/cat.png")


@needs_extra
def test_what_it_is_is_told_by_what_lies_in_it(tmp_path: Path) -> None:
    for name in ("a.doc", "a.ppt", "a.docx", "a.xlsx", "a"):
        assert texts(put(tmp_path, name, KINDS["a.xls"]))[0] == (1, "Shed", "saw\ttwo\nladder\tone")
    other = made.compound({"Catalog": b"thumbnails " * 500})
    for name in ("b.doc", "b.docx", "b"):
        assert refused(put(tmp_path, name, other)) == "not the kind of document that its name says"
    assert refused(put(tmp_path, "c.doc", b"just words")) == "not the kind of document that its name says"
    assert medium_of(b"messages.pot") == "text"


LOCKED = {
    "a.doc": made.word(LETTER, flags=0x100),
    "b.doc": made.compound({"WordDocument": bytes(4096), "\tDRMContent": b"secret"}),
    "a.xls": made.excel(SHEETS, has_password=True),
    "a.ppt": made.powerpoint(["Budget"], EncryptedSummary=b"secret"),
}


@needs_extra
@pytest.mark.parametrize("name", LOCKED)
def test_a_document_with_a_password_is_encrypted(tmp_path: Path, name: str) -> None:
    assert refused(put(tmp_path, name, LOCKED[name])) == "encrypted"


def test_a_new_document_with_a_password_is_encrypted_without_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = made.compound({"EncryptionInfo": b"x" * 300, "EncryptedPackage": b"secret " * 900})
    for formats in (FORMATS, tuple(one for one in FORMATS if one.extra != "office")):
        monkeypatch.setattr(document, "FORMATS", formats)
        for name in ("a.docx", "a.xlsx", "a.pptm"):
            assert refused(put(tmp_path, name, locked)) == "encrypted"
    put(tmp_path, "b.docx", made.compound({"Words": "EncryptedPackage".encode("utf-16-le") * 300}))
    assert refused(tmp_path / "b.docx") == "not the kind of document that its name says"
    assert refused(put(tmp_path, "c.docx", locked[:600])) == "truncated"


def test_what_lies_in_a_compound_file_is_found_wherever_it_lies() -> None:
    streams = {"Small": b"a", "folder/Inner": b"b" * 70, "Large": bytes(range(256)) * 300, "Empty": b""}
    data = made.compound(streams)
    found = CompoundFile(io.BytesIO(data), len(data))
    assert set(found.root) == {"small", "folder", "large", "empty"}
    inner = found.children(found.root["folder"])
    entries = {**found.root, "folder/inner": inner["inner"]}
    assert {name: found.read(entries[name.lower()], 10**9) for name in streams} == streams
    assert found.read(found.root["large"], 300) == streams["Large"][:300]


@needs_extra
@pytest.mark.parametrize("name", KINDS)
def test_damaged_documents_end_in_parts_or_a_reason(tmp_path: Path, name: str) -> None:
    whole = KINDS[name]
    chance = random.Random(name)
    cut = [whole[: (len(whole) - 1) * tenth // 10] for tenth in range(1, 11)]
    for data in [*cut, *(changed(whole, chance) for _ in range(25))]:
        _, parts, reason = outcome(put(tmp_path, name, data))
        assert reason or all(part.payload for part in parts)
    assert parts_of(put(tmp_path, name, whole))


def changed(whole: bytes, chance: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(chance.choice((1, 3, 40))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


@needs_extra
def test_a_document_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = made.powerpoint(["Budget\rRent and wages", "Thanks"], in_front=True, Pictures=bytes(9_000))
    for data, note in ((whole, None), (whole[:-3_000], "incomplete document: truncated"), (with_more(whole), None)):
        with open_file(os.fsencode(put(tmp_path, "a.ppt", data))) as file:
            found = read(file, 64)
            assert [part.payload for part in found.parts] == ["Budget\nRent and wages\nThanks"]
            assert found.facts.note == note


def with_more(data: bytes) -> bytes:
    """The document as some programs write it: with a list of sectors that goes on behind its end."""
    return data[:1020] + b"\xfe\xff\xff\xff" + data[1024:]


@needs_extra
def test_a_document_larger_than_its_limit_is_refused(tmp_path: Path) -> None:
    limits = ReadLimits(max_member_bytes=10_000)
    assert "over the limit of 10,000" in refused(put(tmp_path, "a.doc", made.word(LETTER * 200)), limits)
    assert parts_of(put(tmp_path, "b.doc", made.word(LETTER)))


def run(script: str, folder: Path) -> str:
    """What a script prints in a process and a home of its own."""
    home = folder / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "MMSEARCH_LIBRARY": str(folder / "library")}
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@needs_extra
def test_nothing_is_left_behind_where_it_is_read(tmp_path: Path) -> None:
    put(tmp_path, "a.msg", KINDS["a.msg"])
    script = (
        "from mmsearch.reading import open_file, read\n"
        "with open_file(b'a.msg') as file:\n    print(len(list(read(file, 64).parts)))"
    )
    assert run(script, tmp_path).strip() == "2"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.msg", "home"]


def test_without_the_extra_it_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    for name, data in KINDS.items():
        put(folder, name, data)
    script = (
        "import sys\nsys.modules['kreuzberg'] = None\n"
        "from mmsearch.cli import main\nsys.argv = ['mmsearch', 'index', 'letters']\n"
        "sys.stderr = sys.stdout\ntry:\n    main()\nexcept SystemExit:\n    pass"
    )
    said = run(script, tmp_path)
    assert "the extra office reads .doc, .msg, .ppt, .xls; install it with `" in said
