"""How a library sets a run of `index` and a worker to work, on whichever machine the files are mounted."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from mmsearch.library.access import Access

if TYPE_CHECKING:
    from mmsearch.indexing.report import IndexReport
    from mmsearch.indexing.run import IndexRequest
    from mmsearch.indexing.work import WorkReport, WorkSettings
    from mmsearch.library.mounts import Mounts
    from mmsearch.records import Progress


class Working:
    """The part of `Library` that reads and encodes files."""

    _access: Access

    @cached_property
    def mounts(self) -> Mounts:
        """Where this machine has the folders that teams' libraries know by the paths of another one."""
        from mmsearch.library.mounts import Mounts

        return Mounts(self._access)

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

    def _index(self, request: IndexRequest, on_progress: Callable[[Progress], None]) -> IndexReport:
        from mmsearch.indexing.run import IndexRun

        access = self._access
        with access.guarded():
            run = IndexRun(access.place, request, access.encoders, access.refresh, on_progress)
            return run.run(is_new=not access.exists())
