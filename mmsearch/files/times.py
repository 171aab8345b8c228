"""Times of files, as the store can hold them, and as a person reads them."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta, timezone

_LARGEST = 2**63 - 1
_TELLS_NO_CHANGES = sys.platform == "win32"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def modification_time(status: os.stat_result) -> int:
    """Nanoseconds since 1970, brought into the range of SQLite's integers (the years 1677 to 2262)."""
    moment = status.st_mtime_ns
    return moment if -_LARGEST <= moment <= _LARGEST else _held(moment)


def change_time(status: os.stat_result) -> int | None:
    """When the system last changed anything of the file, its name included: nanoseconds since 1970.

    None on Windows, which does not tell.
    """
    if _TELLS_NO_CHANGES:
        return None
    moment = status.st_ctime_ns
    return moment if -_LARGEST <= moment <= _LARGEST else _held(moment)


def _held(moment: int) -> int:
    return max(-_LARGEST, min(_LARGEST, moment))


def moment_at(seconds: int) -> datetime:
    """The moment so many seconds after 1970 began, or before it, in UTC. It is added up, as Windows knows none before.

    Raises:
        OverflowError: no calendar has it.
    """
    return _EPOCH + timedelta(seconds=seconds)


def in_local_time(moment: datetime) -> datetime:
    """A moment with its offset from UTC as one in this machine's time zone.

    It stays as it is where the system knows no such time, as Windows knows none before 1970.
    """
    try:
        return moment.astimezone()
    except (OSError, OverflowError, ValueError):
        return moment


def in_utc(mtime_ns: int) -> str:
    """That time in UTC, ISO 8601, to the second."""
    return moment_at(mtime_ns // 1_000_000_000).isoformat(timespec="seconds")
