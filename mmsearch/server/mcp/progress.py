"""How far a request is, told to a client that has asked for that."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from mmsearch.records import Progress

# What is answered sooner needs no such words.
SECONDS_BETWEEN = 1.0


class Teller:
    """Tells of one request from time to time; `params` are those that the request came with."""

    def __init__(self, params: Mapping[str, Any], write: Callable[[Any], None]) -> None:
        meta = params.get("_meta")
        token = meta.get("progressToken") if isinstance(meta, Mapping) else None
        self._token = token if isinstance(token, (str, int)) and not isinstance(token, bool) else None
        self._write = write
        self._count = 0
        self._last = time.monotonic()

    def tell(self, progress: Progress) -> None:
        """Sends how far it is, where a while has passed since it began, or since the last time."""
        if self._token is None or time.monotonic() - self._last < SECONDS_BETWEEN:
            return
        self._last = time.monotonic()
        self._count += 1
        # The number has to rise; a request has several stages, of which each begins anew.
        params = {"progressToken": self._token, "progress": self._count, "message": _words(progress)}
        self._write({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})


def _words(progress: Progress) -> str:
    if progress.total is None:
        return f"{progress.stage} {progress.done or ''} {progress.unit}".replace("  ", " ")
    return f"{progress.stage} {progress.done} of {progress.total} {progress.unit}"
