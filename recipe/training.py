"""How the built-in model learns: the settings, what is computed once, and the stages one after the other."""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from recipe.data import Photo, Split, SplitConfig, load_caption_bank, load_class_names, load_photos, with_article
from recipe.export import export_trunk
from recipe.features import ActivationCache, ViewConfig
from recipe.fitting import (
    FitConfig,
    FrozenFeatures,
    Lessons,
    encoder_vectors,
    fit_tail,
    frozen_features,
    head_vectors,
)
from recipe.joint import ImageEncoder, ImageHead, TextHead
from recipe.pairing import OwnAndBank, PairingConfig, TextVectors, own_texts
from recipe.rounds import Agreement, HeadTraining, RoundsConfig, Start
from recipe.text_tuning import TextTuning, fit_text_tower
from recipe.towers import (
    LITE2,
    TextTower,
    Tokeniser,
    VisionConfig,
    embed_texts,
    load_text_tower,
    load_vision_tower,
)


@dataclass(frozen=True)
class Recipe:
    """Every setting of the recipe."""

    seed: int = 0
    # Captions of the bank: COCO's, and others.
    bank_coco: int = 45_000
    bank_others: int = 15_000
    bank_seed: int = 0
    # Bank captions this close to a held-out caption are left out while measuring.
    caption_leak: float = 0.9
    photo_leak: float = 0.95
    # The image tower, in how many views its tail sees each photo, and in how many the heads before that.
    tower: VisionConfig = LITE2
    views: int = 3
    frozen_views: int = 1
    split: SplitConfig = field(default_factory=SplitConfig)
    pairing: PairingConfig = field(default_factory=PairingConfig)
    rounds: RoundsConfig = field(default_factory=RoundsConfig)
    heads: FitConfig = field(default_factory=lambda: FitConfig(epochs=12, batch=512, head_rate=1e-3, distil=3.0))
    tail: FitConfig = field(
        default_factory=lambda: FitConfig(
            epochs=4,
            batch=256,
            head_rate=3e-4,
            tail_rate=3e-4,
            text_rate=3e-5,
            averaging=0.98,
            distil=1.0,
            layer_decay=0.85,
        )
    )
    text: TextTuning = field(
        default_factory=lambda: TextTuning(
            FitConfig(epochs=3, batch=256, head_rate=0.0, tail_rate=1e-4, text_rate=3e-5)
        )
    )
    # How the trained model goes on with all photos: at this share of the rates, for so many epochs of the image tower
    # and of the text tower.
    more_rate: float = 0.3
    more_epochs: tuple[int, int] = (2, 1)

    @property
    def student_views(self) -> ViewConfig:
        """How photos are shown to the tower that ships."""
        return ViewConfig(side=self.tower.side, views=self.views)


@dataclass(frozen=True)
class Tower:
    """A tower with untrained heads, the cached activations of its trunk, and its frozen features."""

    encoder: ImageEncoder
    cache: ActivationCache
    frozen: FrozenFeatures


@dataclass(frozen=True)
class Material:
    """Everything computed once and used by both training runs; vectors are unit float32 [*, 384]."""

    folder: Path
    photos: list[Photo]
    student: Tower
    text_tower: TextTower
    texts: OwnAndBank
    own_texts: list[str]
    bank_texts: list[str]
    centre: Tensor


@dataclass(frozen=True)
class Trained:
    """A trained model: what ships, its inverse temperature, and what it was before its last two stages."""

    encoder: ImageEncoder
    text_tower: TextTower
    text_head: TextHead
    scale: float
    tail_text: TextHead
    heads_only: Tensor
    heads_text: TextHead


@dataclass(frozen=True)
class Taught:
    """What a model learns from: the training of heads, its agreement, and the text behind each row of the pairing."""

    heads: HeadTraining
    agreement: Agreement
    words: list[str]


def say(message: str) -> None:
    print(time.strftime("%H:%M:%S"), message, flush=True)


