"""Texts like those that people keep and ask: what the text tower's activations are measured on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from recipe.calibration import text_material
from recipe.data import Photo, load_caption_bank, read_lines

CAPTIONS, QUERIES, PASSAGES, DEFINITIONS, LOGS = 300, 150, 300, 100, 150
_LEVELS = ("DEBUG", "INFO", "WARN", "ERROR")
_SERVICES = ("http", "db", "auth", "worker", "kernel")
_EVENTS = ("finished in", "failed after", "timed out after")


def training_folder(photos: Sequence[Photo]) -> Path:
    """The folder whose `pairs.jsonl` lists these photos."""
    return next(folder for folder in photos[0].path.parents if (folder / "pairs.jsonl").is_file())


def representative_texts(folder: Path, seed: int = 0) -> list[str]:
    """Captions, short queries, passages, definitions, logs and the paragraphs of notes in Markdown."""
    draw = random.Random(seed)
    material = text_material(folder, seed=seed, each=PASSAGES)
    notes = [part for path in sorted(folder.glob("*.md")) for part in path.read_text(encoding="utf-8").split("\n\n")]
    return [
        *load_caption_bank(folder, 2 * CAPTIONS // 3, CAPTIONS // 3, seed),
        *draw.sample(read_lines(folder, "openimages_labels"), QUERIES),
        *draw.sample(material.items, PASSAGES),
        *draw.sample(material.wordy, DEFINITIONS),
        *("\n".join(_log_line(draw) for _ in range(draw.randint(1, 6))) for _ in range(LOGS)),
        *notes,
    ]


def _log_line(draw: random.Random) -> str:
    day = f"{draw.randint(2015, 2026)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
    time = f"{draw.randint(0, 23):02}:{draw.randint(0, 59):02}:{draw.randint(0, 59):02}"
    service = f"{draw.choice(_SERVICES)}[{draw.randint(1, 9999)}]"
    event = f"{draw.choice(_EVENTS)} {draw.randint(1, 9000)} ms /var/lib/{draw.getrandbits(16):x}.tmp"
    return f"{day} {time} {draw.choice(_LEVELS)} {service}: request {draw.getrandbits(32):08x} {event}"
