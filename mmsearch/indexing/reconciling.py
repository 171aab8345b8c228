"""What a walk found against what the store knows: what is to be read, what is gone, what is only out of reach."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import chain

from mmsearch.files.archives import is_gone
from mmsearch.files.crash_points import crash_point
from mmsearch.files.member_paths import is_archive_name, splits
from mmsearch.files.paths import extension_of, is_below, with_parents
from mmsearch.files.remote_paths import is_remote
from mmsearch.indexing.archives import ArchiveWalk
from mmsearch.indexing.root_presence import identity_of, is_empty_folder, is_root_there
from mmsearch.indexing.targets import Targets
from mmsearch.indexing.walking import (
    Found,
    FoundArchive,
    FoundFile,
    FoundSidecar,
    MountPoint,
    OnFolder,
    WalkProblem,
    WalkRules,
    is_mount_point,
    walk,
)
from mmsearch.reading import medium_of, wants_sniffing
from mmsearch.records import FileState, KnownFile, Root
from mmsearch.store.protocol import MOST_PATHS, Store

# A root that has lost more files than this, and more than half of them, or all that it had, may be a drive that was not
# mounted right: they stay until a person says that they are gone.
UNQUESTIONED_LOSS = 20
_EXTENSION = re.compile(r"\.[^\W_]{1,12}")


@dataclass(frozen=True)
class Candidate:
    """A file to be read; `known` if the library has it, `unchanged` if only its vectors are missing there.

    `touched` tells that its size and modification time are as they were, and that the system has changed something of
    it: its rights perhaps, or it has taken the name of another file. `details_only` tells that nothing but details are
    to be read of it.
    """

    root_id: int
    file: FoundFile
    known: bool
    unchanged: bool = False
    touched: bool = False
    details_only: bool = False


@dataclass(frozen=True)
class Known:
    """What a walk is held against: a model, the readers by their label, and the ids of files that are to be read
    whether they have changed or not, and of those of which only details are. `heard` are the paths of files that the
    model could not encode, and that are found by their sound.
    """

    model_id: int
    readers: str
    unencoded: Set[int]
    lacking_details: Set[int] = frozenset()
    heard: Set[bytes] = frozenset()


@dataclass(frozen=True)
class RootWalk:
    """A root that is to be walked by its rules: all of it, or its `targets` alone. `on_folder` is told of each folder
    before its entries are listed.
    """

    root: Root
    rules: WalkRules
    targets: Targets | None = None
    on_folder: OnFolder = lambda folder: None


@dataclass
class RootChanges:
    """What one walk of a root came upon.

    `files`, `failures` and `taken_over` (from another root) are ids of what the library knows and the walk saw,
    `gone` ids and paths of files that it did not see, `forgotten` ids of
    failures. `offline` are the root itself or mount points below it that are
    not there at present. `identity` is that of the root when the walk began; `seen_below` counts known
    files below what was a drive once. `sidecars` are those of each photo, by its path. `archives` is what was found in
    archives. `targets` are the parts of the root that were looked at where that was not all of it, and `beyond` then
    counts the files of the root that lie elsewhere and are within reach. `rewritten` were written again with the same
    bytes, as their etags tell.
    """

    root: Root
    offline: list[bytes] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    problems: list[WalkProblem] = field(default_factory=list)
    unchanged: int = 0
    failing: int = 0
    others: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    files: set[int] = field(default_factory=set)
    gone: dict[int, bytes] = field(default_factory=dict)
    forgotten: list[int] = field(default_factory=list)
    failures: set[int] = field(default_factory=set)
    taken_over: list[int] = field(default_factory=list)
    identity: tuple[int, int] | None = None
    rules: WalkRules = field(default_factory=WalkRules)
    targets: Targets | None = None
    beyond: int = 0
    seen_below: dict[bytes, int] = field(default_factory=dict)
    mounts: set[bytes] = field(default_factory=set)
    new_problems: list[WalkProblem] = field(default_factory=list)
    sidecars: dict[bytes, list[FoundSidecar]] = field(default_factory=dict)
    archives: ArchiveWalk | None = None
    rewritten: list[FoundFile] = field(default_factory=list)


@dataclass(frozen=True)
class Settled:
    """What became of a root's files that are gone: how many left the library, and how many stay until `prune`.

    `offline` are the root or drives below it that went away during the run: nothing of theirs was removed.
    """

    removed: int
    kept: int
    offline: tuple[bytes, ...] = ()


def compare_root(
    store: Store,
    asked: RootWalk,
    known: Known,
    on_files: Callable[[int], None],
) -> RootChanges:
    """Walks the root and notes in the store what needs no reading. Files that are gone stay until `settle_gone`.

    `on_files` is told how many more files were found.
    """
    changes = look_at_root(store, asked, known, on_files)
    if asked.root.path not in changes.offline:
        _note(store, changes, known.readers)
    return changes


def look_at_root(
    store: Store,
    asked: RootWalk,
    known: Known,
    on_files: Callable[[int], None],
    others: Set[bytes] = frozenset(),
) -> RootChanges:
    """Walks the root and compares; writes nothing. `others` are roots too, which the store does not know yet."""
    root = asked.root
    changes = RootChanges(root, identity=identity_of(root.path), rules=asked.rules, targets=asked.targets)
    if is_empty_folder(root.path) and store.files_in_root(root):
        changes.offline.append(root.path)
        return changes
    roots = {*others, *(other.path for other in store.roots())} - {root.path}
    inner = {other for other in roots if is_below(other, root.path)}
    files: list[FoundFile] = []
    changes.archives = archives = ArchiveWalk(store, root, known.readers, asked.targets)
    on_disk = _outside(walk(root.path, asked.rules, asked.targets, asked.on_folder), inner)
    most = store.longest_path
    for found in _keepable(archives.within(_keepable(on_disk, most)), most):
        if isinstance(found, FoundFile):
            if medium_of(found.path) or _is_sniffed(found.path) or found.path == root.path:
                files.append(found)
                if len(files) == MOST_PATHS:
                    _see_files(store, files, known, changes)
                    on_files(len(files))
                    files.clear()
            else:
                counts = changes.unread if found.archive is None else archives.seen[found.archive].unread
                counts[_kind_of(found.path)] += 1
        elif isinstance(found, FoundSidecar):
            for photo in found.photos:
                changes.sidecars.setdefault(photo, []).append(found)
        elif isinstance(found, WalkProblem):
            _see_problem(store, found, changes)
        elif isinstance(found, MountPoint):
            changes.mounts.add(found.path)
    _see_files(store, files, known, changes)
    on_files(len(files))
    _see_archives(store, archives, changes)
    if changes.problems and not is_root_there(root.path):  # it went away while it was walked
        changes.offline.append(root.path)
        changes.problems.clear()
        changes.new_problems.clear()
        return changes
    _find_gone(store, changes)
    return changes


def _is_sniffed(path: bytes) -> bool:
    """Whether its first bytes are looked at where its name tells nothing: not in each run over a network."""
    return wants_sniffing(path) and not is_remote(path)


def _outside(found: Iterable[Found], inner: Set[bytes]) -> Iterator[Found]:
    """What lies in none of the roots within this one: they have rules of their own, and are walked by themselves."""
    for one in found:
        if not inner or inner.isdisjoint(with_parents(one.path)):
            yield one


def _keepable(found: Iterable[Found], most: int | None) -> Iterator[Found]:
    """What was found, and a problem in the place of a file with a path of more bytes than the store can keep."""
    for one in found:
        if most is not None and len(one.path) > most and isinstance(one, (FoundFile, FoundArchive)):
            yield WalkProblem(one.path, f"path of more than {most:,} bytes, which a library there cannot keep")
        else:
            yield one


def _see_archives(store: Store, archives: ArchiveWalk, changes: RootChanges) -> None:
    for archive in archives.seen.values():
        changes.unread += archive.unread
        noted = store.failure_at(archive.known.path) if archive.trouble is not None else None
        if noted is not None and not archive.is_new:
            changes.failing += 1
        if noted is not None:
            changes.failures.add(noted)
    changes.others = sum(changes.unread.values())


def written_lately(candidates: Iterable[Candidate], seconds: float) -> set[bytes]:
    """The paths of those to which something was written within the last seconds."""
    now, rest = time.time_ns(), int(seconds * 1e9)
    # A copy may be given the times of its original, but for that of the system's own changes. One that lies in the
    # future tells nothing.
    return {one.file.path for one in candidates if 0 <= now - (one.file.ctime_ns or one.file.mtime_ns) < rest}


def _see_files(store: Store, files: Sequence[FoundFile], known: Known, changes: RootChanges) -> None:
    there = store.files_at([file.path for file in files], known.model_id, known.readers)
    changes.failures |= there.not_encoded
    for file in files:
        _see_file(file, there.files.get(file.path), file.path in there.failing, known, changes)


def _see_file(file: FoundFile, known: KnownFile | None, fails: bool, before: Known, changes: RootChanges) -> None:
    root = changes.root
    if known is None:
        changes.candidates.append(Candidate(root.id, file, known=False))
        return
    (changes.failures if known.failed else changes.files).add(known.id)
    for mount in root.mounts:
        if is_below(file.path, mount):
            changes.seen_below[mount] = changes.seen_below.get(mount, 0) + 1
    same = known.size == file.size and known.mtime_ns == file.mtime_ns
    if not same and _has_same_etag(known, file):
        changes.rewritten.append(file)
        same = True
    if same and known.ctime_ns != file.ctime_ns and not known.failed and None not in (known.ctime_ns, file.ctime_ns):
        changes.candidates.append(Candidate(root.id, file, known=True, touched=True))
        return
    if same and known.failed:
        changes.failing += 1
    elif same and known.id not in before.unencoded:
        fails = fails and file.path not in before.heard
        changes.failing += fails
        changes.unchanged += not fails
        if known.id in before.lacking_details and not fails:
            changes.candidates.append(Candidate(root.id, file, known=True, unchanged=True, details_only=True))
        if known.root_id != root.id:
            changes.taken_over.append(known.id)
    else:
        changes.candidates.append(Candidate(root.id, file, not known.failed, same and not known.failed))


def _has_same_etag(known: KnownFile, file: FoundFile) -> bool:
    """Whether a file behind a URL has the bytes that it had, though something has written it again."""
    is_same = known.size == file.size and known.ctime_ns is not None and known.ctime_ns == file.ctime_ns
    return is_same and not known.failed and is_remote(file.path)


def _see_problem(store: Store, problem: WalkProblem, changes: RootChanges) -> None:
    changes.problems.append(problem)
    if store.longest_path is not None and len(problem.path) > store.longest_path:
        return  # it is told by each run, as nothing can be noted of it
    noted = store.failure_at(problem.path)
    if noted is not None:
        changes.failures.add(noted)
    else:
        changes.new_problems.append(problem)


def _find_gone(store: Store, changes: RootChanges) -> None:
    """Finds out which drives are away, and which files and failures are gone."""
    root, targets = changes.root, changes.targets
    away = [
        mount
        for mount in root.mounts
        if (targets is None or targets.concern(mount))
        and mount not in changes.mounts
        and not is_mount_point(mount)  # else it is there, and left out by the rules
        # A folder that holds most of the drive's files has taken its place.
        and store.count_files_below(mount) > 2 * changes.seen_below.get(mount, 0)
    ]
    changes.offline += away
    out_of_reach = {*away, *(problem.path for problem in changes.problems)}
    # What a root around this one brought is this one's from now on.
    around = [other for other in store.roots() if other.path != root.path and is_below(root.path, other.path)]
    places = [root.path] if targets is None else sorted(targets.paths)
    known: Iterable[tuple[int, bytes]] = chain.from_iterable(
        store.files_of_root(one, place) for place in places for one in (root, *around)
    )
    failures = store.failures_of_root(root.id)
    if targets is not None:
        known = list(known)
        changes.beyond = _files_within_reach(store, root) - len(known)
        failures = ((number, path) for number, path in failures if targets.hold(path))
    changes.gone = dict(_missing(known, changes.files, out_of_reach))
    changes.forgotten = [number for number, _ in _missing(failures, changes.failures, out_of_reach)]


def _files_within_reach(store: Store, root: Root) -> int:
    """How many files the root has, but for those on drives that are away."""
    away = [mount for mount in root.mounts if not is_mount_point(mount)]
    topmost = [one for one in away if not any(one != other and is_below(one, other) for other in away)]
    return store.files_in_root(root) - sum(store.count_files_below(one) for one in topmost)


def _note(store: Store, changes: RootChanges, readers: str) -> None:
    """Notes problems, also of archives, mount points and files of other roots, and forgets failures that are gone."""
    root = changes.root
    targets = changes.targets
    elsewhere = [] if targets is None else [mount for mount in root.mounts if not targets.concern(mount)]
    mounts = tuple(sorted({*changes.mounts, *changes.offline, *elsewhere}))
    troubled = changes.archives.new_troubles() if changes.archives else []
    is_news = changes.forgotten or changes.taken_over or changes.rewritten or changes.new_problems or troubled
    if is_news or mounts != root.mounts:
        with store.transaction():
            store.remove_failures(changes.forgotten)
            for file_id in changes.taken_over:
                store.give_file_to(file_id, root.id)
            for file in changes.rewritten:
                content_id = store.content_at(file.path)
                if content_id is not None:
                    store.put_file(FileState(root.id, *file[:4]), content_id)
            for problem in changes.new_problems:
                store.note_out_of_reach(root.id, problem.path, problem.reason)
            for archive, reason in troubled:
                state = FileState(root.id, archive.path, archive.size, archive.mtime_ns, archive.ctime_ns)
                store.note_failure(state, reason, readers)
            store.set_mounts(root.id, mounts)
        crash_point("walk noted")


def _kind_of(path: bytes) -> str:
    """The extension of a file that no reader takes; "" for what looks like none (`.2021-05 old`)."""
    extension = extension_of(path)
    return extension if _EXTENSION.fullmatch(extension) else ""


def _missing(
    known: Iterable[tuple[int, bytes]], seen: set[int], out_of_reach: Set[bytes]
) -> Iterator[tuple[int, bytes]]:
    for number, path in known:
        if number not in seen and not (out_of_reach and any(place in out_of_reach for place in with_parents(path))):
            yield number, path


def settle_gone(store: Store, changes: RootChanges, new_contents: Set[int]) -> Settled:
    """Takes the files that are gone out of the library, unless there are so many that a person should be asked.

    To be called once the new files are stored: a file whose content is among `new_contents`, which this run found at
    new places, was moved and is not lost. It leaves in any case, and so do files that the rules leave out.
    """
    root = changes.root
    if root.path in changes.offline:
        return Settled(0, root.absent)
    if not changes.gone and not root.absent:
        return Settled(0, 0)
    if identity_of(root.path) != changes.identity or is_empty_folder(root.path):
        return Settled(0, root.absent, (root.path,))
    away = {mount for mount in changes.mounts if not is_mount_point(mount)}
    gone = dict(_missing(changes.gone.items(), set(), away))
    absent = {number for number, path in gone.items() if is_gone(path)}
    if len(absent) < len(gone):
        # Left out by the rules, or out of sight for a moment of the first walk: a second one tells.
        there = _seen_again(changes)
        gone = {
            number: path
            for number, path in gone.items()
            if number in absent or there.isdisjoint((path, *(archive for archive, _ in splits(path))))
        }
    lost = [number for number, content in store.contents_of(absent).items() if content not in new_contents]
    kept = set(lost) if is_many(changes, things(gone, lost), things(gone, gone)) else set()
    removed = [number for number in gone if number not in kept]
    # Of what is out of reach, or was not looked at, nothing is known: it does not end the asking.
    is_partial = changes.problems or changes.offline or away or changes.targets is not None
    count = max(len(kept), root.absent) if is_partial else len(kept)
    if removed or count != root.absent:
        with store.transaction():
            store.remove_files(removed)
            store.set_absent(root.id, count)
        crash_point("gone files removed")
    return Settled(len(removed), len(kept), tuple(sorted(away)))


def _seen_again(changes: RootChanges) -> set[bytes]:
    """What a second walk of the root comes upon: files, and archives that the first one did not see."""
    seen = changes.archives.seen if changes.archives else {}
    return {
        found.path
        for found in walk(changes.root.path, changes.rules, changes.targets)
        if not isinstance(found, FoundSidecar)
        and found.path not in seen
        and (isinstance(found, FoundArchive) or not is_archive_name(found.path))
    }


def things(paths: Mapping[int, bytes], numbers: Iterable[int]) -> int:
    """How many things on the disk those of the files were: all that lay in one archive were one."""
    return len({next(splits(paths[number]), (paths[number],))[0] for number in numbers})


def is_many(changes: RootChanges, lost: int, gone: int | None = None) -> bool:
    """Whether a root has lost so many of its files that a person should be asked; `gone` counts all that leave it."""
    there = len(changes.files) + max(0, changes.beyond)
    all_of_it = not there and not changes.candidates and lost > 1
    many = lost > UNQUESTIONED_LOSS and 2 * lost > there + (lost if gone is None else gone)
    # Once a person is to be asked, that holds until they have said so or the files are back.
    return many or all_of_it or bool(changes.root.absent)
