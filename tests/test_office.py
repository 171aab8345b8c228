"""Documents of office programs and e-books: what a person reads in them is found, on its page, slide or sheet."""

from __future__ import annotations

import os
from pathlib import Path

import office_files as made
import pytest
from office_files import paragraph, picture, shape, slide
from test_documents import parts_of, refused

from mmsearch import Library
from mmsearch.reading import UnreadableFile, open_file, read, shown_at
from mmsearch.records import FileFacts, Locator, Part


def facts_of(path: Path) -> FileFacts:
    with open_file(str(path).encode(), None) as file:
        return read(file, 64).facts


def texts(path: Path) -> list[tuple[int | None, str | None, str]]:
    """(page, name of the part, text) of each text in the document."""
    found = [part for part in parts_of(path) if part.modality == "text"]
    return [(part.locator.page, part.locator.part_name, part.payload) for part in found]


def pictures(path: Path) -> list[Part]:
    return [part for part in parts_of(path) if part.modality == "image"]


def test_a_folder_of_documents_is_found_slide_by_slide(tmp_path: Path, library: Library, photos: Path) -> None:
    cat = (photos / "photos" / "cat.png").read_bytes()
    slides = [
        slide(shape("Our year", "ctrTitle") + shape("A walk through the garden")),
        slide(shape("Budget", "title") + shape("Rent and wages\nwhat we may spend on flour and ovens")),
        slide(shape("Thanks", "title") + '<p:pic><a:blip r:embed="rId1"/></p:pic>'),
    ]
    members: dict[str, str | bytes] = {
        "ppt/slides/_rels/slide1.xml.rels": made.relations([("rId1", "image", "../media/image1.png")]),
        "ppt/media/image1.png": cat,
    }
    made.pptx(tmp_path / "bakery.pptx", slides, members)
    made.docx(tmp_path / "letter.docx", paragraph("Dear Ana, the train to Lisbon leaves at nine."))
    made.xlsx(tmp_path / "tools.xlsx", {"Shed": "<row><c t='s'><v>0</v></c></row>"}, ["a ladder and two saws"])
    report = library.index([tmp_path])
    assert (report.added, report.failed) == (3, 0)
    hit = library.search("how much money the bakery may spend").hits[0]
    assert (Path(hit.path).name, hit.page, hit.part_name) == ("bakery.pptx", 2, "Budget")
    hit = library.search("a photo of a cat").hits[0]
    assert (Path(hit.path).name, hit.page, hit.source, hit.part_name) == ("bakery.pptx", 3, "embedded", "Thanks")
    assert Path(library.search("travelling by rail").hits[0].path).name == "letter.docx"


# Word


def test_a_word_document_is_read_page_by_page_as_word_laid_it_out(tmp_path: Path) -> None:
    rendered = "<w:lastRenderedPageBreak/>"
    body = (
        paragraph("Report", "berschrift1")
        + paragraph("It rained.")
        + f'<w:p><w:r><w:br w:type="page"/></w:r></w:p>{paragraph("It snowed.", before=rendered)}'
        + paragraph("Costs", "berschrift1", before=rendered)
        + paragraph("Ten for salt.")
    )
    path = made.docx(tmp_path / "a.docx", body)
    assert texts(path) == [
        (1, "Report", "Report\nIt rained."),
        (2, "Report", "It snowed."),
        (3, "Costs", "Costs\nTen for salt."),
    ]
    assert facts_of(path).pages == 3


def test_a_word_document_that_was_never_laid_out_has_headings_and_no_pages(tmp_path: Path) -> None:
    path = made.docx(tmp_path / "a.docx", paragraph("Hello.") + paragraph("Ends", "berschrift1") + paragraph("Bye."))
    assert texts(path) == [(None, None, "Hello."), (None, "Ends", "Ends\nBye.")]
    assert facts_of(path).pages is None


def test_tables_boxes_and_tracked_changes_are_read_as_they_are_seen(tmp_path: Path) -> None:
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    rows = (f"<w:tr>{cell.format(one)}{cell.format(other)}</w:tr>" for one, other in (("tea", "3"), ("milk", "2")))
    box = f"<w:txbxContent>{paragraph('in a box')}</w:txbxContent>"
    body = (
        f"<w:tbl>{''.join(rows)}</w:tbl>"
        "<w:p><w:del><w:r><w:delText>never</w:delText><w:t>gone</w:t></w:r></w:del>"
        "<w:ins><w:r><w:t>always</w:t></w:r></w:ins><w:moveFrom><w:r><w:t>here</w:t></w:r></w:moveFrom>"
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:t> seen</w:t><w:tab/><w:t>apart</w:t></w:r>"
        "<w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
        f"<w:p><w:r><mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>"
    )
    assert texts(made.docx(tmp_path / "a.docx", body))[0][2] == "tea\t3\nmilk\t2\nalways seen\tapart\nin a box"


