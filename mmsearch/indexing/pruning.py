"""Files that are not on the disk any more: what `prune` would drop, and dropping it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmsearch.files.archives import is_gone
from mmsearch.files.crash_points import crash_point
from mmsearch.files.member_paths import is_archive_name
from mmsearch.files.paths import parent_of, with_parents
from mmsearch.indexing.root_presence import is_root_there

if TYPE_CHECKING:
    from mmsearch.records import Root
    from mmsearch.store.protocol import Store


@dataclass(frozen=True)
class Loss:
    """A file that is gone, or the topmost folder that is gone, with the number of its files in the library."""

    path: bytes
    files: int


@dataclass(frozen=True)
class Losses:
    """All that is in the library and not on the disk: `losses` by path, and the ids behind them."""

    losses: tuple[Loss, ...]
    file_ids: tuple[int, ...]

    @property
    def files(self) -> int:
        return len(self.file_ids)


@dataclass(frozen=True)
class Pruned:
    """What was gone, and how many of those files were taken out of the library."""

    gone: Losses
    dropped: int

    def json_fields(self) -> dict[str, Any]:
        """How many files were gone, the losses, and how many files were dropped."""
        return {"files": self.gone.files, "losses": self.gone.losses, "dropped": self.dropped}


def find_losses(store: Store, folders: Sequence[bytes] = ()) -> Losses:
    """Looks at every file of the library, or at those in `folders`. What cannot be looked at is not counted."""
    ids: list[int] = []
    losses: dict[bytes, int] = {}
    tops = _Tops()
    for number, path in _files(store, folders):
        top = tops.gone_at(path)
        if top is not None:
            ids.append(number)
            losses[top] = losses.get(top, 0) + 1
    return Losses(tuple(Loss(path, count) for path, count in sorted(losses.items())), tuple(ids))


def drop_losses(store: Store, losses: Losses) -> int:
    """Takes those that are still gone out of the library, and roots that are gone with all their files."""
    shown = set(losses.file_ids)
    tops = _Tops()
    dropped: list[int] = []
    concerned: set[int] = set()
    left: dict[int, int] = {}
    for root in _roots(store):
        for number, path in store.files_of_root(root):
            if tops.gone_at(path) is None:
                continue
            if number in shown:
                dropped.append(number)
                concerned.add(root.id)
            else:
                left[root.id] = left.get(root.id, 0) + 1
    with store.transaction():
        store.remove_files(dropped)
        for root in _roots(store):
            store.remove_archives(path for path in store.archives_of_root(root.id) if is_gone(path))
        store.remove_orphans()
        for root in _roots(store):
            if root.absent:
                store.set_absent(root.id, left.get(root.id, 0))
            if root.id in concerned and is_gone(root.path) and not store.files_in_root(root):
                store.remove_failures_of_root(root.id)
                store.remove_root(root.id)
    crash_point("files pruned")
    return len(dropped)


def _files(store: Store, folders: Sequence[bytes]) -> Iterable[tuple[int, bytes]]:
    wanted = set(folders)
    for root in _roots(store):
        for number, path in store.files_of_root(root):
            if not wanted or not wanted.isdisjoint(with_parents(path)):
                yield number, path


def _roots(store: Store) -> list[Root]:
    """All roots but those that other machines have, at other paths, and this one has not: nothing of them is lost."""
    return [root for root in store.roots() if root.known_as is None or is_root_there(root.path)]


class _Tops:
    """The topmost folder that is gone above a path; each folder is looked at once."""

    def __init__(self) -> None:
        self._gone: dict[bytes, bytes | None] = {}

    def gone_at(self, path: bytes) -> bytes | None:
        """The topmost thing that is gone on the way to `path`, or None where it is there."""
        unknown = []
        folder = parent_of(path)
        while folder not in self._gone and folder != parent_of(folder):
            unknown.append(folder)
            folder = parent_of(folder)
        top = self._gone.get(folder)
        for folder in reversed(unknown):
            if top is None and is_gone(folder):
                top = folder
            self._gone[folder] = top
        if top is not None and not is_archive_name(top):
            return top
        # A file whose own name is like that of one in an archive needs none.
        return (top or path) if is_gone(path) or _leads_nowhere(path) else None


def _leads_nowhere(path: bytes) -> bool:
    """Whether a link lies at `path`, to something that is gone, as what lies in a linked folder is gone with that."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return os.path.islink(path)
    except (OSError, ValueError):
        return False
    return False
