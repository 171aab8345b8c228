"""The tables of models and adapters, as methods of the store."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from mmsearch.records import ModelIdentity
from mmsearch.store.sqlite.connected import Connected
from mmsearch.store.sqlite.signing import is_sound
from mmsearch.store.times import now

if TYPE_CHECKING:
    from mmsearch.encoding.query_bank import QueryBank
    from mmsearch.store.adapters import StoredAdapter

_ADAPTER_COLUMNS = f"id, name, version, model_fingerprint, weights, about, added, {is_sound('adapters')}"


class ModelTables(Connected):
    """What the store knows of models and adapters. What writes does so within the caller's transaction."""

    def model_rows(self) -> list[tuple[int, ModelIdentity]]:
        rows = self.connection.execute("SELECT id, name, revision, dimension, fingerprint FROM models ORDER BY id")
        return [(row[0], ModelIdentity(*row[1:])) for row in rows]

    def insert_model(self, identity: ModelIdentity) -> int:
        cursor = self.connection.execute(
            """INSERT INTO models (name, revision, dimension, fingerprint, added, may_lack_files)
               VALUES (?, ?, ?, ?, ?, 1)""",
            (identity.name, identity.revision, identity.dimension, identity.fingerprint, now()),
        )
        return int(cursor.lastrowid or 0)

    def rename_model(self, model_id: int, identity: ModelIdentity) -> None:
        self.connection.execute(
            "UPDATE models SET name = ?, revision = ? WHERE id = ?", (identity.name, identity.revision, model_id)
        )

    def delete_model(self, model_id: int) -> None:
        self.connection.execute("DELETE FROM models WHERE id = ?", (model_id,))

    def may_lack_files(self, model_id: int) -> bool:
        row = self.connection.execute("SELECT may_lack_files FROM models WHERE id = ?", (model_id,)).fetchone()
        return bool(row and row[0])

    def set_caught_up(self, model_id: int) -> None:
        self.connection.execute("UPDATE models SET may_lack_files = 0 WHERE id = ?", (model_id,))

    def query_bank_name(self, model_id: int) -> str | None:
        row = self.connection.execute("SELECT fingerprint FROM query_banks WHERE model_id = ?", (model_id,)).fetchone()
        return None if row is None else str(row[0])

    def query_bank(self, model_id: int) -> QueryBank:
        """The query bank of a model that has one.

        Raises:
            DatabaseError: damage has changed it.
        """
        from mmsearch.encoding.query_bank import QueryBank, unpacked

        row = self.connection.execute(
            f"""SELECT vectors, dimension, sharpness, centre, {is_sound("query_banks")}
                FROM query_banks JOIN models ON models.id = model_id WHERE model_id = ?""",
            (model_id,),
        ).fetchone()
        try:
            if row is not None and row[4]:
                return QueryBank(unpacked(row[0], row[1]), *row[2:4])
        except ValueError:  # the model's dimension is damaged
            pass
        raise sqlite3.DatabaseError("the checksum of a query bank is wrong")

    def put_query_bank(self, model_id: int, bank: QueryBank) -> None:
        from mmsearch.encoding.query_bank import stored_form

        name, vectors = stored_form(bank)
        self.connection.execute(
            """INSERT OR REPLACE INTO query_banks (model_id, fingerprint, sharpness, centre, vectors)
               VALUES (?, ?, ?, ?, x'')""",
            (model_id, name, float(bank.sharpness), float(bank.centre)),
        )
        # A row that has a checksum already stays where it is when it gets another: its pages are written once.
        self.connection.execute("UPDATE query_banks SET vectors = ? WHERE model_id = ?", (vectors, model_id))

    def adapters(self, adapter_id: int | None = None) -> list[StoredAdapter]:
        """The adapters, by name and version; with `adapter_id` that one alone. They are sound by their checksums."""
        from mmsearch.store.adapters import StoredAdapter

        rows = self.connection.execute(
            f"SELECT {_ADAPTER_COLUMNS} FROM adapters WHERE id = ifnull(?, id) ORDER BY name, version",
            (adapter_id,),
        )
        return [StoredAdapter(*row) for row in rows]

    def insert_adapter(self, name: str, version: int, model_fingerprint: str, weights: bytes, about: str) -> int:
        cursor = self.connection.execute(
            "INSERT INTO adapters (name, version, model_fingerprint, weights, about, added) VALUES (?, ?, ?, ?, ?, ?)",
            (name, version, model_fingerprint, weights, about, now()),
        )
        return int(cursor.lastrowid or 0)

    def delete_adapter(self, adapter_id: int) -> None:
        self.connection.execute("DELETE FROM adapters WHERE id = ?", (adapter_id,))
