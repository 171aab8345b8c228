"""A Jupyter notebook → its cells: what was written, not what was printed by running it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mmsearch.reading.noise import blank_noise
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reading, UnreadableFile
from mmsearch.records import FileFacts, Locator, Part

_MAX_BYTES = 64_000_000


def read_notebook(file: OpenFile, side: int) -> Reading:
    """A part for each cell with words in it, `page` being the number of the cell; `side` means nothing here."""
    if file.size > min(_MAX_BYTES, file.limits.max_member_bytes):
        raise UnreadableFile(f"notebook of {file.size:,} bytes, over the limit")
    try:
        notebook = json.loads(file.stream.read())
        # Before version 4 of the format cells lay in worksheets.
        sheets = notebook.get("worksheets") or [notebook]
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UnreadableFile("damaged notebook") from None
    parts = list(_parts(cells))
    if not parts:
        raise UnreadableFile("no text inside")
    return Reading(FileFacts(pages=len(cells)), parts)


def _parts(cells: list[Any]) -> Iterator[Part]:
    for number, cell in enumerate(cells, start=1):
        source = cell.get("source", cell.get("input", "")) if isinstance(cell, dict) else ""
        lines = source if isinstance(source, list) else [source]
        text = blank_noise("".join(line for line in lines if isinstance(line, str)).replace("\r\n", "\n"))
        if text.strip():
            yield Part("text", text, Locator(page=number))
