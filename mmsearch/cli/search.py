"""`mmsearch search`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mmsearch.cli.running import EXIT_NONE, DeviceOption, JsonOption, LibraryOption, keep_to_one_thread, printing
from mmsearch.errors import Invalid, MmsearchError, Unavailable
from mmsearch.searching.query import DEFAULT_LIMIT

if TYPE_CHECKING:
    from mmsearch.nearest.gallery import Scan
    from mmsearch.output.hits import Form
    from mmsearch.records import Filters
    from mmsearch.searching.query import Query, Term


class ScanChoice(str, Enum):
    """How vectors are compared."""

    AUTO = "auto"
    EXACT = "exact"
    CODES = "codes"
    GRAPH = "graph"


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
    offset: Annotated[int, typer.Option(metavar="N", help="Leave out the first N hits: the next page.")] = 0,
    min_score: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE",
            help="Leave out hits with a lower score, between 0 and 1. Without it, a single text leaves out what is no "
            "nearer than a text that means nothing would find; 0 shows everything.",
        ),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Search through this adapter instead of the one in use; none for none."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Search with this model of the library instead of the one in use."),
    ] = None,
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
            metavar="[auto|exact|codes|graph]",
            help="Compare with all vectors (exact), with those whose codes seem nearest (codes), by the HNSW graph "
            "(graph), or by codes and, where --batch is faster with it, by the graph (auto).",
        ),
    ] = ScanChoice.AUTO,
    device: DeviceOption = "auto",
    library: LibraryOption = None,
) -> None:
    """Search by text, by image, or by both.

    Several terms are added up by their weights. Photos and text files come in one list, by a score between 0
    and 1. Exit code 0 for hits, 1 for none, 2 for an error.
    """
    keep_to_one_thread()
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.output import hits
    from mmsearch.output.json import to_json
    from mmsearch.searching.query import Query

    form = _form(as_json, as_jsonl, as_paths, as_null)
    filters = _filters(only, folder, ext, after, before)
    with Library(library, device) as opened, printing():
        if batch is not None:
            if query or image or avoid or avoid_image or as_paths or as_null:
                raise Invalid("--batch takes its queries from the file and prints JSON; leave the others out.")
            found = False
            how: Scan = scan.value
            queries = _batch_queries(
                batch, partial(Query, filters=filters, limit=limit, min_score=min_score, offset=offset)
            )
            for result in opened.search_many(queries, scan=how, adapter=adapter, model=model, on_trouble=_tell_trouble):
                print(to_json(result), flush=True)
                found = found or bool(result.hits)
        else:
            asked = Query(_terms(query, image, avoid, avoid_image), filters, limit, min_score, offset)
            one_scan = cast("Scan", "codes" if scan is ScanChoice.AUTO else scan.value)
            results = opened.search_many([asked], scan=one_scan, adapter=adapter, model=model, on_trouble=_tell_trouble)
            result = next(results)
            hits.print_result(result, form)
            for note in hits.notes(result, form):
                output.say(note)
            found = any(hit.available or form not in (hits.Form.PATHS, hits.Form.NULL) for hit in result.hits)
    if not found:
        if form in (hits.Form.TABLE, hits.Form.LINES) and batch is None:
            output.say(hits.nothing_found(result))
        raise typer.Exit(EXIT_NONE)


def _form(as_json: bool, as_jsonl: bool, as_paths: bool, as_null: bool) -> Form:
    from mmsearch.output.hits import Form

    asked = {Form.JSON: as_json, Form.JSONL: as_jsonl, Form.PATHS: as_paths, Form.NULL: as_null}
    chosen = [form for form, wanted in asked.items() if wanted]
    if len(chosen) > 1:
        raise Invalid("Only one of --json, --jsonl, --paths and -0 can be had at a time.")
    if chosen:
        return chosen[0]
    return Form.TABLE if sys.stdout.isatty() else Form.LINES


def _terms(
    texts: list[str] | None, images: list[str] | None, avoid: list[str] | None, avoid_images: list[str] | None
) -> tuple[Term, ...]:
    from mmsearch.searching.query import image_term, text_term

    if texts == ["-"]:
        texts = [sys.stdin.buffer.read().decode("utf-8", "replace").strip()]
    return (
        *(text_term(text) for text in texts or ()),
        *(image_term(name) for name in images or ()),
        *(text_term(text, -1) for text in avoid or ()),
        *(image_term(name, -1) for name in avoid_images or ()),
    )


def _batch_queries(name: str, query_of: Callable[[tuple[Term, ...]], Query]) -> Iterator[Query]:
    from mmsearch.searching.query import text_term

    try:
        lines = sys.stdin.buffer if name == "-" else open(name, "rb")  # noqa: SIM115
    except OSError as error:
        raise Unavailable(f"The batch file {name} cannot be read ({error.strerror}).") from error
    with lines:
        for number, line in enumerate(lines, start=1):
            words = line.decode("utf-8", "replace").strip()
            try:
                if words:
                    yield query_of((text_term(words),))
            except MmsearchError as error:
                raise Invalid(f"Line {number} of the batch: {error.message}", error.remedy) from error


def _filters(
    only: str | None,
    folders: list[str] | None,
    extensions: list[str] | None,
    after: str | None,
    before: str | None,
) -> Filters:
    from mmsearch.records import Filters
    from mmsearch.searching.query import parse_date, parse_extension, parse_folder, parse_medium

    return Filters(
        medium=parse_medium(only) if only is not None else None,
        folders=tuple(path for folder in folders or () for path in parse_folder(folder)),
        extensions=tuple(name for written in extensions or () for name in parse_extension(written)),
        after=parse_date(after) if after is not None else None,
        before=parse_date(before) if before is not None else None,
    )


def _tell_trouble(trouble: str) -> None:
    from mmsearch import output

    output.say(f"a file of codes or a graph was not used ({trouble}); `mmsearch index` makes it again.")
