"""CLIP-style models that sentence-transformers can load, from a hub name or a local folder, run by torch."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsearch.encoding import Calibration, FloatMatrix, ModelIdentity
from mmsearch.encoding.token_windows import token_windows
from mmsearch.errors import MmsearchError
from mmsearch.items import TextSpan

if TYPE_CHECKING:
    from PIL.Image import Image

# What CLIP-style models see; larger pictures are brought down by the model's own preprocessing.
USUAL_SIDE = 224
_READ_BYTES = 1 << 20


class SentenceTransformersEncoder:
    """A model with an image and a text tower in one space; needs the `clip` extra.

    torch runs on all cores by itself, so calls from several threads take turns.

    Raises:
        MmsearchError: the extra is not installed, or the model is not there or does not encode pictures and texts.
    """

    def __init__(self, model: str) -> None:
        self._name = model
        self._turn = threading.RLock()

    @cached_property
    def identity(self) -> ModelIdentity:
        import xxhash

        revision = _revision(self._folder)
        described = f"{self._name}\n{revision}\n{self._dimension}"
        return ModelIdentity(self._name, revision, self._dimension, xxhash.xxh3_128_hexdigest(described.encode()))

    @property
    def image_side(self) -> int:
        return USUAL_SIDE

    @property
    def calibration(self) -> Calibration | None:
        return None

    def encode_images(self, pictures: Sequence[Image]) -> FloatMatrix:
        # As dictionaries: a bare text that is the path of an image would be encoded as that image.
        return self._encode([{"image": picture.convert("RGB")} for picture in pictures])

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        return self._encode([{"text": text} for text in texts])

    def windows(self, text: str) -> list[TextSpan]:
        tokenizer = self._tokenizer
        if tokenizer is None:
            return [TextSpan(0, len(text))] if text.strip() else []
        size = max(8, self.longest_text - 2)
        with self._turn:  # the tokenizer keeps how it pads: it is the one that `encode` uses
            return token_windows(text, _FastTokens(tokenizer), size, overlap=size // 4)

    def _encode(self, inputs: list[dict[str, Any]]) -> FloatMatrix:
        if not inputs:
            return np.empty((0, self._dimension), np.float32)
        with self._turn:
            rows = self._model.encode(inputs, convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(rows, np.float32)

    @property
    def loaded(self) -> Any:
        """The SentenceTransformer."""
        return self._model

    @cached_property
    def _folder(self) -> str:
        """Where the model lies on this disk, downloaded first if need be."""
        if os.path.isdir(self._name):
            return self._name
        try:
            from huggingface_hub import snapshot_download
        except ImportError as error:
            raise _not_installed() from error
        repository = self._name if "/" in self._name else f"sentence-transformers/{self._name}"
        try:
            return str(snapshot_download(repository))
        except Exception as error:
            raise MmsearchError(
                f"The model {self._name} is not on this disk and cannot be downloaded ({type(error).__name__}); "
                "check the name and the network, or give a folder that holds the model."
            ) from error

    @cached_property
    def _model(self) -> Any:
        with self._turn:
            folder = self._folder
            try:
                from sentence_transformers import SentenceTransformer
                from transformers.utils import logging
            except ImportError as error:
                raise _not_installed() from error
            logging.set_verbosity_error()
            logging.disable_progress_bar()
            try:
                model = SentenceTransformer(folder)
                supported = set(model.modalities)
            except Exception as error:
                raise MmsearchError(
                    f"{self._name} cannot be loaded as a sentence-transformers model ({error}); choose another model."
                ) from error
            if not {"image", "text"} <= supported:
                raise MmsearchError(f"{self._name} does not encode both pictures and texts; choose a CLIP-style model.")
            return model

    @cached_property
    def _dimension(self) -> int:
        with self._turn:
            return int(self._model.encode([{"text": "a"}], show_progress_bar=False).shape[1])

    @cached_property
    def _tokenizer(self) -> Any | None:
        tokenizer = getattr(self._model, "tokenizer", None)
        tokenizer = getattr(tokenizer, "tokenizer", tokenizer)  # a processor holds its tokenizer
        return tokenizer if getattr(tokenizer, "is_fast", False) else None

    @cached_property
    def longest_text(self) -> int:
        """How many tokens of a text the model takes, those that stand for its beginning and end among them."""
        longest = int(getattr(self._model, "max_seq_length", None) or 77)
        return min(longest, 512)


class _FastTokens:
    """A transformers tokenizer as `token_windows` wants it."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, text: str, /) -> Any:
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return encoded.encodings[0]


def _not_installed() -> MmsearchError:
    return MmsearchError(
        "Models other than mmsearch-mini need torch and sentence-transformers; install them with "
        "`pip install 'mmsearch[clip]'`."
    )


def _revision(folder: str) -> str:
    """A digest of all files of the model: 12 hexadecimal digits."""
    import xxhash

    digest = xxhash.xxh3_128()
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(place, name)
            digest.update(os.path.relpath(path, folder).encode("utf-8", "surrogateescape"))
            with open(path, "rb") as file:
                while block := file.read(_READ_BYTES):
                    digest.update(block)
    return digest.hexdigest()[:12]
