"""The texts of the query bank that ships: what people might look for, by which hubs among pictures are found.

    python -m recipe.query_bank DATA mmsearch/encoding/bank.txt

They are this project's own captions of photos: sentences that say what is seen, and what an owner would type, by turns.
Half of them are of everyday scenes: a bank of many narrow subjects alone was measured to make human captions of such
scenes find less. Photos by which hub correction is measured give none.
"""

from __future__ import annotations

import json
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from recipe.data import SplitConfig, load_photos, split_photos

COUNT = 1_500
EVERYDAY = "coco"
# So many photos of one of the other sources may give a text.
CAP = 300
HELD_OUT = frozenset({"osie", "unsplash-web", "bsds500", "coco-leftover", "pacs-photo"})
# What is seen, and what an owner would type.
Captions = tuple[str, str]


def draw_texts(folder: Path, count: int = COUNT, cap: int = CAP, seed: int = 0) -> list[str]:
    """So many different texts, each of another photo.

    Raises:
        ValueError: there are not so many.
    """
    by_source = _captions(folder)
    draw = random.Random(seed)
    everyday = by_source.pop(EVERYDAY)
    others = [pair for source in sorted(by_source) for pair in _drawn(draw, by_source[source], cap)]
    pool = _drawn(draw, everyday, count // 2) + _drawn(draw, others, count - count // 2)
    draw.shuffle(pool)
    texts = [" ".join(pair[place % 2].split()) for place, pair in enumerate(pool)]
    if len(set(texts)) < count:
        raise ValueError(f"the photos in {folder} give {len(set(texts)):,} different texts, fewer than {count:,}")
    return texts


def _captions(folder: Path) -> dict[str, list[Captions]]:
    """The two captions of each photo that is not held out, by source."""
    held_out = set(split_photos(load_photos(folder), SplitConfig()).captioned)
    found: dict[str, list[Captions]] = defaultdict(list)
    with (folder / "pairs.jsonl").open(encoding="utf-8") as lines:
        for place, row in enumerate(map(json.loads, lines)):
            if row.get("by_eye") and row["source"] not in HELD_OUT and place not in held_out:
                found[row["source"]].append((row["by_eye"][0], row["by_eye"][1]))
    return found


def _drawn(draw: random.Random, pairs: Sequence[Captions], count: int) -> list[Captions]:
    return draw.sample(pairs, min(count, len(pairs)))


if __name__ == "__main__":
    Path(sys.argv[2]).write_text("\n".join(draw_texts(Path(sys.argv[1]))) + "\n", encoding="utf-8")
