"""What the server and its library are at: endpoints for people, monitors and programs that describe themselves."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mmsearch.errors import MmsearchError
from mmsearch.library.contents import Status
from mmsearch.output.json import document
from mmsearch.server.rest.metrics import MEDIA_TYPE
from mmsearch.server.rest.openapi import description
from mmsearch.server.rest.searching import as_json
from mmsearch.server.rest.served import Served, served_by


async def health(request: Request) -> Response:
    """GET /health: that the server runs. It waits for nothing."""
    return JSONResponse({"status": "ok"})


async def status(request: Request) -> Response:
    """GET /status."""
    served = served_by(request)
    found = await served.slow.do(lambda: _status(served))
    return as_json({**document(found), "may_index": served.settings.allow_index})


async def openapi(request: Request) -> Response:
    """GET /openapi.json."""
    return as_json(description(served_by(request).settings.root_path))


async def metrics(request: Request) -> Response:
    """GET /metrics."""
    served = served_by(request)

    def held() -> dict[str, Any]:
        try:
            return _of_library(_status(served))
        except MmsearchError:  # it is empty, or away: what the server does is told all the same
            return {}

    told = {**_of_server(served), **await served.slow.do(held)}
    return Response(served.metrics.text(told), media_type=MEDIA_TYPE)


def _status(served: Served) -> Status:
    with served.of_its_own() as library:
        return library.status()


def _of_server(served: Served) -> dict[str, Any]:
    queues = {"search": served.searches, "picture": served.pictures, "light": served.light, "slow": served.slow}
    stages = {
        (name, stage): seconds
        for name, turns in queues.items()
        for stage, seconds in (("waiting", turns.seconds_waited), ("working", turns.seconds_worked))
    }
    thumbnails = served.thumbnails
    caches = {
        "facets": (served.facets.asked - served.facets.made, served.facets.made),
        "duplicates": (served.duplicates.asked - served.duplicates.made, served.duplicates.made),
        "thumbnails": (thumbnails.found, thumbnails.asked - thumbnails.found),
    }
    return {
        "mmsearch_waiting": (
            "Requests that wait for their turn.",
            "gauge",
            {f'{{queue="{name}"}}': turns.waiting for name, turns in queues.items()},
        ),
        "mmsearch_turns_total": (
            "Requests that had their turn.",
            "counter",
            {f'{{queue="{name}"}}': turns.done for name, turns in queues.items()},
        ),
        "mmsearch_turn_seconds_total": (
            "How long they waited for it, and how long the work took.",
            "counter",
            {f'{{queue="{name}",stage="{stage}"}}': seconds for (name, stage), seconds in stages.items()},
        ),
        "mmsearch_cache_total": (
            "What was asked of caches: hits, and what had to be made.",
            "counter",
            {
                f'{{cache="{name}",outcome="{outcome}"}}': count
                for name, counts in caches.items()
                for outcome, count in zip(("hit", "miss"), counts, strict=True)
            },
        ),
        "mmsearch_streams": ("Originals and archives that are being sent.", "gauge", {"": served.streams}),
        "mmsearch_uploads": ("Uploaded pictures that are kept.", "gauge", {"": len(served.uploads)}),
    }


def _of_library(found: Status) -> dict[str, Any]:
    gauges = {
        "mmsearch_files": (
            "Files in the library, by type.",
            "gauge",
            {f'{{type="{kind}"}}': count for kind, count in found.counts.files.items()},
        ),
        "mmsearch_items": ("Items of the model that searches use.", "gauge", {"": found.counts.items}),
        "mmsearch_failures": ("Files that could not be read.", "gauge", {"": len(found.failures)}),
        "mmsearch_library_bytes": ("What the library takes on the disk.", "gauge", {"": found.bytes}),
        "mmsearch_roots_offline": (
            "Roots that are missing, not mounted or suddenly empty.",
            "gauge",
            {"": sum(root.offline for root in found.roots)},
        ),
    }
    if (queue := found.queue) is not None:
        jobs = {"waiting": queue.waiting, "tried": queue.tried, "working": queue.working}
        gauges["mmsearch_jobs"] = (
            "Jobs of the queue that wait, how many of these were tried before, and those that workers are at.",
            "gauge",
            {f'{{state="{state}"}}': count for state, count in jobs.items()},
        )
        gauges["mmsearch_workers"] = ("Workers that are alive.", "gauge", {"": len(queue.workers)})
    return gauges
