"""Work for threads, in the order in which it comes: so many at once, so many waiting, and no more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mmsearch.server.rest.problems import Problem

Done = TypeVar("Done")
_RETRY_SECONDS = 2


class Turns:
    """Threads that take turns. Its methods are called by the event loop alone."""

    def __init__(self, name: str, at_once: int, most_waiting: int) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix=f"mmsearch-{name}")
        self._most = at_once + most_waiting
        self.at_once = at_once
        self._is_closed = False
        self.under_way = 0
        self.last_done = 0.0  # when work last ended, by the monotonic clock
        self.done = 0
        self.seconds_waited = self.seconds_worked = 0.0  # of all that is done

    async def do(self, work: Callable[[], Done]) -> Done:
        """What the work gives, once it was its turn.

        Raises:
            Problem: too many wait, or the server ends.
        """
        if self._is_closed:
            raise _ending()
        if self.under_way >= self._most:
            message = f"{self.under_way - self.at_once} requests are waiting; ask again in a moment."
            raise Problem("overloaded", message, {"Retry-After": str(_RETRY_SECONDS)})
        self.under_way += 1
        came = began = time.monotonic()

        def timed() -> Done:
            nonlocal began
            began = time.monotonic()
            return work()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, timed)
        except asyncio.CancelledError:
            if self._is_closed:  # whoever waits is told so
                raise _ending() from None
            raise
        finally:
            self.under_way -= 1
            self.last_done = time.monotonic()
            self.done += 1
            self.seconds_waited += began - came
            self.seconds_worked += self.last_done - began

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return max(0, self.under_way - self.at_once)

    def close(self) -> None:
        """What has not begun is not begun any more."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)


def _ending() -> Problem:
    return Problem("unavailable", "The server ends; ask again once it runs.")