def embedded(work: Path, tower: TextTower, tokenise: Tokeniser, texts: Sequence[str]) -> Tensor:
    """Unit vectors of the unchanged tower, kept in the work folder under the texts' own digest."""
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    target = work / f"texts-{digest}.npy"
    if not target.exists():
        partial = target.with_suffix(".partial.npy")
        np.save(partial, embed_texts(tower, tokenise, texts).numpy())
        partial.rename(target)
    return F.normalize(torch.from_numpy(np.load(target)), dim=-1)


def prepare(data: Path, work: Path, recipe: Recipe) -> Material:
    """Text vectors, trunk activations and frozen features."""
    work.mkdir(parents=True, exist_ok=True)
    photos = load_photos(data)
    text, tokenise = load_text_tower(), Tokeniser()
    say("text vectors")
    texts, rows = own_texts(photos)
    own = TextVectors(embedded(work, text, tokenise, texts), rows)
    bank_texts = load_caption_bank(data, recipe.bank_coco, recipe.bank_others, recipe.bank_seed)
    bank = embedded(work, text, tokenise, bank_texts)
    names = [f"a photo of {with_article(name)}" for name in load_class_names(data)]
    classes = embedded(work, text, tokenise, names)
    student = prepare_tower(photos, classes, work, recipe)
    return Material(data, photos, student, text, OwnAndBank(own, bank), texts, bank_texts, bank.mean(0))


