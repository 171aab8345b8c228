"""A root behind a URL, walked by the same rules: its folders are listed, some of them ahead of their turn."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from mmsearch.files.remote import RemoteEntry, listed
from mmsearch.indexing.ignore_rules import VENV_MARK, Scope, reason_of
from mmsearch.indexing.targets import may_have_sidecars
from mmsearch.indexing.walking import Found, FoundFile, FoundSidecar, TreeWalk, WalkProblem
from mmsearch.reading.sidecars import sidecars_among

# So many folders within one are asked for at once.
_AHEAD = 8


@dataclass
class _Level:
    """The folders within one folder that are still to be walked, in turn; the first of them are being listed."""

    folders: deque[bytes]
    asked: deque[tuple[bytes, Future[Sequence[RemoteEntry]]]]
    scope: Scope


class RemoteWalk(TreeWalk):
    """One walk of what lies behind a URL. Depth-first, as of a folder: there are no links and no drives in it."""

    def run(self) -> Iterator[Found]:
        with ThreadPoolExecutor(_AHEAD, thread_name_prefix="list") as executor:
            self._executor = executor
            try:
                yield from self._all()
            finally:
                executor.shutdown(wait=False, cancel_futures=True)

    def _all(self) -> Iterator[Found]:
        try:
            entries = list(listed(self._root))
        except OSError as error:
            yield WalkProblem(self._root, reason_of(error))
            return
        if [entry.path for entry in entries] == [self._root]:
            yield _found(entries[0])
            return
        stack = [self._level(self._start(Scope()))]
        yield from self._within(self._root, entries, stack[0])
        while stack:
            level = stack[-1]
            self._ask_ahead(level)
            if not level.asked:
                stack.pop()
                continue
            folder, future = level.asked.popleft()
            self._ask_ahead(level)
            try:
                entries = list(future.result())
            except FileNotFoundError:
                continue
            except OSError as error:
                yield WalkProblem(folder, reason_of(error))
                continue
            inner = self._level(self._inside(folder, level.scope))
            yield from self._within(folder, entries, inner)
            stack.append(inner)

    def _level(self, scope: Scope) -> _Level:
        return _Level(deque(), deque(), scope)

    def _ask_ahead(self, level: _Level) -> None:
        while level.folders and len(level.asked) < _AHEAD:
            folder = level.folders.popleft()
            self._on_folder(folder)
            level.asked.append((folder, self._executor.submit(_entries, folder)))

    def _within(self, folder: bytes, entries: Sequence[RemoteEntry], level: _Level) -> Iterator[Found]:
        """The files of a folder that the rules take; the folders in it are left to `level`."""
        named = [(os.path.basename(entry.path), entry) for entry in entries]  # an object may be called as a folder is
        names = {name for name, _ in named}
        if VENV_MARK in names and folder != self._root:
            return
        if self._rules.ignore_files:
            level.scope = level.scope.inside(folder, names, self._complain)
            yield from self._problems
            self._problems.clear()
        wanted = None if self._targets is None else self._targets.names_in(folder, names)
        sidecars = sidecars_among(names, may_have_sidecars)
        for name, entry in named:
            if wanted is not None and name not in wanted:
                continue
            if entry.size < 0:
                yield WalkProblem(entry.path, "a name that no file can have")
            elif self._leaves_out(name, entry.path, level.scope, entry.is_folder):
                continue
            elif entry.is_folder:
                level.folders.append(entry.path)
            else:
                yield _file_or_sidecar(folder, entry, sidecars)


def _entries(folder: bytes) -> Sequence[RemoteEntry]:
    return list(listed(folder))


def _found(entry: RemoteEntry) -> FoundFile:
    return FoundFile(entry.path, entry.size, entry.mtime_ns, entry.mark)


def _file_or_sidecar(
    folder: bytes, entry: RemoteEntry, sidecars: Mapping[bytes, tuple[bytes, ...]]
) -> FoundFile | FoundSidecar:
    photos = sidecars.get(os.path.basename(entry.path))
    if photos is None:
        return _found(entry)
    paths = tuple(os.path.join(folder, photo) for photo in photos)
    return FoundSidecar(entry.path, entry.size, entry.mtime_ns, paths)
