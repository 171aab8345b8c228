"""Whether a model's file is the one that its description tells of.

A file is hashed once; its digest is kept in the user's cache as long as the file's size, times and number stay.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from mmsearch.files.hashing import sha256_of
from mmsearch.files.replacing import write_whole


def known_sha256(path: str) -> str:
    """The SHA-256 of the file at `path`, in hexadecimal digits, computed where the file has changed since it was."""
    state, kept = _state(path), _kept_path(path)
    with suppress(OSError, ValueError, TypeError, KeyError):
        with open(kept, encoding="utf-8") as file:
            known = json.load(file)
        if known["state"] == state:
            return str(known["sha256"])
    digest = sha256_of(path)
    with suppress(OSError):  # a cache that cannot be written is done without
        written = json.dumps({"state": state, "sha256": digest}).encode()
        write_whole(kept, lambda file: file.write(written), what="")
    return digest


def _state(path: str) -> list[int]:
    status = os.stat(path)
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _kept_path(path: str) -> str:
    import platformdirs
    import xxhash

    name = f"file-{xxhash.xxh3_64_hexdigest(os.path.realpath(path).encode('utf-8', 'surrogateescape'))}.json"
    return os.path.join(platformdirs.user_cache_dir("mmsearch", appauthor=False), name)
