"""The tables of models and adapters, as methods of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsearch.records import ModelIdentity
from mmsearch.store.postgres.connected import NOW, Connected

if TYPE_CHECKING:
    from mmsearch.encoding.query_bank import QueryBank
    from mmsearch.store.adapters import StoredAdapter


class ModelTables(Connected):
    """What the store knows of models and adapters. What writes does so within the caller's transaction."""

    def model_rows(self) -> list[tuple[int, ModelIdentity]]:
        rows = self._rows("SELECT id, name, revision, dimension, fingerprint FROM models ORDER BY id")
        return [(row[0], ModelIdentity(*row[1:])) for row in rows]

    def insert_model(self, identity: ModelIdentity) -> int:
        return self._number(
            f"""INSERT INTO models (name, revision, dimension, fingerprint, added) VALUES (%s, %s, %s, %s, {NOW})
                RETURNING id""",
            (identity.name, identity.revision, identity.dimension, identity.fingerprint),
        )

    def rename_model(self, model_id: int, identity: ModelIdentity) -> None:
        self._run(
            "UPDATE models SET name = %s, revision = %s WHERE id = %s", (identity.name, identity.revision, model_id)
        )

    def delete_model(self, model_id: int) -> None:
        self._run("DELETE FROM models WHERE id = %s", (model_id,))
        self._run(
            "DELETE FROM settings WHERE key = 'jobs_done ' || %s::bigint OR key LIKE 'paused %% ' || %s::bigint",
            (model_id, model_id),
        )

    def may_lack_files(self, model_id: int) -> bool:
        row = self._one("SELECT may_lack_files FROM models WHERE id = %s", (model_id,))
        return bool(row and row[0])

    def set_caught_up(self, model_id: int) -> None:
        self._run("UPDATE models SET may_lack_files = false WHERE id = %s", (model_id,))

    def query_bank_name(self, model_id: int) -> str | None:
        row = self._one("SELECT fingerprint FROM query_banks WHERE model_id = %s", (model_id,))
        return None if row is None else str(row[0])

    def query_bank(self, model_id: int) -> QueryBank:
        from mmsearch.encoding.query_bank import QueryBank, unpacked

        (row,) = self._rows(
            """SELECT vectors, dimension, sharpness, centre FROM query_banks JOIN models ON models.id = model_id
               WHERE model_id = %s""",
            (model_id,),
        )
        return QueryBank(unpacked(row[0], row[1]), *row[2:4])

    def put_query_bank(self, model_id: int, bank: QueryBank) -> None:
        from mmsearch.encoding.query_bank import stored_form

        name, vectors = stored_form(bank)
        self._run(
            """INSERT INTO query_banks (model_id, fingerprint, sharpness, centre, vectors)
               VALUES (%s, %s, %s, %s, %s)
               ON CONFLICT (model_id) DO UPDATE SET fingerprint = excluded.fingerprint,
                 sharpness = excluded.sharpness, centre = excluded.centre, vectors = excluded.vectors""",
            (model_id, name, float(bank.sharpness), float(bank.centre), vectors),
        )

    def adapters(self, adapter_id: int | None = None) -> list[StoredAdapter]:
        """The adapters, by name and version; with `adapter_id` that one alone. The server sees to their being sound."""
        from mmsearch.store.adapters import StoredAdapter

        rows = self._rows(
            """SELECT id, name, version, model_fingerprint, weights, about, added FROM adapters
               WHERE id = coalesce(%s, id) ORDER BY name, version""",
            (adapter_id,),
        )
        return [StoredAdapter(*row) for row in rows]

    def insert_adapter(self, name: str, version: int, model_fingerprint: str, weights: bytes, about: str) -> int:
        return self._number(
            f"""INSERT INTO adapters (name, version, model_fingerprint, weights, about, added)
                VALUES (%s, %s, %s, %s, %s, {NOW}) RETURNING id""",
            (name, version, model_fingerprint, weights, about),
        )

    def delete_adapter(self, adapter_id: int) -> None:
        self._run("DELETE FROM adapters WHERE id = %s", (adapter_id,))
