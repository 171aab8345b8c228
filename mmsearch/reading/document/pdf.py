"""A PDF → the words of each page, and a picture of those that are to be seen rather than read."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mmsearch.reading.document.pdf_end import with_an_end
from mmsearch.reading.document.pdf_streams import has_damage
from mmsearch.reading.document.pdfium import PdfDocument, PdfPage
from mmsearch.reading.noise import blank_noise
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.page_troubles import PageTroubles
from mmsearch.reading.reader import Reading, ReadLimits, UnreadableFile
from mmsearch.records import FileFacts, Locator, Part

if TYPE_CHECKING:
    from PIL.Image import Image

# The end of a whole file says where its table of objects is.
_END_WITHIN = 2_048
# What is mended is in memory, twice.
_MOST_MENDED = 64_000_000
_FEWEST_LETTERS = 40
_MOSTLY = 0.5
# Fonts may say how letters look and not which they are. Then their own numbers come out, many of them no letters.
_MOST_GARBLED = 0.05
# Thin letters are lost in a picture of just the side that a model takes: vectors lie nearer to those of a fine print.
_FINER = 1.3
_DAMAGED = "damaged PDF"
# Decoders keep a picture in colour and a copy of it.
_BYTES_A_PIXEL = 4
# What PDFium makes of the hyphen at the end of a line, and its kin.
_HYPHENS = re.compile("[\x02\xad\ufffe]")
_NO_LETTERS = re.compile("[\x00\x01\x03-\x08\x0b\x0c\x0e-\x1f\x7f\ue000-\uf8ff\uffff]")
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"},
)


def read_pdf(file: OpenFile, side: int) -> Reading:
    """For each page its text, and its picture where it has next to no text or is mostly picture.

    Which pages cannot be read, or not all of them, is told once they are through.

    Raises UnreadableFile for what is encrypted, damaged or empty.
    """
    breaks_off = _breaks_off(file)
    document = _opened(file, breaks_off)
    most = file.limits.max_members
    note = None
    if document.is_rebuilt and breaks_off:
        note = "incomplete PDF"
    elif document.pages > most:
        note = f"only the first {most:,} of {document.pages:,} pages were read"
    troubles = PageTroubles()
    parts = _parts(document, side, file, troubles)
    return Reading(FileFacts(pages=document.pages, note=note), parts, troubles=troubles)


def drawn_page(file: OpenFile, place: Locator, side: int) -> Image | None:
    """The page at a place, the first one where that names none, as it is printed; None where it cannot be drawn.

    Raises UnreadableFile as `read_pdf` does.
    """
    document = _opened(file, _breaks_off(file))
    try:
        with document.page(place.page or 1) as page:
            if page is None:
                return None
            largest = page.pictures(file.limits.max_members).largest
            return None if largest * _BYTES_A_PIXEL > file.limits.max_image_bytes else page.picture(side)
    finally:
        document.close()


def _opened(file: OpenFile, breaks_off: bool) -> PdfDocument:
    """The document, with an end put to it where it cannot be opened without."""
    try:
        return PdfDocument(file.stream, file.size)
    except UnreadableFile as error:
        if not breaks_off or error.reason == "encrypted" or file.size > _MOST_MENDED:
            raise
    file.stream.seek(0)
    mended = with_an_end(file.stream.read())
    if mended is None:
        raise UnreadableFile("truncated PDF")
    return PdfDocument(io.BytesIO(mended), len(mended))


def _parts(document: PdfDocument, side: int, file: OpenFile, troubles: PageTroubles) -> Iterator[Part]:
    """Page by page, so that one of them is in memory at a time."""
    loaded: list[int] = []
    found: set[int] = set()
    refused: dict[int, str] = {}
    limits = file.limits
    try:
        for number in range(1, min(document.pages, limits.max_members) + 1):
            with document.page(number) as page:
                parts = [] if page is None else list(_of_page(page, number, side, limits, refused))
                if page is None:
                    refused[number] = _DAMAGED
                else:
                    loaded.append(number)
            if parts:
                found.add(number)
            yield from parts
        if document.is_encrypted or has_damage(file.stream):
            refused.update((number, _DAMAGED) for number in loaded if has_damage(document.alone(number)))
    finally:
        document.close()
    if not found:
        raise UnreadableFile(next(iter(refused.values()), "no text or picture inside"))
    for number, reason in sorted(refused.items()):
        tell = troubles.in_part if number in found else troubles.left_out
        tell(number, reason)


def _of_page(page: PdfPage, number: int, side: int, limits: ReadLimits, refused: dict[int, str]) -> Iterator[Part]:
    """What is to be read and seen on a page; why it is not seen is put into `refused`."""
    text, is_garbled = tidied(page.text())
    if text.strip():
        yield Part("text", text, Locator(page=number))
    pictures = page.pictures(limits.max_members)
    has_few_words = is_garbled or sum(map(str.isalpha, text)) < _FEWEST_LETTERS
    if not has_few_words and pictures.share < _MOSTLY:
        return
    if pictures.largest * _BYTES_A_PIXEL > limits.max_image_bytes:
        refused[number] = "a picture over the limit"
        return
    picture = page.picture(round(_FINER * side))
    if picture is not None and picture.getcolors(1) is None:  # more than one of them
        yield Part("image", picture, Locator(page=number), "page")
    elif pictures.largest and page.has_damaged_picture(limits.max_members):
        refused[number] = _DAMAGED


def tidied(raw: str) -> tuple[str, bool]:
    """The text of a page as it is read, and whether its fonts do not tell the letters of much of it.

    Words that a hyphen divides at the end of a line are whole again.
    """
    text = raw.replace("\r\n", "\n").replace("\r", "\n")
    text, garbled = _NO_LETTERS.subn(" ", text)
    is_garbled = garbled > _MOST_GARBLED * len(text)
    # In such fonts the number of the hyphen stands for any letter.
    text = _HYPHENS.sub(" " if is_garbled else "", text)
    return blank_noise(text.translate(_LIGATURES)), is_garbled


def _breaks_off(file: OpenFile) -> bool:
    file.stream.seek(max(0, file.size - _END_WITHIN), os.SEEK_SET)
    return b"startxref" not in file.stream.read(_END_WITHIN)
