"""`mmsearch worker`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli.index import MaxPassagesOption, MaxTextMbOption, WorkersOption, limits_of
from mmsearch.cli.running import (
    EXIT_INTERRUPTED,
    EXIT_NONE,
    DeviceOption,
    JsonOption,
    LibraryOption,
    progress_bar,
    show,
)
from mmsearch.errors import Invalid

if TYPE_CHECKING:
    from mmsearch.library import Library

_DRAINING = "finishing what is in work, and giving back the rest; once more ends it at once."

ExitOption = Annotated[
    bool,
    typer.Option("--exit-when-empty", help="End once nothing is left to be done, instead of waiting for more files."),
]
LeaseOption = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=1,
        help="Without a sign of life for so long it is given up, and others do what it was at; by the server's clock.",
    ),
]
MetricsOption = Annotated[
    str | None,
    typer.Option(
        metavar="[HOST:]PORT",
        help="Tell Prometheus at this port (/metrics) of the queue, the workers and the library, and who asks at "
        "/health that the worker runs. Only this machine can ask, unless a HOST is given: 0.0.0.0:9187.",
    ),
]
PauseOption = Annotated[
    bool, typer.Option("--pause", help="Let no worker, on any machine, begin what waits, until --resume; and end.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Let workers go on with what was paused; and end.")]
RootOption = Annotated[
    str | None,
    typer.Option("--root", metavar="DIR", help="With --pause and --resume: only files of this root of the library."),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="With --pause and --resume: only what this model is to encode."),
]


def worker(
    exit_when_empty: ExitOption = False,
    lease: LeaseOption = 60.0,
    max_text_mb: MaxTextMbOption = 10.0,
    max_passages: MaxPassagesOption = 2_000,
    workers: WorkersOption = None,
    device: DeviceOption = "auto",
    metrics: MetricsOption = None,
    pause: PauseOption = False,
    resume: ResumeOption = False,
    root: RootOption = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Encode what `index --queue` has found, beside other workers.

    For a library in PostgreSQL, which any number of workers may share. A worker runs wherever the library's models
    are, and its files: at the same paths, at those that `mmsearch mounts` says, or in a bucket. It takes files from
    the queue until it is stopped. Ctrl-C (exit code 130) and SIGTERM (exit code 0) let it finish what is in work, and
    give back the rest. What a worker was at that is killed is done by another one. Where the server or the library is
    not there yet it waits; with --exit-when-empty that is an error.

    With --pause and --resume it does no work: workers finish what they are at, and leave what is paused. Exit code 1
    where there was nothing to be resumed.
    """
    from mmsearch import output
    from mmsearch.indexing.work import WorkSettings
    from mmsearch.library import Library
    from mmsearch.output import work

    if pause or resume:
        _pause(library, root, model, resume if pause != resume else None, as_json)
        return
    if root is not None or model is not None:
        raise Invalid("--root and --model say what is paused or resumed; a worker takes whatever waits.")
    settings = WorkSettings(limits_of(max_text_mb, max_passages), workers, exit_when_empty, lease)
    with (
        Library(library, device) as opened,
        _drained(settings.stop) as ended,
        _monitored(opened, metrics),
        progress_bar(as_json) as on_progress,
    ):
        report = opened.work(settings, on_progress=on_progress, on_notice=output.say)
    for note in work.notes(report):
        output.say(note)
    show(report, as_json, work.worked)
    if signal.SIGINT in ended:
        raise typer.Exit(EXIT_INTERRUPTED)


def _pause(library: str | None, root: str | None, model: str | None, resume: bool | None, as_json: bool) -> None:
    """Pauses a part of the queue, or resumes it, and tells how it stands with the queue then."""
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.output import work

    if resume is None:
        raise Invalid("--pause and --resume are opposites; give one of them.")
    with Library(library) as opened:
        is_done = True
        if resume:
            is_done = bool(opened.resume_queue(root, model))
        else:
            opened.pause_queue(root, model)
        show(opened.queue_state(), as_json, work.queue_told)
    if not is_done:
        output.say("nothing of that was paused.")
        raise typer.Exit(EXIT_NONE)


@contextmanager
def _monitored(library: Library, where: str | None) -> Iterator[None]:
    """Tells monitors of the library at that port, and says so, where one is given."""
    if where is None:
        yield
        return
    from mmsearch import output
    from mmsearch.server.monitoring import address_in, monitored

    with monitored(library, address_in(where)) as url:
        output.say(f"metrics at {url}")
        yield


@contextmanager
def _drained(stop: threading.Event) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM set `stop`, and end the process at once where it is set already. Gives which have come."""
    from mmsearch import output

    come: list[int] = []

    def drain(number: int, frame: FrameType | None) -> None:
        if come:
            os._exit(EXIT_INTERRUPTED)
        come.append(number)
        stop.set()
        output.say(_DRAINING)

    before = {number: signal.signal(number, drain) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield come
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
