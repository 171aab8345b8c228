"""What sidecars say of photos, kept beside what the photos say themselves, and read again when a sidecar changes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence

from mmsearch.files.crash_points import crash_point
from mmsearch.files.member_paths import is_archive_name, splits
from mmsearch.files.remote_paths import is_remote
from mmsearch.indexing.changes import RootChanges
from mmsearch.indexing.walking import FoundSidecar
from mmsearch.reading.sidecars import VERSION, facts_of_sidecars
from mmsearch.store.protocol import MOST_PATHS, Store


def keep_sidecars(store: Store, changes: RootChanges, stop: threading.Event) -> int:
    """Reads the sidecars that are new or have changed and forgets those that are gone, of one walk of a root.

    To be called once its files are stored. Returns of how many photos something was noted. Of photos that the walk did
    not see (on a drive that is away) what is known stays; where nothing has changed nothing is written. What a stop
    leaves no time for the next run finds.
    """
    root = changes.root.path
    is_folder = os.path.isdir(root) or is_archive_name(root) or is_remote(root)
    if root in changes.offline or changes.archives is None or not is_folder:
        return 0
    unopened = {path for path, archive in changes.archives.seen.items() if not archive.is_new}
    known = store.sidecar_states(changes.root)
    found = {photo: _state(sidecars) for photo, sidecars in changes.sidecars.items()}
    gone = [
        file_id
        for path, (file_id, _) in known.items()
        if path not in found
        and file_id in changes.files
        and unopened.isdisjoint(archive for archive, _ in splits(path))
    ]
    told = 0
    if gone:
        with store.transaction():
            store.remove_sidecars(gone)
        told += len(gone)
    new = [photo for photo, state in found.items() if known.get(photo, (0, ""))[1] != state]
    for first in range(0, len(new), MOST_PATHS):
        if stop.is_set():
            break
        some = new[first : first + MOST_PATHS]
        # Of a photo that could not be read nothing is kept.
        said = {
            photo: facts_of_sidecars([one.path for one in changes.sidecars[photo]]) for photo in store.file_ids_at(some)
        }
        if said:
            with store.transaction():
                there = store.file_ids_at(list(said))  # others may have let go of some meanwhile
                for photo, file_id in there.items():
                    store.put_sidecars(file_id, found[photo], said[photo])
            crash_point("sidecars noted")
            told += len(there)
    return told


def _state(sidecars: Sequence[FoundSidecar]) -> str:
    """What tells a change: of the files, and of how they are read."""
    states = sorted((os.fsdecode(os.path.basename(one.path)), one.size, one.mtime_ns) for one in sidecars)
    return json.dumps([VERSION, *states])
