"""What lies in an archive has a path of its own: `photos.zip!2021/beach.jpg`. Here it is told by its form alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

ARCHIVE_EXTENSIONS = frozenset({".zip", ".cbz", ".tar"})
"""Of archives that are looked into. Documents that are zips have extensions of their own (`.docx`, `.fb2.zip`)."""

_SEP = os.fsencode(os.sep)
_MARK = b"!"
# A name before the ending, so that `.zip` is none; `book.fb2.zip` is a document.
_ARCHIVE_NAME = re.compile(rb"(?<!\.fb2)(?<![/\\])\.(?:zip|cbz|tar)\Z", re.IGNORECASE)
_SPLIT = re.compile(rb"(?<!\.fb2)(?<![/\\])\.(?:zip|cbz|tar)!", re.IGNORECASE)


def is_archive_name(path: bytes) -> bool:
    """Whether a file that is called so is an archive."""
    return _ARCHIVE_NAME.search(path) is not None


def is_tar_name(path: bytes) -> bool:
    """Whether an archive that is called so is a tar."""
    return path[-4:].lower() == b".tar"


def splits(path: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each (archive, member) that the path may mean, the outermost archive first; folders in the member by slashes."""
    if _MARK not in path:
        return
    for match in _SPLIT.finditer(path):
        member = path[match.end() :]
        if member:
            yield path[: match.end() - 1], member if _SEP == b"/" else member.replace(_SEP, b"/")


def is_member_path(path: bytes) -> bool:
    """Whether the path may be that of something in an archive."""
    return next(splits(path), None) is not None


def member_path(archive: bytes, member: bytes) -> bytes:
    """The path of what lies in an archive under that name, with slashes between folders."""
    return archive + _MARK + (member if _SEP == b"/" else member.replace(b"/", _SEP))


def archives_above(name: bytes) -> Iterator[bytes]:
    """The archives in which something lies, by its path or its name in the topmost folder: the innermost first."""
    yield from reversed([archive for archive, _ in splits(name)])
