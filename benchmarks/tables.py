"""Markdown tables, plots, and how a cost grows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "-|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The slope of log cost over log size (least squares): 1 is proportional, 0 independent of the size."""
    x, y = [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def write_section(document: Path, title: str, text: str) -> None:
    """Puts a section of that title into the Markdown file, in the place of an older one."""
    before = document.read_text(encoding="utf-8") if document.exists() else "# Benchmarks\n"
    parts = before.split("\n## ")
    section = f"{title}\n\n{text.strip()}\n"
    for number, part in enumerate(parts[1:], start=1):
        if part.split("\n", 1)[0] == title:
            parts[number] = section
            break
    else:
        parts.append(section)
    document.parent.mkdir(parents=True, exist_ok=True)
    document.write_text("\n## ".join(part.rstrip("\n") + "\n" for part in parts), encoding="utf-8")


def plot(path: Path, curves: Mapping[str, Mapping[int, float]], x_label: str, y_label: str) -> None:
    """Curves over a logarithmic axis; needs matplotlib (the clip extra)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2), dpi=110, layout="constrained")
    for name, points in curves.items():
        axes.plot(list(points), list(points.values()), "o-", label=name)
    values = [value for points in curves.values() for value in points.values()]
    axes.set(xscale="log", yscale="log", xlabel=x_label, ylabel=y_label, ylim=(min(values) / 3, max(values) * 3))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(True, which="both", alpha=0.25)
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    pyplot.close(figure)
