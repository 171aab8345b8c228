"""Where this machine has the folders that a team's library knows by the paths of another one: its map of mounts.

A share is mounted at `/mnt/nas/photos` where it was indexed first, and at `/Volumes/photos` here. Mounts may lie in one
another: the innermost counts. A path of the library that has no place here, as another mount lies there, is shown below
ELSEWHERE, where nothing is; and so is, to the library, a folder of this machine whose name it has given to another one.
So no two paths are ever taken for one, in either direction.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mmsearch.errors import Damaged, Invalid, NotFound, Remedy, Unavailable
from mmsearch.files.remote_paths import is_remote
from mmsearch.files.replacing import write_whole

MOUNTS_VARIABLE = "MMSEARCH_MOUNTS"
MOUNTS_NAME = "mounts.json"
# Below a file that is no folder there is nothing, whoever looks.
ELSEWHERE = os.fsencode(os.devnull if os.sep == "/" else r"\\.\nul")
_SEP = os.fsencode(os.sep)


@dataclass(frozen=True)
class Mount:
    """A folder that libraries know as `known_as`, and where it lies `here`: absolute paths."""

    known_as: bytes
    here: bytes


class MountMap:
    """The mounts of a machine, and both directions of each path.

    Raises:
        Invalid: two of them are the same folder of a library, or of this machine.
    """

    def __init__(self, mounts: Iterable[Mount] = ()) -> None:
        self.mounts: Sequence[Mount] = tuple(sorted(mounts, key=lambda one: one.known_as))
        for one, other in zip(self.mounts, self.mounts[1:], strict=False):
            if one.known_as == other.known_as:
                raise Invalid(f"{os.fsdecode(one.known_as)} cannot lie at two places.")
        at: dict[bytes, bytes] = {}
        for one in self.mounts:
            if one.here in at:
                both = f"{os.fsdecode(at[one.here])} and {os.fsdecode(one.known_as)}"
                raise Invalid(f"{both} cannot both lie at {os.fsdecode(one.here)}; give each a place of its own.")
            at[one.here] = one.known_as
        pairs = [(_bare(one.known_as), _bare(one.here)) for one in self.mounts]
        self._outwards = sorted(pairs, key=lambda pair: -len(pair[0]))
        self._inwards = sorted(((here, known_as) for known_as, here in pairs), key=lambda pair: -len(pair[0]))

    def here(self, path: bytes) -> bytes:
        """Where a path of the library lies on this machine."""
        moved = _moved(path, self._outwards)
        return moved if _moved(moved, self._inwards) == path else ELSEWHERE + path

    def known_as(self, path: bytes) -> bytes:
        """What the library calls a path of this machine."""
        if path.startswith(ELSEWHERE + _SEP):
            inner = path[len(ELSEWHERE) :]
            return inner if self.here(inner) == path else path
        moved = _moved(path, self._inwards)
        return moved if _moved(moved, self._outwards) == path else ELSEWHERE + path

    def has_place(self, path: bytes) -> bool:
        """Whether the library has a name for that path of this machine."""
        return not self.known_as(path).startswith(ELSEWHERE + _SEP)

    def splitting(self, root: bytes) -> Mount | None:
        """A mount that takes a part out of what lies below a root of the library: below it there and not here, or the
        other way round.
        """
        known_as, here = _bare(root), _bare(self.here(root))
        for one in self.mounts:
            there, place = _bare(one.known_as), _bare(one.here)
            if _is_within(there, known_as) and place != here + there[len(known_as) :]:
                return one
            if _is_within(place, here) and there != known_as + place[len(here) :]:
                return one
        return None

    def is_crossed(self, folder: bytes) -> bool:
        """Whether mounts lie below that folder of this machine, or below what the library calls so."""
        here, known_as = _bare(folder), _bare(self.known_as(folder))
        return any(_is_within(new, here) or _is_within(old, known_as) for old, new in self._outwards)


def mounts_file() -> str:
    """$MMSEARCH_MOUNTS, or `mounts.json` in the platform's place for a user's settings."""
    chosen = os.environ.get(MOUNTS_VARIABLE)
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    import platformdirs

    return os.path.join(platformdirs.user_config_dir("mmsearch", appauthor=False), MOUNTS_NAME)


def read_mounts() -> MountMap:
    """The map of this machine; an empty one where nobody has made any.

    Raises:
        Damaged: the file is none of ours. Unavailable: it cannot be read.
    """
    path = mounts_file()
    try:
        with open(path, encoding="utf-8") as file:
            said = json.load(file)["mounts"]
        return MountMap(mount_of(known_as, here) for known_as, here in said.items())
    except (FileNotFoundError, NotADirectoryError):
        return MountMap()
    except OSError as error:
        # Who has become another user may still have the first one's folder, and none of the second one's settings.
        if not os.environ.get(MOUNTS_VARIABLE) and not os.access(os.path.dirname(path), os.X_OK):
            return MountMap()
        raise Unavailable(f"The mounts in {path} cannot be read ({error.strerror}).") from error
    except Invalid as error:
        reason = error.message.removesuffix(".")
        raise Damaged(f"The mounts in {path} cannot be followed ({reason}); correct the file.") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Damaged(f"The mounts in {path} cannot be understood; correct the file, or remove it.") from error


def put_mount(known_as: str | os.PathLike[str], here: str | os.PathLike[str]) -> Mount:
    """Says where a folder of libraries lies on this machine, in the place of what was said of it.

    Raises:
        Invalid: one of them is no absolute path, or another mount lies there.
    """
    lies = os.fspath(here)
    if lies and not is_remote(os.fsencode(lies)):
        lies = os.path.abspath(os.path.expanduser(lies))
    added = mount_of(os.fspath(known_as), lies)
    _write(MountMap([*(one for one in read_mounts().mounts if one.known_as != added.known_as), added]))
    return added


def remove_mount(known_as: str | os.PathLike[str]) -> Mount:
    """Says that a folder of libraries lies where they say, or not on this machine.

    Raises:
        NotFound: nothing was said of it.
    """
    mounts = read_mounts().mounts
    wanted = os.fsencode(os.path.normpath(known_as))
    found = next((one for one in mounts if one.known_as == wanted), None)
    if found is None:
        raise NotFound(f"No mount of this machine is known as {os.fsdecode(wanted)}", Remedy("mounts.list"))
    _write(MountMap(one for one in mounts if one is not found))
    return found


def mount_of(known_as: str, here: str) -> Mount:
    """The mount of these two paths, as they are written.

    Raises:
        Invalid: one of them is no absolute path.
    """
    for path in (known_as, here):
        if not isinstance(path, str) or not os.path.isabs(path) or "\0" in path:
            raise Invalid(f"{str(path) or 'An empty path'} is no absolute path, which both sides of a mount are.")
    return Mount(*(os.fsencode(os.path.normpath(path)) for path in (known_as, here)))


def _write(mounts: MountMap) -> None:
    path = mounts_file()
    said = {os.fsdecode(one.known_as): os.fsdecode(one.here) for one in mounts.mounts}
    written = json.dumps({"mounts": said}, indent=2).encode() + b"\n"
    try:
        write_whole(path, lambda file: file.write(written), "mounts")
    except OSError as error:
        raise Unavailable(f"The mounts cannot be written to {path} ({error.strerror}).") from error


def _bare(folder: bytes) -> bytes:
    """The folder without a separator at its end: nothing, for the topmost one."""
    return folder.rstrip(_SEP)


def _is_within(bare: bytes, folder: bytes) -> bool:
    """Whether one bare folder lies below another one."""
    return bare.startswith(folder + _SEP)


def _moved(path: bytes, pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The path with the first beginning that fits it, a bare folder, replaced by the other of its pair."""
    for old, new in pairs:
        if path.startswith(old) and (len(path) == len(old) or path.startswith(_SEP, len(old))):
            rest = path[len(old) :] if old or path != _SEP else b""
            return new + rest or _SEP
    return path
