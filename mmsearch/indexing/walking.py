"""Which files: a folder tree walked once, by rules a person can write down.

Paths are bytes from end to end, so that names in any encoding survive. The walk is lazy and keeps sets of
folders only, never of files.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import NamedTuple

from mmsearch.files.member_paths import is_archive_name
from mmsearch.files.regular import kind_of
from mmsearch.files.remote_paths import is_remote
from mmsearch.files.times import change_time, modification_time
from mmsearch.indexing.ignore_rules import VENV_MARK, Scope, reason_of, scope_above, typed_patterns
from mmsearch.indexing.member_rules import MemberRules
from mmsearch.indexing.targets import Targets, may_have_sidecars
from mmsearch.reading.sidecars import sidecars_among

DEFAULT_EXCLUDES: tuple[str, ...] = (
    *(".git", ".hg", ".svn", ".bzr", "CVS", "node_modules", "bower_components", "__pycache__", ".venv"),
    *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox", ".cache", ".thumbnails", ".Trash*"),
    *("@eaDir", "#recycle", "#snapshot", ".snapshot", ".snapshots", "$RECYCLE.BIN", "RECYCLER"),
    *("System Volume Information", "lost+found", ".Spotlight-V100", ".fseventsd", ".TemporaryItems"),
    *(".DocumentRevisions-V100", ".dropbox.cache", ".stversions", ".stfolder"),
    # `~$` begins what Word and Excel put beside a document that is open: whose it is, by its ending a document.
    *("Thumbs.db", "ehthumbs.db", "desktop.ini", ".DS_Store", "._*", "~$*"),
)
"""Names never taken, in any case of letters (a trailing * stands for any ending); a folder that holds a
`pyvenv.cfg` (a virtual environment) is left out too. `exclude=("!NAME",)` takes one in again."""

_NEVER = frozenset(name.lower().encode() for name in DEFAULT_EXCLUDES if not name.endswith("*"))
_NEVER_PREFIXES = tuple(name[:-1].lower().encode() for name in DEFAULT_EXCLUDES if name.endswith("*"))
_HAS_HIDDEN_ATTRIBUTE = sys.platform in ("win32", "darwin")
_SEP = os.fsencode(os.sep)


@dataclass(frozen=True)
class WalkRules:
    """What to take. `include` narrows and never widens; `exclude` comes before ignore files and defaults.

    Both hold gitignore-style patterns relative to the root of the walk; in `exclude`, `!pattern` takes in
    what an ignore file, DEFAULT_EXCLUDES or `hidden=False` would leave out. An ignore file takes in neither
    of the latter two. `ignore_files` obeys .mmsearchignore and .ignore everywhere and .gitignore inside git
    work trees. `archives` looks into archives (`.zip`, `.cbz`, `.tar`) as into folders.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    ignore_files: bool = True
    archives: bool = False


class FoundFile(NamedTuple):  # a hundred thousand of them a second are made
    """A regular file: `size` in bytes, `mtime_ns` and `ctime_ns` in nanoseconds since 1970, None where not known.

    Of one that lies in an archive `archive` is the path of that, and `ctime_ns` a checksum in its place.
    """

    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int | None
    archive: bytes | None = None


class FoundSidecar(NamedTuple):
    """A regular file that tells of photos in its folder, by their paths: it is no file of its own."""

    path: bytes
    size: int
    mtime_ns: int
    photos: tuple[bytes, ...]


class FoundArchive(NamedTuple):
    """A regular file that is to be looked into, as its name says, with its size and times.

    `taken` gives those of the names in it (bytes, with slashes) that the rules take; `rules` stands for those of them
    that hold around it: as long as they and the archive are the same, so is what is taken.
    """

    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int | None
    taken: Callable[[Collection[bytes]], Iterator[bytes]]
    rules: str


@dataclass(frozen=True)
class WalkProblem:
    """A path that could not be walked or taken. What lies under it is unknown, not gone."""

    path: bytes
    reason: str


