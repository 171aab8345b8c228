"""What a store is asked for by searches that leave it to the store what is near to a vector."""

from __future__ import annotations

from typing import Protocol

from mmsearch.records import Filters, FloatMatrix, Modality, NearItems


class NearestItems(Protocol):
    """The items that are nearest to a vector."""

    @property
    def finds_nearest(self) -> bool:
        """Whether searches ask `nearest`, so that nothing is derived from the vectors for them."""

    def nearest(
        self, model_id: int, modality: Modality, vector: FloatMatrix, count: int, filters: Filters
    ) -> NearItems:
        """The items of a space nearest to a unit vector, float32 [dimension], in files that pass the filters.

        There are `count` of them, or less where fewer pass. The ids of all that pass do not leave the store. Without
        filters there may be some among them that no file holds any more, or not yet.
        """
