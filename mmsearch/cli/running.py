"""What commands share: options, the exit codes, a bar, and how a run is stopped or its output cut off."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.errors import MmsearchError

if TYPE_CHECKING:
    from mmsearch.records import Progress as Done

EXIT_NONE = 1
EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

LibraryOption = Annotated[
    str | None,
    typer.Option(
        "--library",
        metavar="DIR",
        envvar="MMSEARCH_LIBRARY",
        help="The library's folder, instead of the one in your user data directory.",
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="[auto|cpu|cuda|mps]",
        help="Where a model that torch runs computes: a graphics card if there is one (auto), or this device.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


def keep_to_one_thread() -> None:
    """Idle threads of numpy's matrix library spin, and one query is small work. Told before numpy is loaded."""
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        os.environ.setdefault(variable, "1")


@contextmanager
def printing() -> Iterator[None]:
    """What is printed within has reached its reader at the end, or the reader has seen enough (head, less)."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit() from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise MmsearchError(f"The output cannot be written ({error.strerror}).") from error


@contextmanager
def stoppable(told: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM end a run in good order, with a sentence on what became of it."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as error:
        from mmsearch import output

        output.say(told)
        sys.stdout.flush()
        sys.stderr.flush()
        # At once: a thread that is still at a large picture has nothing to say any more.
        os._exit(EXIT_TERMINATED if isinstance(error, _Terminated) else EXIT_INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


class _Terminated(KeyboardInterrupt):
    """SIGTERM was received."""


@contextmanager
def index_progress(quiet: bool) -> Iterator[Callable[[Done], None]]:
    """A bar on stderr, with rate and time left; nothing where stderr is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from mmsearch.output import stderr_console

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr_console(), transient=True) as bar:
        task = bar.add_task("looking for files", total=None, rate="")

        def show(progress: Done) -> None:
            if progress.total is None:
                bar.update(task, completed=progress.done)
                return
            if bar.tasks[0].total is None:
                bar.reset(task, description="encoding", total=progress.total, rate="")
                return
            speed = bar.tasks[0].speed
            bar.update(task, completed=progress.done, rate=f"{speed:.0f} files/s" if speed else "")

        yield show


@contextmanager
def counted(what: str, quiet: bool, is_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr for work of a known length: told (done, total); nothing where stderr is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from mmsearch.output import stderr_console

    how_much = DownloadColumn() if is_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), how_much, TimeRemainingColumn())
    with Progress(*columns, console=stderr_console(), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
