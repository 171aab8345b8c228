"""Where libraries of tests are kept: in a folder, or in a database of the tests' own PostgreSQL server."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pytest

from mmsearch.store.locations import is_url

if TYPE_CHECKING:
    from postgres_server import PostgresServer

FOLDER, TEAM = "folder", "postgresql"
# For tests that run with each of them; a server takes longer.
BOTH = (FOLDER, pytest.param(TEAM, marks=pytest.mark.slow))


class Places(Protocol):
    """Makes places where no library is yet, all of one `kind`."""

    kind: str

    def new(self) -> str:
        """The folder or URL of another one."""

    def remove(self, location: str) -> None:
        """Removes what was made there, where it takes much room."""


class Folders:
    """Folders within one."""

    kind = FOLDER

    def __init__(self, within: Path) -> None:
        self._within, self._numbers = within, itertools.count()

    def new(self) -> str:
        return str(self._within / f"library {next(self._numbers)}")

    def remove(self, location: str) -> None:
        return


class Databases:
    """Databases of a server."""

    kind = TEAM

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def new(self) -> str:
        return self._server.new_database()

    def remove(self, location: str) -> None:
        self._server.run(f"DROP DATABASE {self._server.name_of(location)} WITH (FORCE)")


@contextmanager
def _opened(location: str) -> Iterator[Any]:
    if is_url(location):
        import psycopg

        with psycopg.connect(location, autocommit=True, options="-c search_path=mmsearch,public") as connection:
            yield connection
    else:
        address = f"{Path(location).absolute().as_uri()}/library.db?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            yield connection


def rows_at(location: str, statement: str) -> list[tuple[Any, ...]]:
    """What the database of a library answers; tables and columns have the same names everywhere."""
    with _opened(location) as connection:
        return list(connection.execute(statement).fetchall())


def vectors_of(told: Sequence[object]) -> npt.NDArray[np.float32]:
    """The column `vectors.vector` of some rows, float32 [rows, dimension]."""
    if isinstance(told[0], bytes):
        return np.stack([np.frombuffer(one, "<f2") for one in told if isinstance(one, bytes)]).astype(np.float32)
    return np.stack([np.fromstring(str(one).strip("[]"), np.float32, sep=",") for one in told])


def wait_until_nobody_writes(location: str) -> None:
    """A server notices within moments that a process is gone that had the library for itself."""
    if not is_url(location):
        return
    held = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND objsubid = 2 AND granted"
    here = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    with _opened(location) as connection:
        for _ in range(100_000):
            if not connection.execute(f"{held} AND {here}").fetchall():
                return
    raise AssertionError("a process that was killed has kept its lock")
