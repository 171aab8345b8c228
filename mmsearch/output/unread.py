"""Files that no reader takes: how many of which kind, and what would take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mmsearch.errors import Remedy
from mmsearch.output import visible

if TYPE_CHECKING:
    from mmsearch.output import Worded

_SHOWN_KINDS = 8


def unread_said(
    unread: Mapping[str, int], archives: Iterable[str], worded: Worded, in_buckets: Iterable[str] = ()
) -> str:
    """How many files no reader takes, by kind, most first, and what would: `12 .xyz, 3 .mp4, 5 of other kinds; …`.

    `archives` are kinds of archives that nothing was told to look into, `in_buckets` those into which nothing looks.
    """
    kinds = sorted(((count, kind) for kind, count in unread.items() if kind), reverse=True)
    shown = [f"{count:,} {visible(kind)}" for count, kind in kinds[:_SHOWN_KINDS]]
    others = sum(count for count, _ in kinds[_SHOWN_KINDS:]) + unread.get("", 0)
    said = ", ".join([*shown, *([f"{others:,} of other kinds"] if others else [])])
    closed = sorted(archives)
    looks = [f"`mmsearch index FOLDER --archives` looks into {', '.join(closed)}"] if closed else []
    if remote := sorted(in_buckets):
        looks.append(f"{', '.join(remote)} in a bucket is not looked into")
    return "; ".join([said, *looks, *_extras_said(unread, worded)])


def _extras_said(unread: Mapping[str, int], worded: Worded) -> list[str]:
    """Which extras read some of these kinds, and how they are installed."""
    from mmsearch.reading import extra_of

    kinds: dict[str, list[str]] = {}
    for kind in sorted(unread):
        if extra := extra_of(kind):
            kinds.setdefault(extra, []).append(kind)
    if not kinds:
        return []
    said = ", ".join(f"the extra {extra} reads {', '.join(of_it)}" for extra, of_it in kinds.items())
    remedy = Remedy("extra" if len(kinds) == 1 else "extra.them", ",".join(kinds))
    return [worded(said, remedy).removesuffix(".")]
