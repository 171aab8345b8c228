"""The two training stages: heads on frozen features, then the image tower's tail with the heads."""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsearch.adapters.contrastive import distribution_distillation, soft_targets, symmetric_info_nce
from mmsearch.adapters.schedule import cosine_rate
from recipe.features import ActivationCache
from recipe.joint import ImageEncoder, ImageHead, TextHead, pool
from recipe.pairing import Pairing
from recipe.towers import CLASSES, POOLED

MAX_SCALE = 60.0
Log = Callable[[str], None]


@dataclass(frozen=True)
class FitConfig:
    """One stage. Rates are AdamW's; ``own`` and ``sharpness`` are those of the soft targets."""

    epochs: int
    batch: int
    head_rate: float
    tail_rate: float = 0.0
    text_rate: float = 1e-4
    weight_decay: float = 0.05
    warm_up: float = 0.1
    start_scale: float = 20.0
    own: float = 0.6
    sharpness: float = 25.0
    # Exponential moving average of the weights (Polyak & Juditsky, 1992); 0 switches it off.
    averaging: float = 0.0
    # Weight of the distillation from a teacher, if there is one, over this many texts a step.
    distil: float = 0.0
    distil_texts: int = 2048
    # A block of the tail learns at so much of the rate of the block behind it (Clark et al., "ELECTRA", 2020).
    layer_decay: float = 1.0