def prepare_tower(photos: Sequence[Photo], classes: Tensor, work: Path, recipe: Recipe) -> Tower:
    """The image tower with the activations of its trunk, which are kept in the work folder, and its frozen features."""
    config = recipe.tower
    vision = load_vision_tower(config)
    cache = ActivationCache(work, [photo.path for photo in photos], config, recipe.student_views)
    session = export_trunk(vision, config.side, work / f"trunk-lite{config.variant}.onnx")

    def trunk(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        out: npt.NDArray[np.float32] = session.run(None, {"pixels": pixels})[0]
        return out

    say(f"Lite{config.variant}: trunk activations")
    cache.fill(trunk)
    head = ImageHead(classes, vision.classifier)
    encoder = ImageEncoder(vision, head).to(memory_format=torch.channels_last)
    say(f"Lite{config.variant}: frozen features")
    frozen = frozen_features(encoder, cache, recipe.frozen_views)
    head.set_centres(frozen.whole[0].float(), frozen.parts[0].float())
    return Tower(encoder, cache, frozen)


def without_leaks(material: Material, split: Split, recipe: Recipe) -> tuple[list[int], list[int]]:
    """Training photos and rows of the bank that do not nearly repeat something held out."""
    texts = material.texts
    if not split.held_out:
        return list(split.train), list(range(len(texts.bank)))
    features = F.normalize(material.student.frozen.pooled[0].float(), dim=-1)
    near = (features[list(split.train)] @ features[list(split.held_out)].T).amax(1)
    train = [i for i, s in zip(split.train, near.tolist(), strict=True) if s <= recipe.photo_leak]
    captions = texts.own.of("human", split.captioned)
    clean = (texts.bank @ captions.T).amax(1) < recipe.caption_leak
    say(f"left out as near repeats: {len(split.train) - len(train)} photos, {int((~clean).sum())} captions")
    return train, clean.nonzero()[:, 0].tolist()


def train_heads(material: Material, train: list[int], texts: OwnAndBank, recipe: Recipe) -> HeadTraining:
    """What the rounds of heads work on. A teacher speaks of texts of photos that train, and of the bank's."""
    own = {row for of_kind in texts.own.rows.values() for i in train for row in of_kind.get(i, ())}
    bank = range(len(texts.own.vectors), len(texts.own.vectors) + len(texts.bank))
    return HeadTraining(
        Start(material.student.encoder.head, material.student.frozen),
        material.centre,
        material.photos,
        train,
        texts,
        torch.tensor([*sorted(own), *bank]),
        recipe.pairing,
        recipe.heads,
    )


def train_model(material: Material, split: Split, recipe: Recipe) -> tuple[Trained, Taught]:
    """Rounds of heads, then the tail, then the text tower; from the same start for any split."""
    train, bank_rows = without_leaks(material, split, recipe)
    student, texts = material.student, OwnAndBank(material.texts.own, material.texts.bank[bank_rows])
    training = train_heads(material, train, texts, recipe)
    heads, agreement = training.run(recipe.rounds, recipe.seed)
    say(f"heads: inverse temperature {heads.scale:.1f}")
    heads_only, heads_text = head_vectors(heads.image, student.frozen), copy.deepcopy(heads.text)
    taught = Taught(training, agreement, [*material.own_texts, *(material.bank_texts[row] for row in bank_rows)])
    encoder = ImageEncoder(copy.deepcopy(student.encoder.tower), heads.image)
    tail_text = heads.text
    scale = train_tail(material, encoder, tail_text, heads.scale, taught, recipe)
    text_head = copy.deepcopy(tail_text)
    tower = train_texts(material, encoder, (material.text_tower, text_head), scale, taught, recipe)
    return Trained(encoder, tower, text_head, scale, tail_text, heads_only, heads_text), taught


def go_on(material: Material, trained: Trained, taught: Taught, split: Split, recipe: Recipe) -> Trained:
    """The same model after a few epochs more with the photos of a larger split, taught by the same agreement.

    The image tower goes on against the text vectors that it was trained with, and the tuned text tower follows.
    """
    image_epochs, text_epochs = recipe.more_epochs
    more = replace(
        recipe,
        seed=recipe.seed + 1,
        tail=_slower(recipe.tail, image_epochs, recipe.more_rate),
        text=replace(recipe.text, fit=_slower(recipe.text.fit, text_epochs, recipe.more_rate)),
    )
    taught = replace(taught, heads=replace(taught.heads, train=split.train))
    encoder, tail_text = copy.deepcopy(trained.encoder), copy.deepcopy(trained.tail_text)
    text_head = copy.deepcopy(trained.text_head)
    scale = train_tail(material, encoder, tail_text, trained.scale, taught, more)
    tower = train_texts(material, encoder, (trained.text_tower, text_head), scale, taught, more)
    return replace(trained, encoder=encoder, text_tower=tower, text_head=text_head, scale=scale, tail_text=tail_text)


def train_tail(
    material: Material, encoder: ImageEncoder, text_head: TextHead, scale: float, taught: Taught, recipe: Recipe
) -> float:
    """The image tower's tail and both heads, in place; the inverse temperature that they end with."""
    torch.manual_seed(recipe.seed)
    pairing = taught.heads.pairs(taught.agreement, recipe.seed + 999)
    lessons = Lessons(pairing, recipe.tail, taught.agreement.teacher, recipe.seed, say)
    return fit_tail(encoder, text_head, material.student.cache, lessons, scale)


def train_texts(
    material: Material,
    encoder: ImageEncoder,
    texts: tuple[TextTower, TextHead],
    scale: float,
    taught: Taught,
    recipe: Recipe,
) -> TextTower:
    """A copy of the text tower, tuned to the photos as the encoder sees them now; the text head is tuned in place."""
    tower, text_head = texts
    images = encoder_vectors(encoder, material.student.cache)
    pairing = taught.heads.pairs(taught.agreement, recipe.seed + 998)
    lessons = Lessons(pairing, recipe.text.fit, None, recipe.seed, say)
    tuned = fit_text_tower(tower, text_head, images, taught.words, lessons, recipe.text, scale)
    text_head.eval()
    return tuned


def _slower(config: FitConfig, epochs: int, share: float) -> FitConfig:
    rates = {name: share * getattr(config, name) for name in ("head_rate", "tail_rate", "text_rate")}
    return replace(config, epochs=epochs, **rates)
