"""What a server that nobody has asked for long does without: models, codes and vectors in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mmsearch.server.rest.turns import Turns

_LOOKS = 10


class Idle:
    """A thread that looks whether anybody has searched, and calls `let_go` once nobody has for so many seconds."""

    def __init__(self, searches: Turns, let_go: Callable[[], None], idle_seconds: float) -> None:
        self._searches, self._let_go, self._idle_seconds = searches, let_go, idle_seconds
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="mmsearch-idle", daemon=True).start()

    def close(self) -> None:
        """Lets the thread end."""
        self._ended.set()

    def _watch(self) -> None:
        let_go_of = 0.0
        while not self._ended.wait(self._idle_seconds / _LOOKS):
            last = self._searches.last_done
            # A search that begins at this moment has what it needs, or loads it again.
            if last > let_go_of and not self._searches.under_way and time.monotonic() - last >= self._idle_seconds:
                let_go_of = last
                self._let_go()
