"""Web pages that were saved with their pictures into one zip, as calibre (.htmlz) and browsers (.maff) do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mmsearch.reading.document.html_pages import resolved, web_page
from mmsearch.reading.document.pages import Page, Picture, reading_of
from mmsearch.reading.document.zipped import Package
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reading, UnreadableFile

_PAGES = (".html", ".htm", ".xhtml")


def read_zipped_html(file: OpenFile, side: int) -> Reading:
    """A page for each web page in it. Raises UnreadableFile as `document.read_document` does."""
    return reading_of(file, side, lambda trouble: _pages(Package(file, trouble)))


def _pages(package: Package) -> Iterator[Page]:
    names = [name for name in package.names if name.lower().endswith(_PAGES)]
    for number, name in enumerate(names, start=1):
        try:
            page = web_page(package.read(name))
        except UnreadableFile as error:
            package.trouble.append(error.reason)
            continue
        members = [one for one in (resolved(name, place) for place in page.pictures) if one in package]
        pictures = tuple(Picture(one, partial(package.read, one)) for one in members)
        yield Page(page.text, number, page.heading, pictures)
