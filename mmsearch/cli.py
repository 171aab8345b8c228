"""The command line: parses, calls Library, hands to output. There is no engine here."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from io import TextIOWrapper
from types import FrameType
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mmsearch import __version__
from mmsearch.errors import MmsearchError
from mmsearch.query import DEFAULT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmsearch.indexing import IndexProgress
    from mmsearch.output import Form
    from mmsearch.query import Filters, Query, Term
    from mmsearch.searching import Scan
    from mmsearch.walking import WalkRules

EXIT_NONE = 1
EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

app = typer.Typer(
    name="mmsearch",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class ScanChoice(str, Enum):
    """How vectors are compared."""

    AUTO = "auto"
    EXACT = "exact"
    GRAPH = "graph"


LibraryOption = Annotated[
    str | None,
    typer.Option(
        "--library",
        metavar="DIR",
        envvar="MMSEARCH_LIBRARY",
        help="The library's folder, instead of the one in your user data directory.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


def _print_version(asked: bool) -> None:
    if asked:
        print(f"mmsearch {__version__}")
        raise typer.Exit()


@app.callback()
def mmsearch(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Find photos and text files on your own disk by meaning, offline.

    Exit codes: 0 something was found, 1 nothing was, 2 an error.
    """


@app.command()
def index(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Folders and files; without any, all that were indexed before."),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Take only files that match this gitignore-style pattern (repeatable)."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Leave out what matches this gitignore-style pattern (repeatable)."),
    ] = None,
    hidden: Annotated[
        bool | None, typer.Option("--hidden/--no-hidden", help="Take hidden files and folders too.")
    ] = None,
    ignore_files: Annotated[
        bool | None,
        typer.Option(
            "--ignore-files/--no-ignore-files",
            help="Obey .mmsearchignore and .ignore files, and .gitignore in git work trees (the default).",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The model to encode with: mmsearch-mini (built in), or a sentence-transformers CLIP model by "
            "name or folder (needs the clip extra).",
        ),
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Encode all files of the library again.")] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Read again what could not be read before, though it has not changed.")
    ] = False,
    max_text_mb: Annotated[
        float, typer.Option(metavar="MB", min=0.001, max=2_000, help="Skip text files larger than this.")
    ] = 10.0,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Threads that encode; one per processor by default."),
    ] = None,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Index pictures and text files, so that they can be searched.

    Walks the folders, encodes what is new or changed, and drops what is gone. It may be stopped at any time and run
    again: it goes on from there. --include, --exclude, --hidden and --ignore-files are remembered with the
    paths; giving any of them replaces all of them.
    """
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.reading import ReadLimits

    rules = _rules(include, exclude, hidden, ignore_files)
    with Library(library) as opened, _stoppable(), _progress(quiet=as_json) as on_progress:
        report = opened.index(
            paths or [],
            rules=rules,
            model=model,
            rebuild=rebuild,
            retry=retry,
            limits=ReadLimits(max_text_bytes=int(max_text_mb * 1e6)),
            workers=workers,
            on_progress=on_progress,
        )
    for note in output.notes(report):
        output.say(note)
    with _printing():
        if as_json:
            print(output.to_json(output.report_as_json(report, opened.folder)))
        else:
            print(output.summary(report))
    if report.files == 0 and not report.offline:
        if not report.failed and not report.failing:
            output.say("there are no pictures or text files there.")
        raise typer.Exit(EXIT_NONE)


@app.command()
def search(
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[QUERY]...",
            help="Texts to look for, each with an optional weight (2:dog). A single - reads one from stdin.",
        ),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option("--image", "-i", metavar="FILE", help="A picture to look for, or weight:picture (repeatable)."),
    ] = None,
    avoid: Annotated[
        list[str] | None,
        typer.Option("--not", metavar="TEXT", help="A text to keep away from, or weight:text (repeatable)."),
    ] = None,
    avoid_image: Annotated[
        list[str] | None,
        typer.Option("--not-image", metavar="FILE", help="A picture to keep away from (repeatable)."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", help="At most so many hits.")] = DEFAULT_LIMIT,
    min_score: Annotated[
        float, typer.Option(metavar="SCORE", help="Leave out hits with a lower score, between 0 and 1.")
    ] = 0.0,
    only: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Only this type of file: image or text.")
    ] = None,
    folder: Annotated[
        list[str] | None,
        typer.Option("--in", metavar="DIR", help="Only files below this folder (repeatable)."),
    ] = None,
    ext: Annotated[
        list[str] | None,
        typer.Option(metavar="EXT", help="Only files of this extension: jpg, or jpg,png (repeatable)."),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Only what was taken (else modified) then or later: 2024, 2024-05-31."),
    ] = None,
    before: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only what was taken (else modified) earlier.")
    ] = None,
    as_json: JsonOption = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="Print one JSON object a hit and line.")] = False,
    as_paths: Annotated[bool, typer.Option("--paths", help="Print paths only, one a line.")] = False,
    as_null: Annotated[
        bool, typer.Option("--null", "-0", help="Print paths only, each ended by a NUL byte, for xargs -0.")
    ] = False,
    batch: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Answer many queries, one a line of FILE (- for stdin): one JSON object a query and line.",
        ),
    ] = None,
    scan: Annotated[
        ScanChoice,
        typer.Option(
            metavar="[auto|exact|graph]",
            help="Compare with all vectors (exact), by the HNSW graph (graph), or by the graph where it is faster "
            "(auto, for --batch).",
        ),
    ] = ScanChoice.AUTO,
    library: LibraryOption = None,
) -> None:
    """Search by text, by image, or by both.

    Several terms are added up by their weights. Photos and text files come in one list, by a score between 0
    and 1. Exit code 0 for hits, 1 for none, 2 for an error.
    """
    _keep_to_one_thread()
    from mmsearch import output
    from mmsearch.library import Library

    form = _form(as_json, as_jsonl, as_paths, as_null)
    filters = _filters(only, folder, ext, after, before)
    with Library(library) as opened, _printing():
        if batch is not None:
            if query or image or avoid or avoid_image or as_paths or as_null:
                raise MmsearchError("--batch takes its queries from the file and prints JSON; leave the others out.")
            found = False
            how: Scan = scan.value
            queries = _batch_queries(batch, filters, limit, min_score)
            for result in opened.search_many(queries, scan=how, on_trouble=_tell_trouble):
                print(output.to_json(output.result_as_json(result)), flush=True)
                found = found or bool(result.hits)
        else:
            asked = _query(_terms(query, image, avoid, avoid_image), filters, limit, min_score)
            one_scan = cast("Scan", "exact" if scan is ScanChoice.AUTO else scan.value)
            result = next(opened.search_many([asked], scan=one_scan, on_trouble=_tell_trouble))
            output.print_result(result, form)
            found = bool(result.hits)
    if not found:
        if form in (output.Form.TABLE, output.Form.LINES) and batch is None:
            output.say("nothing found.")
        raise typer.Exit(EXIT_NONE)


@app.command()
def status(
    failed: Annotated[bool, typer.Option("--failed", help="List the files that could not be read, and why.")] = False,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Show what the library holds, where it lies, and what could not be read."""
    from mmsearch import output
    from mmsearch.library import Library

    with Library(library) as opened:
        found = opened.status()
    with _printing():
        if as_json:
            print(output.to_json(output.status_as_json(found)))
        else:
            output.print_status(found, failed)


