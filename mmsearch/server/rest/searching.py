"""Searches and lists: parameters → an answer of the session, with pictures to show and where the next page begins."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from mmsearch.output.json import document
from mmsearch.reading.reader import UnreadableFile
from mmsearch.searching.query import Query
from mmsearch.searching.results import FileList, LibraryMark, SearchResult
from mmsearch.server.rest.asking import MOST_HITS, Asked, asked_of
from mmsearch.server.rest.bodies import body_of
from mmsearch.server.rest.cursors import Cursor
from mmsearch.server.rest.parameters import Given, Parameter, checked, of_query
from mmsearch.server.rest.problems import Problem
from mmsearch.server.rest.served import Served, served_by

THUMBNAIL_SIDE = 320
# A part of each thumbnail's address, which is asked for once: it changes when thumbnails are made otherwise.
THUMBNAIL_VERSION = 1
_SHOWN_TYPES = ("image", "document", "video")
SIMILAR = (Parameter("limit", "At most so many hits.", "integer", least=1, most=MOST_HITS),)


async def search(request: Request) -> Response:
    """GET /search."""
    served, known = served_by(request), request.headers.get("if-none-match")
    query = request.scope["query_string"]
    return await served.searches.do(lambda: _answered(served, of_query(query), known))


async def search_sent(request: Request) -> Response:
    """POST /search."""
    served = served_by(request)
    body = await body_of(request)
    picture = body.picture

    def work() -> Response:
        given, token = dict(body.given), None
        if picture is not None:
            try:
                token = served.uploads.add(picture)
            except UnreadableFile as error:
                raise Problem("no_picture", f"The picture cannot be read: {error.reason}.") from None
            given["image"] = [*given.get("image", ()), token]
        return _answered(served, given, None, token)

    return await served.searches.do(work)


async def similar(request: Request) -> Response:
    """GET /files/{id}/similar."""
    served, known = served_by(request), request.headers.get("if-none-match")
    called, query = request.path_params["id"], request.scope["query_string"]

    def work() -> Response:
        given = checked(of_query(query), SIMILAR)
        served.session.file(called)  # an id that is known: as `like` a blank one would count as none
        return _answered(served, {**given, "like": [called]}, known)

    return await served.searches.do(work)


def _answered(served: Served, given: Given, known: str | None, upload: str | None = None) -> Response:
    """The answer to a search, which is counted by what came of it."""
    outcome = "refused"
    try:
        response, outcome = _answer(served, given, known, upload)
    finally:
        served.metrics.searched(outcome)
    return response


def _answer(served: Served, given: Given, known: str | None, upload: str | None) -> tuple[Response, str]:
    """The answer to a search, nothing but its tag where the client has it already, and what came of the search."""
    asked = asked_of(given, served.uploads)
    mark = served.session.mark()
    if asked.cursor is not None:
        asked.cursor.check(mark.state)
    if known is not None and known == _tag(mark, asked):
        return Response(status_code=304, headers=_headers(mark, asked)), "unchanged"
    result = _result(served, asked)
    if asked.cursor is not None:
        asked.cursor.check(result.state)
    told = document(result)
    hits = [with_thumb(served, hit) for hit in told["hits"]]
    answer = {**told, "hits": hits, "cursor": _next(asked, result)}
    if told.get("nearest"):
        answer["nearest"] = with_thumb(served, told["nearest"])
    if "query" in answer:
        answer["query"] = served.uploads.named(answer["query"])
    if upload is not None:
        answer["upload"] = upload
    response = as_json(answer, _headers(mark._replace(state=result.state), asked))
    return response, "hits" if result.hits else "none"


def _result(served: Served, asked: Asked) -> SearchResult | FileList:
    query: Query | None = asked.query
    if query is not None:
        return served.session.search(query)
    return served.session.list_files(
        asked.filters,
        sort=asked.sort,
        limit=asked.limit,
        offset=asked.offset,
        group=asked.group,
        random=asked.random,
    )


def _next(asked: Asked, result: SearchResult | FileList) -> str | None:
    """The cursor of the next page; None where this is the last."""
    end = result.offset + len(result.hits)
    is_exact = isinstance(result, FileList) or result.total_exact
    is_last = end >= result.total if is_exact else len(result.hits) < asked.limit
    return None if is_last or not result.hits else Cursor(asked.digest, result.state, end).written()


def with_thumb(served: Served, hit: dict[str, Any]) -> dict[str, Any]:
    """A described hit with the address of the picture that shows it, at its page or moment."""
    if hit["type"] not in _SHOWN_TYPES:
        return {**hit, "thumb": None}
    place: dict[str, Any] = {"side": THUMBNAIL_SIDE}
    if hit["type"] in ("document", "image") and hit.get("page") is not None:
        place["page"] = hit["page"]
    if hit["type"] == "video" and hit.get("time") is not None:
        place["time"] = hit["time"][0]
    place["v"] = THUMBNAIL_VERSION
    return {**hit, "thumb": f"{served.settings.root_path}/api/v1/files/{hit['id']}/thumb?{urlencode(place)}"}


def as_json(answer: Any, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    """An answer; bytes of names that are no UTF-8 are lone surrogates, written as `\\udcNN`."""
    return Response(json.dumps(answer, ensure_ascii=True), status, headers, "application/json")


def tag_of(*told: Any) -> str:
    """The `ETag` of an answer that is the same wherever these values are."""
    return f'W/"{digest_of(*told)}"'


def digest_of(*told: Any) -> str:
    """What tells values that JSON can hold from others."""
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]


def _tag(mark: LibraryMark, asked: Asked) -> str:
    page = asked.limit, asked.offset
    # Of what a query names as a period another is told each day.
    day = date.today().isoformat() if asked.query is not None else None
    return tag_of(mark.library_id, mark.state, mark.model, asked.digest, *page, THUMBNAIL_VERSION, day)


def _headers(mark: LibraryMark, asked: Asked) -> dict[str, str]:
    return {"ETag": _tag(mark, asked), "Cache-Control": "private, no-cache"}
