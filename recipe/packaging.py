"""The trained encoders as the files that ship, and the figures measured on exactly those files."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from mmsearch.encoding.calibration import as_json
from mmsearch.encoding.noise import noise_queries
from mmsearch.encoding.query_bank import QueryBank, bank_texts, constants, packed, unpacked
from mmsearch.records import Calibration
from mmsearch.searching.scoring import noise_figures
from recipe import calibration
from recipe.data import Photo, Split, load_caption_bank, read_lines, tidy_caption
from recipe.evaluation import as_answered, as_asked, both_ways, paired, table, zero_shot
from recipe.export import (
    export_image_float,
    export_text_float,
    open_session,
    optimise_offline,
    quantise_image,
)
from recipe.features import ViewConfig, load_view
from recipe.joint import ImageEncoder, TextEncoder, TextHead
from recipe.pairing import TextVectors, own_texts
from recipe.text_quantisation import quantise_text
from recipe.text_samples import representative_texts, training_folder
from recipe.towers import Tokeniser, embed_texts, load_text_tower, minilm_folder, prune_vocabulary

NAME = "mmsearch-mini"
REVISION = "3"
WINDOW = 128
OVERLAP = 32
# Bytes, with some left for the card and the manifest.
SIZE_LIMIT = 44_000_000
# So many photos of other sources stand beside the captioned ones.
DISTRACTORS = 610
CALIBRATION_PHOTOS = 256
# Pictures this many times as long as wide, or longer, are seen by their end squares too: of bands cut so from photos
# 6 to 7 more of a hundred are among the first ten then; of bands of 1.75, 2.
ENDS_FROM = 2.0
FILES = ("image.onnx", "text.onnx", "tokenizer.json")
BANK = "query_bank.int8"
NOISE = "noise.int8"
HUMAN_IN_BANK = 1_000
Floats = npt.NDArray[np.float32]


class Packaged:
    """The files in a folder, opened the way the engine opens them."""

    def __init__(self, folder: Path, views: ViewConfig, image: str = "image.onnx", text: str = "text.onnx") -> None:
        self.folder, self.views = folder, views
        self.image = open_session(folder / image)
        self.text = open_session(folder / text)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def texts(self, texts: Sequence[str], batch: int = 32) -> Floats:
        """Joint unit vectors float32 [n, 384]; what does not fit the window is cut."""
        rows = token_rows(self.tokenizer, texts)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        dimension = self.text.get_outputs()[0].shape[-1]
        out = np.empty((len(rows), dimension), np.float32)
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            ids = np.zeros((len(chosen), len(rows[chosen[-1]])), np.int64)
            mask = np.zeros_like(ids)
            for k, i in enumerate(chosen):
                ids[k, : len(rows[i])] = rows[i]
                mask[k, : len(rows[i])] = 1
            out[chosen] = self.text.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return out

    def pixels(self, pixels: npt.NDArray[np.uint8], batch: int = 16) -> Floats:
        """Joint unit vectors float32 [n, 384] of uint8 [n, S, S, 3]."""
        parts = [self.image.run(None, {"pixels": pixels[s : s + batch]})[0] for s in range(0, len(pixels), batch)]
        return np.concatenate(parts)

    def photos(self, photos: Sequence[Photo], view: int = 0) -> Floats:
        """Joint unit vectors of photos in one view."""
        return self.pixels(read(photos, view, self.views))


def token_rows(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """The token ids of each text; what does not fit the window is cut, the closing token kept."""
    rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    return [ids if len(ids) <= WINDOW else [*ids[: WINDOW - 1], ids[-1]] for ids in rows]


def read(photos: Sequence[Photo], view: int, config: ViewConfig) -> npt.NDArray[np.uint8]:
    """uint8 [n, S, S, 3]."""
    return np.stack([load_view(photo.path, view, config) for photo in photos])


def package(
    folder: Path,
    floats: Path,
    encoder: ImageEncoder,
    text_encoder: TextEncoder,
    photos: Sequence[Photo],
    split: Split,
    views: ViewConfig,
) -> Packaged:
    """Write image.onnx, text.onnx and tokenizer.json; ``floats`` gets the same in float32."""
    folder.mkdir(parents=True, exist_ok=True)
    floats.mkdir(parents=True, exist_ok=True)
    source = (minilm_folder() / "tokenizer.json").read_text(encoding="utf-8")
    tokenizer = prune_vocabulary(text_encoder.tower, source, WINDOW)
    for place in (folder, floats):
        (place / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    export_image_float(encoder, views.side, floats / "image.onnx")
    export_text_float(text_encoder, floats / "text.onnx")
    chosen = random.Random(0).sample(list(split.train), CALIBRATION_PHOTOS)
    pixels = read([photos[i] for i in chosen], 0, views)
    quantise_image(floats / "image.onnx", floats / "image-int8.onnx", pixels)
    optimise_offline(floats / "image-int8.onnx", folder / "image.onnx")
    rows = token_rows(Tokenizer.from_str(tokenizer), representative_texts(training_folder(photos)))
    quantise_text(floats / "text.onnx", folder / "text.onnx", [np.array([ids], np.int64) for ids in rows])
    size = sum((folder / name).stat().st_size for name in FILES)
    if size > SIZE_LIMIT:
        raise ValueError(f"the model's files take {size:,} bytes, more than {SIZE_LIMIT:,}")
    return Packaged(folder, views)


def paraphrases(folder: Path, count: int = 1000, seed: int = 5) -> list[tuple[str, str]]:
    """Pairs of captions of the same photo: neighbouring lines that share a word that carries meaning."""
    lines = [tidy_caption(line) for line in read_lines(folder, "coco_karpathy_test_dev")]
    draw = random.Random(seed)
    starts = draw.sample(range(0, len(lines) - 1, 6), min(2 * count, len(lines) // 6 - 1))
    pairs = [(lines[i], lines[i + 1]) for i in starts if calibration.shares_word(lines[i], lines[i + 1])]
    return pairs[:count]


@dataclass(frozen=True)
class CaptionSet:
    """Photos that a text each asks for, by their places among all photos, and others that stand beside them.

    ``kind`` is that of the texts.
    """

    kind: str
    asked: tuple[int, ...]
    beside: tuple[int, ...] = ()


@dataclass(frozen=True)
class HeldOut:
    """What a model is measured on: photos, those that were held out, the data's folder, and sources with labels."""

    photos: Sequence[Photo]
    split: Split
    folder: Path
    labelled_sources: Sequence[str]

    @property
    def labelled(self) -> list[Photo]:
        """The photos of the sources that were held out whole for what they show, with that."""
        return [photo for photo in self.photos if photo.source in self.labelled_sources and photo.prompts]

    @property
    def sets(self) -> dict[str, CaptionSet]:
        """Human captions of COCO, and both captions by eye of whole sources."""
        return {
            "COCO, human": CaptionSet("human", self.split.captioned, self.split.others[:DISTRACTORS]),
            "other sources, sentences": CaptionSet("sentence", self.split.others),
            "other sources, queries": CaptionSet("query", self.split.others),
        }

    def texts(self, of: CaptionSet) -> list[str]:
        """The first text of that kind of each photo that is asked for."""
        texts, rows = own_texts(self.photos)
        return [texts[rows[of.kind][index][0]] for index in of.asked]


