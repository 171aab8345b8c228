"""What one run of indexing did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mmsearch.indexing.walking import WalkProblem


@dataclass(frozen=True)
class Absence:
    """How many files of a root are gone and stay in the library until a person says so."""

    path: bytes
    files: int


@dataclass
class IndexReport:
    """What one run did with `model` (name and revision), counted in files.

    `moved` counts files whose content was known under another name; `failed` those that could not be read in this run,
    `failing` those that could not be read before and have not changed since; `others` those that no reader takes, and
    `unread` the same by extension. `incomplete` names files that were read in this run and are searchable, though
    something was missing or damaged in them, and says what. `encoded` counts files that had not changed and that this
    model had not encoded yet. `problems` are folders and special files that the walk could not take, `offline` roots,
    and drives below roots, that are missing or suddenly empty and were left as they are; `absent` tells of roots that
    have lost so much that their lost files stay until `prune`. `resumed` tells that the run before was cut off,
    `stopped` that this one was asked to stop. `rebuilt` says what was wrong with derived files that had to be made
    again. `searched` is the model that searches use after the run, and `lacking` how many files it has not encoded;
    `switched` tells that it was another one before. `catching_up` is what was done for a model that they wait for, and
    `hindered` why nothing was.
    """

    model: str
    added: int = 0
    updated: int = 0
    encoded: int = 0
    moved: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    failing: int = 0
    others: int = 0
    seconds: float = 0.0
    resumed: bool = False
    stopped: bool = False
    failures: list[tuple[bytes, str]] = field(default_factory=list)
    incomplete: list[tuple[bytes, str]] = field(default_factory=list)
    problems: list[WalkProblem] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)
    offline: list[bytes] = field(default_factory=list)
    absent: list[Absence] = field(default_factory=list)
    rebuilt: list[str] = field(default_factory=list)
    searched: str = ""
    lacking: int = 0
    switched: bool = False
    hindered: str = ""
    catching_up: IndexReport | None = None

    @property
    def files(self) -> int:
        """Files of these roots that are searchable now."""
        return self.added + self.updated + self.encoded + self.moved + self.unchanged
