"""A CLIP-style model from torch as two int8 ONNX graphs in a folder of their own, held against the original.

Needs the `clip` extra; what it makes does not.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmsearch.encoding.description import DESCRIPTION
from mmsearch.encoding.onnx_model import OnnxEncoder
from mmsearch.encoding.protocol import Encoder
from mmsearch.encoding.sentence_transformers import SentenceTransformersEncoder
from mmsearch.errors import Invalid, Refused, Remedy, Unavailable, Unsupported
from mmsearch.files.hashing import sha256_of
from mmsearch.models.installed import (
    PARTIAL_ENDING,
    check_model_name,
    folder_of,
    put_in_place,
    scratch_beginning,
    seal,
    writing_model,
)
from mmsearch.models.opening import open_encoder
from mmsearch.models.optimise.graphs import Exportable, export, exportable, quantise
from mmsearch.models.reference import ModelRef, without_crops
from mmsearch.records import OPTIMISED_ENDING, FloatMatrix, Progress

if TYPE_CHECKING:
    from PIL.Image import Image

TEXTS = (
    "a dog on the beach", "two people with a birthday cake", "the mountains in winter", "a red car in the city",
    "minutes of the meeting on Monday", "a recipe for bread with flour and water", "x", "a plate of pasta " * 12,
)  # fmt: skip
# Cosines of the exact export with the original: less is not the same model.
LEAST_AGREEMENT = 0.99
_IMAGE_FILE, _TEXT_FILE, _TOKENIZER_FILE = "image.onnx", "text.onnx", "tokenizer.json"
_STEPS = ("loading the model", "exporting both towers", "quantising", "comparing")
_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True)
class TowerAgreement:
    """Cosines of one tower's vectors with those of the original: the mean and the lowest, over `items` of them."""

    tower: str
    items: int
    mean: float
    lowest: float


@dataclass(frozen=True)
class OptimisedModel:
    """What `--model` takes, the folder that was written, its size in bytes, and how the vectors agree: those of the
    float32 graphs with the original's, then those of the int8 ones.
    """

    name: str
    folder: str
    bytes: int
    float32: tuple[TowerAgreement, ...]
    int8: tuple[TowerAgreement, ...]


