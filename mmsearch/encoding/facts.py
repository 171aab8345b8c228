"""What has to be known of a model before it is used, found out by loading it once and then kept in the user's cache.

So a search for words that were asked before, and the check that a library is asked with its own model, load nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

from mmsearch.files.hashing import updated
from mmsearch.files.replacing import write_whole

# What says that a folder holds a whole model, and is no part of it.
MANIFEST = "mmsearch-model.json"


@dataclass(frozen=True)
class ModelFacts:
    """`revision` is a digest of the model's files, `dimension` that of its vectors, `image_side` in pixels.

    `preparation` tells how its inputs are prepared, where that is not what its files say alone. `sound_rate` is how
    many samples of sound a second it takes, and `sound_seconds` how long a window of it is; 0 where it takes none.
    """

    revision: str
    dimension: int
    image_side: int
    preparation: str
    sound_rate: int = 0
    sound_seconds: float = 0.0


@dataclass(frozen=True)
class LoadedFacts:
    """What only loading a model tells."""

    dimension: int
    image_side: int
    preparation: str = ""
    sound_rate: int = 0
    sound_seconds: float = 0.0


def facts_of(folder: str, load: Callable[[], LoadedFacts]) -> ModelFacts:
    """The facts of the model in `folder`; `load` is called where they are not known, or its files have changed."""
    state = _state(folder)
    kept = _kept_path(folder)
    with suppress(OSError, ValueError, TypeError, KeyError):
        with open(kept, encoding="utf-8") as file:
            known = json.load(file)
        if known["state"] == state:
            return ModelFacts(**known["facts"])
    loaded = load()
    facts = ModelFacts(_revision(folder), **asdict(loaded))
    with suppress(OSError):  # a cache that cannot be written is done without
        written = json.dumps({"state": state, "facts": asdict(facts)}).encode()
        write_whole(kept, lambda file: file.write(written), what="")
    return facts


def _kept_path(folder: str) -> str:
    import platformdirs
    import xxhash

    name = f"model-{xxhash.xxh3_64_hexdigest(os.path.realpath(folder).encode('utf-8', 'surrogateescape'))}.json"
    return os.path.join(platformdirs.user_cache_dir("mmsearch", appauthor=False), name)


def _state(folder: str) -> list[list[str | int]]:
    """Name, size and modification time of each file: as long as they are the same, so is the model."""
    found: list[list[str | int]] = []
    for within, path in model_files(folder):
        status = os.stat(path)
        found.append([os.fsencode(within).hex(), status.st_size, status.st_mtime_ns])
    return found


def _revision(folder: str) -> str:
    """A digest of all files of the model: 12 hexadecimal digits."""
    import xxhash

    digest = xxhash.xxh3_128()
    for within, path in model_files(folder):
        digest.update(within.encode("utf-8", "surrogateescape"))
        updated(digest, path)
    return digest.hexdigest()[:12]


def model_files(folder: str) -> Iterator[tuple[str, str]]:
    """Name within the folder and path of each file that is the model's own, in order."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(place, name)
            within = os.path.relpath(path, folder).replace(os.sep, "/")
            if within != MANIFEST and not name.startswith("."):
                yield within, path
