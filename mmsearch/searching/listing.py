"""Files by filters alone: no model is asked."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace

from mmsearch.files.paths import with_parents
from mmsearch.files.remote_paths import is_remote
from mmsearch.files.times import in_utc
from mmsearch.nearest.recent import Recent
from mmsearch.records import Filters, FoundItem, Listing
from mmsearch.searching.companions import Companions
from mmsearch.searching.presence import Presence, packed_in
from mmsearch.searching.results import ListedFile
from mmsearch.store.protocol import Store

BLOCK = 6_000
_BLOCKS_KEPT = 8
# Where copies are away it is looked at so many files more, and each time at four times as many, up to a block.
_FIRST_AHEAD = 200

# The first item and the path of each file of a page, and how many files there are on all pages.
Page = tuple[Sequence[tuple[int, bytes]], int]
_OfState = tuple[Hashable, tuple[int, ...], Filters]


class ListPages:
    """Pages of lists by filters. Shared by threads.

    For each page the store puts all files in order. Who asks for a second one of a list goes on through it, and gets it
    out of a block of pages that is kept.

    Of copies one is shown that is there, and that one has its place in the list. Which are away is looked at for the
    files of a page alone, and of those before it as long as nobody has.
    """

    def __init__(self) -> None:
        self._blocks: Recent[Hashable, Page] = Recent(_BLOCKS_KEPT)
        self._last: Hashable = None
        self._placed: Recent[Hashable, _Placed] = Recent(_BLOCKS_KEPT)

    def page(
        self,
        store: Store,
        presence: Presence,
        state: Hashable,
        model_ids: Sequence[int],
        filters: Filters,
        listing: Listing,
    ) -> Page:
        """The page of the files that those models have encoded and that pass the filters.

        `state` is that of the library, which the store is at.
        """
        of_state = state, tuple(model_ids), filters
        if listing.copies or listing.seed is not None:
            return self._ordered(store, of_state, listing)
        placed = self._placed.get((of_state, listing.by_date), _Placed)
        away, known = placed.at
        if not presence.is_still_empty(away):
            away, known = (), 0
        first, end, ahead = min(known, listing.offset), listing.offset + listing.limit, 0
        while True:
            wanted = listing._replace(offset=first, limit=end + ahead - first, away=away)
            rows, total = self._ordered(store, of_state, wanted)
            more = _away_among(store, presence, filters, rows, away)
            if not more:
                break
            away, ahead = (*away, *more), min(max(_FIRST_AHEAD, 4 * ahead), BLOCK)
        placed.at = away, max(known, end + ahead)
        return rows[listing.offset - first : end - first], total

    def _ordered(self, store: Store, of_state: _OfState, listing: Listing) -> Page:
        """The page as the store puts it in order."""
        _, model_ids, filters = of_state
        every = of_state, listing._replace(offset=0, limit=BLOCK)
        is_first, self._last = self._last != every, every
        if is_first or listing.limit > BLOCK:
            return store.list_files(model_ids, filters, listing)

        def block(begin: int) -> Page:
            asked = listing._replace(offset=begin, limit=BLOCK)
            return self._blocks.get((every, begin), lambda: store.list_files(model_ids, filters, asked))

        begin, end = listing.offset // BLOCK * BLOCK, listing.offset + listing.limit
        rows, total = block(begin)
        if begin + BLOCK < min(end, total):
            rows = [*rows, *block(begin + BLOCK)[0]]
        return rows[listing.offset - begin : end - begin], total


class _Placed:
    """What is away, as far as it is known, and how many of the first files of a list are in place with that."""

    def __init__(self) -> None:
        self.at: tuple[tuple[bytes, ...], int] = (), 0


def _away_among(
    store: Store, presence: Presence, filters: Filters, rows: Sequence[tuple[int, bytes]], away: Sequence[bytes]
) -> tuple[bytes, ...]:
    """Where nothing is of what is listed of contents that have copies, beside what is known to be `away`."""
    copies = Counter(item_id for item_id, *_ in store.places_of([item_id for item_id, _ in rows], filters))
    there = presence.look(path for item_id, path in rows if copies[item_id] > 1 and not is_remote(path))
    known = set(away)
    return presence.emptied(
        path for path, status in there.items() if status is None and known.isdisjoint(with_parents(path))
    )


def listed_files(
    store: Store, presence: Presence, filters: Filters, listing: Listing, found: Sequence[tuple[int, bytes]]
) -> tuple[ListedFile, ...]:
    """What is told of the files of a page."""
    items = {(item.item_id, item.path): item for item in store.found_items([item_id for item_id, _ in found], filters)}
    copies: dict[int, list[bytes]] = {}
    for item_id, path in () if listing.copies else sorted(items):
        copies.setdefault(item_id, []).append(path)
    shown = presence.shown((path, [one for one in copies.get(item_id, ()) if one != path]) for item_id, path in found)
    companions = Companions(store, filters)
    if not listing.copies:
        companions.look_up(one.path for one in shown)
    files = tuple(
        _listed(
            rank,
            items[item_id, one.path],
            one.copies,
            one.is_there,
            () if listing.copies else companions.of(one.path),
        )
        for rank, ((item_id, _), one) in enumerate(zip(found, shown, strict=True), start=listing.offset + 1)
    )
    return files if listing.seed is None else _in_order(files, listing)


def _in_order(files: Sequence[ListedFile], listing: Listing) -> tuple[ListedFile, ...]:
    """Files that were drawn, in the order of the list, and their places in it."""
    ordered = sorted(files, key=lambda file: os.fsencode(file.path))
    if listing.by_date:
        ordered.sort(key=lambda file: file.moment, reverse=True)
    return tuple(replace(file, rank=rank) for rank, file in enumerate(ordered, start=listing.offset + 1))


def _listed(
    rank: int, item: FoundItem, copies: Sequence[bytes], is_there: bool, companions: Sequence[bytes]
) -> ListedFile:
    return ListedFile(
        rank=rank,
        id=item.digest.hex(),
        path=os.fsdecode(item.path),
        type=item.medium,
        width=item.facts.width,
        height=item.facts.height,
        bytes=item.size,
        modified=in_utc(item.mtime_ns),
        taken=item.facts.taken,
        available=is_there,
        copies=tuple(os.fsdecode(path) for path in copies),
        **vars(item.facts.details),
        companions=tuple(os.fsdecode(path) for path in companions),
        **packed_in(item.path, is_there)._asdict(),
    )
