"""Heads on frozen features, in rounds: several are fitted, and what they agree on teaches those of the next round.

An agreement of heads gives every photo without a caption its pseudo-captions, and a softer lesson besides: how
alike each photo is to thousands of captions (born-again networks, Furlanello et al., 2018; noisy students, Xie et
al., 2020).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from recipe.fitting import FitConfig, FrozenFeatures, Lessons, Teacher, fit_heads, head_vectors
from recipe.joint import ImageHead, TextHead
from recipe.pairing import Pairing, PairingConfig, PseudoCaptions, TextVectors, find_pseudo_captions


@dataclass(frozen=True)
class RoundsConfig:
    """``heads`` holds how many are fitted in each round before the last, which fits one.

    ``sharpness`` multiplies the inverse temperature of an agreement when it teaches.
    """

    heads: tuple[int, ...] = (2, 2)
    sharpness: float = 1.5


@dataclass(frozen=True)
class Heads:
    """A fitted pair of heads and its inverse temperature."""

    image: ImageHead
    text: TextHead
    scale: float


@dataclass(frozen=True)
class Agreement:
    """What the heads of a round agree on."""

    pseudo: PseudoCaptions
    teacher: Teacher


@dataclass(frozen=True)
class HeadTraining:
    """What every round shares. ``start`` and ``centre`` are the untrained heads', ``bank`` float32 [m, 384]."""

    start: ImageHead
    centre: Tensor
    frozen: FrozenFeatures
    train: Sequence[int]
    own: TextVectors
    bank: Tensor
    pairing: PairingConfig
    fit: FitConfig

    def pairs(self, agreement: Agreement | None, seed: int) -> Pairing:
        """Pairs to train on, with pseudo-captions where there are some."""
        pseudo = None if agreement is None else agreement.pseudo
        return Pairing(self.train, self.own, self.bank, pseudo, self.pairing, seed)

    def fit_one(self, agreement: Agreement | None, seed: int) -> Heads:
        """A new pair of heads, taught by an agreement if there is one."""
        torch.manual_seed(seed)
        image, text = copy.deepcopy(self.start), TextHead(self.centre)
        image.hidden.reset_parameters()
        text.centre.requires_grad_(False)
        teacher = None if agreement is None else agreement.teacher
        lessons = Lessons(self.pairs(agreement, seed), self.fit, teacher, seed, lambda _: None)
        scale = fit_heads(image, text, self.frozen, lessons)
        return Heads(image, text, scale)

    @torch.no_grad()
    def agree(self, members: Sequence[Heads], sharpness: float) -> Agreement:
        """The mean of the members' photo vectors over all views, of their text maps and of their temperatures."""
        views = range(len(self.frozen.pooled))
        images = sum((head_vectors(m.image, self.frozen, views) for m in members), torch.zeros(()))
        images = F.normalize(images, dim=-1)
        text = copy.deepcopy(members[0].text)
        text.linear.weight.copy_(torch.stack([m.text.linear.weight for m in members]).mean(0))
        scale = sum(m.scale for m in members) / len(members)
        pseudo = find_pseudo_captions(images, text, self.bank, scale, self.pairing.candidates)
        return Agreement(pseudo, Teacher(images, text(self.bank), sharpness * scale))

    def run(self, config: RoundsConfig, seed: int) -> tuple[Heads, Agreement]:
        """All rounds; the last round's heads, and the agreement that taught them."""
        agreement: Agreement | None = None
        for stage, count in enumerate(config.heads):
            members = [self.fit_one(agreement, seed + 100 * stage + k) for k in range(count)]
            agreement = self.agree(members, config.sharpness)
        assert agreement is not None
        return self.fit_one(agreement, seed + 100 * len(config.heads)), agreement
