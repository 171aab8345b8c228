"""Runs of index and what is told of them: endpoints of jobs and events."""

from __future__ import annotations

import os

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mmsearch.errors import Refused
from mmsearch.files.paths import is_below
from mmsearch.files.remote_paths import absolute_path, is_remote
from mmsearch.output.json import document
from mmsearch.server.rest.bodies import body_of
from mmsearch.server.rest.parameters import Parameter, checked
from mmsearch.server.rest.problems import Problem
from mmsearch.server.rest.searching import as_json
from mmsearch.server.rest.served import Served, served_by

PATHS = (Parameter("paths", "Folders or files within the library's roots; without any, all roots.", is_many=True),)


async def index(request: Request) -> Response:
    """POST /index."""
    served = served_by(request)
    if not served.settings.allow_index:
        raise Problem("refused", "This server starts no runs of index; start it with --allow-index.")
    body = await body_of(request)

    def work() -> Response:
        paths = [_normal(path) for path in checked(body.given, PATHS).get("paths", ())]
        _check_within(served, paths)
        job = served.jobs.start(paths)
        where = f"{served.settings.root_path}/api/v1/jobs/{job.job}"
        return as_json(document(job), {"Location": where}, 202)

    return await served.slow.do(work)


def _normal(path: str) -> str:
    return absolute_path(path) if is_remote(os.fsencode(path)) else os.path.normpath(path)


def _check_within(served: Served, paths: list[str]) -> None:
    """Raises Refused for a path that lies in none of the roots: what is indexed is for the library's owner to say."""
    if not paths:
        return
    with served.of_its_own() as library:
        roots = [root.path for root in library.status().roots]
    true_roots = [os.path.realpath(root) for root in roots]
    for path in map(os.fsencode, paths):
        # As it is spelled, and as it is once links are followed: one within a root may lead anywhere.
        true_path = os.path.realpath(path)
        if not any(is_below(path, root) for root in roots) or not any(is_below(true_path, root) for root in true_roots):
            told = os.fsdecode(path)
            raise Refused(f"{told} lies in none of the folders that were indexed; `mmsearch index` takes it in.")


async def job(request: Request) -> Response:
    """GET and DELETE /jobs/{id}."""
    served, called = served_by(request), request.path_params["id"]
    asked = served.jobs.stop if request.method == "DELETE" else served.jobs.get
    return await served.light.do(lambda: as_json(document(asked(called))))


async def events(request: Request) -> Response:
    """GET /events."""
    served = served_by(request)
    served.events.check_room()
    told = served.events.listened(served.jobs.running())
    return StreamingResponse(told, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
