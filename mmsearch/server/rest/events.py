"""What changes while a page is open, told by server-sent events: the library's state, and how far jobs are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from mmsearch.errors import MmsearchError
from mmsearch.output.json import described
from mmsearch.searching.session import Session
from mmsearch.server.rest.jobs import Job, Jobs
from mmsearch.server.rest.problems import Problem
from mmsearch.server.rest.turns import Turns

MOST_LISTENERS = 200
_SECONDS = 1.0
# So often something is sent, so that proxies keep the connection open.
_SILENCES = 15
_MOST_WAITING = 100
# States count from 0.
_NO_STATE = -1


class Events:
    """Tells all who listen. Its methods are called by the event loop; jobs tell it from threads of their own."""

    def __init__(self, session: Session, turns: Turns, jobs: Jobs) -> None:
        self._session, self._turns = session, turns
        self._listeners: set[asyncio.Queue[str]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watching: asyncio.Task[None] | None = None
        self._has_looked = asyncio.Event()
        self.is_ending = False
        jobs.on_change = self._job_changed

    def check_room(self) -> None:
        """Raises Problem where too many listen."""
        if len(self._listeners) >= MOST_LISTENERS:
            raise Problem("overloaded", f"{MOST_LISTENERS} pages listen already.", {"Retry-After": "60"})

    async def listened(self, jobs: tuple[Job, ...]) -> AsyncIterator[str]:
        """The events as they are sent, after a greeting, from which on nothing is missed; those of `jobs` first."""
        own: asyncio.Queue[str] = asyncio.Queue(_MOST_WAITING)
        self._loop = asyncio.get_running_loop()
        self._listeners.add(own)
        try:
            if self._watching is None or self._watching.done():
                self._has_looked = asyncio.Event()
                self._watching = asyncio.create_task(self._watch(self._has_looked))
            await self._has_looked.wait()
            yield ": mmsearch\n\n"
            for job in jobs:
                yield _event("job", described(job))
            silent = 0
            while not self.is_ending:
                with suppress(asyncio.TimeoutError, TimeoutError):
                    yield await asyncio.wait_for(own.get(), _SECONDS)
                    silent = 0
                    continue
                silent += 1
                if silent % _SILENCES == 0:
                    yield ": still there\n\n"
        finally:
            self._listeners.discard(own)

    async def _watch(self, has_looked: asyncio.Event) -> None:
        """Looks at the library's state for as long as somebody listens."""
        known: int | None = None
        try:
            while self._listeners and not self.is_ending:
                try:
                    state = (await self._turns.do(self._session.mark)).state
                    if known is not None and state != known:
                        self._tell(_event("library", {"state": state}))
                    known = state
                except (MmsearchError, Problem):  # it is empty, or away: that it is there is a change for who began so
                    known = _NO_STATE if known is None else known
                has_looked.set()
                await asyncio.sleep(_SECONDS)
        finally:
            has_looked.set()

    def _job_changed(self, job: Job) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._tell, _event("job", described(job)))

    def _tell(self, event: str) -> None:
        for listener in self._listeners:
            with suppress(asyncio.QueueFull):  # who does not read misses some
                listener.put_nowait(event)


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