class NoFile(WalkProblem):
    """A path where something lies that is surely no file, and no folder to be walked: a file that was there is gone."""


@dataclass(frozen=True)
class MountPoint:
    """The root, or a folder below it, that lies on another device than the folder around it: it may be away one day."""

    path: bytes


Found = FoundFile | FoundSidecar | FoundArchive | WalkProblem | MountPoint
OnFolder = Callable[[bytes], None]


def check_rules(rules: WalkRules) -> None:
    """Raises Invalid for a pattern that is none."""
    typed_patterns(b"", rules.include, "include")
    typed_patterns(b"", rules.exclude, "exclude")


def walk(
    root: bytes, rules: WalkRules, targets: Targets | None = None, on_folder: OnFolder = lambda folder: None
) -> Iterator[Found]:
    """Walk `root`, an absolute path of a folder or of one file (which is taken whatever the rules say, and looked into
    if it is an archive), or a URL.

    Depth-first, names sorted as bytes; symbolic links come last and are followed once. A folder or file that
    vanishes meanwhile is passed over. With `targets` nothing else is looked at than those, and the folders that lead to
    them. `on_folder` is told of each folder before its entries are listed. Raises Invalid at once for a pattern that is
    none.
    """
    if is_remote(root):
        from mmsearch.indexing.remote_walking import RemoteWalk

        return RemoteWalk(root, rules, targets, on_folder).run()
    return TreeWalk(root, rules, targets, on_folder).run()


def is_mount_point(path: bytes) -> bool:
    """Whether the folder at `path`, or the one that it links to, lies on another device than the folder around it."""
    try:
        return os.stat(path).st_dev != os.stat(os.path.dirname(path)).st_dev
    except OSError:
        return False


@dataclass(frozen=True)
class _Folder:
    """A folder whose entries are being walked; `device` is the number of the one it lies on, `sidecars` are the names
    of those with the photos of which they tell.
    """

    entries: Iterator[os.DirEntry[bytes]]
    scope: Scope
    device: int
    sidecars: Mapping[bytes, tuple[bytes, ...]] = field(default_factory=dict)


