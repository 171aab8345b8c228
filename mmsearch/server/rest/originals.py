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
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from mmsearch.errors import NotFound, Remedy, Unavailable
from mmsearch.files.paths import extension_of
from mmsearch.reading import CHANGED_SINCE, UnreadableFile, open_indexed
from mmsearch.reading.opening import OpenFile
from mmsearch.searching.stored_files import FileSources
from mmsearch.server.rest.parameters import checked, of_query
from mmsearch.server.rest.problems import Problem
from mmsearch.server.rest.served import MOST_STREAMS, Served, served_by

_BLOCK_BYTES = 1 << 18
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
    tag = f'"{called}"'
    asked = request.headers.get("range")
    if request.headers.get("if-range", tag) != tag:
        asked = None
    query = request.scope["query_string"]
    if served.streams >= MOST_STREAMS:
        message = f"{served.streams} files are being sent; ask again in a moment."
        raise Problem("overloaded", message, {"Retry-After": "2"})
    served.streams += 1
    try:
        begun = await served.pictures.do(lambda: _begun(served, called, query, asked))
    except BaseException:
        served.streams -= 1
        raise
    return _Stream(served, begun, {"ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"})


class _Begun(NamedTuple):
    """A file that is open, what a browser is told of it, and its bytes."""

    kind: str
    disposition: str
    span: Span
    blocks: Generator[bytes, None, None]


class _Stream(StreamingResponse):
    """Sends the bytes; the file is closed and another may begin, however it ends."""

    def __init__(self, served: Served, begun: _Begun, headers: dict[str, str]) -> None:
        span = begun.span
        headers |= {
            "Content-Type": begun.kind,
            "Content-Length": str(span.end - span.start),
            "Content-Disposition": begun.disposition,
            "Content-Security-Policy": _SANDBOX,
        }
        if span.is_part:
            headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{span.size}"
        super().__init__(begun.blocks, 206 if span.is_part else 200, headers)
        self._served, self._blocks = served, begun.blocks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._served.streams -= 1
            self._blocks.close()


def _begun(served: Served, called: str, query: bytes, asked: str | None) -> _Begun:
    """The file of that id, opened.

    Raises:
        MmsearchError: there is none, or its bytes are others now. Problem: it has no such range.
    """
    checked(of_query(query), ())
    sources = served.session.sources(called)
    opened = open_original(sources)
    file = next(opened)
    span = _span(asked, file.size)
    kind, is_inline = _kind(file)
    name = os.path.basename(os.fsdecode(file.path)).encode("utf-8", "replace")
    disposition = f"{'inline' if is_inline else 'attachment'}; filename*=UTF-8''{quote(name, safe='')}"
    return _Begun(kind, disposition, span, _blocks(opened, file, span))


def open_original(sources: FileSources) -> Generator[OpenFile, None, None]:
    """Gives the file once, open; it ends, and the file is closed, once its bytes have been found to be still the same.

    Raises:
        NotFound: nothing lies at any of its paths. Unavailable: no path has what was indexed any more.
    """
    called = sources.file
    if not sources.there:
        raise NotFound(f"{called.path} is not there now", Remedy("index.away"))
    is_given = False
    for source in sources.there:
        try:
            with open_indexed(source.path, bytes.fromhex(called.id), (source.size, source.mtime_ns)) as file:
                is_given = True
                yield file
            return
        except UnreadableFile:  # noqa: PERF203 - one path after the other
            if is_given:
                raise
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
            kept = file.stream.read(min(_BLOCK_BYTES, left))
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
