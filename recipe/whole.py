"""The stage for a GPU: seven runs of both towers from the model that a processor can train, and a mean of weights.

Three runs begin there, and their mean begins three more, in which blocks of the image tower are left out by chance;
what these four agree on teaches a last one from their mean. The mean of the five is better than any of them (Wortsman
et al., "Model soups", 2022).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from recipe.data import Split
from recipe.fitting import Teacher
from recipe.pairing import OwnAndBank, Pairing, PseudoCaptions, TextVectors, find_pseudo_captions
from recipe.pixels import Pixels, Shown
from recipe.towers import Tokeniser
from recipe.training import Material, Recipe, Taught, Trained, say
from recipe.whole_tower import Lesson, Model, WholeConfig, Words, averaged, fit_whole, image_vectors, text_vectors

# Smaller crops, and colours that change more.
BOLD = Shown(whole=0.3, smallest_crop=0.3, colour=0.4)


def _first() -> tuple[WholeConfig, ...]:
    return WholeConfig(7), WholeConfig(7, shown=BOLD), WholeConfig(7, tower_rate=6e-4, text_rate=2e-4)


def _second() -> tuple[WholeConfig, ...]:
    return (
        WholeConfig(12, batch=768, tower_rate=6e-4, text_rate=2e-4, left_out=0.1),
        WholeConfig(12, tower_rate=6e-4, text_rate=3e-4, left_out=0.1, keep=1.0),
        WholeConfig(12, batch=768, tower_rate=8e-4, text_rate=2e-4, left_out=0.25, shown=BOLD),
    )


@dataclass(frozen=True)
class WholeRecipe:
    """``first`` and ``second`` runs, the ``third``, and how what came of them goes on with all photos: its image side
    alone, of which ``share`` is kept.
    """

    first: tuple[WholeConfig, ...] = field(default_factory=_first)
    second: tuple[WholeConfig, ...] = field(default_factory=_second)
    third: WholeConfig = field(
        default_factory=lambda: WholeConfig(16, tower_rate=6e-4, text_rate=2e-4, left_out=0.15, distil=2.0)
    )
    more: WholeConfig = field(default_factory=lambda: WholeConfig(6, head_rate=1.2e-4, tower_rate=1.8e-4, left_out=0.1))
    share: float = 0.5


@dataclass(frozen=True)
class Tuned:
    """The mean of the runs, and what it may go on with."""

    mean: Model
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
        return Lesson(self.pixels, self.words, pairing, teacher, config, self.seed + seed, say)

    def teacher(self, models: Sequence[Model], sharpness: float) -> Teacher:
        """What models agree on: the mean of their cosines."""
        share = len(models) ** -0.5
        images = torch.cat([share * image_vectors(model.encoder, self.pixels) for model in models], dim=1)
        texts = torch.cat([share * text_vectors(model, self.words) for model in models], dim=1)
        scale = sharpness * sum(model.scale for model in models) / len(models)
        return Teacher(images, texts, self.taught.agreement.teacher.taught, scale)

    def learned(self, models: Sequence[Model], sharpness: float) -> tuple[Teacher, PseudoCaptions]:
        """What models agree on, and the captions of others that they would give to photos."""
        teacher = self.teacher(models, sharpness)
        heads = self.taught.heads
        bank = teacher.texts[len(heads.texts.own.vectors) :]
        found = find_pseudo_captions(teacher.images, bank, teacher.scale, heads.pairing.candidates)
        return teacher, PseudoCaptions(found.rows.cpu(), found.weights.cpu())


def tune(training: WholeTraining, trained: Trained, recipe: Recipe, whole: WholeRecipe) -> Tuned:
    """All runs, and the mean of the last five models."""
    start, train, sharpness = training.start(trained), training.taught.heads.train, recipe.rounds.sharpness
    alone, pseudo = training.teacher([start], sharpness), training.taught.agreement.pseudo
    firsts = [
        fit_whole(start, training.lesson(config, alone, pseudo, train, number))
        for number, config in enumerate(whole.first, start=1)
    ]
    begun = _mean(firsts)
    lesson = training.learned([begun], sharpness)
    models = [begun]
    for number, config in enumerate(whole.second, start=21):
        models.append(fit_whole(begun, training.lesson(config, *lesson, train, number)))
    last = training.lesson(whole.third, *training.learned(models, sharpness), train, 31)
    models.append(fit_whole(_mean(models), last))
    return Tuned(_mean(models), training)


def measured(tuned: Tuned, trained: Trained) -> Trained:
    """What the runs gave, as a trained model on the processor."""
    return _on_the_processor(tuned.mean, trained)


def go_on(tuned: Tuned, trained: Trained, split: Split, recipe: Recipe, whole: WholeRecipe) -> Trained:
    """The same after a few epochs more of its image side with the photos of a larger split."""
    training = tuned.training
    learned = training.learned([tuned.mean], recipe.rounds.sharpness)
    more = fit_whole(tuned.mean, training.lesson(whole.more, *learned, split.train, 12), with_texts=False)
    return _on_the_processor(averaged([tuned.mean, more], [1 - whole.share, whole.share]), trained)


def _mean(models: Sequence[Model]) -> Model:
    mean: Model = averaged(models, [1 / len(models)] * len(models))
    return mean


def _on_the_processor(model: Model, trained: Trained) -> Trained:
    encoder, tower, head = (copy.deepcopy(module).cpu() for module in model.modules)
    return replace(trained, encoder=encoder, text_tower=tower, text_head=head, scale=model.scale)
