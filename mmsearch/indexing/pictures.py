"""Some pictures of a folder or of a library, decoded: to compare models with."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from mmsearch.errors import NotFound, Remedy
from mmsearch.indexing.roots import absolute
from mmsearch.indexing.walking import FoundFile, WalkRules, walk
from mmsearch.reading import UnreadableFile, picture_in

if TYPE_CHECKING:
    from PIL.Image import Image

# In pixels: no model of the known ones sees more.
COMPARED_SIDE = 384


def pictures_at(paths: Iterable[bytes], most: int) -> list[Image]:
    """The first so many of these files that are pictures, as an encoder takes them."""
    found: list[Image] = []
    for path in paths:
        if len(found) == most:
            break
        with suppress(UnreadableFile):
            picture = picture_in(path, COMPARED_SIDE)
            if picture is not None:
                found.append(picture)
    return found


def pictures_in(folder: str, most: int = 32) -> list[Image]:
    """Up to so many pictures of a folder, as an encoder takes them.

    Raises:
        NotFound: there are none.
    """
    paths = sorted(found.path for found in walk(absolute(folder), WalkRules()) if isinstance(found, FoundFile))
    pictures = pictures_at(paths, most)
    if not pictures:
        raise NotFound(f"There are no pictures in {folder}", Remedy("photos"))
    return pictures
