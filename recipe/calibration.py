"""The built-in model's calibration: from a cosine to the probability of a match, for photos and notes alike.

Cosines between a caption and its photo, between two captions, and between a question and a paragraph live
on different scales. Each direction gets the mean and deviation of cosines between unrelated things and a
logistic curve over the standardised cosine (Platt, "Probabilistic Outputs for Support Vector Machines",
1999), fitted as if one in a hundred and one candidates were a match; and the cosines of queries that ask for
nothing there is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmsearch.encoding.noise import noise_queries
from mmsearch.encoding.query_bank import QueryBank
from mmsearch.records import Background
from mmsearch.searching.scoring import noise_figures
from recipe.data import Photo, read_lines, tidy_caption

Floats = npt.NDArray[np.float32]
EncodeTexts = Callable[[Sequence[str]], Floats]

UNRELATED_PER_MATCH = 100.0


def fit_curve(matches: Floats, unrelated: Floats, noise: Floats, familiarity: Floats | None = None) -> Background:
    """Weighted logistic regression by Newton's method on one standardised variable.

    Args:
        matches, unrelated: cosines, 1-d.
        noise: cosines of queries that have no match with items, float32 [q, n].
        familiarity: of these queries, float32 [q], where they are texts.
    """
    mean, std = float(unrelated.mean()), float(unrelated.std())
    z = (np.concatenate([matches, unrelated]).astype(np.float64) - mean) / std
    y = np.concatenate([np.ones(len(matches)), np.zeros(len(unrelated))])
    weight = np.where(y > 0, 1.0 / len(matches), UNRELATED_PER_MATCH / len(unrelated))
    design = np.stack([z, np.ones_like(z)], axis=1)
    beta = np.array([1.0, -5.0])
    ridge = np.eye(2) * 1e-6
    for _ in range(100):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -40, 40)))
        gradient = design.T @ (weight * (p - y)) + ridge @ beta
        curvature = (design * (weight * p * (1 - p))[:, None]).T @ design + ridge
        step = np.linalg.solve(curvature, gradient)
        beta -= np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-9:
            break
    slope, offset = float(beta[0]), float(beta[1])
    return Background(mean, std, -offset / slope, slope, *noise_figures(noise, familiarity, std))


@dataclass(frozen=True)
class TextMaterial:
    """Texts for the text-text curve: (query, item) matches, and unrelated queries and items.

    `wordy` items are those that speak of no photo.
    """

    matches: list[tuple[str, str]]
    queries: list[str]
    items: list[str]
    wordy: list[str]


def text_material(folder: Path, seed: int, each: int = 600) -> TextMaterial:
    """Pairs and background from many kinds of text: captions, passages, definitions, names, recipes."""
    draw = random.Random(seed)
    captions = [tidy_caption(line) for line in read_lines(folder, "coco_karpathy_test_dev")]
    rooms = read_lines(folder, "ade20k_description_sequences")
    described = read_lines(folder, "cupl_llm_descriptions")
    definitions = read_lines(folder, "imagenet21k_definitions")
    names = [n for n in read_lines(folder, "openimages_labels") if 1 <= len(n.split()) <= 3]
    titles = read_lines(folder, "recipe_titles") + read_lines(folder, "flickr_landscape_titles")

    matches: list[tuple[str, str]] = []
    # Neighbouring lines of this file describe the same photo four times out of five.
    for _ in range(each):
        i = draw.randrange(len(captions) - 6)
        if shares_word(captions[i], captions[i + 1]):
            matches.append((captions[i], captions[i + 1]))
    # A short query and a paragraph that holds what it asks for.
    passages = [" ".join(captions[i : i + draw.randint(2, 5)]) for i in draw.sample(range(len(captions) - 6), each)]
    paragraphs = [" ".join(described[i : i + draw.randint(2, 6)]) for i in draw.sample(range(len(described) - 6), each)]
    scenes = [" ".join(rooms[i : i + draw.randint(2, 6)]) for i in draw.sample(range(len(rooms) - 6), each)]
    lowered = [(text, f" {text.lower()} ") for text in passages + paragraphs + scenes]
    common = set(names)
    for text, low in lowered:
        words = low.replace(".", " ").replace(",", " ").split()
        grams = {" ".join(words[i : i + n]) for n in (1, 2) for i in range(len(words))}
        found = sorted(gram for gram in grams if gram in common and len(gram) > 2 and words.count(gram.split()[0]) > 1)
        if found:
            matches.append((draw.choice(found), text))
    queries = draw.sample(names, each) + draw.sample(captions, each // 2) + draw.sample(titles, each // 4)
    wordy = draw.sample(definitions, each) + draw.sample(titles, each // 2)
    items = passages + paragraphs + scenes + draw.sample(captions, each) + wordy
    return TextMaterial(matches, queries, items, wordy)


_STOP = frozenset(("a", "an", "the", "his", "her", "its", "it", "two", "is", "are", "and", "while")) | frozenset(
    ("of", "in", "on", "with", "at", "to", "from", "next", "by", "for")
)


def shares_word(one: str, other: str) -> bool:
    """Do two captions share a word that carries meaning?"""

    def words(text: str) -> set[str]:
        return {w.strip(".,!") for w in text.lower().split()} - _STOP

    return bool(words(one) & words(other))


def text_text_curve(encode: EncodeTexts, material: TextMaterial, bank: QueryBank) -> Background:
    """Background for a text query on a note."""
    left = encode([a for a, _ in material.matches])
    right = encode([b for _, b in material.matches])
    items = encode(material.items)
    background = encode(material.queries) @ items.T
    noise = encode(noise_queries())
    return fit_curve((left * right).sum(1), background.ravel()[::7], noise @ items.T, bank.familiarity(noise))


def text_image_curve(
    pairs: Sequence[tuple[Floats, Floats]],
    gallery: Floats,
    labels: Sequence[Sequence[str]],
    noise: Floats,
    familiarity: Floats | None = None,
) -> Background:
    """Background for a text query on a photo.

    Args:
        pairs: per set (queries, images), float32 [n, d] each; row k of one belongs to row k of the other.
        gallery: photos that belong to none of the queries, float32 [m, d].
        labels: per set the class of each row, or nothing; rows of one class are not unrelated.
        noise: cosines of queries that have no match with photos, float32 [q, n].
        familiarity: of these queries, float32 [q].
    """
    right, wrong = [], []
    for (queries, images), classes in zip(pairs, labels, strict=True):
        right.append((queries * images).sum(1))
        cross = queries @ images.T
        names = np.array(classes or [str(i) for i in range(len(queries))])
        wrong.append(cross[names[:, None] != names[None, :]])
        if not classes:
            wrong.append((queries @ gallery.T).ravel())
    return fit_curve(np.concatenate(right), np.concatenate(wrong), noise, familiarity)


def image_image_curve(views: Floats, others: Floats, vectors: Floats, photos: Sequence[Photo], seed: int) -> Background:
    """Background for a photo on a photo: the same scene shown differently, or another of its class.

    Args:
        views, others: the same photos whole and cropped, float32 [n, d].
        vectors: labelled photos, float32 [m, d]; ``photos`` their rows.
    """
    draw = random.Random(seed)
    by_label: dict[tuple[str, str], list[int]] = {}
    for row, photo in enumerate(photos):
        by_label.setdefault((photo.source, photo.label), []).append(row)
    pairs = []
    for rows in by_label.values():
        if len(rows) > 1:
            pairs += [tuple(draw.sample(rows, 2)) for _ in range(min(len(rows), 12))]
    a, b = np.array(pairs).T
    right = np.concatenate([(views * others).sum(1), (vectors[a] * vectors[b]).sum(1)])
    cross = views @ views.T
    return fit_curve(right, cross[~np.eye(len(cross), dtype=bool)], _across_classes(vectors, photos, draw))


def _across_classes(vectors: Floats, photos: Sequence[Photo], draw: random.Random, others: int = 100) -> Floats:
    """Cosines of each photo with as many photos of other classes of its source, float32 [m, others]."""
    classes = [(photo.source, photo.label) for photo in photos]
    rows = []
    for row, own in enumerate(classes):
        strange = [other for other, name in enumerate(classes) if name[0] == own[0] and name != own]
        if len(strange) >= others:
            rows.append(vectors[draw.sample(strange, others)] @ vectors[row])
    return np.stack(rows)