@app.command()
def forget(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A folder or file, which need not exist any more.")],
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Take a folder or file out of the library. The files themselves are not touched."""
    from mmsearch import output
    from mmsearch.library import Library

    with Library(library) as opened:
        forgotten = opened.forget(path)
    for note in output.notes_on_forgetting(path, forgotten):
        output.say(note)
    with _printing():
        if as_json:
            print(output.to_json(output.forgotten_as_json(path, forgotten)))
            return
        print(f"{forgotten.files:,} {'file' if forgotten.files == 1 else 'files'} forgotten")


def main() -> None:
    """The command `mmsearch`: runs one command and exits with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except MmsearchError as error:
        from mmsearch import output

        output.say(output.visible(str(error)))
        sys.exit(EXIT_ERROR)
    except Exception:
        traceback.print_exc()
        sys.exit(EXIT_ERROR)


@contextmanager
def _printing() -> Iterator[None]:
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


def _rules(
    include: list[str] | None, exclude: list[str] | None, hidden: bool | None, ignore_files: bool | None
) -> WalkRules | None:
    from mmsearch.walking import WalkRules

    if not include and not exclude and hidden is None and ignore_files is None:
        return None
    return WalkRules(tuple(include or ()), tuple(exclude or ()), bool(hidden), ignore_files is not False)


def _form(as_json: bool, as_jsonl: bool, as_paths: bool, as_null: bool) -> Form:
    from mmsearch.output import Form

    asked = {Form.JSON: as_json, Form.JSONL: as_jsonl, Form.PATHS: as_paths, Form.NULL: as_null}
    chosen = [form for form, wanted in asked.items() if wanted]
    if len(chosen) > 1:
        raise MmsearchError("Only one of --json, --jsonl, --paths and -0 can be had at a time.")
    if chosen:
        return chosen[0]
    return Form.TABLE if sys.stdout.isatty() else Form.LINES


def _terms(
    texts: list[str] | None, images: list[str] | None, avoid: list[str] | None, avoid_images: list[str] | None
) -> tuple[Term, ...]:
    from mmsearch.query import image_term, text_term

    if texts == ["-"]:
        texts = [sys.stdin.buffer.read().decode("utf-8", "replace").strip()]
    return (
        *(text_term(text) for text in texts or ()),
        *(image_term(name) for name in images or ()),
        *(text_term(text, -1) for text in avoid or ()),
        *(image_term(name, -1) for name in avoid_images or ()),
    )


def _query(terms: tuple[Term, ...], filters: Filters, limit: int, min_score: float) -> Query:
    from mmsearch.query import Query

    return Query(terms, filters, limit, min_score)


def _batch_queries(name: str, filters: Filters, limit: int, min_score: float) -> Iterator[Query]:
    from mmsearch.query import text_term

    try:
        lines = sys.stdin.buffer if name == "-" else open(name, "rb")  # noqa: SIM115
    except OSError as error:
        raise MmsearchError(f"The batch file {name} cannot be read ({error.strerror}).") from error
    with lines:
        for number, line in enumerate(lines, start=1):
            words = line.decode("utf-8", "replace").strip()
            try:
                if words:
                    yield _query((text_term(words),), filters, limit, min_score)
            except MmsearchError as error:
                raise MmsearchError(f"Line {number} of the batch: {error}") from error


def _filters(
    only: str | None,
    folders: list[str] | None,
    extensions: list[str] | None,
    after: str | None,
    before: str | None,
) -> Filters:
    from mmsearch.query import Filters, parse_date, parse_extension, parse_folder, parse_modality

    return Filters(
        modality=parse_modality(only) if only is not None else None,
        folders=tuple(path for folder in folders or () for path in parse_folder(folder)),
        extensions=tuple(name for written in extensions or () for name in parse_extension(written)),
        after=parse_date(after) if after is not None else None,
        before=parse_date(before) if before is not None else None,
    )


def _keep_to_one_thread() -> None:
    # Read when numpy is loaded: idle threads of its matrix library spin, and one query is small work.
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        os.environ.setdefault(variable, "1")


def _tell_trouble(trouble: str) -> None:
    from mmsearch import output

    output.say(f"a vector file was not used ({trouble}); `mmsearch index` makes it again.")


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM end a run in good order: what is done is kept."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as error:
        from mmsearch import output

        output.say("stopped; what was done is kept, and the next `mmsearch index` goes on from there.")
        code = EXIT_TERMINATED if isinstance(error, _Terminated) else EXIT_INTERRUPTED
        raise typer.Exit(code) from None
    finally:
        signal.signal(signal.SIGTERM, before)


class _Terminated(KeyboardInterrupt):
    """SIGTERM was received."""


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[IndexProgress], None]]:
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

        def show(progress: IndexProgress) -> None:
            if progress.total is None:
                if progress.found % 100 == 0:
                    bar.update(task, completed=progress.found)
                return
            if bar.tasks[0].total is None:
                bar.reset(task, description="encoding", total=progress.total, rate="")
                return
            speed = bar.tasks[0].speed
            bar.update(task, completed=progress.done, rate=f"{speed:.0f} files/s" if speed else "")

        yield show
