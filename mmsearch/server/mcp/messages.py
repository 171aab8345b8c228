"""Messages of JSON-RPC 2.0, one a line: read with bounds, and written so that every client can read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any, NoReturn

MOST_LINE_BYTES = 1_000_000
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
INTERNAL_ERROR, BUSY, RESOURCE_NOT_FOUND, UNSUPPORTED_VERSION = -32603, -32000, -32002, -32022

# What some clients take for the end of a line, and lone surrogates, of which no client makes UTF-8.
_NOT_AS_IT_IS = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class ProtocolError(Exception):
    """What is wrong with a message, by its code in JSON-RPC; `data` is for the client's program."""

    def __init__(self, code: int, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


def lines_of(stream: IO[bytes]) -> Iterator[bytes | None]:
    """The lines of a stream that are not blank; None for one of more than MOST_LINE_BYTES, of which nothing is kept."""
    while line := stream.readline(MOST_LINE_BYTES + 1):
        if len(line) > MOST_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(MOST_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield None
        elif line.strip():
            yield line


def parsed(line: bytes | None) -> Any:
    """What a line says.

    Raises:
        ProtocolError: it is too long, or no JSON in UTF-8.
    """
    if line is None:
        raise ProtocolError(INVALID_REQUEST, f"A message may have {MOST_LINE_BYTES:,} bytes; send less.")
    try:
        return json.loads(line.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise ProtocolError(PARSE_ERROR, "The line is no JSON in UTF-8.") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def request_id(message: Any) -> str | int | None:
    """The id under which a message is to be answered; None where it has none that can be used."""
    called = message.get("id") if isinstance(message, Mapping) else None
    return called if isinstance(called, (str, int)) and not isinstance(called, bool) else None


def result_of(called: str | int | None, result: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": called, "result": result}


def error_of(called: str | int | None, error: ProtocolError) -> dict[str, Any]:
    data = {} if error.data is None else {"data": dict(error.data)}
    return {"jsonrpc": "2.0", "id": called, "error": {"code": error.code, "message": error.message, **data}}


def written(message: Any) -> bytes:
    """A message as a line of UTF-8. Bytes of a name that are no UTF-8 become U+FFFD."""
    text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _NOT_AS_IT_IS.sub(_replaced, text).encode("utf-8") + b"\n"


def _replaced(match: re.Match[str]) -> str:
    number = ord(match[0])
    return "\ufffd" if 0xD800 <= number <= 0xDFFF else f"\\u{number:04x}"
