"""Parameters of a search → a query or a list, with its filters. No path among them is looked for on the disk."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mmsearch.errors import Invalid
from mmsearch.records import Filters
from mmsearch.searching.query import Group, Query, Sort, Term, is_id, parse_weight, text_term, text_terms
from mmsearch.server.filtering import filters_of as meant_by
from mmsearch.server.rest.cursors import Cursor
from mmsearch.server.rest.parameters import Given, Parameter, checked

if TYPE_CHECKING:
    from mmsearch.server.rest.uploads import Uploads

MOST_HITS, USUAL_HITS = 500, 50
_MOST = 1_000_000_000
_BETWEEN_TERMS = re.compile(r"\s\+(?:\s|$)")

# Bytes of these that are no UTF-8 mean something.
_PATHS = ("in", "not_in")
FILTERS = (
    Parameter("type", "Only files of this type.", choices=("image", "document", "video", "audio", "text")),
    Parameter("in", "Only files below this folder, an absolute path.", is_many=True),
    Parameter("not_in", "No files below this folder, an absolute path.", is_many=True),
    Parameter("ext", "Only files of this extension: jpg, or jpg,png.", is_many=True),
    Parameter(
        "when",
        "Only what was taken (else modified) in that time: 2019, july 2019, last summer, 2015..2018, since 2024, "
        "3 weeks ago.",
    ),
    Parameter("after", "Only what was taken (else modified) then or later: 2024, 2024-05-31."),
    Parameter("before", "Only what was taken (else modified) earlier."),
    Parameter("near", "Only photos taken within 25 km of a place, or as many as it says: Lisbon,5; 38.7,-9.1,5."),
    Parameter("place", "Only photos to which this city is the nearest, or taken in this country."),
    Parameter("camera", "Only photos by a camera with this in its name."),
    Parameter("lens", "Only photos through a lens with this in its name."),
    Parameter("rating", "Only photos with at least so many stars.", "integer", least=1, most=5),
    Parameter("keyword", "Only photos with a keyword that has these words.", is_many=True),
    Parameter("longer", "Only what plays longer than so many seconds: 90, or 1:30."),
    Parameter("shorter", "Only what plays shorter than so many seconds."),
)
TERMS = (
    Parameter("q", "A text to look for, or weight:text; + between words begins another.", is_many=True),
    Parameter("not", "A text to keep away from, or weight:text.", is_many=True),
    Parameter(
        "image",
        "A picture to look for: the token of an upload, or weight:token; or the id of a hit, which is then `like`.",
        is_many=True,
    ),
    Parameter("like", "The id of a hit: more like this.", is_many=True),
    Parameter("unlike", "The id of a hit: less like this.", is_many=True),
    Parameter("min_score", "Leave out hits with a lower score; 0 shows all.", "number", least=0, most=1),
    Parameter("lang", "The language of the texts: de, fr, ja."),
)
PAGE = (
    Parameter("sort", "The order of the hits of a page.", choices=("score", "similarity", "date", "name")),
    Parameter("group", "Put together what has the same.", choices=("folder", "day", "place")),
    Parameter("random", "The seed of a draw, of which the hits are a page.", "integer", least=0, most=2**64 - 1),
    Parameter("limit", "At most so many hits.", "integer", least=1, most=MOST_HITS),
    Parameter("offset", "Leave out the first so many hits.", "integer", least=0, most=_MOST),
    Parameter("cursor", "The next page: the `cursor` of an answer to the same parameters."),
)
SEARCH = (*TERMS, *FILTERS, *PAGE)
_NOT_OF_A_SEARCH = ("limit", "offset", "cursor")
_TIMES = ("when", "after", "before")
_BY_NAME = {one.name: one for one in SEARCH}


@dataclass(frozen=True)
class Asked:
    """A search: a query, or None for a list of what passes the filters; its page; and where its cursor comes from.

    `digest` tells it from others, whatever its page.
    """

    query: Query | None
    filters: Filters
    sort: Sort
    limit: int
    offset: int
    group: Group | None
    random: int | None
    cursor: Cursor | None
    digest: str


def asked_of(given: Given, uploads: Uploads, parameters: Sequence[Parameter] = SEARCH) -> Asked:
    """What the parameters mean together.

    Raises:
        MmsearchError: one means nothing, or they mean nothing together. Problem: the cursor is of another search.
    """
    given = checked(given, parameters)
    filters = filters_of(given)
    digest = _digest(given, filters)
    cursor = Cursor.read(given["cursor"][0], digest) if "cursor" in given else None
    if cursor is not None and "offset" in given:
        raise Invalid("`cursor` says where the page begins; leave `offset` out.")
    offset = cursor.offset if cursor else int(_number(given, "offset") or 0)
    random = _number(given, "random")
    page: dict[str, Any] = {
        "limit": int(_number(given, "limit") or USUAL_HITS),
        "offset": offset,
        "group": given["group"][0] if "group" in given else None,
        "random": None if random is None else int(random),
    }
    sort = given["sort"][0] if "sort" in given else None
    query = None
    if any(one in given for one in ("q", "not", "image", "like", "unlike")):
        query = _query(given, uploads, filters, cast("Sort", sort or "score"), page)
    elif any(one in given for one in ("min_score", "lang")):
        raise Invalid("Without a query nothing is compared; leave out `min_score` and `lang`.")
    return Asked(
        query, filters, cast("Sort", sort or ("score" if query else "date")), cursor=cursor, digest=digest, **page
    )


def _query(given: Given, uploads: Uploads, filters: Filters, sort: Sort, page: dict[str, Any]) -> Query:
    images = [(written, *parse_weight(written)) for written in given.get("image", ())]
    liked = [name for _, _, name in images if is_id(name)]
    if any(is_id(name) and weight != 1 for _, weight, name in images):
        raise Invalid("`image` with the id of a hit has no weight; give `like`, or upload the picture.")
    # A + within quotation marks is looked for.
    asked = ([written] if '"' in written else _BETWEEN_TERMS.split(written) for written in given.get("q", ()))
    texts = (text for parts in asked for text in parts)
    terms = (
        *(term for text in texts for term in text_terms(text.strip())),
        *(Term("image", uploads.path_of(name), weight) for _, weight, name in images if not is_id(name)),
        *(text_term(written, -1) for written in given.get("not", ())),
    )
    return Query(
        terms,
        filters,
        min_score=_number(given, "min_score"),
        sort=sort,
        like=(*liked, *given.get("like", ())),
        unlike=tuple(given.get("unlike", ())),
        language=given["lang"][0] if "lang" in given else None,
        **page,
    )


def filters_of(given: Given) -> Filters:
    """The filters among the parameters.

    Raises:
        Invalid: one means nothing, or no time or length lies between two of them. NotFound: no city is called so.
    """
    values: dict[str, Any] = {}
    for one in FILTERS:
        written = given.get(one.name, ())
        if not written:
            continue
        if one.kind != "string":
            number = one.number(given)
            values[one.name] = int(number) if one.kind == "integer" and number is not None else number
        elif one.name in _PATHS:
            values[one.name] = written
        else:
            texts = [_as_text(text) for text in written]
            values[one.name] = texts if one.is_many else texts[0]
    return meant_by(values)


def _as_text(written: str) -> str:
    """Bytes that are no UTF-8 mean something in paths alone."""
    return written.encode("utf-8", "replace").decode("utf-8")


def _number(given: Given, name: str) -> float | None:
    return _BY_NAME[name].number(given)


def _digest(given: Given, filters: Filters) -> str:
    # Yesterday is another day tomorrow: what counts is when it was.
    kept = {name: list(values) for name, values in given.items() if name not in (*_NOT_OF_A_SEARCH, *_TIMES)}
    times = [None if one is None else one.isoformat() for one in (filters.after, filters.before)]
    return hashlib.sha256(json.dumps([kept, times], sort_keys=True).encode()).hexdigest()[:24]
