"""The training folder: photos with captions, labels or nothing, and banks of human captions and names.

The folder's own README and SOURCES describe it; nothing in it is copied into the project.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COCO_CAPTIONS = ("coco_val2017", "coco_karpathy_test_dev", "coco_30k_tjbui", "coco_30k_erasing")
OTHER_CAPTIONS = ("flickr30k_multi30k", "flickr8k", "iaprtc12")
# Sources whose photos are narrow (one kind of thing, or no photo at all): at most this many of each train.
NARROW_CAPS = {
    "memes": 20,
    "receipts-sroie": 15,
    "face-mask": 40,
    "cars": 40,
    "camera-meta": 100,
    "nyu-indoor": 150,
    "houses": 100,
    "pets-sample": 120,
    "ucm-aerial": 60,
    "clothing": 200,
    "grocery": 250,
}
# Sources whose labels name the place or the weather rather than a thing in the picture.
PLACE_SOURCES = frozenset({"sun-scenes"})
WEATHER_PHRASES = {
    "cloudy": ("a cloudy sky", "grey clouds in the sky", "an overcast day"),
    "rain": ("a rainy day", "rain falling", "people with umbrellas in the rain"),
    "sunrise": ("a sunrise", "a sunset", "the sun low over the horizon at dawn"),
    "shine": ("a sunny day with a blue sky", "bright sunshine", "a clear blue sky with white clouds"),
}
# Class names that mean something else, or nothing, to a reader who does not know the set.
LABEL_NAMES = {
    "faces": "the face of a person",
    "faces easy": "the face of a person",
    "background google": "",
    "car side": "car seen from the side",
    "stop sign": "stop sign",
    "ewer": "jug",
    "garfield": "Garfield the cartoon cat",
    "snoopy": "Snoopy the cartoon dog",
    "yin yang": "yin and yang symbol",
    "outwear": "jacket",
    "longsleeve": "long-sleeved shirt",
    "not sure": "",
    "other": "",
    "skip": "",
    "soyghurt": "carton of soy yoghurt",
    "oatghurt": "carton of oat yoghurt",
    "waterfalls": "waterfall",
    "trains": "train",
}
# ``{a}`` is the name with its article where English wants one, ``{n}`` the bare name.
THING_TEMPLATES = ("a photo of {a}", "{a}", "{n}", "a picture of {a}", "a close up of {a}")
PLACE_TEMPLATES = ("a photo of {a}", "{a}", "{n}", "a view of {a}", "a picture taken at {a}")
SPORT_TEMPLATES = ("a photo of {n}", "people doing {n}", "{n}", "a person doing {n}", "a {n} competition")


@dataclass(frozen=True)
class Photo:
    """One photo; ``captions`` are human, ``prompts`` come from its class label, both may be empty."""

    path: Path
    source: str
    captions: tuple[str, ...] = ()
    label: str = ""
    prompts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Split:
    """Indices into the photos: what trains, and what validates (captioned photos, then distractors)."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    distractors: tuple[int, ...]


@dataclass(frozen=True)
class SplitConfig:
    """What is held out; ``by_source`` sources are held out whole and serve zero-shot classification."""

    seed: int = 20
    captioned: int = 400
    distractors: int = 610
    distractor_sources: tuple[str, ...] = ("vn-caption-web", "osie")
    by_source: tuple[str, ...] = ("pacs-photo",)


def label_prompts(label: str, source: str) -> tuple[str, ...]:
    """Sentences that a person could use for a photo with this class label; empty if it says nothing."""
    if source == "weather4":
        return WEATHER_PHRASES.get(label, ())
    name = LABEL_NAMES.get(label.lower(), label.lower().replace("_", " ")).strip()
    if not name:
        return ()
    if source == "sports100":
        templates = SPORT_TEMPLATES
    elif source in PLACE_SOURCES:
        templates = PLACE_TEMPLATES
    else:
        templates = THING_TEMPLATES
    return tuple(template.format(a=with_article(name), n=name) for template in templates)


def with_article(name: str) -> str:
    """ "an apple", "a dog"; plurals, proper names and names with "the" stay bare (a rule of thumb)."""
    plural = name.endswith("s") and not name.endswith(("ss", "us", "is", "bonsai", "seahorse"))
    if plural or name.startswith("the ") or name[0].isupper():
        return name
    return ("an " if name[0] in "aeio" else "a ") + name


def load_photos(folder: Path) -> list[Photo]:
    """Every photo of ``pairs.jsonl``, in its order."""
    photos = []
    with (folder / "pairs.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            label = row.get("label", "")
            photos.append(
                Photo(
                    path=folder / row["file"],
                    source=row["source"],
                    captions=tuple(row.get("captions", ())),
                    label=label,
                    prompts=label_prompts(label, row["source"]) if label else (),
                )
            )
    return photos


def split_photos(photos: Sequence[Photo], config: SplitConfig) -> Split:
    """A seeded split; narrow sources are capped among the training photos."""
    draw = random.Random(config.seed)
    by_source: dict[str, list[int]] = defaultdict(list)
    for index, photo in enumerate(photos):
        by_source[photo.source].append(index)
    for rows in by_source.values():
        draw.shuffle(rows)
    validation = by_source["coco"][: config.captioned]
    distractors: list[int] = []
    share = config.distractors // max(1, len(config.distractor_sources))
    for source in config.distractor_sources:
        distractors += by_source[source][:share]
    held = {*validation, *distractors}
    train: list[int] = []
    for source, rows in by_source.items():
        if source in config.by_source:
            continue
        free = [i for i in rows if i not in held]
        train += free[: NARROW_CAPS.get(source, len(free))]
    return Split(tuple(sorted(train)), tuple(sorted(validation)), tuple(sorted(distractors)))


def split_everything(photos: Sequence[Photo]) -> Split:
    """All photos train, narrow sources capped: for the model that ships, whose recipe was validated."""
    return split_photos(photos, SplitConfig(captioned=0, distractors=0, by_source=()))


def tidy_caption(text: str) -> str:
    """A caption as a person would type it: tokenised spaces before marks removed."""
    text = re.sub(r"\s+([.,!?;:'])", r"\1", text.strip())
    text = re.sub(r"(\w) (n't)\b", r"\1\2", text)
    return re.sub(r"\s+", " ", text)


def read_lines(folder: Path, name: str) -> list[str]:
    """The lines of one text file of the folder."""
    with gzip.open(folder / "text" / f"{name}.txt.gz", "rt", encoding="utf-8") as lines:
        return [line.strip() for line in lines if line.strip()]


def load_caption_bank(folder: Path, others: int, seed: int) -> list[str]:
    """Human captions of photos, tidied, without repetitions: all of COCO's, and ``others`` drawn from the rest.

    COCO's captions speak of everyday scenes with many things in them; the others add people and what they do.
    """
    seen: set[str] = set()

    def fresh(names: Sequence[str]) -> list[str]:
        kept = []
        for caption in (tidy_caption(line) for name in names for line in read_lines(folder, name)):
            key = caption.lower().rstrip(". ")
            if 3 <= len(caption.split()) <= 30 and key not in seen:
                seen.add(key)
                kept.append(caption)
        return kept

    captions, rest = fresh(COCO_CAPTIONS), fresh(OTHER_CAPTIONS)
    return captions + random.Random(seed).sample(rest, min(others, len(rest)))


def load_class_names(folder: Path) -> list[str]:
    """The 1,000 ImageNet class names in the classifier's order."""
    names = json.loads((folder / "imagenet_classes.json").read_text(encoding="utf-8"))
    return [names[str(i)] for i in range(len(names))] if isinstance(names, dict) else list(names)
