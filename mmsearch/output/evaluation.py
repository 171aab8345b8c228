"""What an evaluation found, as tables for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mmsearch.output import visible
from mmsearch.output.columns import stdout_width, wrapped
from mmsearch.output.estimates import percent

if TYPE_CHECKING:
    from mmsearch.evaluation.metrics import Estimate
    from mmsearch.evaluation.report import Evaluation, Evaluations
    from mmsearch.evaluation.retrieval import DirectionResult
    from mmsearch.evaluation.separation import Separation

# Between two columns of a table.
_GAP = 2


def print_evaluations(measured: Evaluations) -> None:
    """Tables on stdout: percent, with 95 % intervals in brackets."""
    evaluations, dataset = measured.evaluations, measured.dataset
    first = evaluations[0]
    counts = f"{first.photos:,} photos, {first.captions:,} captions, {first.classes:,} classes"
    kept = f"{first.from_library:,} vectors from the library"
    print(wrapped(f"{visible(dataset.name)}: {counts}; {kept}. Percent [95 % interval]."))
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
    """What the threshold of a search leaves: a row each; a direction a column, or a model a column."""
    title = "at the threshold"
    if len(evaluations) == 1:
        _print_separation(title, [(found.direction, found) for found in evaluations[0].separations])
        return
    directions = dict.fromkeys(found.direction for one in evaluations for found in one.separations)
    for direction in directions:
        _print_separation(
            f"{direction}, {title}",
            [(one.model, found) for one in evaluations for found in one.separations if found.direction == direction],
        )


def _print_separation(title: str, columns: Sequence[tuple[str, Separation]]) -> None:
    told: dict[str, Callable[[Separation], str]] = {
        "ROC AUC": lambda found: "" if found.roc_auc is None else f"{found.roc_auc:.3f}",
        "precision": lambda found: f"{100 * found.precision:.1f}",
        "recall": lambda found: f"{100 * found.recall:.1f}",
        "F1": lambda found: f"{100 * found.f1:.1f}",
        "answered": lambda found: percent(found.answered),
        "nonsense refused": lambda found: percent(found.refused),
        "hidden": lambda found: _percent_or_not(found.hidden),
        "absent refused": lambda found: _percent_or_not(found.refused_absent),
    }
    rows = [[name, *(said(found) for _, found in columns)] for name, said in told.items()]
    if columns:
        _print_table([title, *(name for name, _ in columns)], [row for row in rows if any(row[1:])])


def _percent_or_not(estimate: Estimate | None) -> str:
    return "" if estimate is None else percent(estimate)


def _print_comparisons(evaluations: Sequence[Evaluation]) -> None:
    """A table for each direction of each model, a setting a row."""
    for one in evaluations:
        for direction in dict.fromkeys(setting.direction for setting in one.comparisons):
            settings = [setting for setting in one.comparisons if setting.direction == direction]
            has_many = any(setting.recall_at_100 is not None for setting in settings)
            _print_table(
                [
                    "setting", "bytes a\nvector", "recall\n@10", *(["recall\n@100"] if has_many else []), "R@10", "ms",
                    "ms,\n99 %",
                ],
                (
                    [
                        setting.name, f"{setting.bytes_per_vector:,.0f}", f"{100 * setting.recall_at_10:.2f}",
                        *([_share(setting.recall_at_100)] if has_many else []), f"{100 * setting.hits_at_10:.1f}",
                        f"{setting.median_ms:.2f}", f"{setting.slowest_ms:.2f}",
                    ]
                    for setting in settings
                ),
                title=f"{direction}, {one.model}, gallery of {settings[0].gallery:,}",
            )  # fmt: skip


def _share(found: float | None) -> str:
    return "" if found is None else f"{100 * found:.2f}"


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Prints a table, in several of some columns each where all are too wide; the first stands in each."""
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    lines = [["\n".join(map(visible, cell.split("\n"))) for cell in row] for row in (head, *rows)]
    widths = [
        max(cell_len(part) for cell in column for part in cell.split("\n")) for column in zip(*lines, strict=True)
    ]
    console = Console(width=stdout_width())
    print(*(["", visible(title)] if title else []), sep="\n")
    for number, columns in enumerate(_columns_that_fit(widths, console.width)):
        if number:
            print()
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
        for place in columns:
            table.add_column(Text(lines[0][place]), justify="right" if place else "left")
        for line in lines[1:]:
            table.add_row(*(Text(line[place]) for place in columns))
        console.print(table)


def _columns_that_fit(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """The places of the columns of one table after the other: the first, and as many as there is room for."""
    columns = [0]
    for place in range(1, len(widths)):
        if len(columns) > 1 and sum(widths[one] + _GAP for one in columns) + widths[place] > room:
            yield columns
            columns = [0]
        columns.append(place)
    yield columns
