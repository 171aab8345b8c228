"""A CLIP-style model from torch as two int8 ONNX graphs in a folder of their own, held against the original.

Matrix products are quantised dynamically: weights to 8-bit integers a column, with 7 bits used, so that sums of two
products fit 16 bits on processors without VNNI; activations by the range of each picture or text, one at a time, so
that a vector does not depend on its company. Needs the `clip` extra.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsearch.encoding import OPTIMISED_ENDING, Encoder, FloatMatrix, canonical_model_name, open_encoder
from mmsearch.encoding.model_store import PARTIAL_ENDING, check_model_name, folder_of, put_in_place, seal
from mmsearch.encoding.onnx_model import DESCRIPTION, OnnxEncoder
from mmsearch.encoding.sentence_transformers import USUAL_SIDE, SentenceTransformersEncoder
from mmsearch.errors import MmsearchError
from mmsearch.items import ImageContent
from mmsearch.reading import UnreadableFile, decode, load
from mmsearch.roots import absolute
from mmsearch.walking import FoundFile, WalkRules, walk

if TYPE_CHECKING:
    from PIL.Image import Image

OPSET = 17
TEXTS = (
    "a dog on the beach", "two people with a birthday cake", "the mountains in winter", "a red car in the city",
    "minutes of the meeting on Monday", "a recipe for bread with flour and water", "x", "a plate of pasta " * 12,
)  # fmt: skip
_IMAGE_FILE, _TEXT_FILE, _TOKENIZER_FILE = "image.onnx", "text.onnx", "tokenizer.json"
_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True)
class Agreement:
    """Cosines of one tower's vectors with those of the original: the mean and the lowest, over `items` of them."""

    tower: str
    items: int
    mean: float
    lowest: float


@dataclass(frozen=True)
class Optimised:
    """What `--model` takes, the folder that was written, its size in bytes, and how the vectors agree: those of the
    float32 graphs with the original's, then those of the int8 ones.
    """

    name: str
    folder: str
    bytes: int
    float32: tuple[Agreement, ...]
    int8: tuple[Agreement, ...]


def optimise(
    model: str,
    folder: str | None = None,
    pictures: Sequence[Image] = (),
    on_step: Callable[[str], None] = lambda step: None,
) -> Optimised:
    """Exports a model, by name or folder, to the new folder `folder`, or to the models of this disk as NAME-int8.

    Args:
        pictures: RGB pictures to hold the vectors against the original's with.

    Raises:
        MmsearchError: the extra is missing, the model is of another kind, or the folder is in use.
    """
    if folder is None:
        if os.path.isdir(model):
            raise MmsearchError(f"The model {model} is a folder; name another one, a new one, for what is made of it.")
        name = check_model_name(canonical_model_name(model)) + OPTIMISED_ENDING
        target = folder_of(name)
    else:
        name, target = "", os.path.abspath(os.path.expanduser(folder))
        if os.path.lexists(target):
            raise MmsearchError(f"{target} is there already; choose a folder that is new.")
    _check_extra()
    on_step("loading the model")
    original = open_encoder(canonical_model_name(model), "cpu")
    if not isinstance(original, SentenceTransformersEncoder):
        raise MmsearchError(f"{model} is optimised already.")
    source = _source(original)
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        return _optimised(original, source, target, name, pictures, on_step)
    except OSError as error:
        raise MmsearchError(f"The folder {target} cannot be written ({error.strerror}); choose another one.") from error


def _check_extra() -> None:
    try:
        import onnx  # noqa: F401 - torch and onnxruntime need it, and say so late
    except ImportError as error:
        raise MmsearchError(
            "Optimising a model needs onnx, torch and sentence-transformers; install them with "
            "`pip install 'mmsearch[clip]'`."
        ) from error


