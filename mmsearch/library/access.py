"""Access to a library's folder: its catalogue, opened once, its encoders, and the files derived from it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import TracebackType

from mmsearch.encoding.adapted import AdaptedEncoder
from mmsearch.encoding.devices import device_called
from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import MmsearchError
from mmsearch.files.locking import WriterLock
from mmsearch.models.opening import open_encoder
from mmsearch.nearest import derived
from mmsearch.nearest.code_file import refresh_codes
from mmsearch.nearest.gallery import Scan
from mmsearch.nearest.hnsw import refresh_graph
from mmsearch.nearest.row_file import refresh_rows
from mmsearch.nearest.spaces import ModelInUse, model_in_use, with_adapter
from mmsearch.records import MODALITIES, ModelIdentity
from mmsearch.searching.calibration import refresh_calibration
from mmsearch.searching.channels import SessionOptions
from mmsearch.searching.session import Session
from mmsearch.store.models import stored_models
from mmsearch.store.sqlite.store import DATABASE_NAME, Catalogue, OlderLibrary, database_bytes

LIBRARY_VARIABLE = "MMSEARCH_LIBRARY"
# 1 for a library that has a graph however large it gets, 0 for one without.
GRAPH_SETTING = "graph"


def default_library() -> str:
    """$MMSEARCH_LIBRARY, or the folder `mmsearch` in the platform's place for a user's data."""
    chosen = os.environ.get(LIBRARY_VARIABLE)
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    import platformdirs

    return platformdirs.user_data_dir("mmsearch", appauthor=False)


class LibraryAccess:
    """A library in a folder of its own, which need not be there yet.

    `device` is where models that torch runs compute: `auto`, `cpu`, `cuda` or `mps`.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, device: str = "auto") -> None:
        self._device = device_called(device)
        self.folder = os.path.abspath(os.path.expanduser(folder)) if folder else default_library()
        self._reader: Catalogue | None = None
        self._encoders: dict[str, Encoder] = {}
        self._sessions: dict[SessionOptions, Session] = {}
        self._opening = threading.RLock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the files; the library may be used again afterwards."""
        with self._opening:
            sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            session.close()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    # What is opened once

    def exists(self) -> bool:
        """Whether something was indexed into this folder."""
        return os.path.exists(os.path.join(self.folder, DATABASE_NAME))

    def _bytes(self) -> int:
        """What the library takes on disk."""
        return database_bytes(self.folder) + derived.derived_bytes(self.folder)

    def _catalogue(self) -> Catalogue:
        if self._reader is None:
            self._reader = self._open_reader()
        return self._reader

    def _open_reader(self) -> Catalogue:
        try:
            return Catalogue.read(self.folder)
        except OlderLibrary:
            if not os.access(self.folder, os.W_OK):
                raise
        with self._opening:
            try:
                return Catalogue.read(self.folder)  # another thread may have brought it up to date
            except OlderLibrary:
                with WriterLock(self.folder):
                    Catalogue.write(self.folder).close()
            return Catalogue.read(self.folder)

    def _session(
        self, models: tuple[str, ...], adapter: str | None, scan: Scan, graph_from_rows: int, is_own: bool = False
    ) -> Session:
        """A new session; with `is_own` one that the library keeps for its own searches until it is closed."""
        options = SessionOptions(models, adapter, scan, graph_from_rows)
        if not is_own:
            return Session(self.folder, self._open_reader, self._encoder_of, options)
        with self._opening:
            if options not in self._sessions:
                self._sessions[options] = self._session(models, adapter, scan, graph_from_rows)
            return self._sessions[options]

    @contextmanager
    def _writing(self) -> Iterator[Catalogue]:
        """The catalogue of this library for writing, under the lock."""
        with WriterLock(self.folder) as lock, closing(Catalogue.write(self.folder, lock.check)) as catalogue:
            yield catalogue

    def _model_in_use(self, adapter: str | None = None, model: str | None = None) -> ModelInUse:
        in_use = model_in_use(self._catalogue(), adapter, model)
        if in_use is None:
            raise MmsearchError(f"The library in {self.folder} is empty; run `mmsearch index FOLDER` first.")
        return in_use

    def _encoder(self, name: str) -> Encoder:
        with self._opening:
            if name not in self._encoders:
                self._encoders[name] = open_encoder(name, self._device)
            return self._encoders[name]

    def _encoder_of(self, in_use: ModelInUse) -> Encoder:
        encoder = self._encoder(in_use.model.name)
        if encoder.identity.fingerprint != in_use.model.fingerprint:
            raise other_model(self.folder, in_use.model, encoder.identity)
        return adapted(encoder, in_use)

    def _refresh_derived(self, catalogue: Catalogue, encoder: Encoder | None = None) -> list[str]:
        """Codes and graphs of all models, and the calibration too of the one whose encoder is at hand.

        Returns what was wrong with files that had to be made again.
        """
        asked = catalogue.setting(GRAPH_SETTING)
        own: list[ModelIdentity] = []
        troubles: list[str] = []
        for model in stored_models(catalogue):
            in_use = with_adapter(catalogue, model)
            own += [in_use.identity, in_use.model]
            vectors = {}
            for modality in MODALITIES:
                vectors[modality], of_codes = refresh_codes(self.folder, catalogue, in_use.space(modality))
                wish = None if asked is None else asked == "1"
                of_graph = refresh_graph(self.folder, catalogue, vectors[modality], wish)
                space = in_use.space(modality).without_adapter()
                of_rows = refresh_rows(self.folder, catalogue, space, len(vectors[modality]))
                troubles += [one for one in (of_codes, of_rows, of_graph) if one]
            if encoder is not None and encoder.identity.fingerprint == model.identity.fingerprint:
                refresh_calibration(catalogue, adapted(encoder, in_use), vectors)
        derived.remove_strangers(self.folder, own)
        return troubles


def adapted(encoder: Encoder, in_use: ModelInUse) -> Encoder:
    return AdaptedEncoder(encoder, in_use.adapter) if in_use.adapter else encoder


def other_model(folder: str, indexed: ModelIdentity, installed: ModelIdentity) -> MmsearchError:
    return MmsearchError(
        f"The library in {folder} was indexed with {indexed.label} and the installed model is {installed.label} of "
        f"other weights; run `mmsearch index --model {indexed.name} --rebuild` to encode its files again."
    )
