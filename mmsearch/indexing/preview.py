"""What a run of `index` would do, as far as names, sizes and times tell. Nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mmsearch.indexing.changes import RootChanges, RootWalk
from mmsearch.indexing.gone import is_many, things
from mmsearch.indexing.reconciling import Known, look_at_root
from mmsearch.indexing.rereading import files_to_read
from mmsearch.indexing.roots import check_root, roots_to_walk
from mmsearch.indexing.walking import WalkProblem, WalkRules, check_rules
from mmsearch.reading import ReadLimits, readers_label
from mmsearch.records import Progress, Root
from mmsearch.store.models import searched_model
from mmsearch.store.protocol import Store


@dataclass
class IndexPreview:
    """What a run would do, counted in files.

    `encoded` have not changed, but the model lacks them; `failing` could not be read before. What was moved counts as
    `added` and as `removed`. `absent` are gone, and would stay until a person says so, as there are many; `others` are
    of kinds that no reader takes, `unread` by extension. `offline` are roots and drives that are not there.
    """

    library: str
    added: int = 0
    updated: int = 0
    encoded: int = 0
    unchanged: int = 0
    removed: int = 0
    absent: int = 0
    failing: int = 0
    others: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    problems: list[WalkProblem] = field(default_factory=list)
    offline: list[bytes] = field(default_factory=list)


def preview(
    store: Store,
    library: str,
    paths: Sequence[bytes],
    rules: WalkRules | None,
    on_progress: Callable[[Progress], None],
) -> IndexPreview:
    """Walks `paths`, or all roots of the library, which is called so, where there are none, and compares.

    Raises:
        MmsearchError: a path is not there, or a pattern is none.
    """
    for path in paths:
        check_root(path)
    if rules is not None:
        check_rules(rules)
    there, missing = roots_to_walk(store, paths, rules, everything=False)
    stored = {root.path: root for root in store.roots()}
    model = searched_model(store)
    number = model.id if model else 0
    known = Known(
        number, readers_label(), files_to_read(store, number, ReadLimits()), heard=store.found_by_sound(number)
    )
    found = IndexPreview(library, offline=missing)
    seen = 0

    def tell(more: int) -> None:
        nonlocal seen
        seen += more
        on_progress(Progress("looking for files", seen, None, "files"))

    asked = {path for path, _ in there}
    for path, held in there:
        root = stored.get(path) or Root(-1, path, "", None, (), 0)
        _count(look_at_root(store, RootWalk(root, held), known, tell, asked - {path}), found)
    return found


def _count(changes: RootChanges, found: IndexPreview) -> None:
    for candidate in changes.candidates:
        found.added += not candidate.known
        found.encoded += candidate.known and candidate.unchanged
        found.updated += candidate.known and not candidate.unchanged
    lost = len(changes.gone)
    kept = lost if is_many(changes, things(changes.gone, changes.gone)) else 0
    found.removed += lost - kept
    found.absent += kept
    found.unchanged += changes.unchanged
    found.failing += changes.failing
    found.others += changes.others
    found.unread += changes.unread
    found.problems += changes.problems
    found.offline += changes.offline