def test_notes_stand_below_their_page_and_headers_are_read_once(tmp_path: Path) -> None:
    note = "<w:footnote w:id='{}'><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:footnote>"
    reference = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    body = f"<w:p><w:r><w:t>Salt is dear.</w:t></w:r>{reference}</w:p>" + paragraph("More", "berschrift1")
    header = made.word_part("hdr", paragraph("Bakery of Ana"))
    path = made.docx(
        tmp_path / "a.docx",
        body,
        {
            "word/footnotes.xml": made.word_part("footnotes", note.format(0, "line") + note.format(2, "As in 1920.")),
            "word/header1.xml": header,
            "word/header2.xml": header,
        },
        [("n", "footnotes", "footnotes.xml"), ("h", "header", "header1.xml"), ("i", "header", "header2.xml")],
    )
    assert texts(path) == [
        (None, None, "Salt is dear.\n\nAs in 1920."),
        (None, "More", "More"),
        (None, "header and footer", "Bakery of Ana"),
    ]


def test_a_picture_is_a_part_once_and_small_ones_are_none(tmp_path: Path) -> None:
    shown = '<w:p><w:r><a:blip r:embed="{}"/></w:r></w:p>'
    body = paragraph("Photos", "berschrift1") + "".join(shown.format(one) for one in ("p1", "p1", "p2", "p3", "p4"))
    members = {"word/media/1.png": picture(), "word/media/2.png": picture(), "word/media/3.png": picture(80)}
    members["word/media/4.png"] = picture()[:60]
    named = [(f"p{number}", "image", f"media/{number}.png") for number in range(1, 5)]
    path = made.docx(tmp_path / "a.docx", body, members, named)
    (one,) = pictures(path)
    assert (one.source, one.locator.part_name, one.payload.size) == ("embedded", "Photos", (128, 141))


# PowerPoint


def test_slides_are_in_the_order_in_which_they_are_shown_with_their_notes(tmp_path: Path) -> None:
    slides = [
        slide(shape("First", "title") + shape("7", "sldNum") + shape("Ana's bakery", "ftr")),
        slide(shape("hidden words") + shape("Ana's bakery", "ftr"), attributes='show="0"'),
    ]
    members: dict[str, str | bytes] = {
        "ppt/slides/_rels/slide2.xml.rels": made.relations([("n", "notesSlide", "../notesSlides/n1.xml")]),
        "ppt/notesSlides/n1.xml": slide(shape("Smile now", "body") + shape("1", "sldNum"), kind="notes"),
        "docProps/thumbnail.jpeg": picture(kind="JPEG"),
        "_rels/.rels": made.relations(
            [("a", "officeDocument", "ppt/presentation.xml"), ("b", "metadata/thumbnail", "docProps/thumbnail.jpeg")]
        ),
    }
    path = made.pptx(tmp_path / "a.ppsx", slides, members)
    assert texts(path) == [(1, "First", "First\n\nSmile now\n\nAna's bakery"), (2, None, "hidden words")]
    (shown,) = pictures(path)
    assert (shown.locator.page, shown.source) == (1, "page")


# Excel


def test_a_sheet_is_read_row_by_row_and_one_of_numbers_alone_is_none(tmp_path: Path) -> None:
    rows = (
        "<row><c t='s'><v>1</v></c><c t='inlineStr'><is><t>inline</t></is></c><c><v>0.30000000000000004</v></c></row>"
        "<row><c t='str'><f>A1&amp;B1</f><v>cached</v></c><c t='b'><v>1</v></c><c t='e'><v>#REF!</v></c></row>"
    )
    sheets = {"Words": rows, "Numbers": "<row><c><v>17</v></c><c><v>4</v></c></row>", "Last": rows}
    path = made.xlsx(tmp_path / "a.xlsx", sheets, ["zero", "one"])
    expected = "one\tinline\t0.3\ncached\tTRUE"
    assert texts(path) == [(1, "Words", expected), (3, "Last", expected)]
    assert facts_of(path).pages == 3


# OpenDocument


