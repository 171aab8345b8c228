"""`mmsearch train --fusion`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsearch.cli.running import progress_bar, show, stoppable

if TYPE_CHECKING:
    from mmsearch.evaluation.datasets import Dataset


def train_fusion(dataset: Dataset, force: bool, as_json: bool, library: str | None) -> None:
    """Learns how channels are merged, and says how held-out queries do."""
    from mmsearch.library import Library
    from mmsearch.output import fusions as printed

    with (
        Library(library) as opened,
        stoppable("stopped; nothing was kept."),
        progress_bar(quiet=as_json) as on_progress,
    ):
        report = opened.fusions.train(dataset, force=force, on_progress=on_progress)
    show(report, as_json, printed.print_report)
