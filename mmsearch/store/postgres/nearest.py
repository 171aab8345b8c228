"""The items of a space that are nearest to a vector, of files that pass filters: exactly, or by pgvector's HNSW graphs.

The server's planner does not know how many files pass a filter, nor what a graph misses: it goes from one plan to
another by itself, and a graph that is asked for ten items of which a filter lets one pass gives that one. So which plan
is taken is decided here, from a sample of the space, and the planner is left no other: all that passes is compared; or
the graph is gone on in until enough have passed; or, where it has come to its end before, all is compared after all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmsearch.records import Filters, FloatMatrix, Modality, NearItems
from mmsearch.store.postgres.connected import Connected, Row
from mmsearch.store.postgres.connecting import HalfVector
from mmsearch.store.postgres.enough import MOST_EF, USUAL, Enough, graph_of, looked_at_in
from mmsearch.store.postgres.filters import contents_joined, filter_condition
from mmsearch.store.postgres.spaces import space_table

# What passes filters is compared exactly where that is no more than so many times the root of all: a step in the graph
# takes six times as long as to compare one vector, and a graph is gone the further in the fewer pass.
_FEW_BY_ROOT = 30.0
# So many items are looked at to estimate the share that passes filters: more in large spaces, where small shares count.
_LEAST_SAMPLE, _SAMPLE_BY_ROOT = 400, 0.25
# Where some are filtered out the ten lie further apart: .978 of those among every other photo with 400, .990 with 500.
_MORE_WHERE_FILTERED = 1.25
# Where some are filtered out on the way, items come in no order: so many times as many as are wanted are taken then.
_TAKEN_BY_COUNT = 1.2
# Of connections that search. So far a graph is gone on in until enough pass the filters, in items, and as a multiple of
# the server's work_mem. And no statement of a search takes so long that it was worth to compile it.
FOR_SEARCHES = {"hnsw.max_scan_tuples": "50000", "hnsw.scan_mem_multiplier": "8", "jit": "off"}

# The cosine of a query with a stored vector, but for 1e-7: see `Asked`.
_REST = 2_048
COSINE = f"-((vector <#> %b) + (vector <#> %b) / {_REST})"

# Spaces with no more items are compared as they are, each item looked up in its files: whole libraries are looked
# through otherwise for those that pass.
_FEW_ITEMS = 1_000
_BY_GRAPH = {
    "enable_seqscan": "off",
    "enable_sort": "off",
    # What is planned with these settings, once, serves all queries that ask alike.
    "plan_cache_mode": "force_generic_plan",
}


@dataclass(frozen=True)
class SpaceTable:
    """The table of a space, about how many rows it has, whether there is a graph of them, and what was enough in it."""

    model_id: int
    modality: Modality
    table: str
    dimension: int
    rows: int
    has_graph: bool
    enough: Enough | None

    @property
    def looked_at(self) -> float:
        """How many items are looked at in the graph."""
        return (self.enough or USUAL).among(self.rows)


@dataclass(frozen=True)
class Asked:
    """A query vector, how many items are wanted, and the filters in SQL.

    The vector is told as it is rounded to float16, and as what that leaves, times _REST: so the server multiplies
    vectors as they are stored, and none has to be made a wider one for it.
    """

    rounded: HalfVector
    rest: HalfVector
    count: int
    condition: str
    values: Sequence[Any]

    @classmethod
    def of(cls, vector: FloatMatrix, count: int, filters: Filters) -> Asked:
        rounded = vector.astype(np.float16)
        rest = (vector - rounded.astype(np.float32)) * np.float32(_REST)
        return cls(HalfVector(rounded), HalfVector(rest.astype(np.float16)), count, *filter_condition(filters))

    @property
    def vector(self) -> tuple[HalfVector, HalfVector]:
        """The values of COSINE."""
        return self.rounded, self.rest

    @property
    def contents(self) -> str:
        """What joins contents to files, where filters ask for them."""
        return contents_joined(self.condition)

    @property
    def held(self) -> str:
        """Whether a file that passes holds the item `near`."""
        return f"""SELECT TRUE FROM items JOIN files ON files.content_id = items.content_id {self.contents}
            WHERE items.id = near.item_id AND {self.condition} LIMIT 1"""


class NearestTables(Connected):
    """What is near to a vector."""

    finds_nearest = True

    def nearest(
        self, model_id: int, modality: Modality, vector: FloatMatrix, count: int, filters: Filters
    ) -> NearItems:
        """The items of a space nearest to a unit vector, float32 [dimension], in files that pass the filters.

        Where few pass, or the space is small, all of them are compared; else they are looked for in the graph, and
        their cosines are those of the vectors themselves all the same. How many pass is then told by a sample.
        """
        space = self._of_state(("space", model_id, modality), lambda: self._space(model_id, modality))
        if space is None or count <= 0:
            return _near([], 0)
        asked = Asked.of(vector, count, filters)
        if not space.has_graph:
            if not filters:
                return self._all(space, asked)
            return self._looked_up(space, asked) if space.rows <= _FEW_ITEMS else self._exact(space, asked)
        share = self._share(space, asked) if filters else 1.0
        if filters and share * math.sqrt(space.rows) <= _FEW_BY_ROOT:
            return self._exact(space, asked)
        found = self._by_graph(space, asked) if filters else self._by_graph_alone(space, asked)
        if len(found) < count:
            return self._exact(space, asked)
        return _near(found, max(count, round(share * space.rows)), is_exact=False)

    def _space(self, model_id: int, modality: Modality) -> SpaceTable | None:
        table = space_table(model_id, modality)
        row = self._one(
            """SELECT dimension, greatest(reltuples, 0)::bigint,
                 EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND indisvalid),
                 (SELECT value FROM settings WHERE key = %s)
               FROM models JOIN pg_class ON pg_class.oid = to_regclass(%s) WHERE models.id = %s""",
            (graph_of(table), looked_at_in(table), table, model_id),
        )
        if row is None:
            return None
        dimension, rows, has_graph, enough = row
        if not has_graph:
            rows = self._number(f"SELECT count(*) FROM (SELECT FROM {table} LIMIT {_FEW_ITEMS + 1}) AS counted")
        elif not rows:  # not analysed yet
            rows = self._number(f"SELECT count(*) FROM {table}")
        return SpaceTable(model_id, modality, table, dimension, rows, has_graph, Enough.read(enough))

    def _share(self, space: SpaceTable, asked: Asked) -> float:
        """About which share of the space's items passes the filters, by a sample of its pages."""
        sample = max(_LEAST_SAMPLE, _SAMPLE_BY_ROOT * math.sqrt(space.rows))
        percent = min(100.0, 100.0 * sample / max(1, space.rows))

        def counted() -> float:
            looked_at, passing = self._one(
                f"""SELECT count(*), count(*) FILTER (WHERE ({asked.held}))
                    FROM {space.table} AS near TABLESAMPLE SYSTEM ({percent:.6f}) REPEATABLE (1)""",
                asked.values,
            ) or (0, 0)
            return passing / looked_at if looked_at else 0.0

        return self._of_state(("share", space.table, asked.condition, repr(asked.values)), counted)

    def _all(self, space: SpaceTable, asked: Asked) -> NearItems:
        """All of the space is compared, and the best are looked up in their files until there are enough."""
        among = self._of_state(
            ("held", space.table),
            lambda: self._number(
                f"""SELECT count(*) FROM {space.table} AS near JOIN items ON items.id = near.item_id
                    WHERE EXISTS (SELECT FROM files WHERE files.content_id = items.content_id)"""
            ),
        )
        rows = self._rows(
            f"""SELECT item_id, cosine FROM (
                  SELECT item_id, {COSINE} AS cosine FROM {space.table}
                  ORDER BY cosine DESC, item_id OFFSET 0) AS near
                WHERE ({asked.held}) LIMIT {asked.count:d}""",
            (*asked.vector, *asked.values),
        )
        return _near(rows, among)

    def _looked_up(self, space: SpaceTable, asked: Asked) -> NearItems:
        """Each item of the space is looked up in its files, and what passes the filters is compared."""
        rows = self._rows(
            f"""SELECT item_id, {COSINE} AS cosine, count(*) OVER () FROM {space.table} AS near
                WHERE ({asked.held}) ORDER BY cosine DESC, item_id LIMIT {asked.count:d}""",
            (*asked.vector, *asked.values),
        )
        return _near(rows, rows[0][2] if rows else 0)

    def _exact(self, space: SpaceTable, asked: Asked) -> NearItems:
        """All that passes the filters is compared.

        Contents and items are handed on as arrays: an index is gone through once for all of an array, in its order.
        For joins the server reads all items, or comes down the index for each by itself.
        """
        rows = self._rows(
            f"""WITH passing AS MATERIALIZED (SELECT ARRAY(
                  SELECT id FROM items WHERE model_id = {space.model_id:d} AND modality = '{space.modality}'
                    AND content_id = ANY(ARRAY(
                      SELECT files.content_id FROM files {asked.contents} WHERE {asked.condition}))) AS item_ids)
                SELECT item_id, {COSINE} AS cosine, (SELECT cardinality(item_ids) FROM passing)
                FROM {space.table} WHERE item_id = ANY((SELECT item_ids FROM passing)::bigint[])
                ORDER BY cosine DESC, item_id LIMIT {asked.count:d}""",
            (*asked.values, *asked.vector),
        )
        return _near(rows, rows[0][2] if rows else 0)

    def _by_graph(self, space: SpaceTable, asked: Asked) -> list[Row]:
        """What is found in the graph, which may be less than is there.

        It is gone on in until enough pass the filters: where many do, no further than for a query without any. It is
        asked with the vector rounded to float16, as its own are; what it gives is put in order by the vector itself. So
        it may give them out of order, which finds far more than to leave those out that come late (`strict_order`).
        """
        taken = round(_TAKEN_BY_COUNT * asked.count)
        found = f"""SELECT item_id, vector FROM {space.table} AS near WHERE ({asked.held})
            ORDER BY {indexed(space.dimension)} <#> %b::halfvec({space.dimension:d}) LIMIT {taken:d}"""
        ef = max(round(_MORE_WHERE_FILTERED * space.looked_at), taken)
        return self._best_found(found, (*asked.values, asked.rounded), asked, ef, "relaxed_order")

    def _by_graph_alone(self, space: SpaceTable, asked: Asked) -> list[Row]:
        """The same where nothing is filtered, and no item is looked up."""
        found = f"""SELECT item_id, vector FROM {space.table}
            ORDER BY {indexed(space.dimension)} <#> %b::halfvec({space.dimension:d}) LIMIT {asked.count:d}"""
        ef = max(round(space.looked_at), asked.count)
        rows = self._best_found(found, (asked.rounded,), asked, ef, "off")
        return rows if len(rows) >= asked.count else self._by_graph(space, asked)

    def _best_found(self, found: str, values: Sequence[Any], asked: Asked, ef: int, iterative_scan: str) -> list[Row]:
        """The best by the vector itself of what a statement takes of a graph, of which `ef` are looked at first."""
        settings = {"hnsw.ef_search": str(min(MOST_EF, ef)), "hnsw.iterative_scan": iterative_scan, **_BY_GRAPH}
        statement = f"""WITH found AS MATERIALIZED ({found})
            SELECT item_id, {COSINE} AS cosine FROM found
            ORDER BY cosine DESC, item_id LIMIT {asked.count:d}"""
        return self._rows_with(settings, statement, (*values, *asked.vector))


def _near(rows: Sequence[Row], among: int, is_exact: bool = True) -> NearItems:
    """Of rows that begin with an id and its cosine."""
    item_ids, cosines = np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.float32)
    return NearItems(item_ids, cosines, among, is_exact)


def indexed(dimension: int) -> str:
    """What a graph is made over, and has to be asked for by: the column itself has no dimension."""
    return f"(vector::halfvec({dimension:d}))"
