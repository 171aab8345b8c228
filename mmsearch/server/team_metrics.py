"""The measures of a team's library as metrics, taken no more often than the database can do it with ease."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

from mmsearch.errors import MmsearchError
from mmsearch.library import Library
from mmsearch.server.exposition import Family, labels
from mmsearch.store.measures import MEASURE_GROUPS, Measure, MeasureGroup

# Measures are kept for so many seconds, and for so many times as long as it took to take them.
_LEAST_SECONDS, _TIMES = 5.0, 50.0
# By the names of measures.
ABOUT: dict[str, str] = {
    "jobs": "Jobs that wait, those of them that were tried before and that are paused, and those in work, by model.",
    "oldest_job_seconds": "How long the job that waits longest and is not paused has waited, by model; 0 for none.",
    "workers": "Workers that are alive.",
    "jobs_done_total": "Jobs that workers are through with, by model.",
    "failures": "Files that could not be read or encoded, by reason.",
    "lacking_files": "Files of the library that a model has not encoded yet.",
    "files": "Files in the library, by type.",
    "live_tuples": "Rows of a table, as the server counts them.",
    "dead_tuples": "Rows of a table that are gone and not cleared away yet, as the server counts them.",
    "table_bytes": "What a table takes on the server's disk, without its indexes.",
    "index_bytes": "What the indexes of a table take on the server's disk.",
    "library_bytes": "What the library takes on the disk.",
    "items": "Items of the model that searches use.",
    "standbys": "Servers that follow the database.",
    "replication_lag_bytes": "How much of what was written a standby does not show yet.",
    "replication_lag_seconds": "How far a standby is behind.",
    "wal_archived_age_seconds": "How long ago the server has last archived a piece of its log.",
    "wal_archiving_fails": "Whether the last try to archive a piece of the server's log has failed.",
    "roots_offline": "Roots that are missing, not mounted or suddenly empty, on this machine.",
}
_UP = "Whether the library could be asked."
_UNMEASURED = "Measures that the database did not tell in time, or that this role may not see."


class _Kept(NamedTuple):
    """What was told of a group, and until when that is good."""

    measures: tuple[Measure, ...] | None
    until: float


class TeamMetrics:
    """The metrics of one library. Any number of threads may ask; one asks the library."""

    def __init__(self, opened: Callable[[], Library], clock: Callable[[], float] = time.monotonic) -> None:
        self._opened, self._clock = opened, clock
        self._lock = threading.Lock()
        self._kept: dict[MeasureGroup, _Kept] = {}

    def families(self) -> list[Family]:
        """All of them; none of a library in a folder. Where it is out of reach they say no more than that."""
        with self._lock:
            try:
                has_measures = self._renew()
            except MmsearchError:
                self._kept.clear()
                return [Family("mmsearch_library_up", _UP, {"": 0})]
            return list(self._told()) if has_measures else []

    def _renew(self) -> bool:
        """Takes those measures that are due. Returns whether the library has any."""
        due = [group for group in MEASURE_GROUPS if group not in self._kept or self._kept[group].until < self._clock()]
        if not due:
            return True
        with closing(self._opened()) as library:
            for group in due:
                began = self._clock()
                told = library.measures([group])
                if not told:
                    return False
                ended = self._clock()
                # Of roots no database is asked, but drives and buckets, which may hang.
                taken = 0.0 if group == "roots" else _TIMES * (ended - began)
                self._kept[group] = _Kept(told[group], ended + max(_LEAST_SECONDS, taken))
        return True

    def _told(self) -> Iterator[Family]:
        yield Family("mmsearch_library_up", _UP, {"": 1})
        by_name: dict[str, dict[str, float]] = {}
        for kept in self._kept.values():
            for one in kept.measures or ():
                by_name.setdefault(one.name, {})[labels(one.labels)] = one.value
        for name, values in by_name.items():
            yield Family(f"mmsearch_{name}", ABOUT[name], values, "counter" if name.endswith("_total") else "gauge")
        unmeasured = {labels([("what", group)]): float(kept.measures is None) for group, kept in self._kept.items()}
        yield Family("mmsearch_unmeasured", _UNMEASURED, unmeasured)
