"""The tools that find files: search, similar, duplicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mmsearch.errors import MmsearchError
from mmsearch.output.json import document
from mmsearch.searching.query import Sort
from mmsearch.searching.results import FileList, Hit, ListedFile, SearchResult
from mmsearch.server.filtering import filters_of
from mmsearch.server.mcp.answers import Call, Picture, tool_answer
from mmsearch.server.mcp.arguments import Argument
from mmsearch.server.mcp.filtering import BASIC, FILTERS
from mmsearch.server.mcp.tool import Tool, object_with
from mmsearch.server.opened_library import Opened

MOST_HITS = 20
# The sides of thumbnails in pixels; the smaller ones where the larger ones of a page are too much for an answer.
_SIDES = (320, 128)
_SHOWN_TYPES = ("image", "document", "video")

PAGE = (
    Argument("limit", "integer", "At most so many hits.", least=1, most=MOST_HITS, default=10),
    Argument("offset", "integer", "Leave out so many of the first; see `next_offset`.", least=0, most=1e9, default=0),
)
_THUMBNAILS = Argument("thumbnails", "boolean", "Whether to show a small picture of each hit.", default=False)
_ID = Argument("id", "text", "The `id` of a hit.", is_required=True)
_HITS = object_with(
    {
        "hits": {
            "type": "array",
            "description": "The files, best first, or the newest first without a query.",
            "items": object_with(
                {
                    "rank": {"type": "integer"},
                    "id": {"type": "string", "description": "What the other tools call the file by."},
                    "path": {"type": "string"},
                    "type": {"type": "string"},
                    "score": {"type": "number", "description": "0 to 1; missing where nothing was compared."},
                    "snippet": {"type": ["string", "null"], "description": "The passage of a text that was found."},
                    "page": {"type": ["integer", "null"]},
                    "time": {"type": ["array", "null"], "description": "From–to in seconds, in a video or recording."},
                    "available": {"type": "boolean", "description": "Whether the file is there now."},
                },
                ("rank", "id", "path", "type"),
            ),
        },
        "total": {"type": "integer", "description": "How many files answer, on all pages."},
        "next_offset": {"type": ["integer", "null"], "description": "The `offset` of the next page, if there is one."},
    },
    ("hits", "total", "next_offset"),
)
_GROUPS = object_with(
    {
        "groups": {
            "type": "array",
            "items": object_with(
                {
                    "class": {"type": "string"},
                    "why": {"type": "string", "description": "By what the file to keep was chosen."},
                    "bytes": {"type": "integer", "description": "What the other files take."},
                    "files": {"type": "array", "items": {"type": "object"}, "description": "The one to keep first."},
                },
                ("class", "files"),
            ),
        },
        "total": {"type": "integer"},
        "next_offset": {"type": ["integer", "null"]},
    },
    ("groups", "total", "next_offset"),
)


def _search(call: Call, given: Mapping[str, Any]) -> dict[str, Any]:
    from mmsearch.searching.query import Query, text_term, text_terms

    filters = filters_of(given)
    terms = [term for text in (given["query"], *given["also"]) if text is not None for term in text_terms(text)]
    terms += [text_term(text, -1) for text in given["not"]]
    page = {"limit": given["limit"], "offset": given["offset"]}
    with call.opened.used() as opened:
        found: SearchResult | FileList
        if terms or given["like"] or given["unlike"]:
            for one in (*given["like"], *given["unlike"]):
                opened.session.file(one)  # which says what is wrong with an id
            sort: Sort = given["sort"] or "score"
            query = Query(
                tuple(terms),
                filters,
                sort=sort,
                like=given["like"],
                unlike=given["unlike"],
                min_score=given["min_score"],
                language=given["language"],
                **page,
            )
            found = opened.session.search(query)
        else:
            found = opened.session.list_files(filters, sort="date" if given["sort"] is None else given["sort"], **page)
        return _answer(call, opened, found, given["thumbnails"])


def _similar(call: Call, given: Mapping[str, Any]) -> dict[str, Any]:
    from mmsearch.searching.query import Query

    with call.opened.used() as opened:
        opened.session.file(given["id"])
        query = Query((), filters_of(given), given["limit"], offset=given["offset"], like=(given["id"],))
        return _answer(call, opened, opened.session.search(query), given["thumbnails"])


def _duplicates(call: Call, given: Mapping[str, Any]) -> dict[str, Any]:
    offset, limit = given["offset"], given["limit"]
    with call.opened.of_its_own() as library:
        found = library.duplicates(
            filters_of(given), classes=given["class"], limit=offset + limit, on_progress=call.go_on
        )
    page = replace(found, groups=found.groups[offset:])
    return tool_answer(call, {**document(page), "next_offset": _next(offset, len(page.groups), found.total)})


def _answer(call: Call, opened: Opened, found: SearchResult | FileList, with_pictures: bool) -> dict[str, Any]:
    told = {**document(found), "next_offset": _next(found.offset, len(found.hits), found.total)}
    if not with_pictures:
        return tool_answer(call, told)
    answer: dict[str, Any] = {}
    for side in _SIDES:
        pictures = [picture for hit in found.hits if (picture := _thumbnail(call, opened, hit, side)) is not None]
        answer = tool_answer(call, told, pictures)
        if sum(one["type"] == "image" for one in answer["content"]) == len(pictures):
            break
    return answer


def _thumbnail(call: Call, opened: Opened, hit: Hit | ListedFile, side: int) -> Picture | None:
    """What a hit is shown by, where it is there and has anything to show."""
    call.check()
    if hit.type not in _SHOWN_TYPES:
        return None
    page = hit.page if isinstance(hit, Hit) else None
    time = hit.time[0] if isinstance(hit, Hit) and hit.time else None
    try:
        jpeg = opened.library.thumbnail(hit.id, side, page=page, time=time)
    except MmsearchError:
        return None
    return Picture(jpeg, f"{hit.rank}: {hit.id}")


def _next(offset: int, shown: int, total: int) -> int | None:
    return offset + shown if shown and offset + shown < total else None


TOOLS: Sequence[Tool] = (
    Tool(
        "search",
        "Search files",
        "Finds photos, documents, videos, recordings and texts on this computer by what they show or say, best first. "
        "Without `query`, `also` and `like` it lists the files that pass the filters, the newest first.",
        (
            Argument("query", "text", "What is looked for, in a few words. A phrase in quotation marks must occur."),
            Argument("also", "texts", "More texts that are looked for at the same time; 2:at night counts twice."),
            Argument("not", "texts", "What is to be avoided."),
            Argument("like", "texts", "The ids of hits of which there is to be more, with words or without."),
            Argument("unlike", "texts", "The ids of hits of which there is to be less."),
            *FILTERS,
            *PAGE,
            Argument("sort", "text", "By what the hits of a page are ordered.", choices=("score", "date", "name")),
            Argument(
                "min_score", "number", "The lowest score; without it what is not close is left out.", least=0, most=1
            ),
            Argument("language", "text", "The code of the query's language, de or en, where its words do not tell."),
            _THUMBNAILS,
        ),
        _search,
        _HITS,
    ),
    Tool(
        "similar",
        "Find similar files",
        "Finds files that look or read like one that was found, best first; the file itself is no hit.",
        (_ID, *FILTERS, *PAGE, _THUMBNAILS),
        _similar,
        _HITS,
    ),
    Tool(
        "duplicates",
        "Find duplicates",
        "Finds files that are there more than once, in groups with one to keep, and why. Nothing is deleted. "
        "It may take a minute where there are many photos.",
        (
            Argument(
                "class",
                "texts",
                "bytes: the same bytes; picture: the same picture in another size, format or light; text: nearly "
                "the same text, in another format or with small edits; shots: similar photos of one minute. Without "
                "any, all.",
                choices=("bytes", "picture", "text", "shots"),
            ),
            *BASIC,
            *PAGE,
        ),
        _duplicates,
        _GROUPS,
    ),
)
