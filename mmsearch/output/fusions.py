"""How the learning of a fusion went, and the fusions of a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mmsearch.output import visible
from mmsearch.output.estimates import share

if TYPE_CHECKING:
    from mmsearch.adapters.fusion import FusionReport
    from mmsearch.adapters.held_out import Judged
    from mmsearch.searching.fusion import ChannelWeights, StoredFusion


def print_report(report: FusionReport) -> None:
    """What a person wants to know of it, on stdout."""
    learned = [f"{report.trained_on:,} queries"] if report.judged else []
    learned += [f"{report.picture.trained_on:,} of a picture with words"] if report.picture else []
    print(
        f"{report.label}: learned from {' and '.join(learned)} in {report.seconds:.1f} s "
        f"({_said(report.channels, report.picture.weight if report.picture else 1.0)})"
    )
    if report.judged:
        print(_told("", report.judged_on, report.judged))
    if report.picture:
        print(_told(" of a picture with words", report.picture.judged_on, report.picture.judged))
    if report.not_in_library:
        print(f"{report.not_in_library:,} files are not in the library and were left out")
    print(f"searches merge by {report.label} now; `mmsearch adapters --use fusion@none` goes back")


def print_fusions(fusions: Sequence[StoredFusion]) -> None:
    """A line each, on stdout; the one in use is marked."""
    for one in fusions:
        mark = "*" if one.in_use else " "
        judged = [part for part in (one.about, one.about.get("picture")) if part and part["base_mrr"]]
        moved = ", ".join(f"{part['base_mrr']['value']:.3f} → {part['fused_mrr']['value']:.3f}" for part in judged)
        count = sum(part["trained_on"] for part in judged)
        print(
            f"{mark} {one.label}  MRR {moved}  {count:,} queries of {visible(one.about['dataset'])}  "
            f"({_said(one.channels, one.picture_weight)})"
        )


def _told(which: str, count: int, judged: Judged) -> str:
    left = "" if judged.better else "; no more, so it stays as it was unless it was forced"
    return (
        f"held-out R@10 over {count:,} queries{which}: {share(judged.base_hits)} without, "
        f"{share(judged.fused_hits)} with it; MRR {judged.base_mrr.value:.3f} and {judged.fused_mrr.value:.3f}{left}"
    )


def _said(channels: Mapping[str, ChannelWeights], picture: float) -> str:
    told = [f"{name} {one.slope:.2f} {one.shift:+.2f}" for name, one in channels.items()]
    return ", ".join([*told, *([] if picture == 1.0 else [f"a picture beside words {picture:.2f}"])])
