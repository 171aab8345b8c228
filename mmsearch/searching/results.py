"""What a search answers: hits, and what is known beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from mmsearch.files.times import in_local_time
from mmsearch.records import Filters, Modality
from mmsearch.searching.explanations import Explanation
from mmsearch.searching.query import Query, Sort


@dataclass(frozen=True)
class Moment:
    """A stretch of a film or of sound that answers a query: from–to in seconds, and its score."""

    time: tuple[float, float]
    score: float = field(metadata={"digits": 4})


@dataclass(frozen=True)
class Suggestion:
    """A word as it was `typed`, the word of the library that it may be meant for, and the whole `text` with that."""

    typed: str
    instead: str
    text: str


@dataclass(frozen=True)
class NamedPeriod:
    """A period that a text of a query names: the words for it, `when`; from when (`after`) to when (`before`) it lasts;
    how many `files` of those that pass the filters are of it; the text as it was `typed`, and `text` without the words.
    """

    when: str
    after: datetime
    before: datetime
    files: int
    typed: str
    text: str


@dataclass(frozen=True)
class Hit:
    """A file that answers a query, at its best place; docs/json.md tells each field.

    `id` is the digest of its content in hex. `path` can be opened as it is; bytes of a name that are no UTF-8 are lone
    surrogates, as `os.fsdecode` makes them. `available` is False where there is nothing at present, or the system does
    not say within a second: the file is on a drive that is away, or is gone. A file in an `archive` is called `member`
    there, with slashes between folders. `copies` are the paths of other files of
    the same content that pass the filters, where these are no hits of their own; `companions` are those of files that
    are the same photo and lie beside it under its name: its RAW photo, the film of a live photo. `moments` are others
    than that best place at which a film or a recording answers the query too, best first. `group` is what it has in
    common with the hits beside it, where they are grouped. `channels` have found it: `words`, and the modality of the
    vector that is near. Where words have, `words_as` tells which: `typed`, or `english` for those that the query was
    read as. `explanation` says more of that, where it was asked for. `match` is where in the
    snippet those of the query's words stand together that tell most: characters from (included), to (excluded).
    """

    rank: int
    id: str
    path: str
    type: str
    score: float = field(metadata={"digits": 4})
    similarity: float = field(metadata={"digits": 4})
    width: int | None
    height: int | None
    bytes: int
    modified: str
    taken: str | None
    source: str
    snippet: str | None
    line: int | None
    offset: int | None
    page: int | None
    time: tuple[float, float] | None
    region: tuple[float, float, float, float] | None
    part_name: str | None
    available: bool
    copies: tuple[str, ...] = ()
    camera: str | None = None
    lens: str | None = None
    focal_length: float | None = None
    iso: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    place: str | None = None
    rating: int | None = None
    title: str | None = None
    keywords: tuple[str, ...] = ()
    description: str | None = None
    moments: tuple[Moment, ...] = ()
    companions: tuple[str, ...] = ()
    archive: str | None = None
    member: str | None = None
    channels: tuple[str, ...] = ()
    group: str | None = None
    words_as: str | None = None
    explanation: Explanation | None = None
    match: tuple[int, int] | None = None

    @property
    def match_line(self) -> int | None:
        """The line on which the words of the query stand in a text, else that on which its passage begins."""
        if self.line is None or self.snippet is None or self.match is None:
            return self.line
        return self.line + self.snippet.count("\n", 0, self.match[0])

    @property
    def moment(self) -> str:
        """When it was taken, else modified: a local time to the second, ISO 8601."""
        return moment_of(self.modified, self.taken)


@dataclass(frozen=True)
class SearchResult:
    """The hits of one query, best first; `elapsed_ms` is wall time in milliseconds, model loading included.

    `total` counts the files that answer, or those of them that are known of where it is not `total_exact`; the first
    `offset` of them are left out; copies count once, unless each is a hit. `thresholds` holds, per modality searched,
    the score below which a hit is left out. `nearest` is the best of what was left out where nothing answers: its rank
    is 0. `suggestions` are words of the library that may be meant by some that nothing holds and no language knows;
    what was searched is what was typed. `period` is one that the query names, by which it does not choose. `state` is
    the number of the library's state that this is the answer at, and
    `troubles` what was wrong with derived files that had to be done without.
    """

    query: Query
    model: str
    library: str
    elapsed_ms: float = field(metadata={"digits": 1})
    total: int
    total_exact: bool
    offset: int
    thresholds: Mapping[Modality, float] = field(metadata={"digits": 4})
    hits: tuple[Hit, ...]
    nearest: Hit | None = None
    suggestions: tuple[Suggestion, ...] = ()
    period: NamedPeriod | None = None
    state: int = field(default=0, compare=False, metadata={"json": None})
    troubles: tuple[str, ...] = field(default=(), compare=False, metadata={"json": None})


@dataclass(frozen=True)
class ListedFile:
    """A file of a list; what it says is said of a `Hit` in the same words. `rank` is its place in the list, from 1."""

    rank: int
    id: str
    path: str
    type: str
    width: int | None
    height: int | None
    bytes: int
    modified: str
    taken: str | None
    available: bool
    copies: tuple[str, ...] = ()
    camera: str | None = None
    lens: str | None = None
    focal_length: float | None = None
    iso: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    place: str | None = None
    rating: int | None = None
    title: str | None = None
    keywords: tuple[str, ...] = ()
    description: str | None = None
    companions: tuple[str, ...] = ()
    archive: str | None = None
    member: str | None = None
    group: str | None = None

    @property
    def moment(self) -> str:
        """When it was taken, else modified: a local time to the second, ISO 8601."""
        return moment_of(self.modified, self.taken)


@dataclass(frozen=True)
class FileList:
    """A page of the files that pass some filters, the newest first (`sort` "date") or by path ("name").

    `random` is the seed by which they were drawn, where they were.

    `total` counts those of all pages, of which the first `offset` are left out. `state` is the number of the library's
    state that this is the list at.
    """

    filters: Filters
    sort: Sort
    library: str
    elapsed_ms: float = field(metadata={"digits": 1})
    total: int
    offset: int
    hits: tuple[ListedFile, ...]
    random: int | None = None
    state: int = field(default=0, compare=False, metadata={"json": None})


class LibraryMark(NamedTuple):
    """A state of a library: its id, a number that rises with all that is written, and the models that searches use."""

    library_id: str
    state: int
    model: str


def moment_of(modified: str, taken: str | None) -> str:
    """When a file was taken, else modified: a local time to the second, ISO 8601."""
    return (taken or in_local_time(datetime.fromisoformat(modified)).isoformat())[:19]
