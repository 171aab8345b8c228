"""Access to a library, shared by its doors: the store, opened once, encoders, and derived files."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING

from mmsearch.encoding.adapted import AdaptedEncoder
from mmsearch.encoding.devices import device_called
from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import NotFound, Remedy
from mmsearch.models.opening import Encoders
from mmsearch.nearest import derived
from mmsearch.nearest.spaces import ModelInUse, Space, model_in_use, with_adapter
from mmsearch.records import ModelIdentity
from mmsearch.store.models import check_same_model, stored_models
from mmsearch.store.opening import place_at
from mmsearch.store.refusals import OlderLibrary
from mmsearch.store.settings import wants_graph

# What only a search needs is not loaded by other commands.
if TYPE_CHECKING:
    from mmsearch.nearest.vectors import StoredVectors
    from mmsearch.searching.options import SessionOptions
    from mmsearch.searching.session import Session
    from mmsearch.showing.thumbnail_cache import ThumbnailCache
    from mmsearch.store.protocol import Store

LIBRARY_VARIABLE = "MMSEARCH_LIBRARY"


def default_library() -> str:
    """$MMSEARCH_LIBRARY, or the folder `mmsearch` in the platform's place for a user's data."""
    chosen = os.environ.get(LIBRARY_VARIABLE)
    if chosen:
        return chosen
    import platformdirs

    return platformdirs.user_data_dir("mmsearch", appauthor=False)


class Access:
    """A library in a folder of its own, or at a URL, which need not be there yet; `place` is where it is kept.

    `location` is what a person is told of that, and `folder` where what is derived from it lies: the same folder, or a
    private one of this machine. `device` is where models that torch runs compute: `auto`, `cpu`, `cuda` or `mps`.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, device: str = "auto") -> None:
        self.encoders = Encoders(device_called(device))
        self.place = place_at(folder or default_library())
        self.location, self.folder = self.place.location, self.place.folder
        self._reader: Store | None = None
        self._sessions: dict[SessionOptions, Session] = {}
        self._opening = threading.RLock()

    def close(self) -> None:
        """Lets go of the files; the library may be used again afterwards."""
        with self._opening:
            sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            session.close()
        self._let_go_of_reader()

    def _let_go_of_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def let_go(self) -> None:
        """Gives the memory of models, codes, vectors and graphs back: they are loaded again when they are needed."""
        with self._opening:
            sessions = list(self._sessions.values())
        import ctypes

        for session in sessions:
            session.let_go()
        self.encoders.let_go()
        with suppress(OSError, AttributeError):  # the C library of Linux keeps what was freed, unless it is asked
            ctypes.CDLL(None).malloc_trim(0)

    def exists(self) -> bool:
        """Whether something was indexed there."""
        return self.place.exists()

    def bytes(self) -> int:
        """What the library takes on disk."""
        return self.place.bytes() + derived.derived_bytes(self.folder)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """What the disk or the database refuses within the `with` block becomes an error of mmsearch's kinds."""
        with self.place.guarded():
            try:
                yield
            except Exception as error:
                if self.place.is_lost(error):
                    self._let_go_of_reader()
                raise

    def reading(self) -> Store:
        """The store, opened once; an older library is brought up to date first.

        Raises:
            NotFound: there is no library.
        """
        if self._reader is None:
            self._reader = self._open_reader()
        return self._reader

    @contextmanager
    def reading_or_empty(self) -> Iterator[Store]:
        """The store, or an empty one for as long as the block lasts, where there is no library yet."""
        if self.exists():
            yield self.reading()
            return
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(prefix="mmsearch-") as folder, closing(place_at(folder).write()) as store:
            yield store

    def _open_reader(self) -> Store:
        try:
            return self.place.read()
        except OlderLibrary:
            if not self.place.can_upgrade():
                raise
        with self._opening:
            try:
                return self.place.read()  # another thread may have brought it up to date
            except OlderLibrary:
                with self.place.lock():
                    self.place.write().close()
            return self.place.read()

    @cached_property
    def thumbnails(self) -> ThumbnailCache:
        """The cache of thumbnails, of all libraries."""
        from mmsearch.showing.thumbnail_cache import ThumbnailCache

        return ThumbnailCache()

    def session(self, options: SessionOptions) -> Session:
        """A session for the library's own searches, kept until it is closed."""
        with self._opening:
            if options not in self._sessions:
                self._sessions[options] = self.new_session(options)
            return self._sessions[options]

    def new_session(self, options: SessionOptions) -> Session:
        """A session that the caller closes."""
        from mmsearch.searching.session import Session

        return Session(self.place, self._open_reader, self.encoder_of, options)

    @contextmanager
    def writing(self) -> Iterator[Store]:
        """The store for writing, under the lock."""
        with self.place.lock() as lock, closing(self.place.write(lock.check)) as store:
            yield store
            store.settle_words()

    def model_in_use(self, adapter: str | None = None, model: str | None = None) -> ModelInUse:
        """The model that searches use, or the one of that name, with its adapter, or the one of that name."""
        in_use = model_in_use(self.reading(), adapter, model)
        if in_use is None:
            raise NotFound(f"The library in {self.location} is empty", Remedy("index"))
        return in_use

    def encoder_of(self, in_use: ModelInUse) -> Encoder:
        """The encoder that made the vectors of that model, through its adapter.

        Raises:
            Damaged: the model of that name and revision on this disk is another one, or none.
        """
        encoder = self.encoders.of(in_use.model)
        check_same_model(self.location, in_use.model, encoder.identity)
        return adapted(encoder, in_use)

    def refresh(self, store: Store, encoder: Encoder | None = None) -> list[str]:
        """Codes and graphs of all models, and the calibration too of the one whose encoder is at hand.

        Returns what was wrong with files that had to be made again.
        """
        from mmsearch.searching.calibration import refresh_calibration
        from mmsearch.searching.miniatures import MiniatureCache

        own: list[ModelIdentity] = []
        troubles: list[str] = []
        for model in stored_models(store):
            in_use = with_adapter(store, model)
            own += [in_use.identity, in_use.model]
            own_encoder = encoder if encoder and encoder.identity.fingerprint == model.identity.fingerprint else None
            vectors = {}
            for modality in store.modalities(model.id):
                vectors[modality], of_files = self._derive(store, in_use.space(modality))
                troubles += of_files
            if own_encoder is not None:
                refresh_calibration(store, adapted(own_encoder, in_use), vectors, in_use)
        derived.remove_others(self.folder, own)
        MiniatureCache(self.folder).drop_gone(store)
        self.thumbnails.drop_gone(store.state()[0], store)
        return troubles

    def _derive(self, store: Store, space: Space) -> tuple[StoredVectors, list[str]]:
        """Codes, full rows and graph of a space, unless the store finds the nearest without.

        Returns the space's vectors, and what was wrong with files that had to be made again.
        """
        if store.finds_nearest:
            from mmsearch.nearest.vectors import StoredVectors

            return StoredVectors(store, space, store.count_items_after(space.model_id, space.modality, 0)), []
        from mmsearch.nearest.code_file import refresh_codes
        from mmsearch.nearest.hnsw import refresh_graph
        from mmsearch.nearest.row_file import refresh_rows

        vectors, of_codes = refresh_codes(self.folder, store, space)
        of_graph = refresh_graph(self.folder, store, vectors, wants_graph(store))
        of_rows = refresh_rows(self.folder, store, space.without_adapter(), len(vectors))
        return vectors, [one for one in (of_codes, of_rows, of_graph) if one]


def adapted(encoder: Encoder, in_use: ModelInUse) -> Encoder:
    """The encoder itself, or seen through the adapter of the model in use."""
    return AdaptedEncoder(encoder, in_use.adapter) if in_use.adapter else encoder
