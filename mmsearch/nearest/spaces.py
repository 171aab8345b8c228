"""Which vectors are searched: those of one model of the library, as they are or moved by an adapter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mmsearch.encoding.adapted import Adapter
from mmsearch.errors import Invalid, Remedy
from mmsearch.records import HalfMatrix, Modality, ModelIdentity
from mmsearch.store.adapters import adapter_in_use, find_adapter
from mmsearch.store.models import StoredModel, find_model, searched_model

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

_BLOCK_ROWS = 8_192


@dataclass(frozen=True)
class Space:
    """The vectors of one model and one modality in a library, moved by an adapter where there is one.

    `identity` is that of the model with its adapter; the store holds the vectors as the model made them.
    """

    model_id: int
    identity: ModelIdentity
    modality: Modality
    adapter: Adapter | None = None

    def without_adapter(self) -> Space:
        """The space of the vectors as the model made them."""
        if self.adapter is None:
            return self
        identity = replace(self.identity, fingerprint=self.adapter.model_fingerprint, adapter="")
        return Space(self.model_id, identity, self.modality)

    def of_stored(self, vectors: HalfMatrix) -> HalfMatrix:
        """Vectors of this space, float16 [n, dimension], of vectors as the store holds them."""
        if self.adapter is None:
            return vectors
        moved = np.empty(vectors.shape, np.float16)
        for start in range(0, len(vectors), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            moved[block] = self.adapter.moved(self.modality, vectors[block])
        return moved


@dataclass(frozen=True)
class ModelInUse:
    """A model that a library's files were encoded with, and the adapter that searches with it go through."""

    model_id: int
    model: ModelIdentity
    adapter: Adapter | None = None

    @property
    def identity(self) -> ModelIdentity:
        """That of the model with its adapter."""
        return self.adapter.identity(self.model) if self.adapter else self.model

    def space(self, modality: Modality) -> Space:
        return Space(self.model_id, self.identity, modality, self.adapter)


def model_in_use(store: Store, adapter: str | None = None, model: str | None = None) -> ModelInUse | None:
    """The model that searches use, or the one of that name, with its adapter, or the one of that name.

    None before the first index.

    Raises:
        NotFound: there is no such model or adapter.
        Invalid: the adapter was made for another model.
    """
    stored = searched_model(store) if model is None else find_model(store, model)
    return None if stored is None else with_adapter(store, stored, adapter)


def with_adapter(store: Store, model: StoredModel, adapter: str | None = None) -> ModelInUse:
    """That model with the adapter that searches with it go through, or the one of that name.

    Raises:
        NotFound: there is no such adapter.
        Invalid: it was made for another model.
    """
    identity = model.identity
    if adapter is None:
        stored = adapter_in_use(store, identity.fingerprint)
    else:
        stored = find_adapter(store, adapter)
        if stored is not None and stored.model_fingerprint != identity.fingerprint:
            raise Invalid(
                f"The adapter {stored.label} was made for another model than {identity.label}.",
                Remedy("train", identity.name),
            )
    return ModelInUse(model.id, identity, stored.open() if stored else None)
