"""What files have in common, and which are there more than once: counted anew only once the library has changed."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from starlette.requests import Request
from starlette.responses import Response

from mmsearch.output.json import document
from mmsearch.records import Filters
from mmsearch.searching.duplicate_groups import DUPLICATE_CLASSES, DuplicateClass, Duplicates
from mmsearch.searching.facets import Facets
from mmsearch.server.rest.asking import FILTERS, MOST_HITS, SEARCH, Asked, asked_of, filters_of
from mmsearch.server.rest.cursors import Cursor
from mmsearch.server.rest.parameters import Parameter, checked, of_query
from mmsearch.server.rest.searching import as_json, digest_of, tag_of, with_thumb
from mmsearch.server.rest.served import Served, served_by

# Of the hits of a query so many are counted, the best.
MOST_COUNTED = 1_000
_USUAL_GROUPS = 20
_LIMIT = Parameter("limit", "At most so many groups.", "integer", least=1, most=MOST_HITS)
DUPLICATES = (
    Parameter("class", "Only duplicates of this class.", is_many=True, choices=DUPLICATE_CLASSES),
    *FILTERS,
    _LIMIT,
    Parameter("cursor", "The next page: the `cursor` of an answer to the same parameters."),
)


async def facets(request: Request) -> Response:
    """GET /facets."""
    served, query = served_by(request), request.scope["query_string"]
    known = request.headers.get("if-none-match")

    def work() -> Response:
        asked = asked_of(of_query(query), served.uploads, SEARCH)
        mark = served.session.mark()
        tag = tag_of("facets", mark.library_id, mark.state, mark.model, asked.digest)
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if known == tag:
            return Response(status_code=304, headers=headers)
        return as_json(document(served.facets.get((mark, asked.digest), lambda: _counted(served, asked))), headers)

    return await served.searches.do(work)


def _counted(served: Served, asked: Asked) -> Facets:
    if asked.query is None:
        return served.session.facets(asked.filters)
    return served.session.facets_of(replace(asked.query, offset=0, limit=MOST_COUNTED))


async def duplicates(request: Request) -> Response:
    """GET /duplicates."""
    served, query = served_by(request), request.scope["query_string"]

    def work() -> Response:
        given = checked(of_query(query), DUPLICATES)
        classes = tuple(sorted(given.get("class", ())))
        filters = filters_of(given)
        digest = digest_of(*classes, repr(filters))
        cursor = Cursor.read(given["cursor"][0], digest) if "cursor" in given else None
        mark = served.session.mark()
        if cursor is not None:
            cursor.check(mark.state)
        found = served.duplicates.get((mark, digest), lambda: _duplicates(served, filters, classes))
        begin = cursor.offset if cursor else 0
        end = begin + int(_LIMIT.number(given) or _USUAL_GROUPS)
        told = document(replace(found, groups=found.groups[begin:end]))
        groups = [{**group, "files": [with_thumb(served, file) for file in group["files"]]} for group in told["groups"]]
        following = Cursor(digest, mark.state, end).written() if end < found.total else None
        return as_json({**told, "groups": groups, "cursor": following})

    return await served.slow.do(work)


def _duplicates(served: Served, filters: Filters, classes: tuple[str, ...]) -> Duplicates:
    with served.of_its_own() as library:
        return library.duplicates(filters, classes=cast("tuple[DuplicateClass, ...]", classes))
