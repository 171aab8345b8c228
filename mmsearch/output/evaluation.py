"""What an evaluation found, as tables for a person."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mmsearch.output import visible
from mmsearch.output.estimates import percent

if TYPE_CHECKING:
    from mmsearch.evaluation.report import Evaluation, Evaluations
    from mmsearch.evaluation.retrieval import DirectionResult

_FILE_WIDTH = 160


def print_evaluations(measured: Evaluations) -> None:
    """Tables on stdout: percent, with 95 % intervals in brackets."""
    evaluations, dataset = measured.evaluations, measured.dataset
    first = evaluations[0]
    print(
        f"{visible(dataset.name)}: {first.photos:,} photos, {first.captions:,} captions, {first.classes:,} classes; "
        f"{first.from_library:,} vectors from the library. Percent [95 % interval]."
    )
    _print_directions(evaluations)
    for one in evaluations:
        if one.channels:
            title = "by channel" if len(evaluations) == 1 else f"{one.model}, by channel"
            _print_metrics(title, [(result.name, result) for result in one.channels])
    _print_zero_shot(evaluations)
    _print_separations(evaluations)
    _print_comparisons(evaluations)


def _print_directions(evaluations: Sequence[Evaluation]) -> None:
    """A metric a row; a direction a column, or a model a column where there are several."""
    if len(evaluations) == 1:
        (one,) = evaluations
        _print_metrics(one.model, [(direction.name, direction) for direction in one.directions])
        return
    for place, direction in enumerate(evaluations[0].directions):
        _print_metrics(direction.name, [(one.model, one.directions[place]) for one in evaluations])


def _print_metrics(title: str, columns: Sequence[tuple[str, DirectionResult]]) -> None:
    results = [result for _, result in columns]
    counts = [
        ["queries", *(f"{result.queries:,}" for result in results)],
        ["gallery", *(f"{result.gallery:,}" for result in results)],
    ]
    metrics = [[name, *(percent(result.metrics[name]) for result in results)] for name in results[0].metrics]
    _print_table([title, *(name for name, _ in columns)], [*counts, *metrics])


def _print_zero_shot(evaluations: Sequence[Evaluation]) -> None:
    rows = [(one.model, one.zero_shot) for one in evaluations if one.zero_shot is not None]
    if rows:
        _print_table(
            ["naming photos", "photos", "classes", "top-1", "top-5"],
            (
                [model, f"{named.photos:,}", f"{named.classes:,}", percent(named.top_1), percent(named.top_5)]
                for model, named in rows
            ),
        )


def _print_separations(evaluations: Sequence[Evaluation]) -> None:
    rows = [(one.model, found) for one in evaluations for found in one.separations]
    if rows:
        _print_table(
            [
                "at the threshold", "model", "ROC AUC", "precision", "recall", "F1", "answered",
                "nonsense refused", "hidden", "absent refused",
            ],
            (
                [
                    found.direction, model,
                    "" if found.roc_auc is None else f"{found.roc_auc:.3f}",
                    f"{100 * found.precision:.1f}", f"{100 * found.recall:.1f}", f"{100 * found.f1:.1f}",
                    percent(found.answered), percent(found.refused),
                    percent(found.hidden) if found.hidden else "",
                    percent(found.refused_absent) if found.refused_absent else "",
                ]
                for model, found in rows
            ),
            left=2,
        )  # fmt: skip


def _print_comparisons(evaluations: Sequence[Evaluation]) -> None:
    rows = [(one.model, setting) for one in evaluations for setting in one.comparisons]
    has_many = any(setting.recall_at_100 is not None for _, setting in rows)
    if rows:
        _print_table(
            [
                "setting", "direction", "model", "gallery", "bytes a vector", "recall@10",
                *(["recall@100"] if has_many else []), "R@10", "ms", "ms, 99 %",
            ],
            (
                [
                    setting.name, setting.direction, model, f"{setting.gallery:,}", f"{setting.bytes_per_vector:,.0f}",
                    f"{100 * setting.recall_at_10:.2f}", *([_share(setting.recall_at_100)] if has_many else []),
                    f"{100 * setting.hits_at_10:.1f}", f"{setting.median_ms:.2f}", f"{setting.slowest_ms:.2f}",
                ]
                for model, setting in rows
            ),
            left=3,
        )  # fmt: skip


def _share(found: float | None) -> str:
    return "" if found is None else f"{100 * found:.2f}"


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for place, title in enumerate(head):
        table.add_column(Text(title), justify="left" if place < left else "right")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _FILE_WIDTH
    console = Console(width=width)
    console.print()
    console.print(table)
