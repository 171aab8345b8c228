"""Adapters: small learned maps on top of a model, made from a person's own captioned or labelled photos.

An adapter moves the vectors of a model within their space: y = x + (x · down) · up, brought back to unit length, with
maps of its own for pictures and for texts. It is a residual branch of low rank (Houlsby et al., "Parameter-Efficient
Transfer Learning for NLP", 2019; Hu et al., "LoRA", 2021), as CLIP-Adapter puts one behind CLIP (Gao et al., 2021).
Stored vectors are projected; no file is encoded again.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from mmsearch.encoding.calibration import as_json, from_json
from mmsearch.encoding.protocol import Encoder
from mmsearch.encoding.regions import RegionGrid, regions_of
from mmsearch.errors import Invalid
from mmsearch.records import Calibration, FloatMatrix, Hearing, Modality, ModelIdentity, TextSpan

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmsearch.encoding.query_bank import QueryBank

NO_ADAPTER = "none"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def check_adapter_name(name: str) -> None:
    """Raises Invalid where an adapter cannot be called so."""
    if not _NAME.fullmatch(name) or name in (NO_ADAPTER, "fusion"):
        raise Invalid(
            f"An adapter cannot be called {name!r}; use letters, digits, dots, dashes and underscores, and not none or "
            "fusion."
        )


@dataclass(frozen=True)
class LowRankMap:
    """A residual map of vectors: `down` float32 [dimension, rank], `up` float32 [rank, dimension]."""

    down: FloatMatrix
    up: FloatMatrix

    def __call__(self, vectors: npt.NDArray[Any]) -> FloatMatrix:
        """Unit vectors, float32 [n, dimension], of unit vectors [n, dimension] of any float type."""
        moved = vectors.astype(np.float32)
        moved += (moved @ self.down) @ self.up
        moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
        return moved

    def before(self, moved: FloatMatrix) -> FloatMatrix:
        """The unit vector, float32 [dimension], to which vectors are about as near as they are to `moved` once they are
        moved. It does not know that moved vectors are brought back to unit length.
        """
        vector = moved + self.down @ (self.up @ moved)
        return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


@dataclass(frozen=True)
class Adapter:
    """A named and numbered adapter for the model of that fingerprint; `calibration` holds for the moved vectors.

    Vectors of a modality without a map stay as they are.
    """

    name: str
    version: int
    model_fingerprint: str
    maps: Mapping[Modality, LowRankMap]
    calibration: Calibration

    @property
    def label(self) -> str:
        """The name and version as they are shown, for example `pets@2`."""
        return f"{self.name}@{self.version}"

    def identity(self, model: ModelIdentity) -> ModelIdentity:
        """Who makes the moved vectors: the model with this adapter, under a fingerprint that covers both."""
        return replace(model, fingerprint=self._fingerprint, adapter=self.label)

    @cached_property
    def _fingerprint(self) -> str:
        import xxhash

        digest = xxhash.xxh3_128(f"{self.model_fingerprint}\n".encode())
        for modality in sorted(self.maps):
            digest.update(self.maps[modality].down.astype("<f4").tobytes())
            digest.update(self.maps[modality].up.astype("<f4").tobytes())
        return digest.hexdigest()

    def moved(self, modality: Modality, vectors: npt.NDArray[Any]) -> FloatMatrix:
        """Unit vectors, float32 [n, dimension], of unit vectors [n, dimension] that the model made."""
        own_map = self.maps.get(modality)
        return vectors.astype(np.float32) if own_map is None else own_map(vectors)

    def before(self, modality: Modality, moved: FloatMatrix) -> FloatMatrix:
        """Near to what the model's vectors lie that are near to `moved` once they are moved: float32 [dimension]."""
        own_map = self.maps.get(modality)
        return moved if own_map is None else own_map.before(moved)

    def moved_bank(self, bank: QueryBank) -> QueryBank:
        """The query bank for moved pictures."""
        return replace(bank, vectors=self.moved("text", bank.vectors))

    def to_bytes(self) -> bytes:
        """The maps and the calibration as one file in numpy's npz form."""
        described = json.dumps(as_json(self.calibration))
        arrays: dict[str, npt.NDArray[Any]] = {"calibration": np.frombuffer(described.encode(), np.uint8)}
        for modality in sorted(self.maps):
            arrays[f"{modality}-down"] = self.maps[modality].down.astype(np.float32)
            arrays[f"{modality}-up"] = self.maps[modality].up.astype(np.float32)
        file = io.BytesIO()
        np.savez(file, **cast("Any", arrays))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, name: str, version: int, model_fingerprint: str, stored: bytes) -> Adapter:
        """What `to_bytes` made."""
        with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
            names = [name.removesuffix("-down") for name in arrays.files if name.endswith("-down")]
            maps = {one: LowRankMap(arrays[f"{one}-down"], arrays[f"{one}-up"]) for one in names}
            calibration = from_json(json.loads(arrays["calibration"].tobytes()))
        return cls(name, version, model_fingerprint, maps, calibration)


class AdaptedEncoder:
    """An encoder whose vectors go through an adapter."""

    def __init__(self, encoder: Encoder, adapter: Adapter) -> None:
        self._encoder = encoder
        self._adapter = adapter

    @cached_property
    def identity(self) -> ModelIdentity:
        return self._adapter.identity(self._encoder.identity)

    @property
    def hearing(self) -> Hearing | None:
        return self._encoder.hearing

    @property
    def image_side(self) -> int:
        return self._encoder.image_side

    @property
    def pictures_at_once(self) -> int:
        return self._encoder.pictures_at_once

    @property
    def calibration(self) -> Calibration:
        return self._adapter.calibration

    @cached_property
    def query_bank(self) -> QueryBank | None:
        bank = self._encoder.query_bank
        return None if bank is None else self._adapter.moved_bank(bank)

    @cached_property
    def noise(self) -> FloatMatrix | None:
        noise = self._encoder.noise
        return None if noise is None else self._adapter.moved("text", noise)

    @property
    def modalities(self) -> frozenset[Modality]:
        return self._encoder.modalities

    def encode(self, modality: Modality, payloads: Sequence[Any]) -> FloatMatrix:
        return self._adapter.moved(modality, self._encoder.encode(modality, payloads))

    def regions(self, picture: Image) -> RegionGrid | None:
        grid = regions_of(self._encoder, picture)
        if grid is None:
            return None
        shape = grid.vectors.shape
        moved = self._adapter.moved("image", grid.vectors.reshape(-1, shape[-1]))
        return grid._replace(vectors=moved.reshape(shape))

    def windows(self, text: str) -> list[TextSpan]:
        return self._encoder.windows(text)
