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

    def pictures_of(self, paths: Iterable[bytes]) -> dict[bytes, Beside]:
        """By its path the picture that stands for each of the files that is no picture itself and has one beside it."""
        may_have_one = [path for path in paths if extension_of(path) in _BESIDE_PICTURES]
        self.look_up(may_have_one)
        found: dict[bytes, Beside] = {}
        for path in may_have_one:
            beside = self._of(path)
            is_companion = any(one.path == path and not one.is_picture for one in beside)
            picture = next((one for one in beside if one.is_picture), None)
            if is_companion and picture is not None:
                found[path] = picture
        return found

    def of(self, path: bytes) -> tuple[bytes, ...]:
        """The files that this one stands for."""
        beside = self._of(path)
        first = next((one.path for one in beside if one.is_picture), None)
        return tuple(one.path for one in beside if not one.is_picture) if path == first else ()

    def _of(self, path: bytes) -> list[Beside]:
        self.look_up([path])
        return self._beside[path]
