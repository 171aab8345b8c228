"""How the learning of a fusion went, and the fusions of a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mmsearch.output import visible

if TYPE_CHECKING:
    from mmsearch.adapters.fusion import FusionReport
    from mmsearch.evaluation.metrics import Estimate
    from mmsearch.searching.fusion import ChannelWeights, StoredFusion


def print_report(report: FusionReport) -> None:
    """What a person wants to know of it, on stdout."""
    print(
        f"{report.label}: learned from {report.trained_on:,} queries in {report.seconds:.1f} s "
        f"({_said(report.channels)})"
    )
    print(
        f"held-out R@10 over {report.judged_on:,} queries: {_percent(report.base_hits)} without, "
        f"{_percent(report.fused_hits)} with it; MRR {report.base_mrr.value:.3f} and {report.fused_mrr.value:.3f}"
    )
    if report.not_in_library:
        print(f"{report.not_in_library:,} files are not in the library and were left out")
    print(f"searches merge by {report.label} now; `mmsearch adapters --use fusion@none` goes back")


def print_fusions(fusions: Sequence[StoredFusion]) -> None:
    """A line each, on stdout; the one in use is marked."""
    for one in fusions:
        mark = "*" if one.in_use else " "
        before, after = one.about["base_mrr"]["value"], one.about["fused_mrr"]["value"]
        print(
            f"{mark} {one.label}  MRR {before:.3f} → {after:.3f}  {one.about['trained_on']:,} queries of "
            f"{visible(one.about['dataset'])}  ({_said(one.fusion.channels)})"
        )


def _said(channels: Mapping[str, ChannelWeights]) -> str:
    return ", ".join(f"{name} {one.slope:.2f} {one.shift:+.2f}" for name, one in channels.items())


def _percent(found: Estimate) -> str:
    return f"{100 * found.value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}]"
