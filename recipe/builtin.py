"""The recipe of mmsearch-mini, end to end: ``python -m recipe.builtin --data D --out O``.

It trains once, with photos held out, and writes the very model whose figures it states. With ``--everything`` it
trains a second time, on all photos, and writes that model with the figures and the calibration of the first.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import ctypes
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from recipe import packaging
from recipe.data import (
    Photo,
    Split,
    SplitConfig,
    load_caption_bank,
    load_class_names,
    load_photos,
    split_everything,
    split_photos,
    with_article,
)
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
from recipe.joint import ImageEncoder, ImageHead, TextEncoder, TextHead
from recipe.pairing import OwnAndBank, PairingConfig, TextVectors, own_texts
from recipe.rounds import HeadTraining, RoundsConfig, Start
from recipe.text_tuning import TextTuning, fit_text_tower
from recipe.towers import (
    LITE0,
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
    # The tower that is trained and ships, and those that only teach, each with how many views its heads see.
    towers: tuple[VisionConfig, ...] = (LITE2, LITE0)
    views: tuple[int, ...] = (3, 1)
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

    @property
    def student_views(self) -> ViewConfig:
        """How photos are shown to the tower that ships."""
        return ViewConfig(side=self.towers[0].side, views=self.views[0])


@dataclass(frozen=True)
class Tower:
    """A tower with untrained heads, the cached activations of its trunk, and its frozen features."""

    encoder: ImageEncoder
    cache: ActivationCache
    frozen: FrozenFeatures


@dataclass(frozen=True)
class Material:
    """Everything computed once and used by both training runs; vectors are unit float32 [*, 384].

    The first tower is the one that is trained.
    """

    folder: Path
    photos: list[Photo]
    towers: list[Tower]
    text_tower: TextTower
    texts: OwnAndBank
    own_texts: list[str]
    bank_texts: list[str]
    centre: Tensor

    @property
    def student(self) -> Tower:
        return self.towers[0]


@dataclass(frozen=True)
class Trained:
    """A trained model, and what it was before its last two stages, for the record."""

    encoder: ImageEncoder
    text_tower: TextTower
    text_head: TextHead
    tail_text: TextHead
    heads_only: Tensor
    heads_text: TextHead


def keep_freed_memory() -> None:
    """Tell glibc to reuse freed blocks instead of returning them: a third less time per training step.

    Large activations are otherwise mapped, zeroed and unmapped again in every layer. Elsewhere it does nothing.
    """
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            allocator = ctypes.CDLL("libc.so.6")
            mmap_max, trim_threshold = -4, -1
            allocator.mallopt(mmap_max, 0)
            allocator.mallopt(trim_threshold, 2**31 - 1)


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
    towers = [
        prepare_tower(photos, classes, work, config, views, recipe.frozen_views)
        for config, views in zip(recipe.towers, recipe.views, strict=True)
    ]
    return Material(data, photos, towers, text, OwnAndBank(own, bank), texts, bank_texts, bank.mean(0))


def prepare_tower(
    photos: Sequence[Photo], classes: Tensor, work: Path, config: VisionConfig, views: int, frozen_views: int
) -> Tower:
    """A tower with the activations of its trunk, which are kept in the work folder, and its frozen features."""
    vision = load_vision_tower(config)
    cache = ActivationCache(work, [photo.path for photo in photos], config, ViewConfig(side=config.side, views=views))
    session = export_trunk(vision, config.side, work / f"trunk-lite{config.variant}.onnx")

    def trunk(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        out: npt.NDArray[np.float32] = session.run(None, {"pixels": pixels})[0]
        return out

    say(f"Lite{config.variant}: trunk activations")
    cache.fill(trunk)
    head = ImageHead(classes, vision.classifier)
    encoder = ImageEncoder(vision, head).to(memory_format=torch.channels_last)
    say(f"Lite{config.variant}: frozen features")
    frozen = frozen_features(encoder, cache, frozen_views)
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
        [Start(tower.encoder.head, tower.frozen) for tower in material.towers],
        material.centre,
        material.photos,
        train,
        texts,
        torch.tensor([*sorted(own), *bank]),
        recipe.pairing,
        recipe.heads,
    )


def train_model(material: Material, split: Split, recipe: Recipe) -> Trained:
    """Rounds of heads, then the tail, then the text tower; from the same start for any split."""
    train, bank_rows = without_leaks(material, split, recipe)
    student, texts = material.student, OwnAndBank(material.texts.own, material.texts.bank[bank_rows])
    training = train_heads(material, train, texts, recipe)
    heads, agreement = training.run(recipe.rounds, recipe.seed)
    say(f"heads: inverse temperature {heads.scale:.1f}")
    heads_only, heads_text = head_vectors(heads.image, student.frozen), copy.deepcopy(heads.text)
    text_head = heads.text
    encoder = ImageEncoder(copy.deepcopy(student.encoder.tower), heads.image)
    torch.manual_seed(recipe.seed)
    pairing = training.pairs(agreement, recipe.seed + 999)
    lessons = Lessons(pairing, recipe.tail, agreement.teacher, recipe.seed, say)
    scale = fit_tail(encoder, text_head, student.cache, lessons, heads.scale)
    tail_text = copy.deepcopy(text_head)
    images = encoder_vectors(encoder, student.cache)
    words = [*material.own_texts, *(material.bank_texts[row] for row in bank_rows)]
    lessons = Lessons(pairing, recipe.text.fit, None, recipe.seed, say)
    tower = fit_text_tower(material.text_tower, text_head, images, words, lessons, recipe.text, scale)
    return Trained(encoder.eval(), tower, text_head.eval(), tail_text, heads_only, heads_text)


def measured_model(
    material: Material, trained: Trained, split: Split, recipe: Recipe, out: Path, work: Path
) -> tuple[packaging.Packaged, dict[str, Any]]:
    """The files of a model that was trained with photos held out, in ``out``, and their figures."""
    encoder = trained.encoder
    measured = packaging.package(
        out, work / "measured-float", encoder, text_encoder(trained), material.photos, split, recipe.student_views
    )
    held = packaging.HeldOut(material.photos, split, material.folder, recipe.split.labelled)
    student = material.student
    stages = {
        "untrained": (head_vectors(student.encoder.head, student.frozen), TextHead(material.centre)),
        "heads only": (trained.heads_only, trained.heads_text),
        "tail trained": (encoder_vectors(encoder, student.cache), trained.tail_text),
    }
    float_files = packaging.Packaged(work / "measured-float", recipe.student_views)
    metrics = packaging.measure(measured, float_files, held, stages, material.texts.own)
    metrics["recipe"] = asdict(recipe)
    return measured, metrics


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    keep_freed_memory()
    torch.set_num_threads(os.cpu_count() or 1)
    started = time.monotonic()
    work = options.work or options.out / "work"
    recipe = Recipe(seed=options.seed)
    material = prepare(options.data, work, recipe)

    split = split_photos(material.photos, recipe.split)
    say(f"training with {len(split.captioned)} captioned photos and {len(split.others)} others held out")
    trained = train_model(material, split, recipe)
    out = work / "measured" if options.everything else options.out
    measured, metrics = measured_model(material, trained, split, recipe, out, work)
    say("with photos held out\n" + packaging.summary(metrics))
    held = packaging.HeldOut(material.photos, split, material.folder, recipe.split.labelled)
    curves = packaging.calibrate(measured, held)
    if not options.everything:
        packaging.write_model_json(measured, options.data, curves)
    else:
        everything = split_everything(material.photos)
        say(f"training on all {len(everything.train)} photos")
        final = train_model(material, everything, recipe)
        texts, views = text_encoder(final), recipe.student_views
        files = packaging.package(options.out, work / "float", final.encoder, texts, material.photos, everything, views)
        packaging.write_model_json(files, options.data, curves)
    metrics["minutes"] = round((time.monotonic() - started) / 60, 1)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "metrics.json").write_text(json.dumps(metrics, indent=2, default=str) + "\n")
    say(f"done in {metrics['minutes']} minutes")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="recipe.builtin", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the training folder (pairs.jsonl, text/)")
    parser.add_argument("--out", type=Path, required=True, help="where the model's files go")
    parser.add_argument("--work", type=Path, help="where activations are kept between runs (default: OUT/work)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--everything",
        action="store_true",
        help="train again on all photos and write that model, not the one that was measured",
    )
    return parser.parse_args(arguments)


def text_encoder(trained: Trained) -> TextEncoder:
    """A text encoder with its own copy of the tower, so that pruning its vocabulary leaves the other alone."""
    return TextEncoder(copy.deepcopy(trained.text_tower), trained.text_head)


if __name__ == "__main__":
    raise SystemExit(main())
