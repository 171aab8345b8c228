"""`mmsearch search`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import typer

from mmsearch.cli.filtering import filters_of
from mmsearch.cli.parsing import taking
from mmsearch.cli.running import EXIT_NONE, keep_to_one_thread, printing
from mmsearch.cli.search_options import ScanChoice, SearchOptions, SortChoice
from mmsearch.errors import Invalid, MmsearchError, Unavailable

if TYPE_CHECKING:
    from mmsearch.client import Client
    from mmsearch.library import Library
    from mmsearch.nearest.scan import Scan
    from mmsearch.output.beside import Preview
    from mmsearch.output.thumbnails import Thumbnail
    from mmsearch.records import Filters
    from mmsearch.searching.query import Query, Term
    from mmsearch.searching.results import FileList, Hit, ListedFile, SearchResult

    Drawing = Callable[[Hit | ListedFile, tuple[int, int]], Thumbnail]


@taking(SearchOptions)
def search(options: SearchOptions) -> None:
    """Search by text, by image or both, or list files by filters.

    Files are found by meaning and by their words; a phrase in quotation marks within a text must occur:
    '"server started" log'. Several texts and pictures are added up by their weights. Photos and text files come in one
    list, by a score between 0 and 1. Exit code 0 for hits, 1 for none, 2 for an error.
    """
    keep_to_one_thread()
    if options.server:
        from mmsearch.cli.served import of_one_place

        options = of_one_place(options)
    _check_form(options)
    with _opened(options) as opened, printing():
        found = _found(opened, options, filters_of(opened, options.filters))
    if not found:
        raise typer.Exit(EXIT_NONE)


def _opened(options: SearchOptions) -> Library | Client:
    """What is asked: a library of this machine, or a server."""
    if options.server:
        from mmsearch.cli.served import client_of

        return client_of(options)
    if options.token_file is not None:
        raise Invalid("--token-file has the token of a server; name that with --server, or leave it out.")
    from mmsearch.library import Library

    return Library(options.library, options.device)


def _found(library: Library | Client, options: SearchOptions, filters: Filters) -> bool:
    """Prints what is found. Whether something is."""
    from mmsearch.cli.typed import pictures_from_pipes
    from mmsearch.output.hits import Form

    page: dict[str, Any] = {
        "limit": options.limit,
        "offset": options.offset,
        "group": options.group.value if options.group else None,
        "random": _seed(options),
        **({"copies": True} if options.copies else {}),
    }
    ask = _asking(library, options, filters, page)
    if options.batch is not None:
        shows = options.open_best or options.contact_sheet or options.preview or options.explain_to
        if options.has_terms or shows or options.form in (Form.PATHS, Form.NULL):
            raise Invalid("--batch takes its queries from the file and prints JSON; leave the others out.")
        return _answer_many(cast("Library", library), _batch_queries(options.batch, ask), options)
    if (options.sort or filters or options.at_random) and not options.has_terms:
        _check_listing(options)
        listed = library.list_files(filters, sort=(options.sort or SortChoice.DATE).value, **page)
        return _show(library, listed, options)
    with pictures_from_pipes() as in_a_file:
        like, unlike = map(in_a_file, options.image or ()), map(in_a_file, options.avoid_image or ())
        return _answer(library, ask(_terms(options, like, unlike)), options)


def _asking(
    library: Library | Client, options: SearchOptions, filters: Filters, page: dict[str, Any]
) -> Callable[[tuple[Term, ...]], Query]:
    """What makes a query of terms."""
    from mmsearch.searching.query import Query

    return partial(
        Query,
        filters=filters,
        min_score=options.min_score,
        sort=(options.sort or SortChoice.SCORE).value,
        language=options.lang,
        like=tuple(map(library.id_called, options.like or ())),
        unlike=tuple(map(library.id_called, options.unlike or ())),
        **page,
    )


def _seed(options: SearchOptions) -> int | None:
    """The seed of a draw, which the JSON tells, so that it can be repeated."""
    if not options.at_random:
        if options.seed is not None:
            raise Invalid("--seed says what --random draws; add that, or leave it out.")
        return None
    import secrets

    return secrets.randbits(32) if options.seed is None else options.seed


def _answer(library: Library | Client, query: Query, options: SearchOptions) -> bool:
    """Prints what answers the query. Whether something does."""
    if options.server:
        return _show(library, cast("Client", library).search(query), options)
    library = cast("Library", library)
    scan = cast("Scan", "codes" if options.scan is ScanChoice.AUTO else options.scan.value)
    result = next(library.search_many([query], scan=scan, on_trouble=_tell_trouble, **_models(options)))
    result = _explained(library, result, scan, options)
    if options.explain_to is not None and result.hits:
        _write_heat_maps(result, options.explain_to)
    return _show(library, result, options)


def _explained(library: Library, result: SearchResult, scan: Scan, options: SearchOptions) -> SearchResult:
    """The result, with explanations where they are asked for."""
    if not options.explains or not result.hits:
        return result
    return library.explained(result, scan=scan, **_models(options))


def _answer_many(library: Library, queries: Iterator[Query], options: SearchOptions) -> bool:
    from mmsearch.output.json import to_json

    found = False
    for result in library.search_many(queries, scan=options.scan.value, on_trouble=_tell_trouble, **_models(options)):
        print(to_json(_explained(library, result, options.scan.value, options)), flush=True)
        found = found or bool(result.hits)
    return found


def _models(options: SearchOptions) -> dict[str, Any]:
    return {"adapter": options.adapter, "model": options.model}


def _show(library: Library | Client, result: SearchResult | FileList, options: SearchOptions) -> bool:
    """Prints hits, and what is to be said beside them. Whether there are any."""
    library.keep_result(result)
    from mmsearch import output
    from mmsearch.output import hits
    from mmsearch.output.hits import Form

    form, draw = options.form, _drawing(library, options)
    hits.print_result(result, form, options.verbose, options.moments, _preview(draw) if options.preview else None)
    for note in hits.notes(result, form):
        output.say(note)
    found = any(hits.is_printed(hit, form) for hit in result.hits)
    if form in (Form.TABLE, Form.LINES):
        if not found:
            output.say(hits.nothing_found(result, form))
        from mmsearch.cli.typed import notes_on_files

        for note in notes_on_files(options.query or (), [hit.path for hit in result.hits]):
            output.say(note)
    if options.contact_sheet is not None and result.hits:
        _write_contact_sheet(result, options.contact_sheet, draw)
    if options.open_best and result.hits:
        from mmsearch.cli.viewing import open_hit

        sys.stdout.flush()
        if options.server:
            from mmsearch.cli.served import check_is_here

            check_is_here(result.hits[0])
        open_hit(result.hits[0])
    return found


def _drawing(library: Library | Client, options: SearchOptions) -> dict[str, Drawing]:
    """What draws the hits of a server, which may lie elsewhere, as an argument to what shows them."""
    if not options.server or not (options.preview or options.contact_sheet):
        return {}
    from mmsearch.cli.served import drawn_by

    return {"draw": drawn_by(cast("Client", library))}


def _preview(draw: Mapping[str, Drawing]) -> Preview:
    from mmsearch.output.beside import Preview

    return Preview(os.environ, sys.stdout.fileno(), **draw)


def _write_contact_sheet(result: SearchResult | FileList, path: str, draw: Mapping[str, Drawing]) -> None:
    from mmsearch import output
    from mmsearch.cli.running import progress_bar
    from mmsearch.output.contact_sheet import write_contact_sheet

    sys.stdout.flush()
    with progress_bar(quiet=False) as on_progress:
        write_contact_sheet(result, path, on_progress, **draw)
    count = len(result.hits)
    output.say(f"a contact sheet of {output.counted(count, 'hit')} is in {output.visible(path)}.")


def _write_heat_maps(result: SearchResult, folder: str) -> None:
    from mmsearch import output
    from mmsearch.output.heat_maps import write_heat_maps

    count = len(write_heat_maps(result, folder))
    output.say(f"the heat maps of {output.counted(count, 'picture')} are in {output.visible(folder)}.")


def _check_form(options: SearchOptions) -> None:
    from mmsearch.output.hits import Form

    if options.form in (Form.PATHS, Form.NULL) and options.moments:
        raise Invalid("--moments lists places in files, of which --paths and -0 print none; leave one of them out.")
    if options.preview:
        if not sys.stdout.isatty():
            raise Invalid("--preview draws in a terminal, and the output goes elsewhere; write a --contact-sheet.")
        if options.form is not Form.TABLE:
            raise Invalid("--preview draws beside a table; leave it out, or --json, --jsonl, --paths and -0.")
        _preview({})
    if options.explain and options.form in (Form.PATHS, Form.NULL):
        raise Invalid("--explain is told in words or JSON; leave it out, or --paths and -0.")
    if options.explain_to is not None:
        from mmsearch.output.heat_maps import check_heat_maps

        check_heat_maps(options.explain_to)
    if options.contact_sheet is not None:
        from mmsearch.output.contact_sheet import check_contact_sheet

        check_contact_sheet(options.contact_sheet)


def _check_listing(options: SearchOptions) -> None:
    compares = options.adapter or options.model or options.lang or options.scan is not ScanChoice.AUTO
    if options.explains:
        raise Invalid("--explain tells why a file answers a query; give one, or leave it out.")
    if options.min_score is not None or compares:
        raise Invalid(
            "Without a query nothing is compared; leave out --min-score, --lang, --adapter, --model and --scan."
        )


def _terms(options: SearchOptions, images: Iterable[str], avoid_images: Iterable[str]) -> tuple[Term, ...]:
    from mmsearch.cli.typed import terms_of_words
    from mmsearch.searching.query import image_term, text_term, text_terms

    return (
        *terms_of_words(options.query or ()),
        *(term for text in options.also or () for term in text_terms(text)),
        *(image_term(name) for name in images),
        *(text_term(text, -1) for text in options.avoid or ()),
        *(image_term(name, -1) for name in avoid_images),
    )


def _batch_queries(name: str, query_of: Callable[[tuple[Term, ...]], Query]) -> Iterator[Query]:
    from mmsearch.searching.query import text_terms

    try:
        lines = sys.stdin.buffer if name == "-" else open(name, "rb")  # noqa: SIM115
    except OSError as error:
        raise Unavailable(f"The batch file {name} cannot be read ({error.strerror}).") from error
    with lines:
        for number, line in enumerate(lines, start=1):
            words = line.decode("utf-8", "replace").strip()
            try:
                if words:
                    yield query_of(tuple(text_terms(words)))
            except MmsearchError as error:
                raise Invalid(f"Line {number} of the batch: {error.message}", error.remedy) from error


def _tell_trouble(trouble: str) -> None:
    from mmsearch import output

    output.say(f"a file of codes or a graph was not used ({trouble}); `mmsearch index` makes it again.")
