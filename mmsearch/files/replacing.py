"""A file put in the place of an older one in one step: whole and safe on the disk, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TypeVar

from mmsearch.files.crash_points import crash_point

Written = TypeVar("Written")


@contextmanager
def replacing(path: str, what: str = "", *, temporary: str = "", private: bool = False) -> Iterator[str]:
    """Gives the name of a file beside `path` to be written within the block, and then puts it in place in one step.

    Where the block raises an error, `path` stays as it is. The file is `private` if it is to be readable by its owner
    alone, in a folder that is there already; it has the name `temporary` where that is given. `what` names its crash
    points.
    """
    if not private:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    else:
        import tempfile  # a search is to load no module that it does without

        descriptor, temporary = tempfile.mkstemp(".part", f"{os.path.basename(path)}.", os.path.dirname(path))
        os.close(descriptor)
    temporary = temporary or f"{path}.{os.getpid()}.part"
    try:
        yield temporary
        sync(temporary)
        if what:
            crash_point(f"{what} written")
        os.replace(temporary, path)
        if what:
            crash_point(f"{what} in place")
    finally:
        with suppress(OSError):
            os.remove(temporary)


def write_whole(path: str, write: Callable[[IO[bytes]], Written], what: str = "derived file") -> Written:
    """Writes a file in the place of that at `path`, in one step. Returns what `write` does."""
    with replacing(path, what) as temporary, open(temporary, "w+b") as file:
        return write(file)


def sync(path: str) -> None:
    """Waits until what was written to the file is safe on the disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
