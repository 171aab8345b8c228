"""Duplicates in a library: the same bytes, the same picture or text in another form, and shots of one minute.

Pairs of pictures that lie near to each other in the model's space are held against what the classes ask for. The same
picture is what a high cosine and the pixels agree on; the pixels of these pictures alone are looked at.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from mmsearch.errors import Invalid
from mmsearch.files.paths import extension_of
from mmsearch.files.times import in_utc
from mmsearch.nearest.pairs import near_pairs
from mmsearch.nearest.spaces import ModelInUse
from mmsearch.nearest.vectors import VectorRows, blocks_after, places_in
from mmsearch.records import RAW_EXTENSIONS, Filters, FoundItem, Progress
from mmsearch.searching.calibration import stored_calibration
from mmsearch.searching.companions import Companions
from mmsearch.searching.duplicate_groups import (
    DUPLICATE_CLASSES,
    DuplicateClass,
    DuplicateFile,
    DuplicateGroup,
    Duplicates,
    Member,
    by_preference,
    stars,
    why_kept,
)
from mmsearch.searching.miniatures import Miniature, MiniatureCache, Source, miniatures_of
from mmsearch.searching.near_texts import NearTexts, Shared
from mmsearch.searching.presence import Presence
from mmsearch.searching.query import check_page
from mmsearch.searching.same_picture import Comparison
from mmsearch.searching.scoring import background_of
from mmsearch.store.place import Place
from mmsearch.store.protocol import Store

# How near two pictures must lie, as shares of the way from a cosine of unrelated pictures to 1: chosen by
# benchmarks/duplicates.py.
PICTURE_NEAR, SHOTS_NEAR = 0.85, 0.8
# Each picture is compared with so many that are nearest to it.
_NEIGHBOURS = 8
# The longest time between two shots of one subject, in seconds.
SHOTS_SECONDS = 60
# Clocks and time zones are set by quarters of an hour, up to so many seconds apart.
_ZONE_STEP, _ZONES_APART = 900, 26 * 3600
# Files are described, and looked for, so many at a time.
_AT_ONCE = 500
# Of pairs, each of which takes some milliseconds.
_PAIRS_AT_ONCE = 50


@dataclass(frozen=True)
class DuplicatesRequest:
    """Which classes of duplicates are looked for among which files; of the groups the first `limit` are given."""

    filters: Filters = field(default_factory=Filters)
    classes: tuple[DuplicateClass, ...] = DUPLICATE_CLASSES
    limit: int | None = None

    @classmethod
    def of(cls, filters: Filters | None, classes: Sequence[DuplicateClass], limit: int | None) -> DuplicatesRequest:
        """All classes where none is named.

        Raises:
            Invalid: there is no such class, or the limit is none.
        """
        for one in classes:
            if one not in DUPLICATE_CLASSES:
                raise Invalid(f"There is no class {one!r} of duplicates; it is bytes, picture, text or shots.")
        if limit is not None:
            check_page(limit, 0, "score")
        return cls(filters or Filters(), tuple(classes) or DUPLICATE_CLASSES, limit)


class _Pair(NamedTuple):
    """Two pictures, by their items, and their cosine."""

    one: int
    other: int
    cosine: float


def duplicates_in(
    place: Place,
    store: Store,
    in_use: ModelInUse,
    request: DuplicatesRequest,
    on_progress: Callable[[Progress], None],
) -> Duplicates:
    """The duplicates in the library at one state, at which the store is to be until they are found."""
    return _Finder(place, store, in_use, request, on_progress).find()


class _Finder:
    """Finds duplicates at one state of a library, which the store is to be at until they are found."""

    def __init__(
        self,
        place: Place,
        store: Store,
        in_use: ModelInUse,
        request: DuplicatesRequest,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._place = place
        self._store = store
        self._in_use = in_use
        self._request = request
        self._on_progress = on_progress
        self._presence = Presence()
        self._companions = Companions(store, request.filters)
        self._comparison = Comparison()

    def find(self) -> Duplicates:
        """The groups of all classes that are asked for."""
        started, classes = time.perf_counter(), self._request.classes
        copies = self._copies() if "bytes" in classes else []
        alike, not_compared = self._alike() if {"picture", "shots"} & set(classes) else ([], 0)
        texts = self._near_texts() if "text" in classes else []
        groups = [one for one in (*copies, *alike, *texts) if one.kind in classes]
        groups.sort(key=lambda one: (DUPLICATE_CLASSES.index(one.kind), -one.bytes, os.fsencode(one.files[0].path)))
        return Duplicates(
            library=self._place.location,
            model=self._in_use.identity.label,
            filters=self._request.filters,
            classes=tuple(one for one in DUPLICATE_CLASSES if one in classes),
            elapsed_ms=(time.perf_counter() - started) * 1000,
            total=len(groups),
            not_compared=not_compared,
            groups=tuple(groups[: self._request.limit]),
        )

    # The same bytes

    def _copies(self) -> list[DuplicateGroup]:
        contents = self._contents(self._store.copied_items(self._request.filters).tolist())
        return [
            self._group("bytes", by_preference("bytes", members), {})
            for members in contents.values()
            if len(members) > 1
        ]

    def _contents(self, item_ids: Sequence[int]) -> dict[int, list[Member]]:
        """The files of the items' contents, by item, without those that have changed since they were read.

        Of several names of one file, which links make, the first that is no link is taken.
        """
        found: dict[int, list[Member]] = {}
        for start in range(0, len(item_ids), _AT_ONCE):
            items = self._store.found_items(item_ids[start : start + _AT_ONCE], self._request.filters)
            there = self._presence.look(item.path for item in items)
            by_item: defaultdict[int, list[FoundItem]] = defaultdict(list)
            for item in items:
                by_item[item.item_id].append(item)
            for item_id, files in by_item.items():
                found[item_id] = _members(files, there)
        return found

    # Texts that are nearly the same

    def _near_texts(self) -> list[DuplicateGroup]:
        filters = self._request.filters
        if filters.medium not in (None, "text", "document"):
            return []
        near = NearTexts(self._store, self._in_use.model_id, filters, self._on_progress)
        members = self._contents(near.candidates())
        files = {item_id: by_preference("bytes", of_one)[0] for item_id, of_one in members.items() if of_one}
        pairs = near.pairs([member.item.item_id for member in by_preference("text", files.values())])
        shares = {pair[:2]: pair.share for pair in pairs}
        return [
            self._group("text", [files[item_id] for item_id in group], shares)
            for group in self._grouped("text", pairs, files)
        ]

    # Pictures that look alike

    def _alike(self) -> tuple[list[DuplicateGroup], int]:
        """Groups of the same picture and of similar shots, and how many photos could not be compared."""
        pairs = self._near_pairs()
        files = self._pictures({item_id for pair in pairs for item_id in pair[:2]})
        pairs = [pair for pair in pairs if pair.one in files and pair.other in files]
        bar, shots_bar = self._cosine(PICTURE_NEAR), self._cosine(SHOTS_NEAR)
        candidates = [
            pair for pair in pairs if pair.cosine >= bar and _may_be_one_picture(files[pair.one], files[pair.other])
        ]
        same, not_compared = self._same_pictures(candidates, files)
        pictures = self._grouped("picture", same, files)
        dropped = {item_id for group in pictures for item_id in group[1:]}
        left = [pair for pair in pairs if not dropped.intersection(pair[:2])]
        near_shots = [
            pair for pair in left if pair.cosine >= shots_bar and _are_of_one_minute(files[pair.one], files[pair.other])
        ]
        shots = self._grouped("shots", near_shots, files)
        cosines = {pair[:2]: pair.cosine for pair in pairs}
        named: tuple[tuple[DuplicateClass, list[list[int]]], ...] = (("picture", pictures), ("shots", shots))
        groups = [
            self._group(kind, [files[item_id] for item_id in group], cosines)
            for kind, of_kind in named
            for group in of_kind
        ]
        return groups, not_compared

    def _near_pairs(self) -> list[_Pair]:
        """Pictures that may be duplicates of each other."""
        filters = self._request.filters
        if filters.medium not in (None, "image"):
            return []
        self._on_progress(Progress("comparing", 0, None, "photos"))
        space = self._in_use.space("image")
        wanted = self._store.matching_items(
            replace(filters, medium="image"), space.model_id, space.modality, with_pages=False
        )
        parts = [VectorRows(wanted[:0], np.empty((0, space.identity.dimension), np.float16))]
        for rows in blocks_after(self._store, space, 0):
            is_wanted = places_in(wanted, rows.item_ids)[1]
            parts.append(VectorRows(rows.item_ids[is_wanted], rows.vectors[is_wanted]))
        all_rows = VectorRows.together(parts)
        near = near_pairs(all_rows.vectors, self._cosine(min(PICTURE_NEAR, SHOTS_NEAR)), _NEIGHBOURS)
        columns = all_rows.item_ids[near.first], all_rows.item_ids[near.second], near.cosines
        return [_Pair(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def _cosine(self, share: float) -> float:
        """The cosine that is that share of the way from unrelated pictures to 1: models differ in where these lie."""
        known = stored_calibration(self._store, self._in_use.identity, self._in_use.query_bank)
        mean = background_of(known or {}, "image", "image").mean
        return mean + share * (1 - mean)

    def _pictures(self, item_ids: Iterable[int]) -> dict[int, Member]:
        """The file that stands for each picture; not for RAW photos for which a picture beside them stands, and not for
        what has more pages than that one.
        """
        found: dict[int, Member] = {}
        for item_id, members in self._contents(sorted(item_ids)).items():
            if members and members[0].item.locator.page is None:
                first = by_preference("bytes", members)[0]
                if not self._companions.pictures_of([first.item.path]):
                    found[item_id] = first
        return found

    def _same_pictures(self, pairs: Sequence[_Pair], files: Mapping[int, Member]) -> tuple[list[_Pair], int]:
        """Those of the pairs whose pixels agree, and how many pictures there are whose pixels are not to be had."""
        items = {item_id: files[item_id].item for pair in pairs for item_id in pair[:2]}
        sources = {item.digest: [Source(item.path, item.size, item.mtime_ns)] for item in items.values()}
        seen = miniatures_of(
            sources,
            MiniatureCache(self._place.folder),
            self._presence,
            lambda done: self._on_progress(Progress("looking at", done, len(sources), "photos")),
        )
        same = []
        for number, pair in enumerate(pairs):
            if number % _PAIRS_AT_ONCE == 0:
                self._on_progress(Progress("comparing", number, len(pairs), "pairs of photos"))
            if _fits(items[pair.one], items[pair.other], seen, self._comparison):
                same.append(pair)
        return same, len(sources.keys() - seen.keys())

    def _grouped(
        self, kind: DuplicateClass, pairs: Sequence[_Pair | Shared], files: Mapping[int, Member]
    ) -> list[list[int]]:
        """Groups of items, each with its keeper first."""
        near: defaultdict[int, set[int]] = defaultdict(set)
        for pair in pairs:
            near[pair.one].add(pair.other)
            near[pair.other].add(pair.one)
        order = by_preference(kind, (files[item_id] for item_id in near))
        return stars([member.item.item_id for member in order], near)

    def _group(
        self, kind: DuplicateClass, members: Sequence[Member], similarities: Mapping[tuple[int, int], float]
    ) -> DuplicateGroup:
        """A group of files, the first of which is to be kept."""
        kept, *others = members

        def described(member: Member) -> DuplicateFile:
            item, first = member.item, kept.item.item_id
            key = (min(first, item.item_id), max(first, item.item_id))
            return DuplicateFile(
                path=os.fsdecode(item.path),
                keep=member is kept,
                id=item.digest.hex(),
                type=item.medium,
                similarity=similarities.get(key, 1.0),
                width=item.facts.width,
                height=item.facts.height,
                bytes=item.size,
                modified=in_utc(item.mtime_ns),
                taken=item.facts.taken,
                available=member.is_there,
                companions=tuple(os.fsdecode(path) for path in self._companions.of(item.path)),
            )

        size = sum(member.item.size for member in others)
        return DuplicateGroup(kind, why_kept(kind, kept, others), size, tuple(map(described, members)))


def _members(files: Sequence[FoundItem], there: Mapping[bytes, os.stat_result | None]) -> list[Member]:
    """The files of one content that are as they were, each once, and those that are away."""
    members: list[Member] = []
    known: set[tuple[int, int]] = set()
    linked = {item.path: _is_linked(item.path, there[item.path]) for item in files}
    for item in sorted(files, key=lambda one: (linked[one.path], one.path)):
        status = there[item.path]
        if status is None:
            members.append(Member(item, False))
        elif (status.st_dev, status.st_ino) not in known and Source(item.path, item.size, item.mtime_ns).is_as_it_was(
            status
        ):
            known.add((status.st_dev, status.st_ino))
            members.append(Member(item, True, linked[item.path]))
    return members


def _is_linked(path: bytes, status: os.stat_result | None) -> bool:
    """Whether the path leads through a link to a file that is there."""
    return status is not None and os.path.realpath(path) != path


def _is_raw(member: Member) -> bool:
    return extension_of(member.item.path) in RAW_EXTENSIONS


def _may_be_one_picture(one: Member, other: Member) -> bool:
    """Whether nothing that the files say speaks against it.

    A RAW photo is no double of what was developed from it, and what was taken at another second is another photo: a
    clock that was set, or a time zone, makes quarters of an hour.
    """
    if _is_raw(one) != _is_raw(other):
        return False
    if one.seconds is None or other.seconds is None:
        return True
    apart = abs(one.seconds - other.seconds)
    return apart % _ZONE_STEP == 0 and apart <= _ZONES_APART


def _are_of_one_minute(one: Member, other: Member) -> bool:
    if one.seconds is None or other.seconds is None or _is_raw(one) != _is_raw(other):
        return False
    return abs(one.seconds - other.seconds) <= SHOTS_SECONDS


def _fits(one: FoundItem, other: FoundItem, seen: Mapping[bytes, Miniature], comparison: Comparison) -> bool:
    """Whether the pixels of two pictures agree."""
    if one.digest not in seen or other.digest not in seen:
        return False
    return comparison.fit((one.digest, seen[one.digest]), (other.digest, seen[other.digest])).is_same
