"""Which files were being read when a run was killed, and whether one of them killed it.

Decoders are native code, and pictures can be larger than memory: a file may end the process that reads it, and would
do so in every run. So each batch is written down before it is read; what was never crossed out is read by a process of
its own at the next run, and what ends that one is set aside.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from mmsearch.files.private import PRIVATE_FILE
from mmsearch.files.regular import check_regular

IN_FLIGHT_NAME = "in-flight"
# No picture within the limits takes nearly as long on a slow machine.
SECONDS_PER_FILE = 300.0
# What the trial prints once it can begin.
READY = b"ready\n"


class InFlight:
    """The list of batches in work, in the library's folder. It is there only while files are read, or after a crash."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, IN_FLIGHT_NAME)
        self._lock = threading.Lock()
        self._descriptor = -1
        self._batches = 0
        self._begun: set[int] = set()

    @property
    def is_left(self) -> bool:
        """Whether the run before did not come to its end."""
        return os.path.exists(self._path)

    def suspects(self) -> set[bytes]:
        """The files that the run before was reading when it was killed."""
        check_regular(self._path)
        try:
            with open(self._path, encoding="ascii") as file:
                lines = file.read().split("\n")
        except (OSError, ValueError):
            return set()
        begun: dict[int, list[bytes]] = {}
        for line in lines[:-1]:  # the last is empty, or cut off by the crash
            try:
                number, *paths = json.loads(line)
                encoded = [os.fsencode(path) for path in paths]
            except (ValueError, TypeError):
                continue
            if not isinstance(number, int):
                continue
            if encoded:
                begun[number] = encoded
            else:
                begun.pop(number, None)
        return {path for paths in begun.values() for path in paths}

    def start(self, suspects: Sequence[bytes] = ()) -> None:
        """Begins a new list, with the suspects that this run does not come to."""
        check_regular(self._path)
        with suppress(FileNotFoundError):
            os.remove(self._path)  # a new file: that of a run which has lost its lock is told from this one
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, PRIVATE_FILE)
        if suspects:
            self.begin(suspects)

    def begin(self, paths: Sequence[bytes]) -> int:
        """Writes down that these are being read. Returns a number to cross them out by."""
        with self._lock:
            self._batches += 1
            number = self._batches
            self._begun.add(number)
            self._write([number, *(os.fsdecode(path) for path in paths)])
            return number

    def end(self, number: int) -> None:
        """Crosses out what was begun under that number."""
        with self._lock:
            self._begun.discard(number)
            self._write([number])

    def _write(self, line: list[object]) -> None:
        if self._descriptor >= 0:  # after a stop, threads that were not waited for still cross out
            os.write(self._descriptor, json.dumps(line).encode("ascii") + b"\n")

    def finish(self) -> None:
        """The run has come to its end, in good order or by an error. What it did not wait for stays on the list."""
        with self._lock:
            try:
                is_own = os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
            except FileNotFoundError:
                is_own = False
            os.close(self._descriptor)
            self._descriptor = -1
            if is_own and not self._begun:
                os.remove(self._path)


def fatal_files(paths: Sequence[bytes], side: int, seconds_per_file: float = SECONDS_PER_FILE) -> dict[bytes, str]:
    """Those of the files that end a process which decodes them to that image side, each with a reason."""
    found: dict[bytes, str] = {}
    left = list(paths)
    while left:
        trial = _decode_elsewhere(left, side, seconds_per_file)
        if not trial.started:  # nothing is known, so no file is blamed
            return found
        if trial.done == len(left):
            return found
        suspect = left[trial.done]
        again = _decode_elsewhere([suspect], side, seconds_per_file)
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
from mmsearch.reading.trial import main
main()
"""


def _decode_elsewhere(paths: Sequence[bytes], side: int, seconds_per_file: float) -> _Trial:
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    process = subprocess.Popen(
        [sys.executable, "-c", _TRIAL, str(side), package],
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

    done = 0
    started = False
    with process:
        try:
            started = process.stdout.readline() == READY
            for path in paths if started else ():
                timer = threading.Timer(seconds_per_file, stop)
                timer.start()
                try:
                    process.stdin.write(path + b"\0")
                    if not process.stdout.readline():
                        break
                except BrokenPipeError:
                    break
                finally:
                    timer.cancel()
                done += 1
        finally:
            process.kill()
    return _Trial(started, done, too_slow.is_set())
