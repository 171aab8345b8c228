"""Which vectors are searched: those of one model of the library, as they are or moved by an adapter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mmsearch.encoding.adapted import Adapter
from mmsearch.errors import Invalid, Remedy
from mmsearch.nearest.recent import Recent
from mmsearch.records import FloatMatrix, HalfMatrix, Modality, ModelIdentity
from mmsearch.store.adapters import adapter_in_use, find_adapter
from mmsearch.store.models import StoredModel, is_sound_model, model_to_search, searched_model

if TYPE_CHECKING:
    from mmsearch.encoding.query_bank import QueryBank
    from mmsearch.store.protocol import Store

_BLOCK_ROWS = 8_192
# By name and model: each is read once.
_query_banks: Recent[tuple[str, str], QueryBank] = Recent(8)


@dataclass(frozen=True)
class Space:
    """The vectors of one model and one modality in a library, moved by an adapter where there is one.

    `identity` is that of the model with its adapter; the store holds the vectors as the model made them. `query_bank`
    is the name of the model's query bank where hubs are corrected, and empty where they are not.
    """

    model_id: int
    identity: ModelIdentity
    modality: Modality
    adapter: Adapter | None = None
    query_bank: str = ""

    def without_adapter(self) -> Space:
        """The space of the vectors as the model made them, without what corrects hubs among them."""
        if self.adapter is None:
            return replace(self, query_bank="")
        identity = replace(self.identity, fingerprint=self.adapter.model_fingerprint, adapter="")
        return Space(self.model_id, identity, self.modality)

    @property
    def width(self) -> int:
        """How many numbers a row has with the one that corrects hubs, where they are corrected."""
        return self.identity.dimension + bool(self.query_bank)

    def hub_numbers(self, store: Store, vectors: HalfMatrix) -> HalfMatrix:
        """What is added to the cosines of vectors of this space, float16 [n, dimension], with a text: float16 [n].

        The store is one of the library.

        Raises:
            DatabaseError: the query bank is damaged.
        """
        if not self.query_bank:
            return np.zeros(len(vectors), np.float16)
        return _bank_of(store, self).numbers(vectors)

    def of_stored(self, vectors: HalfMatrix) -> HalfMatrix:
        """Vectors of this space, float16 [n, dimension], of vectors as the store holds them."""
        if self.adapter is None:
            return vectors
        moved = np.empty(vectors.shape, np.float16)
        for start in range(0, len(vectors), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            moved[block] = self.adapter.moved(self.modality, vectors[block])
        return moved

    def before(self, vector: FloatMatrix) -> FloatMatrix:
        """What to look for among stored vectors in the place of a vector of this space; both float32 [dimension]."""
        return vector if self.adapter is None else self.adapter.before(self.modality, vector)


@dataclass(frozen=True)
class ModelInUse:
    """A model that a library's files were encoded with, and the adapter that searches with it go through.

    `query_bank` is the name of its query bank, and empty where it has none. A model of sound (`hears`) is asked beside
    another one, and by texts alone.
    """

    model_id: int
    model: ModelIdentity
    adapter: Adapter | None = None
    query_bank: str = ""
    hears: bool = False

    @property
    def identity(self) -> ModelIdentity:
        """That of the model with its adapter."""
        return self.adapter.identity(self.model) if self.adapter else self.model

    def bank(self, store: Store) -> QueryBank | None:
        """Its query bank, moved by the adapter, or None where it has none. The store is one of the library.

        Raises:
            DatabaseError: the query bank is damaged.
        """
        return _bank_of(store, self) if self.query_bank else None

    def space(self, modality: Modality) -> Space:
        bank = self.query_bank if modality == "image" else ""
        return Space(self.model_id, self.identity, modality, self.adapter, bank)


def _bank_of(store: Store, using: Space | ModelInUse) -> QueryBank:
    """The query bank as the adapter moves it; read once."""

    def moved() -> QueryBank:
        bank = store.query_bank(using.model_id)
        return bank if using.adapter is None else using.adapter.moved_bank(bank)

    return _query_banks.get((using.query_bank, using.identity.fingerprint), moved)


def model_in_use(store: Store, adapter: str | None = None, model: str | None = None) -> ModelInUse | None:
    """The model that searches use, or the one of that name, with its adapter, or the one of that name.

    None before the first index.

    Raises:
        NotFound: there is no such model or adapter.
        Invalid: the adapter was made for another model.
    """
    stored = searched_model(store) if model is None else model_to_search(store, model)
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
    bank = store.query_bank_name(model.id) or ""
    hears = is_sound_model(store, model.id)
    return ModelInUse(model.id, identity, stored.open() if stored else None, bank, hears)
