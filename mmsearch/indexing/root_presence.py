"""Whether a root is on this machine now, and still what it was."""

from __future__ import annotations

import os

from mmsearch.files.archives import is_there
from mmsearch.files.remote_paths import is_remote


def identity_of(path: bytes) -> tuple[int, int] | None:
    """The device and number of what lies at `path`, or None."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_root_there(path: bytes) -> bool:
    """Whether a root is on this machine now: an empty folder is where a drive is not mounted."""
    return is_there(path) and not is_empty_folder(path)


def is_empty_folder(path: bytes) -> bool:
    """Whether it is a folder without any entry: where a drive is not mounted."""
    if is_remote(path):
        from mmsearch.files import remote_presence

        return remote_presence.is_empty(path)
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is None
    except OSError:
        return False
