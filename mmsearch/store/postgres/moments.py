"""When a file was taken, else modified, as a local time in SQL over the tables `files`, `contents` and `sidecars`."""

from __future__ import annotations

import os
import time
from zoneinfo import ZoneInfo

# As the file says itself, else as a sidecar says: SQL that is NULL where neither does. For many files sidecars are
# joined, which takes half as long as to look them up one by one, as `store.conditions` has it.
_TAKEN = "coalesce(contents.taken, sidecars.taken)"
_LOCAL_TIME = "/etc/localtime"


def moment() -> str:
    """SQL for a local time to the second, ISO 8601, with sidecars joined: of this machine's zone, not of the server's.

    A division of integers cuts off towards zero, which before 1970 is a second late.
    """
    seconds = "(files.mtime_ns / 1000000000 - (mod(files.mtime_ns, 1000000000) < 0)::integer)"
    modified = f"to_timestamp({seconds}) AT TIME ZONE '{_local_zone()}'"
    return f"""CASE WHEN {_TAKEN} IS NULL THEN to_char({modified}, 'YYYY-MM-DD"T"HH24:MI:SS') COLLATE "C"
        ELSE left({_TAKEN}, 19) END"""


def _local_zone() -> str:
    """This machine's time zone, by its name where it has one: so that summer and winter have hours of their own."""
    name = os.environ.get("TZ", "").lstrip(":")
    if not name and os.path.islink(_LOCAL_TIME):
        name = os.path.realpath(_LOCAL_TIME).partition("zoneinfo/")[2]
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, KeyError):  # none, a path, or a rule in the place of a name
        east = time.localtime().tm_gmtoff // 60
        hours, minutes = divmod(abs(east), 60)
        return f"<local>{'-' if east > 0 else '+'}{hours}:{minutes:02d}"  # POSIX counts towards the west
