"""Why a file answers a search: as JSON, or its heat maps as one picture."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from mmsearch.errors import Invalid
from mmsearch.output.json import document
from mmsearch.server.rest.asking import FILTERS, TERMS, asked_of
from mmsearch.server.rest.parameters import Parameter, checked, of_query
from mmsearch.server.rest.searching import as_json
from mmsearch.server.rest.served import served_by

_FORM = Parameter("form", "What comes back: the explanation, or its heat maps as a picture.", choices=("json", "png"))
# Those of a search, so that a page may hand its own on; filters change nothing.
EXPLAIN = (*TERMS, *FILTERS, _FORM)


async def explain(request: Request) -> Response:
    """GET /files/{id}/explain."""
    served, called = served_by(request), request.path_params["id"]
    query = request.scope["query_string"]

    def work() -> Response:
        given = checked(of_query(query), EXPLAIN)
        form = given.pop(_FORM.name, ("json",))[0]
        asked = asked_of(given, served.uploads, (*TERMS, *FILTERS)).query
        if asked is None:
            raise Invalid("Nothing is asked for; give `q`, `image` or `like`.")
        served.session.file(called)  # an id, and no path or rank
        explanation = served.session.explain(called, asked)
        if form == "json":
            return as_json(document(explanation))
        from mmsearch.output.heat_maps import heat_map_png

        return Response(heat_map_png(explanation), media_type="image/png")

    return await served.searches.do(work)
