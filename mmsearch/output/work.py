"""What is said of workers, and of what waits for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mmsearch.output import counted, visible

if TYPE_CHECKING:
    from mmsearch.indexing.work import WorkReport
    from mmsearch.store.queue_state import Pause, QueueState


def queue_lines(state: QueueState) -> Iterator[str]:
    """Lines of a library's status: the jobs, and each worker that is alive; none where there is neither."""
    if state.left:
        of_them = [(state.tried, "tried before"), (state.paused, "paused")]
        told = ", ".join(f"{count:,} of them {what}" for count, what in of_them if count)
        yield f"queue     {state.waiting:,} wait{f' ({told})' if told else ''}, {state.working:,} in work"
    for pause in state.pauses:
        yield f"paused    {_what(pause)} since {pause.since}, by {visible(pause.by)}"
    for run in state.runs or ():
        told = "has the library for itself" if run.root is None else f"walks {visible(os.fsdecode(run.root))}"
        yield f"run       {visible(run.name)} {told}"
    for worker in state.workers:
        yield f"worker    {visible(worker.name)} since {worker.since}, {counted(worker.done, 'file')} stored"
    if state.left > state.paused and not state.workers:
        yield "note      no worker is there; `mmsearch worker` takes what waits"


def queue_told(state: QueueState) -> str:
    """The same, and a line where there is nothing to be told."""
    return "\n".join(queue_lines(state)) or "nothing waits, and no worker is there"


def _what(pause: Pause) -> str:
    """What is paused."""
    if pause.root is None:
        return "all" if pause.model is None else f"what {visible(pause.model)} is to encode"
    root = visible(os.fsdecode(pause.root))
    return root if pause.model is None else f"{root} for {visible(pause.model)}"


def worked(report: WorkReport) -> str:
    """One line that says what a worker did."""
    failed = f", {report.failed:,} of them failed" if report.failed else ""
    rate = f" ({report.stored / report.seconds:,.0f} files/s)" if report.stored >= report.seconds >= 1 else ""
    return f"{counted(report.stored, 'file')} done{failed} in {report.seconds:.1f} s{rate}"


def notes(report: WorkReport) -> list[str]:
    """What a person should know beside that: one sentence each."""
    said = [f"{visible(os.fsdecode(one.path))} could not be read: {visible(one.reason)}" for one in report.failures]
    if report.given_up:
        times = "once" if report.given_up == 1 else f"{report.given_up:,} times"
        said.append(f"the other workers gave this one up {times}, as it gave no sign of life; they did its files again")
    return said
