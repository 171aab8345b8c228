"""What a walk found against what the store knows: what is to be read, what is gone, what is only out of reach."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from mmsearch.files.crash_points import crash_point
from mmsearch.files.paths import extension_of, is_below, with_parents
from mmsearch.files.remote_paths import is_remote
from mmsearch.indexing.archives import ArchiveWalk
from mmsearch.indexing.changes import Candidate, RootChanges, RootWalk
from mmsearch.indexing.gone import find_gone
from mmsearch.indexing.root_presence import identity_of, is_empty_folder, is_root_there
from mmsearch.indexing.walking import Found, FoundArchive, FoundFile, FoundSidecar, MountPoint, WalkProblem, walk
from mmsearch.reading import medium_of, wants_sniffing
from mmsearch.records import FileState, KnownFile
from mmsearch.store.protocol import MOST_PATHS, Store

_EXTENSION = re.compile(r"\.[^\W_]{1,12}")


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


def compare_root(store: Store, asked: RootWalk, known: Known, on_files: Callable[[int], None]) -> RootChanges:
    """Walks the root and notes in the store what needs no reading. Files that are gone stay until `settle_gone`.

    `on_files` is told how many more files were found.
    """
    changes = look_at_root(store, asked, known, on_files)
    if asked.root.path not in changes.offline:
        _note(store, changes, known.readers)
    return changes


def look_at_root(
    store: Store, asked: RootWalk, known: Known, on_files: Callable[[int], None], others: Set[bytes] = frozenset()
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
    find_gone(store, changes)
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
