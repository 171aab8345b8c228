"""A contact sheet: the hits of a search with small pictures, as one web page or one picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mmsearch.errors import Invalid, NotFound, Refused, Unavailable
from mmsearch.files.regular import check_regular
from mmsearch.files.replacing import replacing
from mmsearch.output.overwriting import is_signed
from mmsearch.output.thumbnails import Thumbnail, thumbnail
from mmsearch.records import Progress
from mmsearch.searching.results import FileList, Hit, ListedFile, SearchResult

# By which a contact sheet is known again, near the beginning of its file.
SIGN = "mmsearch contact sheet"
# The size of a thumbnail in pixels, at most: on a web page screens have twice as many for one.
HTML_SIZE, PNG_SIZE = (480, 360), (240, 180)
# A PNG is in memory as a whole.
MOST_IN_A_PNG = 1_000


class Drawn(NamedTuple):
    """A hit, and what is drawn of it."""

    hit: Hit | ListedFile
    thumbnail: Thumbnail


def check_contact_sheet(path: str) -> None:
    """Whether a contact sheet may be written there, before anything is looked for.

    Raises:
        Invalid: it is named neither as a web page nor as a PNG. NotFound: its folder is not there. Refused: something
            else than a contact sheet is there.
    """
    target = _target(path)
    check_regular(target)
    if not os.path.isdir(os.path.dirname(target)):
        raise NotFound(f"There is no folder {os.path.dirname(target)}; make it, or choose another contact sheet.")
    if os.path.lexists(target) and not is_signed(target, SIGN):
        raise Refused(f"{target} is no contact sheet of mmsearch and is not overwritten; choose another file.")


def write_contact_sheet(
    result: SearchResult | FileList,
    path: str,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    draw: Callable[[Hit | ListedFile, tuple[int, int]], Thumbnail] = thumbnail,
) -> None:
    """Writes the hits to `path`, in one step; like a library it is readable by its owner alone.

    `draw` is what draws a hit in a box of some pixels.

    Raises:
        Invalid: there are more hits than a PNG holds. Unavailable: it cannot be written. Others as
            `check_contact_sheet` does.
    """
    check_contact_sheet(path)
    target = _target(path)
    is_png = target.lower().endswith(".png")
    if is_png and len(result.hits) > MOST_IN_A_PNG:
        raise Invalid(f"A PNG holds no more than {MOST_IN_A_PNG:,} hits; choose a contact sheet that ends in .html.")

    def drawn() -> Iterator[Drawn]:
        hits: tuple[Hit | ListedFile, ...] = result.hits
        for number, hit in enumerate(hits):
            on_progress(Progress("drawing", number, len(result.hits), "files"))
            yield Drawn(hit, draw(hit, PNG_SIZE if is_png else HTML_SIZE))

    try:
        with replacing(target, in_any_folder=True) as temporary, open(temporary, "wb") as file:
            if is_png:
                from mmsearch.output.contact_png import write_png

                write_png(file, drawn(), len(result.hits))
            else:
                from mmsearch.output.contact_html import write_html

                write_html(file, drawn(), result)
    except OSError as error:
        raise Unavailable(f"The contact sheet {target} cannot be written ({error.strerror}).") from error


def _target(path: str) -> str:
    if not path.lower().endswith((".html", ".htm", ".png")):
        raise Invalid(f"A contact sheet is a web page or a PNG; end {path!r} in .html or .png.")
    return os.path.abspath(os.path.expanduser(path))
