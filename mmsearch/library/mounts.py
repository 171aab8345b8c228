"""`Library().mounts`: where this machine has the folders that teams' libraries know by the paths of another one."""

from __future__ import annotations

import os

from mmsearch.library.access import Access
from mmsearch.store.mounts import Mount, put_mount, read_mounts, remove_mount


class Mounts:
    """The door `Library().mounts`. The map is this machine's, for all libraries at URLs; one in a folder needs none."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def list(self) -> tuple[Mount, ...]:
        """The mounts of this machine, by what libraries know them as."""
        return tuple(read_mounts().mounts)

    def put(self, known_as: str | os.PathLike[str], here: str | os.PathLike[str]) -> Mount:
        """Says where the folder that libraries know as `known_as` lies on this machine, from now on.

        Raises:
            Invalid: one of them is no absolute path, or another mount lies `here`.
        """
        added = put_mount(known_as, here)
        self._access.close()  # what is opened next sees it
        return added

    def remove(self, known_as: str | os.PathLike[str]) -> Mount:
        """Says that a folder lies where libraries say, or not on this machine.

        Raises:
            NotFound: nothing was said of it.
        """
        removed = remove_mount(known_as)
        self._access.close()
        return removed
