"""What clusters of photos are called by what they show: the names of albums that fit them, and not the other photos.

How near a name is to a photo is told by their cosine, counted in standard deviations of all names' cosines with all
photos. A kind has two such numbers: its own, and the highest of what belongs to it. So photos of noodles, rice and eggs
are meals, though none of them is near to the word. Of a name's mean within a cluster a share of its mean outside is
taken away (contrast). Where one name leaves many photos for which another is far better, the cluster has both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmsearch.records import FloatMatrix
from mmsearch.searching.album_names import AlbumNames

# So many photos are looked at in all, and of each cluster so many at least.
MOST_PHOTOS, FEWEST_OF_ONE = 4_000, 8
_MOST_NAMES = 3

# All in standard deviations but for shares of photos. Measured by eye on 50 clusters of 1,505 photos of 15 sources, and
# not sharp: each may be half as much again. See docs/benchmarks.md.
_OUTSIDE, _OUTSIDE_OF_KIND = 0.75, 0.5
# A name that is no kind, and a kind by what belongs to it, have to be so much nearer.
_NARROW, _BY_MEMBERS = 0.4, 0.75
# What is outside counts for more the more photos there are; so many unrelated ones are thought to be there besides. The
# highest of m + 1 numbers of them is about so many times the square root of 2 ln(m + 1).
_UNRELATED, _HIGHEST = 50, 0.55
# From here on a name, that of a kind, and each of several names are near enough to be given.
_NEAR, _KIND_NEAR, _EACH_NEAR = 2.6, 2.2, 3.0
# One more name brings the photos so much nearer, is better for so much of them, and in the end best for so much.
_GAIN, _BETTER, _BEST = 0.7, 0.25, 0.2
# A name that another cluster has is left to it for one that is so little behind, and nearer to this than to that.
_BEHIND = 0.6


@dataclass(frozen=True)
class _Rows:
    """Each row stands for a name: those of all names in order, and behind them those of kinds by their members.

    `names` are the places of the names, int64 [rows]; `shares` of what is outside are taken away, and `handicaps`,
    both float [rows]; `kin` bool [names, names].
    """

    album: AlbumNames
    names: npt.NDArray[np.int64]
    shares: FloatMatrix
    handicaps: FloatMatrix
    unrelated: FloatMatrix
    kin: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, album: AlbumNames) -> _Rows:
        count, kinds = len(album.names), len(album.kinds)
        narrow = np.full(count, _NARROW)
        narrow[list(album.kinds)] = 0
        below = np.array([len(places) for places in album.kinds.values()])
        return cls(
            album,
            np.concatenate([np.arange(count), np.fromiter(album.kinds, np.int64, kinds)]),
            np.repeat(np.array([_OUTSIDE, _OUTSIDE_OF_KIND], np.float32), [count, kinds]),
            np.concatenate([narrow, np.full(kinds, _BY_MEMBERS)]).astype(np.float32),
            np.concatenate([np.zeros(count), _HIGHEST * np.sqrt(2 * np.log(below + 1))]).astype(np.float32),
            album.are_kin,
        )

    def nearness(self, vectors: FloatMatrix, photos: FloatMatrix) -> FloatMatrix:
        """How near each row is to each photo, float32 [rows, photos]."""
        near = vectors @ photos.T
        near /= max(float(near.std()), 1e-12)
        return np.concatenate([near, *(near[places].max(axis=0)[np.newaxis] for places in self.album.kinds.values())])

    def are_free(self, taken: Collection[int], beside: Sequence[int] = ()) -> npt.NDArray[np.bool_]:
        """Whether the name of each row, bool [rows], is not taken, and no kin of those of some rows."""
        free = np.asarray(~self.kin[self.names[list(beside)]].any(axis=0))
        free[list(taken)] = False
        return free[self.names]


def shown_names(
    album: AlbumNames, vectors: FloatMatrix, clusters: Sequence[FloatMatrix], sizes: Sequence[int]
) -> list[tuple[str, ...]]:
    """Of each cluster up to three names, that of the most photos first; none where nothing is near.

    Args:
        vectors: those of the names, unit rows, float32 [n, d].
        clusters: the vectors of some photos of each, unit rows, float32 [m, d].
        sizes: how many photos each has.
    """
    rows = _Rows.of(album)
    near = rows.nearness(vectors, np.concatenate(clusters))
    parts = np.split(near, np.cumsum([len(one) for one in clusters])[:-1], axis=1)
    weights = np.asarray(sizes, np.float32)[:, np.newaxis]
    sums = np.stack([part.mean(axis=1) for part in parts]) * weights
    outside = (sums.sum(axis=0) - sums + _UNRELATED * rows.unrelated) / (weights.sum() - weights + _UNRELATED)
    less = rows.shares * outside + rows.handicaps
    means = sums / weights - less
    found: list[tuple[str, ...]] = [()] * len(parts)
    taken: dict[int, int] = {}
    # Who would lose most by the next best name chooses first.
    for number in np.argsort(-_leads(rows, means), kind="stable").tolist():
        first = _first(rows, means, number, taken)
        chosen = _chosen(rows, parts[number] - less[number][:, np.newaxis], first, taken.keys())
        taken.update((place, number) for place in chosen)
        found[number] = tuple(album.names[place] for place in chosen)
    return found


def _leads(rows: _Rows, means: FloatMatrix) -> FloatMatrix:
    """How far the best name of each cluster is before the next, float [clusters]; means are [clusters, rows]."""
    by_name = np.full((len(means), len(rows.album.names)), -np.inf, np.float32)
    for row, place in enumerate(rows.names.tolist()):
        by_name[:, place] = np.maximum(by_name[:, place], means[:, row])
    best = np.partition(by_name, -2, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])


def _first(rows: _Rows, means: FloatMatrix, number: int, taken: Mapping[int, int]) -> int:
    """The best row for that cluster. Where another has that name already, the one that tells these apart best."""
    of_this = means[number]
    best = int(of_this.argmax())
    rival = taken.get(int(rows.names[best]))
    if rival is None:
        return best
    fits = rows.are_free(taken.keys()) & (of_this >= of_this[best] - _BEHIND) & (of_this > means[rival])
    return int(np.where(fits, of_this - means[rival], -np.inf).argmax()) if fits.any() else best


def _chosen(rows: _Rows, near: FloatMatrix, first: int, taken: Collection[int]) -> list[int]:
    """The places of the names of photos, to which the rows are as near as float32 [rows, photos] says."""
    several = [first]
    while len(several) < _MOST_NAMES:
        more = _with_one_more(rows, near, several, taken)
        if more is None:
            break
        several = more
    if len(several) == 1:
        is_near = near[first].mean() >= (_KIND_NEAR if int(rows.names[first]) in rows.album.kinds else _NEAR)
        return [int(rows.names[first])] if is_near else []
    best = near[several].argmax(axis=0)
    order = np.argsort(-np.bincount(best, minlength=len(several)), kind="stable")
    return [int(rows.names[several[number]]) for number in order]


def _with_one_more(rows: _Rows, near: FloatMatrix, several: list[int], taken: Collection[int]) -> list[int] | None:
    """The rows and one more, each then replaced by what goes best with the others; None where that is no gain."""
    highest = near[several].max(axis=0)
    gains = np.maximum(near, highest).mean(axis=1) - highest.mean()
    useful = (gains >= _GAIN) & ((near > highest).mean(axis=1) >= _BETTER) & rows.are_free(taken, several)
    if not useful.any():
        return None
    together = [*several, int(np.where(useful, gains, -np.inf).argmax())]
    for number in range(len(together)):
        others = together[:number] + together[number + 1 :]
        means = np.maximum(near, near[others].max(axis=0)).mean(axis=1)
        fits = rows.are_free(taken, others)
        fits[together[number]] = True
        together[number] = int(np.where(fits, means, -np.inf).argmax())
    best = near[together].argmax(axis=0)
    for number, row in enumerate(together):
        its = best == number
        if its.mean() < _BEST or near[row, its].mean() < _EACH_NEAR:
            return None
    return together
