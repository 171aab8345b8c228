"""Whether the best photos are ordered better by late interaction of words and regions; see docs/benchmarks.md.

    python -m benchmarks.reranking DATA [--model FOLDER] [--sources osie,unsplash-web,bsds500] [--photos 900]

DATA is a JSONL of {file, source, by_eye: [sentence, query]}; its photos lie beside it. Each photo is looked for by its
query, and by its sentence. To the corrected cosine of the best 100 is added, by some weight, the mean over the query's
words of the highest cosine with one of sixteen regions of the photo; and, beside that, with the whole photo. What the
weight that is the best one for every other query adds to those between is told too.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from PIL import Image

from mmsearch.encoding.builtin_files import MODEL_FOLDER
from mmsearch.encoding.onnx_model import OnnxEncoder
from mmsearch.encoding.regions import regions_of
from mmsearch.evaluation.metrics import estimate
from mmsearch.output.estimates import percent
from mmsearch.records import FloatMatrix
from mmsearch.searching.function_words import FUNCTION_WORDS

BEST, WEIGHTS = 100, (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


def seen(model: OnnxEncoder, path: Path) -> tuple[FloatMatrix, FloatMatrix]:
    """A photo's vector, float32 [dimension], and those of its regions, float32 [16, dimension]."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    with patch("mmsearch.encoding.region_tower.TILES", 1), patch("mmsearch.encoding.region_tower._PANORAMA", 1e9):
        grid = regions_of(model, picture)
    assert grid is not None
    every_other = grid.vectors[1:-1:2, 1:-1:2]
    return model.encode("image", [picture])[0], every_other.reshape(-1, every_other.shape[-1])


def measure(model: OnnxEncoder, texts: list[str], whole: FloatMatrix, regions: FloatMatrix) -> None:
    """Prints R@1 without, and what each weight adds, with 95 % intervals over the queries."""
    bank = model.query_bank
    assert bank is not None

    @cache
    def vector(text: str) -> FloatMatrix:
        row: FloatMatrix = model.encode("text", [text])[0]
        return row

    found = np.stack([vector(text) for text in texts]) @ whole.T + bank.numbers(whole).astype(np.float32)
    best = np.argsort(-found, axis=1)[:, :BEST]
    first = np.take_along_axis(found, best, axis=1)
    is_it = best == np.arange(len(texts))[:, np.newaxis]

    def right(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        return np.take_along_axis(is_it, scores.argmax(axis=1)[:, np.newaxis], axis=1)[:, 0].astype(np.float64)

    plain = right(first)
    print(f"  without: R@1 {percent(estimate(plain))}")
    for name, seen_by_words in (("regions", regions), ("the whole photo", whole[:, np.newaxis])):
        late = np.zeros_like(first)
        for row, text in enumerate(texts):
            words = [word for word in re.findall("[a-z]+", text.lower()) if word not in FUNCTION_WORDS] or [text]
            cosines = seen_by_words[best[row]] @ np.stack([vector(word) for word in words]).T
            late[row] = cosines.max(axis=1).mean(axis=1)
        more = np.stack([right(first + weight * late) - plain for weight in WEIGHTS])
        for weight, of_weight in zip(WEIGHTS, more, strict=True):
            print(f"  {name}, weight {weight}: {percent(estimate(of_weight), '+.1f')}")
        halves = (slice(0, None, 2), slice(1, None, 2))
        chosen = [more[more[:, one].mean(axis=1).argmax(), other] for one, other in (halves, halves[::-1])]
        print(f"  {name}, the weight chosen by the other half: {percent(estimate(np.concatenate(chosen)), '+.1f')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default=MODEL_FOLDER, help="a folder with a description and graphs")
    parser.add_argument("--sources", default="osie,unsplash-web,bsds500", help="those that the model has not seen")
    parser.add_argument("--photos", type=int, default=900)
    asked = parser.parse_args()
    lines = [json.loads(line) for line in asked.data.read_text("utf-8").splitlines()]
    wanted = set(asked.sources.split(","))
    captioned = [line for line in lines if line.get("source") in wanted and len(line.get("by_eye", ())) == 2]
    random.Random(7).shuffle(captioned)
    captioned = captioned[: asked.photos]
    model = OnnxEncoder(asked.model)
    whole, regions = zip(*(seen(model, asked.data.parent / line["file"]) for line in captioned), strict=True)
    for place, kind in ((1, "queries"), (0, "sentences")):
        print(f"{kind}, {len(captioned)} photos")
        measure(model, [line["by_eye"][place] for line in captioned], np.stack(whole), np.stack(regions))


if __name__ == "__main__":
    main()
