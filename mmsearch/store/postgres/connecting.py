"""How a library's PostgreSQL is reached: by a URL just as its own client takes it, and as what sessions are set up."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psycopg
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo
from psycopg.types.string import StrDumperUnknown

from mmsearch.errors import Unsupported
from mmsearch.records import HalfMatrix
from mmsearch.store.postgres.connected import Connection
from mmsearch.store.postgres.schema import use_schema

OLDEST_SERVER, OLDEST_PGVECTOR = 16, (0, 8)
# A server or network that is gone is noticed within a minute or so.
_DEFAULTS = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
# A statement that was run so often is prepared: to plan one takes the server longer than to run it.
_PREPARED_AFTER = 1
_SAID_BY_ENVIRONMENT = {"connect_timeout": "PGCONNECT_TIMEOUT"}


class HalfVector:
    """A vector, float16 [dimension], as the parameter of a statement."""

    def __init__(self, vector: HalfMatrix) -> None:
        self.vector = vector


class _Text(StrDumperUnknown):
    """PostgreSQL's texts have no NUL."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd"))


class _HalfVectorDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: HalfVector) -> bytes:
        return len(obj.vector).to_bytes(2, "big") + b"\0\0" + obj.vector.astype(">f2").tobytes()


class _HalfVectorLoader(Loader):
    """Gives float16 vectors as bytes, little-endian, as stores tell them."""

    format = Format.BINARY

    def load(self, data: Any) -> bytes:
        return np.frombuffer(bytes(data[4:]), ">f2").astype("<f2").tobytes()


def connect(url: str) -> Connection:
    """A connection that commits each statement by itself unless a transaction was begun.

    Raises:
        psycopg.Error: the server is not there or does not let us in. Unsupported: it is too old.
    """
    said = psycopg.conninfo.conninfo_to_dict(url)
    said.update((key, None) for key, variable in _SAID_BY_ENVIRONMENT.items() if variable in os.environ)
    defaults = {key: value for key, value in _DEFAULTS.items() if key not in said}
    written = psycopg.conninfo.make_conninfo(url, fallback_application_name=_our_name(), **defaults)
    opened = psycopg.connect(written, autocommit=True, prepare_threshold=_PREPARED_AFTER)
    with closed_on_error(opened) as connection:
        version = connection.info.server_version // 10_000
        if version < OLDEST_SERVER:
            raise Unsupported(f"The server is PostgreSQL {version}; a library needs {OLDEST_SERVER} or newer.")
        if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
            raise Unsupported(f"The database is encoded in {encoding}; make one for the library in UTF8.")
        connection.adapters.register_dumper(str, _Text)
        return connection


@contextmanager
def closed_on_error(connection: Connection) -> Iterator[Connection]:
    """Closes the connection where what is done with it within fails."""
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def set_up(connection: Connection) -> None:
    """Lets statements of the connection name the library's tables, and send and receive vectors.

    Raises:
        Unsupported: its pgvector is missing or too old.
    """
    use_schema(connection)
    row = connection.execute(
        """SELECT extversion, pg_type.oid::int8, typarray::int8 FROM pg_extension
           LEFT JOIN pg_type ON typname = 'halfvec' AND typnamespace = extnamespace WHERE extname = 'vector'"""
    ).fetchone()
    version, oid, array_oid = row or ("0", None, None)
    if tuple(int(number) for number in version.split(".")[:2]) < OLDEST_PGVECTOR or oid is None:
        least = ".".join(map(str, OLDEST_PGVECTOR))
        raise Unsupported(
            f"The database has pgvector {version}, and a library needs {least} or newer; install it on the server, and "
            "let the database's owner run ALTER EXTENSION vector UPDATE."
        )
    TypeInfo("halfvec", oid, array_oid).register(connection)
    connection.adapters.register_dumper(HalfVector, type("HalfVectorDumper", (_HalfVectorDumper,), {"oid": oid}))
    connection.adapters.register_loader(oid, _HalfVectorLoader)


def _our_name() -> str:
    """By what the server's operators, and those who wait for a writer, know this process."""
    return f"mmsearch {platform.node()}:{os.getpid()}"[-63:]
