"""A file → its content. One module per medium; this is the registry and the door.

The steps are kept apart, so that a caller can stop between them: `medium_of` and `wants_sniffing` judge a
name, `load` reads and hashes, `decode` is only for content that is not known yet. A new medium is a module
with a MEDIUM and one line in MEDIA.
"""

from __future__ import annotations

from mmsearch.reading import image, text
from mmsearch.reading.loading import load_file
from mmsearch.reading.medium import (
    FileReading,
    LoadedFile,
    Medium,
    NotAMedium,
    ReadLimits,
    UnreachableFile,
    UnreadableFile,
    extension_of,
)
from mmsearch.records import Content

__all__ = [
    "MEDIA",
    "FileReading",
    "LoadedFile",
    "Medium",
    "NotAMedium",
    "ReadLimits",
    "UnreachableFile",
    "UnreadableFile",
    "decode",
    "extension_of",
    "load",
    "medium_of",
    "wants_sniffing",
]

MEDIA: tuple[Medium, ...] = (image.MEDIUM, text.MEDIUM)
_MEDIUM_OF_EXTENSION = {extension: medium for medium in MEDIA for extension in medium.extensions}
_MEDIUM_NAMED = {medium.name: medium for medium in MEDIA}


def medium_of(path: bytes) -> Medium | None:
    """The medium that the extension promises; None for unknown extensions and for none. Reads nothing."""
    return _MEDIUM_OF_EXTENSION.get(extension_of(path))


def wants_sniffing(path: bytes) -> bool:
    """Whether only the content can tell: the name has no extension (IMG_0001, README)."""
    return extension_of(path) in ("", ".")


def load(path: bytes, limits: ReadLimits | None = None) -> LoadedFile:
    """Read and hash a file, and tell its medium by its first bytes. Links are followed.

    Raises UnreadableFile for what cannot be read, is over its limit (nothing beyond the first 4,096 bytes is
    read then), is not what its extension says, or does not keep still; NotAMedium for files of other kinds.
    """
    return load_file(path, limits or ReadLimits(), MEDIA)


def decode(loaded: LoadedFile, side: int) -> Content:
    """What a person sees or reads in the file.

    Pictures come with a short side of at least `side` pixels where the original has it, at most twice that.
    Raises UnreadableFile for damaged, truncated, oversized or empty content, and nothing else.
    """
    return _MEDIUM_NAMED[loaded.medium].decode(loaded, side)
