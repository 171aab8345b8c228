"""The options of `mmsearch search` that filter, and what they mean together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mmsearch.errors import Invalid, NotFound, Remedy

if TYPE_CHECKING:
    from datetime import datetime

    from mmsearch.client import Client
    from mmsearch.library import Library
    from mmsearch.records import Filters, Near
    from mmsearch.searching.periods import Period

Written = TypeVar("Written")
Meant = TypeVar("Meant")

OnlyOption = Annotated[
    str | None,
    typer.Option("--type", metavar="TYPE", help="Only this type of file: image, document, video, audio or text."),
]
FolderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--in",
        metavar="DIR",
        help="Only files below this folder, or those that a pattern names: '~/Pictures/20*' (repeatable).",
    ),
]
NotInOption = Annotated[
    list[str] | None,
    typer.Option(
        "--not-in",
        metavar="DIR",
        help="No files below this folder, or those that a pattern names: '**/drafts' (repeatable).",
    ),
]
ExtOption = Annotated[
    list[str] | None,
    typer.Option(metavar="EXT", help="Only files of this extension: jpg, or jpg,png (repeatable)."),
]
WhenOption = Annotated[
    str | None,
    typer.Option(
        metavar="PERIOD",
        help="Only what was taken (else modified) in that time: 2019, 'july 2019', 'summer 2019', 'christmas 2018', "
        "2015..2018, 'since 2024', 'before 2019', 1990s, yesterday, 'last summer', 'next week', '3 weeks ago'.",
    ),
]
AfterOption = Annotated[
    str | None,
    typer.Option(
        metavar="DATE",
        help="Only what was taken (else modified) then or later: 2024, 2024-05-31, 'last week' (from its beginning).",
    ),
]
BeforeOption = Annotated[str | None, typer.Option(metavar="DATE", help="Only what was taken (else modified) earlier.")]
CameraOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Only photos by a camera with this in its name: iphone, eos 5d.")
]
LensOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Only photos through a lens with this in its name.")
]
NearOption = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE[,KM]",
        help="Only photos taken within 25 km (or KM) of a city or of a latitude and longitude: Lisbon, Lisbon,5, "
        "38.7,-9.1,5.",
    ),
]
PlaceOption = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Only photos to which this city is the nearest, or taken in this country."),
]
RatingOption = Annotated[int | None, typer.Option(metavar="N", help="Only photos with at least so many stars: 1 to 5.")]
KeywordOption = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", help="Only photos with a keyword that has these words (repeatable: with all)."),
]
LongerOption = Annotated[
    str | None, typer.Option(metavar="SECONDS", help="Only what plays longer than this: 90, or 1:30.")
]
ShorterOption = Annotated[str | None, typer.Option(metavar="SECONDS", help="Only what plays shorter than this.")]


@dataclass(frozen=True)
class TypedFilters:
    """The values of those options as they are typed; `times` are those of --after and --before, `lengths` of --longer
    and --shorter.
    """

    only: str | None = None
    folders: Sequence[str] = ()
    not_folders: Sequence[str] = ()
    extensions: Sequence[str] = ()
    times: tuple[str | None, str | None] = (None, None)
    when: str | None = None
    camera: str | None = None
    lens: str | None = None
    near: str | None = None
    place: str | None = None
    rating: int | None = None
    keywords: Sequence[str] = ()
    lengths: tuple[str | None, str | None] = (None, None)


def filters_of(library: Library | Client, typed: TypedFilters) -> Filters:
    """The filters that are typed: a type, folders or patterns of them, extensions, times, and what photos say.

    Raises:
        NotFound: a folder that is not there, or of which the library has nothing; a city that is not known. Invalid:
            what is none of these, or two times or lengths with none between them.
    """
    from mmsearch.records import Filters
    from mmsearch.searching.details import parse_places, parse_rating, parse_seconds, parse_words
    from mmsearch.searching.query import parse_extension, parse_folder, parse_medium

    lengths = typed.lengths
    after, before = _times(typed)
    longer, shorter = (_if_given(length, parse_seconds) for length in lengths)
    if longer is not None and shorter is not None and longer >= shorter:
        raise Invalid(
            f"No length lies between --longer {lengths[0]} and --shorter {lengths[1]}; --shorter is the longer one."
        )
    return Filters(
        medium=_if_given(typed.only, parse_medium),
        folders=tuple(
            name for folder in typed.folders for held in _held(library, folder, "--in") for name in parse_folder(held)
        ),
        not_folders=tuple(
            name
            for folder in typed.not_folders
            for held in _held(library, folder, "--not-in", may_be_none=True)
            for name in parse_folder(held)
        ),
        extensions=tuple(name for extension in typed.extensions for name in parse_extension(extension)),
        after=after,
        before=before,
        camera=_if_given(typed.camera, parse_words),
        lens=_if_given(typed.lens, parse_words),
        near=_if_given(typed.near, _near),
        places=_if_given(typed.place, parse_places) or (),
        rating=_if_given(typed.rating, parse_rating),
        keywords=tuple(map(parse_words, typed.keywords)),
        longer=longer,
        shorter=shorter,
    )


def _if_given(written: Written | None, parse: Callable[[Written], Meant]) -> Meant | None:
    return None if written is None else parse(written)


def _times(typed: TypedFilters) -> tuple[datetime | None, datetime | None]:
    """From when to when, by dates and a period together."""
    from mmsearch.searching.periods import narrowed
    from mmsearch.searching.query import parse_date

    times = typed.times
    after, before = (_if_given(time, parse_date) for time in times)
    if after is not None and before is not None and after >= before:
        raise Invalid(f"No time lies between --after {times[0]} and --before {times[1]}; --before is the later one.")
    when = _if_given(typed.when, _period)
    if when is None:
        return after, before
    return narrowed(when, after, before, ("--when", "--after", "--before"))


def _period(written: str) -> Period:
    """The period, of which it is said when it is where that was written in words."""
    from mmsearch import output
    from mmsearch.searching.periods import parse_period

    period = parse_period(written)
    if any(letter.isalpha() for letter in written):
        output.say(f"{output.visible(written)} is {period.dates}.")
    return period


def _near(written: str) -> Near:
    """The place, of which it is said what else is called so."""
    from mmsearch import output
    from mmsearch.searching.details import parse_near

    near, others = parse_near(written)
    if others:
        more = "; ".join(others[:3]) + ("; …" if len(others) > 3 else "")
        output.say(f"near {near.name}, the largest that is called so; others are {more}.")
    return near


def _held(library: Library | Client, typed: str, option: str, may_be_none: bool = False) -> list[str]:
    """The folders that are meant, as far as the library has something of them; it may have none of any."""
    from mmsearch.searching.query import folders_called

    if not typed:
        raise Invalid("An empty path names no folder; write . for the current one.")
    called = folders_called(typed)
    held = [folder for folder in called if library.holds(folder)]
    if held or (may_be_none and os.path.lexists(called[0])):
        return held
    if not os.path.lexists(called[0]):
        raise NotFound(
            f"{typed} does not exist, and nothing of it is in the library; check the path given to {option}."
        )
    raise NotFound(f"Nothing of {typed} is in the library", Remedy("index"))
