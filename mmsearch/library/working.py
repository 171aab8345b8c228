"""How a library sets runs of `index` and workers to work, on whichever machine the files are mounted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from mmsearch.library.access import Access

if TYPE_CHECKING:
    from mmsearch.indexing.preview import IndexPreview
    from mmsearch.indexing.report import IndexReport
    from mmsearch.indexing.run import IndexRequest, IndexSettings
    from mmsearch.indexing.walking import WalkRules
    from mmsearch.indexing.work import WorkReport, WorkSettings
    from mmsearch.library.mounts import Mounts
    from mmsearch.records import Progress
    from mmsearch.store.measures import Measure, MeasureGroup
    from mmsearch.store.queue_state import QueueState


class Working:
    """The part of `Library` that reads and encodes files, and tells monitors how that goes."""

    _access: Access

    @cached_property
    def mounts(self) -> Mounts:
        """Where this machine has the folders that teams' libraries know by the paths of another one."""
        from mmsearch.library.mounts import Mounts

        return Mounts(self._access)

    def index(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        *,
        rules: WalkRules | None = None,
        model: str | None = None,
        rebuild: bool = False,
        retry: bool = False,
        settings: IndexSettings | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> IndexReport:
        """Brings the library up to date with `paths`, or with all its roots if there are none.

        `rules` are remembered with the paths; without them those of the last time hold. `model` encodes beside the
        one that searches use, which stays as it is until `models.use`; without it files are encoded with the one that
        searches use and then, where another is waited for, with that, and with those of sound, which searches ask too;
        one of sound encodes after the one that searches use. `rebuild` encodes all files again; `retry`
        reads what failed before. `settings` tell how: limits, threads, and whether there is an HNSW graph, and
        what stops it.
        """
        from mmsearch.indexing.roots import all_absolute
        from mmsearch.indexing.run import IndexRequest, IndexSettings

        request = IndexRequest(all_absolute(paths), None, rules, model, rebuild, retry, settings or IndexSettings())
        return self._index(request, on_progress)

    def index_only(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        settings: IndexSettings | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> IndexReport:
        """Brings the library up to date with those files and folders within its roots, and walks nothing else.

        What is new or changed there is read, and what is gone there is dropped, as a walk of all roots would do it.
        What lies in no root is passed over.
        """
        from mmsearch.indexing.roots import all_absolute
        from mmsearch.indexing.run import IndexRequest, IndexSettings

        only = all_absolute(paths)
        return self._index(IndexRequest(only=only, settings=settings or IndexSettings()), on_progress)

    def preview(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        *,
        rules: WalkRules | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> IndexPreview:
        """What `index` would do with these paths, as far as names, sizes and times tell. Nothing is written."""
        from mmsearch.indexing.preview import preview
        from mmsearch.indexing.roots import all_absolute

        with self._access.guarded(), self._access.reading_or_empty() as store:
            return preview(store, self._access.location, all_absolute(paths), rules, on_progress)

    def work(
        self,
        settings: WorkSettings | None = None,
        *,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        on_notice: Callable[[str], None] = lambda sentence: None,
    ) -> WorkReport:
        """Encodes what runs of `index` have queued for workers, beside any number of others, on any machines.

        It goes on until `settings` say that it is to end. `on_notice` is told, in a sentence, what holds it up.
        """
        from mmsearch.indexing.work import WorkSettings
        from mmsearch.indexing.worker import Worker

        access = self._access
        return Worker(access.place, access.encoders, settings or WorkSettings(), on_progress, on_notice).run()

    def queue_state(self) -> QueueState:
        """How it stands with what waits for workers.

        Raises:
            Refused: the library has no queue.
        """
        from mmsearch.library.queue import queue_state

        access = self._access
        with access.guarded():
            state = queue_state(access.reading())
            if state is None:
                access.place.share().close()  # which says why there is none
            assert state is not None
            return state

    def pause_queue(self, root: str | os.PathLike[str] | None = None, model: str | None = None) -> None:
        """Lets no worker begin what waits of that root and that model, or all of it, until it is resumed.

        Workers finish what they are at.
        """
        from mmsearch.indexing.roots import absolute
        from mmsearch.library.queue import pause

        with self._access.guarded():
            pause(self._access, None if root is None else absolute(root), model)

    def resume_queue(self, root: str | os.PathLike[str] | None = None, model: str | None = None) -> int:
        """Lets workers go on with what was paused of that root and that model, or with all. Returns how many pauses
        there were of it.
        """
        from mmsearch.indexing.roots import absolute
        from mmsearch.library.queue import resume

        with self._access.guarded():
            return resume(self._access, None if root is None else absolute(root), model)

    def measures(self, groups: Sequence[MeasureGroup] | None = None) -> dict[MeasureGroup, tuple[Measure, ...] | None]:
        """What a monitor is told of a library that workers share: the measures of some groups, or of all.

        They are taken from the database, and cost it little; None stands for those that it did not tell in time, or
        that its role may not see. Nothing for a library in a folder: what there is to be told stands in its status.
        """
        from mmsearch.indexing.roots import is_away
        from mmsearch.store.measures import MEASURE_GROUPS, Measure

        access = self._access
        with access.guarded():
            store = access.reading()
            if not store.has_measures:
                return {}
            told = {group: store.measured(group) for group in groups or MEASURE_GROUPS}
            if "roots" in told:
                away = sum(is_away(store, root) for root in store.roots())
                told["roots"] = (Measure("roots_offline", away),)
            return told

    def _index(self, request: IndexRequest, on_progress: Callable[[Progress], None]) -> IndexReport:
        from mmsearch.indexing.run import IndexRun

        access = self._access
        with access.guarded():
            run = IndexRun(access.place, request, access.encoders, access.refresh, on_progress)
            return run.run(is_new=not access.exists())
