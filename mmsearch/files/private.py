"""What is private is readable by its owner alone, whatever the umask is: files of a library, and caches."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
_OF_OTHERS = 0o077


def make_private_folder(path: str) -> None:
    """Makes the folder, and as usual those above it. One that is there stays as it is.

    Raises:
        OSError: the system does not allow it.
    """
    os.makedirs(path, PRIVATE_FOLDER, exist_ok=True)


def make_private_file(path: str) -> None:
    """Makes an empty file for what asks for no mode, as SQLite does. One that is there is not even opened.

    (To close a file that SQLite has open elsewhere in the process would take its locks away.)

    Raises:
        OSError: the system does not allow it.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))


def take_from_others(path: str) -> None:
    """Takes all rights from all but the owner, where that is this user and the system has such rights."""
    if not hasattr(os, "geteuid"):
        return
    with suppress(OSError):  # gone meanwhile, or on a disk that knows no rights
        status = os.lstat(path)
        is_plain = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
        if is_plain and status.st_uid == os.geteuid() and status.st_mode & _OF_OTHERS:
            os.chmod(path, stat.S_IMODE(status.st_mode) & ~_OF_OTHERS)


def keep_private(folder: str, beginnings: tuple[str, ...], folders: Sequence[str] = (), beside: str = "") -> None:
    """Takes from others what is in the folder and has a name that begins so, and its `folders` with all they hold.

    The folder itself is taken too, unless it holds something else than these and `beside`: a person may have chosen one
    that is there for other things.
    """
    names: list[str] = []
    with suppress(OSError):
        names = os.listdir(folder)
    if all(name.startswith(beginnings) or name in folders or name == beside for name in names):
        take_from_others(os.path.realpath(folder))
    places = [os.path.join(folder, name) for name in names if name.startswith(beginnings)]
    for within in (os.path.join(folder, name) for name in folders if name in names):
        places.append(within)
        with suppress(OSError):
            places += [os.path.join(within, name) for name in os.listdir(within)]
    for place in places:
        take_from_others(place)
