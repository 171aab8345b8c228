"""The table of spaces, and the tables of their vectors: one for each model and modality, all of them parts of one.

So a space is scanned, indexed and emptied by itself, and its vectors have one dimension though the column has none.
Each is made when the space gets its first item, and attached in a way that holds no reader up.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

import psycopg

from mmsearch.records import Medium, Modality
from mmsearch.store.postgres.connected import Connected


def space_table(model_id: int, modality: Modality) -> str:
    """The name of the table that has the vectors of a space."""
    return f"vectors_{model_id:d}_{modality}"


class SpaceTables(Connected):
    """Which spaces there are. What writes does so within the caller's transaction."""

    def spaces(self, model_id: int) -> list[tuple[Modality, Medium]]:
        rows = self._rows(
            "SELECT modality, medium FROM spaces WHERE model_id = %s ORDER BY modality, medium", (model_id,)
        )
        return [(row[0], row[1]) for row in rows]

    def modalities(self, model_id: int) -> list[Modality]:
        return list(dict.fromkeys(modality for modality, _ in self.spaces(model_id)))

    def _note_space(self, content_id: int, model_id: int, modality: Modality) -> None:
        """Says that the model has items of that modality in that content; its vectors can be stored from then on."""
        noted = self._run(
            """INSERT INTO spaces (model_id, modality, medium) SELECT %s, %s, medium FROM contents
               WHERE id = %s AND NOT EXISTS (SELECT FROM spaces
                 WHERE model_id = %s AND modality = %s AND medium = contents.medium)""",
            (model_id, modality, content_id, model_id, modality),
        )
        if noted.rowcount:
            self._make_table(model_id, modality)

    def make_spaces(self, model_id: int, modalities: Collection[Modality]) -> None:
        """Makes the tables for vectors of those modalities, within the caller's transaction: who stores some need not
        have the right to.
        """
        for modality in sorted(modalities):
            self._make_table(model_id, modality)

    def _make_table(self, model_id: int, modality: Modality) -> None:
        own, of_model = space_table(model_id, modality), f"vectors_{model_id:d}"
        if self._is_there(own):
            return
        self._run(f"CREATE TABLE {own} (LIKE vectors INCLUDING STORAGE, PRIMARY KEY (item_id))")
        for role in self._readers():
            self._run(f"GRANT SELECT ON {own} TO {role}")
        is_new = not self._is_there(of_model)
        if is_new:
            self._run(f"CREATE TABLE {of_model} (LIKE vectors INCLUDING STORAGE) PARTITION BY LIST (modality)")
        self._run(f"ALTER TABLE {of_model} ATTACH PARTITION {own} FOR VALUES IN ('{modality}')")
        if is_new:
            self._run(f"ALTER TABLE vectors ATTACH PARTITION {of_model} FOR VALUES IN ({model_id:d})")

    def _readers(self) -> list[str]:
        """The roles that may read the vectors of all spaces, as SQL names them."""
        rows = self._rows(
            """SELECT DISTINCT CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END
               FROM pg_class CROSS JOIN LATERAL aclexplode(relacl)
               WHERE pg_class.oid = 'vectors'::regclass AND privilege_type = 'SELECT' AND grantee <> relowner"""
        )
        return [row[0] for row in rows]

    def drop_lost_tables(self) -> None:
        """Drops the tables of models that the library does not have any more, outside a transaction.

        That costs nothing, and with them goes what their rows have left behind in a graph, over which the server's own
        vacuum takes long. Readers are not held up; where one is in the way they are left to the next writer.
        """
        rows = self._rows(
            """SELECT relname, inhrelid IS NOT NULL, coalesce(inhdetachpending, false)
               FROM pg_class LEFT JOIN pg_inherits ON inhrelid = pg_class.oid
               WHERE relnamespace = 'mmsearch'::regnamespace AND relname ~ '^vectors_[0-9]+$'
                 AND NOT EXISTS (SELECT FROM models WHERE relname = 'vectors_' || models.id)"""
        )
        for table, is_attached, is_begun in rows:
            self._run("SET lock_timeout = '1s'")
            with suppress(psycopg.errors.LockNotAvailable):
                if is_attached:
                    how = "FINALIZE" if is_begun else "CONCURRENTLY"
                    self._run(f"ALTER TABLE vectors DETACH PARTITION {table} {how}")
                self._run(f"DROP TABLE {table}")
            self._run("RESET lock_timeout")

    def _is_there(self, table: str) -> bool:
        row = self._one("SELECT to_regclass(%s) IS NOT NULL", (f"mmsearch.{table}",))
        return row is not None and bool(row[0])
