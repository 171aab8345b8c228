"""Evaluating models and training adapters with what a library holds already."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mmsearch import calibration
from mmsearch.adapters import NO_ADAPTER, AdaptedEncoder, Adapter
from mmsearch.catalogue import Catalogue
from mmsearch.encoding import BUILTIN_MODEL, Encoder, FloatMatrix
from mmsearch.errors import MmsearchError
from mmsearch.evaluation.comparison import Comparison
from mmsearch.evaluation.datasets import Dataset
from mmsearch.evaluation.embedding import StoredVector, embed
from mmsearch.evaluation.report import Evaluation, evaluate
from mmsearch.spaces import ModelInUse, with_adapter
from mmsearch.stored_adapters import (
    adapter_in_use,
    add_adapter,
    find_adapter,
    next_version,
    stored_adapters,
    use_adapter,
)
from mmsearch.stored_models import searched_model, stored_models
from mmsearch.training.adapter_recipe import AdapterRecipe, AdapterRefused, AdapterReport, Epoch


@dataclass(frozen=True)
class AdapterStatus:
    """An adapter of a library. `about` tells how it was trained and how it did; `usable` with the library's model."""

    label: str
    in_use: bool
    usable: bool
    added: str
    about: dict[str, Any]


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
        stored = _stored_vectors(catalogue, model_known.id)
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


@dataclass(frozen=True)
class TrainedAdapter:
    """An adapter that is not in a library yet; it has no number before that."""

    adapter: Adapter
    report: AdapterReport
    about: dict[str, Any]


def train_adapter(
    catalogue: Catalogue,
    in_use: ModelInUse,
    encoder: Encoder,
    dataset: Dataset,
    name: str,
    recipe: AdapterRecipe | None,
    workers: int | None,
    on_progress: Callable[[int, int], None],
    on_epoch: Callable[[Epoch], None],
) -> TrainedAdapter:
    """See `Library.train`. Reads the library only, so that others may write to it meanwhile."""
    try:
        from mmsearch.training.adapter_fitting import fit_adapter, trained_adapter
    except ImportError as error:
        raise MmsearchError(
            "Training needs torch; install it with `pip install 'mmsearch[clip]'` (on Linux add `-c constraints.txt`)."
        ) from error
    stored = _stored_vectors(catalogue, in_use.model_id)
    embedded = embed(dataset, encoder, stored=stored, workers=workers, on_progress=on_progress)
    settings = recipe or AdapterRecipe()
    maps, report = fit_adapter(embedded, settings, on_epoch=on_epoch)
    noise = encoder.encode_texts(calibration.noise_queries())
    adapter = trained_adapter(name, 0, in_use.model.fingerprint, maps, encoder.calibration, embedded, noise)
    return TrainedAdapter(adapter, report, {"dataset": dataset.name, "recipe": asdict(settings)})


def keep_adapter(catalogue: Catalogue, trained: TrainedAdapter) -> AdapterReport:
    """Gives the adapter its number, stores it and puts it in use; the caller holds the lock.

    Raises:
        MmsearchError: the library has another model by now.
    """
    fingerprints = {one.identity.fingerprint for one in stored_models(catalogue)}
    if trained.adapter.model_fingerprint not in fingerprints:
        raise MmsearchError("The library has lost the model during the training; train again for another one.")
    version = next_version(catalogue, trained.adapter.name)
    adapter = replace(trained.adapter, version=version)
    report = replace(trained.report, label=adapter.label)
    with catalogue.transaction():
        about = json.dumps({**trained.about, "report": asdict(report)})
        use_adapter(catalogue, adapter.model_fingerprint, add_adapter(catalogue, adapter, about))
    return report


def adapter_statuses(catalogue: Catalogue) -> list[AdapterStatus]:
    """All adapters of the library, by name and version."""
    searched = searched_model(catalogue)
    fingerprint = searched.identity.fingerprint if searched else ""
    chosen = adapter_in_use(catalogue, fingerprint)
    return [
        AdapterStatus(
            label=one.label,
            in_use=chosen is not None and chosen.id == one.id,
            usable=one.model_fingerprint == fingerprint,
            added=one.added,
            about=json.loads(one.about),
        )
        for one in stored_adapters(catalogue)
    ]


def refuse_what_is_no_better(report: AdapterReport) -> None:
    """Raises AdapterRefused for an adapter that helps nothing or does harm."""
    if report.best_epoch == 0:
        raise AdapterRefused(
            "The training found nothing that helps: no epoch was better on held-out photos than no adapter "
            f"(R@10 {100 * report.history[0].recall:.1f} %), so it was not kept; --force keeps it.",
            report,
        )
    if report.worse:
        raise AdapterRefused(
            f"The adapter makes held-out photos harder to find (R@10 {100 * report.adapted.value:.1f} % instead of "
            f"{100 * report.base.value:.1f} %, MAP {100 * report.adapted_map.value:.1f} % instead of "
            f"{100 * report.base_map.value:.1f} %), so it was not kept; --force keeps it.",
            report,
        )


def _stored_vectors(catalogue: Catalogue, model_id: int) -> StoredVector:
    """What the catalogue holds for the picture at a path, as the model made it."""

    def stored(path: str) -> FloatMatrix | None:
        try:
            row = catalogue.image_vector_at(os.fsencode(path), model_id)
        except OSError:
            return None
        return None if row is None else row.astype(np.float32)

    return stored
