"""What a run of `index` did, as it goes and at its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mmsearch.errors import Remedy
from mmsearch.indexing.walking import WalkProblem


@dataclass(frozen=True)
class FailedFile:
    """A file that could not be read, or that the model could not encode, in this run; `path` as bytes."""

    path: bytes
    reason: str


@dataclass(frozen=True)
class Absence:
    """How many files of a root are gone and stay in the library until a person says so."""

    path: bytes
    files: int


@dataclass(frozen=True)
class Unreached:
    """How many files of a root were left to the next run, as it went away while they were to be read."""

    path: bytes
    files: int


@dataclass(frozen=True)
class Incomplete:
    """A file that was read and is searchable, though something is missing or damaged in it."""

    path: bytes
    reason: str


@dataclass(frozen=True)
class Thinned:
    """A file of which so many passages were not taken: it has more than a text may have."""

    path: bytes
    left_out: int


@dataclass
class StageReport:
    """What a stage did in a run, counted in files of different contents: those that it read, those of them in which it
    found texts, those that it could not read, and those `left` to be read where it gave way to new files or was
    stopped. `hindered` is why it did nothing, `remedy` what helps.
    """

    stage: str
    read: int = 0
    found: int = 0
    failed: int = 0
    left: int = 0
    failures: list[FailedFile] = field(default_factory=list)
    hindered: str | None = None
    remedy: Remedy | None = field(default=None, metadata={"json": None})


@dataclass
class IndexReport:
    """What one run did with `model` (name and revision), counted in files.

    `moved` counts files whose content was known under another name, `removed` those that are gone and were not moved;
    `failed` those that could not be read in this run, `failing` those that could not be read before and have not
    changed since; `others` those that no reader takes, and `unread` the same by extension, and `closed_archives` the
    extensions of archives among them into which the rules of their roots do not look, `remote_archives` of those in
    buckets, into which nothing looks. `encoded` counts files that had not changed and that this model had not encoded
    yet, `details_read` those of which only details (camera, place, words …) were read, from a file that had not changed
    or from its sidecars. `incomplete` are files that were read in this run and are searchable, though something is
    missing or damaged in them, `thinned` those of which only some passages were taken in this run. `problems` are
    folders and special files that the walk could not take, `offline` roots, and drives below roots, that are missing or
    suddenly empty and were left as they are; `absent` tells of roots that have lost so much that their lost files stay
    until `prune`. `unsettled` are files that were left to a later run, as something wrote to them a moment before.
    `unreached` tells of roots that went away while their files were read, and how many of these were left to the next
    run. `queued` are files that were left to workers; copies of what was known are counted as `added` then. `pictured`
    are documents that were read in this run and hold pictures and no words. `resumed` tells that the run before was cut
    off, `stopped` that this one was asked to stop. `rebuilt` says what was wrong with derived files that had to be made
    again. `stages` are what the library's stages did after the vectors. `searched` is the model that searches use after
    the run, and `lacking` how many files it has not encoded; `newer` is the newest revision of the built-in model where
    searches use an older one and wait for no model. `switched` tells that it was another one before. `catching_up` is
    what was done for a model that they wait for, `sound` what was done for each model of sound, and `hindered` why
    nothing was, `remedy` what helps.
    """

    library: str = ""
    model: str = ""
    added: int = 0
    updated: int = 0
    encoded: int = 0
    moved: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    failing: int = 0
    others: int = 0
    details_read: int = 0
    queued: int = 0
    pictured: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    closed_archives: set[str] = field(default_factory=set, metadata={"json": None})
    remote_archives: set[str] = field(default_factory=set, metadata={"json": None})
    resumed: bool = False
    stopped: bool = False
    seconds: float = field(default=0.0, metadata={"digits": 3})
    failures: list[FailedFile] = field(default_factory=list)
    incomplete: list[Incomplete] = field(default_factory=list)
    thinned: list[Thinned] = field(default_factory=list)
    problems: list[WalkProblem] = field(default_factory=list)
    offline: list[bytes] = field(default_factory=list)
    unsettled: list[bytes] = field(default_factory=list)
    rebuilt: list[str] = field(default_factory=list)
    absent: list[Absence] = field(default_factory=list)
    unreached: list[Unreached] = field(default_factory=list)
    stages: list[StageReport] = field(default_factory=list)
    searched: str = ""
    lacking: int = 0
    newer: str | None = None
    hindered: str | None = None
    switched: bool = False
    catching_up: IndexReport | None = field(default=None, metadata={"document": True})
    sound: list[IndexReport] = field(default_factory=list)
    remedy: Remedy | None = field(default=None, metadata={"json": None})

    @property
    def files(self) -> int:
        """Files of these roots that are searchable now."""
        return self.added + self.updated + self.encoded + self.moved + self.unchanged
