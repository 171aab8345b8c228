"""What an encoder is, and what a family of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mmsearch.records import Calibration, FloatMatrix, Hearing, Modality, ModelIdentity, TextSpan

if TYPE_CHECKING:
    from mmsearch.encoding.devices import DeviceName
    from mmsearch.encoding.query_bank import QueryBank


class Encoder(Protocol):
    """A model that brings parts of some modalities, and queries, into one space.

    Its methods may be called from several threads at once.
    """

    @property
    def identity(self) -> ModelIdentity:
        """Known without loading the weights wherever the family allows it."""

    @property
    def modalities(self) -> frozenset[Modality]:
        """What it encodes."""

    @property
    def hearing(self) -> Hearing | None:
        """In what form it takes sound, for a model of sound: of files it encodes sound alone, and texts only of
        queries. None for a model that sees and reads.
        """

    @property
    def image_side(self) -> int:
        """The side in pixels to which pictures are brought; a scaled decode need not keep more than twice that.

        0 for a model of sound.
        """

    @property
    def pictures_at_once(self) -> int:
        """How many pictures, or stretches of sound, it likes to be given in one call."""

    @property
    def calibration(self) -> Calibration | None:
        """The model's own calibration, or None where it has to be read off a library's vectors."""

    @property
    def query_bank(self) -> QueryBank | None:
        """The query bank that comes with the model, or None where its texts are to be encoded."""

    @property
    def noise(self) -> FloatMatrix | None:
        """Vectors of `noise_queries` that come with the model, float32 [q, dimension], or None where they are to be
        encoded.
        """

    def encode(self, modality: Modality, payloads: Sequence[Any]) -> FloatMatrix:
        """Unit rows, float32 [len(payloads), dimension], in order, of parts of one of its modalities.

        The payloads of `image` are RGB pictures of any size; those of `text` are texts, of which is left out what
        exceeds the window; those of `audio` are of the form `hearing`, and no longer than its windows.
        """

    def windows(self, text: str) -> list[TextSpan]:
        """Overlapping stretches of `text`, each within the model's window, that cover all of its words."""


def modalities_of_items(encoder: Encoder) -> frozenset[Modality]:
    """Of what parts of files it makes items: a model of sound, which knows of texts how they sound, of sound alone."""
    return encoder.modalities if encoder.hearing is None else frozenset({"audio"})


def text_vectors(texts: Sequence[str], encoder: Encoder) -> FloatMatrix:
    """Unit rows, float32 [len(texts), dimension], of texts of any length: the means of those of their stretches."""
    stretches = [[text[one.start : one.end] for one in encoder.windows(text)] or [text] for text in texts]
    encoded = encoder.encode("text", [stretch for of_text in stretches for stretch in of_text])
    ends = np.cumsum([len(of_text) for of_text in stretches])
    rows = np.stack([part.mean(axis=0) for part in np.split(encoded, ends[:-1])])
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


@dataclass(frozen=True)
class ModelFolder:
    """A folder that holds a model, and how it is to be opened: what the model is called, and where it computes.

    `trust_remote_code` lets it run Python code that it brings along.
    """

    folder: str
    name: str
    device: DeviceName = "auto"
    trust_remote_code: bool = False


@dataclass(frozen=True)
class Family:
    """A family of models: which folders it `takes`, how it opens one, and whether only processors run it."""

    takes: Callable[[str], bool]
    open: Callable[[ModelFolder], Encoder]
    is_for_processors: bool = False
