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
from mmsearch.cli.running import EXIT_INTERRUPTED, DeviceOption, JsonOption, LibraryOption, progress_bar, show

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


def worker(
    exit_when_empty: ExitOption = False,
    lease: LeaseOption = 60.0,
    max_text_mb: MaxTextMbOption = 10.0,
    max_passages: MaxPassagesOption = 2_000,
    workers: WorkersOption = None,
    device: DeviceOption = "auto",
    metrics: MetricsOption = None,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Encode what `mmsearch index --queue` has found, beside any number of other workers.

    For a library in PostgreSQL. A worker runs wherever the files lie at the same paths, and the library's models are
    there; it takes files from the queue until it is stopped. Ctrl-C (exit code 130) and SIGTERM (exit code 0) let it
    finish what is in work, and give back the rest. What a worker was at that is killed is done by another one.
    """
    from mmsearch import output
    from mmsearch.indexing.work import WorkSettings
    from mmsearch.library import Library
    from mmsearch.output import work

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
