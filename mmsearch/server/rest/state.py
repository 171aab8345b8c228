"""What the server and its library are at: endpoints for people, monitors and programs that describe themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mmsearch.errors import MmsearchError
from mmsearch.library.contents import Status
from mmsearch.output.json import document
from mmsearch.server.exposition import MEDIA_TYPE, Family, labels
from mmsearch.server.rest.openapi import description
from mmsearch.server.rest.searching import as_json
from mmsearch.server.rest.served import Served, served_by
from mmsearch.server.team_metrics import ABOUT


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

    def held() -> list[Family]:
        if told := served.team_metrics.families():
            return told
        try:
            return _of_library(_status(served))
        except MmsearchError:  # it is damaged: what the server does is told all the same
            return []

    families = [*_of_server(served), *await served.slow.do(held)]
    return Response(served.metrics.text(families), media_type=MEDIA_TYPE)


def _status(served: Served) -> Status:
    with served.of_its_own() as library:
        return library.status()


def _of_server(served: Served) -> list[Family]:
    queues = {"search": served.searches, "picture": served.pictures, "light": served.light, "slow": served.slow}
    turns = {labels([("queue", name)]): queue for name, queue in queues.items()}
    stages = {
        labels([("queue", name), ("stage", stage)]): seconds
        for name, queue in queues.items()
        for stage, seconds in (("waiting", queue.seconds_waited), ("working", queue.seconds_worked))
    }
    return [
        _gauge("waiting", "Requests that wait for their turn.", {name: one.waiting for name, one in turns.items()}),
        _counter("turns_total", "Requests that had their turn.", {name: one.done for name, one in turns.items()}),
        _counter("turn_seconds_total", "How long they waited for it, and how long the work took.", stages),
        _counter("cache_total", "What was asked of caches: hits, and what had to be made.", _of_caches(served)),
        _gauge("streams", "Originals and archives that are being sent.", {"": served.streams}),
        _gauge("uploads", "Uploaded pictures that are kept.", {"": len(served.uploads)}),
    ]


def _of_caches(served: Served) -> dict[str, float]:
    thumbnails = served.thumbnails
    caches = {
        "facets": (served.facets.asked - served.facets.made, served.facets.made),
        "duplicates": (served.duplicates.asked - served.duplicates.made, served.duplicates.made),
        "thumbnails": (thumbnails.found, thumbnails.asked - thumbnails.found),
    }
    return {
        labels([("cache", cache), ("outcome", outcome)]): count
        for cache, counts in caches.items()
        for outcome, count in zip(("hit", "miss"), counts, strict=True)
    }


def _of_library(found: Status) -> list[Family]:
    """Of a library in a folder, by the names that those of a team's library have."""
    reasons = Counter(failure.reason for failure in found.failures)
    told: dict[str, dict[str, float]] = {
        "files": {labels([("type", kind)]): count for kind, count in found.counts.files.items()},
        "items": {"": found.counts.items},
        "failures": {labels([("reason", reason)]): count for reason, count in sorted(reasons.items())},
        "lacking_files": {labels([("model", model.name)]): model.lacking for model in found.models},
        "library_bytes": {"": found.bytes},
        "roots_offline": {"": sum(root.offline for root in found.roots)},
    }
    return [_gauge(name, ABOUT[name], values) for name, values in told.items()]


def _gauge(name: str, about: str, values: Mapping[str, float]) -> Family:
    return Family(f"mmsearch_{name}", about, values)


def _counter(name: str, about: str, values: Mapping[str, float]) -> Family:
    return Family(f"mmsearch_{name}", about, values, "counter")
