"""What all endpoints share: the library and its session, threads that take turns, uploads, and the page."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request

from mmsearch.errors import MmsearchError
from mmsearch.library import Library
from mmsearch.searching.session import Session
from mmsearch.server.rest.pages import Pages
from mmsearch.server.rest.settings import ServeSettings
from mmsearch.server.rest.turns import Turns
from mmsearch.server.rest.uploads import Uploads

MOST_SEARCHES_WAITING, MOST_PICTURES_WAITING = 64, 512
_PICTURES_AT_ONCE = 4
# Originals and archives that are being sent: each has a file open, and up to 64 MB of it in memory.
MOST_STREAMS = 16


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Served:
    """A library that is served. `in_words` says an error with its remedy; `is_ending` turns true once no more is."""

    library: Library
    session: Session
    settings: ServeSettings
    in_words: Callable[[MmsearchError], str]
    pages: Pages = field(default_factory=Pages)
    uploads: Uploads = field(default_factory=Uploads)
    searches: Turns = field(default_factory=lambda: Turns("search", _cores(), MOST_SEARCHES_WAITING))
    pictures: Turns = field(default_factory=lambda: Turns("picture", _PICTURES_AT_ONCE, MOST_PICTURES_WAITING))
    streams: int = 0
    is_ending: bool = False

    def close(self) -> None:
        """Lets go of all of it."""
        self.is_ending = True
        self.searches.close()
        self.pictures.close()
        self.uploads.close()
        self.session.close()
        self.library.close()


def served_by(request: Request) -> Served:
    """What answers that request."""
    served: Served = request.app.state.served
    return served
