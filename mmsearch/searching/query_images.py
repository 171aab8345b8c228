"""What a query asks with, which is no answer to it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from mmsearch.searching.presence import Presence
from mmsearch.searching.query import Term


class QueryImages:
    """The images that a query asks with, and the items of what is liked or not: they are no answers to it."""

    def __init__(self, terms: Sequence[Term], presence: Presence, item_ids: AbstractSet[int]) -> None:
        self.item_ids = item_ids
        self._presence = presence
        asked = presence.look(os.fsencode(term.value) for term in terms if term.modality == "image")
        images = [status for status in asked.values() if status is not None]
        self._sizes = {status.st_size for status in images}
        self._files = {(status.st_dev, status.st_ino) for status in images}
        self._known: dict[bytes, os.stat_result | None] = {}

    def may_be(self, size: int) -> bool:
        """Whether one of them has so many bytes."""
        return size in self._sizes

    def among(self, paths: set[bytes]) -> set[bytes]:
        """Those of the paths that are one of them, under whatever name."""
        self._known.update(self._presence.look(paths - self._known.keys()))
        found = ((path, self._known[path]) for path in paths)
        return {path for path, status in found if status and (status.st_dev, status.st_ino) in self._files}
