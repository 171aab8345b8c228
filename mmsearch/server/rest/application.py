"""The application: which endpoint answers which path, and what becomes of errors."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mmsearch.errors import MmsearchError
from mmsearch.output.json import document
from mmsearch.server.rest import files, originals, searching
from mmsearch.server.rest.guard import Guard
from mmsearch.server.rest.openapi import description
from mmsearch.server.rest.pages import INDEX
from mmsearch.server.rest.problems import Problem, problem_of
from mmsearch.server.rest.searching import as_json
from mmsearch.server.rest.served import Served, served_by

Endpoint = Callable[[Request], Awaitable[Response]]
API = "/api/v1"


def application(served: Served) -> ASGIApp:
    """What answers all requests, with the guard before it."""
    app = Starlette(routes=routes(), exception_handlers={Problem: _told, MmsearchError: _told, HTTPException: _told})
    app.state.served = served
    return Guard(app, served.settings)


def routes() -> list[Route]:
    """All paths; those of the API are described in `openapi`."""
    api: list[tuple[str, Endpoint, str]] = [
        ("/search", searching.search, "GET"),
        ("/search", searching.search_sent, "POST"),
        ("/files/{id}", files.facts, "GET"),
        ("/files/{id}/similar", searching.similar, "GET"),
        ("/files/{id}/thumb", files.thumb, "GET"),
        ("/files/{id}/frame", files.frame, "GET"),
        ("/files/{id}/page/{n}", files.page, "GET"),
        ("/files/{id}/passages", files.passages, "GET"),
        ("/files/{id}/original", originals.original, "GET"),
        ("/status", status, "GET"),
        ("/openapi.json", openapi, "GET"),
    ]
    return [
        Route("/", index, methods=["GET"]),
        Route("/static/{name}", static, methods=["GET"]),
        Route("/health", health, methods=["GET"]),
        *(Route(API + path, _caught(endpoint), methods=[method]) for path, endpoint, method in api),
    ]


def _caught(endpoint: Endpoint) -> Endpoint:
    """The endpoint, of which no error ends the connection without a word."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (Problem, MmsearchError, HTTPException):
            raise
        except Exception:
            traceback.print_exc(file=sys.stderr)
            raise Problem("error", "Something went wrong in the server; its stderr tells what.") from None

    return answered


async def _told(request: Request, error: Exception) -> Response:
    served = served_by(request)
    root_path = served.settings.root_path
    if isinstance(error, Problem):
        return error.response(root_path)
    if isinstance(error, MmsearchError):
        return problem_of(error, served.in_words(error)).response(root_path)
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return Problem("method", "Another method is taken there.", error.headers).response(root_path)
    if error.status_code == 404:
        return Problem("not_found", "There is nothing of that path.").response(root_path)
    return Problem("invalid", str(error.detail)).response(root_path)


async def index(request: Request) -> Response:
    """GET /: the page."""
    return served_by(request).pages.response(request, INDEX)


async def static(request: Request) -> Response:
    """GET /static/{name}: a part of the page."""
    return served_by(request).pages.response(request, request.path_params["name"])


async def health(request: Request) -> Response:
    """GET /health: that the server runs. It waits for nothing."""
    return JSONResponse({"status": "ok"})


async def status(request: Request) -> Response:
    """GET /status."""
    served = served_by(request)

    def work() -> Response:
        from mmsearch.library import Library

        with Library(served.library.folder) as library:  # its store is for one thread
            told = document(library.status())
        return as_json({**told, "may_index": served.settings.allow_index})

    return await served.searches.do(work)


async def openapi(request: Request) -> Response:
    """GET /openapi.json."""
    return as_json(description(served_by(request).settings.root_path))
