"""Which text a photo is shown with in a training step.

A photo with captions keeps one of its own most of the time, a photo with a label alone its class name two times of
three; otherwise a human caption of another photo stands in: one of the nearest under the current model (pseudo-labels
as in Lee, 2013; noisy-student rounds as in Xie et al., 2020).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from recipe.data import SHARES, Photo


@dataclass(frozen=True)
class PairingConfig:
    """How often a photo keeps its own text, by the kind of text: the weights of the kinds that it has are compared.

    ``bank`` is the weight of a human caption of another photo, once there are some, ``repeats`` how often a photo with
    human captions of its own is drawn in an epoch.
    """

    human: float = 0.4
    sentence: float = 0.3
    query: float = 0.3
    prompt: float = 0.3
    bank: float = 0.15
    repeats: int = 2
    candidates: int = 15


@dataclass(frozen=True)
class TextVectors:
    """Unit vectors of the unchanged text tower, float32 [m, 384], and where a photo's own texts are, by kind."""

    vectors: Tensor
    rows: dict[str, dict[int, list[int]]]

    def of(self, kind: str, photos: Sequence[int]) -> Tensor:
        """The vector of the first text of a kind of each photo, float32 [n, 384]."""
        return self.vectors[[self.rows[kind][index][0] for index in photos]]


@dataclass(frozen=True)
class PseudoCaptions:
    """For each photo the rows of nearby bank captions, int64 [photos, k], and their weights."""

    rows: Tensor
    weights: Tensor


def own_texts(photos: Sequence[Photo]) -> tuple[list[str], dict[str, dict[int, list[int]]]]:
    """All distinct texts of photos, and by kind the places of each photo's own."""
    ids: dict[str, int] = {}
    rows: dict[str, dict[int, list[int]]] = {kind: {} for kind in ("human", "sentence", "query", "prompt")}
    for index, photo in enumerate(photos):
        of_kind = {
            "human": photo.captions,
            "sentence": photo.by_eye[:1],
            "query": photo.by_eye[1:],
            "prompt": photo.prompts,
        }
        for kind, texts in of_kind.items():
            if texts:
                rows[kind][index] = [ids.setdefault(text, len(ids)) for text in texts]
    return list(ids), rows


@torch.no_grad()
def find_pseudo_captions(image: Tensor, texts: Tensor, scale: float, candidates: int) -> PseudoCaptions:
    """The captions of the bank nearest each photo.

    Args:
        image, texts: joint unit vectors float32 [photos, d] and [m, d], those of several models being best.
        scale: inverse temperature of the weights.
    """
    rows, weights = [], []
    for start in range(0, len(image), 512):
        near = (image[start : start + 512] @ texts.T).topk(candidates, -1)
        rows.append(near.indices)
        weights.append(F.softmax(scale * near.values, dim=-1))
    return PseudoCaptions(torch.cat(rows), torch.cat(weights))


@dataclass(frozen=True)
class OwnAndBank:
    """The photos' own texts, and unit vectors of human captions of other photos, float32 [m, 384]."""

    own: TextVectors
    bank: Tensor


class Pairing:
    """Draws (photo index, text vector) pairs."""

    def __init__(
        self,
        photos: Sequence[Photo],
        train: Sequence[int],
        texts: OwnAndBank,
        pseudo: PseudoCaptions | None,
        config: PairingConfig,
        seed: int,
    ) -> None:
        self.own, self.bank, self.pseudo, self.config = texts.own, texts.bank, pseudo, config
        self.vectors = torch.cat([texts.own.vectors, texts.bank])
        self.draw = random.Random(seed)
        self.shares: dict[int, float] = {}
        for index in train:
            share = self._share(photos[index], index)
            if share:
                self.shares[index] = share

    def _share(self, photo: Photo, index: int) -> float:
        """How often a photo is drawn in an epoch."""
        kinds = {kind for kind, of_kind in self.own.rows.items() if index in of_kind}
        if not kinds:
            return 0.0
        return SHARES.get(photo.source, self.config.repeats if kinds >= {"human", "sentence"} else 1.0)

    def text(self, index: int) -> Tensor:
        """The vector of a text for one photo, float32 [384]."""
        return self.vectors[self.pick(index)]

    def pick(self, index: int) -> int:
        """A text for one photo, as a row of ``vectors``: the photos' own texts, then those of the bank."""
        weights = {kind: getattr(self.config, kind) for kind, of_kind in self.own.rows.items() if index in of_kind}
        if self.pseudo is not None:
            weights["bank"] = self.config.bank
        (kind,) = self.draw.choices(list(weights), list(weights.values()))
        if kind != "bank":
            return self.draw.choice(self.own.rows[kind][index])
        assert self.pseudo is not None
        pick = self.draw.choices(range(self.pseudo.rows.shape[1]), self.pseudo.weights[index].tolist())[0]
        return len(self.own.vectors) + int(self.pseudo.rows[index, pick])

    def steps(self, batch: int) -> int:
        """How many batches an epoch has at most."""
        return int(sum(self.shares.values())) // batch

    def epoch(self, batch: int) -> list[list[int]]:
        """Shuffled batches of photo indices, each photo as often as its share says, by chance where that is broken."""
        pool: list[int] = []
        for index, share in self.shares.items():
            times = int(share) + (self.draw.random() < share % 1)
            pool += [index] * times
        self.draw.shuffle(pool)
        count = min(self.steps(batch), len(pool) // batch)
        return [pool[k * batch : (k + 1) * batch] for k in range(count)]
