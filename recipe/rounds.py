"""Heads on frozen features, in rounds: several are fitted, and what they agree on teaches those of the next round.

An agreement of heads, of several towers, gives every photo pseudo-captions beside its own, and a softer lesson
besides: how alike each photo is to thousands of captions (born-again networks, Furlanello et al., 2018; noisy students,
Xie et al., 2020).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recipe.data import Photo
from recipe.fitting import FitConfig, FrozenFeatures, Lessons, Teacher, fit_heads, head_vectors
from recipe.joint import ImageHead, TextHead
from recipe.pairing import OwnAndBank, Pairing, PairingConfig, PseudoCaptions, find_pseudo_captions


@dataclass(frozen=True)
class RoundsConfig:
    """``towers`` holds of which tower each member of a round is; so many ``rounds`` come before the last heads.

    ``sharpness`` multiplies the inverse temperature of an agreement when it teaches.
    """

    rounds: int = 1
    towers: tuple[int, ...] = (0, 0, 1)
    sharpness: float = 1.5


@dataclass(frozen=True)
class Heads:
    """A fitted pair of heads, the tower whose features they take, and their inverse temperature."""

    tower: int
    image: ImageHead
    text: TextHead
    scale: float


@dataclass(frozen=True)
class Agreement:
    """What the heads of a round agree on."""

    pseudo: PseudoCaptions
    teacher: Teacher


@dataclass(frozen=True)
class Start:
    """The untrained heads of a tower, and its features of all photos."""

    image: ImageHead
    frozen: FrozenFeatures


@dataclass(frozen=True)
class HeadTraining:
    """What every round shares: a start for each tower, the untrained text ``centre``, and what trains.

    ``taught`` are the rows of the pairing's texts that a teacher may speak of, int64 [k].
    """

    starts: Sequence[Start]
    centre: Tensor
    photos: Sequence[Photo]
    train: Sequence[int]
    texts: OwnAndBank
    taught: Tensor
    pairing: PairingConfig
    fit: FitConfig

    def pairs(self, agreement: Agreement | None, seed: int) -> Pairing:
        """Pairs to train on, with pseudo-captions where there are some."""
        pseudo = None if agreement is None else agreement.pseudo
        return Pairing(self.photos, self.train, self.texts, pseudo, self.pairing, seed)

    def fit_one(self, tower: int, agreement: Agreement | None, seed: int) -> Heads:
        """A new pair of heads of a tower, taught by an agreement if there is one."""
        torch.manual_seed(seed)
        image, text = copy.deepcopy(self.starts[tower].image), TextHead(self.centre)
        image.hidden.reset_parameters()
        text.centre.requires_grad_(False)
        teacher = None if agreement is None else agreement.teacher
        lessons = Lessons(self.pairs(agreement, seed), self.fit, teacher, seed, lambda _: None)
        scale = fit_heads(image, text, self.starts[tower].frozen, lessons)
        return Heads(tower, image, text, scale)

    @torch.no_grad()
    def agree(self, members: Sequence[Heads], sharpness: float) -> Agreement:
        """The mean of the members' cosines: their vectors side by side, those of photos averaged over views."""
        share = len(members) ** -0.5
        images, texts = [], []
        vectors = torch.cat([self.texts.own.vectors, self.texts.bank])
        for member in members:
            frozen = self.starts[member.tower].frozen
            images.append(share * head_vectors(member.image, frozen, range(len(frozen.pooled))))
            texts.append(share * member.text(vectors))
        photos, sentences = torch.cat(images, dim=1), torch.cat(texts, dim=1)
        scale = sum(m.scale for m in members) / len(members)
        # Only those of the bank may stand in.
        bank = sentences[len(self.texts.own.vectors) :]
        pseudo = find_pseudo_captions(photos, bank, scale, self.pairing.candidates)
        return Agreement(pseudo, Teacher(photos, sentences, self.taught, sharpness * scale))

    def run(self, config: RoundsConfig, seed: int) -> tuple[Heads, Agreement]:
        """All rounds; heads of the first tower, and the agreement that taught them."""
        agreement: Agreement | None = None
        for stage in range(config.rounds):
            members = [self.fit_one(tower, agreement, seed + 100 * stage + k) for k, tower in enumerate(config.towers)]
            agreement = self.agree(members, config.sharpness)
        assert agreement is not None
        return self.fit_one(0, agreement, seed + 100 * config.rounds), agreement
