"""Which files of an archive the rules of a walk take: those that hold around it, and ignore files that lie in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from mmsearch.files.member_paths import member_path
from mmsearch.indexing.ignore_rules import RULING_NAMES, VENV_MARK, Scope
from mmsearch.reading.reader import UnreadableFile
from mmsearch.reading.unpacking import file_bytes


@dataclass(frozen=True)
class MemberRules:
    """The rules inside the archive at `path`, which is like a folder to them; `scope` is what holds in it from outside.

    `leaves_out` says whether a walk leaves out a name, at a path, in a scope, of a folder or a file; `inside` gives the
    scope inside a folder as far as typed patterns bear on it. With `ignore_files` those of the archive are obeyed.
    """

    path: bytes
    scope: Scope
    leaves_out: Callable[[bytes, bytes, Scope, bool], bool]
    inside: Callable[[bytes, Scope], Scope]
    ignore_files: bool

    def taken(self, names: Collection[bytes]) -> Iterator[bytes]:
        """Those of the names in the archive (bytes, with slashes; all that it holds) that the rules take."""
        ruling = _ruling_names(names)
        scopes: dict[bytes, Scope | None] = {b"": self._ruled(self.path, self.scope, ruling.get(b"", set()))}
        for name in names:
            folder, _, last = name.rpartition(b"/")
            scope = self._scope_in(folder, scopes, ruling)
            if scope is not None and not self.leaves_out(last, os.path.join(self.path, folder, last), scope, False):
                yield name

    def _scope_in(
        self, folder: bytes, scopes: dict[bytes, Scope | None], ruling: dict[bytes, set[bytes]]
    ) -> Scope | None:
        """What holds in a folder of the archive, None where it is left out; kept in `scopes`."""
        if folder in scopes:
            return scopes[folder]
        scope, within = scopes[b""], b""
        for name in folder.split(b"/"):
            within = within + b"/" + name if within else name
            if within not in scopes:
                scopes[within] = None if scope is None else self._entered(name, within, scope, ruling)
            scope = scopes[within]
        return scope

    def _entered(self, name: bytes, within: bytes, scope: Scope, ruling: dict[bytes, set[bytes]]) -> Scope | None:
        path, there = os.path.join(self.path, within), ruling.get(within, set())
        if VENV_MARK in there or self.leaves_out(name, path, scope, True):
            return None
        return self.inside(path, self._ruled(path, scope, there))

    def _ruled(self, folder: bytes, scope: Scope, there: set[bytes]) -> Scope:
        # What is wrong in such a file would be told by the one run that opens the archive, and by none after it.
        return scope.inside(folder, there, lambda path, reason: None, self._beginning) if self.ignore_files else scope

    def _beginning(self, path: bytes, count: int) -> bytes | None:
        """So many bytes of a file of the archive, by its path as if that were a folder."""
        name = path[len(self.path) + 1 :].replace(os.fsencode(os.sep), b"/")
        try:
            return file_bytes(member_path(self.path, name), count)
        except UnreadableFile:
            return None


def _ruling_names(names: Collection[bytes]) -> dict[bytes, set[bytes]]:
    """The names that bear on what is taken beside them, by the folder of the archive in which they lie."""
    found: dict[bytes, set[bytes]] = {}
    for name in names:
        if not any(one in name for one in RULING_NAMES):
            continue
        folder, *below = b"", *name.split(b"/")
        for one in below:
            if one in RULING_NAMES:
                found.setdefault(folder, set()).add(one)
            folder = folder + b"/" + one if folder else one
    return found
