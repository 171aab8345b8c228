"""A run of index in a process apart, so that searches go on as fast: what it says is read a line at a time.

Such a process may be ended at any moment: what was done is kept, and the next run goes on from there.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from mmsearch.files.own_process import command_for
from mmsearch.library.access import LIBRARY_VARIABLE

_SECONDS_BETWEEN = 0.2


def started(library: str, paths: Sequence[str]) -> subprocess.Popen[str]:
    """The process; its stdout has an object a line: `progress`, and at the end `report` or `error`.

    `library` is the folder or URL. What may hold a password is told by a variable: others can see the arguments.
    """
    return subprocess.Popen(
        command_for(f"{__name__}:index", json.dumps(list(paths))),
        env={**os.environ, LIBRARY_VARIABLE: library},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="ascii",
        start_new_session=True,  # Ctrl-C is for the server, which ends it in its turn
    )


def told_by(stream: IO[str]) -> Iterator[dict[str, Any]]:
    """The objects that the process writes."""
    for line in stream:
        if line.endswith("\n"):  # else it was ended at this moment
            yield json.loads(line)


def index(paths: str) -> None:
    """What `started` has done in a process apart."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what a library prints is no answer
    from mmsearch import Library, MmsearchError
    from mmsearch.output.json import described

    def tell(name: str, value: Any) -> None:
        answers.write(json.dumps({name: described(value)}) + "\n")
        answers.flush()

    with Library() as library:
        try:
            report = library.index(json.loads(paths), on_progress=_now_and_then(lambda done: tell("progress", done)))
        except MmsearchError as error:
            remedy = error.remedy
            told = {"message": error.message, "action": remedy and remedy.action, "subject": remedy and remedy.subject}
            tell("error", told)
        else:
            tell("report", report)


def _now_and_then(tell: Callable[[Any], None]) -> Callable[[Any], None]:
    """Tells no more than some times a second."""
    last = 0.0

    def told(progress: Any) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN:
            last = time.monotonic()
            tell(progress)

    return told
