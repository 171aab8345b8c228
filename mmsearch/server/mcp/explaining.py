"""The tool that tells why a file was found, and shows where in its picture what was asked for is."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmsearch.output.json import document
from mmsearch.server.mcp.answers import Call, Picture, tool_answer
from mmsearch.server.mcp.arguments import Argument
from mmsearch.server.mcp.tool import Tool, object_with

if TYPE_CHECKING:
    from mmsearch.searching.explanations import Explanation


def _explain(call: Call, given: Mapping[str, Any]) -> dict[str, Any]:
    from mmsearch.searching.query import Query, text_terms

    query = Query(tuple(text_terms(given["query"])), language=given["language"])
    with call.opened.used() as opened:
        opened.session.file(given["id"])  # an id, and no path or rank
        explanation = opened.session.explain(given["id"], query)
    told = document(explanation)
    if explanation.heat is None:
        return tool_answer(call, told)
    # The numbers of the cells say nothing to a reader, and their picture all.
    told["heat"] = {"method": explanation.heat.method, "terms": [one.term for one in explanation.heat.maps]}
    return tool_answer(call, told, [Picture(_drawn(explanation), "heat maps: " + ", ".join(told["heat"]["terms"]))])


def _drawn(explanation: Explanation) -> bytes:
    from PIL import Image

    from mmsearch.output.heat_maps import heat_map_png

    written = io.BytesIO()
    Image.open(io.BytesIO(heat_map_png(explanation))).convert("RGB").save(written, "JPEG", quality=85)
    return written.getvalue()


TOOLS: Sequence[Tool] = (
    Tool(
        "explain",
        "Explain a hit",
        "Tells why a file answers a query: by which channel, and by which of its words. Of a picture it shows heat "
        "maps of where in it the query and each of its words are.",
        (
            Argument("id", "text", "The `id` of a hit.", is_required=True),
            Argument("query", "text", "What was looked for.", is_required=True),
            Argument("language", "text", "The code of the query's language, de or en, where its words do not tell."),
        ),
        _explain,
        object_with(
            {
                "id": {"type": "string"},
                "path": {"type": "string"},
                "channels": {"type": "array", "items": {"type": "object"}},
                "words": {"type": "array", "items": {"type": "object"}},
                "heat": {"type": ["object", "null"], "description": "How heat maps were made, and of which terms."},
                "trouble": {"type": ["string", "null"], "description": "Why there are none, where there could be."},
            },
            ("id", "path", "channels", "words"),
        ),
    ),
)
