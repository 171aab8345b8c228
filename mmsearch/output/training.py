"""How a training went, and the adapters of a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmsearch.output import visible
from mmsearch.output.estimates import share

if TYPE_CHECKING:
    from mmsearch.adapters.recipe import AdapterReport
    from mmsearch.adapters.training import AdapterStatus


def print_report(report: AdapterReport) -> None:
    """What a person wants to know of a training, on stdout."""
    doubt = "" if report.best_epoch else ", though no epoch was better than no adapter"
    print(
        f"{report.label}: trained on {report.trained_on:,} photos in {report.seconds:.1f} s, epoch {report.kept_epoch} "
        f"of {len(report.history) - 1} kept{doubt}"
    )
    print(
        f"held-out R@10 over {report.judged_on:,} photos: {share(report.base)} without, "
        f"{share(report.adapted)} with it, difference {share(report.difference)}"
    )
    print(f"mean average precision: {share(report.base_map)} without, {share(report.adapted_map)} with it")
    print(f"searches use {visible(report.model)}+{report.label} now; `mmsearch adapters --use none` goes back")


def print_adapters(adapters: Sequence[AdapterStatus]) -> None:
    """A line each, on stdout; the one in use is marked."""
    for one in adapters:
        report = one.about["report"]
        mark = "*" if one.in_use else " "
        note = "" if one.usable else "  (made for another model)"
        gain = ", ".join(
            f"{metric} {100 * report[before]['value']:.1f} → {100 * report[after]['value']:.1f} %"
            for metric, before, after in (("R@10", "base", "adapted"), ("MAP", "base_map", "adapted_map"))
        )
        print(f"{mark} {one.label}  {gain}  {report['trained_on']:,} photos of {visible(one.about['dataset'])}{note}")
    if not adapters:
        print("no adapters; `mmsearch train` makes one")


def print_adapters_and_fusions(found: Mapping[str, Any]) -> None:
    """Both lists; of fusions nothing where there are none."""
    from mmsearch.output.fusions import print_fusions

    print_adapters(found["adapters"])
    print_fusions(found["fusions"])
