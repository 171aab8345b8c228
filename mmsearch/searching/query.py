"""What a query is: weighted terms of either modality, and filters. Parsing, and the errors a person can cause."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from mmsearch.errors import Invalid, MmsearchError, NotFound, Remedy
from mmsearch.files.archives import is_file_at
from mmsearch.files.regular import kind_of
from mmsearch.files.remote_paths import absolute_path, is_remote
from mmsearch.files.times import in_local_time
from mmsearch.records import Filters, Medium, Modality, Reading
from mmsearch.searching import DEFAULT_LIMIT

# By what hits are ordered: the best, the most similar, the newest, or the first path first.
Sort = Literal["score", "similarity", "date", "name"]
# What hits that stand together have in common.
Group = Literal["folder", "day", "place"]
# Of hits and files that can be asked for.
LARGEST_NUMBER = 1_000_000_000

LARGEST_WEIGHT = 1_000
# SQLite takes a condition of so many alternatives, each perhaps under two names.
MOST_FOLDERS = 400

# `12:30 train` and `7:05` begin with a time of day, which is no weight.
_WEIGHTED = re.compile(r"(?!\d\d?:[0-5]\d\b(?!:\d))(\d+(?:\.\d*)?|\.\d+):(.+)", re.DOTALL)
# What is to be avoided takes half of its vector away: with all of it less is found of what is wanted.
AVOIDED = 0.5
# A picture says more than the thing in it that is to be avoided: of its vector less is taken away. Of the first ten
# photos for a wider word ("an animal"), away from a picture of one kind of them, 82 in 100 were of the other kinds with
# this weight, 81 with half of the vector and 57 with all of it (60 kinds: benchmarks/avoided_picture.py).
AVOIDED_PICTURE = 0.375
# A longer text (a letter, a paragraph) says more than what is wanted and what is not.
MOST_WORDS_APART = 20
_WITHOUT = re.compile(
    r"(?P<wanted>\S.*?)(?:,?\s+without|,?\s+with\s+no|,?\s+but\s+(?:no|not)|,\s*no)\s+(?P<unwanted>(?:any\s+)?\S.*)",
    re.DOTALL | re.IGNORECASE,
)
# `no people on the beach`, `nobody on the beach`: what is wanted comes last.
_NOTHING = re.compile(
    r"(?:nobody|no\s+one|no\s+(?P<unwanted>\S.*?))\s+(?:on|in|at|under|near|around|behind|inside)\s+(?P<wanted>\S.*)",
    re.DOTALL | re.IGNORECASE,
)
_ANYBODY = "people"
_QUOTES = frozenset('"“”„«»')
_ID = re.compile("[0-9a-f]{32}")
_FILE_URL = "file://"
_DATES = (("%Y", 4), ("%Y-%m", 7), ("%Y-%m-%d", 10))


@dataclass(frozen=True)
class Term:
    """One text or one image of a query. `value` is the text, or the image file's path; negative weights repel.

    `read_as` is how a text in another language was read for a model that knows English alone: a session finds that out.
    `typed` is the whole text where that was taken for this term and another one, to be avoided; a session makes it one
    term again where a file has these words as they were typed.
    """

    modality: Modality
    value: str
    weight: float = 1.0
    read_as: Reading | None = None
    typed: str | None = None

    def json_fields(self) -> dict[str, Any]:
        """`{"text": "dog", "weight": 1.0}`, `{"image": "/a.jpg", "weight": 0.5}`; `read_as` where a text was read."""
        read_as = {} if self.read_as is None else {"read_as": self.read_as}
        return {self.modality: self.value, "weight": self.weight, **read_as}


@dataclass(frozen=True)
class Query:
    """What is looked for. At least one term has a positive weight, unless something is to be alike.

    `like` and `unlike` are ids of contents (of hits) of which the answers are to be more or less: see `feedback`. They
    are no answers themselves.

    The hits are at most `limit`, after the first `offset` of all. Without `min_score` a query of one text leaves out
    hits that are no nearer than what a text that means nothing would find. Files of the same content are one hit, or
    with `copies` one each. `sort` orders the hits of the page, which are the best ones whatever it is, and `group` puts
    those together that have the same. With `random`, the seed of a draw, the page is one of all that answer, drawn.
    `language` is the code of that which the texts are in ("de"; "en" takes them as they are); without it their words
    tell.

    Raises:
        Invalid: no terms, none of a positive weight, an empty text, numbers out of range, or a language that is not
            read.
    """

    terms: tuple[Term, ...]
    filters: Filters = field(default_factory=Filters)
    limit: int = field(default=DEFAULT_LIMIT, metadata={"json": None})
    min_score: float | None = field(default=None, metadata={"json": None})
    offset: int = field(default=0, metadata={"json": None})
    copies: bool = field(default=False, metadata={"json": None})
    sort: Sort = field(default="score", metadata={"json": None})
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    group: Group | None = field(default=None, metadata={"json": None})
    random: int | None = None
    language: str | None = field(default=None, metadata={"json": None})

    def __post_init__(self) -> None:
        if not (self.terms or self.like or self.unlike):
            raise Invalid("Nothing to search for.", Remedy("query"))
        if any(not term.value.strip() for term in self.terms):
            raise Invalid("The query is empty.", Remedy("query"))
        if not (self.like or any(term.weight > 0 for term in self.terms)):
            raise Invalid("The query only says what to avoid.", Remedy("query.add"))
        if any(not is_id(one) for one in (*self.like, *self.unlike)):
            raise Invalid("What is liked or not is given by the ids of hits, of 32 digits each.")
        check_page(self.limit, self.offset, self.sort, self.group, self.random)
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise Invalid(f"The lowest score is {self.min_score:g}; scores lie between 0 and 1.")
        if self.language is not None:
            from mmsearch.language import check_language

            check_language(self.language)


def is_id(written: str) -> bool:
    """Whether that is how the ids of hits are written."""
    return _ID.fullmatch(written) is not None


def check_page(limit: int, offset: int, sort: Sort, group: Group | None = None, seed: int | None = None) -> None:
    """Raises Invalid for what is no page of a list, no order, no group, or no seed of a draw."""
    if not 1 <= limit <= LARGEST_NUMBER:
        raise Invalid(f"The limit is {limit}; it must be 1 or more, and no more than {LARGEST_NUMBER:,}.")
    if not 0 <= offset <= LARGEST_NUMBER:
        raise Invalid(f"The offset is {offset}; it must be 0 or more, and no more than {LARGEST_NUMBER:,}.")
    if sort not in get_args(Sort):
        raise Invalid(f"Nothing is sorted by {sort!r}; it is score, similarity, date or name.")
    if group is not None and group not in get_args(Group):
        raise Invalid(f"Nothing is grouped by {group!r}; it is folder, day or place.")
    if seed is not None and not 0 <= seed < 2**64:
        raise Invalid(f"The seed is {seed}; it must be 0 or more, and of no more than 64 bits.")


def parse_weight(written: str) -> tuple[float, str]:
    """`2:dog` → (2.0, "dog"); without a leading number and colon the weight is 1.

    A time of day at the beginning (`10:30 train`) is none. Another text that begins so is written with a weight of its
    own: `1:5:a letter`, `1:10:30 train`.
    """
    match = _WEIGHTED.fullmatch(written)
    if not match:
        return 1.0, written
    return float(match[1]), match[2].strip()


def text_terms(written: str) -> list[Term]:
    """The terms of `text` or `weight:text`: what is wanted and, of a text that says so, what it is to be without.

    `a street without cars`, `a street with no cars`, `a street, no cars`, `a street but not cars`: to a model these say
    "cars". Of the first ten photos 61 in 100 had what was wanted and lacked the rest by one vector less half of the
    other, and 31 in 100 as it was typed (32 pairs of things: benchmarks/negation.py). So do `no cars in the street` and
    `nobody in the street`. A longer text is one term. The two keep the text: it may be a name (`searching/literal.py`).
    """
    weight, text = parse_weight(written)
    is_short = len(text.split()) <= MOST_WORDS_APART and not _QUOTES.intersection(text)
    match = (_WITHOUT.fullmatch(text) or _NOTHING.fullmatch(text)) if is_short else None
    if match is None:
        return [text_term(written)]
    terms = (match["wanted"], weight), (match["unwanted"] or _ANYBODY, -weight * AVOIDED)
    return [Term("text", _as_utf8(part), _weight(written, signed), typed=_as_utf8(text)) for part, signed in terms]


def in_parts(terms: Iterable[Term]) -> Iterator[tuple[Term, ...]]:
    """The terms, those together that were one text: what is wanted of it, and what is to be avoided."""
    all_of_them, place = tuple(terms), 0
    while place < len(all_of_them):
        count = 2 if _are_one(all_of_them[place : place + 2]) else 1
        yield all_of_them[place : place + count]
        place += count


def as_one(wanted: Term, avoided: Term) -> Term:
    """The text that two terms were, as one that is wanted."""
    assert wanted.typed is not None and avoided.typed == wanted.typed
    return Term("text", wanted.typed, wanted.weight, typed=wanted.typed)


def as_parts(terms: Iterable[Term]) -> Iterator[Term]:
    """The terms as they were typed: a text that was made one again as the two that it was."""
    for term in terms:
        parts = text_terms(f"{term.weight!r}:{term.value}") if term.typed == term.value else [term]
        yield from parts if len(parts) == 2 else [term]


def _are_one(terms: Sequence[Term]) -> bool:
    if len(terms) != 2 or terms[0].typed is None:
        return False
    wanted, avoided = terms
    return wanted.typed == avoided.typed and wanted.weight > 0 > avoided.weight


def text_term(written: str, sign: int = 1) -> Term:
    """A term from `text` or `weight:text`; `sign` -1 makes it one to avoid, by half as much if no weight is said."""
    weight, text = parse_weight(written)
    if sign < 0 and text == written:
        weight = AVOIDED
    return Term("text", _as_utf8(text), _weight(written, sign * weight))


def _as_utf8(text: str) -> str:
    """Bytes that are no UTF-8 (a shell hands them on as lone surrogates) have no meaning to search for."""
    return text.encode("utf-8", "replace").decode("utf-8")


def image_term(written: str, sign: int = 1) -> Term:
    """A term from `file` or `weight:file`, a path or a `file://` URL. A file of exactly that name comes first.

    `sign` -1 makes it one to avoid, by three eighths as much if no weight is said.

    Raises:
        NotFound: there is no such file. Invalid: it is a folder or else no file, or lies on the network.
    """
    weight, name = _weight_and_name(written)
    if sign < 0 and name == written:
        weight = AVOIDED_PICTURE
    if name.lower().startswith(("http://", "https://")) or is_remote(os.fsencode(name)):
        raise Invalid(f"The query image {name} lies on the network, of which nothing is fetched; save it as a file.")
    path = _file_called(name)
    if not is_file_at(os.fsencode(path)):
        raise _no_picture(name, path)
    return Term("image", path, _weight(written, sign * weight))


def _no_picture(name: str, path: str) -> MmsearchError:
    """What is said of a query image that is no file."""
    try:
        what = f"is {kind_of(os.stat(path).st_mode)}"
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return NotFound(f"The query image {name} does not exist; give the path of a picture.")
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
    return Invalid(f"The query image {name} {what}; give the path of a picture.")


def names_picture(written: str) -> bool:
    """Whether `file` or `weight:file` is a `file://` URL, or the path of a file that has the extension of a picture."""
    _, name = _weight_and_name(written)
    if name.lower().startswith(_FILE_URL):
        return True
    path = _file_called(name)
    if is_remote(os.fsencode(name)) or not is_file_at(os.fsencode(path)):
        return False
    from mmsearch.reading import medium_of

    return medium_of(os.fsencode(path)) == "image"


def _weight_and_name(written: str) -> tuple[float, str]:
    return (1.0, written) if os.path.exists(written) else parse_weight(written)


def _file_called(name: str) -> str:
    """The absolute path of a file that is named by a path or a URL."""
    if name.lower().startswith(_FILE_URL) and not os.path.exists(name):
        from urllib.parse import unquote_to_bytes, urlsplit

        host, path = urlsplit(name)[1:3]
        if host not in ("", "localhost"):
            raise Invalid(f"The query image {name} lies on another machine; give the path of a picture.")
        name = os.fsdecode(unquote_to_bytes(path))
        if os.sep == "\\":
            name = name.lstrip("/")
    return os.path.abspath(os.path.expanduser(name))


def _weight(written: str, weight: float) -> float:
    if weight == 0:
        raise Invalid(f"The weight in {written!r} is 0; leave the term out or give it a weight.")
    if abs(weight) > LARGEST_WEIGHT:
        raise Invalid(f"The weight in {written[:40]!r} is too large; use at most {LARGEST_WEIGHT:,}.")
    return weight


def parse_medium(written: str) -> Medium:
    """`image`, `text`: a medium that there is a reader for.

    Raises:
        Invalid: anything else.
    """
    from mmsearch.reading import READERS

    media = [reader.medium for reader in READERS]
    if written not in media:
        raise Invalid(f"There is no type {written!r}; it is {', '.join(media[:-1])} or {media[-1]}.")
    return written


def folders_called(written: str) -> list[str]:
    """The folders that a path or a pattern (`~/Pictures/20*`, `**/phone`) names, as absolute paths.

    A path is taken as it is, and need not be there. Of what matches a pattern files are taken where no folder does.

    Raises:
        NotFound: nothing matches the pattern. Invalid: too much does.
    """
    import glob

    absolute = absolute_path(written)
    if is_remote(os.fsencode(absolute)) or os.path.lexists(absolute) or not glob.has_magic(written):
        return [absolute]
    matching = [path.rstrip(os.sep) for path in glob.iglob(absolute, recursive=True)]
    folders = [path for path in matching if os.path.isdir(path)] or matching
    if not folders:
        raise NotFound(f"No folder matches {written!r}; check the pattern.")
    if len(folders) > MOST_FOLDERS:
        raise Invalid(f"{written!r} matches {len(folders):,} folders; name at most {MOST_FOLDERS}, or one above them.")
    return sorted(folders)


def parse_folder(written: str) -> tuple[bytes, ...]:
    """A folder or file to search in, as an absolute path, and with its links resolved if that is another."""
    absolute = absolute_path(written)
    if is_remote(os.fsencode(absolute)):
        return (os.fsencode(absolute),)
    return tuple(os.fsencode(path) for path in dict.fromkeys((absolute, os.path.realpath(absolute))))


def parse_extension(written: str) -> tuple[str, ...]:
    """`jpg`, `.JPG`, `*.jpg` or `jpg,png` → lower case with dots."""
    names = [name.strip().lstrip("*").lstrip(".").lower() for name in written.split(",")]
    # What is no text (bytes that are no UTF-8) no file's extension is kept as.
    if not all(names) or any(set(name) & set("*?[/") or not name.isprintable() for name in names):
        raise Invalid(f"{written!r} is not a file extension; write it as jpg or jpg,png.")
    return tuple(f".{name}" for name in names)


def parse_date(written: str) -> datetime:
    """A year, month, day or ISO 8601 time, as local time; `2024` is its first moment, as is that of a period in words.

    Raises:
        Invalid: it is no date.
    """
    text = written.strip()
    for pattern, length in _DATES:
        if len(text) == length:
            try:
                return datetime.strptime(text, pattern)
            except ValueError:
                break
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _begin_of(written)
    return in_local_time(moment).replace(tzinfo=None) if moment.tzinfo else moment


def _begin_of(written: str) -> datetime:
    from mmsearch.searching.periods import parse_period

    with contextlib.suppress(Invalid):
        begin = parse_period(written).after
        if begin is not None:
            return begin
    raise Invalid(
        f"{written!r} is not a date; write it as 2024, 2024-05, 2024-05-31 or 2024-05-31T18:00, or in words as "
        "last week or july 2019."
    )
