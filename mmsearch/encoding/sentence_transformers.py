"""CLIP-style models that sentence-transformers can load from a folder, run by torch.

The folder holds one model of both towers, in any layout of sentence-transformers or transformers, or two folders,
`text` and `image`, with a model each, whose vectors lie in one space (a multilingual student beside its teacher).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mmsearch.encoding.devices import Device, DeviceName
from mmsearch.encoding.facts import LoadedFacts, ModelFacts, facts_of
from mmsearch.encoding.patches import patch_vectors
from mmsearch.encoding.protocol import Family, ModelFolder
from mmsearch.encoding.regions import WHOLE, RegionGrid, central_square
from mmsearch.encoding.runtime import loading, silenced
from mmsearch.encoding.token_windows import token_windows
from mmsearch.errors import Remedy, Unavailable, Unsupported
from mmsearch.records import Calibration, FloatMatrix, Hearing, Modality, ModelIdentity, TextSpan

if TYPE_CHECKING:
    from PIL.Image import Image

# What CLIP-style models see, where the model does not say.
USUAL_SIDE = 224
LONGEST_TEXT = 512
# How texts are prepared for a SigLIP, as a part of its fingerprint: padded to one length and in lower case.
SIGLIP_TEXTS = "\npadded, lower case"

Found = TypeVar("Found")


class found_out_once(cached_property[Found]):  # noqa: N801 - as cached_property
    """A cached property that one thread finds out while others wait; once known, nobody waits."""

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Found:  # type: ignore[override]
        with instance._turn:
            found: Found = super().__get__(instance, owner)
            return found


class SentenceTransformersEncoder:
    """The model in `folder`, called `name`; needs the `clip` extra.

    Pictures are prepared by the calling threads, several at once, and go through the model one call at a time: torch
    uses all cores, or the graphics card, by itself. `trust_remote_code` lets a model bring Python code of its own.

    Raises:
        Unsupported: the extra is not installed, or the model does not encode pictures and texts.
        Unavailable: the device is not there.
    """

    def __init__(
        self, folder: str, name: str | None = None, device: DeviceName = "auto", trust_remote_code: bool = False
    ) -> None:
        self._folder = folder
        self._name = name or folder
        self._wanted_device = device
        self._trust_remote_code = trust_remote_code
        self._turn = threading.RLock()

    @cached_property
    def identity(self) -> ModelIdentity:
        import xxhash

        facts = self._facts
        described = f"{self._name}\n{facts.revision}\n{facts.dimension}{facts.preparation}"
        return ModelIdentity(self._name, facts.revision, facts.dimension, xxhash.xxh3_128_hexdigest(described.encode()))

    @property
    def hearing(self) -> Hearing | None:
        return None

    @property
    def image_side(self) -> int:
        return self._facts.image_side

    @property
    def pictures_at_once(self) -> int:
        return self._device.at_once

    @property
    def calibration(self) -> Calibration | None:
        return None

    @property
    def query_bank(self) -> None:
        return None

    @property
    def noise(self) -> None:
        return None

    @property
    def modalities(self) -> frozenset[Modality]:
        return frozenset({"image", "text"})

    def encode(self, modality: Modality, payloads: Sequence[Any]) -> FloatMatrix:
        return self._encode_images(payloads) if modality == "image" else self._encode_texts(payloads)

    def _encode_images(self, pictures: Sequence[Image]) -> FloatMatrix:
        # As dictionaries: a bare text that is the path of an image would be encoded as that image.
        return self._encode("image", [{"image": picture.convert("RGB")} for picture in pictures])

    def _encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        lower = self.towers.is_siglip  # all texts that it was trained on were
        return self._encode("text", [{"text": text.lower() if lower else text} for text in texts])

    def regions(self, picture: Image) -> RegionGrid | None:
        tower = self.towers.image
        import torch

        features = self._features("image", [{"image": picture.convert("RGB")}])
        with self._turn, torch.inference_mode(), self._device.precision(), self._device.within_memory():
            found = patch_vectors(tower, self._device.moved(features))
        if found is None or found.shape[-1] != self.identity.dimension:
            return None
        vectors = found.float().cpu().numpy()
        vectors /= np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
        return RegionGrid(vectors, central_square(picture) if self.towers.crops else WHOLE)

    def windows(self, text: str) -> list[TextSpan]:
        tokenizer = self._tokenizer
        if tokenizer is None:
            return [TextSpan(0, len(text))] if text.strip() else []
        size = max(8, self.longest_text - 2)
        with self._turn:  # the tokenizer keeps how it pads: it is the one that `encode` uses
            return token_windows(text, _FastTokens(tokenizer), size, overlap=size // 4)

    def _encode(self, modality: Modality, inputs: list[dict[str, Any]]) -> FloatMatrix:
        tower = self.towers.of(modality)  # says what is not installed
        import torch

        def encode(part: Sequence[dict[str, Any]]) -> FloatMatrix:
            features = self._features(modality, part)
            with self._turn, torch.inference_mode(), self._device.precision():
                found = tower(self._device.moved(features))["sentence_embedding"]
                rows: FloatMatrix = found.float().cpu().numpy()
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            return np.asarray(rows / np.maximum(lengths, 1e-12), np.float32)

        rows = self._device.in_batches(inputs, encode)
        return np.concatenate([np.empty((0, self.identity.dimension), np.float32), *rows])

    def _features(self, modality: Modality, inputs: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """What the model takes, of inputs of one modality."""
        tower = self.towers.of(modality)
        if modality != "text":
            features: dict[str, Any] = tower.preprocess(list(inputs))
            return features
        with self._turn:  # the tokenizer is one for all threads
            features = tower.preprocess(list(inputs), **self.towers.text_options)
        if self.towers.is_siglip:
            features.pop("attention_mask", None)  # it has always seen what pads as well
        return features

    @found_out_once
    def _facts(self) -> ModelFacts:
        return facts_of(self._folder, self._loaded_facts)

    def _loaded_facts(self) -> LoadedFacts:
        towers = self.towers  # says what is not installed
        import torch
        from PIL import Image

        with self._turn, torch.inference_mode(), self._device.within_memory():
            of_text = towers.text.preprocess([{"text": "a"}], **towers.text_options)
            of_image = towers.image.preprocess([{"image": Image.new("RGB", (USUAL_SIDE, USUAL_SIDE))}])
            dimensions = [
                int(tower(self._device.moved(features))["sentence_embedding"].shape[1])
                for tower, features in ((towers.text, of_text), (towers.image, of_image))
            ]
        if dimensions[0] != dimensions[1]:
            raise Unsupported(
                f"{self._name} gives texts {dimensions[0]} dimensions and pictures {dimensions[1]}: its towers do not "
                "belong together."
            )
        return LoadedFacts(dimensions[0], _image_side(towers.image), SIGLIP_TEXTS if towers.is_siglip else "")

    @found_out_once
    def _device(self) -> Device:
        try:
            return Device(self._wanted_device)
        except ImportError as error:
            raise _not_installed() from error

    @found_out_once
    def towers(self) -> Towers:
        """What sentence-transformers has loaded."""
        parts = [os.path.join(self._folder, part) for part in ("image", "text")]
        if all(os.path.isdir(part) for part in parts):
            image, text = (self._load(part) for part in parts)
        else:
            image = text = self._load(self._folder)
        if "image" not in image.modalities or "text" not in text.modalities:
            raise Unsupported(f"{self._name} does not encode both pictures and texts; choose a CLIP-style model.")
        return Towers(image, text)

    def _load(self, folder: str) -> Any:
        try:
            load = silenced("sentence_transformers").SentenceTransformer
            logging = silenced("transformers.utils.logging")
        except ImportError as error:
            raise _not_installed() from error
        device = self._device.name
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            # Never from a network: what is missing is told, not fetched.
            with loading(), self._device.within_memory():
                return load(
                    folder, device=device, trust_remote_code=self._trust_remote_code, local_files_only=True
                ).eval()
        except Unavailable:
            raise
        except Exception as error:
            wants_trust = "trust_remote_code" in str(error)
            raise Unsupported(
                f"{self._name} cannot be loaded as a sentence-transformers model ({_first_line(error)})",
                Remedy("models.trust" if wants_trust else "models.choose"),
            ) from error

    @found_out_once
    def _tokenizer(self) -> Any | None:
        return self.towers.tokenizer

    @property
    def longest_text(self) -> int:
        """How many tokens of a text the model takes, those that stand for its beginning and end among them."""
        return self.towers.longest_text


@dataclass(frozen=True)
class Towers:
    """The SentenceTransformer that encodes pictures and that which encodes texts; most often they are one."""

    image: Any
    text: Any

    def of(self, modality: Modality) -> Any:
        return self.image if modality == "image" else self.text

    @property
    def tokenizer(self) -> Any | None:
        """That of the text tower, if it is a fast one: only those tell where in the text a token lies."""
        tokenizer = getattr(self.text, "tokenizer", None)
        tokenizer = getattr(tokenizer, "tokenizer", tokenizer)  # a processor holds its tokenizer
        return tokenizer if getattr(tokenizer, "is_fast", False) else None

    @property
    def is_siglip(self) -> bool:
        """Whether texts have to be lower-case and padded to one length, as it has seen them in its training."""
        config = getattr(getattr(self.text[0], "model", None), "config", None)
        return str(getattr(config, "model_type", "")).startswith("siglip")

    @property
    def crops(self) -> bool:
        """Whether of a picture that is no square the model sees the central one alone."""
        prepares = getattr(getattr(self.image[0], "processor", None), "image_processor", None)
        return bool(getattr(prepares, "do_center_crop", False))

    @property
    def longest_text(self) -> int:
        longest = int(getattr(self.text, "max_seq_length", None) or 77)
        if self.is_siglip:
            longest = int(self.text[0].model.config.text_config.max_position_embeddings)
        return min(longest, LONGEST_TEXT)

    @property
    def text_options(self) -> dict[str, Any]:
        """What texts are prepared with beyond what the model says itself."""
        if not self.is_siglip:
            return {}
        padded = {"padding": "max_length", "max_length": self.longest_text, "truncation": True}
        return {"processing_kwargs": {"text": padded}}


class _FastTokens:
    """A transformers tokenizer as `token_windows` wants it."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, text: str, /) -> Any:
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return encoded.encodings[0]


def _image_side(tower: Any) -> int:
    """The side in pixels to which the tower's own preprocessing brings pictures."""
    prepares = getattr(getattr(tower[0], "processor", None), "image_processor", None)
    sizes = {**dict(getattr(prepares, "crop_size", None) or {}), **dict(getattr(prepares, "size", None) or {})}
    sides = [value for key, value in sizes.items() if key in ("height", "width", "shortest_edge") and value]
    return int(max(sides, default=USUAL_SIDE))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _not_installed() -> Unsupported:
    return Unsupported(
        "Models other than mmsearch-mini need torch and sentence-transformers", Remedy("extra.them", "clip")
    )


def _open(model: ModelFolder) -> SentenceTransformersEncoder:
    return SentenceTransformersEncoder(model.folder, model.name, model.device, model.trust_remote_code)


# The last one that is asked: what sentence-transformers cannot load, it says itself.
FAMILY = Family(takes=lambda folder: True, open=_open)
