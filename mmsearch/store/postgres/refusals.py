"""What a server, or the way to it, refuses a library, as errors of our own kinds. None of them has a password in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import errors

from mmsearch.errors import Busy, Damaged, Invalid, MmsearchError, NotFound, Refused, Remedy, Unavailable, Unsupported
from mmsearch.store.locations import shown
from mmsearch.store.refusals import TakesNoWrites

_Kinds = tuple[type[psycopg.Error], ...]
_SHUT_DOWN: _Kinds = (
    *(errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow, errors.IdleSessionTimeout),
    errors.IdleInTransactionSessionTimeout,
)
_FAILING: _Kinds = (errors.OutOfMemory, errors.ConfigurationLimitExceeded, errors.IoError)
_IN_THE_WAY: _Kinds = (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure)
_NOT_AS_WRITTEN: _Kinds = (
    *(errors.DataCorrupted, errors.IndexCorrupted, errors.UndefinedTable, errors.UndefinedColumn),
    *(errors.UndefinedFunction, errors.UndefinedObject),
)


@contextmanager
def mapped_errors(url: str) -> Iterator[None]:
    """Makes what the server of that URL, or the way to it, reports an MmsearchError, where a person can mend it."""
    try:
        yield
    except psycopg.Error as error:
        known = _known(error, shown(url)) if error.sqlstate else _without_state(error, url)
        if known is None:
            raise
        # What the client reports of a URL that it cannot read may have a part of the password in it.
        raise known from (None if isinstance(known, Invalid) else error)


def read_only(where: str, reason: str) -> TakesNoWrites:
    """What is told of a server that was set to be read only."""
    return TakesNoWrites(f"The server of {where} takes no writes at present ({reason})", Remedy("database.writes"))


def _is_torn(said: Mapping[str, object]) -> bool:
    """Whether a sign within the password that is to be encoded has torn the URL apart."""
    host, port = str(said.get("host") or ""), str(said.get("port") or "0")
    return "@" in host or "@" in str(said.get("dbname") or "") or not all(one.isdecimal() for one in port.split(","))


def _without_state(error: psycopg.Error, url: str) -> MmsearchError | None:
    """What the client itself reports, or what the server said before it let us in."""
    try:
        torn = _is_torn(psycopg.conninfo.conninfo_to_dict(url))
    except psycopg.Error:
        torn = True
    if torn:
        return Invalid(
            "The address of the library is none that PostgreSQL's client takes; it is like "
            "postgresql://user@host:5432/database, with signs such as / and @ in a password written as %2F and %40."
        )
    if not isinstance(error, psycopg.OperationalError):
        return None
    where, reason = shown(url), _reason(error)
    if "pg_hba.conf" in reason:
        return Refused(f"The server of {where} does not let this user in ({reason})", Remedy("database.admission"))
    if "password" in reason or "authentication" in reason:
        return Refused(f"The server of {where} does not let this user in ({reason})", Remedy("database.password"))
    if "certificate" in reason:
        return Refused(f"The server of {where} is not trusted ({reason})", Remedy("database.certificate"))
    if "FATAL:" in str(error) and "does not exist" in reason:
        return NotFound(f"There is no such database or role: {where} ({reason}).")
    return Unavailable(f"The server of {where} is out of reach ({reason})", Remedy("database.reach"))


def _known(error: psycopg.Error, where: str) -> MmsearchError | None:
    """What the server reports in a session, or None where it is a bug of ours."""
    reason = _reason(error)
    if isinstance(error, errors.InsufficientPrivilege):
        return Refused(f"The role that opens {where} may not do that ({reason}); its owner can grant it.")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return read_only(where, reason)
    if isinstance(error, errors.DiskFull):
        return TakesNoWrites(f"The server of {where} has no room left on its disk ({reason})", Remedy("database.room"))
    if isinstance(error, _SHUT_DOWN) or (error.sqlstate or "").startswith("08"):
        return Unavailable(f"The server of {where} was stopped or started anew ({reason})", Remedy("database.again"))
    if isinstance(error, (errors.TooManyConnections, errors.QueryCanceled)):
        return Unavailable(f"The server of {where} has too much to do ({reason})", Remedy("database.again"))
    if isinstance(error, _FAILING):
        return Unavailable(
            f"The server of {where} has no memory left, or its disk fails ({reason})", Remedy("database.again")
        )
    if isinstance(error, _IN_THE_WAY):
        return Busy(f"Another program keeps {where} busy ({reason}); wait until it has finished.")
    if isinstance(error, errors.ProgramLimitExceeded):
        return Unsupported(f"PostgreSQL cannot keep a path of more than 2,600 bytes or so ({reason}); shorten it.")
    if isinstance(error, _NOT_AS_WRITTEN):
        return Damaged(f"The library in {where} is not as it was written ({reason}); restore a backup of the database.")
    return None


def _reason(error: psycopg.Error) -> str:
    """The sentence of the server or of the system, without what the client puts around it."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    for before in ("FATAL:", " failed: "):
        line = line.rpartition(before)[2]
    return line.strip().rstrip(".")
