"""Whether one of the files that were being read when a run was killed had killed it: each is tried elsewhere."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, NamedTuple

from mmsearch.files.own_process import command_for
from mmsearch.indexing.frames import Begun
from mmsearch.indexing.trial import DONE, READ, READY, TrialSettings

# No picture within the limits takes nearly as long on a slow machine, and no group of passages.
SECONDS = 300.0


class Suspect(NamedTuple):
    """A file that may have killed a run, and how much of it the library has: that has not."""

    path: bytes
    begun: Begun = Begun()


class Fatal(NamedTuple):
    """Why a file is set aside, and whether it is the model that it ends: others may encode it."""

    reason: str
    of_model: bool


def fatal_files(
    suspects: Sequence[Suspect],
    settings: TrialSettings,
    stop: threading.Event | None = None,
    seconds: float = SECONDS,
) -> dict[bytes, Fatal]:
    """Those of the files that end a process which reads and encodes what comes next of them, or that hold it up without
    a sign of life for so many seconds. Once `stop` is set, those that were found so far.
    """
    found: dict[bytes, Fatal] = {}
    left = list(suspects)
    stop = stop or threading.Event()
    while left and not stop.is_set():
        trial = _tried_elsewhere(left, settings, stop, seconds)
        # Where it has not begun nothing is known, so no file is blamed.
        if not trial.started or trial.done == len(left) or stop.is_set():
            return found
        suspect = left[trial.done]
        again = _tried_elsewhere([suspect], settings, stop, seconds)
        if again.started and not again.done and not stop.is_set():  # else something else had ended the first
            what = "encoded" if again.was_read else "read"
            reason = f"takes too long to be {what}" if again.too_slow else f"ended the program that {what} it"
            found[suspect.path] = Fatal(reason, again.was_read)
        left = left[trial.done + 1 :]
    return found


@dataclass(frozen=True)
class _Trial:
    """How many of the files another process came through, whether the next one could be read, and whether the process
    was stopped for its slowness.
    """

    started: bool
    done: int
    was_read: bool
    too_slow: bool


def _tried_elsewhere(
    suspects: Sequence[Suspect], settings: TrialSettings, stop: threading.Event, seconds: float
) -> _Trial:
    process = subprocess.Popen(
        command_for("mmsearch.indexing.trial:main", settings.written()),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None and process.stdout is not None
    too_slow = threading.Event()

    def end() -> None:
        too_slow.set()
        process.kill()

    done, started, was_read = 0, False, False
    with process:
        try:
            started = process.stdout.readline().strip() == READY.encode()
            for suspect in suspects if started else ():
                if stop.is_set():
                    break
                process.stdin.write(b"%d %d %a %b\0" % (*suspect.begun, suspect.path))
                was_read = False
                while line := _next_line(process.stdout, seconds, end).strip():
                    was_read = line == READ.encode()
                    if line == DONE.encode():
                        break
                else:
                    break
                done += 1
        except BrokenPipeError:
            pass
        finally:
            process.kill()
    return _Trial(started, done, was_read, too_slow.is_set())


def _next_line(stream: IO[bytes], seconds: float, end: Callable[[], None]) -> bytes:
    """The next line, or nothing where the process has ended; it is ended if it says nothing for so long."""
    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        return stream.readline()
    finally:
        timer.cancel()
