"""Keywords put into an XMP file beside a photo, where there is none yet: what others have written stays as it is."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from xml.sax.saxutils import escape

from mmsearch.files.archives import archive_of
from mmsearch.files.remote_paths import is_remote

_XMP = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
   <dc:subject>
    <rdf:Bag>
{keywords}
    </rdf:Bag>
   </dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""


def write_keywords(path: bytes, keywords: Sequence[str]) -> bool:
    """Writes `IMG_1.jpg.xmp` beside `IMG_1.jpg`, in one step. False where a sidecar is there, which is left alone.

    Raises:
        OSError: the system does not allow it, or the photo lies where nothing is written.
    """
    if is_remote(path):
        raise OSError(errno.EROFS, "it lies in a bucket, where nothing is written")
    target = path + b".xmp"
    stem = os.path.splitext(path)[0]
    if any(os.path.lexists(beside + end) for beside in (path, stem) for end in (b".xmp", b".XMP")):
        return False
    try:
        os.stat(path)  # no sidecar is left alone
    except OSError:
        if archive_of(path) is None:
            raise
        raise OSError(errno.EROFS, "it lies in an archive, where nothing is written") from None
    written = "\n".join(f"     <rdf:li>{escape(_in_xml(keyword))}</rdf:li>" for keyword in keywords)
    descriptor, temporary = tempfile.mkstemp(b".part", b".", os.path.dirname(path))
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(_XMP.format(keywords=written))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, os.stat(path).st_mode & 0o666)
        _put_in_place(temporary, target)
    except FileExistsError:  # somebody was quicker
        return False
    finally:
        with suppress(OSError):
            os.remove(temporary)
    return True


def _put_in_place(temporary: bytes, target: bytes) -> None:
    """Gives the file another name.

    Raises:
        FileExistsError: there is a file of that name, which is left alone.
    """
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: whoever makes the file first may replace it
        os.close(os.open(target, os.O_CREAT | os.O_EXCL))
        os.replace(temporary, target)


def _in_xml(text: str) -> str:
    """The text without what XML has no sign for."""
    return "".join(one for one in text if one in "\t\n" or (one >= " " and not "\ud800" <= one <= "\udfff"))
