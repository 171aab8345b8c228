"""Files that a walk did not see: which of them are gone, and which of these leave the library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import chain

from mmsearch.files.archives import is_gone
from mmsearch.files.crash_points import crash_point
from mmsearch.files.member_paths import is_archive_name, splits
from mmsearch.files.paths import is_below, with_parents
from mmsearch.indexing.changes import RootChanges
from mmsearch.indexing.root_presence import identity_of, is_empty_folder
from mmsearch.indexing.walking import FoundArchive, FoundSidecar, NoFile, is_mount_point, walk
from mmsearch.records import Root
from mmsearch.store.protocol import Store

# A root that has lost more files than this, and more than half of them, or all that it had, may be a drive that was not
# mounted right: they stay until a person says that they are gone.
UNQUESTIONED_LOSS = 20


@dataclass(frozen=True)
class Settled:
    """What became of a root's files that are gone: how many left the library, and how many stay until `prune`.

    `moved` are those of the former that lie at other places now, by their contents. `offline` are the root or drives
    below it that went away during the run: nothing of theirs was removed.
    """

    removed: int
    kept: int
    offline: tuple[bytes, ...] = ()
    moved: Counter[int] = field(default_factory=Counter)


def find_gone(store: Store, changes: RootChanges) -> None:
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
    out_of_reach = changes.out_of_reach
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


def _missing(
    known: Iterable[tuple[int, bytes]], seen: set[int], out_of_reach: Set[bytes]
) -> Iterator[tuple[int, bytes]]:
    for number, path in known:
        if number not in seen and not (out_of_reach and any(place in out_of_reach for place in with_parents(path))):
            yield number, path


def settle_gone(store: Store, changes: RootChanges, new_contents: Counter[int]) -> Settled:
    """Takes the files that are gone out of the library, unless there are so many that a person should be asked.

    To be called once the new files are stored: a file whose content is among `new_contents`, which this run found at
    so many new places, was moved and is not lost. It leaves in any case, and so do files that the rules leave out.
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
    contents = store.contents_of(absent)
    lost = [number for number, content in contents.items() if content not in new_contents]
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
    # One new place is where one of them went, however many had that content.
    moved = Counter(contents[number] for number in removed if number in contents) & new_contents
    return Settled(len(removed), len(kept), tuple(sorted(away)), moved)


def _seen_again(changes: RootChanges) -> set[bytes]:
    """What a second walk of the root comes upon: files, and archives that the first one did not see."""
    seen = changes.archives.seen if changes.archives else {}
    return {
        found.path
        for found in walk(changes.root.path, changes.rules, changes.targets)
        if not isinstance(found, (FoundSidecar, NoFile))
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
