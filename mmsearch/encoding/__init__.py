"""Encoders: pictures and texts to unit vectors in one joint space.

One module per model family behind one `Encoder` protocol. Who adds a family adds a module and one line in
`open_encoder`, and touches nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from mmsearch.errors import MmsearchError
from mmsearch.items import Modality, TextSpan

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmsearch.encoding.devices import DeviceName

FloatMatrix = npt.NDArray[np.float32]

BUILTIN_MODEL = "mmsearch-mini"
# What the name of a model that `models optimise` made ends with.
OPTIMISED_ENDING = "-int8"


@dataclass(frozen=True)
class ModelIdentity:
    """Which model made a vector. Vectors are comparable only where `fingerprint` is equal.

    The fingerprint covers the name, the revision, the weights, the dimension, the preprocessing, and the adapter
    where there is one.
    """

    name: str
    revision: str
    dimension: int
    fingerprint: str
    adapter: str = ""

    @property
    def label(self) -> str:
        """The name and revision as they are shown, for example `mmsearch-mini@1` or `mmsearch-mini@1+pets@2`."""
        return f"{self.name}@{self.revision}" + (f"+{self.adapter}" if self.adapter else "")


@dataclass(frozen=True)
class Background:
    """How the cosines of unrelated pairs lie for one query modality and one item modality, and what a match is.

    The calibrated score of a cosine c is `1 / (1 + exp(-slope * ((c - mean) / std - midpoint)))`: a logistic
    calibration (Platt, "Probabilistic Outputs for Support Vector Machines", 1999) of the cosine's distance from
    the background in standard deviations. `noise_mean` and `noise_std` tell where the cosines of a query lie that
    asks for nothing there is, as far as their upper tail goes: `calibration.nothing_close` is made of them.
    """

    mean: float
    std: float
    midpoint: float
    slope: float
    noise_mean: float
    noise_std: float


# (query modality, item modality) -> the background of that pairing
Calibration = Mapping[tuple[Modality, Modality], Background]


class Encoder(Protocol):
    """A dual encoder. Its methods may be called from several threads at once."""

    @property
    def identity(self) -> ModelIdentity:
        """Known without loading the weights wherever the family allows it."""

    @property
    def image_side(self) -> int:
        """The side in pixels to which pictures are brought; a scaled decode need not keep more than twice that."""

    @property
    def pictures_at_once(self) -> int:
        """How many pictures it likes to be given in one call."""

    @property
    def calibration(self) -> Calibration | None:
        """The model's own calibration, or None where it has to be read off a library's vectors."""

    def encode_images(self, pictures: Sequence[Image]) -> FloatMatrix:
        """RGB pictures of any size to unit rows, float32 [len(pictures), dimension], in order."""

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        """Texts to unit rows, float32 [len(texts), dimension], in order. What exceeds the window is left out."""

    def windows(self, text: str) -> list[TextSpan]:
        """Overlapping stretches of `text`, each within the model's window, that cover all of its words."""


def open_encoder(model: str = BUILTIN_MODEL, device: DeviceName = "auto") -> Encoder:
    """The encoder of that name: the built-in one, one on this disk (`mmsearch models` lists them), or one in a folder.

    Raises:
        MmsearchError: the model is not there or not whole, lacks what it needs, or cannot run on `device`.
    """
    if model == BUILTIN_MODEL:
        from mmsearch.encoding.builtin import BuiltinEncoder

        _check_runs_on_processor(model, device)
        return BuiltinEncoder()
    from mmsearch.encoding.model_store import check_files, installed_model
    from mmsearch.encoding.onnx_model import OnnxEncoder, is_onnx_model

    folder, trusted = model, False
    if not is_model_folder(model):
        installed = installed_model(model) or installed_model(canonical_model_name(model))
        if installed is not None:
            check_files(installed)
        folder = installed.folder if installed else _in_hub_cache(model)
        trusted = installed is not None and installed.trust_remote_code
    if is_onnx_model(folder):
        _check_runs_on_processor(model, device)
        return OnnxEncoder(folder, name=model, remedy="make it again with `mmsearch models optimise`")
    from mmsearch.encoding.sentence_transformers import SentenceTransformersEncoder

    return SentenceTransformersEncoder(folder, model, device, trusted)


def is_model_folder(model: str) -> bool:
    """Whether that is a folder, and not the name of a model on this disk: a name comes first, and `./NAME` does not."""
    from mmsearch.encoding.model_store import installed_model

    path = os.path.expanduser(model)
    return os.path.isdir(path) and (os.path.isabs(path) or installed_model(model) is None)


def _check_runs_on_processor(model: str, device: DeviceName) -> None:
    if device not in ("auto", "cpu"):
        raise MmsearchError(
            f"{model} runs on the processor, not on {device}; leave out --device, or choose a model that torch runs."
        )


def _in_hub_cache(model: str) -> str:
    """The folder of a model that another program has downloaded.

    Raises:
        MmsearchError: there is none.
    """
    from mmsearch.encoding.known_models import known_model
    from mmsearch.encoding.model_store import folder_of, remedy

    if os.path.isabs(model) or model.startswith((".", "~")):
        raise MmsearchError(f"There is no model in a folder {model}; check the path.")
    known = known_model(model)
    with suppress(Exception):  # not installed, not there, or no name that the hub could have
        from huggingface_hub import snapshot_download

        repository = known.repository if known else model if "/" in model else f"sentence-transformers/{model}"
        if not (known and known.images_by):  # which is two models
            return str(snapshot_download(repository, local_files_only=True))
    raise MmsearchError(f"The model {model} is not on this disk ({folder_of(model)} is missing); {remedy(model)}.")


def text_vectors(texts: Sequence[str], encoder: Encoder) -> FloatMatrix:
    """Unit rows, float32 [len(texts), dimension], of texts of any length: the means of those of their stretches."""
    stretches = [[text[one.start : one.end] for one in encoder.windows(text)] or [text] for text in texts]
    encoded = encoder.encode_texts([stretch for of_text in stretches for stretch in of_text])
    ends = np.cumsum([len(of_text) for of_text in stretches])
    rows = np.stack([part.mean(axis=0) for part in np.split(encoded, ends[:-1])])
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


def names_of(model: str) -> tuple[str, ...]:
    """The names under which a library may hold that model: its own, and that of its optimised form."""
    return (model,) if os.path.isabs(model) else (model, f"{model}{OPTIMISED_ENDING}")


def preferred_model_name(model: str, device: DeviceName = "auto") -> str:
    """The name of the optimised form of that model where there is one on this disk, else its own.

    A graphics card that is asked for runs the original.
    """
    from mmsearch.encoding.model_store import installed_model

    if device not in ("auto", "cpu"):
        return model
    return next((name for name in names_of(model)[1:] if installed_model(name)), model)


def canonical_model_name(model: str) -> str:
    """The name by which a library knows `model`: folders by their absolute path, known ones by their short name."""
    if model == BUILTIN_MODEL:
        return model
    if is_model_folder(model):
        return os.path.abspath(os.path.expanduser(model))
    from mmsearch.encoding.known_models import known_model

    known = known_model(model)
    return known.name if known else model
