"""What a walk of a root came upon, and which of its files are to be read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mmsearch.indexing.archives import ArchiveWalk
from mmsearch.indexing.targets import Targets
from mmsearch.indexing.walking import FoundFile, FoundSidecar, NoFile, OnFolder, WalkProblem, WalkRules
from mmsearch.records import Root


@dataclass(frozen=True)
class Candidate:
    """A file to be read; `known` if the library has it, `unchanged` if only its vectors are missing there.

    `touched` tells that its size and modification time are as they were, and that the system has changed something of
    it: its rights perhaps, or it has taken the name of another file. `details_only` tells that nothing but details are
    to be read of it.
    """

    root_id: int
    file: FoundFile
    known: bool
    unchanged: bool = False
    touched: bool = False
    details_only: bool = False


@dataclass(frozen=True)
class RootWalk:
    """A root that is to be walked by its rules: all of it, or its `targets` alone. `on_folder` is told of each folder
    before its entries are listed.
    """

    root: Root
    rules: WalkRules
    targets: Targets | None = None
    on_folder: OnFolder = lambda folder: None


@dataclass
class RootChanges:
    """What one walk of a root came upon.

    `files`, `failures` and `taken_over` (from another root) are ids of what the library knows and the walk saw,
    `gone` ids and paths of files that it did not see, `forgotten` ids of
    failures. `offline` are the root itself or mount points below it that are
    not there at present. `identity` is that of the root when the walk began; `seen_below` counts known
    files below what was a drive once. `sidecars` are those of each photo, by its path. `archives` is what was found in
    archives. `targets` are the parts of the root that were looked at where that was not all of it, and `beyond` then
    counts the files of the root that lie elsewhere and are within reach. `rewritten` were written again with the same
    bytes, as their etags tell.
    """

    root: Root
    offline: list[bytes] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    problems: list[WalkProblem] = field(default_factory=list)
    unchanged: int = 0
    failing: int = 0
    others: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    files: set[int] = field(default_factory=set)
    gone: dict[int, bytes] = field(default_factory=dict)
    forgotten: list[int] = field(default_factory=list)
    failures: set[int] = field(default_factory=set)
    taken_over: list[int] = field(default_factory=list)
    identity: tuple[int, int] | None = None
    rules: WalkRules = field(default_factory=WalkRules)
    targets: Targets | None = None
    beyond: int = 0
    seen_below: dict[bytes, int] = field(default_factory=dict)
    mounts: set[bytes] = field(default_factory=set)
    new_problems: list[WalkProblem] = field(default_factory=list)
    sidecars: dict[bytes, list[FoundSidecar]] = field(default_factory=dict)
    archives: ArchiveWalk | None = None
    rewritten: list[FoundFile] = field(default_factory=list)

    @property
    def out_of_reach(self) -> set[bytes]:
        """Drives that are away, and what could not be looked at: of what lies there nothing is known."""
        return {*self.offline, *(problem.path for problem in self.problems if not isinstance(problem, NoFile))}
