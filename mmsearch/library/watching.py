"""The roots of a library as a watcher needs them: all of them, or those that were named."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmsearch.errors import Remedy, Unsupported
from mmsearch.files.paths import is_below
from mmsearch.files.remote_paths import is_remote
from mmsearch.indexing.report import IndexReport
from mmsearch.indexing.run import IndexSettings
from mmsearch.indexing.walking import WalkRules
from mmsearch.library.access import Access
from mmsearch.records import Progress

if TYPE_CHECKING:
    from mmsearch.library import Library


@dataclass(frozen=True)
class BeginWith:
    """The rules of the first run, and whom it tells how far it is."""

    rules: WalkRules | None
    on_progress: Callable[[Progress], None]


class WatchedRoots:
    """The roots among `asked`, or within them, or all where none were; of none that lies behind a URL.

    Raises:
        Unsupported: one that was asked for does.
    """

    def __init__(self, library: Library, access: Access, asked: tuple[bytes, ...], begin_with: BeginWith) -> None:
        remote = next((os.fsdecode(one) for one in asked if is_remote(one)), None)
        if remote is not None:
            raise Unsupported(f"Nobody tells of changes in {remote}", Remedy("index.often", remote))
        self._library = library
        self._access = access
        self._asked = asked
        self._begin_with = begin_with
        self._known: tuple[bytes, ...] = ()
        self._state: object = None

    @property
    def folder(self) -> str:
        return self._library.folder

    def begin(self, settings: IndexSettings) -> IndexReport:
        known = set(self.roots())
        if not self._asked:
            return self._first((), settings)
        # A root that is away is waited for; any other path that is not there is an error.
        away = [path for path in self._asked if path in known and not os.path.exists(path)]
        there = [os.fsdecode(path) for path in self._asked if path not in away]
        if not there:
            return self.index((), settings)
        report = self._first(there, settings)
        report.offline += away
        return report

    def _first(self, paths: Sequence[str], settings: IndexSettings) -> IndexReport:
        begin = self._begin_with
        return self._library.index(paths, rules=begin.rules, settings=settings, on_progress=begin.on_progress)

    def index(self, only: Sequence[bytes], settings: IndexSettings) -> IndexReport:
        if not only and not self._asked:
            return self._library.index(settings=settings)
        return self._library.index_only([os.fsdecode(path) for path in only or self._asked], settings=settings)

    def go_on(self, settings: IndexSettings) -> IndexReport:
        from mmsearch.indexing.run import IndexRequest

        request = IndexRequest(only=self._asked or None, walks=False, settings=settings)
        return self._library._index(request, lambda progress: None)

    def roots(self) -> tuple[bytes, ...]:
        state = self._access.place.mark()
        if state is not None and state != self._state:
            self._access.close()  # another file may have taken its place
            with self._access.guarded():
                # Nobody tells of changes behind a URL: they are found where all roots are walked.
                self._known = tuple(root.path for root in self._access.reading().roots() if not is_remote(root.path))
            self._state = state
        if not self._asked:
            return self._known
        return tuple(root for root in self._known if any(is_below(root, one) for one in self._asked))

    def let_go(self) -> None:
        self._access.let_go()

    def close(self) -> None:
        self._library.close()
