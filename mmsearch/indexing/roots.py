"""The roots of a library: folders and files that were given to `index`, with the rules remembered for each."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mmsearch.errors import Damaged, Invalid, NotFound, Remedy, Unavailable, Unsupported
from mmsearch.files.archives import is_there
from mmsearch.files.crash_points import crash_point
from mmsearch.files.member_paths import is_archive_name
from mmsearch.files.paths import is_below
from mmsearch.files.remote_paths import MOUNTED, PACKAGES, absolute_path, is_remote
from mmsearch.indexing.root_presence import is_empty_folder
from mmsearch.indexing.walking import WalkRules, check_rules, is_mount_point
from mmsearch.reading import NotAMedium, UnreadableFile, medium_of, open_file
from mmsearch.records import Root
from mmsearch.store.locations import is_url, scheme_of, shown

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store


# A bucket, or a host with its port.
_MACHINE = re.compile(r"[^:?#]*(?::[0-9]+)?")


@dataclass(frozen=True)
class RootStatus:
    """A root with the number of its files; `offline` if it is not there at present, or empty though it has files.

    `changed` is when a run last found something new, changed or gone in it. `unmounted` are drives below it that are
    not there, `absent` counts files that were lost at once and stay until `prune`. `known_as` is its path in the
    library, where this machine has it at another one.
    """

    path: bytes
    files: int
    changed: str | None
    offline: bool
    unmounted: tuple[bytes, ...]
    absent: int
    rules: WalkRules
    known_as: bytes | None = None


def absolute(path: str | os.PathLike[str]) -> bytes:
    """The path as the system names it, from the root on, with ~ resolved; or the URL of what is read by fsspec.

    Raises:
        Invalid: it is empty, as an unset variable of a shell is; a URL of a kind that is not read, or not one of a
            folder, or one with a password.
    """
    text = os.fsdecode(path)
    if not text:
        raise Invalid("An empty path names no folder; write . for the current one.")
    absolute = absolute_path(text)
    if is_url(text) and not os.path.lexists(text):
        _check_url(absolute if is_remote(os.fsencode(absolute)) else text)
    return os.fsencode(absolute)


def _check_url(url: str) -> None:
    """Raises Invalid for one that names nothing that can be read, or that holds a secret."""
    scheme = scheme_of(url)
    if scheme in MOUNTED:
        raise Invalid(f"{scheme}:// is not read; mount what lies there as a folder, and give that folder.")
    if not is_remote(os.fsencode(url)):
        raise Invalid(f"{shown(url)}: of URLs those of {', '.join(PACKAGES)} are read, as s3://bucket/photos.")
    host, *folders = url.partition("://")[2].split("/")
    user, _, machine = host.rpartition("@")
    if ":" in user or not _MACHINE.fullmatch(machine):
        raise Invalid(
            f"{shown(url)} was given with a password, which would be kept in the library; leave it out, and give it "
            "where the programs of that store look for it: in the environment, or in a file of theirs."
        )
    if not machine or not {"", ".", ".."}.isdisjoint(folders):
        raise Invalid(
            f"{url} names no folder; write it as {scheme}://bucket/photos, with no empty name, . or .. in it."
        )


def all_absolute(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> tuple[bytes, ...]:
    """The same of one path or of several."""
    return tuple(absolute(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths))


def check_root(path: bytes) -> None:
    """Raises NotFound or Unavailable where there is nothing at `path` or it may not be read."""
    name = os.fsdecode(path)
    if is_remote(path):
        _check_remote_root(path, name)
        return
    if not os.path.exists(path):
        raise NotFound(f"{name} does not exist; check the path, or connect the drive that it is on.")
    readable = os.R_OK | os.X_OK if os.path.isdir(path) else os.R_OK
    if not os.access(path, readable):
        raise Unavailable(f"{name} cannot be read; check its permissions.")


def _check_remote_root(path: bytes, name: str) -> None:
    """Raises NotFound, Unavailable, or Unsupported, where what reads such URLs is missing."""
    from mmsearch.files.remote import check_package
    from mmsearch.files.remote_presence import entry_in_time

    check_package(path)
    try:
        entry_in_time(path)
    except FileNotFoundError:
        raise NotFound(f"There is nothing at {name}; check the URL, and which store it is asked of.") from None
    except PermissionError:
        raise Unavailable(
            f"{name} cannot be read, as that store refuses the credentials; check them, and what they allow."
        ) from None
    except OSError as error:
        said = (error.strerror or "cannot be reached").lower()
        raise Unavailable(
            f"{name} cannot be read ({said}); check the network, the address and the credentials."
        ) from None


def is_of_unread_kind(path: bytes) -> bool:
    """Whether it is a file that no reader takes, by its name and by its first bytes. An archive is looked into."""
    if medium_of(path) is not None or is_archive_name(path) or not os.path.isfile(path):
        return False
    try:
        with open_file(path):
            return False
    except NotAMedium:
        return True
    except UnreadableFile:
        return False


def roots_to_walk(
    store: Store, asked: Sequence[bytes], rules: WalkRules | None, everything: bool
) -> tuple[list[tuple[bytes, WalkRules]], list[bytes]]:
    """The asked and remembered paths that a run walks, with their rules, and those that are not there at present.

    Raises:
        MmsearchError: there are none, or what is remembered of one cannot be followed.
    """
    remembered = {root.path: root for root in store.roots()}
    if not asked and not remembered:
        raise Invalid("Nothing to index", Remedy("index.name"))
    every_root = everything or not asked
    within = [path for path in remembered if every_root or any(is_below(path, folder) for folder in asked)]
    there: list[tuple[bytes, WalkRules]] = []
    missing: list[bytes] = []
    for path in dict.fromkeys([*asked, *within]):
        known = remembered.get(path)
        given = rules if path in asked or not asked else None
        held = given if given is not None else _rules_of(known) if known else WalkRules()
        if not is_there(path):
            missing.append(path)
            continue
        if held.archives and is_remote(path):
            name = os.fsdecode(path)
            raise Unsupported(
                f"Archives in {name} are not looked into, so that it is to be indexed by itself",
                Remedy("leave_out", "archives"),
            )
        if given is None:
            _check_stored(path, held)
        there.append((path, held))
    return there, missing


def choose_roots(
    store: Store, asked: list[bytes], rules: WalkRules | None, rebuild: bool
) -> tuple[list[tuple[Root, WalkRules]], list[bytes]]:
    """The roots of this run with their rules, and those that are not there at present.

    These are the asked ones and the remembered ones within them (all, if none was asked for). `rules` were checked.

    Raises:
        MmsearchError: there are none, or what is remembered of one cannot be followed. Nothing is stored then.
    """
    there, missing = roots_to_walk(store, asked, rules, rebuild)
    chosen: list[tuple[Root, WalkRules]] = []
    for path, held in there:
        with store.transaction():
            chosen.append((store.put_root(path, json.dumps(asdict(held))), held))
        crash_point("root noted")
    return chosen, missing


def _check_stored(path: bytes, rules: WalkRules) -> None:
    """Raises Invalid for rules that an older mmsearch has stored unchecked."""
    try:
        check_rules(rules)
    except Invalid as error:
        told = str(error).rpartition(";")[0]
        raise Invalid(
            f"The rules remembered for {os.fsdecode(path)} cannot be followed ({told}); index it with new rules, "
            "which replace them."
        ) from error


def _rules_of(root: Root) -> WalkRules:
    try:
        written = json.loads(root.rules)
        return WalkRules(
            include=tuple(written["include"]),
            exclude=tuple(written["exclude"]),
            hidden=written["hidden"],
            ignore_files=written["ignore_files"],
            archives=written.get("archives", False),
        )
    except (ValueError, TypeError, KeyError) as error:
        name = os.fsdecode(root.path)
        raise Damaged(f"The rules of {name} are damaged in the library", Remedy("forget", name)) from error


def is_away(store: Store, root: Root) -> bool:
    """Whether the root is not there on this machine now, or empty though it has files."""
    return not is_there(root.path) or (is_empty_folder(root.path) and store.files_in_root(root) > 0)


def root_status(store: Store, root: Root) -> RootStatus:
    """How the root stands now."""
    files, offline = store.files_in_root(root), is_away(store, root)
    unmounted = () if offline else tuple(mount for mount in root.mounts if not is_mount_point(mount))
    return RootStatus(root.path, files, root.changed, offline, unmounted, root.absent, _rules_of(root), root.known_as)
