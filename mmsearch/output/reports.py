"""What index, status and forget did or found."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mmsearch.files.member_paths import ARCHIVE_EXTENSIONS
from mmsearch.files.remote_paths import is_remote
from mmsearch.output import counted, visible
from mmsearch.output.columns import stdout_width
from mmsearch.output.mounts import PLACING
from mmsearch.output.unread import unread_said
from mmsearch.output.work import queue_lines
from mmsearch.records import BUILTIN_MODEL
from mmsearch.store.locations import is_url

if TYPE_CHECKING:
    from mmsearch.indexing.preview import IndexPreview
    from mmsearch.indexing.report import FailedFile, IndexReport, StageReport
    from mmsearch.indexing.roots import RootStatus
    from mmsearch.indexing.walking import WalkProblem, WalkRules
    from mmsearch.library.contents import Forgotten, StageStatus, Status
    from mmsearch.library.models import LibraryModel
    from mmsearch.output import Worded
    from mmsearch.store.queue_state import RunState

_SHOWN_FAILURES = 5
# What follows below a line of the status stands so far to the right.
_INDENT = " " * 10
# What each stage looks for.
_STAGES = {"ocr": "text in pictures", "speech": "speech"}


def model_state(model: LibraryModel) -> str:
    """One line on a model beside the one that searches use."""
    missing = f", {model.lacking:,} not yet" if model.lacking else ""
    missing += f", {model.failed:,} it could not" if model.failed else ""
    waits = "; searches use it once it has encoded them all" if model.wanted else ""
    what = "files heard" if model.hears else "files encoded"
    return f"{model.label}: {model.files:,} {what}{missing}{waits}"


def summary(report: IndexReport) -> str:
    """One line that says what a run did, and how many files it found searchable."""
    what = f"encoded with {visible(report.model)}" if _is_beside(report) else "searchable"
    return f"{counted(report.files, 'file')} {what}: {changes(report)}"


def changes(report: IndexReport) -> str:
    """What a run did, how long it took, and how fast it was."""
    counts = [
        (report.added, "added"),
        (report.updated, "updated"),
        (report.encoded, "known before" if _is_beside(report) else f"encoded with {visible(report.model)}"),
        (report.moved, "moved or copied"),
        (report.unchanged, "unchanged"),
        (report.removed, "removed"),
        (report.failed + report.failing + len(report.problems), "failed"),  # as `status` counts them
        (report.details_read, "with new details"),
    ]
    said = ", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing found"
    rate = ""
    done = report.added + report.updated + report.encoded + report.moved + report.failed
    if report.seconds >= 1 and done >= report.seconds:
        rate = f" ({done / report.seconds:,.0f} files/s)"
    return f"{said} in {report.seconds:.1f} s{rate}"


def previewed(preview: IndexPreview) -> str:
    """What a run would do: a line for each kind of change."""
    counts = [
        (preview.added, "would be added"),
        (preview.updated, "would be updated"),
        (preview.encoded, "would be encoded again"),
        (preview.removed, "would be removed"),
        (preview.absent, "are gone at once and would stay until `mmsearch prune`, but for those that were moved"),
        (preview.unchanged, "are unchanged"),
        (preview.failing, "could not be read before and have not changed"),
        (preview.others, "are of kinds that are not read"),
    ]
    said = [f"{count:>9,}  {what}" for count, what in counts if count]
    said += [f"{visible(os.fsdecode(path))} {_away(path)}; its files would stay" for path in preview.offline]
    return "\n".join(said)


def _away(path: bytes) -> str:
    return "cannot be reached or is empty" if is_remote(path) else "is missing or empty (a drive that is away?)"


def _kept(path: bytes, report: IndexReport) -> str:
    """What becomes of the files of a root that is away, and what helps."""
    left = sum(one.files for one in report.unreached if one.path == path)
    if left:
        files = "1 file that was to be read is" if left == 1 else f"{left:,} files that were to be read are"
        return f"what was stored stays, and {files} left to the next `mmsearch index`"
    stay = "its files stay in the library"
    if is_remote(path):
        return f"{stay}, and `mmsearch prune` drops those that are gone for good"
    if is_url(report.library):
        return f"{stay}; where this machine has it at another path, {PLACING}"
    return f"{stay}, and `mmsearch prune` drops them"


def _is_beside(report: IndexReport) -> bool:
    """Whether the run was for a model that searches do not use."""
    return report.searched not in ("", report.model)


def notes(report: IndexReport, worded: Worded) -> list[str]:
    """What a person should know beside the summary: one sentence each; `worded` adds what helps."""
    said = []
    if report.resumed:
        said.append(f"resumed: {report.unchanged:,} already done")
    went = {one.path for one in report.unreached}
    said += [
        f"{visible(os.fsdecode(path))} {'went away while it was read' if path in went else _away(path)}; "
        f"{_kept(path, report)}"
        for path in report.offline
    ]
    said += [
        f"{absence.files:,} files of {visible(os.fsdecode(absence.path))} are gone at once (a drive that is away?); "
        "they stay in the library, and `mmsearch prune` drops them"
        for absence in report.absent
    ]
    said += [
        f"a file of codes or a graph was made again ({visible(trouble)})" for trouble in dict.fromkeys(report.rebuilt)
    ]
    said += _stages_said(report.stages, worded)
    if report.catching_up:
        said.append(f"{report.catching_up.model}: {summary(report.catching_up)}")
    said += [_heard(one) for one in report.sound if one.added + one.updated + one.encoded + one.failed]
    said += _models_said(report)
    if report.hindered:
        said.append(visible(worded(report.hindered, report.remedy)))
    of_stages = [one for stage in report.stages for one in stage.failures]
    noted: list[FailedFile | WalkProblem] = [*report.failures, *report.problems, *of_stages]
    said += [f"skipped {visible(os.fsdecode(one.path))}: {visible(one.reason)}" for one in noted[:_SHOWN_FAILURES]]
    said += [
        f"{visible(os.fsdecode(one.path))} is long: {one.left_out:,} of its passages were left out, evenly over it; "
        "--max-passages N takes more"
        for one in report.thinned[:_SHOWN_FAILURES]
    ]
    if len(report.thinned) > _SHOWN_FAILURES:
        said.append(f"{len(report.thinned) - _SHOWN_FAILURES:,} more are as long; --json names them all")
    said += [
        f"{visible(os.fsdecode(one.path))} was read as far as it goes: {visible(one.reason)}"
        for one in report.incomplete[:_SHOWN_FAILURES]
    ]
    if len(report.incomplete) > _SHOWN_FAILURES:
        said.append(f"{len(report.incomplete) - _SHOWN_FAILURES:,} more were so too; --json names them all")
    if report.unread:
        kinds = unread_said(report.unread, report.closed_archives, worded, report.remote_archives)
        said.append(f"not read: {kinds}")
    if report.pictured and not report.stopped and not any(stage.stage == "ocr" for stage in report.stages):
        documents = counted(report.pictured, "document holds", "documents hold")
        said.append(f"{documents} pictures and no words (scans?); `mmsearch index --ocr` reads what is written there")
    if report.failing:
        failing = f"{report.failing:,} could not be read before and have not changed"
        said.append(f"{failing}; `mmsearch index --retry` reads them again")
    if len(noted) > _SHOWN_FAILURES:
        said.append(f"skipped {len(noted) - _SHOWN_FAILURES:,} more; `mmsearch status --failed` lists them")
    return said


def _models_said(report: IndexReport) -> list[str]:
    """Which model searches use after a run, and which one they could use."""
    said = []
    if report.switched:
        said.append(f"searches use {visible(report.searched)} from now on")
    elif _is_beside(report):
        said.append(f"searches use {visible(report.searched)} as before; `mmsearch models use NAME` changes that")
        if report.lacking:
            said.append(
                f"{report.lacking:,} files are not found before `mmsearch index` has encoded them with that one too"
            )
    if report.newer:
        said.append(
            f"{visible(report.newer)}, a better model than {visible(report.searched)}, is there: "
            f"`mmsearch index --model {BUILTIN_MODEL}` encodes all files with it too, and "
            f"`mmsearch models use {BUILTIN_MODEL}` lets searches use it; before that nothing changes"
        )
    return said


def _stages_said(stages: Sequence[StageReport], worded: Worded) -> list[str]:
    """What stages did in a run, and what hindered them."""
    said = []
    for stage in stages:
        could_not = f", {stage.failed:,} could not be" if stage.failed else ""
        could_not += f"; {stage.left:,} to do" if stage.left else ""
        if stage.read or stage.failed:
            files = counted(stage.read, "file was", "files were")
            what = f"{files} looked through, {stage.found:,} of them with some{could_not}"
            said.append(f"{_STAGES[stage.stage]}: {what}")
        if stage.hindered:
            said.append(visible(worded(stage.hindered, stage.remedy)))
    return said


def stage_state(stage: StageStatus) -> str:
    """One line on a stage of a library."""
    model = f" by {visible(stage.model)}" if stage.model else ""
    left = f", {stage.left:,} to do" if stage.left else ""
    could_not = f", {len(stage.failures):,} could not be" if stage.failures else ""
    ended = "" if stage.wanted else "; ended"
    files = counted(stage.read, "file")
    said = f"{files} looked through{model}, {stage.found:,} of them with some{left}{could_not}{ended}"
    return f"{_STAGES[stage.stage]}: {said}"


def _heard(report: IndexReport) -> str:
    """What a model of sound did in a run."""
    failed = f", {report.failed:,} it could not" if report.failed else ""
    what = counted(report.added + report.updated + report.encoded, "file")
    return f"{visible(report.model)}: sound of {what} encoded{failed} in {report.seconds:.1f} s; searches ask it too"


def _media(files: Mapping[str, int]) -> str:
    one = {"image": "picture", "audio": "recording of sound"}
    many = {"audio": "recordings of sound"}
    return ", ".join(
        counted(files.get(medium, 0), one.get(medium, medium), many.get(medium))
        for medium in dict.fromkeys(("image", "text", *files))
    )


def rules_said(rules: WalkRules) -> str:
    """The rules of a root as they would be typed; nothing for those that hold by themselves."""
    said = [
        *(f"--include {visible(pattern)!r}" for pattern in rules.include),
        *(f"--exclude {visible(pattern)!r}" for pattern in rules.exclude),
        *(["--hidden"] if rules.hidden else []),
        *([] if rules.ignore_files else ["--no-ignore-files"]),
        *(["--archives"] if rules.archives else []),
    ]
    return " ".join(said)


def forgotten(done: Forgotten) -> str:
    """How many files were taken out, of the library and of its queue."""
    waited = f", and {done.queued:,} that waited for workers" if done.queued else ""
    return f"{counted(done.files, 'file')} forgotten{waited}"


def notes_on_forgetting(path: str, done: Forgotten) -> list[str]:
    """What a person should know who forgot a part of a folder that is indexed."""
    return [
        f"the next `mmsearch index` takes {visible(path)} again, since it lies in {visible(os.fsdecode(root))}; "
        "leave it out with --exclude or a .mmsearchignore file."
        for root in done.roots
    ]


def _unread_of(status: Status, worded: Worded) -> str:
    """What no reader takes of a library's files."""
    unread = status.counts.unread
    archives = ARCHIVE_EXTENSIONS & unread.keys()
    on_disk = [root for root in status.roots if not is_remote(root.path)]
    # Those within archives are not looked into.
    closed = () if not on_disk or any(root.rules.archives for root in on_disk) else archives
    return unread_said(unread, closed, worded, archives if len(on_disk) < len(status.roots) else ())


