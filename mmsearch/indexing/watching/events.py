"""What a watcher tells: what it has indexed, what it waits for, and which folders come and go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mmsearch.errors import Remedy
from mmsearch.indexing.report import IndexReport
from mmsearch.indexing.run import IndexSettings

WatchEventKind = Literal["watching", "indexed", "offline", "online", "timed", "waiting", "trouble"]


@dataclass(frozen=True)
class WatchSettings:
    """How folders are watched; times are in seconds.

    What the system does not tell of (network drives, more folders than it watches) is walked `every` so often, 600 for
    None; where it is given, that also does on a system that tells of nothing. Everything is walked `whole_every` so
    often, as a safety net. A model that had nothing to encode for `keep_model` is let
    go of. `index` says how files are read: limits and threads.
    """

    every: float | None = None
    whole_every: float = 6 * 3600.0
    keep_model: float = 300.0
    index: IndexSettings = field(default_factory=IndexSettings)


@dataclass(frozen=True)
class WatchEvent:
    """Something that a watcher did or noticed; `message` is a sentence for a person, and may be empty.

    `watching`: the first walk is done, and `folders` are watched. `indexed`: a run changed something; `paths` are what
    it looked at, none for a walk of everything, and `report` is what it did. `offline`, `online`: roots in `paths` went
    away or came back. `timed`: what lies in `paths` cannot be watched, and is walked from time to time. `waiting`:
    another process writes the library. `trouble`: something went wrong, and is tried again. `remedy` is what helps.
    """

    event: WatchEventKind
    message: str = ""
    paths: tuple[bytes, ...] = ()
    folders: int | None = None
    report: IndexReport | None = field(default=None, metadata={"document": True})
    remedy: Remedy | None = field(default=None, metadata={"json": None})
