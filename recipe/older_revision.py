"""What the package keeps of an older revision of the built-in model, so that libraries made with it go on being used.

That is its image tower as it is, its description, and a text bridge: a linear map from the new text vectors into the
old space, fitted by ridge regression on texts of many kinds. So the old text tower need not ship. Prints what the
bridge costs: its cosines with the true vectors on held-out texts, and what is found with either.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from mmsearch.encoding.builtin import BuiltinEncoder
from mmsearch.encoding.builtin_files import BRIDGE
from mmsearch.encoding.description import DESCRIPTION, read_description
from mmsearch.encoding.text_bridge import TextBridge
from recipe.data import Photo, load_photos, read_lines, tidy_caption
from recipe.evaluation import paired
from recipe.features import ViewConfig
from recipe.packaging import Packaged

Floats = npt.NDArray[np.float32]

HELD_OUT = 10  # one text in so many judges the bridge
RIDGES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
KS = (1, 5, 10)
CAPTIONS = ("flickr30k_multi30k", "coco_val2017", "iaprtc12", "ade20k_description_sequences")
NAMES = ("openimages_labels", "imagenet21k_lemmas", "parti_prompts", "recipe_titles", "flickr_landscape_titles")
SENTENCES = ("cupl_llm_descriptions", "ade20k_description_sequences", "imagenet21k_definitions", "coco_30k_tjbui")


@dataclass(frozen=True)
class Texts:
    """Texts of one kind and their vectors in the old space and in the new one, float32 [n, d]."""

    old: Floats
    new: Floats


def draw_texts(folder: Path, each: int, seed: int) -> dict[str, list[str]]:
    """So many texts of each kind, none of them a caption of a photo of the training folder that judges."""
    draw = random.Random(seed)
    judging = {_key(photo.captions[0]) for photo in judges(folder)}

    def lines(names: Sequence[str]) -> list[str]:
        found = {tidy_caption(line) for name in names for line in read_lines(folder, name)}
        return sorted(line for line in found if _key(line) not in judging)

    def some(names: Sequence[str]) -> list[str]:
        found = lines(names)
        return draw.sample(found, min(each, len(found)))

    sentences = lines(SENTENCES)
    titles = lines(NAMES)

    def passage() -> str:
        begin, count = draw.randrange(len(sentences) - 6), draw.randint(2, 6)
        return " ".join(sentences[begin : begin + count])

    def note() -> str:
        items = draw.sample(titles, draw.randint(2, 6))
        return f"{draw.choice(titles)}\n\n" + "\n".join(f"- {item}" for item in items) + f"\n\n{draw.choice(sentences)}"

    def letters() -> str:
        words = ("".join(draw.choices(string.ascii_lowercase, k=draw.randint(3, 9))) for _ in range(draw.randint(1, 3)))
        return " ".join(words)

    return {
        "captions": some(CAPTIONS),
        "short queries": some(NAMES),
        "definitions": some(("imagenet21k_definitions",)),
        "descriptions": some(("cupl_llm_descriptions",)),
        "passages": [passage() for _ in range(each // 2)],
        "notes": [note() for _ in range(each // 2)],
        "random letters": [letters() for _ in range(each // 4)],
    }


def _key(text: str) -> str:
    return tidy_caption(text).lower().rstrip(". ")


def judges(folder: Path) -> list[Photo]:
    """The photos of COCO with their human captions; the bridge has seen none of these."""
    return [photo for photo in load_photos(folder) if photo.source == "coco" and photo.captions]


def fit(texts: Mapping[str, Texts], tower_sha256: str) -> tuple[TextBridge, float]:
    """The bridge, and the ridge with which the held-out texts of all kinds come nearest to where they belong."""
    trained, held = (_joined(texts, is_held) for is_held in (False, True))
    found = [(_ridge(trained, strength, tower_sha256), strength) for strength in RIDGES]
    return max(found, key=lambda one: float(_cosines(one[0], held).mean()))


def _ridge(texts: Texts, strength: float, tower_sha256: str) -> TextBridge:
    """Ridge regression with an offset; ``strength`` counts in texts' mean square."""
    new, old = texts.new.astype(np.float64), texts.old.astype(np.float64)
    new_mean, old_mean = new.mean(0), old.mean(0)
    centred = new - new_mean
    covariance = centred.T @ centred / len(centred)
    penalty = strength * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    weights = np.linalg.solve(covariance + penalty, centred.T @ (old - old_mean) / len(centred))
    offset = old_mean - new_mean @ weights
    # As it is read again: what is measured is what ships.
    return TextBridge.from_bytes(
        TextBridge(tower_sha256, weights.astype(np.float32), offset.astype(np.float32)).to_bytes()
    )


def _joined(texts: Mapping[str, Texts], is_held: bool) -> Texts:
    chosen = {kind: _held(len(of_kind.old)) == is_held for kind, of_kind in texts.items()}
    return Texts(
        np.concatenate([of_kind.old[chosen[kind]] for kind, of_kind in texts.items()]),
        np.concatenate([of_kind.new[chosen[kind]] for kind, of_kind in texts.items()]),
    )


def _held(count: int) -> npt.NDArray[np.bool_]:
    return np.asarray(np.arange(count) % HELD_OUT == 0)


def _cosines(bridge: TextBridge, texts: Texts) -> Floats:
    return np.asarray((bridge(texts.new) * texts.old).sum(1), np.float32)


