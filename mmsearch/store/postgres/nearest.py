"""The items of a space that are nearest to a vector, of files that pass filters: exactly, or by pgvector's HNSW graphs.

The server's planner does not know how many files pass a filter, nor what a graph misses: it goes from one plan to
another by itself, and a graph that is asked for ten items of which a filter lets one pass gives that one. So which plan
is taken is decided here, from a sample of the space, and the planner is left no other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmsearch.records import Filters, FloatMatrix, ItemIds, Modality
from mmsearch.store.postgres.connected import Connected, Row
from mmsearch.store.postgres.filters import filter_condition
from mmsearch.store.postgres.spaces import space_table

# Spaces with fewer items have no graph: to compare all of them takes some milliseconds.
LEAST_ITEMS = 10_000
# What passes filters is compared exactly up to so many items.
_FEW = 10_000
# Of so many items it is looked at how many pass the filters.
_SAMPLE = 400
# Of a graph at least so many items are looked at, and so many times as many as are wanted. pgvector takes up to 1,000.
_LEAST_EF, _EF_BY_COUNT, _MOST_EF = 100, 2.0, 1_000
# Beyond that it costs less to go on in the graph until enough pass than to look at so many at once.
_MOST_AT_ONCE = 400
# So far a graph is gone on in, in items.
_MOST_SCANNED = 50_000
# A graph holds vectors with up to so many dimensions.
_MOST_DIMENSIONS = 4_000

_HELD = """SELECT TRUE FROM items JOIN contents ON contents.id = items.content_id
    JOIN files ON files.content_id = contents.id WHERE items.id = near.item_id AND {condition} LIMIT 1"""


@dataclass(frozen=True)
class _Space:
    """The table of a space, about how many rows it has, and whether there is a graph of them."""

    table: str
    dimension: int
    rows: int
    has_graph: bool


@dataclass(frozen=True)
class _Asked:
    """A query vector as PostgreSQL reads it, how many items are wanted, and the filters in SQL."""

    vector: str
    count: int
    condition: str
    values: Sequence[Any]


class NearestTables(Connected):
    """What is near to a vector. Of these methods `build_nearest` writes."""

    def nearest(
        self, model_id: int, modality: Modality, vector: FloatMatrix, count: int, filters: Filters
    ) -> tuple[ItemIds, FloatMatrix]:
        """The items of a space nearest to a unit vector, float32 [dimension], in files that pass the filters.

        Ids [k] and cosines [k], best first and of equal ones the older first. Where few pass, or the space is small,
        all of them are compared; else they are looked for in the graph, and their cosines are those of the vectors
        themselves all the same.
        """
        space = self._space(model_id, modality)
        rows: list[Row] = []
        if space is not None and count > 0:
            asked = _Asked(_written(vector), count, *filter_condition(filters))
            rows = self._nearest(space, asked, bool(filters))
        return np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.float32)

    def _nearest(self, space: _Space, asked: _Asked, is_filtered: bool) -> list[Row]:
        if not space.has_graph:
            return self._exact(space, asked)
        share = self._share(space, asked) if is_filtered else 1.0
        if share * space.rows <= _FEW:
            return self._exact(space, asked)
        found = self._by_graph(space, asked, share)
        return found if len(found) == asked.count else self._exact(space, asked)

    def _space(self, model_id: int, modality: Modality) -> _Space | None:
        table = space_table(model_id, modality)
        row = self._one(
            """SELECT dimension, greatest(reltuples, 0)::bigint,
                 EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND indisvalid)
               FROM models JOIN pg_class ON pg_class.oid = to_regclass(%s) WHERE models.id = %s""",
            (_graph_of(table), table, model_id),
        )
        if row is None:
            return None
        dimension, rows, has_graph = row
        if has_graph and not rows:  # not analysed yet
            rows = self._number(f"SELECT count(*) FROM {table}")
        return _Space(table, dimension, rows, has_graph)

    def _share(self, space: _Space, asked: _Asked) -> float:
        """About which share of the space's items passes the filters, by a sample of its pages."""
        held = _HELD.format(condition=asked.condition)
        percent = min(100.0, 100.0 * _SAMPLE / max(1, space.rows))
        looked_at, passing = self._one(
            f"""SELECT count(*), count(*) FILTER (WHERE ({held}))
                FROM {space.table} AS near TABLESAMPLE SYSTEM ({percent:.6f}) REPEATABLE (1)""",
            asked.values,
        ) or (0, 0)
        return passing / looked_at if looked_at else 0.0

    def _exact(self, space: _Space, asked: _Asked) -> list[Row]:
        """All that passes the filters is compared."""
        return self._rows(
            f"""WITH passing AS MATERIALIZED (
                  SELECT items.id FROM files JOIN contents ON contents.id = files.content_id
                  JOIN items ON items.content_id = contents.id WHERE {asked.condition})
                SELECT item_id, -(vector::vector <#> %s::vector) AS cosine FROM {space.table}
                WHERE item_id IN (SELECT id FROM passing) ORDER BY cosine DESC, item_id LIMIT {asked.count:d}""",
            (*asked.values, asked.vector),
        )

    def _by_graph(self, space: _Space, asked: _Asked, share: float) -> list[Row]:
        """What is found in the graph, which may be less than is there.

        The graph is asked with the vector rounded to float16, as its own are; what it gives is put in order by the
        vector itself. So it may give them out of order, which finds more than to leave those out that come late.
        """
        held = _HELD.format(condition=asked.condition)
        ef = max(_LEAST_EF, math.ceil(_EF_BY_COUNT * asked.count))
        at_once = math.ceil(ef / share)
        is_iterative = at_once > _MOST_AT_ONCE
        with self.connection.transaction(force_rollback=True):  # what is set is so for this alone
            self._set_locally(
                {
                    "hnsw.ef_search": min(_MOST_EF, ef if is_iterative else at_once),
                    "hnsw.iterative_scan": "relaxed_order" if is_iterative else "off",
                    "hnsw.max_scan_tuples": _MOST_SCANNED,
                    **dict.fromkeys(("enable_seqscan", "enable_bitmapscan", "enable_sort", "jit"), "off"),
                    "plan_cache_mode": "force_custom_plan",
                }
            )
            return self._rows(
                f"""WITH found AS MATERIALIZED (
                      SELECT item_id, vector FROM {space.table} AS near WHERE ({held})
                      ORDER BY {_indexed(space.dimension)} <#> %s::halfvec({space.dimension:d}) LIMIT {ef:d})
                    SELECT item_id, -(vector::vector <#> %s::vector) AS cosine FROM found
                    ORDER BY cosine DESC, item_id LIMIT {asked.count:d}""",
                (*asked.values, asked.vector, asked.vector),
            )

    def _set_locally(self, settings: dict[str, object]) -> None:
        self._run(
            f"SELECT {', '.join(['set_config(%s, %s, true)'] * len(settings))}",
            [str(part) for setting in settings.items() for part in setting],
        )

    def build_nearest(self) -> int:
        """Makes the graph of each space that has LEAST_ITEMS and none yet, for what was stored is searched exactly
        until then. Returns how many were made.

        Outside of transactions; nobody is held up by it. It takes minutes for a million items, and far longer where
        the server's maintenance_work_mem does not hold the graph.
        """
        made = 0
        for model_id, modality, dimension in self._rows(
            """SELECT DISTINCT model_id, modality, dimension FROM spaces JOIN models ON models.id = model_id
               WHERE dimension <= %s ORDER BY model_id, modality""",
            (_MOST_DIMENSIONS,),
        ):
            table = space_table(model_id, modality)
            space = self._space(model_id, modality)
            if space is None or space.has_graph:
                continue
            if self._number(f"SELECT count(*) FROM (SELECT FROM {table} LIMIT {LEAST_ITEMS}) AS counted") < LEAST_ITEMS:
                continue
            graph = _graph_of(table)
            self._run(f"DROP INDEX CONCURRENTLY IF EXISTS {graph}")  # one that was cut off while it was made
            self._run(
                f"""CREATE INDEX CONCURRENTLY {graph} ON {table}
                    USING hnsw (({_indexed(dimension)}) halfvec_ip_ops)"""
            )
            self._run(f"ANALYZE {table}")
            made += 1
        return made


def _graph_of(table: str) -> str:
    return f"{table}_graph"


def _indexed(dimension: int) -> str:
    """What a graph is made over, and has to be asked for by: the column itself has no dimension."""
    return f"(vector::halfvec({dimension:d}))"


def _written(vector: FloatMatrix) -> str:
    return f"[{','.join(map(repr, vector.tolist()))}]"
