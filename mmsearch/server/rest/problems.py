"""What is wrong with a request: one object for all of it, and the status of each kind of error."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.responses import Response

from mmsearch.errors import MmsearchError

# The kinds of errors that the library knows, and those of this skin, by code: the status, and what it means.
KINDS: dict[str, tuple[int, str]] = {
    "not_found": (404, "What was named is not there: a file of that id, a path of the API, a library."),
    "invalid": (400, "What was given makes no sense: an unknown parameter, a number out of range, an empty query."),
    "busy": (409, "Another process is at it, such as a run of index."),
    "damaged": (500, "What is stored is not what was written."),
    "unavailable": (503, "What is needed is out of reach for now."),
    "refused": (403, "It could be done and is not: a foreign page asks, or the server was not started for it."),
    "unsupported": (422, "This installation or this file cannot do it: a text has no picture."),
    "changed": (409, "The file is not what was indexed any more."),
    "unauthorized": (401, "The token is lacking or wrong."),
    "wrong_host": (421, "The Host header names another server; see --allow-host."),
    "method": (405, "There is something of that path, which takes other methods."),
    "gone": (410, "The cursor is of a state that the library has left; search again."),
    "too_large": (413, "The body has more bytes than are taken."),
    "too_long": (414, "The URL is longer than is taken; send the search as JSON."),
    "no_picture": (415, "What was uploaded is no picture that can be read, or too large a one."),
    "range": (416, "The file has no such range of bytes."),
    "too_slow": (408, "The body did not come in time."),
    "overloaded": (503, "Too many requests wait; ask again after the seconds in Retry-After."),
    "error": (500, "Something went wrong in the server; its stderr tells what."),
}


class Problem(Exception):
    """A request that is not answered, by the code of KINDS, with a sentence for a person."""

    def __init__(self, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def response(self, root_path: str) -> Response:
        """The answer to the request; `link` leads to what is said of the kind in the API's description."""
        status, _ = KINDS[self.code]
        error = {
            "code": self.code,
            "type": "".join(part.title() for part in self.code.split("_")),
            "message": self.message,
            "link": f"{root_path}/api/v1/openapi.json#/x-errors/{self.code}",
        }
        return Response(json.dumps({"error": error}), status, self.headers, "application/json")


def problem_of(error: MmsearchError, message: str) -> Problem:
    """An error of the library, said in that message."""
    if error.remedy is not None and error.remedy.action == "index.again" and error.code == "unavailable":
        return Problem("changed", message)
    return Problem(error.code if error.code in KINDS else "error", message)
