"""Word, Excel, PowerPoint and Outlook before 2007 (.doc .xls .ppt .msg) → their text, and what is attached to a mail.

What such a file is, and whether it has a password, is told by the streams in it. Kreuzberg reads the text, in a process
apart: it is a hundred megabytes of native code, and would go on to read what is attached with all that it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from mmsearch.reading.apart import done_apart
from mmsearch.reading.document.compound_file import CompoundFile, Entry
from mmsearch.reading.document.mail import parts_of_attached
from mmsearch.reading.document.mail_text import body_of
from mmsearch.reading.document.pages import Page, reading_of
from mmsearch.reading.document.workbook_charts import without_charts
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reading, UnreadableFile
from mmsearch.records import Part

_WORD, _EXCEL, _POWERPOINT, _MAIL = "msword", "vnd.ms-excel", "vnd.ms-powerpoint", "vnd.ms-outlook"
# The stream that each kind has.
_KINDS = {
    "worddocument": _WORD,
    "workbook": _EXCEL,
    "book": _EXCEL,
    "powerpoint document": _POWERPOINT,
    "__properties_version1.0": _MAIL,
}
# A Word document says in its first words that it is encrypted.
_FLAGS_AT, _ENCRYPTED = 10, 1
# Beyond what the process has at its start and twice the file: its libraries, and room for the text.
_MEMORY = 600_000_000
# So many bytes at its end may be missing.
_MOST_MISSING = 16_000_000
# What Word writes of a link, a number or a list of contents, in front of what is seen of it.
_FIELD = re.compile(
    r'HYPERLINK(?:\s{0,9}\\[a-z])*\s{0,9}"[^"\n]{0,2000}"(?:\s{0,9}\\[a-z](?:\s{0,9}"[^"\n]{0,200}")?)*'
    r"|(?:PAGEREF|NOTEREF|REF)\s{1,9}_\w{1,99}(?:\s{0,9}\\[a-z])*"
    r'|TOC(?:\s{0,9}\\[a-z](?:\s{0,9}"[^"\n]{0,200}")?)+'
    r'|SEQ\s{1,9}"?\w{1,99}"?(?:\s{0,9}\\\*\s{0,9}[A-Za-z]{1,20})'
)
# What stands on the slide that others are made after.
_ON_MASTERS = frozenset(
    {"Click to edit Master title style", "Click to edit Master text styles", "Click to edit Master subtitle style"}
    | {f"{number} level" for number in ("Second", "Third", "Fourth", "Fifth")}
)
_ADDRESS_IN_EXCHANGE = re.compile(r"\s?</o=[^<>\n]{1,500}>", re.I)
# The streams of an attached file: what it holds, and what it is called, in Unicode or in eight bits.
_CONTENT = "__substg1.0_37010102"
_NAMES = (("3707001f", "utf-16-le"), ("3704001f", "utf-16-le"), ("3707001e", "cp1252"), ("3704001e", "cp1252"))
_LONGEST_NAME = 400


def read_old_office(file: OpenFile, side: int) -> Reading:
    """The sheets of a workbook, or the whole text; of a mail what it says, and the parts of the files attached to it.

    Raises UnreadableFile as `document.read_document` does.
    """
    compound = CompoundFile(file.stream, file.size)
    stream, kind = _kind_of(compound)
    limit = file.limits.max_member_bytes
    if file.size > limit:
        raise UnreadableFile(f"document of {file.size:,} bytes, over the limit of {limit:,}")
    file.stream.seek(0)
    data = file.stream.read()
    if kind == _EXCEL:
        data = without_charts(data, compound.read(stream, stream.size), *compound.sectors_of(stream))
    span = min(compound.span, file.size + _MOST_MISSING)
    told, _ = done_apart(f"{__name__}:extract", data, _MEMORY, kind=kind, span=span)
    pages = [Page(text, number, name) for text, number, name in told["pages"]]
    is_cut = compound.is_cut

    def find(trouble: list[str]) -> Iterator[Page]:
        if is_cut:
            trouble.append("truncated")
        return iter(pages)

    if kind != _MAIL:
        return reading_of(file, side, find)
    attached = list(_attached_to(compound, file.size))
    names = f"\n\nAttached: {', '.join(name for name, _ in attached)}" if attached else ""
    pages = [replace(page, text=page.text + names) for page in pages]
    reading = reading_of(file, side, find)
    facts = replace(reading.facts, taken=told["date"])
    troubles: list[str] = []
    return Reading(facts, _with_attached(file, reading, attached, side, troubles), troubles=troubles)


def extract(data: bytes, kind: str, span: int) -> tuple[dict[str, Any], bytes]:
    """The pages of a document as [text, number, name], and the date of a mail. `span` is how many bytes it should have.

    Raises:
        UnreadableFile: it is damaged, or encrypted.
    """
    from kreuzberg import KreuzbergError

    try:
        found = _extracted(data, kind)
    except KreuzbergError as error:
        said = str(error).lower()
        if "sector" in said and span > len(data):
            # Kreuzberg insists on an end that is missing, or that was never there.
            return extract(data.ljust(span, b"\0"), kind, span)
        if "password" in said:
            raise UnreadableFile("encrypted") from None
        if "no text" in said:
            return {"pages": [], "date": None}, b""
        raise UnreadableFile("of a version before 1997" if "magic number" in said else "damaged document") from None
    said_of_it = dict(found.metadata)
    if kind == _EXCEL:
        return {"pages": list(_sheets(found.pages or [], said_of_it.get("sheet_names") or []))}, b""
    if kind == _MAIL:
        subject = said_of_it.get("subject") or None
        date = _date(said_of_it.get("created_at") or "")
        return {"pages": [[_mail_text(found.content), None, subject]], "date": date}, b""
    text = _slides_text(found.content) if kind == _POWERPOINT else _FIELD.sub("", found.content)
    return {"pages": [[text, None, None]]}, b""


def _extracted(data: bytes, kind: str) -> Any:
    """What Kreuzberg finds. Raises KreuzbergError."""
    from kreuzberg import ConcurrencyConfig, ExtractionConfig, PageConfig, extract_bytes_sync

    wanted = ExtractionConfig(
        use_cache=False,
        disable_ocr=True,
        enable_quality_processing=False,
        pages=PageConfig(extract_pages=True),
        concurrency=ConcurrencyConfig(max_threads=1),
    )
    return extract_bytes_sync(data, f"application/{kind}", wanted)


def _kind_of(compound: CompoundFile) -> tuple[Entry, str]:
    """The stream that tells what it is, and that.

    Raises UnreadableFile for what is encrypted, and for what no office program wrote.
    """
    if compound.is_locked:
        raise UnreadableFile("encrypted")
    stream = next((name for name in _KINDS if name in compound.root), None)
    if stream is None:
        raise UnreadableFile("not the kind of document that its name says")
    first = compound.read(compound.root[stream], _FLAGS_AT + 2)
    if _KINDS[stream] == _WORD and first[_FLAGS_AT + 1 :] and first[_FLAGS_AT + 1] & _ENCRYPTED:
        raise UnreadableFile("encrypted")
    return compound.root[stream], _KINDS[stream]


def _sheets(pages: list[dict[str, Any]], names: list[str]) -> Iterator[list[Any]]:
    for page in pages:
        number = page["page_number"]
        rows = ["\t".join(row).rstrip() for table in page["tables"] for row in table.cells]
        name = names[number - 1] if 0 < number <= len(names) else None
        yield ["\n".join(row for row in rows if row), number, name]


def _slides_text(content: str) -> str:
    """Each line once: what stands on a slide is there as its outline too."""
    lines = dict.fromkeys(line.strip() for line in content.split("\n"))
    return "\n".join(line for line in lines if line and line not in _ON_MASTERS)


def _mail_text(content: str) -> str:
    """The subject, the other headers, and the body."""
    head, _, body = content.partition("\n\n")
    return f"{_ADDRESS_IN_EXCHANGE.sub('', head.removeprefix('Subject: '))}\n\n{body_of(body, '')}"


def _date(told: str) -> str | None:
    try:
        return datetime.fromisoformat(told).replace(microsecond=0).isoformat()
    except ValueError:
        return None


def _attached_to(compound: CompoundFile, most: int) -> Iterator[tuple[str, bytes]]:
    """The files attached to a mail with their names, at most so many bytes of them."""
    for key, folder in compound.root.items():
        if not (key.startswith("__attach_version1.0_") and folder.is_folder) or most <= 0:
            continue
        entries = compound.children(folder)
        content = entries.get(_CONTENT)
        if content is not None and not content.is_folder:
            data = compound.read(content, most)
            most -= len(data)
            yield _name_of(compound, entries) or f"attachment {key[-8:]}", data


def _name_of(compound: CompoundFile, entries: Mapping[str, Entry]) -> str:
    for kind, encoding in _NAMES:
        entry = entries.get(f"__substg1.0_{kind}")
        if entry is not None:
            name = compound.read(entry, _LONGEST_NAME).decode(encoding, "replace").replace("\\", "/")
            return "".join(char for char in name.rsplit("/", 1)[-1] if char.isprintable()).strip()
    return ""


def _with_attached(
    file: OpenFile, reading: Reading, attached: list[tuple[str, bytes]], side: int, troubles: list[str]
) -> Iterator[Part]:
    subject = None
    for part in reading.parts:
        subject = part.locator.part_name
        yield part
    for name, data in attached:
        for part in parts_of_attached(file, name, data, side, troubles):
            names = (subject, name, part.locator.part_name)
            place = replace(part.locator, part_name="/".join(one for one in names if one))
            yield replace(part, locator=place)
