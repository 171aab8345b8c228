"""PDFs are read page by page: their words, and pictures of pages that are to be seen."""

from __future__ import annotations

import gc
import io
import os
import random
import re
import signal
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import Mmsearch
from interrupting import hooked
from pdf_writer import Page, text_page, written
from test_crashes import run
from test_documents import parts_of, refused

from mmsearch import Library
from mmsearch.reading import ReadLimits, UnreadableFile, open_file, read
from mmsearch.reading import opening as opening_module
from mmsearch.reading.document import pdf_streams, pdfium
from mmsearch.reading.document.pdf import tidied

WORDS = ("The boats lie in the harbour until the fog lifts.", "A cake was baked for the birthday of our aunt.")
SENTENCES = text_page(*WORDS)


@pytest.fixture
def cat(photos: Path) -> Path:
    return photos / "photos" / "cat.png"


def pdf(path: Path, *pages: Page) -> Path:
    path.write_bytes(written(list(pages)))
    return path


def test_words_and_scans_of_a_pdf_are_found_on_their_pages(
    tmp_path: Path, cat: Path, command: Mmsearch, capfd: pytest.CaptureFixture[str]
) -> None:
    pages = [
        text_page(f"Chapter {number}.", "The income tax return is due in July.", *WORDS) for number in range(1, 10)
    ]
    pages[4] = Page(photo=cat)
    pages[6] = text_page("A beaver builds a dam across the river with branches.", "It lives in a lodge made of sticks.")
    folder, library = tmp_path / "papers", tmp_path / "library"
    folder.mkdir()
    pdf(folder / "book.pdf", *pages)
    report = command("index", folder, "--json", library=library)
    assert (report.json["added"], report.json["failed"], report.err.count("pdf")) == (1, 0, 0)
    hit = command("search", "an animal that builds dams", "--json", library=library).json["hits"][0]
    assert (hit["type"], hit["page"], hit["source"]) == ("document", 7, "body")
    assert "beaver builds a dam" in hit["snippet"]
    hit = command("search", "a photo of a cat", "--json", library=library).json["hits"][0]
    assert (hit["page"], hit["source"], hit["region"], hit["snippet"]) == (5, "page", None, None)


def test_who_indexes_scans_is_told_once_what_reads_them(tmp_path: Path, cat: Path, command: Mmsearch) -> None:
    folder, library = tmp_path / "papers", tmp_path / "library"
    folder.mkdir()
    pdf(folder / "scan.pdf", Page(photo=cat))
    pdf(folder / "long scan.pdf", *[Page(photo=cat, place=(0, 0, 612, 792 - 9 * page)) for page in range(18)])
    pdf(
        folder / "long report.pdf",
        *[Page(photo=cat, place=(0, 0, 612, 792 - 9 * page)) for page in range(17)],
        SENTENCES,
    )
    pdf(folder / "book.pdf", SENTENCES)
    told = command("index", folder, library=library)
    assert "mmsearch: 2 documents hold pictures and no words (scans?); `mmsearch index --ocr` reads" in told.err
    assert command("index", library=library).err == ""
    pdf(folder / "another.pdf", Page(photo=cat, place=(0, 0, 300, 300)))
    assert "mmsearch: 1 document holds pictures and no words (scans?)" in command("index", library=library).err


def test_a_page_is_drawn_where_it_is_mostly_a_picture_or_has_few_words(tmp_path: Path, cat: Path) -> None:
    path = pdf(
        tmp_path / "a.pdf",
        SENTENCES,
        Page(WORDS, photo=cat),
        Page(WORDS, photo=cat, place=(300, 100, 200, 150)),
        text_page("Budget"),
        Page(),
    )
    found = [(part.locator.page, part.modality, part.source) for part in parts_of(path)]
    words = [(page, "text", "body") for page in (1, 2, 3, 4)]
    drawn = [(page, "image", "page") for page in (2, 4)]
    assert found == sorted(words + drawn, key=lambda one: (one[0], one[1] == "image"))
    with open_file(os.fsencode(path)) as file:
        assert read(file, 64).facts.pages == 5


