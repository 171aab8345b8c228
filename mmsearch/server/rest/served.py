"""What all endpoints share: the library and its session, threads that take turns, uploads, and the page."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request

from mmsearch.errors import MmsearchError
from mmsearch.library import Library
from mmsearch.nearest.recent import Recent
from mmsearch.searching.duplicate_groups import Duplicates
from mmsearch.searching.facets import Facets
from mmsearch.searching.session import Session
from mmsearch.server.opened_library import IDLE_SECONDS
from mmsearch.server.rest.events import Events
from mmsearch.server.rest.idle import Idle
from mmsearch.server.rest.jobs import Jobs
from mmsearch.server.rest.metrics import Metrics
from mmsearch.server.rest.pages import Pages
from mmsearch.server.rest.settings import ServeSettings
from mmsearch.server.rest.turns import Turns
from mmsearch.server.rest.uploads import Uploads
from mmsearch.showing.thumbnail_cache import ThumbnailCache

MOST_SEARCHES_WAITING, MOST_PICTURES_WAITING = 64, 512
_PICTURES_AT_ONCE = _LIGHT_AT_ONCE = 4
_SLOW_WAITING = 8
# So many answers that take long are kept, for the next page and the next who asks.
_FACETS_KEPT, _DUPLICATES_KEPT = 64, 4


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Served:
    """A library that is served. `in_words` says an error with its remedy.

    What searches hold in memory is let go of when none has come for `idle_seconds`.
    """

    library: Library
    session: Session
    settings: ServeSettings
    in_words: Callable[[MmsearchError], str]
    pages: Pages = field(default_factory=Pages)
    uploads: Uploads = field(default_factory=Uploads)
    searches: Turns = field(default_factory=lambda: Turns("search", _cores(), MOST_SEARCHES_WAITING))
    pictures: Turns = field(default_factory=lambda: Turns("picture", _PICTURES_AT_ONCE, MOST_PICTURES_WAITING))
    # What asks the store for a row or opens a file: it does not wait for pictures that are drawn.
    light: Turns = field(default_factory=lambda: Turns("light", _LIGHT_AT_ONCE, MOST_PICTURES_WAITING))
    slow: Turns = field(default_factory=lambda: Turns("slow", 1, _SLOW_WAITING))
    facets: Recent[object, Facets] = field(default_factory=lambda: Recent(_FACETS_KEPT))
    duplicates: Recent[object, Duplicates] = field(default_factory=lambda: Recent(_DUPLICATES_KEPT))
    thumbnails: ThumbnailCache = field(default_factory=ThumbnailCache)
    metrics: Metrics = field(default_factory=Metrics)
    streams: int = 0
    idle_seconds: float = IDLE_SECONDS

    def __post_init__(self) -> None:
        self.jobs = Jobs(self.library, self.in_words)
        self.events = Events(self.session, self.light, self.jobs)
        self.idle = Idle(self.searches, self.let_go, self.idle_seconds)

    def of_its_own(self) -> Library:
        """The library opened once more, for what only one thread may use: its store is for one."""
        return self.library.opened_again()

    def let_go(self) -> None:
        """Gives the memory that searches take back, until the next one."""
        self.session.let_go()
        self.library.let_go()

    def end(self) -> None:
        """Lets go of those who wait for nothing but events."""
        self.events.is_ending = True

    def end_waiting(self) -> None:
        """Lets go of those whose turn has not come."""
        for turns in (self.searches, self.pictures, self.light, self.slow):
            turns.close()

    def close(self) -> None:
        """Lets go of all of it."""
        self.end()
        self.idle.close()
        self.jobs.close()
        self.end_waiting()
        self.uploads.close()
        self.session.close()
        self.library.close()


def served_by(request: Request) -> Served:
    """What answers that request."""
    served: Served = request.app.state.served
    return served
