"""A client's messages, one after the other: answered at once, or by one of a few threads, until there are no more."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import IO, Any

from mmsearch.server.mcp import explaining, searching, viewing
from mmsearch.server.mcp.answers import Call, Cancelled
from mmsearch.server.mcp.messages import (
    BUSY,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    ProtocolError,
    error_of,
    parsed,
    request_id,
    result_of,
    written,
)
from mmsearch.server.mcp.progress import Teller
from mmsearch.server.mcp.versions import (
    GREETED,
    STATELESS,
    WITH_BATCHES,
    as_told,
    formed,
    is_structured,
    version_of,
)

_MOST_IN_A_BATCH = 20
_THREADS, _MOST_WAITING = 4, 64
TOOLS = {tool.name: tool for tool in (*searching.TOOLS, *viewing.TOOLS, *explaining.TOOLS)}
_INSTRUCTIONS = (
    "Finds photos, documents, videos and texts on this computer by meaning. `search` gives hits with an `id`; `view` "
    "shows one by its id, `similar` finds more like it. Show paths to the person as they are. Nothing can be changed."
)

Answered = Callable[["dict[str, Any] | None"], None]


@dataclass(frozen=True)
class _Request:
    """What a client asks, under an id, in a version of the protocol; None where none was agreed on."""

    called: str | int
    method: str
    params: Mapping[str, Any]
    version: str | None


class Server:
    """Answers one client. `answers` is where lines go, and `call` what each request begins with."""

    def __init__(self, answers: IO[bytes], call: Call, version: str) -> None:
        self._answers = answers
        self._call = call
        self._software = {"name": "mmsearch", "title": "mmsearch", "version": version}
        self._protocol: str | None = None
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._under_way: dict[str | int, threading.Event] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mcp")

    def serve(self, lines: Iterable[bytes | None]) -> None:
        """Answers all messages; returns once the last is answered."""
        for line in lines:
            try:
                message = parsed(line)
            except ProtocolError as error:
                self._write(error_of(None, error))
                continue
            if isinstance(message, list):
                self._take_batch(message)
            else:
                self._take(message, self._write, self._call)
        self._threads.shutdown(wait=True)

    def _take_batch(self, messages: list[Any]) -> None:
        try:
            if self._protocol != WITH_BATCHES:
                raise ProtocolError(
                    INVALID_REQUEST, "This version of the protocol has no batches; send one message a line."
                )
            if not 1 <= len(messages) <= _MOST_IN_A_BATCH:
                raise ProtocolError(INVALID_REQUEST, f"A batch has 1 to {_MOST_IN_A_BATCH} messages.")
        except ProtocolError as error:
            self._write(error_of(None, error))
            return
        batch = _Batch(len(messages), self._write)
        for message in messages:
            self._take(message, batch.add, replace(self._call, most_bytes=self._call.most_bytes // len(messages)))

    def _take(self, message: Any, answered: Answered, call: Call) -> None:
        """Sees to it that a message is answered, and says so where it needs no answer."""
        called = request_id(message)
        try:
            if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
                raise ProtocolError(INVALID_REQUEST, "A message is an object of JSON-RPC 2.0.")
            method, params = message.get("method"), message.get("params", {})
            if not isinstance(method, str):
                if "result" in message or "error" in message:  # nothing was asked of the client
                    return answered(None)
                raise ProtocolError(INVALID_REQUEST, "A message has a method.")
            if "id" not in message:
                self._notified(method, params)
                return answered(None)
            if called is None:
                raise ProtocolError(INVALID_REQUEST, "The id of a request is a text or a whole number.")
            if not isinstance(params, dict):
                raise ProtocolError(INVALID_PARAMS, "`params` is an object.")
            request = _Request(called, method, params, version_of(params, self._protocol))
            if method in ("tools/call", "resources/read"):
                return self._begin(request, answered, call)
            return answered(self._answer(request, self._at_once(request)))
        except ProtocolError as error:
            return answered(error_of(called, error))

    def _notified(self, method: str, params: Any) -> None:
        if method == "notifications/cancelled" and isinstance(params, dict):
            called = params.get("requestId")
            with self._lock:
                under_way = self._under_way.get(called) if isinstance(called, (str, int)) else None
            if under_way is not None:
                under_way.set()

    def _at_once(self, request: _Request) -> dict[str, Any]:
        """What needs no library."""
        method = request.method
        about = {"capabilities": {"tools": {}, "resources": {}}, "instructions": _INSTRUCTIONS}
        if method == "initialize":
            asked = request.params.get("protocolVersion")
            self._protocol = asked if asked in GREETED else GREETED[0]
            return {"protocolVersion": self._protocol, "serverInfo": self._software, **about}
        if method == "server/discover" and request.version == STATELESS:
            return {"supportedVersions": [STATELESS], **about}
        if method == "ping":
            return {}
        if method == "tools/list":
            return {"tools": [tool.described(is_structured(request.version)) for tool in TOOLS.values()]}
        if method == "resources/list":
            return {"resources": list(viewing.RESOURCES)}
        if method == "resources/templates/list":
            return {"resourceTemplates": list(viewing.TEMPLATES)}
        raise ProtocolError(METHOD_NOT_FOUND, f"There is no method {method[:100]!r}.")

    def _begin(self, request: _Request, answered: Answered, call: Call) -> None:
        """Hands a request to one of the threads."""
        if request.version is None:
            raise ProtocolError(INVALID_REQUEST, "The first request is `initialize`.")
        work = _work(request)
        tell = Teller(request.params, self._write).tell
        call = replace(call, is_structured=is_structured(request.version), cancelled=threading.Event(), tell=tell)
        with self._lock:
            if request.called in self._under_way:
                raise ProtocolError(INVALID_REQUEST, "A request of that id is under way.")
            if len(self._under_way) >= _MOST_WAITING:
                raise ProtocolError(BUSY, f"{_MOST_WAITING} requests are waiting; ask again once some are answered.")
            self._under_way[request.called] = call.cancelled
            self._threads.submit(self._do, request, work, answered, call)

    def _do(self, request: _Request, work: Callable[[Call], dict[str, Any]], answered: Answered, call: Call) -> None:
        answer: dict[str, Any] | None = None
        try:
            call.check()
            answer = self._answer(request, work(call))
        except Cancelled:
            pass
        except ProtocolError as error:
            answer = error_of(request.called, as_told(request.version, error))
        except Exception:
            traceback.print_exc(file=sys.stderr)
            broken = ProtocolError(INTERNAL_ERROR, "Something went wrong; stderr of the server tells what.")
            answer = error_of(request.called, broken)
        with self._lock:
            self._under_way.pop(request.called, None)
        answered(None if call.cancelled.is_set() else answer)

    def _answer(self, request: _Request, result: dict[str, Any]) -> dict[str, Any]:
        return result_of(request.called, formed(request.version, request.method, result, self._software))

    def _write(self, message: Any) -> None:
        if message is not None:
            with self._writing, suppress(BrokenPipeError):  # the client has gone: stdin ends next
                self._answers.write(written(message))
                self._answers.flush()


class _Batch:
    """The answers to the messages of a batch, which are written together once all are there."""

    def __init__(self, count: int, write: Callable[[Any], None]) -> None:
        self._left = count
        self._write = write
        self._lock = threading.Lock()
        self._answers: list[dict[str, Any]] = []

    def add(self, answer: dict[str, Any] | None) -> None:
        with self._lock:
            self._left -= 1
            if answer is not None:
                self._answers.append(answer)
            is_whole = not self._left
        if is_whole and self._answers:
            self._write(self._answers)


def _work(request: _Request) -> Callable[[Call], dict[str, Any]]:
    """What is to be done for a request.

    Raises:
        ProtocolError: it names no tool, or is no such request.
    """
    params = request.params
    if request.method == "resources/read":
        uri = params.get("uri")
        if not isinstance(uri, str):
            raise ProtocolError(INVALID_PARAMS, "`uri` is a text.")
        return lambda call: viewing.read_resource(call, uri)
    name, given = params.get("name"), params.get("arguments")
    given = {} if given is None else given
    tool = TOOLS.get(name) if isinstance(name, str) else None
    if tool is None:
        raise ProtocolError(INVALID_PARAMS, f"There is no such tool; there are {', '.join(TOOLS)}.")
    if not isinstance(given, dict):
        raise ProtocolError(INVALID_PARAMS, "`arguments` is an object.")
    return lambda call: tool.answer(call, given)
