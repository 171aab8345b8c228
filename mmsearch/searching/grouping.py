"""Hits under headings: by folder, by day, or by place."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from mmsearch.files.paths import parent_of
from mmsearch.searching.query import Group
from mmsearch.searching.results import Hit, ListedFile

Shown = TypeVar("Shown", Hit, ListedFile)


def in_groups(hits: Iterable[Shown], by: Group | None) -> tuple[Shown, ...]:
    """The hits with those of one group together: each group stands where its first hit does, and keeps their order.

    What no place is known of is a group of its own, named None.
    """
    if by is None:
        return tuple(hits)
    groups: dict[str | None, list[Shown]] = {}
    for hit in hits:
        name = _group_of(hit, by)
        groups.setdefault(name, []).append(replace(hit, group=name))
    return tuple(hit for group in groups.values() for hit in group)


def _group_of(hit: Hit | ListedFile, by: Group) -> str | None:
    if by == "folder":
        return os.fsdecode(parent_of(os.fsencode(hit.path)))
    return hit.moment[:10] if by == "day" else hit.place
