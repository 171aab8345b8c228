"""The third training stage: the text tower at a low rate, held to what it knew by distillation.

The photos' vectors are fixed by then. A caption learns to lie nearer to its photos, while the tower's own output stays
near what the published tower gave for the same text (Hinton et al., "Distilling the Knowledge in a Neural Network",
2015), so that texts still find texts.
"""

from __future__ import annotations

import copy
import math
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmsearch.adapters.contrastive import soft_targets, symmetric_info_nce
from mmsearch.adapters.schedule import cosine_rate
from recipe.fitting import FitConfig, Lessons
from recipe.joint import TextHead
from recipe.towers import TextTower, Tokeniser, half_where_fast


@dataclass(frozen=True)
class TextTuning:
    """``keep`` weighs the distillation; ``others`` texts a step, drawn from the bank, are only distilled.

    Such a share of the captions is written ``as_asked``.
    """

    fit: FitConfig
    keep: float = 2.0
    others: int = 64
    asked: float = 0.15


# What people put before what they look for.
ASKED = (
    "photo of {}",
    "a photo of {}",
    "photos of {}",
    "picture of {}",
    "pictures of {}",
    "show me {}",
    "find {}",
    "my {}",
    "image of {}",
    "the one with {}",
)


def as_asked(text: str, draw: random.Random) -> str:
    """A caption as somebody asks for the photo: "my dog on the beach", "photo of a dog on the beach"."""
    bare = text.rstrip(". ")
    bare = bare[:1].lower() + bare[1:]
    form = draw.choice(ASKED)
    if form.startswith(("my", "photos", "pictures")):
        bare = re.sub(r"^(a|an|the|some|two|three) ", "", bare)
    return form.format(bare)


def fit_text_tower(
    tower: TextTower,
    text_head: TextHead,
    images: Tensor,
    texts: Sequence[str],
    lessons: Lessons,
    tuning: TextTuning,
    scale: float,
) -> TextTower:
    """A copy of ``tower`` with its layers tuned; ``text_head`` is tuned in place.

    Args:
        images: joint unit vectors of all photos, float32 [photos, d].
        texts: the texts behind the rows of the pairing, in their order.
        scale: inverse temperature, fixed.
    """
    draw, pairing = random.Random(lessons.seed), lessons.pairing
    tuned, tokenise, fit = copy.deepcopy(tower), Tokeniser(), lessons.config
    for parameter in tuned.bert.embeddings.parameters():
        parameter.requires_grad_(False)
    layers = [parameter for parameter in tuned.parameters() if parameter.requires_grad]
    groups = [
        {"params": layers, "lr": fit.tail_rate},
        {"params": [text_head.linear.weight], "lr": fit.text_rate},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.0)
    steps = fit.epochs * pairing.steps(fit.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: cosine_rate(step, steps, fit.warm_up))
    temperature = torch.tensor(scale)
    for epoch in range(fit.epochs):
        started, total, kept, batches = time.monotonic(), 0.0, 0.0, pairing.epoch(fit.batch)
        for batch in batches:
            rows = [pairing.pick(index) for index in batch]
            asked = [as_asked(texts[row], draw) if draw.random() < tuning.asked else texts[row] for row in rows]
            rows += [draw.randrange(len(pairing.own.vectors), len(texts)) for _ in range(tuning.others)]
            original = pairing.vectors[rows]
            pooled = _states(tuned, tokenise, asked + [texts[row] for row in rows[len(batch) :]])
            count = len(batch)
            targets = soft_targets(original[:count], fit.sharpness, fit.own)
            matching = symmetric_info_nce(images[batch], text_head(pooled[:count]), temperature, targets)
            forgetting = 1.0 - (F.normalize(pooled, dim=-1) * original).sum(-1).mean()
            loss = matching + tuning.keep * forgetting
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(matching.detach())
            kept += 1.0 - float(forgetting.detach())
        seconds = time.monotonic() - started
        lessons.log(
            f"text, epoch {epoch + 1}: loss {total / len(batches):.4f}, cosine with the published tower "
            f"{kept / len(batches):.4f}, {seconds:.0f} s"
        )
    tuned.eval()
    return tuned


def _states(tower: TextTower, tokenise: Tokeniser, texts: Sequence[str]) -> Tensor:
    """Mean-pooled states, float32 [n, 384], in order; run in groups of like length, so that little is padding."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    size = math.ceil(len(order) / 4)
    pieces = []
    for start in range(0, len(order), size):
        tokens = tokenise([texts[row] for row in order[start : start + size]])
        with half_where_fast():
            pieces.append(tower(tokens.input_ids, tokens.attention_mask).float())
    back = torch.empty(len(order), dtype=torch.int64)
    back[torch.tensor(order)] = torch.arange(len(order))
    return torch.cat(pieces)[back]
