"""What duplicates are told as, and which file of a group is to be kept, and why."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from mmsearch.files.member_paths import is_member_path
from mmsearch.files.paths import extension_of
from mmsearch.files.times import in_utc
from mmsearch.records import Filters, FoundItem
from mmsearch.searching.results import moment_of

# One content in several files; one picture in several forms; one text in several forms or with small edits; photos of
# one subject within a minute.
DuplicateClass = Literal["bytes", "picture", "text", "shots"]
DUPLICATE_CLASSES: tuple[DuplicateClass, ...] = ("bytes", "picture", "text", "shots")
# Formats in which a text is written on, with all that belongs to it; and plain text, which loses some of it.
_WRITTEN_ON = frozenset(
    {".doc", ".docx", ".docm", ".odt", ".ott", ".rtf", ".ppt", ".pptx", ".odp", ".xls", ".xlsx", ".ods"}
    | {".md", ".markdown", ".rst", ".adoc", ".org", ".tex", ".ipynb"}
)
_PLAIN = frozenset({".txt", ".text"})


@dataclass(frozen=True)
class DuplicateFile:
    """A file of a group of duplicates; what it says is said of a `Hit` in the same words.

    `keep` is true for the one of the group that is proposed to be kept. `similarity` is the cosine with that one, 1 for
    the same bytes; of texts it is the share of runs of three words that both have.
    """

    path: str
    keep: bool
    id: str
    type: str
    similarity: float = field(metadata={"digits": 4})
    width: int | None
    height: int | None
    bytes: int
    modified: str
    taken: str | None
    available: bool
    companions: tuple[str, ...] = ()


@dataclass(frozen=True)
class DuplicateGroup:
    """Files that are duplicates of the first of them, which is the one to keep; `why` says by what it was chosen.

    `kind` is the class: "bytes", "picture", "text" or "shots". `bytes` is what the others take.
    """

    kind: DuplicateClass = field(metadata={"json": "class"})
    why: str
    bytes: int
    files: tuple[DuplicateFile, ...]

    @property
    def others(self) -> tuple[DuplicateFile, ...]:
        """The files that need not be kept."""
        return self.files[1:]


@dataclass(frozen=True)
class Duplicates:
    """The groups of duplicates in a library: the classes one after another, in each those first that take most room.

    `total` is how many groups there are, also beyond the limit. `not_compared` counts photos that look much like
    another one, and none of whose files is there to be looked at, so that it is not known whether they are the same.
    """

    library: str
    model: str
    filters: Filters
    classes: tuple[DuplicateClass, ...]
    elapsed_ms: float = field(metadata={"digits": 1})
    total: int
    not_compared: int
    groups: tuple[DuplicateGroup, ...]


class Member(NamedTuple):
    """A file that may be one of a group, as the store knows it, whether it is there, and whether by a symbolic link."""

    item: FoundItem
    is_there: bool
    is_linked: bool = False

    @property
    def pixels(self) -> int:
        return (self.item.facts.width or 0) * (self.item.facts.height or 0)

    @property
    def format_rank(self) -> int:
        """2 for a format in which a text is written on, 0 for plain text, 1 for all between."""
        extension = extension_of(self.item.path)
        return 2 if extension in _WRITTEN_ON else int(extension not in _PLAIN)

    @property
    def moment(self) -> str:
        """When it was taken, else modified: a local time to the second, ISO 8601."""
        return moment_of(in_utc(self.item.mtime_ns), self.item.facts.taken)

    @property
    def seconds(self) -> float | None:
        """When it was taken, by the clock of the place, in seconds; None where it does not say."""
        return seconds_of(self.item.facts.taken)


class _Reason(NamedTuple):
    """Something by which one file is to be kept rather than another: the higher the value, the better."""

    value: Callable[[Member], Any]
    words: Callable[[Member], str]


# copy-of-cat.jpg, cat copy.jpg, cat - Kopie.jpg, cat (2).jpg
_COPY = re.compile(rb"(?i)(?<![a-z])(?:copy|copie|copia|kopie|kopia)(?![a-z])|\(\d+\)(?=\.|$)")
_BY_FORMAT = ("plain text", "which is more than plain text", "a format to write on in")


def _negated(text: str) -> tuple[int, ...]:
    """What is the higher, the earlier the text comes in its order."""
    return (*(-ord(letter) for letter in text), 0)


_THERE = _Reason(lambda one: one.is_there, lambda one: "there now")
_RATED = _Reason(lambda one: one.item.facts.details.rating or 0, lambda one: "the most stars")
_LARGEST = _Reason(lambda one: one.pixels, lambda one: f"the largest ({one.item.facts.width}×{one.item.facts.height})")
_TELLS = _Reason(
    lambda one: (one.item.facts.taken is not None) + (one.item.facts.details.camera is not None),
    lambda one: "says when or with what it was taken",
)
_LEAST_PACKED = _Reason(lambda one: one.item.size, lambda one: f"the least compressed ({one.item.size:,} bytes)")
_FIRST_TAKEN = _Reason(lambda one: _negated(one.moment), lambda one: "taken first")
_WRITTEN = _Reason(
    lambda one: one.format_rank,
    lambda one: f"as {extension_of(one.item.path)[1:]}, {_BY_FORMAT[one.format_rank]}",
)
_NEWEST = _Reason(lambda one: one.item.mtime_ns, lambda one: "the newest")
_OLDEST = _Reason(lambda one: -one.item.mtime_ns, lambda one: "the oldest")
_LOOSE = _Reason(lambda one: not is_member_path(one.item.path), lambda one: "in no archive")
_NO_LINK = _Reason(lambda one: not one.is_linked, lambda one: "no symbolic link")
_NO_COPY = _Reason(lambda one: not _COPY.search(os.path.basename(one.item.path)), lambda one: "not called a copy")
_FIRST = _Reason(
    lambda one: (-len(one.item.path), _negated(os.fsdecode(one.item.path))), lambda one: "the shortest path"
)
_REASONS: Mapping[DuplicateClass, Sequence[_Reason]] = {
    "bytes": (_THERE, _LOOSE, _NO_LINK, _OLDEST, _NO_COPY, _FIRST),
    "picture": (_THERE, _LARGEST, _TELLS, _LEAST_PACKED, _LOOSE, _NO_LINK, _OLDEST, _NO_COPY, _FIRST),
    "text": (_THERE, _WRITTEN, _NEWEST, _LOOSE, _NO_LINK, _NO_COPY, _FIRST),
    "shots": (_THERE, _RATED, _LARGEST, _FIRST_TAKEN, _NO_LINK, _OLDEST, _FIRST),
}


def by_preference(kind: DuplicateClass, members: Iterable[Member]) -> list[Member]:
    """The files of a class, the one first that is to be kept before all others."""
    return sorted(members, key=lambda one: tuple(reason.value(one) for reason in _REASONS[kind]), reverse=True)


def why_kept(kind: DuplicateClass, kept: Member, others: Sequence[Member]) -> str:
    """By what the first of a group is told from the others, in words."""
    said, equal = [], list(others)
    for reason in _REASONS[kind]:
        as_good = [one for one in equal if reason.value(one) == reason.value(kept)]
        if len(as_good) < len(equal):
            said.append(reason.words(kept))
        equal = as_good
    return ", ".join(said)


def stars(order: Sequence[int], near: Mapping[int, Collection[int]]) -> list[list[int]]:
    """Groups of two and more: each begins with its keeper, to which all others are near.

    `order` has the best keepers first. So that a chain of small differences makes no group, nobody is in one for being
    near to another of its members.
    """
    place = {one: number for number, one in enumerate(order)}
    taken: set[int] = set()
    groups: list[list[int]] = []
    for keeper in order:
        if keeper not in taken:
            members = sorted((one for one in near.get(keeper, ()) if one not in taken), key=place.__getitem__)
            if members:
                groups.append([keeper, *members])
                taken.update(groups[-1])
    return groups


def seconds_of(taken: str | None) -> float | None:
    """A date and time as EXIF has it, by the clock of the place, in seconds since 1970; None for none."""
    if taken is None:
        return None
    try:
        return (datetime.fromisoformat(taken[:19]) - datetime(1970, 1, 1)).total_seconds()
    except (ValueError, TypeError):
        return None
