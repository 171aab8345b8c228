"""Models held against a dataset, each with the adapters that were made for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np

from mmsearch.encoding.adapted import NO_ADAPTER, AdaptedEncoder
from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import MmsearchError
from mmsearch.evaluation.comparison import Comparison
from mmsearch.evaluation.datasets import Dataset
from mmsearch.evaluation.embedding import StoredVector, embed
from mmsearch.evaluation.report import Evaluation, evaluate
from mmsearch.nearest.spaces import with_adapter
from mmsearch.records import BUILTIN_MODEL, FloatMatrix
from mmsearch.store.adapters import find_adapter
from mmsearch.store.models import searched_model, stored_models
from mmsearch.store.sqlite.store import Catalogue


def evaluate_models(
    catalogue: Catalogue | None,
    dataset: Dataset,
    encoder_of: Callable[[str], Encoder],
    models: Sequence[str],
    adapters: Sequence[str],
    ks: Sequence[int],
    comparisons: Sequence[Comparison],
    workers: int | None,
    on_progress: Callable[[int, int], None],
) -> list[Evaluation]:
    """See `Library.evaluate`; `catalogue` is None where there is no library."""
    searched = searched_model(catalogue) if catalogue else None
    names = list(dict.fromkeys(models or [searched.name if searched else BUILTIN_MODEL]))
    wanted = _adapters_by_model(catalogue, adapters)
    known = {one.identity.fingerprint: one for one in stored_models(catalogue)} if catalogue else {}
    for fingerprint, labels in wanted.items():
        if fingerprint in known and known[fingerprint].name not in names:
            model = known[fingerprint].identity.label
            raise MmsearchError(f"The adapter {labels[0]} is for {model}; measure that model too, with --model.")
    found = []
    for name in names:
        encoder = encoder_of(name)
        model_known = known.get(encoder.identity.fingerprint)
        if catalogue is None or model_known is None:
            embedded = embed(dataset, encoder, workers=workers, on_progress=on_progress)
            found.append(evaluate(embedded, encoder, ks=ks, comparisons=comparisons))
            continue
        stored = stored_vectors(catalogue, model_known.id)
        embedded = embed(dataset, encoder, stored=stored, workers=workers, on_progress=on_progress)
        its_own = wanted.get(model_known.identity.fingerprint, [])
        wishes: Sequence[str | None] = [one for one in adapters if one == NO_ADAPTER or one in its_own] or (
            [NO_ADAPTER] if adapters else [None]
        )
        for wish in wishes:
            adapter = with_adapter(catalogue, model_known, wish).adapter
            if adapter is None:
                found.append(evaluate(embedded, encoder, ks=ks, comparisons=comparisons))
                continue
            adapted = AdaptedEncoder(encoder, adapter)
            moved = embedded.through(adapter, adapted.identity.label)
            found.append(evaluate(moved, adapted, ks=ks, comparisons=comparisons))
    return found


def _adapters_by_model(catalogue: Catalogue | None, adapters: Sequence[str]) -> dict[str, list[str]]:
    """The asked adapters by the fingerprint of the model that each was made for.

    Raises:
        MmsearchError: one of them is not there.
    """
    found: dict[str, list[str]] = {}
    for name in adapters:
        if name != NO_ADAPTER:
            if catalogue is None:
                raise MmsearchError(f"There is no library yet, so there is no adapter {name}; leave out --adapter.")
            stored = find_adapter(catalogue, name)
            if stored is not None:
                if all(one.identity.fingerprint != stored.model_fingerprint for one in stored_models(catalogue)):
                    raise MmsearchError(
                        f"The adapter {stored.label} was made for a model that the library does not have any more."
                    )
                found.setdefault(stored.model_fingerprint, []).append(name)
    return found


def stored_vectors(catalogue: Catalogue, model_id: int) -> StoredVector:
    """What the catalogue holds for the picture at a path, as the model made it."""

    def stored(path: str) -> FloatMatrix | None:
        try:
            row = catalogue.image_vector_at(os.fsencode(path), model_id)
        except OSError:
            return None
        return None if row is None else row.astype(np.float32)

    return stored
