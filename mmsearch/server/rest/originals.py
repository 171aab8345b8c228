"""Files as they are, or a range of their bytes: only those whose bytes are what was indexed, and shown by a browser
only where they can do nothing there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from typing import NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from mmsearch.errors import NotFound, Remedy, Unavailable
from mmsearch.files.paths import extension_of
from mmsearch.files.remote_paths import is_remote
from mmsearch.reading import CHANGED_SINCE, UnreadableFile, open_indexed
from mmsearch.reading.opening import OpenFile
from mmsearch.searching.stored_files import FileSources
from mmsearch.server.rest.parameters import checked, of_query
from mmsearch.server.rest.problems import Problem
from mmsearch.server.rest.served import Served, served_by
from mmsearch.server.rest.streams import BLOCK_BYTES, Stream, Streamed, streaming

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
# By their first bytes: browsers decode these, and run nothing of them.
_INLINE = frozenset(
    (
        *(f"image/{kind}" for kind in ("jpeg", "png", "gif", "webp", "avif", "bmp")),
        *(f"video/{kind}" for kind in ("mp4", "webm", "ogg", "quicktime", "x-m4v")),
        *(f"audio/{kind}" for kind in ("mpeg", "ogg", "mp4", "wav", "x-wav", "aac", "flac", "x-flac")),
    )
)
_SANDBOX = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
# Texts that a browser could take for more, whatever their type says.
_MARKUP = frozenset({".htm", ".html", ".xhtml", ".xht", ".svg", ".xml", ".xsl", ".mht", ".mhtml", ".eml"})


class Span(NamedTuple):
    """Bytes of a file, from `start` to before `end`, of `size`."""

    start: int
    end: int
    size: int

    @property
    def is_part(self) -> bool:
        return (self.start, self.end) != (0, self.size)


async def original(request: Request) -> Response:
    """GET /files/{id}/original."""
    served, called = served_by(request), request.path_params["id"]
    query, asked = request.scope["query_string"], request.headers.get("range")
    if request.headers.get("if-range", _tag(called)) != _tag(called):
        asked = None
    return Stream(served, await streaming(served, lambda: _begun(served, called, query, asked)))


def _begun(served: Served, called: str, query: bytes, asked: str | None) -> Streamed:
    """The file of that id, opened.

    Raises:
        MmsearchError: there is none, or its bytes are others now. Problem: it has no such range.
    """
    checked(of_query(query), ())
    opened = open_original(served.session.sources(called))
    file = next(opened)
    span = _span(asked, file.size)
    kind, is_inline = _kind(file)
    name = os.path.basename(os.fsdecode(file.path)).encode("utf-8", "replace")
    headers = {
        "ETag": _tag(called),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Type": kind,
        "Content-Length": str(span.end - span.start),
        "Content-Disposition": f"{'inline' if is_inline else 'attachment'}; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": _SANDBOX,
    }
    if span.is_part:
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{span.size}"
    return Streamed(206 if span.is_part else 200, headers, _blocks(opened, file, span))


def _tag(called: str) -> str:
    return f'"{called}"'


def open_original(sources: FileSources) -> Generator[OpenFile, None, None]:
    """Gives the file once, open; it ends, and the file is closed, once its bytes have been found to be still the same.

    Raises:
        NotFound: nothing lies at any of its paths. Unavailable: no path has what was indexed any more, or a bucket does
            not answer.
    """
    called = sources.file
    if not sources.there:
        raise NotFound(f"{called.path} is not there now", Remedy("index.away"))
    is_given, away = False, ""
    for source in sources.there:
        try:
            with open_indexed(source.path, bytes.fromhex(called.id), (source.size, source.mtime_ns)) as file:
                is_given = True
                yield file
            return
        except UnreadableFile as error:  # noqa: PERF203 - one path after the other
            if is_given:
                raise
            if is_remote(source.path) and not error.reason.startswith("changed"):
                away = error.reason
    if away:
        raise Unavailable(f"{called.path} cannot be had now ({away}); try again later.")
    raise Unavailable(f"{called.path} has {CHANGED_SINCE}", Remedy("index.again"))


def _blocks(opened: Generator[OpenFile, None, None], file: OpenFile, span: Span) -> Generator[bytes, None, None]:
    """The bytes of a span; the last of them only once the file was found to be still the same."""
    try:
        file.stream.seek(span.start)
        left = span.end - span.start
        kept = b""
        while left:
            if kept:
                yield kept
            kept = file.stream.read(min(BLOCK_BYTES, left))
            if not kept:
                return
            left -= len(kept)
        for _ in opened:
            pass
        yield kept
    finally:
        opened.close()


def _span(asked: str | None, size: int) -> Span:
    """The one range that is asked for, or all: several at once, and other units, are answered by the whole file."""
    match = _RANGE.fullmatch((asked or "").replace(" ", ""))
    if match is None or match[1] == match[2] == "":
        return Span(0, size, size)
    if match[1] == "":
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
    if start >= end:
        message = f"The file has {size:,} bytes, and not those."
        raise Problem("range", message, {"Content-Range": f"bytes */{size}"})
    return Span(start, end, size)


def _kind(file: OpenFile) -> tuple[str, bool]:
    """The media type by the first bytes, and whether a browser may show it in its place."""
    import filetype

    if file.reader.medium == "text":
        return "text/plain; charset=utf-8", extension_of(file.path).lower() not in _MARKUP
    found = filetype.guess(file.head)
    kind = found.mime if found is not None else "application/octet-stream"
    return (kind, True) if kind in _INLINE else ("application/octet-stream", False)
