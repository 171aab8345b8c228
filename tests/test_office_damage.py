"""Office documents that are damaged, cut off, locked, or made to harm: parts come out, or a short reason."""

from __future__ import annotations

import io
import os
import random
import struct
import zipfile
import zlib
from pathlib import Path

import office_files as made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from office_files import paragraph, picture, shape, slide
from PIL import Image
from test_documents import parts_of, refused

from mmsearch.reading import ReadLimits, UnreadableFile, open_file, read
from mmsearch.reading.document.html_pages import text_of_markup
from mmsearch.records import FileFacts, Part

KINDS = ("a.docx", "a.pptx", "a.xlsx", "a.odt", "a.epub", "a.fb2", "a.htmlz", "a.rtf")
MUTATIONS = 60


def sample(folder: Path, name: str) -> Path:
    """A small whole document of that kind, with a picture where such documents have one."""
    path = folder / name
    media: dict[str, str | bytes] = {"word/media/1.png": picture()}
    if name == "a.docx":
        body = paragraph("Report", "berschrift1") + paragraph("It rained. " * 40) + '<w:p><a:blip r:embed="p"/></w:p>'
        return made.docx(path, body, media, [("p", "image", "media/1.png")])
    if name == "a.pptx":
        return made.pptx(path, [slide(shape("Budget", "title") + shape("salt and flour " * 9))] * 3)
    if name == "a.xlsx":
        row = "<row><c t='s'><v>0</v></c><c t='inlineStr'><is><t>two saws</t></is></c></row>"
        return made.xlsx(path, {"Shed": row * 40, "House": row}, ["a ladder"])
    if name == "a.odt":
        return made.open_document(path, "text", "<text:h>Day</text:h><text:p>It rained.</text:p>" * 30)
    if name == "a.epub":
        return made.epub(
            path, {f"{n}.xhtml": f"<html><body><p>Chapter {n} of rain</p></body></html>" for n in range(5)}
        )
    if name == "a.htmlz":
        return made.zipped(path, {"index.html": "<p>To the sea</p><img src=1.png>" * 30, "1.png": picture()})
    if name == "a.fb2":
        path.write_bytes(
            made.fb2("<body><section><title><p>День</p></title><p>Шёл дождь.</p></section></body>", picture())
        )
    else:
        path.write_bytes(rb"{\rtf1\ansi{\fonttbl{\f0\fcharset204 Arial;}}" + rb"It \u9731?rained.\par " * 40 + rb"}")
    return path


def outcome(path: Path, limits: ReadLimits | None = None) -> tuple[FileFacts | None, list[Part], str]:
    """(facts, parts, "") of a document that is read, (None, nothing, reason) of one that is not."""
    try:
        with open_file(os.fsencode(path), limits) as file:
            reading = read(file, 64)
            return reading.facts, list(reading.parts), ""
    except UnreadableFile as error:
        return None, [], error.reason


