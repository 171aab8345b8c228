"""Both towers together, from pixels: what a GPU has time for and a processor has not.

The stages before it train the tail of the image tower on activations that were computed once, and then the text tower
against vectors that stand still. Here all layers of the image tower learn, the lower ones slower (Clark et al.,
"ELECTRA", 2020), and those of the text tower beside them, held to what the published tower gives for the same text.
"""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsearch.adapters.contrastive import distribution_distillation, soft_targets, symmetric_info_nce
from mmsearch.adapters.schedule import cosine_rate
from recipe.fitting import MAX_SCALE, Teacher, trainable
from recipe.joint import ImageEncoder, TextHead
from recipe.pairing import Pairing
from recipe.pixels import Pixels, Shown
from recipe.text_tuning import as_asked
from recipe.towers import TextTower, Tokeniser

# Texts of photos are short; what is longer is cut.
MOST_TOKENS = 48


@dataclass(frozen=True)
class WholeConfig:
    """One run. Rates are AdamW's, that of the tower its topmost layer's; the last block of the tower is left out for
    ``left_out`` of the photos, those before it the less the lower they are.
    """

    epochs: int
    batch: int = 512
    head_rate: float = 4e-4
    tower_rate: float = 4e-4
    layer_decay: float = 0.85
    text_rate: float = 1e-4
    weight_decay: float = 0.05
    warm_up: float = 0.08
    averaging: float = 0.99
    own: float = 0.6
    sharpness: float = 25.0
    distil: float = 1.0
    distil_texts: int = 2048
    left_out: float = 0.0
    keep: float = 2.0
    asked: float = 0.15
    shown: Shown = field(default_factory=Shown)


def halved(device: str) -> torch.autocast:
    """Products in bfloat16 on a GPU."""
    return torch.autocast(device, torch.bfloat16, enabled=device == "cuda")


