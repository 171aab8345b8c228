"""A toy medium: an album is a file of pages, each with words and a picture. All that a new medium takes is such a
module, and its READER among the readers.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

from mmsearch.reading import OpenFile, Reader, Reading, UnreadableFile
from mmsearch.records import FileFacts, Locator, Part

MAGIC = b"ALBUM\0\n"


def write_album(path: Path, pages: list[tuple[str, Path | None]]) -> None:
    """Writes pages of words, some with a picture in their lower half."""
    lines = [
        json.dumps({"words": words, "picture": base64.b64encode(picture.read_bytes()).decode() if picture else None})
        for words, picture in pages
    ]
    path.write_bytes(MAGIC + "\n".join(lines).encode())


def read_album(file: OpenFile, side: int) -> Reading:
    lines = file.stream.read()[len(MAGIC) :].splitlines()
    return Reading(FileFacts(pages=len(lines)), parts_of(lines))


def parts_of(lines: list[bytes]) -> Iterator[Part]:
    from PIL import Image

    for number, line in enumerate(lines, start=1):
        try:
            page = json.loads(line)
        except ValueError:
            raise UnreadableFile("damaged album") from None
        yield Part("text", page["words"], Locator(page=number))
        if page["picture"]:
            picture = Image.open(io.BytesIO(base64.b64decode(page["picture"]))).convert("RGB")
            yield Part("image", picture, Locator(page=number, region=(0.0, 0.5, 1.0, 1.0)), "embedded")


READER = Reader(
    medium="album",
    version=1,
    extensions=frozenset({".album"}),
    is_surely=lambda head: head.startswith(MAGIC),
    may_be=lambda head, extension: False,
    mismatch=lambda head: "not an album",
    max_bytes=100_000_000,
    read=read_album,
)
