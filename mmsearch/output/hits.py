"""Hits, as a table, lines, JSON, JSON lines or paths."""

from __future__ import annotations

import os
import sys
from enum import Enum
from typing import TYPE_CHECKING

from mmsearch.files.remote_paths import is_remote
from mmsearch.language import NAMES
from mmsearch.output import counted, visible
from mmsearch.output.json import to_json
from mmsearch.output.mounts import PLACING
from mmsearch.output.places import Viewpoint, excerpt, place_in_file, time_span
from mmsearch.searching.periods import Period
from mmsearch.searching.results import FileList, Hit, ListedFile, SearchResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmsearch.output.beside import Preview

_SNIPPET_CHARACTERS = 160


class Form(str, Enum):
    """How hits are printed."""

    TABLE = "table"
    LINES = "lines"
    JSON = "json"
    JSONL = "jsonl"
    PATHS = "paths"
    NULL = "null"


def print_result(
    result: SearchResult | FileList,
    form: Form,
    verbose: bool = False,
    with_moments: bool = False,
    preview: Preview | None = None,
) -> None:
    """Prints a search's answer on stdout; nothing for no hits, but for JSON.

    A table has details where `verbose`, and pictures by a `preview`. Table and lines list the other moments of films
    and sound `with_moments`, and say below a hit why it is one, where that is explained.
    """
    if form is Form.JSON:
        print(to_json(result))
    elif form is Form.JSONL:
        for hit in result.hits:
            print(to_json(hit))
    elif form in (Form.PATHS, Form.NULL):
        end = b"\0" if form is Form.NULL else b"\n"
        sys.stdout.flush()
        sys.stdout.buffer.write(b"".join(os.fsencode(hit.path) + end for hit in result.hits if is_printed(hit, form)))
        sys.stdout.buffer.flush()
    elif form is Form.LINES:
        for hit in result.hits:
            print(_line(hit))
            for moment in hit.moments if with_moments and isinstance(hit, Hit) else ():
                print("\t".join([f"{moment.score:.2f}", hit.type, f"{visible(hit.path)} {time_span(moment.time)}"]))
            if isinstance(hit, Hit) and hit.explanation is not None:
                _print_explanation(hit)
    elif result.hits:
        from mmsearch.output.table import print_table

        print_table(result, verbose, with_moments, preview)


def is_printed(hit: Hit | ListedFile, form: Form) -> bool:
    """Whether a hit is printed: as a path alone one that other programs can open now."""
    return form not in (Form.PATHS, Form.NULL) or (hit.available and not _has_no_path(hit))


def _has_no_path(hit: Hit | ListedFile) -> bool:
    """Whether it is no file to other programs: it lies in an archive, or behind a URL."""
    return hit.archive is not None or is_remote(os.fsencode(hit.path))


def _print_explanation(hit: Hit) -> None:
    from mmsearch.output.explanations import explained_lines

    for line in explained_lines(hit):
        print(f"\t\t{line.marked}")


def notes(result: SearchResult | FileList, form: Form) -> list[str]:
    """What a person should know beside the hits: one sentence each."""
    if form in (Form.JSON, Form.JSONL):
        return []
    more = result.total - result.offset - len(result.hits)
    cut = [f"{len(result.hits):,} of {result.total:,} files; -n N lists more, and --offset N goes on."]
    return [
        *(cut if isinstance(result, FileList) and result.hits and more > 0 else []),
        *(_notes_on_words(result) if isinstance(result, SearchResult) and form in (Form.TABLE, Form.LINES) else ()),
        *_notes_on_presence(result, form),
        *(_notes_on_paths(result) if form in (Form.PATHS, Form.NULL) else ()),
    ]