def test_an_open_document_text_is_read_by_page_and_heading(tmp_path: Path) -> None:
    styles = '<style:style style:name="P1"><style:paragraph-properties fo:break-before="page"/></style:style>'
    body = (
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>gone</text:p></text:deletion>"
        "</text:changed-region></text:tracked-changes>"
        "<text:h>Report</text:h><text:p>It\n   rained<text:s text:c='3'/>here<text:note><text:note-citation>1"
        "</text:note-citation><text:note-body><text:p>in May</text:p></text:note-body></text:note> twice.</text:p>"
        "<text:p>It <text:soft-page-break/>snowed.</text:p><text:p text:style-name='P1'>Third.</text:p>"
        "<table:table><table:table-row><table:table-cell><text:p>tea</text:p></table:table-cell><table:table-cell>"
        "<text:p>3</text:p></table:table-cell></table:table-row></table:table>"
        '<text:p><draw:frame><draw:image xlink:href="Pictures/a.png"/></draw:frame></text:p>'
    )
    header = "<style:master-page><style:header><text:p>Ana's</text:p></style:header></style:master-page>"
    members: dict[str, str | bytes] = {"Pictures/a.png": picture(), "styles.xml": made.open_document_styles(header)}
    path = made.open_document(tmp_path / "a.odt", "text", body, styles, members)
    assert texts(path) == [
        (1, "Report", "Report\nIt rained here1 twice.\nIt\n\nin May"),
        (2, "Report", "snowed."),
        (3, "Report", "Third.\ntea\t3"),
        (None, "header and footer", "Ana's"),
    ]
    assert [part.locator.page for part in pictures(path)] == [3]


def test_slides_and_sheets_of_open_documents_have_names(tmp_path: Path) -> None:
    titled = (
        "<draw:page draw:name='page1'><draw:frame presentation:class='title'><draw:text-box><text:p>Budget</text:p>"
        "</draw:text-box></draw:frame><draw:frame><draw:text-box><text:p>salt</text:p></draw:text-box></draw:frame>"
        "<presentation:notes><draw:frame><draw:text-box><text:p>smile</text:p></draw:text-box></draw:frame>"
        "</presentation:notes></draw:page><draw:page draw:name='page2'><text:p>flour</text:p></draw:page>"
    )
    path = made.open_document(tmp_path / "a.odp", "presentation", titled)
    assert texts(path) == [(1, "Budget", "Budget\nsalt\nsmile"), (2, "page2", "flour")]
    row = "<table:table-row><table:table-cell><text:p>{}</text:p></table:table-cell></table:table-row>"
    sheets = "".join(
        f"<table:table table:name='{name}'>{row.format(words)}</table:table>"
        for name, words in (("Shed", "two saws"), ("House", "12"), ("Roof", "tiles"))
    )
    path = made.open_document(tmp_path / "a.ods", "spreadsheet", sheets)
    assert texts(path) == [(1, "Shed", "two saws"), (3, "Roof", "tiles")]


def test_a_flat_open_document_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    for name in ("a.fodt", "a.xml"):
        path = tmp_path / name
        path.write_text(made.open_document_xml("text", "<text:h>Day</text:h><text:p>Sun.</text:p>", root="document"))
        assert texts(path) == [(None, "Day", "Day\nSun.")]


# E-books


def test_a_book_is_read_chapter_by_chapter_in_the_order_of_reading(tmp_path: Path) -> None:
    page = "<html><head><title>x</title><style>p {{}}</style></head><body>{}</body></html>"
    chapters = {
        "a.xhtml": page.format("<h2>The end</h2><p>They slept.</p>"),
        "b.xhtml": page.format(
            "<p><span>O</span>nce upon a time &amp; place.</p><p>A king<br/>lived.</p>"
            "<table><tr><td>tea</td><td>3</td></tr></table><img alt='' src='../images/king%20one.png'/>"
        ),
    }
    contents = page.format('<nav><ol><li><a href="text/b.xhtml#start">The <i>king</i></a></li></ol></nav>')
    path = made.epub(tmp_path / "a.epub", chapters, {"OEBPS/images/king one.png": picture()}, contents)
    assert texts(path) == [
        (1, "The king", "Once upon a time & place.\nA king\nlived.\ntea\t3"),
        (2, "The end", "The end\nThey slept."),
    ]
    (shown,) = pictures(path)
    assert (shown.locator.page, shown.locator.part_name) == (1, "The king")


