"""Processes that are stopped or killed where the work has come to a certain point, however fast the machine is."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

# Put where Python looks at its start: `changed` is given a module of mmsearch as soon as that is loaded.
HOOK = """
import importlib.abc, importlib.util, os, sys

class Hook(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != {module!r}:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def load(module):
            run(module)
            changed(module)
        spec.loader.exec_module = load
        return spec

sys.meta_path.insert(0, Hook())
{code}
"""
SIGNAL_AT_CRASH_POINT = """
passed = []
def changed(module):
    def signalled(name):
        passed.append(name)
        if name == {point!r} and passed.count(name) == {times}:
            os.kill(os.getpid(), {number})
    module.crash_point = signalled
"""
# What the system tells of files is as before: they may lie on another machine.
CLOCK_OFF = """
import datetime, time
def shift(seconds):
    now, now_ns, plain = time.time, time.time_ns, datetime.datetime
    class Shifted(plain):
        @classmethod
        def now(cls, tz=None):
            return plain.now(tz) + datetime.timedelta(seconds=seconds)
    datetime.datetime = Shifted
    time.time, time.time_ns = lambda: now() + seconds, lambda: now_ns() + seconds * 1_000_000_000
shift({seconds})
"""
KILL_AT_WRITE = """
import sys
sys.path.insert(0, {tests!r})
from interrupting import WriteCounter, kill
WriteCounter(kill, {number}).begin()
"""
# What changes, or may change, a file; SQL that only reads is among it.
WRITES = frozenset((
    "execute", "executemany", "executescript", "fsync", "link", "mkdir", "open", "remove", "rename", "replace",
    "tofile", "truncate", "unlink", "write",
))  # fmt: skip
# The rooms that change what a library holds.
WATCHED = tuple(os.sep + os.path.join("mmsearch", room) + os.sep for room in ("files", "indexing", "nearest", "store"))


def hooked(folder: Path, module: str, code: str) -> dict[str, str]:
    """The environment of a process in which `changed(module)`, defined by `code`, has its way."""
    return started_with(folder, HOOK.format(module=module, code=code))


def started_with(folder: Path, code: str) -> dict[str, str]:
    """The environment of a process that runs `code` before anything else."""
    # Python takes a file of the same length and second for the one that it has compiled before.
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    (folder / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": str(folder)}


def clock_off_by(folder: Path, seconds: int, code: str = "") -> dict[str, str]:
    """The environment of a process on a machine whose clock is ahead by so many seconds, and which runs `code`."""
    return started_with(folder, CLOCK_OFF.format(seconds=seconds) + code)


def signal_at(folder: Path, point: str, times: int, sent: signal.Signals) -> dict[str, str]:
    """The environment of a process that gets a signal when it passes that crash point for the `times`-th time."""
    code = SIGNAL_AT_CRASH_POINT.format(point=point, times=times, number=int(sent))
    return hooked(folder, "mmsearch.files.crash_points", code)


def killed_at_write(folder: Path, number: int) -> dict[str, str]:
    """The environment of a process that is killed before that write, as `writes_counted` counts them."""
    return started_with(folder, KILL_AT_WRITE.format(tests=str(Path(__file__).parent), number=number))


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class WriteCounter:
    """Counts the calls in all threads by which a library is changed: SQL statements, and those of the system."""

    def __init__(self, act: Callable[[], None] = lambda: None, number: int = 0) -> None:
        self.writes = 0
        self._act = act
        self._number = number
        self._known: dict[CodeType, bool] = {}

    def begin(self) -> None:
        sys.setprofile(self._count)
        threading.setprofile(self._count)

    def end(self) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _count(self, frame: FrameType, event: str, called: object) -> None:
        if event == "c_call" and getattr(called, "__name__", "") in WRITES:
            code = frame.f_code
        elif event == "call" and frame.f_code.co_name == "execute" and frame.f_back is not None:
            code = frame.f_back.f_code  # the client of PostgreSQL is written in Python
        else:
            return
        is_watched = self._known.get(code)
        if is_watched is None:
            is_watched = self._known[code] = any(room in code.co_filename for room in WATCHED)
        if is_watched:
            self.writes += 1
            if self.writes == self._number:
                self._act()


@contextmanager
def writes_counted() -> Iterator[WriteCounter]:
    counter = WriteCounter()
    counter.begin()
    try:
        yield counter
    finally:
        counter.end()
