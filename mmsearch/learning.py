"""Evaluating models and training adapters with what a library holds already."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mmsearch import calibration
from mmsearch.adapters import NO_ADAPTER, AdaptedEncoder
from mmsearch.catalogue import Catalogue
from mmsearch.encoding import BUILTIN_MODEL, Encoder, FloatMatrix
from mmsearch.errors import MmsearchError
from mmsearch.evaluation.comparison import Comparison
from mmsearch.evaluation.datasets import Dataset
from mmsearch.evaluation.embedding import StoredVector, embed
from mmsearch.evaluation.report import Evaluation, evaluate
from mmsearch.file_times import modification_time
from mmsearch.spaces import model_in_use
from mmsearch.stored_adapters import adapter_in_use, add_adapter, next_version, stored_adapters, use_adapter
from mmsearch.training.adapter_recipe import AdapterRecipe, AdapterReport, Epoch


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
    in_use = model_in_use(catalogue, NO_ADAPTER) if catalogue else None
    if in_use is None and any(name != NO_ADAPTER for name in adapters):
        raise MmsearchError(f"There is no library yet, so there is no adapter {adapters[0]}; leave out --adapter.")
    found = []
    for name in dict.fromkeys(models or [in_use.model.name if in_use else BUILTIN_MODEL]):
        encoder = encoder_of(name)
        if catalogue is None or in_use is None or in_use.model.fingerprint != encoder.identity.fingerprint:
            embedded = embed(dataset, encoder, workers=workers, on_progress=on_progress)
            found.append(evaluate(embedded, encoder, ks=ks, comparisons=comparisons))
            continue
        stored = _stored_vectors(catalogue, in_use.model_id)
        embedded = embed(dataset, encoder, stored=stored, workers=workers, on_progress=on_progress)
        wishes: Sequence[str | None] = adapters or (None,)
        for wanted in wishes:
            chosen = model_in_use(catalogue, wanted)
            adapter = chosen.adapter if chosen else None
            if adapter is None:
                found.append(evaluate(embedded, encoder, ks=ks, comparisons=comparisons))
                continue
            adapted = AdaptedEncoder(encoder, adapter)
            moved = embedded.through(adapter, adapted.identity.label)
            found.append(evaluate(moved, adapted, ks=ks, comparisons=comparisons))
    return found


def train_adapter(
    catalogue: Catalogue,
    encoder: Encoder,
    dataset: Dataset,
    name: str,
    recipe: AdapterRecipe | None,
    force: bool,
    workers: int | None,
    on_progress: Callable[[int, int], None],
    on_epoch: Callable[[Epoch], None],
) -> AdapterReport:
    """See `Library.train`; the caller holds the lock and makes the derived files anew."""
    try:
        from mmsearch.training.adapter_fitting import fit_adapter, trained_adapter
    except ImportError as error:
        raise MmsearchError(
            "Training needs torch; install it with `pip install 'mmsearch[clip]'` (on Linux add `-c constraints.txt`)."
        ) from error
    in_use = model_in_use(catalogue, NO_ADAPTER)
    assert in_use is not None
    stored = _stored_vectors(catalogue, in_use.model_id)
    embedded = embed(dataset, encoder, stored=stored, workers=workers, on_progress=on_progress)
    settings = recipe or AdapterRecipe()
    maps, report = fit_adapter(embedded, settings, on_epoch=on_epoch)
    version = next_version(catalogue, name)
    report = replace(report, label=f"{name}@{version}")
    if not force:
        _refuse_what_is_no_better(report)
    noise = encoder.encode_texts(calibration.noise_queries())
    fingerprint = in_use.model.fingerprint
    adapter = trained_adapter(name, version, fingerprint, maps, encoder.calibration, embedded, noise)
    about = {"dataset": dataset.name, "recipe": asdict(settings), "report": asdict(report)}
    with catalogue.transaction():
        use_adapter(catalogue, add_adapter(catalogue, adapter, json.dumps(about)))
    return report


def adapter_statuses(catalogue: Catalogue) -> list[AdapterStatus]:
    """All adapters of the library, by name and version."""
    known = catalogue.model()
    fingerprint = known[1].fingerprint if known else ""
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


def _refuse_what_is_no_better(report: AdapterReport) -> None:
    if report.best_epoch == 0:
        raise MmsearchError(
            "The training found nothing that helps (held-out R@10 never rose above "
            f"{100 * report.history[0].recall:.1f} %), so it was not kept; try more photos, or --force."
        )
    if report.worse:
        raise MmsearchError(
            f"The adapter makes held-out R@10 worse ({100 * report.adapted.value:.1f} % instead of "
            f"{100 * report.base.value:.1f} %), so it was not kept; --force keeps it."
        )


def _stored_vectors(catalogue: Catalogue, model_id: int) -> StoredVector:
    """What the catalogue holds for the picture at a path, as the model made it."""

    def stored(path: str) -> FloatMatrix | None:
        try:
            status = os.stat(path)
        except OSError:
            return None
        row = catalogue.image_vector_at(os.fsencode(path), status.st_size, modification_time(status), model_id)
        return None if row is None else np.frombuffer(row, "<f2").astype(np.float32)

    return stored
