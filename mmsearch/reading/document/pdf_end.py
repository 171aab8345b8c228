"""An end for a PDF that breaks off: what a whole one says at its end, made of what there is."""

from __future__ import annotations

import re

_OBJECT = re.compile(rb"\b(\d{1,9})[ \t\r\n]+(\d{1,5})[ \t\r\n]+obj\b")
# So much of an object is looked at: its dictionary comes first.
_LOOKED_AT = 600
_END_OF_DICTIONARY = re.compile(rb"\bstream\b|\bendobj\b")
_CATALOG = re.compile(rb"/Type\s*/Catalog\b")
_PAGE = re.compile(rb"/Type\s*/Page\b")
_MOST_PAGES = 10_000


def with_an_end(data: bytes) -> bytes | None:
    """The file with a trailer that names its catalogue; where that is lost, with one of all pages that are there.

    None where there is neither.
    """
    catalogue = None
    pages: dict[int, bytes] = {}
    for found in _OBJECT.finditer(data):
        start = _END_OF_DICTIONARY.split(data[found.end() : found.end() + _LOOKED_AT], maxsplit=1)[0]
        if _CATALOG.search(start):
            catalogue = b"%d %d R" % (int(found[1]), int(found[2]))
        elif _PAGE.search(start) and len(pages) < _MOST_PAGES:
            pages[int(found[1])] = b"%d %d R" % (int(found[1]), int(found[2]))
    if catalogue is not None:
        return data + b"\nendobj\ntrailer\n<< /Root %s >>\n%%%%EOF\n" % catalogue
    if not pages:
        return None
    number = max(int(found[1]) for found in _OBJECT.finditer(data)) + 1
    return data + (
        b"\nendobj\n%d 0 obj\n<< /Type /Pages /Count %d /Kids [%s] >>\nendobj\n"
        b"%d 0 obj\n<< /Type /Catalog /Pages %d 0 R >>\nendobj\ntrailer\n<< /Root %d 0 R >>\n%%%%EOF\n"
        % (number, len(pages), b" ".join(pages.values()), number + 1, number, number + 1)
    )
