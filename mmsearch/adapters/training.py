"""Training an adapter with what a library holds already, and keeping it there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from mmsearch.adapters.recipe import AdapterRecipe, AdapterRefused, AdapterReport
from mmsearch.encoding.adapted import Adapter
from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import Refused, Remedy, Unsupported
from mmsearch.evaluation.datasets import Dataset
from mmsearch.evaluation.embedding import embed
from mmsearch.evaluation.models import stored_vectors
from mmsearch.nearest.spaces import ModelInUse
from mmsearch.records import Progress
from mmsearch.searching import scoring
from mmsearch.store.adapters import (
    adapter_in_use,
    add_adapter,
    next_version,
    use_adapter,
)
from mmsearch.store.models import searched_model, stored_models

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store


@dataclass(frozen=True)
class AdapterStatus:
    """An adapter of a library. `about` tells how it was trained and how it did; `usable` with the library's model."""

    label: str
    in_use: bool
    usable: bool
    added: str
    about: dict[str, Any]


@dataclass(frozen=True)
class TrainedAdapter:
    """An adapter that is not in a library yet; it has no number before that."""

    adapter: Adapter
    report: AdapterReport
    about: dict[str, Any]


@dataclass(frozen=True)
class Training:
    """What trains an adapter, what it is called, and how; see `Library.adapters.train`."""

    dataset: Dataset
    name: str
    recipe: AdapterRecipe | None = None
    workers: int | None = None
    on_progress: Callable[[Progress], None] = lambda progress: None


def train_adapter(store: Store, in_use: ModelInUse, encoder: Encoder, training: Training) -> TrainedAdapter:
    """Trains an adapter. Reads the library only, so that others may write to it meanwhile."""
    try:
        from mmsearch.adapters.fitting import fit_adapter, trained_adapter
    except ImportError as error:
        raise Unsupported("Training needs torch", Remedy("extra", "clip")) from error
    stored = stored_vectors(store, in_use.model_id)
    tell = training.on_progress
    bank = store.query_bank(in_use.model_id) if in_use.query_bank else None
    embedded = embed(
        training.dataset, encoder, stored=stored, workers=training.workers, on_progress=tell, query_bank=bank
    )
    recipe = training.recipe or AdapterRecipe()
    maps, report = fit_adapter(embedded, recipe, on_progress=tell)
    noise = encoder.encode("text", scoring.noise_queries())
    adapter = trained_adapter(training.name, 0, in_use.model.fingerprint, maps, encoder.calibration, embedded, noise)
    return TrainedAdapter(adapter, report, {"dataset": training.dataset.name, "recipe": asdict(recipe)})


def keep_adapter(store: Store, trained: TrainedAdapter) -> AdapterReport:
    """Gives the adapter its number, stores it and puts it in use; the caller holds the lock.

    Raises:
        Refused: the library has another model by now.
    """
    fingerprints = {one.identity.fingerprint for one in stored_models(store)}
    if trained.adapter.model_fingerprint not in fingerprints:
        raise Refused("The library has lost the model during the training; train again for another one.")
    version = next_version(store, trained.adapter.name)
    adapter = replace(trained.adapter, version=version)
    report = replace(trained.report, label=adapter.label)
    with store.transaction():
        about = json.dumps({**trained.about, "report": asdict(report)})
        use_adapter(store, adapter.model_fingerprint, add_adapter(store, adapter, about))
    return report


def adapter_statuses(store: Store) -> list[AdapterStatus]:
    """All adapters of the library, by name and version."""
    searched = searched_model(store)
    fingerprint = searched.identity.fingerprint if searched else ""
    chosen = adapter_in_use(store, fingerprint)
    return [
        AdapterStatus(
            label=one.label,
            in_use=chosen is not None and chosen.id == one.id,
            usable=one.model_fingerprint == fingerprint,
            added=one.added,
            about=json.loads(one.about),
        )
        for one in store.adapters()
    ]


def refuse_what_is_no_better(report: AdapterReport) -> None:
    """Raises AdapterRefused for an adapter that helps nothing or does harm."""
    if report.best_epoch == 0:
        raise AdapterRefused(
            "The training found nothing that helps: no epoch was better on held-out photos than no adapter "
            f"(R@10 {100 * report.history[0].recall:.1f} %), so it was not kept.",
            report,
        )
    if report.worse:
        raise AdapterRefused(
            f"The adapter makes held-out photos harder to find (R@10 {100 * report.adapted.value:.1f} % instead of "
            f"{100 * report.base.value:.1f} %, MAP {100 * report.adapted_map.value:.1f} % instead of "
            f"{100 * report.base_map.value:.1f} %), so it was not kept.",
            report,
        )
