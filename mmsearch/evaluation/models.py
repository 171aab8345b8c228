"""Models held against a dataset, each with the adapters that were made for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mmsearch.encoding.adapted import NO_ADAPTER, AdaptedEncoder
from mmsearch.encoding.protocol import Encoder
from mmsearch.encoding.query_bank import QueryBank, query_bank_of
from mmsearch.errors import Invalid, NotFound, Remedy
from mmsearch.evaluation.comparison import Comparison
from mmsearch.evaluation.datasets import Dataset
from mmsearch.evaluation.embedding import StoredVector, embed
from mmsearch.evaluation.report import Evaluation, Evaluations, evaluate
from mmsearch.models.opening import Encoders
from mmsearch.models.reference import ModelRef
from mmsearch.models.revisions import opened_as
from mmsearch.nearest.spaces import with_adapter
from mmsearch.records import BUILTIN_MODEL, FloatMatrix, Progress
from mmsearch.store.adapters import find_adapter
from mmsearch.store.models import searched_model, stored_models

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store


@dataclass(frozen=True)
class EvaluationRequest:
    """What is to be measured; see `Library.evaluate`."""

    dataset: Dataset
    models: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    ks: tuple[int, ...] = (1, 5, 10)
    comparisons: tuple[Comparison, ...] = ()
    workers: int | None = None


def evaluate_models(
    store: Store | None,
    encoders: Encoders,
    request: EvaluationRequest,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Evaluations:
    """See `Library.evaluate`; `store` is None where there is no library."""
    dataset, adapters = request.dataset, request.adapters
    searched = searched_model(store) if store else None
    asked = [ModelRef.of(name).name for name in request.models]
    names = list(dict.fromkeys(asked or [opened_as(searched.identity) if searched else BUILTIN_MODEL]))
    wanted = _adapters_by_model(store, adapters)
    measured = partial(evaluate, ks=request.ks, comparisons=request.comparisons)
    embedded_by = partial(embed, dataset, workers=request.workers, on_progress=on_progress)
    known = {one.identity.fingerprint: one for one in stored_models(store)} if store else {}
    for fingerprint, labels in wanted.items():
        if fingerprint in known and known[fingerprint].name not in names:
            model = known[fingerprint].identity.label
            raise Invalid(f"The adapter {labels[0]} is for {model}", Remedy("evaluate.model"))
    found: list[Evaluation] = []
    for name in names:
        encoder = encoders.called(name)
        if encoder.hearing is not None:
            raise Invalid(f"{name} hears, and nothing is measured of sound; leave it out.")
        model_known = known.get(encoder.identity.fingerprint)
        if store is None or model_known is None:
            bank = _query_bank(encoder, on_progress)
            found.append(measured(embedded_by(encoder, query_bank=bank), encoder))
            continue
        has_bank = store.query_bank_name(model_known.id) is not None
        bank = store.query_bank(model_known.id) if has_bank else _query_bank(encoder, on_progress)
        stored = stored_vectors(store, model_known.id)
        embedded = embedded_by(encoder, stored=stored, query_bank=bank)
        its_own = wanted.get(model_known.identity.fingerprint, [])
        wishes: Sequence[str | None] = [one for one in adapters if one == NO_ADAPTER or one in its_own] or (
            [NO_ADAPTER] if adapters else [None]
        )
        for wish in wishes:
            adapter = with_adapter(store, model_known, wish).adapter
            if adapter is None:
                found.append(measured(embedded, encoder))
                continue
            adapted = AdaptedEncoder(encoder, adapter)
            found.append(measured(embedded.through(adapter, adapted.identity.label), adapted))
    return Evaluations(dataset, tuple(found))


def _query_bank(encoder: Encoder, on_progress: Callable[[Progress], None]) -> QueryBank | None:
    def tell(done: int, total: int) -> None:
        on_progress(Progress("encoding the query bank", done, total, "texts"))

    return query_bank_of(encoder, tell)


def _adapters_by_model(store: Store | None, adapters: Sequence[str]) -> dict[str, list[str]]:
    """The asked adapters by the fingerprint of the model that each was made for.

    Raises:
        NotFound: one of them is not there.
    """
    found: dict[str, list[str]] = {}
    for name in adapters:
        if name != NO_ADAPTER:
            if store is None:
                raise NotFound(
                    f"There is no library yet, so there is no adapter {name}", Remedy("leave_out", "adapter")
                )
            stored = find_adapter(store, name)
            if stored is not None:
                if all(one.identity.fingerprint != stored.model_fingerprint for one in stored_models(store)):
                    raise NotFound(
                        f"The adapter {stored.label} was made for a model that the library does not have any more."
                    )
                found.setdefault(stored.model_fingerprint, []).append(name)
    return found


def stored_vectors(store: Store, model_id: int) -> StoredVector:
    """What the store holds for the picture at a path, as the model made it."""

    def stored(path: str) -> FloatMatrix | None:
        try:
            row = store.image_vector_at(os.fsencode(path), model_id)
        except OSError:
            return None
        return None if row is None else row.astype(np.float32)

    return stored
