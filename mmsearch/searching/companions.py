"""One photo in several files: a picture stands for the RAW photo and the live film that lie beside it."""

from __future__ import annotations

from mmsearch.files.paths import extension_of
from mmsearch.records import RAW_EXTENSIONS, Beside, Filters
from mmsearch.store.protocol import Store

_BESIDE_PICTURES = RAW_EXTENSIONS | {".mov"}


class Companions:
    """What lies beside files of one store, among those that pass the filters. Each is looked up once."""

    def __init__(self, store: Store, filters: Filters) -> None:
        self._store = store
        self._filters = filters
        self._pictures: dict[bytes, Beside | None] = {}

    def picture_of(self, path: bytes) -> Beside | None:
        """The picture that stands for that file, or None: it is one itself, or there is none."""
        if extension_of(path) not in _BESIDE_PICTURES:
            return None
        if path not in self._pictures:
            beside = self._store.beside(path, self._filters)
            is_companion = any(one.path == path and not one.is_picture for one in beside)
            picture = next((one for one in beside if one.is_picture), None)
            self._pictures[path] = picture if is_companion else None
        return self._pictures[path]

    def of(self, path: bytes) -> tuple[bytes, ...]:
        """The files that this one stands for."""
        beside = self._store.beside(path, self._filters)
        first = next((one.path for one in beside if one.is_picture), None)
        return tuple(one.path for one in beside if not one.is_picture) if path == first else ()
