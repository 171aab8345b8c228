"""The graphs by which the nearest items are found: when they are made, and how much of each has to be looked at.

How much that is depends on the photos: where many lie in crowds a search has to get out of these. So it is measured,
for texts of the model's query bank, as soon as there is a graph, and again once it has grown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mmsearch.records import Filters, FloatMatrix, Modality
from mmsearch.store.postgres.enough import MOST_EF, Enough, graph_of, looked_at_in
from mmsearch.store.postgres.models import ModelTables
from mmsearch.store.postgres.nearest import COSINE, Asked, NearestTables, SpaceTable, indexed
from mmsearch.store.postgres.schema import BUILDING, LOCKS

if TYPE_CHECKING:
    from mmsearch.encoding.query_bank import QueryBank

# Spaces with fewer items have no graph: to compare all of them takes some milliseconds.
LEAST_ITEMS = 10_000
# A graph holds vectors with up to so many dimensions.
_MOST_DIMENSIONS = 4_000
# So many are looked at when one is put into the graph. Texts lie apart from the pictures that they ask for: in a graph
# made with pgvector's 64 a text finds .90 of the ten of 100,000 photos, in this one .99.
_EF_CONSTRUCTION = 200
# A graph is made anew when as many items as this share of its own have left the library: vacuum takes 12 ms to take one
# out of it.
_MOST_REMOVED = 0.2

# It is measured with so many texts. Each asks for as many items as a search does where hubs are corrected, and of its
# ten best all but 8 in a thousand are to be found. Other texts may miss more: .012 where these miss .008.
_TEXTS, _ASKED, _HELD, _WANTED = 100, 150, 10, 0.992
# How many are looked at by turns until enough are found.
_TRIED = (150, 190, 240, 300, 370, 460, 580, 720, 850, MOST_EF)
# What was measured holds for a graph until it has so many times as many rows.
_GROWN = 1.25


@dataclass(frozen=True)
class _Right:
    """A query, and the ids of the items that are to be found for it."""

    asked: Asked
    item_ids: frozenset[int]


class GraphTables(NearestTables, ModelTables):
    """Graphs over the vectors of spaces."""

    def build_nearest(self) -> int:
        """Makes the graph of each space that has LEAST_ITEMS and none yet, as what was stored is compared one by one
        until then; and anew where much of it has been removed. Returns how many were made.

        Outside of transactions; nobody is held up by it, and who comes while another makes them leaves it to that. It
        takes minutes for a million items, far longer where the server's maintenance_work_mem does not hold the graph.
        """
        if not self._number("SELECT pg_try_advisory_lock(%s, %s)::integer", (LOCKS, BUILDING)):
            return 0
        try:
            spaces = self._rows(
                """SELECT DISTINCT model_id, modality FROM spaces JOIN models ON models.id = model_id
                   WHERE dimension <= %s ORDER BY model_id, modality""",
                (_MOST_DIMENSIONS,),
            )
            made = 0
            for model_id, modality in spaces:
                made += self._build(model_id, modality)
                self._measure(model_id, modality)
            return made
        finally:
            self._run("SELECT pg_advisory_unlock(%s, %s)", (LOCKS, BUILDING))

    def _build(self, model_id: int, modality: Modality) -> bool:
        """Whether the space needed a graph, or another one, which it has now."""
        space = self._space(model_id, modality)
        if space is None:
            return False
        graph, removed = graph_of(space.table), self.items_removed()
        for cut_off in (f"{graph}_ccnew", f"{graph}_ccold", *(() if space.has_graph else (graph,))):
            self._run(f"DROP INDEX CONCURRENTLY IF EXISTS {cut_off}")
        if space.has_graph:
            if removed - self.number_setting(f"removed before {graph}") <= _MOST_REMOVED * space.rows:
                return False
            self._run(f"REINDEX INDEX CONCURRENTLY {graph}")
        else:
            first = f"SELECT FROM {space.table} LIMIT {LEAST_ITEMS}"
            if self._number(f"SELECT count(*) FROM ({first}) AS counted") < LEAST_ITEMS:
                return False
            self._run(
                f"""CREATE INDEX CONCURRENTLY {graph} ON {space.table}
                    USING hnsw (({indexed(space.dimension)}) halfvec_ip_ops)
                    WITH (ef_construction = {_EF_CONSTRUCTION})"""
            )
        self._run(f"ANALYZE {space.table}")
        with self.transaction():
            self.set_setting(f"removed before {graph}", str(removed))
            self.remove_setting(looked_at_in(space.table))
        return True

    def _measure(self, model_id: int, modality: Modality) -> None:
        """Notes how much of the space's graph has to be looked at, where that was not noted, or of a smaller graph.

        A model without a query bank has no texts to ask with. Each text is compared with all of the space once: 4 s for
        100,000 items, where the graph took 30 to make.
        """
        space = self._space(model_id, modality)
        if space is None or not space.has_graph or not self.query_bank_name(model_id):
            return
        if space.enough is not None and space.rows < _GROWN * space.enough.of:
            return
        bank = self.query_bank(model_id)
        places = np.linspace(0, len(bank.vectors) - 1, min(_TEXTS, len(bank.vectors)), dtype=np.int64)
        rights = [self._right(space, bank, text) for text in bank.vectors[places]]
        enough = next((ef for ef in _TRIED if self._found(space, rights, ef) >= _WANTED), MOST_EF)
        with self.transaction():
            self.set_setting(looked_at_in(space.table), str(Enough(enough, space.rows)))

    def _right(self, space: SpaceTable, bank: QueryBank, text: FloatMatrix) -> _Right:
        """What a search by that text would find that compared all of the space; hubs are corrected among pictures."""
        asked = Asked.of(text, _ASKED, Filters())
        rows = self._run(
            f"SELECT item_id, vector FROM {space.table} ORDER BY {COSINE} DESC, item_id LIMIT {_ASKED}",
            asked.vector,
            binary=True,
        ).fetchall()
        vectors = np.frombuffer(b"".join(row[1] for row in rows), "<f2").reshape(-1, space.dimension)
        cosines = vectors.astype(np.float32) @ text
        if space.modality == "image":
            cosines += bank.numbers(vectors)
        best = np.argsort(-cosines, kind="stable")[:_HELD].tolist()
        return _Right(asked, frozenset(rows[place][0] for place in best))

    def _found(self, space: SpaceTable, rights: Sequence[_Right], ef: int) -> float:
        """The share of what is to be found that is found where so many are looked at."""
        measured = replace(space, enough=Enough(ef, space.rows))
        found = sum(
            len(right.item_ids.intersection(row[0] for row in self._by_graph_alone(measured, right.asked)))
            for right in rights
        )
        return found / sum(len(right.item_ids) for right in rights)