def print_status(status: Status, failed: bool, partial: bool, worded: Worded) -> None:
    """A library's status for a person, on stdout; with `failed` or `partial` those files, a line each.

    `worded` adds what helps.
    """
    if failed or partial:
        _print_files(status, failed, partial)
        return
    counts = status.counts
    print(f"library   {visible(status.library)} ({status.bytes / 1e6:,.1f} MB)")
    print(f"model     {visible(status.model)}, {status.dimension} dimensions")
    for model in status.models:
        if not model.searched:
            print(f"          {visible(model_state(model))}")
    print(f"files     {_media(counts.files)} ({counted(counts.items, 'item')})")
    for root in status.roots:
        _print_root(root)
    for stage in status.stages:
        print(f"stage     {stage_state(stage)}")
    if counts.unread:
        print(f"not read  {_unread_of(status, worded)}")
    if counts.failures:
        count = counted(counts.failures, "file")
        print(f"failed    {count} could not be read; `mmsearch status --failed` lists them")
    parts = [
        *([f"{len(status.incomplete):,} read as far as they go"] if status.incomplete else []),
        *([f"{len(status.thinned):,} too long to be taken whole"] if status.thinned else []),
    ]
    if parts:
        print(f"in part   {', '.join(parts)}; `mmsearch status --partial` lists them")
    if status.queue is not None:
        for line in queue_lines(status.queue):
            print(line)
    if status.interrupted:
        _print_unfinished(status.queue.runs if status.queue is not None else None)