class Words:
    """Texts with their tokens, and what the published tower gives for them: ``published`` float32 [m, 384], unit."""

    def __init__(self, texts: Sequence[str], tokenise: Tokeniser, tower: TextTower, device: str) -> None:
        self.texts, self.tokenise, self.device = list(texts), tokenise, device
        self.rows = self._tokens(self.texts)
        with torch.no_grad():
            self.published = F.normalize(self.states(tower, self.rows), dim=-1)

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        rows = [one.ids for one in self.tokenise.inner.encode_batch(list(texts))]
        return [ids if len(ids) <= MOST_TOKENS else [*ids[: MOST_TOKENS - 1], ids[-1]] for ids in rows]

    def asked(self, row: int, draw: random.Random) -> list[int]:
        """The tokens of a text as somebody asks for the photo."""
        return self._tokens([as_asked(self.texts[row], draw)])[0]

    def states(self, tower: TextTower, rows: Sequence[list[int]], most: int = 1024) -> Tensor:
        """Mean-pooled states float32 [n, 384], in order; run in groups of like length, so that little is padding."""
        order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
        pieces = []
        for start in range(0, len(order), most):
            ids, mask = self._padded([rows[row] for row in order[start : start + most]])
            with halved(self.device):
                pieces.append(tower(ids, mask).float())
        back = torch.empty(len(order), dtype=torch.int64)
        back[torch.tensor(order)] = torch.arange(len(order))
        return torch.cat(pieces)[back.to(self.device)]

    def _padded(self, rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Ids and mask, int64 [n, t]."""
        lengths = np.array([len(row) for row in rows])
        mask = np.arange(lengths.max())[None, :] < lengths[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
        return torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).long().to(self.device)


@dataclass(frozen=True)
class Model:
    """An image encoder, a text tower and its head, and their inverse temperature."""

    encoder: ImageEncoder
    text_tower: TextTower
    text_head: TextHead
    scale: float

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        return self.encoder, self.text_tower, self.text_head


@torch.no_grad()
def averaged(models: Sequence[Model], shares: Sequence[float]) -> Model:
    """The model whose weights are the weighted mean of theirs (Wortsman et al., "Model soups", 2022)."""
    mean = copy.deepcopy(models[0])
    for kept, *members in zip(mean.modules, *(model.modules for model in models), strict=True):
        for weight, *values in zip(kept.parameters(), *(member.parameters() for member in members), strict=True):
            weight.copy_(sum(share * value for share, value in zip(shares, values, strict=True)))
    scale = sum(share * model.scale for share, model in zip(shares, models, strict=True))
    return Model(mean.encoder, mean.text_tower, mean.text_head, scale)


@dataclass(frozen=True)
class Lesson:
    """What a run learns from."""

    pixels: Pixels
    words: Words
    pairing: Pairing
    teacher: Teacher
    config: WholeConfig
    seed: int
    log: Callable[[str], None]


@torch.no_grad()
def image_vectors(encoder: ImageEncoder, pixels: Pixels) -> Tensor:
    """Joint unit vectors of all photos as the engine shows them, float32 [n, 384]."""
    encoder.eval()
    device = pixels.whole.device
    out = []
    for rows in torch.arange(len(pixels.whole), device=device).split(512):
        with halved(device.type):
            shown = pixels.shown_whole(rows).contiguous(memory_format=torch.channels_last)
            out.append(encoder.from_activations(encoder.tower.trunk(shown)).float())
    return F.normalize(torch.cat(out), dim=-1)


@torch.no_grad()
def text_vectors(model: Model, words: Words) -> Tensor:
    """Joint unit vectors of all texts, float32 [m, 384]."""
    vectors: Tensor = model.text_head(words.states(model.text_tower, words.rows))
    return vectors


def _groups(model: Model, config: WholeConfig, with_texts: bool) -> list[dict[str, Any]]:
    """What learns, and how fast. The embeddings of words, the class matrix and the centres stay."""
    tower, head = model.encoder.tower, model.encoder.head
    top = [*tower.top.parameters(), *head.classifier.parameters()]
    layers = [[*block.parameters()] for block in (tower.stem, *tower.trunk_blocks, *tower.tail_blocks)] + [top]
    groups: list[dict[str, Any]] = [
        {"params": layer, "lr": config.tower_rate * config.layer_decay**depth, "weight_decay": 0.0}
        for depth, layer in enumerate(reversed(layers))
    ]
    groups.append({"params": trainable(head), "lr": config.head_rate, "weight_decay": config.weight_decay})
    if with_texts:
        embeddings = {id(p) for p in model.text_tower.bert.embeddings.parameters()}
        of_texts = [p for p in model.text_tower.parameters() if id(p) not in embeddings]
        of_texts.append(model.text_head.linear.weight)
        groups.append({"params": of_texts, "lr": config.text_rate, "weight_decay": 0.0})
    return groups


def fit_whole(start: Model, lesson: Lesson, with_texts: bool = True) -> Model:
    """A copy of a model, trained; its weights are averaged over the steps. Without texts only its image side learns."""
    config, draw, device = lesson.config, random.Random(lesson.seed), lesson.words.device
    torch.manual_seed(lesson.seed)
    model, shadow = copy.deepcopy(start), copy.deepcopy(start)
    model.encoder.train()
    model.encoder.tower.leave_out(config.left_out)
    log_scale = nn.Parameter(torch.tensor(math.log(start.scale), device=device))
    groups = _groups(model, config, with_texts)
    trained = [p for group in groups for p in group["params"]]
    for module in model.modules:
        module.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    if with_texts:
        groups.append({"params": [log_scale], "lr": config.head_rate, "weight_decay": 0.0})
    optimiser = torch.optim.AdamW(groups)
    steps = config.epochs * lesson.pairing.steps(config.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: cosine_rate(step, steps, config.warm_up))
    kept, now = _pairs(shadow, model)
    done = 0
    for epoch in range(config.epochs):
        started, losses = time.monotonic(), []
        for batch in lesson.pairing.epoch(config.batch):
            loss = _loss(model, lesson, batch, log_scale.exp(), draw)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            schedule.step()
            done += 1
            with torch.no_grad():
                log_scale.clamp_(max=math.log(MAX_SCALE))
                torch._foreach_lerp_(kept, now, 1 - min(config.averaging, (1 + done) / (10 + done)))
            losses.append(loss.detach())
        mean = float(torch.stack(losses).mean())
        lesson.log(f"epoch {epoch + 1}: loss {mean:.4f}, {time.monotonic() - started:.1f} s")
    for module in shadow.modules:
        module.eval()
    return Model(shadow.encoder, shadow.text_tower, shadow.text_head, float(log_scale.detach().exp()))


def _pairs(shadow: Model, model: Model) -> tuple[list[Tensor], list[Tensor]]:
    """The weights that learn: in the averaged model, and in the one that is trained."""
    pairs = [
        (kept.data, now.data)
        for a, b in zip(shadow.modules, model.modules, strict=True)
        for kept, now in zip(a.parameters(), b.parameters(), strict=True)
        if now.requires_grad
    ]
    return [kept for kept, _ in pairs], [now for _, now in pairs]


def _loss(model: Model, lesson: Lesson, batch: list[int], scale: Tensor, draw: random.Random) -> Tensor:
    """Matching of photos and their texts, the teacher's choice among other texts, and what the text tower forgets."""
    config, words, teacher = lesson.config, lesson.words, lesson.teacher
    rows = torch.tensor(batch, device=words.device)
    with halved(words.device):
        shown = lesson.pixels.views(rows, config.shown).contiguous(memory_format=torch.channels_last)
        images = F.normalize(model.encoder.from_activations(model.encoder.tower.trunk(shown)).float(), dim=-1)
    picks = [lesson.pairing.pick(photo) for photo in batch]
    others = teacher.taught[torch.randint(len(teacher.taught), (config.distil_texts,))].tolist()
    tokens = [words.asked(row, draw) if draw.random() < config.asked else words.rows[row] for row in picks]
    states = words.states(model.text_tower, tokens + [words.rows[row] for row in others])
    texts, original = model.text_head(states), words.published[picks + others]
    count = len(batch)
    targets = soft_targets(original[:count], config.sharpness, config.own)
    matching = symmetric_info_nce(images, texts[:count], scale, targets)
    expected = teacher.scale * teacher.images[rows] @ teacher.texts[others].T
    taught = distribution_distillation(scale * images @ texts[count:].T, expected)
    forgetting = 1.0 - (F.normalize(states, dim=-1) * original).sum(-1).mean()
    return matching + config.distil * taught + config.keep * forgetting
