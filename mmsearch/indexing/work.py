"""How a worker is to work, what it says of it, and what it has at hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from mmsearch.indexing.report import FailedFile
from mmsearch.models.opening import Encoders
from mmsearch.reading import ReadLimits
from mmsearch.records import Progress
from mmsearch.store.place import Place

# So long after its last sign of life a worker is given up.
LEASE_SECONDS = 60.0
# How long a stop waits for the files in work; after that long ones are left where they are. Those who stop services
# wait for 30 seconds, mostly.
GRACE_SECONDS = 20.0


@dataclass(frozen=True)
class WorkSettings:
    """How a worker goes about it: limits of files, and the number of threads that read and encode, all processors for
    None.

    With `exit_when_empty` it ends once nothing is left that it can do: nothing waits, and no other worker is at
    anything. Once `stop` is set, by another thread, it ends in good order: it finishes what it is at, for up to `grace`
    seconds, and gives back the rest. Without a sign of life for `lease` seconds it is given up by the others.
    """

    limits: ReadLimits = field(default_factory=ReadLimits)
    workers: int | None = None
    exit_when_empty: bool = False
    lease: float = LEASE_SECONDS
    grace: float = GRACE_SECONDS
    stop: threading.Event = field(default_factory=threading.Event, compare=False)


@dataclass
class WorkReport:
    """What a worker did: how many files it `stored` and how many of them `failed`, the last of these as `failures`.

    `given_up` counts how often the others gave it up, as it had given no sign of life for too long, or the server was
    away. `hindered` says which models it could not encode with, and why; `elsewhere` are roots that are missing or
    empty on this machine, whose files it left to others. `stopped` tells that it was asked to stop.
    """

    library: str = ""
    worker: str = ""
    stored: int = 0
    failed: int = 0
    given_up: int = 0
    stopped: bool = False
    seconds: float = field(default=0.0, metadata={"digits": 3})
    failures: list[FailedFile] = field(default_factory=list)
    hindered: list[str] = field(default_factory=list)
    elsewhere: list[bytes] = field(default_factory=list)


@dataclass
class WorkTools:
    """What a worker has at hand: the library's place, encoders, and whom it tells how far it is and, in a sentence,
    what holds it up.
    """

    place: Place
    encoders: Encoders
    settings: WorkSettings
    report: WorkReport
    on_progress: Callable[[Progress], None]
    on_notice: Callable[[str], None]


class GivenUp(Exception):
    """The others have given the worker up: what it has claimed is not its own any more."""


class StoppedWaiting(Exception):
    """The worker was asked to stop while another process had the library for itself."""
