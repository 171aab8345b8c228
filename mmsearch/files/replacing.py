"""A file put in the place of an older one in one step: whole and safe on the disk, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TypeVar

from mmsearch.files.crash_points import crash_point
from mmsearch.files.private import PRIVATE_FILE, PRIVATE_FOLDER

Written = TypeVar("Written")


@contextmanager
def replacing(
    path: str, what: str = "", *, temporary: str = "", private: bool = True, in_any_folder: bool = False
) -> Iterator[str]:
    """Gives the name of a file beside `path` to be written within the block, and then puts it in place in one step.

    Where the block raises an error, `path` stays as it is. A `private` file is readable by its owner alone, and so is
    its folder if that has to be made. `in_any_folder` says that the folder is none of ours: others may write to it. The
    file to be written has the name `temporary` where that is given. `what` names its crash points.
    """
    if in_any_folder:
        import tempfile  # a search is to load no module that it does without

        descriptor, temporary = tempfile.mkstemp(".part", f"{os.path.basename(path)}.", os.path.dirname(path))
    else:
        os.makedirs(os.path.dirname(path), PRIVATE_FOLDER if private else 0o777, exist_ok=True)
        temporary = temporary or f"{path}.{os.getpid()}.part"
        with suppress(FileNotFoundError):
            os.remove(temporary)  # with whatever rights a killed process has left it
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE if private else 0o666)
    os.close(descriptor)
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


def write_whole(
    path: str, write: Callable[[IO[bytes]], Written], what: str = "derived file", *, private: bool = True
) -> Written:
    """Writes a file in the place of that at `path`, in one step; see `replacing`. Returns what `write` does."""
    with replacing(path, what, private=private) as temporary, open(temporary, "w+b") as file:
        return write(file)


def sync(path: str) -> None:
    """Waits until what was written to the file is safe on the disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
