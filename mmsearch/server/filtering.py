"""The filters that a program asks for, by the names that all skins have. No path of them is looked for on the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mmsearch.errors import Invalid
from mmsearch.files.remote_paths import absolute_path, is_remote
from mmsearch.records import Filters

Meant = TypeVar("Meant")


def filters_of(given: Mapping[str, Any]) -> Filters:
    """What the values mean together, by name: texts and numbers, and lists of texts for what may be given many times.

    Raises:
        Invalid: one means nothing, or no time or length lies between two of them. NotFound: no city is called so.
    """
    from mmsearch.searching.details import parse_near, parse_places, parse_rating, parse_seconds, parse_words
    from mmsearch.searching.periods import narrowed, parse_period
    from mmsearch.searching.query import parse_date, parse_extension

    def meant(name: str, parse: Callable[[str], Meant]) -> Meant | None:
        written = given.get(name)
        return None if written is None else parse(written)

    after, before = meant("after", parse_date), meant("before", parse_date)
    if after is not None and before is not None and after >= before:
        raise Invalid("No time lies between `after` and `before`; `before` is the later one.")
    when = meant("when", parse_period)
    if when is not None:
        after, before = narrowed(when, after, before, ("`when`", "`after`", "`before`"))
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
    if is_remote(os.fsencode(written)):
        return os.fsencode(absolute_path(written))
    path = os.path.expanduser(written)
    if not os.path.isabs(path):
        raise Invalid(f"{written[:200]!r} is no absolute path; give one as `path` of a hit or `roots` of status have.")
    return os.fsencode(os.path.normpath(path))
