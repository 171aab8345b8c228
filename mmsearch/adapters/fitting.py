"""Trains an adapter on vectors: contrastive learning of two low-rank maps, on a processor in seconds.

Symmetric InfoNCE by default: CLIP (Radford et al., 2021), NT-Xent (Chen et al., SimCLR, 2020); where several texts of a
batch are right for a photo, they share its target (Khosla et al., "Supervised Contrastive Learning", 2020).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsearch.adapters.contrastive import symmetric_info_nce
from mmsearch.adapters.margins import contrastive_margin, hardest_triplets
from mmsearch.adapters.recipe import FEWEST_PHOTOS, AdapterRecipe, AdapterReport, Epoch, TrainingLoss
from mmsearch.adapters.schedule import cosine_rate
from mmsearch.encoding.adapted import Adapter, LowRankMap
from mmsearch.encoding.query_bank import QueryBank
from mmsearch.errors import Invalid
from mmsearch.evaluation.embedding import EmbeddedDataset, Integers
from mmsearch.evaluation.metrics import average_precision, estimate, hit_at, relevant_ranks
from mmsearch.evaluation.retrieval import flags, same_text, together
from mmsearch.records import Background, Calibration, FloatMatrix, Modality, Progress
from mmsearch.searching import scoring

COUNTED = 10
# What a dataset of photos with captions or labels can train maps for.
MOVED: tuple[Modality, ...] = ("image", "text")
_START_SCALE = 20.0
_LARGEST_SCALE = 100.0
_WARM_UP = 0.1
_SAMPLE_ROWS = 2_000
_NEARLY_THE_SAME = 0.95
_FEWEST_PAIRS = 1_000
_QUERIES_AT_ONCE = 256


@dataclass(frozen=True)
class TrainingPairs:
    """What trains: photos `images` float32 [n, d] and texts `texts` float32 [m, d], as the model made them.

    Text t is right for the photos `photos_of[meaning[t]]`; `own[i]` are the texts of photo i. `by_class`
    bool [m] marks class names, whose right photos are all of the class.
    """

    images: FloatMatrix
    texts: FloatMatrix
    meaning: Integers
    photos_of: tuple[Integers, ...]
    own: tuple[Integers, ...]
    by_class: npt.NDArray[np.bool_]

    def right(self, rows: Integers) -> npt.NDArray[np.bool_]:
        """Which photos are right for those texts, bool [len(rows), n]."""
        return flags([self.photos_of[one] for one in self.meaning[rows]], len(self.images))


@dataclass(frozen=True)
class Parts:
    """Photos, as rows: those that train, those that stop the training, and those that judge it."""

    train: Integers
    stop: Integers
    judge: Integers


class ResidualMaps(nn.Module):
    """A low-rank residual map for pictures and one for texts, which start as doing nothing."""

    def __init__(self, dimension: int, rank: int) -> None:
        super().__init__()
        self.down = nn.ParameterDict({one: nn.Parameter(torch.randn(dimension, rank) * 0.02) for one in MOVED})
        self.up = nn.ParameterDict({one: nn.Parameter(torch.zeros(rank, dimension)) for one in MOVED})
        self.log_scale = nn.Parameter(torch.tensor(math.log(_START_SCALE)))

    def forward(self, vectors: Tensor, modality: Modality) -> Tensor:
        """Unit vectors float [n, d] of unit vectors float [n, d]."""
        return F.normalize(vectors + vectors @ self.down[modality] @ self.up[modality], dim=-1)

    def frozen(self) -> dict[Modality, LowRankMap]:
        """The maps as they are now, for numpy."""
        return {
            one: LowRankMap(self.down[one].detach().numpy().copy(), self.up[one].detach().numpy().copy())
            for one in MOVED
        }


def fit_adapter(
    dataset: EmbeddedDataset,
    recipe: AdapterRecipe,
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> tuple[dict[Modality, LowRankMap], AdapterReport]:
    """The maps of the best epoch (of the last one, where none was better than no adapter), and how it went.

    Raises:
        Invalid: there are too few photos with captions or labels.
    """
    started = time.monotonic()
    material = _material(dataset)
    parts = _split(material, recipe)
    torch.manual_seed(recipe.seed)
    draw = np.random.default_rng(recipe.seed)
    maps = ResidualMaps(material.images.shape[1], recipe.rank)
    history = [_epoch(0, None, held_out_ranks(material, parts.stop, None))]
    on_progress(Progress("training", 0, recipe.epochs, "epochs"))
    best, kept, last = 0, maps.frozen(), maps.frozen()
    for number, loss in enumerate(_epochs(maps, material, parts.train, recipe, draw), start=1):
        last = maps.frozen()
        history.append(_epoch(number, loss, held_out_ranks(material, parts.stop, last)))
        on_progress(Progress("training", number, recipe.epochs, "epochs"))
        if history[-1].better_than(history[best]):
            best, kept = number, last
        elif number - best >= recipe.patience:
            break
    chosen = kept if best else last
    ranks = [held_out_ranks(material, parts.judge, None), held_out_ranks(material, parts.judge, chosen)]
    base, adapted = (hit_at(one, COUNTED) for one in ranks)
    base_map, adapted_map = (estimate(average_precision(one)) for one in ranks)
    report = AdapterReport(
        label="",
        model=dataset.model,
        photos=len(material.images),
        trained_on=len(parts.train),
        judged_on=len(parts.judge),
        seconds=time.monotonic() - started,
        unreadable=len(dataset.unreadable),
        best_epoch=best,
        kept_epoch=best or history[-1].number,
        base=estimate(base),
        adapted=estimate(adapted),
        difference=estimate(adapted - base),
        base_map=base_map,
        adapted_map=adapted_map,
        history=tuple(history),
    )
    return chosen, report


def held_out_ranks(
    material: TrainingPairs, photos: Integers, maps: dict[Modality, LowRankMap] | None
) -> list[npt.NDArray[np.int64]]:
    """Per text of these photos, the ranks of the photos that are right, among all photos.

    The other photos of a class, which have trained it, are left out when its name is asked for.
    """
    images = material.images if maps is None else maps["image"](material.images)
    texts = material.texts if maps is None else maps["text"](material.texts)
    asked = np.unique(np.concatenate([material.own[photo] for photo in photos]))
    held_out = np.zeros(len(images), bool)
    held_out[photos] = True
    ranks = []
    for start in range(0, len(asked), _QUERIES_AT_ONCE):
        rows = asked[start : start + _QUERIES_AT_ONCE]
        right = material.right(rows)
        seen = right & ~held_out & material.by_class[rows, None]
        ranks += relevant_ranks(texts[rows] @ images.T, right, seen)
    return ranks


def _epoch(number: int, loss: float | None, ranks: list[npt.NDArray[np.int64]]) -> Epoch:
    return Epoch(number, loss, float(hit_at(ranks, COUNTED).mean()), float(average_precision(ranks).mean()))


def moved_calibration(
    known: Calibration, maps: dict[Modality, LowRankMap], dataset: EmbeddedDataset, noise: FloatMatrix
) -> Calibration:
    """The model's calibration, moved and stretched as the cosines of unrelated pairs and of nonsense were.

    Args:
        noise: `noise_vectors` of the model, float32 [q, d].
    """
    chance = np.random.default_rng(0)
    sampled: dict[Modality, FloatMatrix] = {
        "image": dataset.images[chance.permutation(len(dataset.images))[:_SAMPLE_ROWS]],
        # Random words too: a dataset may have a handful of class names and no captions.
        "text": np.concatenate([dataset.texts[chance.permutation(len(dataset.texts))[:_SAMPLE_ROWS]], noise]),
    }
    moved = {}
    for (asked, answering), curve in known.items():
        ask, answer = maps[asked], maps[answering]
        bank = dataset.query_bank if (asked, answering) == ("text", "image") else None
        mean, stretch = _change(sampled[asked], sampled[answering], ask, answer, bank)
        shift, spread = mean, stretch
        if asked == "text":
            shift, spread = _change(noise, sampled[answering], ask, answer, bank)
        moved[asked, answering] = replace(
            curve,
            mean=curve.mean + mean,
            std=curve.std * stretch,
            noise_mean=curve.noise_mean + shift,
            noise_std=curve.noise_std * spread,
            noise_familiarity=_moved_familiarity(curve, noise, ask, dataset.query_bank),
        )
    return moved


def _moved_familiarity(curve: Background, noise: FloatMatrix, ask: LowRankMap, bank: QueryBank | None) -> float | None:
    """The familiarity of nonsense among texts that a map has moved."""
    if curve.noise_familiarity is None or bank is None:
        return None
    return float(replace(bank, vectors=ask(bank.vectors)).familiarity(ask(noise)).mean())


def _change(
    queries: FloatMatrix, items: FloatMatrix, ask: LowRankMap, answer: LowRankMap, bank: QueryBank | None
) -> tuple[float, float]:
    """By how much the mean of their cosines moves, and by what factor the deviation grows, within bounds.

    With a query bank these are cosines that are corrected for hubs.

    What is nearly the same (a row and itself, captions that repeat) is no unrelated pair and is left out.
    """
    before = queries @ items.T
    unrelated = before < _NEARLY_THE_SAME
    if unrelated.sum() < _FEWEST_PAIRS:
        return 0.0, 1.0
    after = ask(queries) @ answer(items).T
    if bank is not None:
        before = before + bank.numbers(items)
        after += replace(bank, vectors=ask(bank.vectors)).numbers(answer(items))
    first, second = before[unrelated], after[unrelated]
    stretch = float(second.std()) / max(1e-6, float(first.std()))
    return float(second.mean() - first.mean()), min(2.0, max(0.5, stretch))


def _epochs(
    maps: ResidualMaps, material: TrainingPairs, train: Integers, recipe: AdapterRecipe, draw: np.random.Generator
) -> Iterator[float]:
    """Trains an epoch at each step; yields its mean loss."""
    decayed = [*maps.down.values(), *maps.up.values()]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": [maps.log_scale], "weight_decay": 0.0}],
        lr=recipe.rate,
    )
    batch = min(recipe.batch, len(train))
    steps = recipe.epochs * (len(train) // batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: cosine_rate(step, steps, _WARM_UP))
    images, texts = torch.from_numpy(material.images), torch.from_numpy(material.texts)
    for _ in range(recipe.epochs):
        order = draw.permutation(train)
        losses = []
        for start in range(0, len(order) - batch + 1, batch):
            photos = order[start : start + batch]
            rows = np.array([draw.choice(material.own[photo]) for photo in photos])
            positive = torch.from_numpy(material.right(rows)[:, photos].T.copy())
            loss = _loss(maps, images[photos], texts[rows], positive, recipe)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            with torch.no_grad():
                maps.log_scale.clamp_(max=math.log(_LARGEST_SCALE))
            losses.append(float(loss.detach()))
        yield float(np.mean(losses))


def _loss(maps: ResidualMaps, images: Tensor, texts: Tensor, positive: Tensor, recipe: AdapterRecipe) -> Tensor:
    image, text = maps(images, "image"), maps(texts, "text")
    if recipe.loss is TrainingLoss.TRIPLET:
        return hardest_triplets(image, text, positive, recipe.margin)
    if recipe.loss is TrainingLoss.MARGIN:
        return contrastive_margin(image, text, positive, recipe.margin)
    targets = positive.float() / positive.sum(dim=1, keepdim=True)
    return symmetric_info_nce(image, text, maps.log_scale.exp(), targets)


def _material(dataset: EmbeddedDataset) -> TrainingPairs:
    """Captions and class names as one list of texts."""
    meaning = same_text(dataset.captions)
    meanings = int(meaning.max()) + 1 if len(meaning) else 0
    photos, classes = len(dataset.images), len(dataset.classes)
    labelled = np.flatnonzero(dataset.labels >= 0)
    # The photos of each text, then those of each class.
    photos_of = together(meaning, dataset.owners) if meanings else []
    photos_of += [np.flatnonzero(dataset.labels == one) for one in range(classes)]
    own: list[list[int]] = [[] for _ in range(photos)]
    for row, owner in enumerate(dataset.owners):
        own[owner].append(row)
    for photo in labelled:
        own[photo].append(len(dataset.captions) + int(dataset.labels[photo]))
    texts = np.concatenate([dataset.texts, dataset.class_texts])
    return TrainingPairs(
        images=dataset.images,
        texts=texts,
        meaning=np.concatenate([meaning, meanings + np.arange(classes)]),
        photos_of=tuple(photos_of),
        own=tuple(np.array(rows, np.int64) for rows in own),
        by_class=np.arange(len(texts)) >= len(dataset.captions),
    )


def _split(material: TrainingPairs, recipe: AdapterRecipe) -> Parts:
    useful = np.array([photo for photo, rows in enumerate(material.own) if len(rows)], np.int64)
    if len(useful) < FEWEST_PHOTOS:
        raise Invalid(
            f"There are only {len(useful)} photos with captions or labels; an adapter needs {FEWEST_PHOTOS} or more."
        )
    order = np.random.default_rng(recipe.seed).permutation(useful)
    held = max(2, round(recipe.hold_out * len(order)))
    return Parts(train=order[held:], stop=order[: held // 2], judge=order[held // 2 : held])


def trained_adapter(
    name: str,
    version: int,
    model_fingerprint: str,
    maps: dict[Modality, LowRankMap],
    known: Calibration | None,
    dataset: EmbeddedDataset,
    noise: FloatMatrix,
) -> Adapter:
    """The maps under their name, with the calibration that goes with them."""
    texts = np.concatenate([dataset.texts, dataset.class_texts])
    curves = known or scoring.measured({"image": dataset.images, "text": texts}, {"image": dataset.hub_numbers()})
    return Adapter(name, version, model_fingerprint, maps, moved_calibration(curves, maps, dataset, noise))
