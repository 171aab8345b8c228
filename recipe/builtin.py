"""The recipe of mmsearch-mini, end to end: ``python -m recipe.builtin --data D --out O``.

It trains twice with the same settings: once with photos held out, for every figure and for the calibration,
and once on everything, for the files that ship.
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
from recipe.pairing import PairingConfig, TextVectors, own_texts
from recipe.rounds import HeadTraining, RoundsConfig
from recipe.text_tuning import TextTuning, fit_text_tower
from recipe.towers import TextTower, Tokeniser, embed_texts, load_text_tower, load_vision_tower


@dataclass(frozen=True)
class Recipe:
    """Every setting of the recipe."""

    seed: int = 0
    # Captions of the bank that are not COCO's.
    bank_others: int = 40_000
    bank_seed: int = 0
    # Bank captions this close to a held-out caption are left out while measuring.
    caption_leak: float = 0.9
    photo_leak: float = 0.95
    split: SplitConfig = field(default_factory=SplitConfig)
    views: ViewConfig = field(default_factory=ViewConfig)
    pairing: PairingConfig = field(default_factory=PairingConfig)
    rounds: RoundsConfig = field(default_factory=RoundsConfig)
    heads: FitConfig = field(default_factory=lambda: FitConfig(epochs=10, batch=512, head_rate=1e-3, distil=3.0))
    tail: FitConfig = field(
        default_factory=lambda: FitConfig(
            epochs=3, batch=256, head_rate=3e-4, tail_rate=2e-4, text_rate=3e-5, averaging=0.98, distil=1.0
        )
    )
    text: TextTuning = field(
        default_factory=lambda: TextTuning(
            FitConfig(epochs=3, batch=256, head_rate=0.0, tail_rate=6e-5, text_rate=3e-5)
        )
    )


@dataclass(frozen=True)
class Material:
    """Everything computed once and used by both training runs; vectors are unit float32 [*, 384]."""

    folder: Path
    photos: list[Photo]
    cache: ActivationCache
    frozen: FrozenFeatures
    untrained: ImageEncoder
    text_tower: TextTower
    own: TextVectors
    own_texts: list[str]
    bank: Tensor
    bank_texts: list[str]
    centre: Tensor


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
    """Trunk activations, frozen features and text vectors."""
    work.mkdir(parents=True, exist_ok=True)
    photos = load_photos(data)
    vision, text, tokenise = load_vision_tower(), load_text_tower(), Tokeniser()
    cache = ActivationCache(work, [photo.path for photo in photos], recipe.views)
    session = export_trunk(vision, recipe.views.side, work / "trunk.onnx")

    def trunk(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        out: npt.NDArray[np.float32] = session.run(None, {"pixels": pixels})[0]
        return out

    say("trunk activations")
    cache.fill(trunk)
    say("text vectors")
    texts, captions, prompts = own_texts(photos)
    own = TextVectors(embedded(work, text, tokenise, texts), captions, prompts)
    bank_texts = load_caption_bank(data, recipe.bank_others, recipe.bank_seed)
    bank = embedded(work, text, tokenise, bank_texts)
    classes = [f"a photo of {with_article(name)}" for name in load_class_names(data)]
    head = ImageHead(embedded(work, text, tokenise, classes), vision.classifier)
    untrained = ImageEncoder(vision, head).to(memory_format=torch.channels_last)
    say("frozen features")
    frozen = frozen_features(untrained, cache)
    head.set_centres(frozen.whole[0].float(), frozen.parts[0].float())
    return Material(data, photos, cache, frozen, untrained, text, own, texts, bank, bank_texts, bank.mean(0))


def without_leaks(material: Material, split: Split, recipe: Recipe) -> tuple[list[int], list[int]]:
    """Training photos and rows of the bank that do not nearly repeat something held out."""
    if not split.validation:
        return list(split.train), list(range(len(material.bank)))
    features = F.normalize(material.frozen.pooled[0].float(), dim=-1)
    held = features[[*split.validation, *split.distractors]]
    near = (features[list(split.train)] @ held.T).amax(1)
    train = [i for i, s in zip(split.train, near.tolist(), strict=True) if s <= recipe.photo_leak]
    captions = material.own.vectors[[material.own.captions[i][0] for i in split.validation]]
    clean = (material.bank @ captions.T).amax(1) < recipe.caption_leak
    say(f"left out as near repeats: {len(split.train) - len(train)} photos, {int((~clean).sum())} captions")
    return train, clean.nonzero()[:, 0].tolist()


def train_model(material: Material, split: Split, recipe: Recipe) -> Trained:
    """Rounds of heads and pseudo-captions, then the tail, then the text tower; from the same start for any split."""
    train, bank_rows = without_leaks(material, split, recipe)
    training = HeadTraining(
        material.untrained.head,
        material.centre,
        material.frozen,
        train,
        material.own,
        material.bank[bank_rows],
        recipe.pairing,
        recipe.heads,
    )
    heads, agreement = training.run(recipe.rounds, recipe.seed)
    say(f"heads: inverse temperature {heads.scale:.1f}")
    heads_only, heads_text = head_vectors(heads.image, material.frozen), copy.deepcopy(heads.text)
    text_head = heads.text
    encoder = ImageEncoder(copy.deepcopy(material.untrained.tower), heads.image)
    torch.manual_seed(recipe.seed)
    pairing = training.pairs(agreement, recipe.seed + 999)
    lessons = Lessons(pairing, recipe.tail, agreement.teacher, recipe.seed, say)
    scale = fit_tail(encoder, text_head, material.cache, lessons, heads.scale)
    tail_text = copy.deepcopy(text_head)
    images = encoder_vectors(encoder, material.cache, sorted(material.cache.maps)[:2])
    texts = [*material.own_texts, *(material.bank_texts[row] for row in bank_rows)]
    lessons = Lessons(pairing, recipe.text.fit, None, recipe.seed, say)
    tower = fit_text_tower(material.text_tower, text_head, images, texts, lessons, recipe.text, scale)
    return Trained(encoder.eval(), tower, text_head.eval(), tail_text, heads_only, heads_text)


def measured_model(
    material: Material, trained: Trained, split: Split, recipe: Recipe, out: Path, work: Path
) -> tuple[packaging.Packaged, dict[str, Any]]:
    """The files of a model that was trained with photos held out, in ``out``, and their figures."""
    encoder = trained.encoder
    measured = packaging.package(
        out, work / "measured-float", encoder, text_encoder(trained), material.photos, split, recipe.views
    )
    held = packaging.HeldOut(material.photos, split, material.folder, recipe.split.by_source)
    stages = {
        "untrained": (head_vectors(material.untrained.head, material.frozen), TextHead(material.centre)),
        "heads only": (trained.heads_only, trained.heads_text),
        "tail trained": (encoder_vectors(encoder, material.cache), trained.tail_text),
    }
    float_files = packaging.Packaged(work / "measured-float", recipe.views)
    metrics = packaging.measure(measured, float_files, held, stages, material.own)
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
    say(f"training with {len(split.validation)} captioned photos and {len(split.distractors)} others held out")
    trained = train_model(material, split, recipe)
    out = options.out if options.keep_held_out else work / "measured"
    measured, metrics = measured_model(material, trained, split, recipe, out, work)
    say("with photos held out\n" + packaging.summary(metrics))
    held = packaging.HeldOut(material.photos, split, material.folder, recipe.split.by_source)
    curves = packaging.calibrate(measured, held)
    if options.keep_held_out:
        packaging.write_model_json(measured, curves)
    else:
        everything = split_everything(material.photos)
        say(f"training on all {len(everything.train)} photos")
        final = train_model(material, everything, recipe)
        texts, views = text_encoder(final), recipe.views
        files = packaging.package(options.out, work / "float", final.encoder, texts, material.photos, everything, views)
        packaging.write_model_json(files, curves)
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
        "--keep-held-out",
        action="store_true",
        help="write the very model that was measured, not one trained again on everything",
    )
    return parser.parse_args(arguments)


def text_encoder(trained: Trained) -> TextEncoder:
    """A text encoder with its own copy of the tower, so that pruning its vocabulary leaves the other alone."""
    return TextEncoder(copy.deepcopy(trained.text_tower), trained.text_head)


if __name__ == "__main__":
    raise SystemExit(main())
