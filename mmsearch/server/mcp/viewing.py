"""The tools that show: a file by its id, and what the library holds; and the same as resources."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmsearch.errors import Invalid, MmsearchError, NotFound
from mmsearch.output.json import described, document
from mmsearch.server.mcp.answers import JPEG, Call, Picture, tool_answer
from mmsearch.server.mcp.arguments import Argument
from mmsearch.server.mcp.fitting import fitted
from mmsearch.server.mcp.messages import RESOURCE_NOT_FOUND, ProtocolError
from mmsearch.server.mcp.tool import Tool, object_with
from mmsearch.server.opened_library import Opened

if TYPE_CHECKING:
    from mmsearch.searching.stored_files import PassagePlace, StoredFile

LARGEST_SIDE, USUAL_SIDE = 1_568, 768
_SHOWN_TYPES = ("image", "document", "video")
# Of an answer a picture takes no more than this; where it would, a smaller one is made.
_SHARE_OF_PICTURE = 0.7
_STATUS, _FILE = "mmsearch://status", "mmsearch://file/"
_JSON = "application/json"


def _view(call: Call, given: Mapping[str, Any]) -> dict[str, Any]:
    from mmsearch.searching.stored_files import PassagePlace

    place = PassagePlace(given["page"], given["line"], given["time"], given["first"])
    with call.opened.used() as opened:
        file = opened.session.file(given["id"])
        told = {**document(file), **_texts(opened, file, place)}
        pictures = []
        try:
            if file.type in _SHOWN_TYPES:
                jpeg = _picture(call, opened, file, given["side"], given["page"], given["time"])
                pictures.append(Picture(jpeg))
        except MmsearchError as error:
            if isinstance(error, Invalid) or not told["passages"]:
                raise
            told["not_shown"] = call.told(error)
        return tool_answer(call, told, pictures)


def _texts(opened: Opened, file: StoredFile, place: PassagePlace) -> dict[str, Any]:
    """What is written, or said, from a place on; a picture, or a page that is one, has nothing."""
    try:
        found = opened.session.passages(file.id, place)
    except NotFound:
        return {"passages": [], "first": 0, "total_passages": 0}
    return {"passages": described(found.passages), "first": found.first, "total_passages": found.total}


def _picture(call: Call, opened: Opened, file: StoredFile, side: int, page: int | None, time: float | None) -> bytes:
    """A JPEG that there is room for in an answer."""
    while True:
        call.check()
        jpeg = opened.library.thumbnail(file.id, side, page=page, time=time)
        if 4 * len(jpeg) <= 3 * _SHARE_OF_PICTURE * call.most_bytes:
            return jpeg
        side = side * 3 // 4


def _status(call: Call, given: Mapping[str, Any]) -> dict[str, Any]:
    with call.opened.of_its_own() as library:
        return tool_answer(call, document(library.status()))


TOOLS: Sequence[Tool] = (
    Tool(
        "view",
        "View a file",
        "Shows a file that was found: a picture of it (of a page of a document, of a moment of a video), its text from "
        "a place on, and what the library knows of it.",
        (
            Argument("id", "text", "The `id` of a hit.", is_required=True),
            Argument(
                "side",
                "integer",
                "The longer side of the picture, in pixels.",
                least=64,
                most=LARGEST_SIDE,
                default=USUAL_SIDE,
            ),
            Argument(
                "page", "integer", "The page of a document or scan, the `page` of a hit, from 1.", least=1, most=1e9
            ),
            Argument("time", "number", "The moment in a video or recording, in seconds.", least=0, most=1e9),
            Argument("line", "integer", "The line of a text, the `line` of a hit, from 1.", least=1, most=1e9),
            Argument(
                "first", "integer", "The number of the first passage, from 0: to read on.", least=0, most=1e9, default=0
            ),
        ),
        _view,
        object_with(
            {
                "id": {"type": "string"},
                "path": {"type": "string"},
                "type": {"type": "string"},
                "available": {"type": "boolean"},
                "passages": {"type": "array", "items": object_with({"text": {"type": "string"}}, ("text",))},
                "first": {"type": "integer", "description": "The number of the first of these passages."},
                "total_passages": {"type": "integer", "description": "How many passages the whole text has."},
                "not_shown": {"type": "string", "description": "Why there is no picture, where there could be one."},
            },
            ("id", "path", "type", "passages"),
        ),
    ),
    Tool(
        "status",
        "Library status",
        "Tells what the library holds: files by type, folders, the model, and what could not be read.",
        (),
        _status,
        object_with(
            {"library": {"type": "string"}, "files": {"type": "object"}, "roots": {"type": "array"}},
            ("library",),
        ),
    ),
)

RESOURCES = (
    {
        "uri": _STATUS,
        "name": "status",
        "title": "Library status",
        "description": "What the library holds.",
        "mimeType": _JSON,
    },
)
TEMPLATES = (
    {
        "uriTemplate": f"{_FILE}{{id}}",
        "name": "file",
        "title": "A file of the library",
        "description": "What is known of a file by the id of a hit, and a picture of it where there is one.",
    },
)


def read_resource(call: Call, uri: str) -> dict[str, Any]:
    """The contents of a resource.

    Raises:
        ProtocolError: there is none of that URI.
    """
    try:
        if uri == _STATUS:
            with call.opened.of_its_own() as library:
                return {"contents": [_content(call, uri, document(library.status()))]}
        if not uri.startswith(_FILE):
            raise Invalid("There is no such resource; read mmsearch://status or mmsearch://file/ID.")
        with call.opened.used() as opened:
            file = opened.session.file(uri.removeprefix(_FILE))
            contents = [_content(call, uri, document(file))]
            if file.type in _SHOWN_TYPES:
                jpeg = _picture(call, opened, file, USUAL_SIDE, None, None)
                contents.append({"uri": uri, "mimeType": JPEG, "blob": base64.b64encode(jpeg).decode("ascii")})
            return {"contents": contents}
    except MmsearchError as error:
        raise ProtocolError(RESOURCE_NOT_FOUND, call.told(error)) from None


def _content(call: Call, uri: str, told: Mapping[str, Any]) -> dict[str, Any]:
    shortened = fitted(told, call.most_bytes // 5)
    return {"uri": uri, "mimeType": _JSON, "text": json.dumps(shortened, ensure_ascii=False)}
