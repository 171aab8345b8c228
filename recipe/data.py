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
# Sources that repeat their kind (one sport, one thing, frames of one room): each of their photos is drawn in this share
# of the epochs.
SHARES = {
    "lspet": 0.4,
    "sports100": 0.6,
    "flickrlogos27": 0.5,
    "ccp": 0.5,
    "sun-scenes": 0.7,
    "nyu-indoor": 0.6,
    "houses": 0.5,
    "pets-sample": 0.6,
    "clothing": 0.6,
    "ucm-aerial": 0.3,
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
    """One photo and its texts, each of which may be missing.

    ``captions`` are human; ``by_eye`` are a sentence and what its owner would type to find it; ``prompts`` come from
    its class label.
    """

    path: Path
    source: str
    captions: tuple[str, ...] = ()
    by_eye: tuple[str, ...] = ()
    label: str = ""
    prompts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Split:
    """Indices into the photos: what trains, and what validates.

    ``captioned`` are held-out photos with human captions, ``others`` those of whole sources with captions by eye.
    """

    train: tuple[int, ...]
    captioned: tuple[int, ...]
    others: tuple[int, ...]

    @property
    def held_out(self) -> tuple[int, ...]:
        return (*self.captioned, *self.others)


@dataclass(frozen=True)
class SplitConfig:
    """What is held out: so many photos with human captions, and sources whole.

    ``labelled`` sources serve zero-shot classification.
    """

    seed: int = 20
    captioned: int = 400
    others: tuple[str, ...] = ("osie", "unsplash-web", "bsds500")
    labelled: tuple[str, ...] = ("pacs-photo",)


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
                    by_eye=tuple(row.get("by_eye", ())),
                    label=label,
                    prompts=label_prompts(label, row["source"]) if label else (),
                )
            )
    return photos


def split_photos(photos: Sequence[Photo], config: SplitConfig) -> Split:
    """A seeded split."""
    draw = random.Random(config.seed)
    by_source: dict[str, list[int]] = defaultdict(list)
    for index, photo in enumerate(photos):
        by_source[photo.source].append(index)
    for rows in by_source.values():
        draw.shuffle(rows)
    captioned = by_source["coco"][: config.captioned]
    others = [i for source in config.others for i in by_source[source] if photos[i].by_eye]
    held = {*captioned, *others}
    whole = {*config.others, *config.labelled}
    train = [i for source, rows in by_source.items() if source not in whole for i in rows if i not in held]
    return Split(tuple(sorted(train)), tuple(sorted(captioned)), tuple(sorted(others)))


def split_everything(photos: Sequence[Photo]) -> Split:
    """All photos train."""
    return split_photos(photos, SplitConfig(captioned=0, others=(), labelled=()))


def tidy_caption(text: str) -> str:
    """A caption as a person would type it: tokenised spaces before marks removed."""
    text = re.sub(r"\s+([.,!?;:'])", r"\1", text.strip())
    text = re.sub(r"(\w) (n't)\b", r"\1\2", text)
    return re.sub(r"\s+", " ", text)


def read_lines(folder: Path, name: str) -> list[str]:
    """The lines of one text file of the folder."""
    with gzip.open(folder / "text" / f"{name}.txt.gz", "rt", encoding="utf-8") as lines:
        return [line.strip() for line in lines if line.strip()]


def load_caption_bank(folder: Path, coco: int, others: int, seed: int) -> list[str]:
    """Human captions of photos, tidied, without repetitions: so many of COCO's, and ``others`` drawn from the rest.

    COCO's captions speak of everyday scenes with many things in them; the others add people and what they do.
    """
    seen: set[str] = set()

    def fresh(names: Sequence[str], most: int) -> list[str]:
        kept = []
        for caption in (tidy_caption(line) for name in names for line in read_lines(folder, name)):
            key = caption.lower().rstrip(". ")
            if 3 <= len(caption.split()) <= 30 and key not in seen:
                seen.add(key)
                kept.append(caption)
        return random.Random(seed).sample(kept, min(most, len(kept)))

    return fresh(COCO_CAPTIONS, coco) + fresh(OTHER_CAPTIONS, others)


def load_class_names(folder: Path) -> list[str]:
    """The 1,000 ImageNet class names in the classifier's order."""
    names = json.loads((folder / "imagenet_classes.json").read_text(encoding="utf-8"))
    return [names[str(i)] for i in range(len(names))] if isinstance(names, dict) else list(names)
