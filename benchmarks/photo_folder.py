"""A folder of photos of any number and size, each different, made of real photos: tiles of them side by side.

python -m benchmarks.photo_folder FOLDER --count 100 --width 4000 --height 3000
"""

from __future__ import annotations

import argparse
import random
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

from PIL import Image

TILE = 500
QUALITY = 88


def sources(folder: Path | None) -> list[Path]:
    """The photos in that folder, or those that scikit-image carries (the dev extra)."""
    if folder is None:
        import skimage

        data = Path(skimage.__file__).parent / "data"
        names = (
            "chelsea.png",
            "coffee.png",
            "astronaut.png",
            "rocket.jpg",
            "motorcycle_left.png",
            "hubble_deep_field.jpg",
        )
        return [data / name for name in names]
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))[:400]


@cache
def _tile(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB").resize((TILE, TILE))


def _write(number: int, folder: Path, paths: list[Path], width: int, height: int) -> None:
    chance = random.Random(number)
    side = min(TILE, width, height)
    picture = Image.new("RGB", (width, height))
    for left in range(0, width, side):
        for top in range(0, height, side):
            turned = _tile(chance.choice(paths)).resize((side, side)).rotate(chance.choice((0, 90, 180, 270)))
            picture.paste(turned, (left, top))
    place = folder / f"{number // 1000:03}"
    place.mkdir(parents=True, exist_ok=True)
    picture.save(place / f"IMG_{number:06}.jpg", quality=QUALITY)


def make_folder(folder: Path, count: int, width: int, height: int, photos: Path | None = None) -> None:
    """Writes `count` JPEG files of that size in pixels, a thousand a folder; what is there already stays."""
    known = len(list(folder.rglob("*.jpg"))) if folder.exists() else 0
    write = partial(_write, folder=folder, paths=sources(photos), width=width, height=height)
    with ProcessPoolExecutor() as executor:
        list(executor.map(write, range(known, count), chunksize=8))


def main() -> None:
    """Makes one folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--width", type=int, default=4_000)
    parser.add_argument("--height", type=int, default=3_000)
    parser.add_argument("--photos", type=Path)
    asked = parser.parse_args()
    make_folder(asked.folder, asked.count, asked.width, asked.height, asked.photos)


if __name__ == "__main__":
    main()
