"""The tables of models and adapters, as methods of the store."""

from __future__ import annotations

from typing import Any

from mmsearch.records import ModelIdentity
from mmsearch.store.sqlite.connected import Connected
from mmsearch.store.sqlite.signing import is_sound
from mmsearch.store.sqlite.times import now

_ADAPTER_COLUMNS = f"id, name, version, model_fingerprint, weights, about, added, {is_sound('adapters')}"


class ModelTables(Connected):
    """What the store knows of models and adapters. What writes does so within the caller's transaction."""

    def model_rows(self) -> list[tuple[int, ModelIdentity]]:
        """The id and identity of each model, the oldest first."""
        rows = self.connection.execute("SELECT id, name, revision, dimension, fingerprint FROM models ORDER BY id")
        return [(row[0], ModelIdentity(*row[1:])) for row in rows]

    def insert_model(self, identity: ModelIdentity) -> int:
        """Adds a model that has encoded nothing yet. Returns its id."""
        cursor = self.connection.execute(
            """INSERT INTO models (name, revision, dimension, fingerprint, added, may_lack_files)
               VALUES (?, ?, ?, ?, ?, 1)""",
            (identity.name, identity.revision, identity.dimension, identity.fingerprint, now()),
        )
        return int(cursor.lastrowid or 0)

    def rename_model(self, model_id: int, identity: ModelIdentity) -> None:
        """Says that the model is called as that identity is."""
        self.connection.execute(
            "UPDATE models SET name = ?, revision = ? WHERE id = ?", (identity.name, identity.revision, model_id)
        )

    def delete_model(self, model_id: int) -> None:
        """Removes the row of the model, and nothing else."""
        self.connection.execute("DELETE FROM models WHERE id = ?", (model_id,))

    def may_lack_files(self, model_id: int) -> bool:
        """Whether there may be files that the model has not encoded."""
        row = self.connection.execute("SELECT may_lack_files FROM models WHERE id = ?", (model_id,)).fetchone()
        return bool(row and row[0])

    def set_caught_up(self, model_id: int) -> None:
        """Says that the model has encoded all files."""
        self.connection.execute("UPDATE models SET may_lack_files = 0 WHERE id = ?", (model_id,))

    def adapter_rows(self, adapter_id: int | None = None) -> list[tuple[Any, ...]]:
        """Id, name, version, fingerprint of the model, weights, description and moment of each adapter, by name, and
        whether all of that is what was stored.

        With `adapter_id` only of that one.
        """
        rows = self.connection.execute(
            f"SELECT {_ADAPTER_COLUMNS} FROM adapters WHERE id = ifnull(?, id) ORDER BY name, version",
            (adapter_id,),
        )
        return rows.fetchall()

    def insert_adapter(self, name: str, version: int, model_fingerprint: str, weights: bytes, about: str) -> int:
        """Adds an adapter. Returns its id."""
        cursor = self.connection.execute(
            "INSERT INTO adapters (name, version, model_fingerprint, weights, about, added) VALUES (?, ?, ?, ?, ?, ?)",
            (name, version, model_fingerprint, weights, about, now()),
        )
        return int(cursor.lastrowid or 0)

    def delete_adapter(self, adapter_id: int) -> None:
        """Removes an adapter."""
        self.connection.execute("DELETE FROM adapters WHERE id = ?", (adapter_id,))
