"""A picture file → the picture a person sees. What reads it is imported when there is one to be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mmsearch.reading.image_formats import (
    CORE_EXTENSIONS,
    OPTIONAL,
    READABLE_NAMES,
    is_read_here,
    likely_format,
    sure_format,
    way_of_reading,
)
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reader, Reading
from mmsearch.reading.text_encoding import looks_like_text
from mmsearch.records import Details, Locator

if TYPE_CHECKING:
    from PIL.Image import Image

# Files that may have several pages: of these the first alone was looked at once.
_PAGED = (".tif", ".tiff")


def _read_image(file: OpenFile, side: int) -> Reading:
    from mmsearch.reading.image_reading import read_image

    return read_image(file, side)


def _read_details(file: OpenFile) -> Details:
    from mmsearch.reading.image_reading import read_details

    return read_details(file)


def _picture(file: OpenFile, place: Locator, side: int) -> Image | None:
    from mmsearch.reading.image_reading import picture_of_page

    return picture_of_page(file, place.page or 1, side)


def _is_surely_image(head: bytes) -> bool:
    name = sure_format(head)
    return name is not None and is_read_here(name)


def _may_be_image(head: bytes, extension: str) -> bool:
    name = likely_format(head, extension)
    return name is not None and is_read_here(name)


def _installed() -> tuple[str, ...]:
    return tuple(sorted(optional.extra for name, optional in OPTIONAL.items() if is_read_here(name)))


def _wanting() -> Mapping[str, str]:
    missing = [optional for name, optional in OPTIONAL.items() if not is_read_here(name)]
    return {extension: optional.extra for optional in missing for extension in optional.extensions}


def _extensions() -> frozenset[str]:
    return CORE_EXTENSIONS.union(*(one.extensions for name, one in OPTIONAL.items() if is_read_here(name)))


def _not_an_image(head: bytes) -> str:
    name = sure_format(head)
    if name in OPTIONAL:
        return f"not an image: {READABLE_NAMES.get(name, name)} inside"
    if looks_like_text(head):
        is_page = re.match(rb"\s*(?:<!doctype html|<html)", head.lstrip(b"\xef\xbb\xbf"), re.I)
        return f"not an image: {'a web page' if is_page else 'text'} inside"
    import filetype

    kind = filetype.guess(head)
    return f"not an image: {kind.extension.upper()} data inside" if kind else "not an image: no known picture format"


READER = Reader(
    medium="image",
    version=2,
    extensions=_extensions(),
    is_surely=_is_surely_image,
    may_be=_may_be_image,
    mismatch=_not_an_image,
    max_bytes=512_000_000,
    read=_read_image,
    versions=dict.fromkeys(_PAGED, 3),
    way_of_reading=way_of_reading,
    installed=_installed,
    wanting=_wanting,
    details=_read_details,
    details_version=1,
    picture=_picture,
)
