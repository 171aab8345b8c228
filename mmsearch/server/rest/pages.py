"""The page: files of a folder, read when the server starts, and kept in memory, packed too."""

from __future__ import annotations

import gzip
import hashlib
import os
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from mmsearch.server.rest.problems import Problem

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "web")
INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
}


class _Page(NamedTuple):
    content: bytes
    packed: bytes
    kind: str
    etag: str


class Pages:
    """The files of that folder, by name; files of other kinds, hidden ones and folders are left out."""

    def __init__(self, folder: str = FOLDER) -> None:
        self._pages: dict[str, _Page] = {}
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        for name in names:
            kind = _TYPES.get(os.path.splitext(name)[1])
            path = os.path.join(folder, name)
            if kind is None or name.startswith(".") or not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                content = file.read()
            etag = f'W/"{hashlib.sha256(content).hexdigest()[:20]}"'
            self._pages[name] = _Page(content, gzip.compress(content, mtime=0), kind, etag)

    def response(self, request: Request, name: str) -> Response:
        """The file of that name.

        Raises:
            Problem: there is none.
        """
        page = self._pages.get(name)
        if page is None:
            raise Problem("not_found", "There is no such part of the page.")
        headers = {"ETag": page.etag, "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == page.etag:
            return Response(status_code=304, headers=headers)
        content = page.content
        if "gzip" in request.headers.get("accept-encoding", "") and len(page.packed) < len(content):
            content = page.packed
            headers["Content-Encoding"] = "gzip"
        return Response(content, headers={**headers, "Content-Type": page.kind})
