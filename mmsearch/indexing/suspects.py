"""Whether one of the files that were being read when a run was killed had killed it: each is tried elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from mmsearch.indexing.trial import DONE, READY, TrialSettings

# No picture within the limits takes nearly as long on a slow machine, and no group of passages.
SECONDS = 300.0


def fatal_files(paths: Sequence[bytes], settings: TrialSettings, seconds: float = SECONDS) -> dict[bytes, str]:
    """Those of the files that end a process which reads and encodes them, each with a reason.

    Or hold it up, without a sign of life for so many seconds.
    """
    found: dict[bytes, str] = {}
    left = list(paths)
    while left:
        trial = _tried_elsewhere(left, settings, seconds)
        if not trial.started:  # nothing is known, so no file is blamed
            return found
        if trial.done == len(left):
            return found
        suspect = left[trial.done]
        again = _tried_elsewhere([suspect], settings, seconds)
        if again.started and not again.done:  # else something other than the file had ended the first
            found[suspect] = "takes too long to read" if again.too_slow else "ended the program that read it"
        left = left[trial.done + 1 :]
    return found


@dataclass(frozen=True)
class _Trial:
    """How many of the files another process came through, and whether it was stopped for its slowness."""

    started: bool
    done: int
    too_slow: bool


# Not by -m, which would look for modules in the current folder first: that may be one full of other people's files.
_TRIAL = """
import sys
sys.path[:] = [*filter(None, sys.path), sys.argv[2]]
from mmsearch.indexing.trial import main
main()
"""


def _tried_elsewhere(paths: Sequence[bytes], settings: TrialSettings, seconds: float) -> _Trial:
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    process = subprocess.Popen(
        [sys.executable, "-c", _TRIAL, settings.written(), package],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None and process.stdout is not None
    too_slow = threading.Event()

    def stop() -> None:
        too_slow.set()
        process.kill()

    done, started = 0, False
    with process:
        try:
            started = process.stdout.readline().strip() == READY.encode()
            for path in paths if started else ():
                process.stdin.write(path + b"\0")
                while line := _next_line(process.stdout, seconds, stop):
                    if line.strip() == DONE.encode():
                        break
                else:
                    break
                done += 1
        except BrokenPipeError:
            pass
        finally:
            process.kill()
    return _Trial(started, done, too_slow.is_set())


def _next_line(stream: IO[bytes], seconds: float, stop: Callable[[], None]) -> bytes:
    """The next line, or nothing where the process has ended; it is stopped if it says nothing for so long."""
    timer = threading.Timer(seconds, stop)
    timer.start()
    try:
        return stream.readline()
    finally:
        timer.cancel()
