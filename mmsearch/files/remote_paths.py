"""What lies in a store of objects or on another machine has a URL as its path: `s3://bucket/2021/beach.jpg`.

Here it is told by its form alone: nothing is loaded, and nothing is asked of anyone.
"""

from __future__ import annotations

import os

PACKAGES = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
}
"""The package that fsspec needs to read what lies under a URL of each scheme."""

MOUNTED = ("sftp", "ssh", "smb", "cifs", "nfs", "ftp", "ftps", "webdav", "dav", "davs")
"""The schemes of what is not read so: the system mounts it as a folder, with its own checks of who answers."""

_BEGINS = tuple(f"{scheme}://".encode() for scheme in PACKAGES)
_MARK = b"://"


def is_remote(path: bytes) -> bool:
    """Whether that is the URL of something that is read by fsspec, and no path of this machine."""
    return path.startswith(_BEGINS)


def scheme_of(path: bytes) -> str:
    """The scheme of such a URL."""
    return path[: path.index(_MARK)].decode("ascii")


def is_topmost(path: bytes) -> bool:
    """Whether it is a bucket, or another machine as a whole, beyond which nothing is known."""
    return topmost(path) == path


def topmost(path: bytes) -> bytes:
    """The bucket, or the other machine as a whole, that such a URL lies in."""
    end = path.find(b"/", path.index(_MARK) + len(_MARK))
    return path if end < 0 else path[:end]


def absolute_path(path: str) -> str:
    """The path from the root on, with ~ resolved; a URL as it is, but for slashes at its end."""
    if not is_remote(os.fsencode(path)):
        return os.path.abspath(os.path.expanduser(path))
    begin, mark, rest = path.partition("://")
    return begin + mark + rest.rstrip("/")
