"""`Library().care`: what is lost, a backup or a copy elsewhere, room given back, damage found and put right."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from mmsearch.library.access import Access
from mmsearch.records import Progress

if TYPE_CHECKING:
    from mmsearch.care.copying import Copied
    from mmsearch.care.doctor import Diagnosis
    from mmsearch.indexing.pruning import Losses, Pruned
    from mmsearch.store.sqlite.backup import Backup
    from mmsearch.store.sqlite.compaction import Compacted


class Care:
    """The door `Library().care`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def losses(self, paths: Iterable[str | os.PathLike[str]] = ()) -> Losses:
        """The files of the library, or those below `paths`, that are not on the disk any more."""
        from mmsearch.indexing.pruning import find_losses
        from mmsearch.indexing.roots import absolute

        with self._access.guarded():
            return find_losses(self._access.reading(), [absolute(path) for path in paths])

    def prune(self, losses: Losses) -> Pruned:
        """Takes those files out of the library that are still gone."""
        from mmsearch.indexing.pruning import Pruned, drop_losses

        with self._access.guarded(), self._access.writing() as store:
            dropped = drop_losses(store, losses)
            self._access.refresh(store)
            return Pruned(losses, dropped)

    def backup(self, target: str | os.PathLike[str]) -> Backup:
        """Copies the library's database to the file `target`, also while it is being written. An older backup there
        is replaced once the new one is whole.
        """
        from mmsearch.store.sqlite.backup import write_backup
        from mmsearch.store.sqlite.store import SqliteStore

        self._access.place.check_care("backup")
        with self._access.guarded():
            store = self._access.reading()
            assert isinstance(store, SqliteStore)  # no other place lets files be copied
            return write_backup(store, os.fspath(target))

    def copy_to(
        self, location: str | os.PathLike[str], *, on_progress: Callable[[Progress], None] = lambda progress: None
    ) -> Copied:
        """Copies the library, one state of it, to a folder or URL where there is none yet; nothing is encoded again.

        A copy that is cut off leaves nothing there.

        Raises:
            Refused: there is a library already, or it is this one, or lies within it. Other MmsearchErrors: nothing
                can be kept there.
        """
        from mmsearch.care.copying import check_not_within, check_target, copy_rows
        from mmsearch.indexing.run import make_folder

        access, to = self._access, Access(location)
        with access.guarded():
            source = access.reading()
        check_not_within(to.folder, access.folder)
        with closing(to), to.guarded():
            if to.exists():  # before anything is locked or written
                check_target(to.place, to.reading(), source)
                to.close()
            make_folder(to.folder)
            with to.writing() as target:
                copied = copy_rows(access.place, source, to.place, target, on_progress)
                on_progress(Progress("codes and graphs", 0, None, "rows"))
                to.refresh(target)
                to.place.tidy(target)
        return copied

    def compact(self) -> Compacted:
        """Gives the room of what was removed back to the disk, and makes the derived files anew."""
        from mmsearch.nearest import derived
        from mmsearch.store.sqlite.compaction import Compacted, compact_database
        from mmsearch.store.sqlite.store import SqliteStore

        access = self._access
        access.place.check_care("compact")
        with access.guarded():
            access.reading()
            before = access.bytes()
            with access.writing() as store:
                with store.transaction():
                    store.remove_orphans()
                store.settle_words()
                assert isinstance(store, SqliteStore)
                compact_database(store, access.folder)
                derived.remove_all(access.folder)
                access.refresh(store)
            return Compacted(before, access.bytes())

    def examine(self) -> Diagnosis:
        """What is wrong with the library; nothing is changed."""
        from mmsearch.care import doctor

        self._access.place.check_care("doctor")
        with self._access.guarded():
            self._upgrade()
            return doctor.examine(self._access.folder)

    def repair(self) -> Diagnosis:
        """Puts right what is wrong with the library, saving all that can be read. Returns what was wrong.

        What could not be saved is taken in again by the next `index`.
        """
        from mmsearch.care import doctor
        from mmsearch.store.sqlite.store import SqliteStore

        place, folder = self._access.place, self._access.folder
        place.check_care("doctor")
        with self._access.guarded():
            self._upgrade()
            diagnosis = doctor.examine(folder)
            if diagnosis.sound:
                return diagnosis
            with place.lock():
                diagnosis = doctor.examine(folder)  # again, now that nobody writes
                salvaged, kept = diagnosis.salvageable, None
                if salvaged is not None:
                    salvaged, kept = doctor.save_what_can_be_read(folder)
                with closing(place.write()) as store:
                    assert isinstance(store, SqliteStore)
                    doctor.repair(folder, store)
                    self._access.refresh(store)
            return replace(diagnosis, salvageable=salvaged, repaired=True, kept=kept)

    def _upgrade(self) -> None:
        """Brings an older library up to date, if it is sound enough for that."""
        from mmsearch.store.sqlite.connected import DamagedDatabase

        with suppress(DamagedDatabase):
            self._access.reading()
        self._access.close()
