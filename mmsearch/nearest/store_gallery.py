"""Those items of one space that are nearest to a query, as a store finds them that does so itself.

Nothing is derived from the vectors. A store knows cosines alone: where hubs are corrected, or vectors are moved by an
adapter, it is asked for more items than are wanted, and these are put in order here. An item's hub number never
changes: a session computes it once.
"""

from __future__ import annotations

import numpy as np

from mmsearch.nearest.gallery import Nearest, Ranking, best_of
from mmsearch.nearest.spaces import Space
from mmsearch.nearest.vectors import Compared, SpaceQuery, VectorRows, rows_of
from mmsearch.records import Filters, FloatMatrix, ItemIds, NearItems
from mmsearch.store.protocol import Store

# A search asks first for so many: those that it looks at first, or, to be put in order anew, three times as many. Of
# 100,000 photos the ten nearest with hubs corrected are all among the 150 nearest by the cosine, and the fifty but for
# six in a thousand.
_FIRST, _FIRST_IN_ANOTHER_ORDER, _TIMES = 50, 150, 3
# Hub numbers that a session keeps of a space: some 30 MB.
_MOST_NUMBERS = 200_000


class _HubNumbers:
    """The hub numbers of items of one space that were near to some query, at whatever state. Threads share them."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._known: dict[int, float] = {}

    def of_items(self, store: Store, item_ids: ItemIds, rows: VectorRows | None) -> FloatMatrix:
        """Those of items that are there, in any order, float32 [n]; `rows` are theirs where they are at hand."""
        known, asked = self._known, item_ids.tolist()
        numbers = {item_id: known[item_id] for item_id in asked if item_id in known}
        if len(numbers) < len(asked):
            new = np.array(sorted(set(asked) - numbers.keys()), np.int64)
            found = rows_of(store, self._space, new) if rows is None else rows.of_items(new)
            computed = self._space.hub_numbers(store, found.vectors)
            added = dict(zip(found.item_ids.tolist(), computed.tolist(), strict=True))
            numbers |= added
            if len(known) + len(added) > _MOST_NUMBERS:
                known = self._known = {}
            known.update(added)
        return np.array([numbers[item_id] for item_id in asked], np.float32)


class StoreGallery:
    """The items of one space, found by the store; see `SpaceGallery`."""

    def __init__(self, space: Space, before: StoreGallery | None = None) -> None:
        self._space = space
        self._numbers: _HubNumbers = before._numbers if before else _HubNumbers(space)

    def troubles(self) -> list[str]:
        """None: there are no derived files."""
        return []

    def compared(self, store: Store, item_ids: ItemIds, vector: FloatMatrix, by_text: float = 0.0) -> Compared:
        """Those of the items, ascending, that are there, with their cosines."""
        if not len(item_ids):  # as most searches ask: the server need not be
            return Compared.together([])
        return self._compared(store, item_ids, SpaceQuery(vector, by_text))

    def ranking_among(
        self, store: Store, query: SpaceQuery, filters: Filters | None, patient: bool
    ) -> tuple[Ranking, int]:
        """What gives the items nearest to a query in files that pass the filters, and of about how many it chooses."""
        space, known = self._space, dict[int, tuple[NearItems, Compared]]()
        in_another_order = self._is_corrected(query) or space.adapter is not None
        first, times = (_FIRST_IN_ANOTHER_ORDER, _TIMES) if in_another_order else (_FIRST, 1)
        vector = space.before(query.vector)

        def found(candidates: int) -> tuple[NearItems, Compared]:
            if candidates not in known:
                near = store.nearest(space.model_id, space.modality, vector, candidates, filters or Filters())
                known[candidates] = near, self._in_space(store, near, query)
            return known[candidates]

        def nearest(count: int) -> Nearest:
            candidates = max(first, times * count)
            near, compared = found(candidates)
            # Where the store has not compared all, how many there are is an estimate.
            is_all = len(near.item_ids) < candidates or (near.is_exact and len(near.item_ids) >= near.among)
            best = best_of(compared, count, exact=is_all or (near.is_exact and not in_another_order))
            return best._replace(complete=best.complete and is_all)  # all that were found need not be all there are

        near, _ = found(first)
        return nearest, near.among

    def _in_space(self, store: Store, near: NearItems, query: SpaceQuery) -> Compared:
        """What the store has found, with cosines in this space and those corrected for hubs."""
        if self._space.adapter is not None:
            return self._compared(store, np.sort(near.item_ids), query)
        return self._corrected(store, near.item_ids, near.cosines, query)

    def _compared(self, store: Store, item_ids: ItemIds, query: SpaceQuery) -> Compared:
        rows = rows_of(store, self._space, item_ids)
        return self._corrected(store, rows.item_ids, rows.cosines_with(query.vector), query, rows)

    def _corrected(
        self, store: Store, item_ids: ItemIds, cosines: FloatMatrix, query: SpaceQuery, rows: VectorRows | None = None
    ) -> Compared:
        if not self._is_corrected(query):
            return Compared(item_ids, cosines, cosines)
        numbers = self._numbers.of_items(store, item_ids, rows)
        return Compared(item_ids, cosines, cosines + np.float32(query.by_text) * numbers)

    def _is_corrected(self, query: SpaceQuery) -> bool:
        """Whether hub numbers are added to the cosines with that query."""
        return bool(query.by_text and self._space.query_bank)
