"""`Library().fusions`: what each channel's scores are worth, as learned from queries with known answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from mmsearch.library.access import Access
from mmsearch.searching.fusion import (
    ALL_FUSIONS,
    NO_FUSION,
    StoredFusion,
    add_fusion,
    find_fusion,
    remove_all_fusions,
    remove_fusion,
    stored_fusions,
    use_fusion,
)
from mmsearch.searching.options import SessionOptions

if TYPE_CHECKING:
    from mmsearch.adapters.fusion import FusionReport
    from mmsearch.evaluation.datasets import Dataset
    from mmsearch.records import Progress


class Fusions:
    """The door `Library().fusions`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def list(self) -> tuple[StoredFusion, ...]:
        """The library's fusions, by number."""
        with self._access.guarded():
            return tuple(stored_fusions(self._access.reading()))

    def train(
        self, dataset: Dataset, *, force: bool = False, on_progress: Callable[[Progress], None] = lambda progress: None
    ) -> FusionReport:
        """Learns how channels are merged from captions and labels of files that the library holds, and uses it.

        From queries of a picture and words that such files answer (`PictureQuery`) it learns what a picture weighs
        beside words. What of both lets held-out queries find no more is left as it is; where nothing does more it is
        refused (FusionRefused), unless `force` is given, which keeps all. `use("fusion@none")` goes back.
        """
        from mmsearch.adapters.fusion import learn_fusion, refuse_no_better, what_helps
        from mmsearch.indexing.roots import absolute

        access = self._access
        with access.guarded(), access.new_session(SessionOptions(fusion=NO_FUSION)) as session:
            store = access.reading()
            fusion, report = learn_fusion(
                session, lambda path: store.digest_at(absolute(path)) is not None, dataset, on_progress
            )
            if not force:
                refuse_no_better(report)
                fusion = what_helps(fusion, report)
                report = replace(report, channels=fusion.channels)
            with access.writing() as writer:
                about = {key: one for key, one in asdict(report).items() if key not in ("label", "channels")}
                return replace(report, label=add_fusion(writer, fusion, about).label)

    def use(self, name: str) -> str:
        """Searches merge by that fusion from now on, `fusion@1`; `fusion@none` for none. Returns its label."""
        with self._access.guarded():
            found = None if name == NO_FUSION else find_fusion(stored_fusions(self._access.reading()), name)
            with self._access.writing() as store:
                use_fusion(store, found.number if found else None)
            return found.label if found else NO_FUSION

    def remove(self, name: str) -> str:
        """Takes a fusion out of the library for good, or with `fusion@all` all of them, damaged ones too."""
        with self._access.guarded():
            if name == ALL_FUSIONS:
                with self._access.writing() as store:
                    remove_all_fusions(store)
                return "all fusions"
            found = find_fusion(stored_fusions(self._access.reading()), name)
            with self._access.writing() as store:
                remove_fusion(store, found.number)
            return found.label
