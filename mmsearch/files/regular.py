"""Regular files alone: a named pipe would be waited for without an end, and a device written over."""

from __future__ import annotations

import os
import stat
from typing import Any

from mmsearch.errors import Refused


def check_regular(path: str) -> None:
    """Raises Refused where something lies at `path` that is no regular file. Links are followed."""
    try:
        mode = os.stat(path).st_mode
    except OSError:  # nothing is there, or what opens it will tell
        return
    if not stat.S_ISREG(mode):
        raise Refused(f"{path} is {kind_of(mode)}, not a regular file; move it away, or choose another.")


def kind_of(mode: int) -> str:
    """What a file that is not a regular one is, by its mode."""
    for test, name in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return name
    return "something else"


def open_without_waiting(path: Any, flags: int) -> int:
    """An opener for `open`: a named pipe is not waited for, and a terminal does not take over."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
