"""The stage for a GPU: runs of both towers from the model that a processor can train, and the mean of what they give.

Two runs differ in their batches, and their mean begins a third, longer one, which both of them teach. What ships is a
weighted mean of that and of the start (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022): each found
about the same, and their mean as much of what was held out and more of human captions.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from recipe.data import Split
from recipe.fitting import Teacher
from recipe.pairing import OwnAndBank, Pairing, PseudoCaptions, TextVectors, find_pseudo_captions
from recipe.pixels import Pixels
from recipe.towers import Tokeniser
from recipe.training import Material, Recipe, Taught, Trained, say
from recipe.whole_tower import (
    Lesson,
    Model,
    WholeConfig,
    Words,
    averaged,
    fit_whole,
    image_vectors,
    most_alike,
    text_vectors,
)


@dataclass(frozen=True)
class WholeRecipe:
    """``first`` runs, the ``second``, the share of the second in what ships, and how it goes on with all photos."""

    first: tuple[WholeConfig, ...] = field(default_factory=lambda: (WholeConfig(10), WholeConfig(10, alike=0.5)))
    second: WholeConfig = field(default_factory=lambda: WholeConfig(24))
    share: float = 0.6
    more: WholeConfig = field(default_factory=lambda: WholeConfig(6, head_rate=1.2e-4, tower_rate=1.2e-4))


@dataclass(frozen=True)
class Tuned:
    """Where the runs began, what the second gave, and what taught it."""

    start: Model
    second: Model
    teacher: Teacher
    pseudo: PseudoCaptions
    training: WholeTraining


@dataclass(frozen=True)
class WholeTraining:
    """What every run shares: all photos and texts on the device."""

    material: Material
    taught: Taught
    pixels: Pixels
    words: Words
    seed: int

    @classmethod
    def on(cls, device: str, material: Material, taught: Taught, recipe: Recipe) -> WholeTraining:
        """Photos and texts brought to a device."""
        side = recipe.student_views.side
        pixels = Pixels.read([photo.path for photo in material.photos], side, device)
        tower = copy.deepcopy(material.text_tower).to(device)
        return cls(material, taught, pixels, Words(taught.words, Tokeniser(), tower, device), recipe.seed)

    def start(self, trained: Trained) -> Model:
        """A trained model before its text tower was tuned."""
        device = self.words.device
        encoder = copy.deepcopy(trained.encoder).to(device, memory_format=torch.channels_last)
        tower = copy.deepcopy(self.material.text_tower).to(device)
        return Model(encoder, tower, copy.deepcopy(trained.tail_text).to(device), trained.scale)

    def lesson(
        self, config: WholeConfig, teacher: Teacher, pseudo: PseudoCaptions, train: Sequence[int], seed: int
    ) -> Lesson:
        """What a run learns from."""
        heads, vectors = self.taught.heads, self.words.published.cpu()
        own = len(heads.texts.own.vectors)
        texts = OwnAndBank(TextVectors(vectors[:own], heads.texts.own.rows), vectors[own:])
        pairing = Pairing(self.material.photos, train, texts, pseudo, heads.pairing, self.seed + seed)
        near = most_alike(teacher.images)
        return Lesson(self.pixels, self.words, pairing, teacher, near, config, self.seed + seed, say)

    def teacher(self, models: Sequence[Model], sharpness: float) -> Teacher:
        """What models agree on: the mean of their cosines."""
        share = len(models) ** -0.5
        images = torch.cat([share * image_vectors(model.encoder, self.pixels) for model in models], dim=1)
        texts = torch.cat([share * text_vectors(model, self.words) for model in models], dim=1)
        scale = sharpness * sum(model.scale for model in models) / len(models)
        return Teacher(images, texts, self.taught.agreement.teacher.taught, scale)


def tune(training: WholeTraining, trained: Trained, recipe: Recipe, whole: WholeRecipe) -> Tuned:
    """The first runs and the second."""
    start, train = training.start(trained), training.taught.heads.train
    own = len(training.taught.heads.texts.own.vectors)
    alone, pseudo = training.teacher([start], recipe.rounds.sharpness), training.taught.agreement.pseudo
    firsts = [
        fit_whole(start, training.lesson(config, alone, pseudo, train, number + 1))
        for number, config in enumerate(whole.first)
    ]
    begun = averaged(firsts, [1 / len(firsts)] * len(firsts))
    teacher = training.teacher(firsts, recipe.rounds.sharpness)
    candidates = training.taught.heads.pairing.candidates
    found = find_pseudo_captions(teacher.images, teacher.texts[own:], teacher.scale, candidates)
    pseudo = PseudoCaptions(found.rows.cpu(), found.weights.cpu())
    second = fit_whole(begun, training.lesson(whole.second, teacher, pseudo, train, 11))
    return Tuned(start, second, teacher, pseudo, training)


def measured(tuned: Tuned, trained: Trained, whole: WholeRecipe) -> Trained:
    """What the runs gave, as a trained model on the processor."""
    return _shipped(tuned.second, tuned, trained, whole)


def go_on(tuned: Tuned, trained: Trained, split: Split, whole: WholeRecipe) -> Trained:
    """The same after a few epochs more of its image side with the photos of a larger split."""
    training = tuned.training
    lesson = training.lesson(whole.more, tuned.teacher, tuned.pseudo, split.train, 12)
    return _shipped(fit_whole(tuned.second, lesson, with_texts=False), tuned, trained, whole)


def _shipped(model: Model, tuned: Tuned, trained: Trained, whole: WholeRecipe) -> Trained:
    mean = averaged([tuned.start, model], [1 - whole.share, whole.share])
    encoder, tower, head = (module.cpu() for module in mean.modules)
    return replace(trained, encoder=encoder, text_tower=tower, text_head=head, scale=mean.scale)
