"""Whether a root is on this machine now, and still what it was."""

from __future__ import annotations

import os
import time
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING

from mmsearch.files.archives import is_there
from mmsearch.files.remote_paths import is_remote

if TYPE_CHECKING:
    from mmsearch.indexing.encoding import Outcome

_LEAST_SECONDS, _MOST_SECONDS = 5.0, 60.0


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


def roots_gone(outcomes: Iterable[Outcome], roots: Mapping[int, bytes], known: Container[int] = ()) -> set[int]:
    """The ids of roots that went away while their files were read: of those that could not be had nothing is known.

    `roots` are paths by their ids; one that is `known` to have gone is not asked again.
    """
    asked = {one.candidate.root_id for one in outcomes if one.out_of_reach}
    return {number for number in asked if number in known or not is_root_there(roots.get(number, b""))}


class RootPresence:
    """Whether roots are there, asked again and again by who is idle: buckets less and less often while nothing changes,
    as each question is a request that may be paid for.
    """

    def __init__(self) -> None:
        # By the path of a bucket's root: the last answer, when it is asked again, and how long lies between.
        self._answers: dict[bytes, tuple[bool, float, float]] = {}

    def is_there(self, path: bytes) -> bool:
        """As `is_root_there`, of a root in a bucket as it was a minute ago at most."""
        if not is_remote(path):
            return is_root_there(path)
        there, due, between = self._answers.get(path, (None, 0.0, 0.0))
        if there is not None and time.monotonic() < due:
            return there
        now_there = is_root_there(path)
        between = min(2 * between, _MOST_SECONDS) if now_there == there else _LEAST_SECONDS
        self._answers[path] = now_there, time.monotonic() + between, between
        return now_there


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
