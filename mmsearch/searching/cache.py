"""Vectors of texts that were searched before, in a small file of the library's folder: no model is loaded for them.

A vector is that of a text, or the mean of those of several, which are its key: as they are encoded, not as they were
typed. The texts themselves are not kept, only hashes of them. The file may be deleted at any time.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import numpy as np
import xxhash

from mmsearch.files.private import make_private_file
from mmsearch.records import FloatMatrix, ModelIdentity

QUERY_CACHE_NAME = "queries.cache"
MOST_QUERIES = 2_000
_CHECKSUM_BYTES = 8


class QueryCache:
    """The vectors that one model, with its adapter, made of texts. What cannot be read or written is done without."""

    def __init__(self, folder: str, identity: ModelIdentity) -> None:
        self._path = os.path.join(folder, QUERY_CACHE_NAME)
        self._identity = identity

    def get(self, texts: tuple[str, ...]) -> FloatMatrix | None:
        """The unit vector of those texts, float32 [dimension], or None."""
        if not os.path.exists(self._path):
            return None
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._path, timeout=0)) as connection:
            key = self._key(texts)
            row = connection.execute("SELECT vector FROM queries WHERE key = ?", (key,)).fetchone()
            return self._opened(key, row[0]) if row is not None and isinstance(row[0], bytes) else None
        return None

    def put(self, texts: tuple[str, ...], vector: FloatMatrix) -> None:
        """Keeps the vector; the oldest are dropped beyond `MOST_QUERIES`."""
        with suppress(sqlite3.Error, OSError):
            try:
                self._write(texts, vector)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise  # busy, full or read-only
                os.remove(self._path)  # damaged
                self._write(texts, vector)

    def _write(self, texts: tuple[str, ...], vector: FloatMatrix) -> None:
        make_private_file(self._path)
        with self._connected() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS queries (id INTEGER PRIMARY KEY, key BLOB UNIQUE, vector BLOB)"
            )
            key = self._key(texts)
            connection.execute(
                "INSERT OR REPLACE INTO queries (key, vector) VALUES (?, ?)", (key, self._sealed(key, vector))
            )
            connection.execute("DELETE FROM queries WHERE id <= (SELECT max(id) FROM queries) - ?", (MOST_QUERIES,))

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=0)) as connection:
            connection.execute("PRAGMA synchronous = OFF")  # what a power cut damages is noticed
            with connection:
                yield connection

    def _key(self, texts: tuple[str, ...]) -> bytes:
        keys = [
            xxhash.xxh3_128_digest(f"{self._identity.fingerprint}\0{text}".encode("utf-8", "surrogatepass"))
            for text in texts
        ]
        return keys[0] if len(keys) == 1 else xxhash.xxh3_128_digest(b"".join(keys))

    def _sealed(self, key: bytes, vector: FloatMatrix) -> bytes:
        """The vector behind a checksum that covers the key too: a damaged index leads to another text's row."""
        data = vector.astype("<f4").tobytes()
        return xxhash.xxh3_64_digest(key + data) + data

    def _opened(self, key: bytes, stored: bytes) -> FloatMatrix | None:
        checksum, data = stored[:_CHECKSUM_BYTES], stored[_CHECKSUM_BYTES:]
        if xxhash.xxh3_64_digest(key + data) != checksum or len(data) != 4 * self._identity.dimension:
            return None
        vector: FloatMatrix = np.frombuffer(data, "<f4").astype(np.float32)
        return vector
