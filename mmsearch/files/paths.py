"""Paths as bytes, just as the system names them. An archive is like a folder to what lies in it."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator

from mmsearch.files.member_paths import archives_above, is_archive_name, splits
from mmsearch.files.remote_paths import is_topmost

_SEP = os.fsencode(os.sep)
_MARK = b"!"


def is_below(path: bytes, folder: bytes) -> bool:
    """Whether `path` is `folder` itself or lies below it, or in it where it is an archive."""
    if not path.startswith(folder):
        return False
    return len(path) == len(folder) or any(path.startswith(begins) for begins in begins_below(folder))


def begins_below(folder: bytes) -> tuple[bytes, ...]:
    """How the paths begin of all that lies in a folder, or in an archive."""
    inside = with_separator(folder)
    return (inside, folder + _MARK) if is_archive_name(folder) else (inside,)


def with_separator(folder: bytes) -> bytes:
    separator = os.fsencode(os.sep)
    return folder if folder.endswith(separator) else folder + separator


def with_parents(path: bytes) -> Iterator[bytes]:
    """The path itself and all folders, and archives, above it."""
    yield path
    while (parent := parent_of(path)) != path:
        yield parent
        path = parent


def parent_of(path: bytes) -> bytes:
    """The folder that holds it, or the archive; the path itself at the very top, which a bucket is."""
    parent = os.path.dirname(path)
    if _MARK in path:
        archive = next((one for one in archives_above(path) if len(one) > len(parent)), None)
        if archive is not None:
            return archive
    if parent.endswith(b":") and path.startswith(parent + b"//") and is_topmost(path):
        return path
    return parent


def extension_of(path: bytes) -> str:
    """The extension in lower case with its dot, "" where there is none (`.bashrc` has none).

    `.fb2.zip` is one: it says what such a zip is.
    """
    name = path[path.rfind(_SEP) + 1 :]
    if _MARK in name:
        *_, (_, name) = ((b"", name), *splits(name))
    dot = name.rfind(b".")
    if dot <= 0 or name.count(b".", 0, dot) == dot:  # leading dots only: a hidden file
        return ""
    extension = _in_lower_case(name[dot:])
    if extension == ".zip" and name[-8:].lower() == b".fb2.zip" and len(name) > 8:
        return ".fb2.zip"
    return extension


@functools.lru_cache(maxsize=1024)
def _in_lower_case(extension: bytes) -> str:
    return os.fsdecode(extension).lower()
