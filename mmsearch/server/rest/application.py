"""The application: which endpoint answers which path, and what becomes of errors."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mmsearch.errors import MmsearchError
from mmsearch.server.rest import archives, counting, explaining, files, originals, searching, state, working
from mmsearch.server.rest.guard import Guard
from mmsearch.server.rest.pages import INDEX
from mmsearch.server.rest.problems import Problem, problem_of
from mmsearch.server.rest.served import Served, served_by

Endpoint = Callable[[Request], Awaitable[Response]]
API = "/api/v1"


def application(served: Served) -> ASGIApp:
    """What answers all requests, with the guard before it."""
    app = Starlette(routes=routes(), exception_handlers={Problem: _told, MmsearchError: _told, HTTPException: _told})
    app.router.redirect_slashes = False  # it would not know what a proxy has before all paths
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
        ("/files/{id}/explain", explaining.explain, "GET"),
        ("/files/{id}/original", originals.original, "GET"),
        ("/facets", counting.facets, "GET"),
        ("/duplicates", counting.duplicates, "GET"),
        ("/zip", archives.archive, "POST"),
        ("/index", working.index, "POST"),
        ("/jobs/{id}", working.job, "GET"),
        ("/jobs/{id}", working.job, "DELETE"),
        ("/events", working.events, "GET"),
        ("/status", state.status, "GET"),
        ("/metrics", state.metrics, "GET"),
        ("/openapi.json", state.openapi, "GET"),
    ]
    return [
        Route("/", index, methods=["GET"]),
        Route("/static/{name}", static, methods=["GET"]),
        Route("/health", state.health, methods=["GET"]),
        *(Route(API + path, _caught(path, endpoint), methods=[method]) for path, endpoint, method in api),
    ]


def _caught(path: str, endpoint: Endpoint) -> Endpoint:
    """The endpoint, of which no error ends the connection without a word, and every answer is counted."""

    async def answered(request: Request) -> Response:
        begun = time.perf_counter()
        try:
            response = await endpoint(request)
        except (Problem, MmsearchError, HTTPException) as error:
            response = await _told(request, error)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            problem = Problem("error", "Something went wrong in the server; its stderr tells what.")
            response = await _told(request, problem)
        served_by(request).metrics.answered(path, response.status_code, time.perf_counter() - begun)
        return response

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
        allowed = {"Allow": ", ".join(sorted(_methods_of(request)))}
        return Problem("method", "Another method is taken there.", allowed).response(root_path)
    if error.status_code == 404:
        return Problem("not_found", "There is nothing of that path.").response(root_path)
    return Problem("invalid", str(error.detail)).response(root_path)


def _methods_of(request: Request) -> set[str]:
    """The methods that the path of a request takes, all of its routes together."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.path_regex.match(request.scope["path"]):
            found |= route.methods
    return found


async def index(request: Request) -> Response:
    """GET /: the page."""
    return served_by(request).pages.response(request, INDEX)


async def static(request: Request) -> Response:
    """GET /static/{name}: a part of the page."""
    return served_by(request).pages.response(request, request.path_params["name"])
