"""Decoders that hostile bytes can end, that print, or that know no bounds: run in processes of their own.

Such a process has a bounded memory and time, and stays for the files that come next; it ends with this one, which
holds its stdin open. As many are there as threads were decoding at once.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import IO, Any

from mmsearch.files.own_process import command_for
from mmsearch.reading.reader import UnreadableFile

# No picture within the limits takes nearly as long on a slow machine.
SECONDS = 60.0
# One thread a file: the files are what is done side by side.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "TOKIO_WORKER_THREADS"), "1"
)


def done_apart(function: str, data: bytes, memory: int, **options: Any) -> tuple[dict[str, Any], bytes]:
    """What `function` ("package.module:name") makes of `data` and the options in a process apart.

    It gives a dictionary that JSON can hold, and bytes. `memory` is how many bytes more than at its start the process
    may take, where the system can tell it so.

    Raises:
        UnreadableFile: the function did; or it took too much memory or time, or ended its process.
    """
    process = _free(function)
    told, content = process.answer({"memory": memory, "options": options}, data)
    _idle.setdefault(function, []).append(process)
    if "reason" in told:
        raise UnreadableFile(told["reason"])
    return told, content


_idle: dict[str, list[_Apart]] = {}
_choosing = threading.Lock()


def _free(function: str) -> _Apart:
    with _choosing:
        idle = _idle.get(function)
        if idle:
            return idle.pop()
    return _Apart(function)


class _Apart:
    """A process that does one function."""

    def __init__(self, function: str) -> None:
        self._process = subprocess.Popen(
            command_for(f"{__name__}:serve", function),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ONE_THREAD},
        )

    def answer(self, request: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        assert self._process.stdin is not None and self._process.stdout is not None
        too_slow = threading.Event()

        def end() -> None:
            too_slow.set()
            self._process.kill()

        timer = threading.Timer(SECONDS, end)
        timer.start()
        try:
            _send(self._process.stdin, request, data)
            answer = _received(self._process.stdout)
        except OSError:  # it has ended
            answer = None
        finally:
            timer.cancel()
        if answer is not None:
            return answer
        with contextlib.suppress(OSError), self._process:
            self._process.kill()
        raise UnreadableFile("takes too long to be read" if too_slow.is_set() else "ended the program that read it")


def serve(function: str) -> None:
    """Does the function for each request on stdin, until that ends."""
    # Ctrl-C goes to all processes of a terminal: the one that asks ends in good order, and this one with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    module, _, name = function.partition(":")
    do = getattr(importlib.import_module(module), name)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    while (request := _received(sys.stdin.buffer)) is not None:
        told, data = request
        _bound_memory(told["memory"] + 2 * len(data))
        try:
            answer = do(data, **told["options"])
        except UnreadableFile as refused:
            answer = {"reason": refused.reason}, b""
        except MemoryError:
            answer = {"reason": "too large for this machine's memory"}, b""
        _send(answers, *answer)


def _bound_memory(more: int) -> None:
    """No more than so many bytes beyond what the process has now; where the system has no such bounds, none."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm", "rb") as file:
            now = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (now + more, most))


def _send(stream: IO[bytes], told: Mapping[str, Any], data: bytes) -> None:
    written = json.dumps(told).encode()
    stream.write(len(written).to_bytes(8, "big") + len(data).to_bytes(8, "big") + written)
    stream.write(data)
    stream.flush()


def _received(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """The next message, or None where it breaks off."""
    sizes = stream.read(16)
    if len(sizes) < 16:
        return None
    size, more = int.from_bytes(sizes[:8], "big"), int.from_bytes(sizes[8:], "big")
    written, data = stream.read(size), stream.read(more)
    return (json.loads(written), data) if len(data) == more and len(written) == size else None
