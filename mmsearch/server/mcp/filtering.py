"""Arguments that choose among files, and the filters that they mean. No path of them is looked for on the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mmsearch.errors import Invalid
from mmsearch.records import Filters
from mmsearch.server.mcp.arguments import Argument

Meant = TypeVar("Meant")

TYPES = ("image", "document", "video", "audio", "text")
BASIC = (
    Argument("type", "text", "Only files of this type.", choices=TYPES),
    Argument(
        "in", "texts", "Only files below these folders: absolute paths, as in `path` of hits and `roots` of status."
    ),
    Argument("ext", "texts", "Only files with these extensions: jpg, pdf."),
    Argument("after", "text", "Only what was taken (else modified) then or later: 2024, 2024-05, 2024-05-31."),
    Argument("before", "text", "Only what was taken (else modified) earlier."),
)
FILTERS = (
    *BASIC,
    Argument("not_in", "texts", "No files below these folders."),
    Argument("camera", "text", "Only photos by a camera with this in its name: iphone, eos 5d."),
    Argument("lens", "text", "Only photos through a lens with this in its name."),
    Argument(
        "near",
        "text",
        "Only photos taken within 25 km of a place, or as many as it says: Lisbon; Lisbon,5; 38.7,-9.1,5.",
    ),
    Argument("place", "text", "Only photos taken in this country, or to which this city is the nearest."),
    Argument("rating", "integer", "Only photos with at least so many stars.", least=1, most=5),
    Argument("keyword", "texts", "Only photos with all of these keywords."),
    Argument("longer", "text", "Only what plays longer than this: 90, or 1:30."),
    Argument("shorter", "text", "Only what plays shorter than this."),
)


def filters_of(given: Mapping[str, Any]) -> Filters:
    """What the arguments mean together.

    Raises:
        Invalid: one means nothing, or no time or length lies between two of them. NotFound: no city is called so.
    """
    from mmsearch.searching.details import parse_near, parse_places, parse_rating, parse_seconds, parse_words
    from mmsearch.searching.query import parse_date, parse_extension

    def meant(name: str, parse: Callable[[str], Meant]) -> Meant | None:
        written = given.get(name)
        return None if written is None else parse(written)

    after, before = meant("after", parse_date), meant("before", parse_date)
    if after is not None and before is not None and after >= before:
        raise Invalid("No time lies between `after` and `before`; `before` is the later one.")
    longer, shorter = meant("longer", parse_seconds), meant("shorter", parse_seconds)
    if longer is not None and shorter is not None and longer >= shorter:
        raise Invalid("No length lies between `longer` and `shorter`; `shorter` is the longer one.")
    near = meant("near", parse_near)
    rating = given.get("rating")
    return Filters(
        medium=given.get("type"),
        folders=tuple(map(_folder, given.get("in", ()))),
        not_folders=tuple(map(_folder, given.get("not_in", ()))),
        extensions=tuple(name for written in given.get("ext", ()) for name in parse_extension(written)),
        after=after,
        before=before,
        camera=meant("camera", parse_words),
        lens=meant("lens", parse_words),
        near=None if near is None else near.near,
        places=meant("place", parse_places) or (),
        rating=None if rating is None else parse_rating(rating),
        keywords=tuple(map(parse_words, given.get("keyword", ()))),
        longer=longer,
        shorter=shorter,
    )


def _folder(written: str) -> bytes:
    path = os.path.expanduser(written)
    if not os.path.isabs(path):
        raise Invalid(f"{written[:200]!r} is no absolute path; give one as `path` of a hit or `roots` of status have.")
    return os.fsencode(os.path.normpath(path))