def optimise(
    model: str,
    folder: str | None = None,
    pictures: Sequence[Image] = (),
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> OptimisedModel:
    """Exports a model, by name or folder, to the new folder `folder`, or to the models of this disk as NAME-int8.

    Args:
        pictures: RGB pictures to hold the vectors against the original's with; made-up ones if there are none.

    Raises:
        MmsearchError: the extra is missing, the model is of another kind, its export does not agree with it, or the
            folder is in use.
    """
    ref = ModelRef.of(without_crops(model)[0])  # the graphs are the same
    if folder is None:
        if ref.is_folder:
            raise Invalid(f"The model {model} is a folder; name another one, a new one, for what is made of it.")
        name = check_model_name(ref.name) + OPTIMISED_ENDING
        target = folder_of(name)
    else:
        name, target = "", os.path.abspath(os.path.expanduser(folder))
        if os.path.lexists(target):
            raise Refused(f"{target} is there already; choose a folder that is new.")
    _check_extra()
    on_progress(_step(0))
    original = open_encoder(ref.name, "cpu")
    if not isinstance(original, SentenceTransformersEncoder):
        raise Refused(f"{model} is optimised already.")
    if original.hearing is not None:
        raise Unsupported(f"{model} hears; only models of pictures and texts are made faster. It runs as it is.")
    source = exportable(original)
    try:
        with writing_model(name) if name else nullcontext():
            os.makedirs(os.path.dirname(target), exist_ok=True)
            return _optimised(original, source, target, name, pictures, on_progress)
    except OSError as error:
        raise Unavailable(f"The folder {target} cannot be written ({error.strerror}); choose another one.") from error


def _step(number: int) -> Progress:
    return Progress(_STEPS[number], number, len(_STEPS), "steps")


def _check_extra() -> None:
    try:
        import onnx  # noqa: F401 - torch and onnxruntime need it, and say so late
    except ImportError as error:
        raise Unsupported(
            "Optimising a model needs onnx, torch and sentence-transformers", Remedy("extra.them", "clip")
        ) from error


def _optimised(
    original: SentenceTransformersEncoder,
    source: Exportable,
    target: str,
    name: str,
    pictures: Sequence[Image],
    on_progress: Callable[[Progress], None],
) -> OptimisedModel:
    parent, beginning = os.path.dirname(target), scratch_beginning(target)
    with tempfile.TemporaryDirectory(suffix=PARTIAL_ENDING, prefix=beginning, dir=parent) as scratch:
        exact, small = os.path.join(scratch, "exact"), os.path.join(scratch, "small")
        os.makedirs(exact)
        os.makedirs(small)
        on_progress(_step(1))
        export(source, *(os.path.join(exact, file) for file in (_IMAGE_FILE, _TEXT_FILE, _TOKENIZER_FILE)))
        _describe(source, original, exact)
        float32 = _agreements(original, OnnxEncoder(exact, keep_graph=False), pictures)
        worst = min(float32, key=lambda one: one.lowest)
        if worst.lowest < LEAST_AGREEMENT:
            raise Unsupported(
                f"{original.identity.name} gives other vectors once it is exported (cosine {worst.lowest:.3f} for "
                f"{worst.tower}), so nothing was kept; use it as it is."
            )
        on_progress(_step(2))
        for file in (_IMAGE_FILE, _TEXT_FILE):
            quantise(os.path.join(exact, file), os.path.join(small, file))
        os.replace(os.path.join(exact, _TOKENIZER_FILE), os.path.join(small, _TOKENIZER_FILE))
        on_progress(_step(3))
        _describe(source, original, small)
        int8 = _agreements(original, OnnxEncoder(small, keep_graph=False), pictures)
        size = sum(os.path.getsize(os.path.join(small, file)) for file in os.listdir(small))
        if name:
            seal(small, name)
            put_in_place(small, name)
        else:
            os.rename(small, target)  # whole, or not at all
    return OptimisedModel(name or target, target, size, float32, int8)


def _describe(source: Exportable, original: SentenceTransformersEncoder, folder: str) -> None:
    described = {
        "name": original.identity.name,
        "revision": f"{original.identity.revision}-int8",
        "dimension": original.identity.dimension,
        "image": {
            "file": _IMAGE_FILE,
            "side": source.side,
            "fit": source.fit,
            "resampling": _RESAMPLING[int(source.pictures.resample)],
            "batch": 1,
        },
        "text": {
            "file": _TEXT_FILE,
            "lower": source.towers.is_siglip,
            "tokenizer": _TOKENIZER_FILE,
            "window": source.longest_text,
            "overlap": source.longest_text // 4,
            "pad_id": int(source.tokenizer.pad_token_id or 0),
            "padded_to": source.longest_text if source.towers.is_siglip else 0,
        },
        "sha256": {name: sha256_of(os.path.join(folder, name)) for name in (_IMAGE_FILE, _TEXT_FILE, _TOKENIZER_FILE)},
    }
    with open(os.path.join(folder, DESCRIPTION), "w", encoding="utf-8") as file:
        json.dump(described, file, indent=1)


def _agreements(original: Encoder, exported: Encoder, pictures: Sequence[Image]) -> tuple[TowerAgreement, ...]:
    shown, what = (pictures, "pictures") if pictures else (_made_up_pictures(), "made-up pictures")
    return (
        _agreement(what, original.encode("image", shown), exported.encode("image", shown)),
        _agreement("texts", original.encode("text", TEXTS), exported.encode("text", TEXTS)),
    )


def _made_up_pictures() -> list[Image]:
    """Gradients and blotches of several shapes, where there are no photos: enough to see that a tower is the same."""
    from PIL import Image as PILImage

    chance = np.random.default_rng(0)
    sides = [(320, 240), (240, 320), (400, 150), (256, 256)]
    ramps = [PILImage.radial_gradient("L").resize(side).convert("RGB") for side in sides]
    blotches = [
        PILImage.fromarray(chance.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(side, PILImage.Resampling.BICUBIC)
        for side in sides
    ]
    return [*ramps, *blotches]


def _agreement(tower: str, original: FloatMatrix, exported: FloatMatrix) -> TowerAgreement:
    cosines = np.sum(original * exported, axis=1)
    return TowerAgreement(tower, len(cosines), float(cosines.mean()), float(cosines.min()))