def _optimised(
    original: SentenceTransformersEncoder,
    source: _Source,
    target: str,
    name: str,
    pictures: Sequence[Image],
    on_step: Callable[[str], None],
) -> Optimised:
    parent, beginning = os.path.dirname(target), f"{os.path.basename(target)}."
    with tempfile.TemporaryDirectory(suffix=PARTIAL_ENDING, prefix=beginning, dir=parent) as scratch:
        exact, small = os.path.join(scratch, "exact"), os.path.join(scratch, "small")
        os.makedirs(exact)
        os.makedirs(small)
        on_step("exporting both towers")
        with _quiet():
            _export(source, exact)
        _describe(source, original, exact)
        float32 = _agreements(original, OnnxEncoder(exact, keep_graph=False), pictures)
        on_step("quantising")
        with _quiet():
            for file in (_IMAGE_FILE, _TEXT_FILE):
                _quantise(os.path.join(exact, file), os.path.join(small, file))
        os.replace(os.path.join(exact, _TOKENIZER_FILE), os.path.join(small, _TOKENIZER_FILE))
        on_step("comparing")
        _describe(source, original, small)
        int8 = _agreements(original, OnnxEncoder(small, keep_graph=False), pictures)
        size = sum(os.path.getsize(os.path.join(small, file)) for file in os.listdir(small))
        if name:
            seal(small, name, revision=original.identity.revision)
            put_in_place(small, name)
        else:
            os.rename(small, target)  # whole, or not at all
    return Optimised(name or target, target, size, float32, int8)


