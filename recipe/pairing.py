"""Which text a photo is shown with in a training step.

A photo with human captions keeps them most of the time, a labelled photo its class name half the time;
otherwise, and for photos with no text at all, a human caption of another photo stands in: one of the nearest
under the current model (pseudo-labels as in Lee, 2013; noisy-student rounds as in Xie et al., 2020).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from recipe.data import Photo
from recipe.joint import TextHead


@dataclass(frozen=True)
class PairingConfig:
    """How often each kind of photo is drawn per epoch, and how often it keeps its own text."""

    captioned_repeats: int = 3
    labelled_repeats: int = 1
    plain_repeats: int = 1
    keep_caption: float = 0.8
    keep_label: float = 0.5
    candidates: int = 15


@dataclass(frozen=True)
class TextVectors:
    """Unit vectors of the unchanged text tower, float32 [m, 384], and where a photo's own texts are."""

    vectors: Tensor
    captions: dict[int, list[int]]
    prompts: dict[int, list[int]]


@dataclass(frozen=True)
class PseudoCaptions:
    """For each photo the rows of nearby bank captions, int64 [photos, k], and their weights."""

    rows: Tensor
    weights: Tensor


def own_texts(photos: Sequence[Photo]) -> tuple[list[str], dict[int, list[int]], dict[int, list[int]]]:
    """All distinct captions and prompts, and per photo the indices of its own."""
    ids: dict[str, int] = {}
    captions = {i: [ids.setdefault(t, len(ids)) for t in p.captions] for i, p in enumerate(photos) if p.captions}
    prompts = {i: [ids.setdefault(t, len(ids)) for t in p.prompts] for i, p in enumerate(photos) if p.prompts}
    return list(ids), captions, prompts


@torch.no_grad()
def find_pseudo_captions(image: Tensor, head: TextHead, bank: Tensor, scale: float, candidates: int) -> PseudoCaptions:
    """The captions of the bank nearest each photo.

    Args:
        image: joint unit vectors float32 [photos, d], the mean of several models' being best.
        bank: unit vectors of the unchanged text tower, float32 [m, d].
        scale: inverse temperature of the weights.
    """
    texts = head(bank).bfloat16()
    rows, weights = [], []
    for start in range(0, len(image), 512):
        near = (image[start : start + 512].bfloat16() @ texts.T).float().topk(candidates, -1)
        rows.append(near.indices)
        weights.append(F.softmax(scale * near.values, dim=-1))
    return PseudoCaptions(torch.cat(rows), torch.cat(weights))


class Pairing:
    """Draws (photo index, text vector) pairs."""

    def __init__(
        self,
        train: Sequence[int],
        own: TextVectors,
        bank: Tensor,
        pseudo: PseudoCaptions | None,
        config: PairingConfig,
        seed: int,
    ) -> None:
        self.own, self.bank, self.pseudo, self.config = own, bank, pseudo, config
        self.vectors = torch.cat([own.vectors, bank])
        self.draw = random.Random(seed)
        self.pool: list[int] = []
        for index in train:
            if index in own.captions:
                self.pool += [index] * config.captioned_repeats
            elif index in own.prompts:
                self.pool += [index] * config.labelled_repeats
            elif pseudo is not None:
                self.pool += [index] * config.plain_repeats

    def text(self, index: int) -> Tensor:
        """The vector of a text for one photo, float32 [384]."""
        return self.vectors[self.pick(index)]

    def pick(self, index: int) -> int:
        """A text for one photo, as a row of ``vectors``: the photos' own texts, then those of the bank."""
        captions, prompts = self.own.captions.get(index), self.own.prompts.get(index)
        if captions and (self.pseudo is None or self.draw.random() < self.config.keep_caption):
            return self.draw.choice(captions)
        if prompts and (self.pseudo is None or self.draw.random() < self.config.keep_label):
            return self.draw.choice(prompts)
        assert self.pseudo is not None
        pick = self.draw.choices(range(self.pseudo.rows.shape[1]), self.pseudo.weights[index].tolist())[0]
        return len(self.own.vectors) + int(self.pseudo.rows[index, pick])

    def epoch(self, batch: int) -> list[list[int]]:
        """Shuffled batches of photo indices; the incomplete last one is left out."""
        self.draw.shuffle(self.pool)
        return [self.pool[s : s + batch] for s in range(0, len(self.pool) - batch + 1, batch)]
