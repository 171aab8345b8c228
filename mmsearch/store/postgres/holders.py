"""Who walks a team's library, or has it for itself: told by the locks of the server, which go with a process."""

from __future__ import annotations

from mmsearch.store.postgres.connected import Connection
from mmsearch.store.postgres.schema import LOCKS, WRITING
from mmsearch.store.queue_state import StoredRun

# Of session locks: the first number of those of roots that are walked ("mmsf").
ROOT_LOCKS = 0x6D6D7366
_HELD = """SELECT application_name, nullif(objid::bigint, %s) FROM pg_locks JOIN pg_stat_activity USING (pid)
  WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND mode = 'ExclusiveLock' AND classid = %s
    AND (objid = %s OR %s) AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  ORDER BY objid, application_name"""


def writer(connection: Connection) -> str | None:
    """Who has the library for itself, as far as the server tells; None where nobody has."""
    row = connection.execute(_HELD, (0, LOCKS, WRITING, False)).fetchone()
    return None if row is None else str(row[0] or "another process")


def runs(connection: Connection) -> list[StoredRun] | None:
    """Who has the library for itself, and who walks which root; None of a standby, which does not know."""
    if connection.info.parameter_status("in_hot_standby") == "on":
        return None
    alone = writer(connection)
    walkers = connection.execute(_HELD, (0, ROOT_LOCKS, 0, True)).fetchall()
    held = [*([(alone, None)] if alone else []), *walkers]
    return [StoredRun(root_id, str(name or "another process").removeprefix("mmsearch ")) for name, root_id in held]
