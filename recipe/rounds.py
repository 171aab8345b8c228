"""Heads on frozen features, in rounds: several are fitted, and what they agree on teaches those of the next round.

An agreement of heads gives every photo pseudo-captions beside its own, and a softer lesson
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
    """So many ``rounds`` of so many ``members`` come before the last heads.

    ``sharpness`` multiplies the inverse temperature of an agreement when it teaches.
    """

    rounds: int = 1
    members: int = 2
    sharpness: float = 1.5


@dataclass(frozen=True)
class Heads:
    """A fitted pair of heads and their inverse temperature."""

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
    """The untrained image head, and the tower's features of all photos."""

    image: ImageHead
    frozen: FrozenFeatures


@dataclass(frozen=True)
class HeadTraining:
    """What every round shares: the ``start``, the untrained text ``centre``, and what trains.

    ``taught`` are the rows of the pairing's texts that a teacher may speak of, int64 [k].
    """

    start: Start
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

    def fit_one(self, agreement: Agreement | None, seed: int) -> Heads:
        """A new pair of heads, taught by an agreement if there is one."""
        torch.manual_seed(seed)
        image, text = copy.deepcopy(self.start.image), TextHead(self.centre)
        image.hidden.reset_parameters()
        text.centre.requires_grad_(False)
        teacher = None if agreement is None else agreement.teacher
        lessons = Lessons(self.pairs(agreement, seed), self.fit, teacher, seed, lambda _: None)
        scale = fit_heads(image, text, self.start.frozen, lessons)
        return Heads(image, text, scale)

    @torch.no_grad()
    def agree(self, members: Sequence[Heads], sharpness: float) -> Agreement:
        """The mean of the members' cosines: their vectors side by side, those of photos averaged over views."""
        share = len(members) ** -0.5
        images, texts, frozen = [], [], self.start.frozen
        vectors = torch.cat([self.texts.own.vectors, self.texts.bank])
        for member in members:
            images.append(share * head_vectors(member.image, frozen, range(len(frozen.pooled))))
            texts.append(share * member.text(vectors))
        photos, sentences = torch.cat(images, dim=1), torch.cat(texts, dim=1)
        scale = sum(m.scale for m in members) / len(members)
        # Only those of the bank may stand in.
        bank = sentences[len(self.texts.own.vectors) :]
        pseudo = find_pseudo_captions(photos, bank, scale, self.pairing.candidates)
        return Agreement(pseudo, Teacher(photos, sentences, self.taught, sharpness * scale))

    def run(self, config: RoundsConfig, seed: int) -> tuple[Heads, Agreement]:
        """All rounds; the last heads, and the agreement that taught them."""
        agreement: Agreement | None = None
        for stage in range(config.rounds):
            members = [self.fit_one(agreement, seed + 100 * stage + k) for k in range(config.members)]
            agreement = self.agree(members, config.sharpness)
        assert agreement is not None
        return self.fit_one(agreement, seed + 100 * config.rounds), agreement
