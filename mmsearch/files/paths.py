"""Paths as bytes, just as the system names them."""

from __future__ import annotations

import os
from collections.abc import Iterator


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
