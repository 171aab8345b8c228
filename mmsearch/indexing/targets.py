"""What a run looks at that does not walk all of its roots: the paths that are named, and what belongs to them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from mmsearch.files.member_paths import is_archive_name
from mmsearch.files.paths import extension_of, is_below, with_parents
from mmsearch.indexing.ignore_rules import GIT_IGNORE_FILE, OWN_IGNORE_FILES, VENV_MARK
from mmsearch.reading import medium_of, wants_sniffing
from mmsearch.reading.sidecars import EXTENSIONS, sidecars_among

# What decides on all that is in the folder it lies in.
_RULING_NAMES = frozenset((*OWN_IGNORE_FILES, GIT_IGNORE_FILE, VENV_MARK, b".git"))
# The media of which sidecars tell.
_WITH_SIDECARS = ("image", "video")


def may_have_sidecars(name: bytes) -> bool:
    """Whether a file of that name promises a medium that sidecars tell of."""
    return medium_of(name) in _WITH_SIDECARS


def may_matter(path: bytes) -> bool:
    """Whether a file of that name may change what a run finds: it, or what lies in it, may be read, it may tell of a
    photo, or rule its folder.
    """
    is_read = medium_of(path) is not None or wants_sniffing(path) or extension_of(path) in EXTENSIONS
    is_read = is_read or is_archive_name(path)
    return is_read or os.path.basename(path) in _RULING_NAMES


@dataclass(frozen=True)
class Targets:
    """The parts of one root that are looked at: files, folders with all below them, and what is not there any more.

    None of `paths` lies below another one. `wanted` are the names on the way to them and they themselves, by folder.
    """

    paths: frozenset[bytes]
    wanted: dict[bytes, set[bytes]] = field(repr=False)

    @classmethod
    def of(cls, root: bytes, paths: Collection[bytes]) -> Targets:
        """Those below `root`, which is none of them."""
        named = set(paths)
        topmost = frozenset(path for path in named if not any(one in named for one in list(with_parents(path))[1:]))
        wanted: dict[bytes, set[bytes]] = {}
        for path in topmost:
            for place in with_parents(path):
                if place == root:
                    break
                wanted.setdefault(os.path.dirname(place), set()).add(os.path.basename(place))
        return cls(topmost, wanted)

    def hold(self, path: bytes) -> bool:
        """Whether `path` is one of them or lies below one."""
        return not self.paths.isdisjoint(with_parents(path))

    def concern(self, folder: bytes) -> bool:
        """Whether one of them lies in `folder`, or is it, or is a folder around it."""
        return folder in self.wanted or self.hold(folder)

    def names_in(self, folder: bytes, names: Collection[bytes]) -> set[bytes] | None:
        """Which of the `names` in `folder` are looked at, None for all: a photo comes with its sidecars, and a sidecar
        with its photos, as what is known of a photo stands on all of them.
        """
        if self.hold(folder):
            return None
        found = set(self.wanted.get(folder, ()))
        told = sidecars_among({*names, *found}, may_have_sidecars)
        groups = [{sidecar, *photos} for sidecar, photos in told.items()]
        while more := [group for group in groups if not group.isdisjoint(found) and not group <= found]:
            found.update(*more)
        return found


def targets_by_root(roots: Sequence[bytes], only: Iterable[bytes]) -> dict[bytes, Targets | None]:
    """The roots that these paths concern, each with what of it is to be looked at, None for all of it.

    A path concerns the innermost root that holds it and all roots below it. What an ignore file rules is the folder
    that it lies in. A symbolic link is judged by a walk of the whole root, as it counts only where nothing else leads
    to the same place.
    """
    chosen: dict[bytes, set[bytes]] = {}
    inwards = sorted(roots, key=len, reverse=True)
    is_judged_whole = _LinksWithin()
    for path in only:
        place = os.path.dirname(path) if os.path.basename(path) in _RULING_NAMES else path
        for root in roots:
            if is_below(root, place):
                chosen.setdefault(root, set()).add(root)
        around = next((root for root in inwards if is_below(place, root)), None)
        if around is not None:
            chosen.setdefault(around, set()).add(around if is_judged_whole(place, around) else place)
    return {root: None if root in paths else Targets.of(root, paths) for root, paths in chosen.items()}


class _LinksWithin:
    """Tells paths that lead over a symbolic link on which a walk of all of the root must decide."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], bool] = {}

    def __call__(self, path: bytes, root: bytes) -> bool:
        if path == root:
            return False
        return os.path.islink(path) or self._leads_inside(os.path.dirname(path), root)

    def _leads_inside(self, folder: bytes, root: bytes) -> bool:
        """Whether a link on the way from `root` to `folder` has its target within the root."""
        if folder == root:
            return False
        key = folder, root
        if key not in self._known:
            leads = os.path.islink(folder) and is_below(os.path.realpath(folder), os.path.realpath(root))
            self._known[key] = leads or self._leads_inside(os.path.dirname(folder), root)
        return self._known[key]
