"""What commands share: options, the exit codes, a bar, and how a run is stopped or its output cut off."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mmsearch.errors import Invalid, Unavailable
from mmsearch.files import stopping

if TYPE_CHECKING:
    from rich.text import Text

    from mmsearch.records import Progress

Result = TypeVar("Result")
Form = TypeVar("Form", bound=Enum)

EXIT_NONE = 1
EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


_LIBRARY_VARIABLE = "MMSEARCH_LIBRARY"
_library_chosen_by = ""


def library_chosen_by() -> str:
    """What of this command named the library: `--library`, a variable's name, or "" for nothing."""
    return _library_chosen_by


def _note_what_chose(context: typer.Context, library: str | None) -> str | None:
    global _library_chosen_by
    source = context.get_parameter_source("library")
    named = "--library" if source is not None and source.name == "COMMANDLINE" else _LIBRARY_VARIABLE
    _library_chosen_by = named if library else ""
    return library


LibraryOption = Annotated[
    str | None,
    typer.Option(
        "--library",
        metavar="DIR",
        envvar=_LIBRARY_VARIABLE,
        callback=_note_what_chose,
        help="The library's folder or URL (postgresql://HOST/DATABASE), instead of that in your user data directory.",
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


def only_form(asked: Mapping[Form, bool]) -> Form | None:
    """The one form of output that is asked for, each by the option of its name; None where none is.

    Raises:
        Invalid: more than one is.
    """
    chosen = [form for form, is_asked in asked.items() if is_asked]
    if len(chosen) > 1:
        *options, last = [f"--{form.value}" for form in asked]
        raise Invalid(f"Only one of {', '.join(options)} and {last} can be had at a time.")
    return chosen[0] if chosen else None


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
        raise Unavailable(f"The output cannot be written ({error.strerror}).") from error


@contextmanager
def stoppable(sentence: str, terminated: int = EXIT_TERMINATED) -> Iterator[None]:
    """Ctrl-C and SIGTERM end a run in good order, with a sentence on what became of it; SIGTERM with that exit code."""
    before = signal.signal(signal.SIGTERM, stopping.raising(_Terminated))
    try:
        yield
    except KeyboardInterrupt as error:
        from mmsearch import output

        output.say(sentence)
        sys.stdout.flush()
        sys.stderr.flush()
        # At once: a thread that is still at a large picture has nothing to say any more.
        os._exit(terminated if isinstance(error, _Terminated) else EXIT_INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends the command also where it comes while SQLite calls Python; not where it is ignored (nohup)."""
    stopping.forget()
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, stopping.raising(KeyboardInterrupt))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _Terminated(KeyboardInterrupt):
    """SIGTERM was received."""


@contextmanager
def progress_bar(quiet: bool, subject: str = "") -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr for any work, with its stage (and what is worked at) and the time left.

    Nothing where it is to be quiet or stderr is no terminal.
    """
    from mmsearch import output

    if quiet or output.is_quiet() or not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar
    from rich.table import Column

    in_bytes, in_numbers = DownloadColumn(), MofNCompleteColumn()

    class HowMuch(ProgressColumn):
        def render(self, task: Task) -> Text:
            return (in_bytes if task.fields["unit"] == "bytes" else in_numbers).render(task)

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        HowMuch(Column(no_wrap=True)),  # where all is too wide, the bar is what is made narrower
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=output.stderr_console(), transient=True) as bar:
        task = bar.add_task(subject, total=None, unit="", rate="")
        begun = ("", "")

        def show_progress(progress: Progress) -> None:
            nonlocal begun
            if (progress.stage, progress.unit) != begun:
                begun = progress.stage, progress.unit
                described = f"{progress.stage} {subject}".rstrip()
                bar.tasks[0].total = progress.total  # which `reset` and `update` leave as it was where it is None
                bar.reset(task, description=described, unit=progress.unit, rate="")
            speed = bar.tasks[0].speed if progress.unit == "files" and progress.total is not None else None
            rate = f"{speed:.0f} files/s" if speed else ""
            bar.update(task, completed=progress.done + progress.begun, total=progress.total, rate=rate)

        yield show_progress


def show(result: Result, as_json: bool, text: Callable[[Result], str | None]) -> None:
    """Prints what a command found or did: as JSON, or as the text that is made of it; none where that prints itself."""
    with printing():
        if as_json:
            from mmsearch.output.json import to_json

            print(to_json(result))
        elif (said := text(result)) is not None:
            print(said)
