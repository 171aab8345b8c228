"""The calibration of one library: that of its model, brought nearer to what lies in it by measuring.

It is measured after an index run that changed a tenth of the rows or more, and kept in the store, so that a search
needs to measure nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsearch.encoding.calibration import as_json, from_json
from mmsearch.encoding.noise import noise_vectors
from mmsearch.encoding.protocol import Encoder
from mmsearch.files.crash_points import crash_point
from mmsearch.nearest.spaces import ModelInUse
from mmsearch.nearest.vectors import StoredVectors
from mmsearch.records import Calibration, FloatMatrix, Modality, ModelIdentity
from mmsearch.searching import scoring as calibration

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

_SETTING = "calibration"
_STALE_SHARE = 0.1
# Of a model alone and of its adapters: what was measured holds again when one goes back.
_KEPT = 16
# Vectors of queries that mean nothing, by the fingerprint of the model: a process that indexes often encodes them once.
_noise: dict[str, FloatMatrix] = {}


def stored_calibration(
    store: Store, identity: ModelIdentity, query_bank: str = "", own: Callable[[], Calibration | None] = lambda: None
) -> Calibration | None:
    """What was last measured in this library for that model with hubs corrected by that query bank, or None.

    Older versions told of familiarity by other numbers. Until it is measured again, that of noise is taken from `own`,
    the model's calibration: it is the same in every library.
    """
    known = _stored(store).get(identity.fingerprint)
    curves = None if known is None else _curves(known, query_bank)
    if known is None or curves is None or _tells_familiarity(known, curves):
        return curves
    of_model = own() or {}
    return {
        pair: replace(curve, noise_familiarity=of_model[pair].noise_familiarity) if pair in of_model else curve
        for pair, curve in curves.items()
    }


def refresh_calibration(
    store: Store, encoder: Encoder, vectors: Mapping[Modality, StoredVectors], in_use: ModelInUse
) -> None:
    """Measures again where the library has changed by a tenth since it was last measured, or has another query bank."""
    fingerprint, query_bank = in_use.identity.fingerprint, in_use.query_bank
    counts = {modality: len(of_modality) for modality, of_modality in vectors.items()}
    removed, last_item = store.items_removed(), store.latest_item()
    stored = _stored(store)
    known = stored.pop(fingerprint, None)
    curves = None if known is None else _curves(known, query_bank)
    if known is not None and curves is not None and _tells_familiarity(known, curves):
        changed = removed - known["removed"] + max(0, last_item - known.get("last_item", 0))
        if changed <= _STALE_SHARE * sum(known["rows"].values()):
            return
    found = own_calibration(encoder, vectors)
    if fingerprint not in _noise:
        _noise[fingerprint] = noise_vectors(encoder)
    blocks = {modality: _corrected(of_modality) for modality, of_modality in vectors.items()}
    found = calibration.refreshed(found, _noise[fingerprint], blocks, in_use.bank(store))
    stored[fingerprint] = {
        "rows": counts,
        "removed": removed,
        "last_item": last_item,
        "query_bank": query_bank,
        "curves": as_json(found),
    }
    latest = dict(list(stored.items())[-_KEPT:])
    with store.transaction():
        store.set_setting(_SETTING, json.dumps(latest))
    crash_point("calibration kept")


def _curves(known: dict[str, Any], query_bank: str) -> Calibration | None:
    """What was measured, if it is whole and of that query bank."""
    try:
        curves = from_json(known["curves"])
        is_whole = all(("text", modality) in curves for modality, rows in known["rows"].items() if rows)
    except (AttributeError, KeyError, TypeError, ValueError):  # damaged: it is measured again
        return None
    return curves if is_whole and known.get("query_bank", "") == query_bank else None


def _tells_familiarity(known: dict[str, Any], curves: Calibration) -> bool:
    """Whether it tells of familiarity wherever there is a query bank."""
    measured = [curves["text", modality] for modality, rows in known["rows"].items() if rows]
    return not known.get("query_bank") or all(curve.noise_familiarity is not None for curve in measured)


def _stored(store: Store) -> dict[str, dict[str, Any]]:
    """What was measured, by the fingerprint of the model with its adapter; the latest last."""
    try:
        found = json.loads(store.setting(_SETTING) or "{}")
    except ValueError:  # damaged
        return {}
    sound = found.items() if isinstance(found, dict) else ()
    return {key: one for key, one in sound if isinstance(one, dict) and {"rows", "removed", "curves"} <= one.keys()}


def own_calibration(encoder: Encoder, vectors: Mapping[Modality, StoredVectors]) -> Calibration:
    """The model's own calibration or, where it has none, one read off a sample of the vectors."""
    known = encoder.calibration
    if known is not None:
        return known
    drawn = {modality: of_modality.sample(calibration.SAMPLE_ROWS) for modality, of_modality in vectors.items()}
    return calibration.measured(
        {modality: rows.vectors.astype(np.float32) for modality, rows in drawn.items()},
        {modality: rows.numbers for modality, rows in drawn.items() if rows.numbers is not None},
    )


def _corrected(vectors: StoredVectors) -> Iterator[calibration.Corrected]:
    for rows in vectors.blocks():
        assert rows.numbers is not None
        yield rows.vectors, rows.numbers