@pytest.mark.parametrize("box", [(0, 0, 612, 792), (0, 0, 792, 612), (0, 0, 30, 9_000), (0, 0, 14_400, 14_400)])
def test_a_picture_of_a_page_is_bounded_on_both_sides(tmp_path: Path, cat: Path, box: tuple[float, ...]) -> None:
    left, bottom, right, top = box
    page = Page(photo=cat, place=(0, 0, right, top), box=(left, bottom, right, top))
    (part,) = parts_of(pdf(tmp_path / "a.pdf", page), side=100)
    width, height = part.payload.size
    assert part.payload.mode == "RGB"
    if max(right, top) < 8 * min(right, top):
        assert 100 <= min(width, height) <= 200
        assert width / height == pytest.approx(right / top, rel=0.02)
    assert max(width, height) <= 8 * 200


def test_the_paper_is_white_and_the_photo_is_the_right_way_up(tmp_path: Path, cat: Path) -> None:
    (part,) = parts_of(pdf(tmp_path / "a.pdf", Page(photo=cat, place=(0, 396, 612, 396))), side=64)
    width, height = part.payload.size
    assert part.payload.getpixel((width // 2, height - 2)) == (255, 255, 255)
    from PIL import Image, ImageChops, ImageStat

    with Image.open(cat) as opened:
        size = (width, height // 2)
        seen, photo = part.payload.crop((0, 0, *size)), opened.convert("RGB").resize(size)
    upside_down = photo.transpose(Image.Transpose.ROTATE_180)
    near, far = (sum(ImageStat.Stat(ImageChops.difference(seen, other)).mean) for other in (photo, upside_down))
    assert near < far / 2


def test_words_beyond_the_edge_are_not_read_and_those_filled_in_are(tmp_path: Path) -> None:
    cut = Page(("Seen above all others.", *("down" for _ in range(9)), "Hidden below."), box=(0, 700, 612, 792))
    text = parts_of(pdf(tmp_path / "cut.pdf", cut))[0].payload
    assert "Seen above" in text and "Hidden" not in text
    form = Page(("Name of the applicant:",), filled="Grace Hopper")
    assert "Grace Hopper" in parts_of(pdf(tmp_path / "form.pdf", form))[0].payload


def test_what_a_page_says_is_tidied() -> None:
    assert tidied("an al\x02ternative\r\nway\x00 of ﬁnding") == ("an alternative\nway  of finding", False)
    text, is_garbled = tidied("\x04\x05\x06 Over\x02view \x0e\x0f")
    assert (text.split(), is_garbled) == (["Over", "view"], True)
    assert not tidied("QmFzZTY0" * 60)[0].strip()


def test_what_is_encrypted_is_said_unless_anybody_may_read_it(tmp_path: Path) -> None:
    (tmp_path / "open.pdf").write_bytes(written([SENTENCES], owner_password=True))
    assert "harbour" in parts_of(tmp_path / "open.pdf")[0].payload
    (tmp_path / "closed.pdf").write_bytes(written([SENTENCES], user_password=True))
    assert refused(tmp_path / "closed.pdf") == "encrypted"


def test_a_pdf_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    whole = written([SENTENCES])
    (tmp_path / "scan0001").write_bytes(b"\xef\xbb\xbf\r\n" + whole)
    assert "harbour" in parts_of(tmp_path / "scan0001")[0].payload
    (tmp_path / "mailed.pdf").write_bytes(b"Printed by the machine in the hall\r\n\r\n" + whole)
    assert "harbour" in parts_of(tmp_path / "mailed.pdf")[0].payload
    (tmp_path / "README").write_text("A file that begins with %PDF-1.4 is one.")
    with open_file(os.fsencode(tmp_path / "README")) as file:
        assert file.reader.medium == "text"
    (tmp_path / "text.pdf").write_text("These are just words.")
    assert refused(tmp_path / "text.pdf") == "not the kind of document that its name says"


def test_a_pdf_with_nothing_to_read_or_see_is_said(tmp_path: Path) -> None:
    assert refused(pdf(tmp_path / "blank.pdf", Page(), Page())) == "no text or picture inside"
    (tmp_path / "head.pdf").write_bytes(b"%PDF-1.4\n")
    assert refused(tmp_path / "head.pdf") == "truncated PDF"


def test_what_can_be_read_of_a_truncated_pdf_is_read(tmp_path: Path, cat: Path) -> None:
    whole = written([SENTENCES, Page(photo=cat), *[SENTENCES] * 8])
    pages: dict[int, list[int | None]] = {}
    for share in range(1, 11):
        path = tmp_path / f"{share}.pdf"
        path.write_bytes(whole[: len(whole) * share // 11])
        try:
            with open_file(os.fsencode(path)) as file:
                reading = read(file, 64)
                parts = list(reading.parts)
            assert reading.facts.note == "incomplete PDF"
            pages[share] = [part.locator.page for part in parts]
        except UnreadableFile as error:
            assert error.reason in ("truncated PDF", "damaged PDF", "no text or picture inside")
    assert pages[10][:2] == [1, 2]  # the photo is most of the file
    assert all(pages[share] == pages[share + 1][: len(pages[share])] for share in range(1, 10) if share in pages)
    with open_file(os.fsencode(pdf(tmp_path / "whole.pdf", SENTENCES))) as file:
        assert read(file, 64).facts.note is None


def test_pages_whose_list_is_lost_are_read_in_their_order(tmp_path: Path) -> None:
    whole = written([text_page("Page one.", *WORDS), text_page("Page two.", *WORDS), SENTENCES])
    (tmp_path / "a.pdf").write_bytes(whole[whole.index(b"3 0 obj") : whole.index(b"xref")].join((b"%PDF-1.4\n", b"")))
    assert [part.payload.split(".")[0] for part in parts_of(tmp_path / "a.pdf")][:2] == ["Page one", "Page two"]


def told(path: Path, limits: ReadLimits | None = None) -> tuple[list[int | None], list[str]]:
    """Of which pages there is something, and what is said of the others."""
    with open_file(os.fsencode(path), limits) as file:
        reading = read(file, 64)
        return sorted({part.locator.page for part in reading.parts}, key=lambda page: page or 0), list(reading.troubles)


def written_over(whole: bytes, found: re.Match[bytes], share: float = 1.0, sign: bytes = b"\0") -> bytes:
    """The file with the last `share` of what was found in it, as a disk may give it back."""
    begin, end = found.span(1)
    begin = end - round((end - begin) * share)
    return whole[:begin] + sign * (end - begin) + whole[end:]


PAGE, PACKED, PHOTO = (
    re.compile(pattern, re.DOTALL)
    for pattern in (
        rb"(<< /Type /Page /Parent.*?) >> >>\nendobj",
        rb"/FlateDecode >>\nstream\n(.*?)\nendstream",
        rb"/DCTDecode.*?stream\n(.*?)\nendstream",
    )
)


@pytest.mark.parametrize("owner_password", [False, True])
def test_pages_that_cannot_be_read_are_named(tmp_path: Path, cat: Path, owner_password: bool) -> None:
    pages = [text_page(f"Page {number}.", *WORDS * 9) for number in range(1, 7)]
    whole = written([*pages, Page(), Page(photo=cat)], owner_password, is_packed=True)
    path = tmp_path / "a.pdf"
    path.write_bytes(whole)
    assert told(path) == ([1, 2, 3, 4, 5, 6, 8], [])  # nothing is wrong with an empty page

    def damaged(kind: re.Pattern[bytes], number: int, share: float = 1.0, sign: bytes = b"\0") -> list[str]:
        found = list(kind.finditer(whole))[number - 1]
        path.write_bytes(written_over(whole, found, share, sign))
        seen, troubles = told(path)
        assert set(range(1, 9)) - {7} - {number if "left out" in one else 0 for one in troubles} <= set(seen)
        return troubles

    for number in (1, 3):
        assert damaged(PAGE, number) == [f"page {number} left out: damaged PDF"]
        assert damaged(PACKED, number) == [f"page {number} left out: damaged PDF"]
        assert damaged(PACKED, number, 0.5, b"\xff") == [f"page {number} only in part: damaged PDF"]
    path.write_bytes(written_over(whole, next(PHOTO.finditer(whole))))
    assert told(path) == ([1, 2, 3, 4, 5, 6], ["page 8 left out: damaged PDF"])


def test_who_indexes_a_damaged_pdf_is_told_which_pages_are_missing(tmp_path: Path, command: Mmsearch) -> None:
    whole = written([text_page(f"Page {number}.", *WORDS) for number in range(1, 41)], is_packed=True)
    intact = whole
    for number in (3, 21, 22, 23):
        whole = written_over(whole, list(PAGE.finditer(intact))[number - 1])
    whole = written_over(whole, list(PACKED.finditer(intact))[29], 0.4, b"\xff")
    folder, library = tmp_path / "papers", tmp_path / "library"
    folder.mkdir()
    (folder / "scan.pdf").write_bytes(whole)
    said = "pages 3 and 21–23 left out: damaged PDF; page 30 only in part: damaged PDF"
    report = command("index", folder, "--json", library=library)
    assert [one["reason"] for one in report.json["incomplete"]] == [said]
    assert f"scan.pdf was read as far as it goes: {said}" in report.err
    assert command("status", "--partial", library=library).out == f"{folder / 'scan.pdf'}\t{said}\n"


def test_a_damaged_page_is_left_out(tmp_path: Path) -> None:
    whole = written([SENTENCES, SENTENCES, SENTENCES])
    damaged = whole.replace(b"/Kids [5 0 R 7 0 R", b"/Kids [5 0 R 4 0 R")
    assert damaged != whole
    (tmp_path / "a.pdf").write_bytes(damaged)
    assert told(tmp_path / "a.pdf")[0] == [1, 3]
    (tmp_path / "b.pdf").write_bytes(PAGE.sub(lambda found: b"\0" * len(found[0]), whole))
    assert refused(tmp_path / "b.pdf") == "damaged PDF"


def test_what_is_packed_without_an_end_or_with_another_checksum_is_whole(tmp_path: Path) -> None:
    """Some programs write it so, and all of it is there."""
    whole = written([SENTENCES, SENTENCES], is_packed=True)
    (begin, end), _ = (found.span(1) for found in PACKED.finditer(whole))
    (tmp_path / "a.pdf").write_bytes(whole[: end - 4] + b"\0\0\0\0" + whole[end:])
    assert told(tmp_path / "a.pdf") == ([1, 2], [])
    packing = zlib.compressobj()
    content = zlib.decompress(whole[begin:end]) + b" " * 3_000
    unended = packing.compress(content) + packing.flush(zlib.Z_SYNC_FLUSH)
    (tmp_path / "b.pdf").write_bytes(whole[:begin] + unended.ljust(end - begin) + whole[end:])
    assert told(tmp_path / "b.pdf") == ([1, 2], [])


def test_damage_is_seen_wherever_it_lies_in_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [text_page(*(f"{random.Random(number * 99 + line).random()}" for line in range(99))) for number in range(9)]
    whole = written(pages, is_packed=True)
    monkeypatch.setattr(pdf_streams, "_BLOCK_BYTES", 2_500)
    monkeypatch.setattr(pdf_streams, "_PIECE_BYTES", 300)
    assert not pdf_streams.has_damage(io.BytesIO(whole))
    for found in PACKED.finditer(whole):
        assert pdf_streams.has_damage(io.BytesIO(written_over(whole, found, 0.5, b"\xff")))


def test_pages_and_pictures_beyond_the_limits_are_left_out(tmp_path: Path, cat: Path) -> None:
    path = pdf(tmp_path / "a.pdf", *[SENTENCES] * 5, Page(photo=cat))
    with open_file(os.fsencode(path), ReadLimits(max_members=3)) as file:
        reading = read(file, 64)
        assert [part.locator.page for part in reading.parts] == [1, 2, 3]
    assert reading.facts.note == "only the first 3 of 6 pages were read"
    troubles = ["page 6 left out: a picture over the limit"]
    assert told(path, ReadLimits(max_image_bytes=1_000)) == ([1, 2, 3, 4, 5], troubles)


def test_a_pdf_too_large_to_be_kept_in_memory_is_read_from_the_disk(
    tmp_path: Path, cat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pdf(tmp_path / "a.pdf", SENTENCES, Page(photo=cat))
    kept = parts_of(path)
    monkeypatch.setattr(opening_module, "KEPT_BYTES", 1_000)
    found = parts_of(path)
    assert [part.payload for part in found if part.modality == "text"] == [kept[0].payload]
    assert found[1].payload.tobytes() == kept[1].payload.tobytes()
    with open_file(os.fsencode(path)) as file:
        unread = read(file, 64).parts
    with pytest.raises(UnreadableFile):  # its file is closed
        list(unread)


def test_many_threads_read_many_pdfs_at_once(tmp_path: Path, cat: Path) -> None:
    for number in range(12):
        pages = [text_page(f"File {number}, page {page}.", *WORDS) for page in range(1, 7)]
        pdf(tmp_path / f"{number}.pdf", *pages, Page(photo=cat))
    together = threading.Barrier(6)

    def read_all(first: int) -> list[tuple[int, list[str]]]:
        together.wait()
        found = []
        for number in [(first + step) % 12 for step in range(12)]:
            parts = parts_of(tmp_path / f"{number}.pdf")
            assert [part.modality for part in parts] == ["text"] * 6 + ["image"]
            found.append((number, [part.payload.split(".")[0] for part in parts[:6]]))
        return found

    with ThreadPoolExecutor(6) as pool:
        for found in pool.map(read_all, range(6)):
            for number, begins in found:
                assert begins == [f"File {number}, page {page}" for page in range(1, 7)]


def test_a_document_that_is_given_up_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    close = pdfium._close

    def counted(*handles: Any) -> None:
        closed.append(True)
        close(*handles)

    monkeypatch.setattr(pdfium, "_close", counted)
    path = pdf(tmp_path / "a.pdf", SENTENCES, SENTENCES)
    parts_of(path)
    assert len(closed) == 1
    with open_file(os.fsencode(path)) as file:
        parts = iter(read(file, 64).parts)
        next(parts)
        del parts  # in the midst
        assert len(closed) == 2
        reading = read(file, 64)
        del reading  # before anything was asked for
        assert len(closed) == 3
        kept: list[object] = [pdfium.PdfDocument(file.stream, file.size)]
        kept.append(kept)
        with pdfium.PdfDocument(file.stream, file.size).page(1) as page:
            assert page is not None
            del kept  # collected while the same thread is within PDFium
            gc.collect()
            assert len(closed) == 3
            assert "harbour" in page.text()
        gc.collect()
        assert len(closed) == 5


FUZZED = """
import os, sys
from mmsearch.reading import UnreadableFile, open_file, read
for path in sys.argv[1:]:
    try:
        with open_file(os.fsencode(path)) as file:
            parts = list(read(file, 64).parts)
        print("read", len(parts))
    except UnreadableFile as error:
        print("refused:", error.reason)
"""


def test_a_hundred_mutated_pdfs_end_no_process(tmp_path: Path, cat: Path) -> None:
    chance = random.Random(7)
    form = Page(WORDS, filled="Grace Hopper", photo=cat, place=(0, 0, 80, 60))
    whole = [written([SENTENCES, form]), written([SENTENCES, Page(photo=cat)], owner_password=True)]
    paths = []
    for number in range(100):
        data = bytearray(whole[number % 2])
        for _ in range(chance.choice((1, 4, 30))):
            # Photos are most of the bytes; what is around them is hit as often.
            place = chance.randrange(len(data)) if chance.random() < 0.5 else chance.randrange(1_500) - 1_000
            if chance.random() < 0.5:
                data[place] = chance.randrange(256)
            else:
                del data[place : place + chance.randrange(1, 9)]
        paths.append(tmp_path / f"{number}.pdf")
        paths[-1].write_bytes(data)
    done = subprocess.run([sys.executable, "-c", FUZZED, *paths], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert len(said) == 100
    assert sum(line.startswith("read") for line in said) > 20


DEADLY_PAGE = """
def changed(module):
    of_page = module._of_page
    def deadly(page, number, *rest):
        if number == 3:
            os.kill(os.getpid(), 9)
        return of_page(page, number, *rest)
    module._of_page = deadly
"""


@pytest.mark.slow
def test_a_pdf_that_ends_the_program_is_set_aside(tmp_path: Path) -> None:
    hooks = hooked(tmp_path, "mmsearch.reading.document.pdf", DEADLY_PAGE)
    folder = tmp_path / "papers"
    folder.mkdir()
    pdf(folder / "deadly.pdf", *[SENTENCES] * 3)
    pdf(folder / "harmless.pdf", SENTENCES)
    assert run(tmp_path / "library", "index", folder, hooks=hooks).returncode == -signal.SIGKILL
    done = run(tmp_path / "library", "index", folder, hooks=hooks)
    assert done.returncode == 0, done.stderr
    assert f"skipped {folder / 'deadly.pdf'}: ended the program that read it" in done.stderr
    assert "1 file searchable" in done.stdout


def test_neither_a_search_nor_the_walk_loads_pdfium(tmp_path: Path, library: Library) -> None:
    pdf(tmp_path / "a.pdf", SENTENCES)
    library.index([tmp_path / "a.pdf"])
    library.close()
    script = (
        "import sys; from mmsearch import Library; library = Library(sys.argv[1]); library.index();"
        "hits = library.search('boats in the fog').hits; print(len(hits), 'pypdfium2_raw' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, library.folder], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]