@dataclass(frozen=True)
class FrozenFeatures:
    """What the heads see of every photo while the tower is frozen, float16 [views, photos, *]."""

    pooled: Tensor
    whole: Tensor
    parts: Tensor

    def rows(self, views: Tensor, photos: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pooled features and both probabilities, float32 [n, *]: photo ``photos[k]`` in view ``views[k]``."""
        return (
            self.pooled[views, photos].float(),
            self.whole[views, photos].float(),
            self.parts[views, photos].float(),
        )


@dataclass(frozen=True)
class Teacher:
    """What a student's similarities are held to: joint unit vectors of all photos and of all texts of the pairing.

    ``images`` float32 [photos, d], ``texts`` float32 [m, d], of which the ``taught`` rows are asked about, int64 [k];
    ``scale`` is the inverse temperature of its softmax.
    """

    images: Tensor
    texts: Tensor
    taught: Tensor
    scale: float


@dataclass(frozen=True)
class Lessons:
    """What a stage learns from, and how: pairs, settings, a teacher if there is one, and where it reports."""

    pairing: Pairing
    config: FitConfig
    teacher: Teacher | None
    seed: int
    log: Log


@torch.no_grad()
def frozen_features(encoder: ImageEncoder, cache: ActivationCache, views: int) -> FrozenFeatures:
    """Pooled features and class probabilities of all photos in the first so many views."""
    encoder.eval()
    count = len(cache.paths)
    columns = [torch.empty(views, count, size, dtype=torch.float16) for size in (POOLED, CLASSES, CLASSES)]
    for view in range(views):
        for start in range(0, count, 128):
            rows = list(range(start, min(count, start + 128)))
            pooled, regions = pool(encoder.tower.tail(cache.rows(rows, [view] * len(rows))))
            for column, values in zip(columns, (pooled, *encoder.head.chances(pooled, regions)), strict=True):
                column[view, start : start + len(rows)] = values
    return FrozenFeatures(*columns)


@torch.no_grad()
def head_vectors(head: ImageHead, features: FrozenFeatures, views: Sequence[int] = (0,)) -> Tensor:
    """Joint unit vectors of all photos from frozen features, averaged over views, float32 [photos, 384]."""
    head.eval()
    photos = torch.arange(features.pooled.shape[1])
    vectors = [F.normalize(head(*features.rows(torch.full_like(photos, view), photos)), dim=-1) for view in views]
    return F.normalize(torch.stack(vectors).sum(0), dim=-1)


@torch.no_grad()
def encoder_vectors(encoder: ImageEncoder, cache: ActivationCache, views: Sequence[int] = (0,)) -> Tensor:
    """Joint unit vectors of all photos through the tail, averaged over views, float32 [photos, 384]."""
    encoder.eval()
    out = torch.zeros(len(cache.paths), encoder.head.out.out_features)
    for view in views:
        for start in range(0, len(out), 128):
            rows = list(range(start, min(len(out), start + 128)))
            out[rows] += encoder.from_activations(cache.rows(rows, [view] * len(rows)))
    return F.normalize(out, dim=-1)


def _run(
    groups: list[dict[str, Any]],
    averaged: Sequence[nn.Module],
    vectors: Callable[[list[int]], Tensor],
    text_head: TextHead,
    lessons: Lessons,
    scale: float,
) -> float:
    """The loop both stages share; returns the learned inverse temperature."""
    pairing, config, teacher = lessons.pairing, lessons.config, lessons.teacher
    log_scale = nn.Parameter(torch.tensor(math.log(scale)))
    groups = [*groups, {"params": [log_scale], "lr": config.head_rate, "weight_decay": 0.0}]
    groups.append({"params": [text_head.linear.weight], "lr": config.text_rate, "weight_decay": 0.0})
    optimiser = torch.optim.AdamW(groups)
    steps = config.epochs * pairing.steps(config.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: cosine_rate(step, steps, config.warm_up))
    shadows = [copy.deepcopy(module) for module in averaged] if config.averaging else []
    done = 0
    for epoch in range(config.epochs):
        started, total, batches = time.monotonic(), 0.0, pairing.epoch(config.batch)
        for batch in batches:
            original = torch.stack([pairing.text(i) for i in batch])
            targets = soft_targets(original, config.sharpness, config.own)
            images = vectors(batch)
            loss = symmetric_info_nce(images, text_head(original), log_scale.exp(), targets)
            if teacher is not None:
                texts = teacher.taught[torch.randint(len(teacher.taught), (config.distil_texts,))]
                expected = teacher.scale * teacher.images[batch] @ teacher.texts[texts].T
                given = log_scale.exp() * images @ text_head(pairing.vectors[texts]).T
                loss = loss + config.distil * distribution_distillation(given, expected)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            done += 1
            with torch.no_grad():
                log_scale.clamp_(max=math.log(MAX_SCALE))
                # Early averages would keep the start alive; let the window grow with the steps.
                decay = min(config.averaging, (1 + done) / (10 + done))
                for shadow, module in zip(shadows, averaged, strict=False):
                    for kept, now in zip(shadow.parameters(), module.parameters(), strict=True):
                        kept.lerp_(now, 1 - decay)
            total += float(loss.detach())
        lessons.log(f"epoch {epoch + 1}: loss {total / len(batches):.4f}, {time.monotonic() - started:.0f} s")
    for shadow, module in zip(shadows, averaged, strict=False):
        module.load_state_dict(shadow.state_dict())
    return float(log_scale.detach().exp())


def trainable(head: ImageHead) -> list[nn.Parameter]:
    """The head without its class matrix, classifier and centres, which keep the published knowledge."""
    frozen = {id(p) for p in (*head.classifier.parameters(), head.classes, head.centre, head.region_centre)}
    return [p for p in head.parameters() if id(p) not in frozen]


def fit_heads(head: ImageHead, text_head: TextHead, features: FrozenFeatures, lessons: Lessons) -> float:
    """Stage one: both towers frozen, each photo in a view drawn at random."""
    head.train()
    views, config = len(features.pooled), lessons.config

    def vectors(batch: list[int]) -> Tensor:
        return F.normalize(head(*features.rows(torch.randint(views, (len(batch),)), torch.tensor(batch))), dim=-1)

    groups = [{"params": trainable(head), "lr": config.head_rate, "weight_decay": config.weight_decay}]
    scale = _run(groups, [head], vectors, text_head, lessons, config.start_scale)
    head.eval()
    return scale


def fit_tail(
    encoder: ImageEncoder,
    text_head: TextHead,
    cache: ActivationCache,
    lessons: Lessons,
    scale: float,
) -> float:
    """Stage two: the tower's tail, its classifier at the same low rate, and the heads."""
    draw, config = random.Random(lessons.seed), lessons.config
    encoder.train()
    # What is searched is the whole picture: it is shown twice as often as each crop.
    views = [0, *sorted(cache.maps)]

    def vectors(batch: list[int]) -> Tensor:
        return encoder.from_activations(cache.rows(batch, [draw.choice(views) for _ in batch]))

    tower = encoder.tower
    top = [*tower.top.parameters(), *encoder.head.classifier.parameters()]
    layers = [[*block.parameters()] for block in tower.tail_blocks] + [top]
    groups = [
        {"params": layer, "lr": config.tail_rate * config.layer_decay**depth, "weight_decay": 0.0}
        for depth, layer in enumerate(reversed(layers))
    ]
    groups += [
        {"params": trainable(encoder.head), "lr": config.head_rate, "weight_decay": config.weight_decay},
    ]
    averaged = [tower.tail_blocks, tower.top, encoder.head]
    scale = _run(groups, averaged, vectors, text_head, lessons, scale)
    encoder.eval()
    return scale
