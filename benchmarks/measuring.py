"""Running a command and measuring it: wall and processor seconds, peak memory, bytes written."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One run of a process with its children: seconds, peak resident bytes of one process, bytes it wrote to files."""

    wall: float
    processor: float
    peak: int
    written: int
    code: int
    out: str


# A process that is forked is counted with its parent's memory until it becomes a program of its own, so that what is
# measured is started by a small process that does nothing else.
_LAUNCHER = """
import json, os, sys, time
def written(pid):
    try:
        return next(int(line.split()[1]) for line in open(f"/proc/{pid}/io") if line.startswith("wchar:"))
    except OSError:
        return -1
reading, writing = os.pipe()
started = time.perf_counter()
pid = os.fork()
if pid == 0:
    os.dup2(writing, 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.execvp(sys.argv[1], sys.argv[1:])
os.close(writing)
with os.fdopen(reading, encoding="utf-8", errors="replace") as pipe:
    out = pipe.read()
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
wall, wrote = time.perf_counter() - started, written(pid)
_, status, usage = os.wait4(pid, 0)
code = os.waitstatus_to_exitcode(status)
json.dump([wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, wrote, code, out], sys.stdout)
"""


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Run:
    """Runs the command to its end. Linux only: the kernel's own counters are read as it ends."""
    variables = {**os.environ, **(environment or {})}
    # As after an installation: compiled once, then read.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command]
    done = subprocess.run(launcher, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    return Run(*json.loads(done.stdout))


def mmsearch_command() -> list[str]:
    """The command of the environment that this runs in."""
    return [str(Path(sys.executable).parent / "mmsearch")]


def middle(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, and in brackets the lowest and highest."""
    return f"{middle(values):.{digits}f} [{min(values):.{digits}f}–{max(values):.{digits}f}]"


def machine() -> str:
    """Processor, cores, memory and system, in one line, with the date and the versions that matter."""
    from importlib.metadata import version

    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "numpy", "pillow", "hnswlib"))
    return (
        f"{date.today().isoformat()}, {model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}, {libraries}"
    )