def measure(
    packaged: Packaged,
    float_files: Packaged,
    held: HeldOut,
    stages: dict[str, tuple[Tensor, TextHead]],
    own: TextVectors,
) -> dict[str, Any]:
    """Recalls of every stage and of the files; text→text against the original; speed; zero-shot.

    Args:
        stages: per name the image vectors of all photos and the text head they go with.
    """
    rows: dict[str, Any] = {}
    for name, (vectors, head) in stages.items():
        with torch.no_grad():
            of_sets = {one: head(own.of(of.kind, of.asked)).numpy() for one, of in held.sets.items()}
        rows[name] = _recalls(held, vectors.numpy(), of_sets)
    photos, places = held.photos, list(held.split.held_out)
    pixels = read([photos[i] for i in places], 0, packaged.views)
    by_files = {}
    for name, files in (("files fp32", float_files), ("files int8", packaged)):
        images = np.zeros((len(photos), files.image.get_outputs()[0].shape[-1]), np.float32)
        images[places] = files.pixels(pixels)
        of_sets = {one: files.texts(held.texts(of)) for one, of in held.sets.items()}
        rows[name] = _recalls(held, images, of_sets)
        by_files[name] = images[places], np.concatenate(list(of_sets.values()))
        distant = np.concatenate([_unrelated(of_sets[one], images[list(of.asked)]) for one, of in held.sets.items()])
        bank = query_bank(files, held.folder, float(distant.mean()), float(distant.std()))
        rows[f"{name}, hubs corrected"] = _recalls(held, images, of_sets, bank)
    metrics: dict[str, Any] = {"retrieval": rows}
    cosines = [
        float((a * b).sum(1).mean()) for a, b in zip(by_files["files fp32"], by_files["files int8"], strict=True)
    ]
    metrics["cosine int8 fp32"] = {"image": round(cosines[0], 4), "text": round(cosines[1], 4)}

    metrics["text-text"] = _text_to_text(packaged, paraphrases(held.folder))
    if held.labelled:
        metrics["zero-shot"] = _zero_shot(packaged, held.labelled)
    started = time.monotonic()
    packaged.pixels(pixels[:256])
    metrics["images per second"] = round(256 / (time.monotonic() - started))
    started = time.monotonic()
    for text in held.texts(held.sets["COCO, human"])[:50]:
        packaged.texts([text])
    metrics["ms per query"] = round((time.monotonic() - started) / 50 * 1000, 2)
    return metrics


