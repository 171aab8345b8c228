"""Which files were being read when a run was killed.

Decoders and models are native code, and pictures can be larger than memory: a file may end the process that reads it,
and would do so in every run. So each batch is written down before it is read; what was never crossed out is tried at
the next run by a process of its own (`suspects.py`), and what ends that one is set aside.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from contextlib import suppress

from mmsearch.files.private import PRIVATE_FILE
from mmsearch.files.regular import check_regular

IN_FLIGHT_NAME = "in-flight"


class InFlight:
    """The list of batches in work, in the library's folder. It is there only while files are read, or after a crash.

    A `stage` has a list of its own: what ends it is another thing.
    """

    def __init__(self, folder: str, stage: str = "") -> None:
        self._path = os.path.join(folder, f"{IN_FLIGHT_NAME}-{stage}" if stage else IN_FLIGHT_NAME)
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
