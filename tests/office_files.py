"""Documents of office programs, written by hand: the least that such a program would open."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

Members = Mapping[str, str | bytes]
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def picture(side: int = 200, colour: str = "red", kind: str = "PNG") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (side, side + 20), colour).save(written, kind)
    return written.getvalue()


def zipped(path: Path, members: Members, mimetype: str = "") -> Path:
    """A zip of these members; the type of those formats that tell it at their front lies there unpacked."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        if mimetype:
            package.writestr("mimetype", mimetype, zipfile.ZIP_STORED)
        for name, content in members.items():
            package.writestr(name, content)
    return path


def relations(targets: Sequence[tuple[str, str, str]]) -> str:
    """The list of what a part refers to, each by id, kind and place."""
    listed = "".join(
        f'<Relationship Id="{identifier}" Type="{_RELATIONS}/{kind}" Target="{target}"/>'
        for identifier, kind, target in targets
    )
    return f'{_HEAD}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{listed}</Relationships>'


def _office(path: Path, main: str, members: Members) -> Path:
    types = f'{_HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
    first = {"[Content_Types].xml": types, "_rels/.rels": relations([("rId1", "officeDocument", main)])}
    return zipped(path, {**first, **members})


_WORD = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:a="a" xmlns:mc="mc" xmlns:v="v"'
    f' xmlns:r="{_RELATIONS}"'
)
STYLES = (
    f"<w:styles {_WORD}>"
    '<w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style></w:styles>'
)


def paragraph(text: str, style: str = "", before: str = "") -> str:
    """A paragraph of a Word document; `before` is XML that stands in its run, in front of the text."""
    properties = f'<w:pPr><w:tabs><w:tab w:val="left"/></w:tabs><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r>{before}<w:t>{text}</w:t></w:r></w:p>"


def docx(path: Path, body: str, members: Members | None = None, others: Sequence[tuple[str, str, str]] = ()) -> Path:
    """A Word document with that XML as its body; `others` are what it refers to besides its styles."""
    document = f"{_HEAD}<w:document {_WORD}><w:body>{body}</w:body></w:document>"
    return _office(
        path,
        "word/document.xml",
        {
            "word/document.xml": document,
            "word/_rels/document.xml.rels": relations([("rId1", "styles", "styles.xml"), *others]),
            "word/styles.xml": STYLES,
            **(members or {}),
        },
    )


def word_part(element: str, content: str) -> str:
    return f"{_HEAD}<w:{element} {_WORD}>{content}</w:{element}>"


def shape(text: str, kind: str = "") -> str:
    """A shape on a slide; `kind` is that of its placeholder."""
    placeholder = f'<p:nvPr><p:ph type="{kind}"/></p:nvPr>' if kind else ""
    paragraphs = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
    return f"<p:sp><p:nvSpPr>{placeholder}</p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>"


def slide(content: str, kind: str = "sld", attributes: str = "") -> str:
    spaces = f'xmlns:p="p" xmlns:a="a" xmlns:r="{_RELATIONS}"'
    return f"{_HEAD}<p:{kind} {spaces} {attributes}><p:cSld><p:spTree>{content}</p:spTree></p:cSld></p:{kind}>"


def pptx(path: Path, slides: Sequence[str], members: Members | None = None) -> Path:
    """A presentation of these slides, as XML; they lie in the package in the opposite order."""
    names = [f"slides/slide{len(slides) - number}.xml" for number in range(len(slides))]
    order = "".join(f'<p:sldId id="{256 + number}" r:id="rId{number}"/>' for number in range(len(slides)))
    listed = [(f"rId{number}", "slide", name) for number, name in enumerate(names)]
    parts = {f"ppt/{name}": content for name, content in sorted(zip(names, slides, strict=True))}
    return _office(
        path,
        "ppt/presentation.xml",
        {
            "ppt/presentation.xml": f'{_HEAD}<p:presentation xmlns:p="p" xmlns:r="{_RELATIONS}">'
            f"<p:sldIdLst>{order}</p:sldIdLst></p:presentation>",
            "ppt/_rels/presentation.xml.rels": relations(listed),
            **parts,
            **(members or {}),
        },
    )


