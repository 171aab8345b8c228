"""What of the queue is paused: settings, which are there at once for every worker that claims, wherever it runs."""

from __future__ import annotations

import json

from mmsearch.store.postgres.connected import Connected
from mmsearch.store.queue_state import StoredPause

# The key of a setting goes on with the ids of a root and of a model; 0, which is no id, stands for all.
_PAUSED = "paused "


def is_paused(root: str, model: str) -> str:
    """An expression of SQL that tells whether the jobs of a root and a model are paused."""
    names = (f"{{}} || {one}" for one in ("' 0'", f"' ' || {model}"))
    keys = [name.format(prefix) for name in names for prefix in (f"'{_PAUSED}0'", f"'{_PAUSED}' || {root}")]
    return f"EXISTS (SELECT FROM settings WHERE key IN ({', '.join(keys)}))"


class PauseTables(Connected):
    """Pauses; see `WorkQueue`."""

    def pause(self, root_id: int | None, model_id: int | None, by: str) -> None:
        self._run(
            """INSERT INTO settings (key, value) VALUES (%s, jsonb_build_object('by', %s::text, 'since',
                 to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'))::text)
               ON CONFLICT (key) DO NOTHING""",
            (f"{_PAUSED}{root_id or 0} {model_id or 0}", by),
        )

    def resume(self, root_id: int | None, model_id: int | None) -> int:
        # Another setting has no such name.
        these = f"{_PAUSED}{root_id or '[0-9]+'} {model_id or '[0-9]+'}"
        return self._run("DELETE FROM settings WHERE key ~ ('^' || %s::text || '$')", (these,)).rowcount

    def pauses(self) -> list[StoredPause]:
        """All that are there, the oldest first."""
        rows = self._rows(
            f"SELECT key, value FROM settings WHERE key LIKE '{_PAUSED}%%' ORDER BY value::jsonb ->> 'since', key"
        )
        found = []
        for key, value in rows:
            root_id, model_id = (int(number) or None for number in key.removeprefix(_PAUSED).split())
            said = json.loads(value)
            found.append(StoredPause(root_id, model_id, f"{said['since'][:19]}Z", said["by"]))
        return found
