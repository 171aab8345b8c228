"""Office Open XML: documents of Word, PowerPoint and Excel since 2007, and of the programs that write the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mmsearch.files.zip_directory import MAGIC as ZIP_MAGIC
from mmsearch.reading.document import compound_file
from mmsearch.reading.document.open_packaging import relations_of
from mmsearch.reading.document.pages import Page, reading_of
from mmsearch.reading.document.sheets import sheet_pages
from mmsearch.reading.document.slides import slide_pages
from mmsearch.reading.document.word import word_pages
from mmsearch.reading.document.zipped import Package
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reading, UnreadableFile

# Where the main part lies, whatever the name of the file says.
_MAIN: tuple[tuple[str, Callable[[Package, str], Iterator[Page]]], ...] = (
    ("word/document.xml", word_pages),
    ("ppt/presentation.xml", slide_pages),
    ("xl/workbook.xml", sheet_pages),
)


def read_open_xml(file: OpenFile, side: int) -> Reading:
    """The pages, slides or sheets of the document.

    Raises UnreadableFile as `document.read_document` does.
    """
    if not file.head.startswith(ZIP_MAGIC):
        # A document with a password is a compound file, with the package in it.
        is_locked = compound_file.CompoundFile(file.stream, file.size).is_locked
        raise UnreadableFile("encrypted" if is_locked else "not the kind of document that its name says")

    def pages(trouble: list[str]) -> Iterator[Page]:
        package = Package(file, trouble)
        main = _main_part(package)
        folder = main.partition("/")[0].lower()
        find = next((find for usual, find in _MAIN if usual.startswith(f"{folder}/")), None)
        if find is None:
            raise UnreadableFile(trouble[0] if trouble else "not the kind of document that its name says")
        yield from find(package, main)

    return reading_of(file, side, pages)


def _main_part(package: Package) -> str:
    named = [name for name in relations_of(package, "").of_kind("officeDocument") if name in package]
    return next(iter(named), None) or next((usual for usual, _ in _MAIN if usual in package), "")
