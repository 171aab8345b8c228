"""Answers that are sent while they are made, so many at a time: each has a file open, and some of it in memory."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import NamedTuple

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from mmsearch.server.rest.problems import Problem
from mmsearch.server.rest.served import Served

BLOCK_BYTES = 1 << 18
MOST_STREAMS = 16


class Streamed(NamedTuple):
    """A status, headers, and the bytes as they come."""

    status: int
    headers: dict[str, str]
    blocks: Generator[bytes, None, None]


async def streaming(served: Served, begin: Callable[[], Streamed]) -> Streamed:
    """What is begun in a thread, once there is room for one more; `Stream` sends it.

    Raises:
        Problem: too many are being sent.
    """
    if served.streams >= MOST_STREAMS:
        message = f"{served.streams} files are being sent; ask again in a moment."
        raise Problem("overloaded", message, {"Retry-After": "2"})
    served.streams += 1
    try:
        return await served.light.do(begin)
    except BaseException:
        served.streams -= 1
        raise


class Stream(StreamingResponse):
    """Sends the bytes; what they come from is closed and another may begin, however it ends."""

    def __init__(self, served: Served, streamed: Streamed) -> None:
        super().__init__(streamed.blocks, streamed.status, streamed.headers)
        self._served, self._blocks = served, streamed.blocks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._served.streams -= 1
            self._blocks.close()
