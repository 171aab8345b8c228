"""A file put in the place of an older one in one step: whole and safe on the disk, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TypeVar

from mmsearch.files.crash_points import crash_point

Written = TypeVar("Written")


@contextmanager
def replacing(path: str, what: str) -> Iterator[str]:
    """Gives the name of a file beside `path` to be written and synced, and then puts it in place in one step."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}.part"
    try:
        yield temporary
        crash_point(f"{what} written")
        os.replace(temporary, path)
        crash_point(f"{what} in place")
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def write_whole(path: str, write: Callable[[IO[bytes]], Written]) -> Written:
    """Writes a file in the place of that at `path`, in one step. Returns what `write` does."""
    with replacing(path, "derived file") as temporary, open(temporary, "w+b") as file:
        written = write(file)
        file.flush()
        os.fsync(file.fileno())
    return written
