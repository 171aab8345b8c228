"""Paths as bytes, just as the system names them."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator

_SEP = os.fsencode(os.sep)


def is_below(path: bytes, folder: bytes) -> bool:
    """Whether `path` is `folder` itself or lies below it."""
    return path == folder or path.startswith(with_separator(folder))


def with_separator(folder: bytes) -> bytes:
    separator = os.fsencode(os.sep)
    return folder if folder.endswith(separator) else folder + separator


def with_parents(path: bytes) -> Iterator[bytes]:
    """The path itself and all folders above it."""
    yield path
    while (parent := os.path.dirname(path)) != path:
        yield parent
        path = parent


def extension_of(path: bytes) -> str:
    """The extension in lower case with its dot, "" where there is none (`.bashrc` has none).

    `.fb2.zip` is one: it says what such a zip is.
    """
    name = path[path.rfind(_SEP) + 1 :]
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