def _recalls(held: HeldOut, images: Floats, texts: dict[str, Floats], bank: QueryBank | None = None) -> dict[str, Any]:
    """Both ways for each set. ``images`` holds a row for every photo, of which those held out count.

    With a query bank hubs among the photos are corrected.
    """
    found = {}
    for name, of in held.sets.items():
        for way, figures in both_ways(texts[name], images[list(of.asked)], images[list(of.beside)], bank).items():
            found[f"{name}, {way}"] = figures
    return found


def _text_to_text(packaged: Packaged, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    left, right = [a for a, _ in pairs], [b for _, b in pairs]
    original = torch.nn.functional.normalize(embed_texts(load_text_tower(), Tokeniser(), left + right), dim=-1).numpy()
    ours = packaged.texts(left + right)
    return {
        name: paired(v[: len(pairs)], v[len(pairs) :]) for name, v in (("all-MiniLM-L6-v2", original), (NAME, ours))
    }


def _zero_shot(packaged: Packaged, labelled: Sequence[Photo]) -> dict[str, Any]:
    names = sorted({p.label for p in labelled})
    prompts = packaged.texts([next(p.prompts[0] for p in labelled if p.label == n) for n in names])
    top = zero_shot(packaged.photos(labelled), [p.label for p in labelled], names, prompts)
    return {"photos": len(labelled), "classes": names, "top-1": top}


def _unrelated(texts: Floats, images: Floats) -> Floats:
    """Cosines of texts with the photos that they do not belong to, flat."""
    cosines: Floats = texts @ images.T
    return cosines[~np.eye(len(cosines), dtype=bool)]


def query_bank(packaged: Packaged, folder: Path, mean: float, std: float) -> QueryBank:
    """The query bank of a model whose cosines of unrelated texts and photos have that mean and deviation.

    Beside the texts that ship it has human captions, of which the model's folder holds the vectors alone: a bank
    corrects best for queries of its own kind.
    """
    human = load_caption_bank(folder, coco=HUMAN_IN_BANK, others=0, seed=1)
    vectors = packaged.texts([*bank_texts(), *human])
    return QueryBank(unpacked(packed(vectors), vectors.shape[1]), *constants(mean, std))


def calibrate(packaged: Packaged, held: HeldOut) -> Calibration:
    """The four curves, on held-out photos and the files that ship.

    That of texts on photos is one of cosines that are corrected for hubs; its mirror image is of those that are not.
    """
    of = held.sets["COCO, human"]
    validation, distractors = ([held.photos[i] for i in places] for places in (of.asked, of.beside))
    labelled = held.labelled
    whole, cropped = packaged.photos(validation), packaged.photos(validation, view=1)
    others, labels = packaged.photos(distractors), packaged.photos(labelled)
    captions = packaged.texts(held.texts(of))
    # Short queries too: the class names of photos from sources that were held out whole.
    names = packaged.texts([p.prompts[k % 3] for k, p in enumerate(labelled)])
    material = calibration.text_material(held.folder, seed=3)
    noise, classes = packaged.texts(noise_queries()), [[], [p.label for p in labelled]]
    nonsense = noise @ np.concatenate([whole, others]).T
    cross = calibration.text_image_curve([(captions, whole), (names, labels)], others, classes, nonsense)
    bank = query_bank(packaged, held.folder, cross.mean, cross.std)
    wide_whole, wide_others, wide_labels = (as_answered(one, bank) for one in (whole, others, labels))
    corrected = calibration.text_image_curve(
        [(as_asked(captions), wide_whole), (as_asked(names), wide_labels)],
        wide_others,
        classes,
        as_asked(noise) @ np.concatenate([wide_whole, wide_others]).T,
        bank.familiarity(noise),
    )
    unasked_mean, unasked_std, _ = noise_figures(whole @ packaged.texts(material.wordy).T)
    return {
        ("text", "image"): corrected,
        ("image", "text"): replace(cross, noise_mean=unasked_mean, noise_std=unasked_std),
        ("text", "text"): calibration.text_text_curve(packaged.texts, material, bank),
        ("image", "image"): calibration.image_image_curve(whole, cropped, labels, labelled, seed=3),
    }


def write_model_json(packaged: Packaged, folder: Path, curves: Calibration) -> None:
    """The query bank, noise, and the manifest that the engine reads, last: it names the digests of the other files."""
    uncorrected = curves["image", "text"]
    bank = query_bank(packaged, folder, uncorrected.mean, uncorrected.std)
    (packaged.folder / BANK).write_bytes(packed(bank.vectors))
    (packaged.folder / NOISE).write_bytes(packed(packaged.texts(noise_queries())))
    digests = {
        name: hashlib.sha256((packaged.folder / name).read_bytes()).hexdigest() for name in (*FILES, BANK, NOISE)
    }
    manifest = {
        "name": NAME,
        "revision": REVISION,
        "dimension": packaged.image.get_outputs()[0].shape[-1],
        "image": {"file": "image.onnx", "side": packaged.views.side, "fit": "squash", "ends_from": ENDS_FROM},
        "text": {
            "file": "text.onnx",
            "tokenizer": "tokenizer.json",
            "window": WINDOW,
            "overlap": OVERLAP,
            "pad_id": 0,
        },
        "sha256": {name: digests[name] for name in FILES},
        "query_bank": {
            "file": BANK,
            "sha256": digests[BANK],
            "sharpness": round(bank.sharpness, 5),
            "centre": round(bank.centre, 5),
        },
        "noise": {"file": NOISE, "sha256": digests[NOISE]},
        "calibration": as_json(curves),
    }
    (packaged.folder / "model.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def summary(metrics: dict[str, Any]) -> str:
    """What the model card states, as text."""
    rest = {k: v for k, v in metrics.items() if k not in {"retrieval", "recipe"}}
    return table(metrics["retrieval"]) + "\n" + json.dumps(rest, indent=2, default=str)