def xlsx(path: Path, sheets: Mapping[str, str], shared: Sequence[str] = (), members: Members | None = None) -> Path:
    """A workbook; of each sheet its rows as XML, by its name."""
    listed = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>' for number, name in enumerate(sheets, start=1)
    )
    targets = [(f"rId{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)]
    strings = "".join(f"<si><t>{text}</t></si>" for text in shared)
    parts = {
        f"xl/worksheets/sheet{number}.xml": f"{_HEAD}<worksheet><sheetData>{rows}</sheetData></worksheet>"
        for number, rows in enumerate(sheets.values(), start=1)
    }
    return _office(
        path,
        "xl/workbook.xml",
        {
            "xl/workbook.xml": f'{_HEAD}<workbook xmlns:r="{_RELATIONS}"><sheets>{listed}</sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations([*targets, ("rIdS", "sharedStrings", "sharedStrings.xml")]),
            "xl/sharedStrings.xml": f"{_HEAD}<sst>{strings}</sst>",
            **parts,
            **(members or {}),
        },
    )


_OPEN = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="text" xmlns:table="table"'
    ' xmlns:draw="draw" xmlns:style="style" xmlns:fo="fo" xmlns:xlink="xlink" xmlns:presentation="presentation"'
    ' xmlns:dc="dc"'
)


def open_document_xml(kind: str, body: str, styles: str = "", root: str = "document-content", more: str = "") -> str:
    return (
        f"{_HEAD}<office:{root} {_OPEN}><office:automatic-styles>{styles}</office:automatic-styles>{more}"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:{root}>"
    )


def open_document(path: Path, kind: str, body: str, styles: str = "", members: Members | None = None) -> Path:
    """An OpenDocument file of a kind (text, presentation, spreadsheet) with that XML as its body."""
    mimetype = f"application/vnd.oasis.opendocument.{kind}"
    return zipped(path, {"content.xml": open_document_xml(kind, body, styles), **(members or {})}, mimetype)


def open_document_styles(master: str) -> str:
    styles = f"<office:master-styles>{master}</office:master-styles>"
    return f"{_HEAD}<office:document-styles {_OPEN}>{styles}</office:document-styles>"


def epub(path: Path, chapters: Mapping[str, str], members: Members | None = None, contents: str = "") -> Path:
    """A book of these chapters, XHTML by name, read in the opposite order of their names; `contents` is its nav."""
    order = sorted(chapters, reverse=True)
    items = "".join(f'<item id="{name}" href="text/{name}" media-type="application/xhtml+xml"/>' for name in order)
    spine = "".join(f'<itemref idref="{name}"/>' for name in order)
    package = (
        f'{_HEAD}<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}'
        '<item id="nav" properties="nav" href="nav.xhtml" media-type="application/xhtml+xml"/></manifest>'
        f"<spine>{spine}</spine></package>"
    )
    container = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    return zipped(
        path,
        {
            "META-INF/container.xml": container,
            "OEBPS/book.opf": package,
            "OEBPS/nav.xhtml": contents,
            **{f"OEBPS/text/{name}": content for name, content in chapters.items()},
            **(members or {}),
        },
        "application/epub+zip",
    )


def fb2(body: str, picture_inside: bytes = b"") -> bytes:
    """A FictionBook in the encoding that most of them are in."""
    binary = base64.b64encode(picture_inside).decode()
    return (
        '<?xml version="1.0" encoding="windows-1251"?>\n<FictionBook xmlns:l="l"><description><title-info>'
        "<book-title>Книга о море</book-title></title-info><document-info><author><nickname>scanner</nickname></author>"
        f'</document-info></description>{body}<binary id="sea" content-type="image/png">{binary}</binary></FictionBook>'
    ).encode("windows-1251")
