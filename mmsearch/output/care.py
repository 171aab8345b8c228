"""What prune, compact, backup and doctor found or did."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mmsearch.output import SCHEMA_VERSION, visible

if TYPE_CHECKING:
    from mmsearch.care.doctor import Diagnosis
    from mmsearch.indexing.pruning import Losses
    from mmsearch.store.sqlite.upkeep import Backup, Compacted

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


def losses_as_json(losses: Losses, dropped: int) -> dict[str, Any]:
    """What `prune` found and did, as docs/json.md describes it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "files": losses.files,
        "losses": [{"path": os.fsdecode(loss.path), "files": loss.files} for loss in losses.losses],
        "dropped": dropped,
    }


def compacted_as_json(compacted: Compacted) -> dict[str, Any]:
    """What `compact` did, as docs/json.md describes it."""
    return {"schema_version": SCHEMA_VERSION, **asdict(compacted)}


def backup_as_json(backup: Backup) -> dict[str, Any]:
    """What `backup` did, as docs/json.md describes it."""
    return {"schema_version": SCHEMA_VERSION, **asdict(backup)}


def diagnosis_as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """What `doctor` found and did, as docs/json.md describes it."""
    return {"schema_version": SCHEMA_VERSION, "sound": diagnosis.is_sound, **asdict(diagnosis)}


def print_diagnosis(diagnosis: Diagnosis) -> None:
    """What is wrong with a library and what to do about it, on stdout."""
    print(f"library   {visible(diagnosis.library)}")
    if diagnosis.is_sound:
        print("sound     nothing is wrong")
        return
    for finding in diagnosis.findings:
        print(f"{finding.subject:<9} {visible(finding.problem)}")
    saved = diagnosis.salvageable
    if diagnosis.repaired:
        if saved is not None:
            print(f"saved     {saved.files:,} files in {saved.roots:,} roots, and {saved.contents:,} contents")
            print(f"kept      the damaged database, as {visible(diagnosis.kept or '')}")
        print("repaired  run `mmsearch index` to take in again what could not be saved")
    elif saved is not None:
        print(
            f"can save  {saved.files:,} files in {saved.roots:,} roots, and {saved.contents:,} contents; "
            "`mmsearch doctor --repair` does"
        )
    else:
        print("remedy    `mmsearch doctor --repair` makes it again; what was encoded and is sound stays")
