"""The texts of a query in other languages, for models that know English alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mmsearch.language import read
from mmsearch.models.known import knows_english_alone
from mmsearch.nearest.spaces import ModelInUse
from mmsearch.searching.query import Query, Term
from mmsearch.searching.words import without_quotes


def as_read(query: Query, models: Sequence[ModelInUse]) -> Query:
    """The query; each text in another language with how it was read, where one of the models needs that."""
    if not any(_needs_english(in_use) for in_use in models):
        return query
    terms = (
        replace(term, read_as=read(without_quotes(term.value), query.language)) if term.modality == "text" else term
        for term in query.terms
    )
    return replace(query, terms=tuple(terms))


def texts_of(term: Term, in_use: ModelInUse) -> tuple[str, ...]:
    """What the model encodes for a text: what it says in English, in one or more readings, or the text as it is."""
    if term.read_as is not None and term.read_as.english and _needs_english(in_use):
        return term.read_as.english
    return (without_quotes(term.value),)


def _needs_english(in_use: ModelInUse) -> bool:
    return knows_english_alone(in_use.model.name)