@contextmanager
def _quiet() -> Iterator[None]:
    """torch and onnxruntime warn of what is meant here: shapes that are fixed, graphs that were not prepared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def pictures_in(folder: str, most: int = 32) -> list[Image]:
    """Up to so many pictures of a folder, as an encoder takes them.

    Raises:
        MmsearchError: there are none.
    """
    paths = sorted(found.path for found in walk(absolute(folder), WalkRules()) if isinstance(found, FoundFile))
    pictures: list[Image] = []
    for path in paths:
        with suppress(UnreadableFile):
            content = decode(load(path), USUAL_SIDE)
            if isinstance(content, ImageContent):
                pictures.append(content.pixels)
        if len(pictures) == most:
            break
    if not pictures:
        raise MmsearchError(f"There are no pictures in {folder}; choose another folder for --photos.")
    return pictures


@dataclass(frozen=True)
class _Source:
    """What sentence-transformers has loaded: the transformers model, and what prepares its pictures and texts."""

    model: Any
    pictures: Any
    tokenizer: Any
    longest_text: int


def _source(original: SentenceTransformersEncoder) -> _Source:
    towers = original.towers
    if towers.image is not towers.text:
        raise MmsearchError(
            f"{original.identity.name} is two models in one, which cannot be exported; use it as it is."
        )
    loaded = towers.image[0]
    model, processor = getattr(loaded, "model", None), getattr(loaded, "processor", None)
    tokenizer, pictures = getattr(processor, "tokenizer", None), getattr(processor, "image_processor", None)
    both = hasattr(model, "get_image_features") and hasattr(model, "get_text_features")
    if not both or pictures is None or not getattr(tokenizer, "is_fast", False):
        raise MmsearchError(
            f"{original.identity.name} is not built like CLIP or SigLIP, so it cannot be exported; use it as it is."
        )
    return _Source(model, pictures, tokenizer, original.longest_text)


def _export(source: _Source, folder: str) -> None:
    import torch

    side, _ = _fit(source.pictures)
    mean, deviation = (
        torch.tensor(numbers).reshape(1, 3, 1, 1) for numbers in (source.pictures.image_mean, source.pictures.image_std)
    )
    scale = float(source.pictures.rescale_factor)

    class Pictures(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = source.model

        def forward(self, pixels: Any) -> Any:
            values = (pixels.permute(0, 3, 1, 2).to(torch.float32) * scale - mean) / deviation
            return _unit_rows(self.model.get_image_features(pixel_values=values))

    class Texts(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = source.model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return _unit_rows(self.model.get_text_features(input_ids=input_ids, attention_mask=attention_mask))

    def write(module: Any, inputs: dict[str, Any], sizes: dict[int, str], name: str) -> None:
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            os.path.join(folder, name),
            input_names=list(inputs),
            output_names=["embedding"],
            dynamic_axes={**dict.fromkeys(inputs, sizes), "embedding": {0: "n"}},
            opset_version=OPSET,
            dynamo=False,  # what the new exporter writes cannot be quantised dynamically
        )

    source.model.set_attn_implementation("eager")
    length = source.longest_text
    ids = torch.tensor([source.tokenizer("a photo", padding="max_length", max_length=length)["input_ids"]])
    write(Pictures(), {"pixels": torch.zeros(2, side, side, 3, dtype=torch.uint8)}, {0: "n"}, _IMAGE_FILE)
    write(Texts(), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, {0: "n", 1: "length"}, _TEXT_FILE)
    source.tokenizer.backend_tokenizer.no_padding()
    source.tokenizer.backend_tokenizer.no_truncation()
    source.tokenizer.backend_tokenizer.save(os.path.join(folder, _TOKENIZER_FILE))


def _unit_rows(found: Any) -> Any:
    rows = getattr(found, "pooler_output", found)
    return rows / rows.norm(dim=-1, keepdim=True)


def _fit(pictures: Any) -> tuple[int, str]:
    """The side that pictures are brought to, and whether they are cut to a square or squashed into one."""
    size = dict(pictures.size)
    if getattr(pictures, "do_center_crop", False):
        crop = dict(pictures.crop_size)
        if "shortest_edge" in size and crop.get("height") == crop.get("width") == size["shortest_edge"]:
            return int(crop["height"]), "crop"
    elif size.get("height") is not None and size.get("height") == size.get("width"):
        return int(size["height"]), "squash"
    raise MmsearchError(
        f"Pictures are prepared for this model in a way that cannot be exported ({size}); use it as it is."
    )


def _describe(source: _Source, original: SentenceTransformersEncoder, folder: str) -> None:
    side, fit = _fit(source.pictures)
    described = {
        "name": original.identity.name,
        "revision": f"{original.identity.revision}-int8",
        "dimension": original.identity.dimension,
        "image": {
            "file": _IMAGE_FILE,
            "side": side,
            "fit": fit,
            "resampling": _RESAMPLING[int(source.pictures.resample)],
            "batch": 1,
        },
        "text": {
            "file": _TEXT_FILE,
            "lower": original.towers.is_siglip,
            "tokenizer": _TOKENIZER_FILE,
            "window": source.longest_text,
            "overlap": source.longest_text // 4,
            "pad_id": int(source.tokenizer.pad_token_id or 0),
            "padded_to": source.longest_text if original.towers.is_siglip else 0,
        },
        "sha256": {name: _digest(os.path.join(folder, name)) for name in (_IMAGE_FILE, _TEXT_FILE, _TOKENIZER_FILE)},
    }
    with open(os.path.join(folder, DESCRIPTION), "w", encoding="utf-8") as file:
        json.dump(described, file, indent=1)


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _quantise(source: str, target: str) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True},
    )


def _agreements(original: Encoder, exported: Encoder, pictures: Sequence[Image]) -> tuple[Agreement, ...]:
    found = []
    if pictures:
        found.append(_agreement("pictures", original.encode_images(pictures), exported.encode_images(pictures)))
    found.append(_agreement("texts", original.encode_texts(TEXTS), exported.encode_texts(TEXTS)))
    return tuple(found)


def _agreement(tower: str, original: FloatMatrix, exported: FloatMatrix) -> Agreement:
    cosines = np.sum(original * exported, axis=1)
    return Agreement(tower, len(cosines), float(cosines.mean()), float(cosines.min()))
