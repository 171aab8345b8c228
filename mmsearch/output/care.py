"""What prune, compact, backup, copy and doctor found or did."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mmsearch.output import counted, visible

if TYPE_CHECKING:
    from mmsearch.care.copying import Copied
    from mmsearch.care.doctor import Diagnosis
    from mmsearch.indexing.pruning import Losses, Pruned
    from mmsearch.store.sqlite.backup import Backup
    from mmsearch.store.sqlite.compaction import Compacted
    from mmsearch.store.sqlite.salvage import Salvaged

_SHOWN_LOSSES = 30


def print_losses(losses: Losses) -> None:
    """What is gone, on stdout: a line for each folder or file."""
    if not losses.files:
        print("nothing is gone")
        return
    for loss in losses.losses[:_SHOWN_LOSSES]:
        print(f"{loss.files:>9,}  {visible(os.fsdecode(loss.path))}")
    more = losses.losses[_SHOWN_LOSSES:]
    if more:
        print(f"{sum(loss.files for loss in more):>9,}  in {len(more):,} other places")
    print(f"{losses.files:>9,}  in all are gone from the disk")


def pruned(result: Pruned) -> str:
    """How many files were dropped."""
    return f"{counted(result.dropped, 'file')} dropped"


def compacted(done: Compacted) -> str:
    """What the library took, and takes now."""
    return f"{done.before / 1e6:,.1f} MB before, {done.after / 1e6:,.1f} MB now"


def backed_up(done: Backup) -> str:
    """Where the copy lies, and what is in it."""
    return f"{visible(done.path)}: {counted(done.files, 'file')}, {done.bytes / 1e6:,.1f} MB"


def copied(done: Copied) -> str:
    """Where the library lies now as well, and what is in it."""
    items = f"{counted(done.items, 'item')} of {counted(done.models, 'model')}"
    return f"{visible(done.library)}: {counted(done.files, 'file')}, {items}"


def _what_is_saved(saved: Salvaged) -> str:
    files, roots = counted(saved.files, "file"), counted(saved.roots, "root")
    return f"{files} in {roots}, and {counted(saved.contents, 'content')}"


def print_diagnosis(diagnosis: Diagnosis) -> None:
    """What is wrong with a library and what to do about it, on stdout."""
    print(f"library   {visible(diagnosis.library)}")
    if diagnosis.sound:
        print("sound     nothing is wrong")
        return
    for finding in diagnosis.findings:
        print(f"{finding.subject:<9} {visible(finding.problem)}")
    saved = diagnosis.salvageable
    if diagnosis.repaired:
        if saved is not None:
            print(f"saved     {_what_is_saved(saved)}")
            print(f"kept      the damaged database, as {visible(diagnosis.kept or '')}")
        print("repaired  run `mmsearch index` to take in again what could not be saved")
    elif saved is not None:
        print(f"can save  {_what_is_saved(saved)}; `mmsearch doctor --repair` does")
    else:
        print("remedy    `mmsearch doctor --repair` makes it again; what was encoded and is sound stays")
