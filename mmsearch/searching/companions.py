"""One photo in several files: a picture stands for the RAW photo and the live film that lie beside it."""

from __future__ import annotations

from collections.abc import Iterable

from mmsearch.files.paths import extension_of
from mmsearch.records import RAW_EXTENSIONS, Beside, Filters
from mmsearch.store.protocol import Store

_BESIDE_PICTURES = RAW_EXTENSIONS | {".mov"}


class Companions:
    """What lies beside files of one store, among those that pass the filters. Each is looked up once.

    Those of many files are `look_up`ed together: a store may be a server.
    """

    def __init__(self, store: Store, filters: Filters) -> None:
        self._store = store
        self._filters = filters
        self._beside: dict[bytes, list[Beside]] = {}

    def look_up(self, paths: Iterable[bytes]) -> None:
        """Learns what lies beside those files."""
        new = [path for path in dict.fromkeys(paths) if path not in self._beside]
        if new:
            self._beside |= self._store.beside(new, self._filters)

    def look_up_pictures(self, paths: Iterable[bytes]) -> None:
        """Learns what lies beside those of the files for which a picture may stand."""
        self.look_up(path for path in paths if extension_of(path) in _BESIDE_PICTURES)

    def picture_of(self, path: bytes) -> Beside | None:
        """The picture that stands for that file, or None: it is one itself, or there is none."""
        if extension_of(path) not in _BESIDE_PICTURES:
            return None
        beside = self._of(path)
        is_companion = any(one.path == path and not one.is_picture for one in beside)
        return next((one for one in beside if one.is_picture), None) if is_companion else None

    def of(self, path: bytes) -> tuple[bytes, ...]:
        """The files that this one stands for."""
        beside = self._of(path)
        first = next((one.path for one in beside if one.is_picture), None)
        return tuple(one.path for one in beside if not one.is_picture) if path == first else ()

    def _of(self, path: bytes) -> list[Beside]:
        self.look_up([path])
        return self._beside[path]
