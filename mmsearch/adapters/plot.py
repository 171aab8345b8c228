"""The course of a training as a picture."""

from __future__ import annotations

import os
from typing import Any

from mmsearch.adapters.recipe import AdapterReport
from mmsearch.errors import Remedy, Unavailable, Unsupported


def check_plot(path: str | os.PathLike[str]) -> None:
    """Before the work of a training: raises Unavailable where its plot could not be drawn or written."""
    _drawing()
    folder = os.path.dirname(os.path.abspath(path))
    if not path or os.path.isdir(path) or not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise Unavailable(f"The plot {os.fspath(path)} cannot be written; choose another place for it.")


def plot_training(report: AdapterReport, path: str | os.PathLike[str]) -> None:
    """Writes a PNG: loss and held-out R@10 by epoch, the chosen epoch, and R@10 without the adapter.

    Raises:
        Unsupported: matplotlib is not installed. Unavailable: the file cannot be written.
    """
    figure = _drawing()(figsize=(8, 4.5), layout="constrained")
    recalls = figure.add_subplot()
    losses = recalls.twinx()
    epochs = [one.number for one in report.history]
    recalls.plot(epochs, [100 * one.recall for one in report.history], color="tab:blue", marker=".", label="R@10")
    recalls.axhline(100 * report.history[0].recall, color="tab:blue", linestyle=":", label="R@10 without adapter")
    recalls.axvline(report.kept_epoch, color="tab:grey", linestyle="--", label="kept epoch")
    trained = [one for one in report.history if one.loss is not None]
    losses.plot([one.number for one in trained], [one.loss or 0.0 for one in trained], color="tab:orange", label="loss")
    recalls.set(xlabel="epoch", ylabel="R@10 on photos that stop the training, %")
    recalls.set_title(f"{report.model}+{report.label}" if report.label else f"{report.model}, adapter not kept")
    losses.set(ylabel="loss")
    handles = [*recalls.get_legend_handles_labels()[0], *losses.get_legend_handles_labels()[0]]
    recalls.legend(handles, [str(one.get_label()) for one in handles], loc="center right")
    try:
        figure.savefig(path, format="png", dpi=120)
    except OSError as error:
        raise Unavailable(f"The plot {os.fspath(path)} cannot be written ({error.strerror}).") from error


def _drawing() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Unsupported("The plot needs matplotlib", Remedy("extra.or_no_plot", "clip")) from error
    return Figure
