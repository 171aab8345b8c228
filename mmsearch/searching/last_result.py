"""The hits of the last search, by their ranks, in a small file of the library's folder: what "the third one" means.

It holds ids of contents, and neither words nor paths. It may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from mmsearch.errors import NotFound, Remedy
from mmsearch.files.private import PRIVATE_FILE
from mmsearch.files.remote_paths import absolute_path
from mmsearch.records import Filters
from mmsearch.searching.results import FileList, SearchResult

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

LAST_RESULT_NAME = "last-result"
MOST_HITS = 1_000
_ID = re.compile("[0-9a-f]{32}")


def keep_result(folder: str, result: SearchResult | FileList) -> None:
    """Keeps what its first hits are. What cannot be written is done without; nothing is kept of no hits."""
    if not result.hits:
        return
    ids = {str(hit.rank): hit.id for hit in result.hits[:MOST_HITS]}
    path = os.path.join(folder, LAST_RESULT_NAME)
    temporary = f"{path}.{os.getpid()}.part"
    with suppress(OSError):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
        try:
            # Not synced: what a power cut leaves of it is no result, and nothing is lost.
            with open(descriptor, "w", encoding="ascii") as file:
                json.dump(ids, file)
            os.replace(temporary, path)
        except OSError:
            os.remove(temporary)


def id_called(folder: str, store: Store, called: str) -> str:
    """The id of a content that is called by a rank of the last search, by its id, or by the path of a file.

    Raises:
        NotFound: nothing is called so.
    """
    if _ID.fullmatch(called):
        if not store.has_content(bytes.fromhex(called)):
            raise NotFound(f"Nothing in the library has the id {called}; search again.")
        return called
    if called.isdecimal():
        found = kept_id(folder, called)
        if not store.has_content(bytes.fromhex(found)):
            raise NotFound(f"Hit {called} of the last search is not in the library any more; search again.")
        return found
    path = absolute_path(called)
    digest = store.digest_at(os.fsencode(path)) or store.digest_at(os.fsencode(os.path.realpath(path)))
    if digest is None:
        raise NotFound(f"The library has no file {path}", Remedy("like"))
    return digest.hex()


def kept_id(folder: str, rank: str) -> str:
    """The id of the hit of that rank in the result kept last.

    Raises:
        NotFound: it had no such hit.
    """
    found = _last_ids(folder).get(str(int(rank)))
    if found is None:
        raise NotFound(f"The last search has no hit {rank}; give the rank of one that it listed, or a path.")
    return found


def path_called(folder: str, store: Store, called: str) -> bytes:
    """The path of a file that is called by a rank of the last search, by its id, or by its path.

    Of several files of one content it is the first. Raises as `id_called` does.
    """
    digest = bytes.fromhex(id_called(folder, store, called))
    paths = sorted({path for _, path, *_ in store.places_of(store.items_of_contents([digest]), Filters())})
    if not paths:
        raise NotFound(f"Nothing in the library is called {called}; search again.")
    own = {os.fsencode(absolute_path(called)), os.fsencode(os.path.realpath(called))}
    return next((path for path in paths if path in own), paths[0])


def _last_ids(folder: str) -> Mapping[str, str]:
    try:
        with open(os.path.join(folder, LAST_RESULT_NAME), encoding="ascii") as file:
            kept = json.load(file)
    except (OSError, ValueError):
        return {}
    ids = kept.items() if isinstance(kept, dict) else ()
    return {rank: one for rank, one in ids if isinstance(one, str) and _ID.fullmatch(one)}
