"""A period that a query names in its words, where no filter chooses by date: told, and not taken for a filter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from mmsearch.records import Filters
from mmsearch.searching.periods import period_in
from mmsearch.searching.query import Query
from mmsearch.searching.results import NamedPeriod
from mmsearch.searching.words import has_phrases


def named_period(query: Query, today: date, count_files: Callable[[Filters], int]) -> NamedPeriod | None:
    """The first that a text of the query names at an end of it, where files that pass its filters are of that time.

    `count_files` says how many pass filters.
    """
    if query.filters.after is not None or query.filters.before is not None:
        return None
    for term in query.terms:
        typed = term.typed or term.value
        if term.modality != "text" or term.weight < 0 or has_phrases(typed):
            continue
        found = period_in(typed, today, term.read_as)
        if found is None:
            continue
        filters = replace(query.filters, after=found.after, before=found.before)
        files = count_files(filters)
        if files:
            return NamedPeriod(found.phrase, found.after, found.before, files, typed, found.rest)
    return None
