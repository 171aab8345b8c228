"""Named places between two writes. A test ends the process at one of them, to see what the next run makes of it."""

from __future__ import annotations

import os
import signal

VARIABLE = "MMSEARCH_CRASH_AT"

CRASH_POINTS = (
    "library made",
    "library copied before upgrade",
    "library upgraded",
    "root noted",
    "walk noted",
    "run begun",
    "batch written",
    "batch committed",
    "suspect noted",
    "gone files removed",
    "sidecars noted",
    "archives noted",
    "queued",
    "jobs claimed",
    "jobs written",
    "jobs stored",
    "run finished",
    "words settled",
    "query bank kept",
    "found texts encoded",
    "stage written",
    "stage committed",
    "codes begun",
    "record kept",
    "codes added",
    "rows begun",
    "rows added",
    "derived file written",
    "derived file in place",
    "graph written",
    "graph in place",
    "others removed",
    "calibration kept",
    "files pruned",
    "compacted",
    "backup written",
    "rows copied",
    "library copied",
    "salvage written",
    "damaged log set aside",
    "damaged library kept",
)


def crash_point(name: str) -> None:
    """Ends the process as kill -9 does, if the environment says so: `name`, or `name:3` for the third time there."""
    asked = os.environ.get(VARIABLE)
    if asked is None:
        return
    wanted, _, times = asked.partition(":")
    if wanted != name:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] == int(times or 1):
        os.kill(os.getpid(), signal.SIGKILL)


_passed: dict[str, int] = {}
