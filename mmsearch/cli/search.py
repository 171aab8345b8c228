"""`mmsearch search`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mmsearch.cli.running import EXIT_NONE, DeviceOption, JsonOption, LibraryOption, keep_to_one_thread, printing
from mmsearch.errors import Invalid, MmsearchError, Unavailable
from mmsearch.searching import DEFAULT_LIMIT

if TYPE_CHECKING:
    from mmsearch.nearest.gallery import Scan
    from mmsearch.output.hits import Form
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
            help="What to look for: all words are one text, quoted or not. A + between words begins another text "
            "(red car + 2:at night), and a number and colon before a text is its weight. The path of a picture "
            "looks for what is like it. A single - reads a text from stdin.",
        ),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option("--also", metavar="TEXT", help="Another text to look for, or weight:text (repeatable)."),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            "-i",
            metavar="FILE",
            help="A picture to look for, or weight:picture (repeatable); - for one from stdin.",
        ),
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
        typer.Option(
            "--in",
            metavar="DIR",
            help="Only files below this folder, or those that a pattern names: '~/Pictures/20*' (repeatable).",
        ),
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
    copies: Annotated[
        bool, typer.Option("--copies", help="Show each copy of a file as a hit of its own, not only the first.")
    ] = False,
    as_json: JsonOption = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="Print one JSON object a hit and line.")] = False,
    as_paths: Annotated[bool, typer.Option("--paths", help="Print paths only, one a line.")] = False,
    as_null: Annotated[
        bool, typer.Option("--null", "-0", help="Print paths only, each ended by a NUL byte, for xargs -0.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show on a terminal what is known of each hit, and the passage.")
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

    Several texts and pictures are added up by their weights. Photos and text files come in one list, by a score
    between 0 and 1. Exit code 0 for hits, 1 for none, 2 for an error.
    """
    keep_to_one_thread()
    from mmsearch import output
    from mmsearch.cli.typed import filters_of, pictures_from_pipes
    from mmsearch.library import Library
    from mmsearch.output import hits
    from mmsearch.output.json import to_json
    from mmsearch.searching.query import Query

    form = _form(as_json, as_jsonl, as_paths, as_null)
    with Library(library, device) as opened, printing(), pictures_from_pipes() as in_a_file:
        filters = filters_of(opened, only, folder or (), ext or (), (after, before))
        ask = partial(Query, filters=filters, limit=limit, min_score=min_score, offset=offset, copies=copies)
        if batch is not None:
            if query or also or image or avoid or avoid_image or as_paths or as_null:
                raise Invalid("--batch takes its queries from the file and prints JSON; leave the others out.")
            found = False
            how: Scan = scan.value
            queries = _batch_queries(batch, ask)
            for result in opened.search_many(queries, scan=how, adapter=adapter, model=model, on_trouble=_tell_trouble):
                print(to_json(result), flush=True)
                found = found or bool(result.hits)
        else:
            like, unlike = map(in_a_file, image or ()), map(in_a_file, avoid_image or ())
            asked = ask(_terms(query, also, like, avoid, unlike))
            one_scan = cast("Scan", "codes" if scan is ScanChoice.AUTO else scan.value)
            results = opened.search_many([asked], scan=one_scan, adapter=adapter, model=model, on_trouble=_tell_trouble)
            result = next(results)
            hits.print_result(result, form, verbose)
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
    words: list[str] | None,
    also: list[str] | None,
    images: Iterable[str],
    avoid: list[str] | None,
    avoid_images: Iterable[str],
) -> tuple[Term, ...]:
    from mmsearch.cli.typed import terms_of_words
    from mmsearch.searching.query import image_term, text_term

    return (
        *terms_of_words(words or ()),
        *(text_term(text) for text in also or ()),
        *(image_term(name) for name in images),
        *(text_term(text, -1) for text in avoid or ()),
        *(image_term(name, -1) for name in avoid_images),
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


def _tell_trouble(trouble: str) -> None:
    from mmsearch import output

    output.say(f"a file of codes or a graph was not used ({trouble}); `mmsearch index` makes it again.")
