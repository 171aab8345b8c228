"""Dual encoders in a folder of their own, run by onnxruntime: neither torch nor a network is needed.

The folder holds `model.json`, one ONNX graph a tower and the tokenizer. The image graph takes `pixels`, uint8
[n, side, side, 3], the text graph `input_ids` and `attention_mask`, int64 [n, length]; both give unit rows, float32
[n, dimension]. The built-in model is such a folder, and `mmsearch models optimise` makes others.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsearch.encoding.calibration import from_json
from mmsearch.encoding.crops import encoded_with_ends
from mmsearch.encoding.description import DESCRIPTION, read_description
from mmsearch.encoding.optimised_graph import load_optimised
from mmsearch.encoding.protocol import Family, ModelFolder
from mmsearch.encoding.query_bank import QueryBank, unpacked
from mmsearch.encoding.runtime import silenced
from mmsearch.encoding.token_windows import token_windows
from mmsearch.encoding.verifying import known_sha256
from mmsearch.errors import Damaged, Remedy
from mmsearch.records import Calibration, FloatMatrix, Modality, ModelIdentity, TextSpan

if TYPE_CHECKING:
    from PIL.Image import Image
    from tokenizers import Tokenizer

    from mmsearch.encoding.region_tower import RegionTower
    from mmsearch.encoding.regions import RegionGrid

IMAGE_BATCH = 8
# Entries of the description that say nothing of how vectors are made.
_BESIDE_VECTORS = ("calibration", "query_bank", "noise")


class OnnxEncoder:
    """The dual encoder in `folder`.

    Both towers are loaded when first used and keep to one thread a call: callers that want more cores call from
    several threads. `name` is what the model is called where it is not what its description says; `remedy` is
    what helps where the folder is damaged; `keep_graph` keeps the text graph in the user's cache as it loads fastest.
    """

    def __init__(
        self, folder: str, name: str | None = None, remedy: Remedy | None = None, keep_graph: bool = True
    ) -> None:
        self._folder = folder
        self._keep_graph = keep_graph
        self._name = name
        self._remedy = remedy
        self._loading = threading.Lock()
        self._sessions: dict[Modality, Any] = {}
        try:
            self._description = read_description(folder)
        except (OSError, ValueError) as error:
            raise Damaged(f"The model in {folder} is not readable ({error})", remedy) from error

    @cached_property
    def identity(self) -> ModelIdentity:
        import xxhash

        described = json.dumps(
            {key: value for key, value in self._description.items() if key not in _BESIDE_VECTORS}, sort_keys=True
        )
        return ModelIdentity(
            name=self._name or self._description["name"],
            revision=self._description["revision"],
            dimension=int(self._description["dimension"]),
            fingerprint=xxhash.xxh3_128_hexdigest(described.encode()),
        )

    @property
    def hearing(self) -> None:
        return None

    @property
    def image_side(self) -> int:
        return int(self._description["image"]["side"])

    @property
    def pictures_at_once(self) -> int:
        return IMAGE_BATCH

    @cached_property
    def calibration(self) -> Calibration | None:
        known = self._description.get("calibration")
        return None if known is None else from_json(known)

    @cached_property
    def query_bank(self) -> QueryBank | None:
        described = self._description.get("query_bank")
        if described is None:
            return None
        return QueryBank(self._packed_vectors(described), described["sharpness"], described["centre"])

    @cached_property
    def noise(self) -> FloatMatrix | None:
        described = self._description.get("noise")
        return None if described is None else self._packed_vectors(described)

    def _packed_vectors(self, described: Mapping[str, Any]) -> FloatMatrix:
        path = self._checked(described["file"], described["sha256"])
        try:
            with open(path, "rb") as file:
                return unpacked(file.read(), self.identity.dimension)
        except (OSError, ValueError) as error:
            raise Damaged(f"The model file {path} cannot be loaded", self._remedy) from error

    @property
    def modalities(self) -> frozenset[Modality]:
        return frozenset({"image", "text"})

    def encode(self, modality: Modality, payloads: Sequence[Any]) -> FloatMatrix:
        return self._encode_images(payloads) if modality == "image" else self._encode_texts(payloads)

    def _encode_images(self, pictures: Sequence[Image]) -> FloatMatrix:
        """Panoramas by their end squares as well, where the description says from which length on."""
        ends_from = self._description["image"].get("ends_from")
        if ends_from is None:
            return self._encode_views(pictures)
        return encoded_with_ends(self._encode_views, pictures, ends_from, IMAGE_BATCH)

    def _encode_views(self, pictures: Sequence[Image]) -> FloatMatrix:
        rows = np.empty((len(pictures), self.identity.dimension), np.float32)
        size = int(self._description["image"].get("batch", IMAGE_BATCH))
        for start in range(0, len(pictures), size):
            batch = pictures[start : start + size]
            pixels = np.stack([self._square(picture) for picture in batch])
            rows[start : start + len(batch)] = self._session("image").run(None, {"pixels": pixels})[0]
        return rows

    def _encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        # One at a time: there is nothing to pad, and a text's vector is the same to the last bit in any company.
        rows = np.empty((len(texts), self.identity.dimension), np.float32)
        described, session = self._description["text"], self._session("text")
        window, padded = int(described["window"]), int(described.get("padded_to", 0))
        inputs = [one.name for one in session.get_inputs()]
        for row, text in enumerate(texts):
            ids = self._tokenizer.encode(text.lower() if described.get("lower") else text).ids
            if len(ids) > window:
                ids = [*ids[: window - 1], ids[-1]]
            missing = max(0, padded - len(ids))
            feeds = {
                "input_ids": np.array([ids + [int(described["pad_id"])] * missing], np.int64),
                # A model that has only ever seen texts of one length has looked at what fills them up, too.
                "attention_mask": np.array([[1] * len(ids) + [int(padded > 0)] * missing], np.int64),
            }
            rows[row] = session.run(None, {name: feeds[name] for name in inputs})[0][0]
        return rows

    def regions(self, picture: Image) -> RegionGrid | None:
        tower = self._region_tower
        if tower is None:
            return None
        return tower.regions(picture, self._description["image"]["fit"] == "squash", self._square)

    def windows(self, text: str) -> list[TextSpan]:
        tokenizer, described = self._tokenizer, self._description["text"]
        return token_windows(
            text,
            lambda stretch: tokenizer.encode(stretch, add_special_tokens=False),
            size=int(described["window"]) - 2,  # what stands for its beginning and its end
            overlap=int(described["overlap"]),
        )

    def _square(self, picture: Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
        from PIL import Image as PILImage

        side, described = self.image_side, self._description["image"]
        rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
        filtered = PILImage.Resampling[described.get("resampling", "bicubic").upper()]
        if described["fit"] == "squash":
            # The whole picture, its aspect given up: people's photos matter to their edges.
            return np.asarray(rgb.resize((side, side), filtered))
        width, height = rgb.size
        shorter = min(width, height)
        wide, high = int(width * side / shorter), int(height * side / shorter)
        left, top = (wide - side) // 2, (high - side) // 2
        return np.asarray(rgb.resize((wide, high), filtered).crop((left, top, left + side, top + side)))

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        path = self._verified(self._description["text"]["tokenizer"])
        try:
            tokenizer = Tokenizer.from_file(path)
        except Exception as error:  # of no kind of its own
            raise Damaged(f"The model file {path} cannot be loaded", self._remedy) from error
        if self._description["text"]["pad_id"] >= tokenizer.get_vocab_size():
            raise Damaged(f"The model file {path} does not have the pad_id of {DESCRIPTION}", self._remedy)
        return tokenizer

    def _verified(self, name: str) -> str:
        """The path of that file of the model, which is the one that the description tells of: so the fingerprint, which
        covers the description, covers the weights too.
        """
        return self._checked(name, self._description.get("sha256", {}).get(name))

    def _checked(self, name: str, expected: str | None) -> str:
        """The path of that file of the model, of that SHA-256."""
        path = os.path.join(self._folder, name)
        try:
            is_it = expected is None or known_sha256(path) == expected
        except OSError as error:
            raise Damaged(f"The model file {path} cannot be loaded ({error.strerror})", self._remedy) from error
        if not is_it:
            raise Damaged(f"The model file {path} is not the one that {DESCRIPTION} beside it tells of", self._remedy)
        return path

    @cached_property
    def _region_tower(self) -> RegionTower | None:
        """The image tower cut in two, where its graph can be."""
        from mmsearch.encoding.region_tower import RegionTower
        from mmsearch.encoding.split_graph import split_at_pooling

        onnxruntime = silenced("onnxruntime")

        def opened(graph: bytes) -> Any:
            return onnxruntime.InferenceSession(graph, _options(onnxruntime), providers=["CPUExecutionProvider"])

        with open(self._verified(self._description["image"]["file"]), "rb") as file:
            split = split_at_pooling(file.read())
        try:
            return None if split is None else RegionTower(split, opened)
        except Exception:  # of onnxruntime's own kinds: there are graphs that do not run in halves
            return None

    def _session(self, tower: Modality) -> Any:
        with self._loading:
            if tower not in self._sessions:
                self._sessions[tower] = self._load(tower)
            return self._sessions[tower]

    def _load(self, tower: Modality) -> Any:
        onnxruntime = silenced("onnxruntime")
        path = self._verified(self._description[tower]["file"])
        try:
            session = self._load_graph(onnxruntime, tower, path)
        except Exception as error:
            raise Damaged(f"The model file {path} cannot be loaded", self._remedy) from error
        self._check_graph(session, tower, path)
        return session

    def _load_graph(self, onnxruntime: Any, tower: Modality, path: str) -> Any:
        options = _options(onnxruntime)
        if tower == "text":
            # The last level, layouts for this very processor, takes longer than it saves a single query.
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
            if self._keep_graph:
                return load_optimised(path, known_sha256(path), options)
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def _check_graph(self, session: Any, tower: Modality, path: str) -> None:
        """Raises Damaged where the graph takes or gives something else than what it is described to."""
        side, dimension = self.image_side, self.identity.dimension
        taken = {one.name: one.shape for one in session.get_inputs()}
        given = session.get_outputs()[0].shape
        if tower == "image":
            fits = set(taken) == {"pixels"} and _agree(taken["pixels"][1:], [side, side, 3])
        else:
            fits = "input_ids" in taken and set(taken) <= {"input_ids", "attention_mask"}
        if not fits or not _agree(given[-1:], [dimension]):
            raise Damaged(f"The model file {path} is not what its {DESCRIPTION} describes", self._remedy)


def _options(onnxruntime: Any) -> Any:
    """Those of a session that keeps to one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def _agree(found: Sequence[Any], expected: Sequence[int]) -> bool:
    """Whether the lengths that a graph declares are these; those that it leaves open have a name, or none."""
    return len(found) == len(expected) and all(
        not isinstance(one, int) or one == wanted for one, wanted in zip(found, expected, strict=True)
    )


def _is_ours(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, DESCRIPTION))


def _open(model: ModelFolder) -> OnnxEncoder:
    return OnnxEncoder(model.folder, model.name, Remedy("models.optimise"))


FAMILY = Family(takes=_is_ours, open=_open, is_for_processors=True)
