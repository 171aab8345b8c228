"""A file by its id: facts, pictures of it, its text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from mmsearch.errors import Invalid
from mmsearch.output.json import document
from mmsearch.searching.stored_files import PassagePlace
from mmsearch.server.rest.parameters import Given, Parameter, checked, of_query
from mmsearch.server.rest.searching import THUMBNAIL_SIDE, THUMBNAIL_VERSION, as_json, with_thumb
from mmsearch.server.rest.served import Served, served_by
from mmsearch.showing.thumbnails import shown_at, thumbnail

_MOST = 1_000_000_000
_LARGE_SIDE = 1_024
_SIDE = Parameter("side", "The longer side in pixels.", "integer", least=16, most=4_096)
_PAGE = Parameter("page", "A page of a document or a scan, from 1.", "integer", least=1, most=_MOST)
_TIME = Parameter("time", "A moment in seconds.", "number", least=0, most=_MOST)
_VERSION = Parameter("v", "How thumbnails are made, as `thumb` of a hit has it: the answer never changes then.")
_LINE = Parameter("line", "A line of a text, from 1.", "integer", least=1, most=_MOST)
_FIRST = Parameter("first", "The number of a passage, from 0: to read on.", "integer", least=0, most=_MOST)
THUMB = (_SIDE, _PAGE, _TIME, _VERSION)
FRAME = (_TIME, _SIDE, _VERSION)
PAGE = (_SIDE, _VERSION)
PASSAGES = (_PAGE, _LINE, _TIME, _FIRST)


def _whole(parameter: Parameter, given: Given) -> int | None:
    number = parameter.number(given)
    return None if number is None else int(number)


async def facts(request: Request) -> Response:
    """GET /files/{id}."""
    served, called = served_by(request), request.path_params["id"]
    query = request.scope["query_string"]

    def work() -> Response:
        checked(of_query(query), ())
        return as_json(with_thumb(served, document(served.session.file(called))))

    return await served.light.do(work)


async def passages(request: Request) -> Response:
    """GET /files/{id}/passages."""
    served, called = served_by(request), request.path_params["id"]
    query = request.scope["query_string"]

    def work() -> Response:
        given = checked(of_query(query), PASSAGES)
        place = PassagePlace(
            _whole(_PAGE, given), _whole(_LINE, given), _TIME.number(given), _whole(_FIRST, given) or 0
        )
        return as_json(document(served.session.passages(called, place)))

    return await served.light.do(work)


async def thumb(request: Request) -> Response:
    """GET /files/{id}/thumb."""
    return await _picture(request, THUMB, lambda given: (_whole(_PAGE, given), _TIME.number(given)), THUMBNAIL_SIDE)


async def frame(request: Request) -> Response:
    """GET /files/{id}/frame."""

    def place(given: Given) -> tuple[int | None, float | None]:
        moment = _TIME.number(given)
        if moment is None:
            raise Invalid("`time` says which frame, in seconds.")
        return None, moment

    return await _picture(request, FRAME, place, _LARGE_SIDE)


async def page(request: Request) -> Response:
    """GET /files/{id}/page/{n}."""
    number = request.path_params["n"]

    def place(given: Given) -> tuple[int | None, float | None]:
        return _whole(_PAGE, {"page": [number]}), None

    return await _picture(request, PAGE, place, _LARGE_SIDE)


async def _picture(
    request: Request,
    parameters: Sequence[Parameter],
    place_of: Callable[[Given], tuple[int | None, float | None]],
    usual_side: int,
) -> Response:
    """A JPEG of a place in the file."""
    served, called = served_by(request), request.path_params["id"]
    query, known = request.scope["query_string"], request.headers.get("if-none-match")

    def work() -> Response:
        given = checked(of_query(query), parameters)
        at, moment = place_of(given)
        side = _whole(_SIDE, given) or usual_side
        return _drawn(served, called, (side, at, moment), "v" in given, known)

    return await served.pictures.do(work)


def _drawn(
    served: Served, called: str, wanted: tuple[int, int | None, float | None], is_versioned: bool, known: str | None
) -> Response:
    side, at, moment = wanted
    tag = f'"{called}-{side}-{at}-{moment}-{THUMBNAIL_VERSION}"'
    # The id is the digest of the content: with the version in the address the picture is always the same.
    lasts = "max-age=31536000, immutable" if is_versioned else "no-cache"
    headers = {"ETag": tag, "Cache-Control": f"private, {lasts}"}
    if known == tag:
        served.session.file(called)  # what was forgotten is not to be had any more
        return Response(status_code=304, headers=headers)
    place = shown_at(at, moment)
    jpeg = thumbnail(served.session.sources(called), served.thumbnails, place, side)
    return Response(jpeg, headers=headers, media_type="image/jpeg")