def _notes_on_words(result: SearchResult) -> list[str]:
    """How texts were read that are in other languages or may be a name, what may be meant by words that nothing holds,
    and a period that is named, each in a line.
    """
    told = [f"did you mean {visible(one.text)}?" for one in result.suggestions]
    for term in result.query.terms:
        if term.typed == term.value:
            from mmsearch.searching.literal import name_as_typed

            name = visible(name_as_typed(term))
            told.append(f"a file has these words as they are typed: {name}; --not keeps away from things.")
        read_as = term.read_as
        if read_as is None:
            continue
        if read_as.language is None:
            what = f"{result.model} knows English, and {len(NAMES)} languages are read for it, of which this is none"
            told.append(f"{what}; `mmsearch models` lists models that know more.")
        elif not read_as.english:
            told.append(f"no word of this is known in {NAMES[read_as.language]}; it was searched as it was typed.")
        else:
            told.append(f"read as {NAMES[read_as.language]}: {visible(read_as.english[0])}")
    if result.period is not None:
        named = result.period
        of_it = f"{counted(named.files, 'file')} of {Period(named.after, named.before).dates}"
        told.append(f'--when "{visible(named.when)}" chooses by date ({of_it})')
    return told


def _notes_on_presence(result: SearchResult | FileList, form: Form) -> list[str]:
    away = sum(not hit.available for hit in result.hits)
    if not away:
        return []
    left_out = " and left out" if form in (Form.PATHS, Form.NULL) else ""
    from mmsearch.store.locations import is_url

    if is_url(result.library):
        # Others may see them: nobody is led to drop them because a share lies elsewhere here.
        helps = f"where this machine has their folder at another path, {PLACING}."
    else:
        helps = "`mmsearch index` finds what was moved, and `mmsearch prune` drops what is gone."
    what = counted(away, "file found is", "files found are")
    return [f"{what} not there now (a drive that is away?){left_out}; {helps}"]


def _notes_on_paths(result: SearchResult | FileList) -> list[str]:
    """What of the hits is left out among paths, as it has none."""
    left_out = [hit for hit in result.hits if hit.available and _has_no_path(hit)]
    if not left_out:
        return []
    packed = sum(hit.archive is not None for hit in left_out)
    where = "in archives" if packed == len(left_out) else "in archives or buckets" if packed else "in buckets"
    lies, is_ = ("lies", "is") if len(left_out) == 1 else ("lie", "are")
    told = "--jsonl tells the `archive` and `member` of each" if packed else "--jsonl tells the URL of each"
    found = counted(len(left_out), "file found", "files found")
    return [f"{found} {lies} {where}, where no path leads, and {is_} left out; {told}, and --open opens the best hit."]


def nothing_found(result: SearchResult | FileList, form: Form) -> str:
    """A sentence for a person whose query has no hits."""
    if result.total:
        return f"nothing found from there on; there {'is' if result.total == 1 else 'are'} only {result.total:,}."
    if isinstance(result, FileList) or result.nearest is None:
        filters = result.filters if isinstance(result, FileList) else result.query.filters
        has_phrase = isinstance(result, SearchResult) and any('"' in term.value for term in result.query.terms)
        by_filters = filters.json_fields() and not has_phrase
        return "nothing found: no file passes the filters." if by_filters else "nothing found."
    near = result.nearest
    place = _place(near, Viewpoint().shown if form is Form.TABLE else visible)
    if result.query.min_score is not None:
        return f"nothing found with that score; the nearest is {place} ({near.score:.2f})."
    return f"nothing close; the nearest is {place} ({near.score:.2f}). --min-score 0 shows all."


def _line(hit: Hit | ListedFile) -> str:
    shown = [hit.type, _place(hit, visible)]
    if isinstance(hit, Hit):
        return "\t".join([f"{hit.score:.2f}", *shown, _snippet(hit)]).rstrip()
    return "\t".join([hit.moment[:10], *shown])


def _place(hit: Hit | ListedFile, shown: Callable[[str], str]) -> str:
    return shown(hit.path) + place_in_file(hit) + ("" if hit.available else " (not there now)")


def _snippet(hit: Hit) -> str:
    words = excerpt(hit, _SNIPPET_CHARACTERS)
    return words if len(words) <= _SNIPPET_CHARACTERS else words[: _SNIPPET_CHARACTERS - 1] + "…"
