"""What a store knows of archives: in which state each was read last, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mmsearch.records import KnownArchive, KnownMember


class ArchiveLedger(Protocol):
    """The archives of all roots. What writes does so within the caller's transaction."""

    def archives_of_root(self, root_id: int) -> dict[bytes, KnownArchive]:
        """The archives that this root brought, by their paths."""

    def members_of(self, archive: bytes) -> list[KnownMember]:
        """The files of an archive that are known, and those that could not be read, by path."""

    def put_archive(self, root_id: int, archive: KnownArchive) -> None:
        """Says in which state an archive was read, in the place of what was said of it."""

    def remove_archives(self, paths: Iterable[bytes]) -> None:
        """Forgets in which state these archives were read: their files are not touched."""

    def remove_archives_below(self, folder: bytes) -> None:
        """The same of `folder` itself, and of all archives that lie below it."""