@pytest.mark.parametrize("name", KINDS)
def test_a_document_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path, name: str) -> None:
    whole = sample(tmp_path, name).read_bytes()
    path = tmp_path / f"cut-{name}"
    for tenth in range(1, 11):
        path.write_bytes(whole[: (len(whole) - 1) * tenth // 10])
        facts, parts, reason = outcome(path)
        if facts is None:
            assert reason in ("truncated", "damaged XML", "no text inside", "empty file"), (tenth, reason)
        else:
            assert parts and facts.note is not None, tenth
            assert facts.note.startswith("incomplete document: "), (tenth, facts.note)
    assert outcome(path)[1], "with all but its last byte"


def with_picture(path: Path, pixels: bytes) -> Path:
    """A document of that kind with words and a picture of its own."""
    if path.suffix == ".docx":
        body = paragraph("It rained.") + '<w:p><a:blip r:embed="p"/></w:p>'
        return made.docx(path, body, {"word/media/1.png": pixels}, [("p", "image", "media/1.png")])
    if path.suffix == ".htmlz":
        return made.zipped(path, {"index.html": "<p>It rained.</p><img src='1.png'>", "1.png": pixels})
    path.write_bytes(made.fb2('<body><section><p>Шёл дождь.</p><image l:href="#sea"/></section></body>', pixels))
    return path


@pytest.mark.parametrize(("name", "member"), [("a.docx", "1.png"), ("a.htmlz", "1.png"), ("a.fb2", "sea.png")])
def test_a_picture_that_cannot_be_read_is_said_and_the_words_are_read(tmp_path: Path, name: str, member: str) -> None:
    kept = io.BytesIO()
    Image.effect_noise((200, 200), 90).save(kept, "PNG")
    whole = kept.getvalue()

    def seen(pixels: bytes) -> tuple[list[str], list[str]]:
        with open_file(os.fsencode(with_picture(tmp_path / name, pixels))) as file:
            reading = read(file, 64)
            return sorted((part.modality for part in reading.parts), reverse=True), list(reading.troubles)

    assert seen(whole) == (["text", "image"], [])
    assert seen(whole[: len(whole) // 2]) == (["text", "image"], [f"{member}: incomplete PNG"])
    assert seen(whole[:60] + b"\0" * 200 + whole[260:]) == (["text"], [f"{member} left out: damaged PNG"])


@pytest.mark.parametrize("name", KINDS)
def test_bytes_that_were_changed_by_chance_end_in_parts_or_a_reason(tmp_path: Path, name: str) -> None:
    whole = sample(tmp_path, name).read_bytes()
    chance = random.Random(name)
    path = tmp_path / f"changed-{name}"
    for _ in range(MUTATIONS):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 3, 20))):
            place = chance.randrange(len(data))
            if chance.random() < 0.2:
                del data[place : place + chance.randrange(1, 40)]
            else:
                data[place] = chance.randrange(256)
        path.write_bytes(data)
        facts, parts, reason = outcome(path)
        assert reason or (facts is not None and all(part.payload for part in parts))


@pytest.mark.parametrize("name", ["a.docx", "a.odt", "a.fb2"])
def test_xml_that_was_changed_by_chance_ends_in_parts_or_a_reason(tmp_path: Path, name: str) -> None:
    """The zip is whole: what is in it is not."""
    path = sample(tmp_path, name)
    chance = random.Random(name)
    if name.endswith(".fb2"):
        members = {"book.fb2": path.read_bytes()}
    else:
        with zipfile.ZipFile(path) as package:
            members = {one: package.read(one) for one in package.namelist()}
    changing = [one for one in members if one.endswith((".xml", ".rels", ".fb2"))]
    for _ in range(MUTATIONS):
        mutated: dict[str, str | bytes] = dict(members)
        one = chance.choice(changing)
        data = bytearray(members[one])
        for _ in range(chance.choice((1, 3, 20))):
            data[chance.randrange(len(data))] = chance.choice(b'<>/"=&;: \0\xffa')
        mutated[one] = bytes(data)
        _, parts, reason = outcome(made.zipped(tmp_path / f"b{'.fbz' if name == 'a.fb2' else path.suffix}", mutated))
        assert reason or all(part.payload for part in parts)


def test_what_is_locked_is_encrypted(tmp_path: Path) -> None:
    manifest = "<m:manifest xmlns:m='m'><m:file-entry><m:encryption-data/></m:file-entry></m:manifest>"
    locked = made.open_document(tmp_path / "a.odt", "text", "", members={"META-INF/manifest.xml": manifest})
    assert refused(locked) == "encrypted"
    data = bytearray(sample(tmp_path, "a.docx").read_bytes())
    place = 0
    while (place := data.find(b"PK\1\2", place)) >= 0:
        data[place + 8] |= 1
        place += 4
    (tmp_path / "c.docx").write_bytes(data)
    assert refused(tmp_path / "c.docx") == "encrypted"


def test_a_zip_of_something_else_is_no_document(tmp_path: Path) -> None:
    for name in ("a.docx", "a.xlsx", "a.pptx", "a.fbz"):
        path = made.zipped(tmp_path / name, {"readme.txt": "words"})
        assert refused(path) == "not the kind of document that its name says"
    (tmp_path / "b.docx").write_bytes(b"just words")
    assert refused(tmp_path / "b.docx") == "not the kind of document that its name says"


def test_content_wins_over_the_name(tmp_path: Path) -> None:
    for name, other in (("a.docx", "b.xlsx"), ("a.odt", "b.docx"), ("a.epub", "b.odt"), ("a.rtf", "b.docx")):
        path = sample(tmp_path, name)
        expected = [part.payload for part in parts_of(path) if part.modality == "text"]
        again = path.rename(tmp_path / other)
        assert [part.payload for part in parts_of(again) if part.modality == "text"] == expected


# Made to harm


def bomb(path: Path, name: str, unpacked: int) -> Path:
    """A zip with one member of spaces."""
    return made.zipped(path, {name: " " * unpacked})


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    assert "zip bomb" in refused(bomb(tmp_path / "a.docx", "word/document.xml", 30_000_000))
    limits = ReadLimits(max_member_bytes=100_000)
    assert "over the limit of 100,000 bytes" in refused(bomb(tmp_path / "b.docx", "word/document.xml", 200_000), limits)


def test_many_members_that_are_one_are_bounded_as_a_whole(tmp_path: Path) -> None:
    chapter = f"<html><body>{random.Random(1).randbytes(30_000).hex()} words</body></html>"
    path = made.epub(tmp_path / "a.epub", {f"{number:02}.xhtml": chapter for number in range(30)})
    facts, parts, _ = outcome(path, ReadLimits(max_member_bytes=70_000))
    assert 0 < len(parts) < 30
    assert facts is not None and facts.note is not None and "unpacked over the limit" in facts.note


def test_no_more_members_are_looked_at_than_allowed(tmp_path: Path) -> None:
    pages: dict[str, str | bytes] = {f"{number}.html": f"page {number} of words" for number in range(40)}
    path = made.zipped(tmp_path / "a.htmlz", pages)
    facts, parts, _ = outcome(path, ReadLimits(max_members=10))
    assert len(parts) == 10
    assert facts is not None and facts.note == "incomplete document: more than 10 files inside"


def test_sizes_that_the_zip_tells_are_not_believed(tmp_path: Path) -> None:
    data = bytearray(sample(tmp_path, "a.odt").read_bytes())
    place = data.rfind(b"PK\1\2")  # of content.xml, the last of them
    struct.pack_into("<I", data, place + 24, 5)
    (tmp_path / "b.odt").write_bytes(data)
    assert [part.payload for part in parts_of(tmp_path / "b.odt")] == [
        part.payload for part in parts_of(tmp_path / "a.odt")
    ]


def test_of_two_members_of_one_name_the_last_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.htmlz"
    with zipfile.ZipFile(path, "w") as package, pytest.warns(UserWarning, match="Duplicate name"):
        package.writestr("index.html", "the first words")
        package.writestr("index.html", "the last words")
    assert [part.payload for part in parts_of(path)] == ["the last words"]


ENTITIES = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY c SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize("declared", [ENTITIES, OUTSIDE])
def test_xml_with_entities_of_its_own_is_not_read(tmp_path: Path, declared: str) -> None:
    document = f"<?xml version='1.0'?>{declared}<w:document xmlns:w='w'><w:p><w:t>&c;</w:t></w:p></w:document>"
    assert refused(made.zipped(tmp_path / "a.docx", {"word/document.xml": document})) == "XML with entities of its own"
    book = f"<?xml version='1.0'?>\n{declared}<FictionBook><body><p>&c;</p></body></FictionBook>"
    (tmp_path / "a.fb2").write_text(book)
    assert refused(tmp_path / "a.fb2") == "XML with entities of its own"


def test_a_doctype_that_declares_nothing_does_no_harm(tmp_path: Path) -> None:
    content = '<!DOCTYPE a PUBLIC "-//X" "http://example.org/x.dtd"><office:document-content><office:body><office:text>'
    content += "<text:p>tea &eacute; milk</text:p></office:text></office:body></office:document-content>"
    path = made.zipped(tmp_path / "a.odt", {"content.xml": content}, "application/vnd.oasis.opendocument.text")
    assert [part.payload for part in parts_of(path)] == ["tea é milk"]


def test_xml_that_is_nested_deeply_is_read_as_far_as_people_nest(tmp_path: Path) -> None:
    path = made.docx(tmp_path / "a.docx", paragraph("before") + "<w:sdt>" * 200_000)
    facts, parts, _ = outcome(path)
    assert [part.payload for part in parts] == ["before"]
    assert facts is not None and facts.note == "incomplete document: XML nested too deeply"
    (tmp_path / "a.rtf").write_bytes(rb"{\rtf1 before " + b"{" * 200_000)
    facts, parts, _ = outcome(tmp_path / "a.rtf")
    assert [part.payload for part in parts] == ["before"]
    assert facts is not None and facts.note == "incomplete document: nested too deeply"


def test_rich_text_without_end_is_read_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmsearch.reading.document.rich_text._MOST_TOKENS", 100)
    (tmp_path / "a.rtf").write_bytes(rb"{\rtf1 before " + rb"\b0 x" * 1_000 + b"}")
    facts, (part,), _ = outcome(tmp_path / "a.rtf")
    assert part.payload.startswith("before x") and len(part.payload) < 200
    assert facts is not None and facts.note == "incomplete document: more than 100 signs"


def test_a_text_that_cells_repeat_without_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmsearch.reading.document.pages.LONGEST_PAGE", 100_000)
    cells = "<row><c t='s'><v>0</v></c></row>" * 5_000
    (part,) = parts_of(made.xlsx(tmp_path / "a.xlsx", {"A": cells}, ["word " * 200]))
    assert len(part.payload) <= 100_000


def test_a_sheet_is_read_no_further_than_a_page_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmsearch.reading.document.pages.LONGEST_PAGE", 1_000)
    row = "<row><c t='inlineStr'><is><t>two saws</t></is></c></row>"
    # What is looked at in one go is a quarter of a megabyte.
    path = made.xlsx(tmp_path / "a.xlsx", {"Shed": row * 20_000 + "<damaged", "House": row})
    facts, parts, _ = outcome(path)
    assert facts is not None and facts.note is None
    assert [(part.locator.part_name, len(part.payload)) for part in parts] == [("Shed", 1_000), ("House", 8)]


def test_millions_of_spaces_take_no_longer_than_words(tmp_path: Path) -> None:
    """It would take hours where they are looked through from each of them on."""
    spaces = f"first{' ' * 2_000_000}last"
    (part,) = parts_of(made.docx(tmp_path / "a.docx", paragraph(spaces) + paragraph(spaces[:-4])))
    assert part.payload.split() == ["first", "last", "first"]


def test_a_slide_that_is_listed_a_thousand_times_is_read_once(tmp_path: Path) -> None:
    slides = [slide(shape("Budget"))]
    path = made.pptx(tmp_path / "a.pptx", slides)
    with zipfile.ZipFile(path) as package:
        members: dict[str, str | bytes] = {name: package.read(name) for name in package.namelist()}
    order = members["ppt/presentation.xml"]
    assert isinstance(order, bytes)
    begins, ends = order.index(b"<p:sldId "), order.index(b"</p:sldIdLst>")
    members["ppt/presentation.xml"] = order[:begins] + order[begins:ends] * 1_000 + order[ends:]
    assert len(parts_of(made.zipped(tmp_path / "b.pptx", members))) == 1


def test_a_long_document_is_read_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of it while its pages are counted has a bound; beyond that it is read once more."""
    body = "".join(paragraph(f"Chapter {n}", "berschrift1") + paragraph(f"It rained on day {n}.") for n in range(50))
    path = made.docx(tmp_path / "a.docx", body + '<w:p><a:blip r:embed="p"/></w:p>', {"word/media/1.png": picture()},
                     [("p", "image", "media/1.png")])  # fmt: skip
    with open_file(os.fsencode(path), None) as file:
        reading = read(file, 64)
        expected = [(part.locator, part.modality) for part in reading.parts]
    monkeypatch.setattr("mmsearch.reading.document.pages._KEPT_CHARACTERS", 100)
    with open_file(os.fsencode(path), None) as file:
        again = read(file, 64)
        assert again.facts == reading.facts
        assert [(part.locator, part.modality) for part in again.parts] == expected


def test_members_without_sizes_in_front_are_found_without_a_directory(tmp_path: Path) -> None:
    """As they are where a program wrote them into a pipe: their sizes stand behind them."""

    def local(name: str, text: str) -> bytes:
        engine = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = engine.compress(text.encode()) + engine.flush()
        head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 8, 8, 0, 0, 0, 0, 0, len(name), 0) + name.encode()
        return head + packed + struct.pack("<4s3L", b"PK\7\x08", zlib.crc32(text.encode()), len(packed), len(text))

    path = tmp_path / "a.htmlz"
    path.write_bytes(local("a.html", "the first words") + local("b.html", "the last words") + b"PK\1\2")
    facts, parts, _ = outcome(path)
    assert [part.payload for part in parts] == ["the first words", "the last words"]
    assert facts is not None and facts.note == "incomplete document: truncated"


@given(st.text(alphabet=st.sampled_from("abc <>/&;\"'=!-pbrtdh1 \n\t"), max_size=200))
@settings(max_examples=150)
def test_any_markup_is_text_without_loose_spaces(markup: str) -> None:
    text = text_of_markup(markup)
    assert text == text.strip()
    assert "\n\n\n" not in text and " \n" not in text
