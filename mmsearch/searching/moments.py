"""Where else in a film or a recording lies what answers a query, beside its best place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mmsearch.searching.results import Moment

MOST_MOMENTS = 10


class Scored(NamedTuple):
    """An item of a file, from when to when it lasts, and its score."""

    item_id: int
    time: tuple[float, float]
    score: float


def other_moments(hits: Sequence[Scored], best: Scored) -> tuple[Moment, ...]:
    """The moments of one file at which it answers, best first, but for the best of all.

    A stretch that borders on a better one shows how that begins or ends, and is none of its own.
    """
    found: list[Moment] = []
    better = [best.time]
    for one in sorted(hits, key=lambda one: (-one.score, one.time)):
        if len(found) == MOST_MOMENTS:
            break
        if one.item_id == best.item_id:
            continue
        if not any(begins <= one.time[1] and one.time[0] <= ends for begins, ends in better):
            found.append(Moment(one.time, one.score))
        better.append(one.time)
    return tuple(found)
