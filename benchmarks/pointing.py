"""Whether heat maps point to what was asked for: on mosaics of photos with captions, and on photos with boxes.

    python -m benchmarks.pointing DATA [--model FOLDER] [--sources osie,unsplash-web,bsds500] [--mosaics 40]
    python -m benchmarks.pointing --boxes FOLDER --query "a raccoon" [--model FOLDER]

DATA is a JSONL of {file, source, by_eye: [sentence, query]}; its photos lie beside it. Of four photos, and of nine, a
mosaic of uneven tiles is made; a map of one photo's query points well where its highest place lies in that photo's
tile. In FOLDER lie photos and, of the same names, VOC's XML of boxes, all of one thing; the mean share of a photo that
its boxes cover is what chance would do.
"""

from __future__ import annotations

import argparse
import json
import random
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from PIL import Image

from mmsearch.encoding.builtin_files import MODEL_FOLDER
from mmsearch.encoding.onnx_model import OnnxEncoder
from mmsearch.evaluation.metrics import estimate
from mmsearch.records import Background
from mmsearch.searching.explanations import Heat
from mmsearch.searching.heat import AskedTerm, heat_in

Box = tuple[float, float, float, float]
_SIDE = 576
_ANY = Background(0, 1, 0, 1, 0, 1)


class Pictured(NamedTuple):
    """A picture, a query, and the boxes in shares of it in which the query's answer lies."""

    kind: str
    picture: Image.Image
    query: str
    boxes: Sequence[Box]


class WithoutRegions:
    """A model whose pictures are looked at with parts of them hidden."""

    def __init__(self, model: OnnxEncoder) -> None:
        self.encode, self.image_side, self.pictures_at_once = model.encode, model.image_side, model.pictures_at_once


def mosaics(data: Path, sources: Sequence[str], count: int) -> Iterator[Pictured]:
    """So many mosaics of four photos and of nine, in turn; each with the query of every photo in it."""
    lines = [json.loads(line) for line in data.read_text("utf-8").splitlines()]
    captioned = [line for line in lines if line.get("source") in sources and len(line.get("by_eye", ())) == 2]
    chance = random.Random(2)
    for number in range(count):
        side = 2 + number % 2
        photos = chance.sample(captioned, side * side)
        across, down = _cuts(side, chance), _cuts(side, chance)
        mosaic = Image.new("RGB", (_SIDE, _SIDE))
        boxes: list[Box] = []
        for place, photo in enumerate(photos):
            row, column = divmod(place, side)
            box = (across[column], down[row], across[column + 1], down[row + 1])
            boxes.append(box)
            left, top, right, bottom = (round(share * _SIDE) for share in box)
            with Image.open(data.parent / photo["file"]) as opened:
                mosaic.paste(opened.convert("RGB").resize((right - left, bottom - top)), (left, top))
        for photo, box in zip(photos, boxes, strict=True):
            yield Pictured(f"one of {side * side} photos", mosaic, photo["by_eye"][1], [box])


def _cuts(side: int, chance: random.Random) -> list[float]:
    inner = [number / side + chance.uniform(-0.1, 0.1) for number in range(1, side)]
    return [0.0, *inner, 1.0]


def boxed(folder: Path, query: str, most: int) -> Iterator[Pictured]:
    """Photos of one thing with the boxes that a person has drawn around it."""
    for path in sorted(folder.rglob("*.xml"))[:most]:
        found = [one for ending in (".jpg", ".png") for one in folder.rglob(path.stem + ending)]
        if not found:
            continue
        root = ElementTree.parse(path).getroot()
        with Image.open(found[0]) as opened:
            picture = opened.convert("RGB")
        width, height = picture.size
        boxes: list[Box] = []
        for box in root.iter("bndbox"):
            left, top, right, bottom = (float(box.findtext(name, "0")) for name in ("xmin", "ymin", "xmax", "ymax"))
            boxes.append((left / width, top / height, right / width, bottom / height))
        yield Pictured(query, picture, query, boxes)


def points_into(heat: Heat, term: int, boxes: Sequence[Box]) -> bool:
    """Whether the highest place of a map, drawn smoothly, lies in one of the boxes."""
    grid = np.array(heat.maps[term].grid, np.float32)
    drawn = np.asarray(Image.fromarray(grid).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    x, y = (column + 0.5) / _SIDE, (row + 0.5) / _SIDE
    return any(left <= x < right and top <= y < bottom for left, top, right, bottom in boxes)


def measure(asked: Sequence[Pictured], model: OnnxEncoder) -> None:
    """Prints for each way of making maps how often they point well, with 95 % intervals."""
    hidden: Any = WithoutRegions(model)
    tower = "mmsearch.encoding.region_tower"
    ways: dict[str, tuple[Any, dict[str, int]]] = {
        "regions, in tiles (ours)": (model, {}),
        "regions, in tiles, each place alone": (model, {"_AROUND": 0}),
        "regions, the picture as one tile": (model, {"TILES": 1}),
        "occlusion": (hidden, {}),
    }
    by_kind: dict[str, list[Pictured]] = {}
    for one in asked:
        by_kind.setdefault(one.kind, []).append(one)
    for kind, pictured in by_kind.items():
        share = np.mean([min(1.0, sum((r - a) * (b - t) for a, t, r, b in one.boxes)) for one in pictured])
        print(f"{kind}: {len(pictured)} queries; by chance {share:.3f}")
        for name, (encoder, changed) in ways.items():
            hits = _hits(pictured, encoder, model, [(f"{tower}.{key}", value) for key, value in changed.items()])
            found = estimate(np.array(hits, np.float64), groups=[id(one.picture) for one in pictured])
            print(f"  {name}: {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]", flush=True)


def _hits(
    pictured: Sequence[Pictured], encoder: Any, model: OnnxEncoder, changed: Sequence[tuple[str, int]]
) -> list[bool]:
    patches = [patch(name, value) for name, value in changed]
    for one in patches:
        one.start()
    try:
        hits: list[bool] = []
        for number, picture in Counter(id(one.picture) for one in pictured).items():
            some = [one for one in pictured if id(one.picture) == number]
            assert len(some) == picture
            vectors = model.encode("text", [one.query for one in some])
            terms = [AskedTerm(one.query, "query", vector) for one, vector in zip(some, vectors, strict=True)]
            heat = heat_in(encoder, some[0].picture, terms, _ANY)
            hits += [points_into(heat, place, one.boxes) for place, one in enumerate(some)]
        return hits
    finally:
        for one in patches:
            one.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--model", default=MODEL_FOLDER, help="a folder with a description and graphs")
    parser.add_argument("--sources", default="osie,unsplash-web,bsds500", help="those that the model has not seen")
    parser.add_argument("--mosaics", type=int, default=40)
    parser.add_argument("--boxes", type=Path)
    parser.add_argument("--query", default="")
    parser.add_argument("--most", type=int, default=100, help="look at so many photos with boxes")
    asked = parser.parse_args()
    found = (
        mosaics(asked.data, asked.sources.split(","), asked.mosaics)
        if asked.boxes is None
        else boxed(asked.boxes, asked.query, asked.most)
    )
    measure(list(found), OnnxEncoder(asked.model))


if __name__ == "__main__":
    main()