class TreeWalk:
    """One walk: the folders it has entered and the links it has put off."""

    def __init__(self, root: bytes, rules: WalkRules, targets: Targets | None, on_folder: OnFolder) -> None:
        self._root = root.rstrip(_SEP) or root
        self._rules = rules
        self._targets = targets
        self._on_folder = on_folder
        self._include = typed_patterns(self._root, rules.include, "include")
        self._exclude = typed_patterns(self._root, rules.exclude, "exclude")
        self._entered: set[tuple[int, int]] = set()
        self._links: list[tuple[bytes, Scope]] = []
        self._problems: list[WalkProblem] = []
        self._mounts: list[MountPoint] = []

    def run(self) -> Iterator[Found]:
        try:
            status = os.stat(self._root)
        except OSError as error:
            yield WalkProblem(self._root, reason_of(error))
            return
        if stat.S_ISREG(status.st_mode):
            if is_archive_name(self._root):
                yield self._archive(self._root, status, self._start(Scope()))
            else:
                yield _found(self._root, status)
        elif not stat.S_ISDIR(status.st_mode):
            yield WalkProblem(self._root, _not_regular(status.st_mode))
        else:
            scope = scope_above(self._root, self._complain) if self._rules.ignore_files else Scope()
            if is_mount_point(self._root):
                yield MountPoint(self._root)
            yield from self._descend(self._root, self._start(scope), status.st_dev)
            yield from self._follow_links()

    def _complain(self, path: bytes, reason: str) -> None:
        self._problems.append(WalkProblem(path, reason))

    def _start(self, scope: Scope) -> Scope:
        """The scope of the root, in which nothing is taken that no pattern takes in, where there are such patterns."""
        return replace(scope, included=all(pattern.startswith("!") for pattern in self._rules.include))

    def _descend(self, top: bytes, scope: Scope, device: int) -> Iterator[Found]:
        """What is below `top`; `device` is that of the folder around it."""
        stack = [self._enter(top, scope, device, is_top=True)]
        while stack:
            if self._problems or self._mounts:
                yield from self._mounts
                yield from self._problems
                self._problems.clear()
                self._mounts.clear()
            folder = stack[-1]
            for entry in folder.entries:
                try:
                    if entry.is_file(follow_symlinks=False):
                        is_archive = self._rules.archives and is_archive_name(entry.name)
                        if not self._leaves_out(entry.name, entry.path, folder.scope, is_folder=is_archive):
                            status = entry.stat(follow_symlinks=False)
                            if not (_HAS_HIDDEN_ATTRIBUTE and self._is_marked_hidden(status)):
                                if is_archive:
                                    yield self._archive(entry.path, status, folder.scope)
                                else:
                                    yield _found_in(folder, entry, status)
                    elif entry.is_dir(follow_symlinks=False):
                        if not self._leaves_out(entry.name, entry.path, folder.scope, is_folder=True):
                            stack.append(self._enter(entry.path, folder.scope, folder.device))
                            break
                    elif entry.is_symlink():
                        self._links.append((entry.path, folder.scope))
                    elif not self._leaves_out(entry.name, entry.path, folder.scope, is_folder=False):
                        yield from _special_file(entry.path)
                except FileNotFoundError:
                    continue
                except OSError as error:  # a failing disk or network share: the entry is out of reach, not gone
                    yield WalkProblem(entry.path, reason_of(error))
            else:
                stack.pop()

    def _enter(self, folder: bytes, scope: Scope, outer_device: int, is_top: bool = False) -> _Folder:
        """The sorted entries of `folder` and the rules inside it; no entries where it is not to be walked."""
        nothing = _Folder(iter(()), scope, outer_device)
        try:
            status = os.stat(folder)
            identity = (status.st_dev, status.st_ino)
            if identity in self._entered or (not is_top and self._is_marked_hidden(status)):
                return nothing
            if status.st_ino:  # some network file systems number nothing
                self._entered.add(identity)
            if status.st_dev != outer_device:
                self._mounts.append(MountPoint(folder))
            self._on_folder(folder)
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=attrgetter("name"))
        except (FileNotFoundError, NotADirectoryError):
            return nothing
        except OSError as error:
            self._problems.append(WalkProblem(folder, reason_of(error)))
            return nothing
        names = {entry.name for entry in entries}
        if VENV_MARK in names and not is_top:
            return nothing
        if self._rules.ignore_files:
            scope = scope.inside(folder, names, self._complain)
        if folder != self._root:
            scope = self._inside(folder, scope)
        if self._targets is not None and (wanted := self._targets.names_in(folder, names)) is not None:
            entries = [entry for entry in entries if entry.name in wanted]
        return _Folder(iter(entries), scope, status.st_dev, sidecars_among(names, may_have_sidecars))

    def _leaves_out(self, name: bytes, path: bytes, scope: Scope, is_folder: bool) -> bool:
        typed = self._exclude.verdict(path, is_folder) if self._exclude else None
        if typed:
            return True
        if typed is None:
            lower = name.lower()
            if lower in _NEVER or lower.startswith(_NEVER_PREFIXES):
                return True
            if name.startswith(b".") and not self._rules.hidden:
                return True
            for patterns in scope.chain:
                verdict = patterns.verdict(path, is_folder)
                if verdict:
                    return True
                if verdict is not None:
                    break
        if is_folder or not self._include:
            return False
        wanted = self._include.verdict(path, is_folder=False)
        return not (scope.included if wanted is None else wanted)

    def _archive(self, path: bytes, status: os.stat_result, scope: Scope) -> FoundArchive:
        """The file at `path` as one that is looked into, with the rules inside it: those of a folder of its name."""
        scope = scope if path == self._root else self._inside(path, scope)
        patterns = (one.mark for one in (*scope.chain, self._include, self._exclude) if one is not None)
        rules = f"{self._rules.hidden} {self._rules.ignore_files} {scope.included} {' '.join(patterns)}"
        taken = MemberRules(path, scope, self._leaves_out, self._inside, self._rules.ignore_files).taken
        return FoundArchive(path, status.st_size, modification_time(status), change_time(status), taken, rules)

    def _inside(self, folder: bytes, scope: Scope) -> Scope:
        """The scope inside a folder below the root, as far as the patterns tell that were given with it."""
        verdict = self._include.verdict(folder, is_folder=True) if self._include else None
        return scope if verdict is None else replace(scope, included=verdict)

    def _is_marked_hidden(self, status: os.stat_result) -> bool:
        if self._rules.hidden or not _HAS_HIDDEN_ATTRIBUTE:
            return False
        marks: int = getattr(status, "st_file_attributes", 0) & 0x2  # FILE_ATTRIBUTE_HIDDEN
        return bool(marks or getattr(status, "st_flags", 0) & 0x8000)  # UF_HIDDEN

    def _follow_links(self) -> Iterator[Found]:
        """Links to folders first: a link to a file counts only where no walked folder holds that file."""
        files: list[FoundFile | FoundArchive] = []
        while self._links:
            links, self._links = sorted(self._links, key=lambda link: link[0]), []
            for path, scope in links:
                around = 0
                try:
                    around = os.stat(os.path.dirname(path)).st_dev
                    status: os.stat_result | None = os.stat(path)
                    reason = ""
                except OSError as error:
                    status, reason = None, _link_reason(error)
                is_folder = status is not None and stat.S_ISDIR(status.st_mode)
                is_archive = self._rules.archives and is_archive_name(path)
                if self._leaves_out(os.path.basename(path), path, scope, is_folder or is_archive):
                    continue
                if status is None:
                    yield WalkProblem(path, reason)
                elif is_folder:
                    if self._leads_back(path):
                        yield NoFile(path, "symbolic link to a folder that holds it")
                    else:
                        # git itself never looks through a link, so its rules end here.
                        yield from self._descend(path, replace(scope, git=(), in_git=False), around)
                elif stat.S_ISREG(status.st_mode):
                    files.append(self._archive(path, status, scope) if is_archive else _found(path, status))
                else:
                    yield NoFile(path, _not_regular(status.st_mode))
        for file in sorted(files, key=attrgetter("path")):
            if _folder_identity(os.path.realpath(file.path)) not in self._entered:
                yield file

    def _leads_back(self, link: bytes) -> bool:
        """Whether the link's target holds the link, or the root: its other folders were not asked for."""
        prefix = os.path.realpath(link).rstrip(_SEP) + _SEP
        inside = (os.path.realpath(os.path.dirname(link)), os.path.realpath(self._root))
        return any((path + _SEP).startswith(prefix) for path in inside)


def _found(path: bytes, status: os.stat_result) -> FoundFile:
    return FoundFile(path, status.st_size, modification_time(status), change_time(status))


def _found_in(folder: _Folder, entry: os.DirEntry[bytes], status: os.stat_result) -> FoundFile | FoundSidecar:
    photos = folder.sidecars.get(entry.name)
    if photos is None:
        return _found(entry.path, status)
    around = os.path.dirname(entry.path)
    paths = tuple(os.path.join(around, photo) for photo in photos)
    return FoundSidecar(entry.path, status.st_size, modification_time(status), paths)


def _folder_identity(path: bytes) -> tuple[int, int] | None:
    try:
        status = os.stat(os.path.dirname(path))
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _special_file(path: bytes) -> Iterator[WalkProblem]:
    try:
        yield NoFile(path, _not_regular(os.lstat(path).st_mode))
    except OSError:
        return


def _link_reason(error: OSError) -> str:
    return "dangling symbolic link" if isinstance(error, FileNotFoundError) else reason_of(error)


def _not_regular(mode: int) -> str:
    return f"{kind_of(mode)}, not a regular file"