def _print_files(status: Status, failed: bool, partial: bool) -> None:
    """The files that were read in part, and those that could not be read, with why."""
    told: list[tuple[bytes, str]] = []
    if partial:
        told += [(one.path, one.reason) for one in status.incomplete]
        told += [(one.path, f"{one.left_out:,} passages left out") for one in status.thinned]
    if failed:
        told += [(one.path, one.reason) for one in status.failures]
        told += [(one.path, f"{_STAGES[of.stage]}: {one.reason}") for of in status.stages for one in of.failures]
    for path, reason in told:
        print(f"{visible(os.fsdecode(path))}\t{visible(reason)}")


def _print_root(root: RootStatus) -> None:
    state = ", offline" if root.offline else f", last change {root.changed}" if root.changed else ""
    known = f" (in the library {visible(os.fsdecode(root.known_as))})" if root.known_as is not None else ""
    path, facts = f"{visible(os.fsdecode(root.path))}{known}:", f"{counted(root.files, 'file')}{state}"
    has_room = not sys.stdout.isatty() or len(_INDENT) + len(path) + len(facts) < stdout_width()
    print(f"root      {path} {facts}" if has_room else f"root      {path}\n{_INDENT}{facts}")
    if rules := rules_said(root.rules):
        print(f"          {rules}")
    for mount in root.unmounted:
        print(f"          {visible(os.fsdecode(mount))} is offline; its files stay")
    if root.absent and not root.offline:
        print(f"          {root.absent:,} of them are gone from the disk; `mmsearch prune` drops them")


def _print_unfinished(runs: Sequence[RunState] | None) -> None:
    """That a run has not ended, unless those that are at work are known and told."""
    if runs is None:
        print("note      a run of index is at work or was cut off; `mmsearch index` goes on with one that was")
    elif not runs:
        print("note      a run of index was cut off; `mmsearch index` goes on with it")
