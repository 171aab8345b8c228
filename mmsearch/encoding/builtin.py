"""`mmsearch-mini`, the model that ships in the package, run by onnxruntime. Needs neither torch nor a network."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsearch.calibration import from_json
from mmsearch.encoding import Calibration, FloatMatrix, ModelIdentity
from mmsearch.encoding.optimised_graph import load_optimised
from mmsearch.encoding.token_windows import token_windows
from mmsearch.errors import MmsearchError
from mmsearch.items import Modality, TextSpan

if TYPE_CHECKING:
    from PIL.Image import Image
    from tokenizers import Tokenizer

MODEL_FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "models", "builtin")
IMAGE_BATCH = 8


class BuiltinEncoder:
    """The dual encoder in `mmsearch/models/builtin`; its MODEL_CARD.md says what it is made of.

    Both towers are loaded when first used and keep to one thread a call: callers that want more cores call from
    several threads.
    """

    def __init__(self, folder: str = MODEL_FOLDER) -> None:
        self._folder = folder
        self._loading = threading.Lock()
        self._sessions: dict[Modality, Any] = {}
        try:
            with open(os.path.join(folder, "model.json"), encoding="utf-8") as file:
                self._description: dict[str, Any] = json.load(file)
        except (OSError, ValueError) as error:
            raise MmsearchError(
                f"The built-in model in {folder} is not readable ({error}); install mmsearch again."
            ) from error

    @cached_property
    def identity(self) -> ModelIdentity:
        import xxhash

        described = json.dumps(
            {key: value for key, value in self._description.items() if key != "calibration"}, sort_keys=True
        )
        return ModelIdentity(
            name=self._description["name"],
            revision=self._description["revision"],
            dimension=int(self._description["dimension"]),
            fingerprint=xxhash.xxh3_128_hexdigest(described.encode()),
        )

    @property
    def image_side(self) -> int:
        return int(self._description["image"]["side"])

    @cached_property
    def calibration(self) -> Calibration:
        return from_json(self._description["calibration"])

    def encode_images(self, pictures: Sequence[Image]) -> FloatMatrix:
        rows = np.empty((len(pictures), self.identity.dimension), np.float32)
        for start in range(0, len(pictures), IMAGE_BATCH):
            batch = pictures[start : start + IMAGE_BATCH]
            pixels = np.stack([self._square(picture) for picture in batch])
            rows[start : start + len(batch)] = self._session("image").run(None, {"pixels": pixels})[0]
        return rows

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        # One at a time: there is nothing to pad, and a text's vector is the same to the last bit in any company.
        rows = np.empty((len(texts), self.identity.dimension), np.float32)
        window, session = int(self._description["text"]["window"]), self._session("text")
        for row, text in enumerate(texts):
            ids = self._tokenizer.encode(text).ids
            if len(ids) > window:
                ids = [*ids[: window - 1], ids[-1]]
            input_ids = np.array([ids], np.int64)
            feeds = {"input_ids": input_ids, "attention_mask": np.ones_like(input_ids)}
            rows[row] = session.run(None, feeds)[0][0]
        return rows

    def windows(self, text: str) -> list[TextSpan]:
        tokenizer, described = self._tokenizer, self._description["text"]
        return token_windows(
            text,
            lambda stretch: tokenizer.encode(stretch, add_special_tokens=False),
            size=int(described["window"]) - 2,  # [CLS] and [SEP]
            overlap=int(described["overlap"]),
        )

    def _square(self, picture: Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
        from PIL import Image as PILImage

        # The whole picture, its aspect given up: people's photos matter to their edges.
        side = self.image_side
        rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
        return np.asarray(rgb.resize((side, side), PILImage.Resampling.BICUBIC))

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        return Tokenizer.from_file(os.path.join(self._folder, self._description["text"]["tokenizer"]))

    def _session(self, tower: Modality) -> Any:
        with self._loading:
            if tower not in self._sessions:
                self._sessions[tower] = self._load(tower)
            return self._sessions[tower]

    def _load(self, tower: Modality) -> Any:
        import onnxruntime

        name = self._description[tower]["file"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        path = os.path.join(self._folder, name)
        try:
            if tower == "text":
                # The last level, layouts for this very processor, takes longer than it saves a single query.
                options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
                return load_optimised(path, self._description["sha256"][name], options)
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise MmsearchError(f"The model file {path} cannot be loaded; install mmsearch again.") from error
