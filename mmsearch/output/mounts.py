"""The mounts of this machine, as they are listed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmsearch.output import visible

if TYPE_CHECKING:
    from mmsearch.store.mounts import Mount

# Where files of a team's library are not found: what helps, unless their drive is away.
PLACING = "`mmsearch mounts THEIR_PATH PATH_HERE` says so"


def print_mounts(mounts: Sequence[Mount]) -> None:
    """A line each, on stdout: what libraries know it as, and where it lies here."""
    width = max((len(_name(one.known_as)) for one in mounts), default=0)
    for one in mounts:
        away = "" if os.path.isdir(one.here) else "  (not there now)"
        print(f"{_name(one.known_as):{width}}  {_name(one.here)}{away}")


def _name(path: bytes) -> str:
    return visible(os.fsdecode(path))
