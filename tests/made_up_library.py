"""A store filled with made-up vectors: for what needs more rows than a test can encode."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmsearch.encoding.query_bank import QueryBank
from mmsearch.nearest.spaces import Space
from mmsearch.records import Content, EncodedItem, FileState, FloatMatrix, Modality, ModelIdentity
from mmsearch.store.models import add_model
from mmsearch.store.sqlite.store import SqliteStore

DIMENSION = 64


def unit(rows: FloatMatrix) -> FloatMatrix:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def drawn(count: int, seed: int = 0) -> FloatMatrix:
    """Unit vectors around a few centres that share a direction, float32 [count, DIMENSION]."""
    chance = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(20, DIMENSION)) + 0.5
    rows = centres[chance.integers(20, size=count)] + chance.normal(size=(count, DIMENSION))
    return unit(rows.astype(np.float32))


class MadeUpLibrary:
    """One store with a root; what is added are photos, or notes, without any file on the disk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = str(folder)
        self.store = SqliteStore.write(self.folder)
        with self.store.transaction():
            identity = ModelIdentity("made-up", "1", DIMENSION, "made-up" * 8)
            self.model_id = add_model(self.store, identity)
            self.root_id = self.store.put_root(b"/made-up", "{}").id
        self.identity = identity
        self.added = 0

    def space(self, modality: Modality = "image") -> Space:
        bank = self.store.query_bank_name(self.model_id) if modality == "image" else None
        return Space(self.model_id, self.identity, modality, query_bank=bank or "")

    def give_query_bank(self, texts: FloatMatrix) -> None:
        """Gives the model the query bank of those texts, unit float32 [b, DIMENSION]."""
        with self.store.transaction():
            self.store.put_query_bank(self.model_id, QueryBank(texts, sharpness=8.0, centre=0.1))

    def add(self, rows: FloatMatrix, modality: Modality = "image", extension: str = ".jpg") -> list[int]:
        """Adds a file for each vector. Returns the ids of the items."""
        before = self.store.latest_item()
        with self.store.transaction():
            for row in rows:
                self.added += 1
                item = EncodedItem(modality, row)
                content = Content(self.added.to_bytes(16, "big"), modality, 1)
                content_id = self.store.put_content(content)
                self.store.add_items(content_id, self.model_id, [item])
                path = b"/made-up/%d%s" % (self.added, extension.encode())
                self.store.put_file(FileState(self.root_id, path, 1, 1), content_id)
        added = self.store.item_ids(self.model_id, modality)
        return [int(item_id) for item_id in added if item_id > before]

    def remove(self, item_ids: list[int]) -> None:
        execute = self.store.connection.execute
        with self.store.transaction():
            for item_id in item_ids:
                content = execute("SELECT content_id FROM items WHERE id = ?", (item_id,)).fetchone()[0]
                execute("DELETE FROM files WHERE content_id = ?", (content,))
                self.store.remove_items_of([content])
