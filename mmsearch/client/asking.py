"""A query or filters → the parameters that ask a server for just that. What it has no parameter for is refused."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mmsearch.errors import Invalid, Unavailable, Unsupported
from mmsearch.records import Filters
from mmsearch.searching.query import Query, Term, as_one, as_parts, in_parts, text_term, text_terms

MOST_PICTURE_BYTES = 30_000_000


@dataclass(frozen=True)
class Asked:
    """The parameters of a query, and its terms in the order that the server has: those of one text as two.

    `pictures` are those of them that are files here, which are to be uploaded.
    """

    parameters: dict[str, Any]
    terms: tuple[Term, ...]
    pictures: tuple[Term, ...]


def asked_by(query: Query) -> Asked:
    """What asks for the answer to a query.

    Raises:
        Unsupported: a server has no parameter for something in it.
    """
    if query.copies:
        raise Unsupported("A server shows files of one content as one hit; leave copies out.")
    pictures = tuple(term for term in query.terms if term.modality == "image")
    texts = [part for part in in_parts(as_parts(query.terms)) if part[0].modality == "text"]
    wanted = tuple(part for part in texts if part[0].weight > 0)
    avoided = tuple(term for (term,) in (part for part in texts if part[0].weight < 0))
    if any(term.weight < 0 for term in pictures):
        raise Unsupported("A server keeps away from no picture that is a file; keep away from a hit, or from a text.")
    parameters = {
        "q": [_written(*part) for part in wanted],
        "not": [_written(term) for term in avoided],
        "like": list(query.like),
        "unlike": list(query.unlike),
        "min_score": query.min_score,
        "lang": query.language,
        **page_of(query.sort, query.limit, query.offset, query.group, query.random),
        **filters_in(query.filters),
    }
    return Asked(given(parameters), (*(term for part in wanted for term in part), *pictures, *avoided), pictures)


def as_answered(terms: Iterable[Term], told: Iterable[Any]) -> tuple[Term, ...]:
    """Those terms, two that were one text as one where that is among those that a server tells of."""
    texts = {one.value if isinstance(one, Term) else one.get("text") for one in told}
    parts = in_parts(as_parts(terms))
    return tuple(
        term for part in parts for term in ([as_one(*part)] if len(part) == 2 and part[0].typed in texts else part)
    )


def page_of(sort: str, limit: int, offset: int, group: str | None, random: int | None) -> dict[str, Any]:
    """The parameters of a page."""
    return {"sort": sort, "limit": limit, "offset": offset, "group": group, "random": random}


def filters_in(filters: Filters) -> dict[str, Any]:
    """The parameters of filters.

    Raises:
        Unsupported: there are names of places that are not those of one.
    """
    near = filters.near
    return {
        "type": filters.medium,
        "in": [os.fsdecode(folder) for folder in filters.folders],
        "not_in": [os.fsdecode(folder) for folder in filters.not_folders],
        "ext": list(filters.extensions),
        "after": filters.after.isoformat() if filters.after else None,
        "before": filters.before.isoformat() if filters.before else None,
        "camera": filters.camera,
        "lens": filters.lens,
        "near": ",".join(map(_number, (near.latitude, near.longitude, near.km))) if near else None,
        "place": _place(filters.places),
        "rating": filters.rating,
        "keyword": list(filters.keywords),
        "longer": _number(filters.longer) if filters.longer else None,
        "shorter": _number(filters.shorter) if filters.shorter else None,
    }


def given(parameters: dict[str, Any]) -> dict[str, Any]:
    """Those that say something."""
    return {name: value for name, value in parameters.items() if value is not None and value != []}


def picture_of(term: Term) -> bytes:
    """The bytes of the picture that a term looks for.

    Raises:
        Unavailable: it cannot be read. Invalid: it has more bytes than a server takes.
    """
    from mmsearch.reading import UnreadableFile, file_bytes

    path = os.fsencode(term.value)
    try:
        if os.path.isfile(path) and os.path.getsize(path) > MOST_PICTURE_BYTES:
            raise Invalid(f"The query image {term.value} has more than the {MOST_PICTURE_BYTES:,} bytes of an upload.")
        return file_bytes(path, MOST_PICTURE_BYTES)
    except UnreadableFile as error:
        raise Unavailable(f"The query image {term.value} cannot be read: {error.reason}.") from error
    except OSError as error:
        raise Unavailable(f"The query image {term.value} cannot be read: {error.strerror}.") from error


def weighted(term: Term, name: str) -> str:
    """`weight:name`, as a server reads it."""
    return f"{_number(abs(term.weight))}:{name}"


def _written(term: Term, *avoided: Term) -> str:
    """A text with its weight, of which the server makes this one term again, or the two that it is.

    Raises:
        Unsupported: it would make others.
    """
    written = weighted(term, (term.typed if avoided else None) or term.value)
    read = text_terms(written.strip()) if term.weight > 0 else [text_term(written, -1)]
    same = [(one.value, one.weight) for one in read] == [(one.value, one.weight) for one in (term, *avoided)]
    # A + between words would begin another term.
    if not same or (term.weight > 0 and '"' not in written and " + " in f"{' '.join(written.split())} "):
        raise Unsupported(f"A server reads {term.value[:80]!r} as something else; give its parts as terms.")
    return written


def _place(places: Sequence[str]) -> str | None:
    """The place of which these are the names: the server finds the others itself."""
    if not places:
        return None
    from mmsearch.searching.details import parse_places

    if parse_places(places[0]) != tuple(places):
        raise Unsupported("A server takes one place, with the names that other languages have for it.")
    return places[0]


def _number(number: float) -> str:
    """Digits that stand for just that number, without an exponent."""
    written = repr(float(number))
    return written if "e" not in written else f"{number:.20f}"
