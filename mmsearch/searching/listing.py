"""Files by filters alone: no model is asked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from mmsearch.files.times import in_utc
from mmsearch.records import Filters, FoundItem, Listing
from mmsearch.searching.companions import Companions
from mmsearch.searching.presence import Presence
from mmsearch.searching.results import ListedFile
from mmsearch.store.protocol import Store


def listed_files(
    store: Store, model_ids: Sequence[int], presence: Presence, filters: Filters, listing: Listing
) -> tuple[tuple[ListedFile, ...], int]:
    """A page of the files that those models have encoded and that pass the filters, and how many there are in all."""
    found, total = store.list_files(model_ids, filters, listing)
    items = {(item.item_id, item.path): item for item in store.found_items([item_id for item_id, _ in found], filters)}
    copies: dict[int, list[bytes]] = {}
    for item_id, path in () if listing.copies else sorted(items):
        copies.setdefault(item_id, []).append(path)
    shown = presence.shown((path, [one for one in copies.get(item_id, ()) if one != path]) for item_id, path in found)
    companions = Companions(store, filters)
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
    return files if listing.seed is None else _in_order(files, listing), total


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
    )
