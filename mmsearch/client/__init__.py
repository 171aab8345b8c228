"""A library that is served elsewhere, asked over HTTP: the counterpart of the REST API, and of `Library`.

from mmsearch import connect
library = connect("http://127.0.0.1:8000/?token=…")
print(library.search("dog on beach").hits[0].path)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from mmsearch.client.address import ServerAddress, address_of
from mmsearch.client.asking import as_answered, asked_by, filters_in, given, page_of, picture_of, weighted
from mmsearch.client.connection import Connection
from mmsearch.client.decoding import NotDecoded, decoded
from mmsearch.errors import NotFound, Remedy, Unsupported
from mmsearch.records import Filters, Reading
from mmsearch.searching import DEFAULT_LIMIT
from mmsearch.searching.query import Group, Query, Sort, is_id, parse_folder, text_terms
from mmsearch.searching.results import FileList, SearchResult

# The command line starts fast: what it does not ask for is imported by its methods.
if TYPE_CHECKING:
    from mmsearch.library.contents import Status
    from mmsearch.searching.duplicate_groups import DuplicateClass, DuplicateGroup, Duplicates
    from mmsearch.searching.stored_files import PassagePlace, Passages, StoredFile

Kind = TypeVar("Kind")

TOKEN_VARIABLE = "MMSEARCH_TOKEN"
SECONDS = 60.0
# Of groups of duplicates a server gives so many at once.
_GROUPS = 500
# In the cache folder: the hits of the last search of each server, by their ranks.
_LAST_RESULTS = "servers"


def connect(url: str, token: str | None = None, seconds: float = SECONDS) -> Client:
    """The library that `mmsearch serve` serves at a URL: the address that it prints, token included.

    `token` comes before that of the URL; without both it is that of MMSEARCH_TOKEN. Each answer may take so many
    `seconds`. Nothing is asked for yet.

    Raises:
        Invalid: it is no address of a server, or there is no token.
    """
    return Client(address_of(url, token, os.environ.get(TOKEN_VARIABLE)), seconds)


class Client:
    """A library that a server serves, with what `Library` has for reading: the same types, and the same answers.

    All methods raise an MmsearchError, in one sentence, for what a person can put right: those of the server's library,
    and Unavailable where no server answers, Refused where it does not take the token, Unsupported for what it cannot do
    or where it is of a version that is not understood. Any number of threads may share it; they take turns.
    """

    def __init__(self, address: ServerAddress, seconds: float = SECONDS) -> None:
        self._connection = Connection(address, seconds)

    @property
    def address(self) -> str:
        """Where the server is, without the token."""
        return self._connection.shown

    def close(self) -> None:
        """Ends the connection; the client may be used again afterwards."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def search(self, query: Query | str) -> SearchResult:
        """The files that answer a query, best first. A text is a query of one term (`2:dog` has weight 2).

        Pictures to look for are files here, of 30 MB at most, and are uploaded; the server keeps them for an hour.
        """
        query = Query(tuple(text_terms(query))) if isinstance(query, str) else query
        asked = asked_by(query)
        parameters = dict(asked.parameters)
        *others, last = asked.pictures or (None,)
        # One that counts once comes with the search itself.
        first = [one for one in (*others, last) if one is not None and (one is not last or one.weight != 1)]
        images = [weighted(one, self._uploaded(picture_of(one))) for one in first]
        if images:
            parameters["image"] = images
        if last is not None and last.weight == 1:
            answer = self._connection.upload("search", parameters, picture_of(last))
        else:
            answer = self._connection.send("search", parameters)
        return self._decoded(SearchResult, answer, {"query": self._as_read(query, asked.terms, answer)})

    def list_files(
        self,
        filters: Filters | None = None,
        *,
        sort: Sort = "date",
        limit: int = DEFAULT_LIMIT,
        offset: int = 0,
        group: Group | None = None,
        random: int | None = None,
    ) -> FileList:
        """The files that pass the filters, the newest first or by path; of one content one.

        `group` and `random` are those of a `Query`.
        """
        filters = filters or Filters()
        parameters = given({**page_of(sort, limit, offset, group, random), **filters_in(filters)})
        return self._decoded(FileList, self._connection.send("search", parameters), {"filters": filters})

    def file(self, file_id: str) -> StoredFile:
        """What the library knows of the file with the id of a hit; of copies that are there now, of the first."""
        from mmsearch.searching.stored_files import StoredFile

        return self._decoded(StoredFile, self._connection.get(f"files/{file_id}"))

    def passages(self, file_id: str, place: PassagePlace | None = None) -> Passages:
        """Some of the texts that were found in the file with the id of a hit, from a place on; on from there with
        `PassagePlace.first`.
        """
        from mmsearch.searching.stored_files import PassagePlace, Passages

        at = place or PassagePlace()
        first = at.first or None
        answer = self._connection.get(
            f"files/{file_id}/passages", page=at.page, line=at.line, time=at.time, first=first
        )
        return self._decoded(Passages, answer)

    def thumbnail(self, file_id: str, side: int = 320, *, page: int | None = None, time: float | None = None) -> bytes:
        """A JPEG of the file with the id of a hit, its longer side of at most `side` pixels, 16 to 4,096.

        `page` of a document, counted from 1, and `time` in seconds in a video say what is shown.
        """
        return self._connection.get_bytes(f"files/{file_id}/thumb", side=side, page=page, time=time)

    def duplicates(
        self, filters: Filters | None = None, *, classes: Sequence[DuplicateClass] = (), limit: int | None = None
    ) -> Duplicates:
        """Files among those that pass the filters that are there more than once, in groups with one to keep.

        `classes` are "bytes", "picture" and "shots"; without any, all.

        Raises:
            Unsupported: the server is of an older version, which finds none. Unavailable: its library has changed while
                the groups came in several answers.
        """
        from mmsearch.searching.duplicate_groups import Duplicates

        filters = filters or Filters()
        groups: list[DuplicateGroup] = []
        cursor = None
        while True:
            most = _GROUPS if limit is None else min(_GROUPS, limit - len(groups))
            asked = {"class": list(classes), **filters_in(filters), "limit": most, "cursor": cursor}
            try:
                answer = self._connection.get("duplicates", **asked)
            except NotFound as error:
                if b'/duplicates"' in self._connection.get_bytes("openapi.json"):
                    raise
                message = f"The server at {self.address} finds no duplicates; install a newer mmsearch there."
                raise Unsupported(message) from error
            page = self._decoded(Duplicates, answer, {"filters": filters})
            groups += page.groups
            cursor = answer.get("cursor")
            if not cursor or not page.groups or (limit is not None and len(groups) >= limit):
                return replace(page, groups=tuple(groups))

    def status(self) -> Status:
        """What the library holds: files, roots, failures, model, size."""
        from mmsearch.indexing.report import Incomplete, Thinned
        from mmsearch.indexing.roots import RootStatus
        from mmsearch.library.contents import Status
        from mmsearch.records import Counts
        from mmsearch.store.queue_state import QueueState

        answer = self._connection.get("status")
        told = answer.get("failures")
        failures = len(told) if isinstance(told, list) else 0
        counts = self._decoded(Counts, answer, {"failures": failures})
        names = {"Incomplete": Incomplete, "Thinned": Thinned, "RootStatus": RootStatus, "QueueState": QueueState}
        return self._decoded(Status, answer, {"counts": counts}, names)

    def holds(self, path: str | os.PathLike[str]) -> bool:
        """Whether the library has files in a folder or at a path."""
        return self.list_files(Filters(folders=parse_folder(os.fspath(path))), limit=1).total > 0

    def keep_result(self, result: SearchResult | FileList) -> None:
        """Keeps in the cache folder which contents the hits are, so that `id_called` knows them by their ranks."""
        from mmsearch.files.private import make_private_folder
        from mmsearch.searching.last_result import keep_result

        folder = self._last_results()
        with suppress(OSError):  # what cannot be written is done without
            make_private_folder(os.path.dirname(folder))
            make_private_folder(folder)
            keep_result(folder, result)

    def id_called(self, called: str | os.PathLike[str]) -> str:
        """The id of a hit, for `Query.like`, by its rank in the result kept last ("3"), its path, or its id.

        Raises:
            NotFound: nothing is called so.
        """
        name = os.fspath(called)
        if name.isdecimal() or is_id(name):
            from mmsearch.searching.last_result import kept_id

            found = kept_id(self._last_results(), name) if name.isdecimal() else name
            self._connection.get(f"files/{found}")
            return found
        paths = parse_folder(name)
        listed = self.list_files(Filters(folders=paths), limit=1).hits
        if not listed or not {os.fsencode(one) for one in (listed[0].path, *listed[0].copies)}.intersection(paths):
            raise NotFound(f"The library has no file {os.fsdecode(paths[0])}", Remedy("like"))
        return listed[0].id

    def _uploaded(self, picture: bytes) -> str:
        """The token by which the server keeps a picture."""
        token = self._connection.upload("search", {"limit": 1}, picture).get("upload")
        if not isinstance(token, str):
            raise self._connection.no_answer("`upload` is lacking")
        return token

    def _as_read(self, query: Query, sent: tuple[Any, ...], answer: dict[str, Any]) -> Query:
        """The query, with how the server has read texts in other languages, and texts that may be a name."""
        told = answer.get("query")
        terms = told.get("terms") if isinstance(told, dict) else None
        if not isinstance(terms, list) or not all(isinstance(one, dict) for one in terms):
            terms = []
        answered = as_answered(sent, terms)
        if len(terms) != len(answered):
            raise self._connection.no_answer("`query.terms` are not those that were asked for")
        read = {
            term.value: self._decoded(Reading, one["read_as"])
            for term, one in zip(answered, terms, strict=True)
            if one.get("read_as") is not None
        }
        in_order = as_answered(query.terms, answered)
        return replace(query, terms=tuple(replace(term, read_as=read.get(term.value)) for term in in_order))

    def _decoded(
        self, kind: type[Kind], answer: Any, known: dict[str, Any] | None = None, names: dict[str, Any] | None = None
    ) -> Kind:
        try:
            return decoded(kind, answer, known, names)
        except NotDecoded as error:
            raise self._connection.no_answer(str(error)) from None

    def _last_results(self) -> str:
        import platformdirs

        name = hashlib.sha256(self.address.encode()).hexdigest()[:16]
        return os.path.join(platformdirs.user_cache_dir("mmsearch", appauthor=False), _LAST_RESULTS, name)
