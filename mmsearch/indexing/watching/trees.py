"""How other systems than Linux tell of changes: of whole trees, by the package watchfiles."""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Set

from mmsearch.errors import Remedy, Unsupported
from mmsearch.files.paths import is_below
from mmsearch.indexing.watching.changes import Change, OnChange


class Trees:
    """A `ChangeSource` that watches whole trees, and tells of nothing but what lies in the folders that were added.

    Raises:
        Unsupported: watchfiles is not installed.
    """

    def __init__(self, on_change: OnChange) -> None:
        if importlib.util.find_spec("watchfiles") is None:
            raise Unsupported("Watching folders on this system takes the extra watch", Remedy("extra", "watch"))
        self._on_change = on_change
        self._folders: set[bytes] = set()
        self._trees: dict[bytes, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def add(self, folder: bytes) -> None:
        self._folders.add(folder)
        if any(is_below(folder, tree) for tree in self._trees):
            return
        self._trees[folder] = stop = threading.Event()
        begun = threading.Event()
        thread = threading.Thread(target=self._listen, args=(folder, stop, begun), name="watchfiles", daemon=True)
        self._threads.append(thread)
        thread.start()
        begun.wait()

    def retain(self, folders: Set[bytes]) -> None:
        self._folders.intersection_update(folders)
        for tree in [tree for tree in self._trees if tree not in folders]:
            self._trees.pop(tree).set()

    def count(self) -> int:
        return len(self._folders)

    def close(self) -> None:
        for stop in self._trees.values():
            stop.set()
        for thread in self._threads:
            thread.join()

    def _listen(self, tree: bytes, stop: threading.Event, begun: threading.Event) -> None:
        """Tells of changes until it is stopped, or the tree is gone: that it is back is noticed by others."""
        while not self._listened(tree, stop, begun):
            begun.set()
            self._on_change(Change(None))
            if not os.path.isdir(tree):
                self._trees.pop(tree, None)
                return
            stop.wait(1.0)

    def _listened(self, tree: bytes, stop: threading.Event, begun: threading.Event) -> bool:
        """Whether it was listened to until the stop, and no change was lost."""
        from watchfiles._rust_notify import RustNotify

        try:
            with RustNotify([os.fsdecode(tree)], False, False, 0, True, True) as told:
                begun.set()
                while not stop.is_set():
                    found = told.watch(50, 20, 1_000, stop)
                    if isinstance(found, set):
                        self._tell(found)
        except Exception:  # it is gone, or has a name that cannot be told; the package raises several kinds
            return False
        return True

    def _tell(self, found: set[tuple[int, str]]) -> None:
        for _, told in found:
            path = os.fsencode(told)
            if path in self._folders:
                # What happens in a folder is told of what is in it.
                if path in self._trees or not os.path.isdir(path):
                    self._on_change(Change(path, is_folder=True))
            elif os.path.dirname(path) in self._folders:
                self._on_change(Change(path, is_folder=os.path.isdir(path)))