def test_a_book_with_a_lock_is_encrypted_and_one_with_hidden_fonts_is_not(tmp_path: Path) -> None:
    told = (
        "<encryption><EncryptedData><EncryptionMethod Algorithm='{}'/><CipherData><CipherReference URI='{}'/>"
        "</CipherData></EncryptedData></encryption>"
    )
    aes, fonts = "http://www.w3.org/2001/04/xmlenc#aes128-cbc", "http://www.idpf.org/2008/embedding"
    chapters = {"a.xhtml": "<html><body>They slept.</body></html>"}
    locked = {"META-INF/encryption.xml": told.format(aes, "OEBPS/text/a.xhtml")}
    assert refused(made.epub(tmp_path / "locked.epub", chapters, locked)) == "encrypted"
    free = {"META-INF/encryption.xml": told.format(fonts, "OEBPS/font.ttf")}
    assert texts(made.epub(tmp_path / "free.epub", chapters, free)) == [(1, None, "They slept.")]


@pytest.mark.parametrize("name", ["a.fb2", "a.fb2.zip", "a.fbz", "named wrongly.xml"])
def test_a_fiction_book_is_read_section_by_section(tmp_path: Path, name: str) -> None:
    body = (
        "<body><section><title><p>Глава</p><p>первая</p></title><p>Жил <emphasis>кот</emphasis>.</p>"
        "<section><p>И пёс.</p></section></section><section><title><p>Вторая</p></title><v>Волны</v>"
        '<image l:href="#sea"/></section></body><body name="notes"><section><title><p>1</p></title><p>Лев.</p>'
        "</section></body>"
    )
    content = made.fb2(body, picture())
    path = tmp_path / name
    if name.endswith((".fbz", ".zip")):
        made.zipped(path, {"book.fb2": content})
    else:
        path.write_bytes(content)
    assert texts(path) == [
        (1, None, "Книга о море"),
        (2, "Глава первая", "Глава\nпервая\n\nЖил кот.\nИ пёс."),
        (3, "Вторая", "Вторая\n\nВолны"),
        (4, "notes", "1\n\nЛев."),
    ]
    (shown,) = pictures(path)
    assert (shown.locator.page, shown.locator.part_name) == (3, "Вторая")


def test_a_page_that_a_document_does_not_have_shows_nothing(tmp_path: Path) -> None:
    shown, ends = '<w:p><w:r><a:blip r:embed="p1"/></w:r></w:p>', '<w:br w:type="page"/>'
    pages = paragraph("One") + shown + paragraph("Two", before=ends)
    path = made.docx(tmp_path / "a.docx", pages, {"word/media/1.png": picture()}, [("p1", "image", "media/1.png")])
    place = os.fsencode(path)
    first = shown_at(place, Locator(page=1), 64).picture
    assert first is not None
    # What a document is known by stands for a page without a picture.
    assert shown_at(place, Locator(page=2), 64).picture == first == shown_at(place, Locator(), 64).picture
    with pytest.raises(UnreadableFile, match="there is no page 3"):
        shown_at(place, Locator(page=3), 64)


def test_saved_web_pages_in_a_zip_are_read_with_their_pictures(tmp_path: Path) -> None:
    page = "<html><head><title>Trip</title></head><body><p>To the sea</p><img src='images/1.png'></body></html>"
    path = made.zipped(tmp_path / "a.htmlz", {"style.css": "p {}", "index.html": page, "images/1.png": picture()})
    assert texts(path) == [(1, "Trip", "To the sea")]
    assert len(pictures(path)) == 1


# RTF


def test_rich_text_is_read_with_its_notes_boxes_and_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.rtf"
    path.write_bytes(
        rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial;}}{\info{\author Ana}}"
        rb"{\header Bakery\par}{\header Bakery\par}Caf\'e9 {\f1\'cc\'ee\'f0\'e5} \u9731?{\v hidden}{\deleted gone}"
        rb"{\footnote in May}\par{\field{\*\fldinst HYPERLINK x}{\fldrslt a link}}{\shp{\*\shpinst{\sp{\sn a}}"
        rb"{\shptxt  in a box\par}}}tea\cell 3\cell\row\page Second.\par "
        + b"{\\*\\shppict{\\pict\\pngblip\n"
        + picture().hex().encode()
        + b"}}}behind the end"
    )
    assert texts(path) == [
        (1, None, "Café Море ☃\na link in a box\ntea\t3\n\nin May"),
        (2, None, "Second."),
        (None, "header and footer", "Bakery"),
    ]
    assert [part.locator.page for part in pictures(path)] == [2]
