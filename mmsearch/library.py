"""Library: the one door to an index of photos and text files, for the command line and for scripts.

from mmsearch import Library
library = Library()
library.index(["~/Pictures"])
print(library.search("dog on beach").hits[0].path)
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import TracebackType

from mmsearch import derived
from mmsearch.catalogue import DATABASE_NAME, Catalogue, Counts, Failure, Root
from mmsearch.derived import Space
from mmsearch.encoding import BUILTIN_MODEL, Encoder, ModelIdentity, canonical_model_name, open_encoder
from mmsearch.errors import MmsearchError
from mmsearch.filter_sql import is_below
from mmsearch.graph import refresh_graph
from mmsearch.indexing import Indexer, IndexProgress, IndexReport
from mmsearch.items import MODALITIES
from mmsearch.locking import WriterLock
from mmsearch.query import Query, text_term
from mmsearch.reading import ReadLimits
from mmsearch.searching import GRAPH_FROM_ROWS, Scan, Searcher, SearchResult
from mmsearch.vectors import refresh_sidecar
from mmsearch.walking import WalkRules

LIBRARY_VARIABLE = "MMSEARCH_LIBRARY"


@dataclass(frozen=True)
class RootStatus:
    """A root with the number of its files; `offline` if it is not there at present.

    `changed` is when a run last found something new, changed or gone in it.
    """

    path: bytes
    rules: WalkRules
    files: int
    changed: str | None
    offline: bool


@dataclass(frozen=True)
class Status:
    """What a library holds. `bytes` is what its folder takes on disk; `interrupted` tells of an unfinished run."""

    library: str
    model: str
    dimension: int
    counts: Counts
    roots: tuple[RootStatus, ...]
    failures: tuple[Failure, ...]
    bytes: int
    interrupted: bool


@dataclass(frozen=True)
class Forgotten:
    """How many files were taken out, and the remaining roots that will bring them in again unless told not to."""

    files: int
    roots: tuple[bytes, ...]


def default_library() -> str:
    """$MMSEARCH_LIBRARY, or the folder `mmsearch` in the platform's place for a user's data."""
    chosen = os.environ.get(LIBRARY_VARIABLE)
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    import platformdirs

    return platformdirs.user_data_dir("mmsearch", appauthor=False)


class Library:
    """A library in a folder of its own. It is made by the first `index`; nothing else writes to it.

    All methods raise MmsearchError, in one sentence, for what a person can put right: no library there, a damaged
    one, one of another model, no room on the disk.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self.folder = os.path.abspath(os.path.expanduser(folder)) if folder else default_library()
        self._reader: Catalogue | None = None
        self._encoders: dict[str, Encoder] = {}

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the files; the library may be used again afterwards."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    # Index

    def index(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        *,
        rules: WalkRules | None = None,
        model: str | None = None,
        rebuild: bool = False,
        retry: bool = False,
        limits: ReadLimits | None = None,
        workers: int | None = None,
        on_progress: Callable[[IndexProgress], None] = lambda progress: None,
    ) -> IndexReport:
        """Brings the library up to date with `paths`, or with all its roots if there are none.

        `rules` are remembered with the paths; without them those of the last time hold. `rebuild` encodes all
        files again, with `model` if it is given; `retry` reads what failed before. `workers` is the number of
        threads, all processors by default.
        """
        asked = [_absolute(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
        for path in asked:
            _check_root(path)
        if not self._exists():
            if not asked:
                raise MmsearchError("Nothing to index; name a folder: `mmsearch index ~/Pictures`.")
            _ = self._choose_encoder(None, model, rebuild).identity  # a wrong model is told before anything is made
        _make_folder(self.folder)
        with self._errors_told(), WriterLock(self.folder):
            catalogue = Catalogue.write(self.folder)
            reader = Catalogue.read(self.folder)
            try:
                known = catalogue.model()
                encoder = self._choose_encoder(known[1] if known else None, model, rebuild)
                model_id = self._model_id(catalogue, encoder, rebuild)
                roots, missing = _choose_roots(catalogue, asked, rules, rebuild)
                indexer = Indexer(
                    catalogue,
                    reader,
                    model_id,
                    encoder,
                    limits or ReadLimits(),
                    workers or os.cpu_count() or 1,
                    on_progress,
                )
                indexer.report.offline += missing
                if retry:
                    with catalogue.transaction():
                        for root, _ in roots:
                            catalogue.remove_failures([number for number, _ in catalogue.failures_of_root(root.id)])
                report = indexer.run(roots)
                # Not after Ctrl-C: searches read what is missing there from the catalogue.
                self._refresh_derived(catalogue, model_id, encoder.identity)
                return report
            finally:
                reader.close()
                catalogue.close()

    def forget(self, path: str | os.PathLike[str]) -> Forgotten:
        """Takes a folder or file, and what was found in it, out of the library. The files are not touched."""
        folder = _absolute(path)
        with self._errors_told():
            self._catalogue()
            with WriterLock(self.folder):
                catalogue = Catalogue.write(self.folder)
                try:
                    return self._forget(catalogue, folder)
                finally:
                    catalogue.close()

    def _forget(self, catalogue: Catalogue, folder: bytes) -> Forgotten:
        files = catalogue.files_below(folder)
        failures = catalogue.failures_below(folder)
        roots = [root for root in catalogue.roots() if is_below(root.path, folder)]
        if not files and not failures and not roots:
            raise MmsearchError(
                f"Nothing in the library lies at {os.fsdecode(folder)}; `mmsearch status` lists what it holds."
            )
        with catalogue.transaction():
            catalogue.remove_files(files)
            catalogue.remove_failures(failures)
            for root in roots:
                catalogue.remove_root(root.id)
            catalogue.remove_orphans()
        known = catalogue.model()
        if known is not None:
            self._refresh_derived(catalogue, *known)
        around = (root.path for root in catalogue.roots() if is_below(folder, root.path))
        return Forgotten(len(files), tuple(around) if os.path.lexists(folder) else ())

    def _choose_encoder(self, known: ModelIdentity | None, model: str | None, rebuild: bool) -> Encoder:
        wanted = canonical_model_name(model) if model else known.name if known else BUILTIN_MODEL
        if known and known.name != wanted and not rebuild:
            raise MmsearchError(
                f"The library in {self.folder} was indexed with {known.name}, not {wanted}; add --rebuild to "
                "encode all its files again, or choose another folder with --library."
            )
        encoder = self._encoder(wanted)
        if known and known.fingerprint != encoder.identity.fingerprint and not rebuild:
            raise _other_model(self.folder, known, encoder.identity)
        return encoder

    def _model_id(self, catalogue: Catalogue, encoder: Encoder, rebuild: bool) -> int:
        known = catalogue.model()
        if known and not rebuild:
            return known[0]
        offline = [root.path for root in catalogue.roots() if not os.path.exists(root.path)]
        if offline:
            raise MmsearchError(
                f"{os.fsdecode(offline[0])} is not there, so its files cannot be encoded again; connect its drive, or "
                "take it out with `mmsearch forget`."
            )
        with catalogue.transaction():
            return catalogue.start_with_model(encoder.identity)

    def _refresh_derived(self, catalogue: Catalogue, model_id: int, identity: ModelIdentity) -> None:
        for modality in MODALITIES:
            space = Space(model_id, identity, modality)
            refresh_graph(self.folder, catalogue, space, refresh_sidecar(self.folder, catalogue, space))
        derived.remove_strangers(self.folder, identity)

    # Search

    def search(self, query: Query | str, *, scan: Scan = "exact") -> SearchResult:
        """The files that answer a query, best first. A text is a query of one term (`2:dog` has weight 2)."""
        return next(self.search_many([query], scan=scan))

    def search_many(
        self,
        queries: Iterable[Query | str],
        *,
        scan: Scan = "auto",
        graph_from_rows: int = GRAPH_FROM_ROWS,
        on_trouble: Callable[[str], None] = lambda trouble: None,
    ) -> Iterator[SearchResult]:
        """Answers many queries with one load of model and vectors.

        `scan` is "exact", "graph" (the HNSW graph where there is one), or "auto": the graph from
        `graph_from_rows` rows of a modality on. `on_trouble` is told, once each, what could not be used.
        """
        with self._errors_told():
            catalogue = self._catalogue()
            known = catalogue.model()
            if known is None:
                raise MmsearchError(f"The library in {self.folder} is empty; run `mmsearch index FOLDER` first.")
            model_id, identity = known
            searcher = Searcher(
                self.folder,
                catalogue,
                model_id,
                identity,
                lambda: self._encoder_of(identity),
                scan,
                graph_from_rows,
            )
            told: set[str] = set()
            for query in queries:
                result = searcher.search(Query((text_term(query),)) if isinstance(query, str) else query)
                for trouble in searcher.troubles():
                    if trouble not in told:
                        told.add(trouble)
                        on_trouble(trouble)
                yield result

    # Status

    def status(self) -> Status:
        """What the library holds: files, roots, failures, model, size."""
        with self._errors_told():
            catalogue = self._catalogue()
            known = catalogue.model()
            identity = known[1] if known else None
            return Status(
                library=self.folder,
                model=identity.label if identity else "none yet",
                dimension=identity.dimension if identity else 0,
                counts=catalogue.counts(),
                roots=tuple(_root_status(catalogue, root) for root in catalogue.roots()),
                failures=tuple(catalogue.failures()),
                bytes=_database_bytes(self.folder) + derived.derived_bytes(self.folder),
                interrupted=catalogue.setting("interrupted") is not None,
            )

    # What is opened once

    def _exists(self) -> bool:
        return os.path.exists(os.path.join(self.folder, DATABASE_NAME))

    def _catalogue(self) -> Catalogue:
        if self._reader is None:
            self._reader = Catalogue.read(self.folder)
        return self._reader

    def _encoder(self, name: str) -> Encoder:
        if name not in self._encoders:
            self._encoders[name] = open_encoder(name)
        return self._encoders[name]

    def _encoder_of(self, identity: ModelIdentity) -> Encoder:
        encoder = self._encoder(identity.name)
        if encoder.identity.fingerprint != identity.fingerprint:
            raise _other_model(self.folder, identity, encoder.identity)
        return encoder

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            told = _sentence(error, self.folder)
            if told is None:
                raise
            raise MmsearchError(told) from error
        except OSError as error:
            if error.errno not in _FOLDER_ERRORS:
                raise
            raise MmsearchError(
                f"The library folder {self.folder} cannot be written ({error.strerror}); put that right, or choose "
                "another folder with --library."
            ) from error


# What the disk or the folder of a library can refuse; anything else is a bug and keeps its traceback.
_FOLDER_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


def _sentence(error: sqlite3.DatabaseError, folder: str) -> str | None:
    """What a person can do about an error of SQLite, or None where it is a bug."""
    text = str(error)
    database = os.path.join(folder, DATABASE_NAME)
    if "full" in text:
        return f"There is no room left on the disk of the library {folder}; free some and run the command again."
    if "readonly" in text or "unable to open" in text:
        return f"The library in {folder} cannot be opened or written; check its permissions, or choose another."
    if "locked" in text:
        return f"Another program keeps {database} locked; wait until it has finished."
    if "malformed" in text or "not a database" in text or "disk I/O" in text:
        return (
            f"The library file {database} is damaged ({text}); move it away and run `mmsearch index` again on "
            "your folders (your own files are not touched)."
        )
    return None


def _other_model(folder: str, indexed: ModelIdentity, installed: ModelIdentity) -> MmsearchError:
    return MmsearchError(
        f"The library in {folder} was indexed with {indexed.label} and the installed model is {installed.label} of "
        "other weights; run `mmsearch index --rebuild` to encode its files again."
    )


def _absolute(path: str | os.PathLike[str]) -> bytes:
    return os.fsencode(os.path.abspath(os.path.expanduser(path)))


def _check_root(path: bytes) -> None:
    name = os.fsdecode(path)
    if not os.path.exists(path):
        raise MmsearchError(f"{name} does not exist; check the path, or connect the drive that it is on.")
    readable = os.R_OK | os.X_OK if os.path.isdir(path) else os.R_OK
    if not os.access(path, readable):
        raise MmsearchError(f"{name} cannot be read; check its permissions.")


def _make_folder(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise MmsearchError(
            f"The library folder {folder} cannot be made ({error.strerror}); choose another with --library."
        ) from error


def _choose_roots(
    catalogue: Catalogue, asked: list[bytes], rules: WalkRules | None, rebuild: bool
) -> tuple[list[tuple[Root, WalkRules]], list[bytes]]:
    """The roots of this run with their rules, and those that are not there at present.

    These are the asked ones and the remembered ones within them (all, if none was asked for).
    """
    remembered = {root.path: root for root in catalogue.roots()}
    if not asked and not remembered:
        raise MmsearchError("Nothing to index; name a folder: `mmsearch index ~/Pictures`.")
    everything = rebuild or not asked
    within = [path for path in remembered if everything or any(is_below(path, folder) for folder in asked)]
    chosen: list[tuple[Root, WalkRules]] = []
    missing: list[bytes] = []
    for path in dict.fromkeys([*asked, *within]):
        known = remembered.get(path)
        given = rules if path in asked or not asked else None
        held = given if given is not None else _rules_of(known) if known else WalkRules()
        if not os.path.exists(path):
            missing.append(path)
            continue
        with catalogue.transaction():
            chosen.append((catalogue.put_root(path, json.dumps(asdict(held))), held))
    return chosen, missing


def _rules_of(root: Root) -> WalkRules:
    written = json.loads(root.rules)
    return WalkRules(
        include=tuple(written["include"]),
        exclude=tuple(written["exclude"]),
        hidden=written["hidden"],
        ignore_files=written["ignore_files"],
    )


def _root_status(catalogue: Catalogue, root: Root) -> RootStatus:
    return RootStatus(
        root.path,
        _rules_of(root),
        catalogue.files_in_root(root.id),
        root.changed,
        offline=not os.path.exists(root.path),
    )


def _database_bytes(folder: str) -> int:
    names = (DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm")
    paths = [os.path.join(folder, name) for name in names]
    return sum(os.path.getsize(path) for path in paths if os.path.exists(path))
