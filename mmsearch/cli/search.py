"""`mmsearch search`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

import typer

from mmsearch.cli.filtering import (
    AfterOption,
    BeforeOption,
    CameraOption,
    ExtOption,
    FolderOption,
    KeywordOption,
    LensOption,
    LongerOption,
    NearOption,
    OnlyOption,
    PlaceOption,
    RatingOption,
    ShorterOption,
    TypedFilters,
    filters_of,
)
from mmsearch.cli.running import EXIT_NONE, DeviceOption, JsonOption, LibraryOption, keep_to_one_thread, printing
from mmsearch.errors import Invalid, MmsearchError, Unavailable
from mmsearch.searching import DEFAULT_LIMIT

if TYPE_CHECKING:
    from mmsearch.library import Library
    from mmsearch.nearest.scan import Scan
    from mmsearch.output.hits import Form
    from mmsearch.records import Filters
    from mmsearch.searching.query import Query, Term
    from mmsearch.searching.results import FileList, SearchResult


class SortChoice(str, Enum):
    """What hits are ordered by."""

    SCORE = "score"
    DATE = "date"
    NAME = "name"


class ScanChoice(str, Enum):
    """How vectors are compared."""

    AUTO = "auto"
    EXACT = "exact"
    CODES = "codes"
    GRAPH = "graph"


QueryArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[QUERY]...",
        help="What to look for: all words are one text, quoted or not. A + between words begins another text "
        "(red car + 2:at night), and a number and colon before a text is its weight. The path of a picture "
        "looks for what is like it. A single - reads a text from stdin.",
    ),
]
AlsoOption = Annotated[
    list[str] | None,
    typer.Option("--also", metavar="TEXT", help="Another text to look for, or weight:text (repeatable)."),
]
ImageOption = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        "-i",
        metavar="FILE",
        help="A picture to look for, or weight:picture (repeatable); - for one from stdin.",
    ),
]
AvoidOption = Annotated[
    list[str] | None,
    typer.Option("--not", metavar="TEXT", help="A text to keep away from, or weight:text (repeatable)."),
]
AvoidImageOption = Annotated[
    list[str] | None,
    typer.Option("--not-image", metavar="FILE", help="A picture to keep away from (repeatable)."),
]
LimitOption = Annotated[int, typer.Option("--limit", "-n", metavar="N", help="At most so many hits.")]
OffsetOption = Annotated[int, typer.Option(metavar="N", help="Leave out the first N hits: the next page.")]
MinScoreOption = Annotated[
    float | None,
    typer.Option(
        metavar="SCORE",
        help="Leave out hits with a lower score, between 0 and 1. Without it, a single text leaves out what is no "
        "nearer than a text that means nothing would find; 0 shows everything.",
    ),
]
AdapterOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Search through this adapter instead of the one in use; none for none."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Search with this model of the library instead of the one in use."),
]
SortOption = Annotated[
    SortChoice | None,
    typer.Option(
        metavar="[score|date|name]",
        help="Show the hits of a page by score, the newest first (date), or by path (name). Without a query "
        "files that pass the filters are listed, the newest first.",
    ),
]
CopiesOption = Annotated[
    bool,
    typer.Option("--copies", help="Show each copy of a file, and each file of one photo, as a hit of its own."),
]
AsJsonlOption = Annotated[bool, typer.Option("--jsonl", help="Print one JSON object a hit and line.")]
AsPathsOption = Annotated[bool, typer.Option("--paths", help="Print paths only, one a line.")]
AsNullOption = Annotated[
    bool, typer.Option("--null", "-0", help="Print paths only, each ended by a NUL byte, for xargs -0.")
]
VerboseOption = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Show on a terminal what is known of each hit, and how its passage begins."),
]
MomentsOption = Annotated[
    bool,
    typer.Option(
        "--moments", help="List below a video or a recording the other moments in it that answer, best first."
    ),
]
OpenOption = Annotated[
    bool,
    typer.Option(
        "--open",
        help="Open the best hit in the viewer of this system, at its moment or page where one is installed that can.",
    ),
]
BatchOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Answer many queries, one text (or weight:text) a line of FILE (- for stdin): one JSON object a query "
        "and line.",
    ),
]
ScanOption = Annotated[
    ScanChoice,
    typer.Option(
        metavar="[auto|exact|codes|graph]",
        help="Compare with all vectors (exact), with those whose codes seem nearest (codes), by the HNSW graph "
        "(graph), or by codes and, where --batch is faster with it, by the graph (auto).",
    ),
]


def search(
    query: QueryArgument = None,
    also: AlsoOption = None,
    image: ImageOption = None,
    avoid: AvoidOption = None,
    avoid_image: AvoidImageOption = None,
    limit: LimitOption = DEFAULT_LIMIT,
    offset: OffsetOption = 0,
    min_score: MinScoreOption = None,
    adapter: AdapterOption = None,
    model: ModelOption = None,
    only: OnlyOption = None,
    folder: FolderOption = None,
    ext: ExtOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    camera: CameraOption = None,
    lens: LensOption = None,
    near: NearOption = None,
    place: PlaceOption = None,
    rating: RatingOption = None,
    keyword: KeywordOption = None,
    longer: LongerOption = None,
    shorter: ShorterOption = None,
    sort: SortOption = None,
    copies: CopiesOption = False,
    as_json: JsonOption = False,
    as_jsonl: AsJsonlOption = False,
    as_paths: AsPathsOption = False,
    as_null: AsNullOption = False,
    verbose: VerboseOption = False,
    moments: MomentsOption = False,
    open_best: OpenOption = False,
    batch: BatchOption = None,
    scan: ScanOption = ScanChoice.AUTO,
    device: DeviceOption = "auto",
    library: LibraryOption = None,
) -> None:
    """Search by text, by image, or by both; or list files by filters alone.

    Several texts and pictures are added up by their weights. Photos and text files come in one list, by a score
    between 0 and 1. Exit code 0 for hits, 1 for none, 2 for an error.
    """
    keep_to_one_thread()
    from mmsearch.library import Library

    how = _How(_form(as_json, as_jsonl, as_paths, as_null), verbose, moments, open_best, scan, adapter, model)
    _check_form(how)
    typed = TypedFilters(
        *(only, folder or (), ext or (), (after, before), camera, lens, near, place),
        *(rating, keyword or (), (longer, shorter)),
    )
    asked = _Asked(query, also, image, avoid, avoid_image, batch, sort)
    with Library(library, device) as opened, printing():
        page = {"limit": limit, "offset": offset, "copies": copies}
        found = _found(opened, asked, filters_of(opened, typed), min_score, page, how)
    if not found:
        raise typer.Exit(EXIT_NONE)


class _Asked(NamedTuple):
    """What is looked for, as it is typed."""

    words: list[str] | None
    also: list[str] | None
    images: list[str] | None
    avoid: list[str] | None
    avoid_images: list[str] | None
    batch: str | None
    sort: SortChoice | None

    @property
    def has_terms(self) -> bool:
        return bool(self.words or self.also or self.images or self.avoid or self.avoid_images)


class _How(NamedTuple):
    """How hits are found and shown."""

    form: Form
    verbose: bool
    with_moments: bool
    opens_best: bool
    scan: ScanChoice
    adapter: str | None
    model: str | None


def _found(
    library: Library, asked: _Asked, filters: Filters, min_score: float | None, page: dict[str, Any], how: _How
) -> bool:
    """Prints what is found. Whether something is."""
    from mmsearch.cli.typed import pictures_from_pipes
    from mmsearch.output.hits import Form
    from mmsearch.searching.query import Query

    ask: Callable[[tuple[Term, ...]], Query] = partial(
        Query, filters=filters, min_score=min_score, sort=(asked.sort or SortChoice.SCORE).value, **page
    )
    if asked.batch is not None:
        if asked.has_terms or how.opens_best or how.form in (Form.PATHS, Form.NULL):
            raise Invalid("--batch takes its queries from the file and prints JSON; leave the others out.")
        return _answer_many(library, _batch_queries(asked.batch, ask), how)
    if (asked.sort or filters) and not asked.has_terms:
        _check_listing(min_score, how)
        return _show(library.list_files(filters, sort=(asked.sort or SortChoice.DATE).value, **page), how)
    with pictures_from_pipes() as in_a_file:
        like, unlike = map(in_a_file, asked.images or ()), map(in_a_file, asked.avoid_images or ())
        return _answer(library, ask(_terms(asked.words, asked.also, like, asked.avoid, unlike)), how)


def _answer(library: Library, query: Query, how: _How) -> bool:
    """Prints what answers the query. Whether something does."""
    scan = cast("Scan", "codes" if how.scan is ScanChoice.AUTO else how.scan.value)
    return _show(next(library.search_many([query], scan=scan, **_models(how))), how)


def _answer_many(library: Library, queries: Iterator[Query], how: _How) -> bool:
    from mmsearch.output.json import to_json

    found = False
    for result in library.search_many(queries, scan=how.scan.value, **_models(how)):
        print(to_json(result), flush=True)
        found = found or bool(result.hits)
    return found


def _models(how: _How) -> dict[str, Any]:
    return {"adapter": how.adapter, "model": how.model, "on_trouble": _tell_trouble}


def _show(result: SearchResult | FileList, how: _How) -> bool:
    """Prints hits, and what is to be said beside them. Whether there are any."""
    from mmsearch import output
    from mmsearch.output import hits
    from mmsearch.output.hits import Form

    hits.print_result(result, how.form, how.verbose, how.with_moments)
    for note in hits.notes(result, how.form):
        output.say(note)
    found = any(hit.available or how.form not in (Form.PATHS, Form.NULL) for hit in result.hits)
    if not found and how.form in (Form.TABLE, Form.LINES):
        output.say(hits.nothing_found(result))
    if how.opens_best and result.hits:
        from mmsearch.cli.viewing import open_hit

        sys.stdout.flush()
        open_hit(result.hits[0])
    return found


def _check_form(how: _How) -> None:
    from mmsearch.output.hits import Form

    if how.with_moments and how.form in (Form.PATHS, Form.NULL):
        raise Invalid("--moments lists places in files, of which --paths and -0 print none; leave one of them out.")


def _check_listing(min_score: float | None, how: _How) -> None:
    if min_score is not None or how.adapter or how.model or how.scan is not ScanChoice.AUTO:
        raise Invalid("Without a query nothing is compared; leave out --min-score, --adapter, --model and --scan.")


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