def recalls(queries: Floats, gallery: Floats) -> str:
    """R@1/5/10 in per cent where row k of the queries belongs to row k of the gallery."""
    metrics = paired(queries, gallery)["metrics"]
    return " / ".join(f"{100 * metrics[f'R@{k}']['value']:.1f}" for k in KS)


def kept_neighbours(true: Floats, bridged: Floats, gallery: Floats, count: int = 10) -> float:
    """The share of the ten nearest to the true vectors that are among the ten nearest to the bridged ones."""
    nearest = [np.argsort(-(queries @ gallery.T), axis=1)[:, :count] for queries in (true, bridged)]
    return float(np.mean([len(set(one) & set(other)) / count for one, other in zip(*nearest, strict=True)]))


class Towers:
    """The text towers of both revisions, and the older one's image tower."""

    def __init__(self, before: Path, newest: Path) -> None:
        self._before, self._newest = Packaged(before, ViewConfig()), Packaged(newest, ViewConfig())
        self._pictures = BuiltinEncoder(str(before))

    def texts(self, texts: Sequence[str]) -> Texts:
        """Their vectors in both spaces."""
        return Texts(self._before.texts(texts), self._newest.texts(texts))

    def photos(self, photos: Sequence[Photo]) -> Floats:
        """The older image tower's vectors, as the engine makes them."""
        return np.concatenate([self._pictures.encode("image", [Image.open(photo.path)]) for photo in photos])


def report(bridge: TextBridge, texts: Mapping[str, Texts], towers: Towers, folder: Path) -> list[str]:
    """What the bridge costs, a line each."""
    lines = ["cosine of bridged and true vectors, held-out texts: mean, lowest of 1 in 100, worst"]
    for kind, of_kind in texts.items():
        chosen = _held(len(of_kind.old))
        cosines = _cosines(bridge, Texts(of_kind.old[chosen], of_kind.new[chosen]))
        spread = f"{cosines.mean():.4f}, {np.quantile(cosines, 0.01):.4f}, {cosines.min():.4f}"
        lines.append(f"  {kind}: {spread} ({len(cosines)} texts)")
    photos = judges(folder)
    captions, images = towers.texts([photo.captions[0] for photo in photos]), towers.photos(photos)
    bridged = bridge(captions.new)
    lines += [
        f"  captions of {len(photos)} COCO photos: {_cosines(bridge, captions).mean():.4f}",
        "R@1 / 5 / 10 in the old space",
        f"  caption to photo: true {recalls(captions.old, images)}; bridged {recalls(bridged, images)}",
        f"  photo to caption: true {recalls(images, captions.old)}; bridged {recalls(images, bridged)}",
        f"  ten nearest photos kept: {100 * kept_neighbours(captions.old, bridged, images):.1f} %",
    ]
    asked, passages = paired_texts(folder)
    queries, stored = towers.texts(asked), towers.texts(passages)
    bridged = bridge(queries.new)
    lines += [
        f"  sentence to its passage: true {recalls(queries.old, stored.old)}; bridged {recalls(bridged, stored.old)}",
        f"  ten nearest passages kept: {100 * kept_neighbours(queries.old, bridged, stored.old):.1f} %",
    ]
    return lines


def paired_texts(folder: Path, count: int = 1000, seed: int = 7) -> tuple[list[str], list[str]]:
    """Captions, and passages that speak of the same: of the file's neighbouring lines, most are of one photo."""
    lines = [tidy_caption(line) for line in read_lines(folder, "coco_karpathy_test_dev")]
    starts = random.Random(seed).sample(range(0, len(lines) - 5, 5), min(count, len(lines) // 5 - 1))
    return [lines[start] for start in starts], [" ".join(lines[start + 1 : start + 4]) for start in starts]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    described = read_description(str(options.model))
    towers = Towers(options.before, options.model)
    drawn = draw_texts(options.data, options.each, options.seed)
    texts = {}
    for kind, of_kind in drawn.items():
        texts[kind] = towers.texts(of_kind)
        print(f"{kind}: {len(of_kind)} texts encoded", flush=True)
    bridge, ridge = fit(texts, described["sha256"][described["text"]["file"]])
    print(f"ridge {ridge:g}")
    options.out.mkdir(parents=True, exist_ok=True)
    before = read_description(str(options.before))
    image = before["image"]["file"]
    shutil.copyfile(options.before / image, options.out / image)
    # Vectors that came with it are those of the text tower that is gone: they are encoded over the bridge.
    for key in ("query_bank", "noise"):
        before.pop(key, None)
    (options.out / DESCRIPTION).write_text(json.dumps(before, indent=2) + "\n", encoding="utf-8")
    (options.out / BRIDGE).write_bytes(bridge.to_bytes())
    sizes = {path.name: path.stat().st_size for path in sorted(options.out.iterdir())}
    print("; ".join(f"{name} {size:,} bytes" for name, size in sizes.items()), flush=True)
    print("\n".join(report(bridge, texts, towers, options.data)))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="recipe.older_revision", description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="the folder of the older revision, whole")
    parser.add_argument("--model", type=Path, required=True, help="the folder of the newest revision, whole")
    parser.add_argument("--data", type=Path, required=True, help="the training folder (pairs.jsonl, text/)")
    parser.add_argument("--out", type=Path, required=True, help="where what is kept of the older revision goes")
    parser.add_argument("--each", type=int, default=4000, help="texts of each kind")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
