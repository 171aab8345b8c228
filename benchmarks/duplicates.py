"""How well the same picture is found in other forms, how soon, and what is taken for it that is not.

    python -m benchmarks.duplicates --photos ~/Pictures --count 200 --rows 100000

Photos are edited in two dozen ways, and each edit is held against its original as `mmsearch duplicates` does it: by
the cosine, by the pixels, and by both. Two edits are no duplicates by intention: mirrored photos, and those turned
within their frame. `--series VIDEO` takes the frames of a video for shots of a camera without a clock: few should be
taken for another. `--rows` says how long near pairs take among vectors grown from those of the photos, and how many are
found. `--folder` lists what is taken for the same picture among its photos, the least alike first, to be looked at.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from benchmarks.large_library import grown, photos_of, vectors_of_photos
from benchmarks.measuring import machine
from benchmarks.tables import table, write_section
from mmsearch import Library
from mmsearch.models.opening import open_encoder
from mmsearch.nearest.pairs import near_pairs
from mmsearch.records import FloatMatrix
from mmsearch.searching.duplicates import PICTURE_NEAR
from mmsearch.searching.miniatures import Miniature
from mmsearch.searching.same_picture import Comparison
from mmsearch.searching.scoring import background_of

QUALITY = 88
GAPS = (0.1, 0.2, 0.4, 0.8, 1.5)
Edit = Callable[[Image.Image, random.Random], Image.Image]


def saved(picture: Image.Image, quality: int = QUALITY, form: str = "JPEG") -> Image.Image:
    """The picture as it comes back from a file."""
    file = io.BytesIO()
    picture.save(file, form, quality=quality)
    with Image.open(file) as opened:
        return opened.convert("RGB")


def resized(picture: Image.Image, share: float) -> Image.Image:
    width, height = (max(8, round(side * share)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def cropped(picture: Image.Image, share: float, chance: random.Random) -> Image.Image:
    """Without that share of the width and of the height, anywhere."""
    width, height = (round(side * (1 - share)) for side in picture.size)
    left, top = chance.randint(0, picture.width - width), chance.randint(0, picture.height - height)
    return picture.crop((left, top, left + width, top + height))


def straightened(picture: Image.Image, degrees: float) -> Image.Image:
    """Turned, and cropped to where there is picture."""
    edge = round(max(picture.size) * float(np.tan(np.radians(degrees)))) // 2 + 1
    turned = picture.rotate(degrees, Image.Resampling.BICUBIC)
    return turned.crop((edge, edge, picture.width - edge, picture.height - edge))


def signed(picture: Image.Image) -> Image.Image:
    marked = picture.copy()
    place = (picture.width * 0.3, picture.height * 0.85)
    ImageDraw.Draw(marked).text(place, "(c) photo studio", fill=(255, 255, 255), font_size=picture.height / 14)
    return marked


EDITS: dict[str, Edit] = {
    "resized to 3/4": lambda one, chance: saved(resized(one, 0.75)),
    "resized to 1/2": lambda one, chance: saved(resized(one, 0.5)),
    "resized to 1/4": lambda one, chance: saved(resized(one, 0.25)),
    "JPEG of quality 70": lambda one, chance: saved(one, 70),
    "JPEG of quality 50": lambda one, chance: saved(one, 50),
    "JPEG of quality 30": lambda one, chance: saved(one, 30),
    "PNG": lambda one, chance: one,
    "WebP of quality 70": lambda one, chance: saved(one, 70, "WEBP"),
    "cropped by 5 %": lambda one, chance: saved(cropped(one, 0.05, chance)),
    "cropped by 10 %": lambda one, chance: saved(cropped(one, 0.1, chance)),
    "cropped by 20 %": lambda one, chance: saved(cropped(one, 0.2, chance)),
    "brighter by 30 %": lambda one, chance: saved(ImageEnhance.Brightness(one).enhance(1.3)),
    "darker by 30 %": lambda one, chance: saved(ImageEnhance.Brightness(one).enhance(0.7)),
    "contrast up by 40 %": lambda one, chance: saved(ImageEnhance.Contrast(one).enhance(1.4)),
    "colours up by 60 %": lambda one, chance: saved(ImageEnhance.Color(one).enhance(1.6)),
    "grey": lambda one, chance: saved(ImageOps.grayscale(one).convert("RGB")),
    "straightened by 1°": lambda one, chance: saved(straightened(one, 1)),
    "straightened by 2°": lambda one, chance: saved(straightened(one, 2)),
    "white border": lambda one, chance: saved(ImageOps.expand(one, round(0.04 * min(one.size)), (255, 255, 255))),
    "words on it": lambda one, chance: saved(signed(one)),
    "blurred": lambda one, chance: saved(one.filter(ImageFilter.GaussianBlur(min(one.size) / 150))),
    "sharpened": lambda one, chance: saved(one.filter(ImageFilter.UnsharpMask(2, 150, 3))),
    "turned within its frame by 2°": lambda one, chance: saved(one.rotate(2, Image.Resampling.BICUBIC)),
    "mirrored": lambda one, chance: saved(ImageOps.mirror(one)),
}


def recall(photos: Sequence[bytes]) -> str:
    """A table: by edit, the share of photos whose edit the cosine, the pixels and both take for the photo."""
    encoder = open_encoder()
    mean = background_of(encoder.calibration or {}, "image", "image").mean
    bar, comparison = mean + PICTURE_NEAR * (1 - mean), Comparison()
    agreed: dict[str, list[tuple[bool, bool]]] = {name: [] for name in EDITS}
    for number, path in enumerate(photos):
        with Image.open(path) as opened:
            photo = opened.convert("RGB")
        chance = random.Random(number)
        edits = [edit(photo, chance) for edit in EDITS.values()]
        original, *vectors = encoder.encode("image", [photo, *edits])
        for name, edited, vector in zip(EDITS, edits, vectors, strict=True):
            digests = f"{number}".encode(), f"{number} {name}".encode()
            fit = comparison.fit((digests[0], Miniature.of(photo)), (digests[1], Miniature.of(edited)))
            agreed[name].append((float(original @ vector) >= bar, fit.is_same))
    rows = []
    for name, pairs in agreed.items():
        by_cosine, by_pixels = np.array(pairs).T
        rows.append([name, *(f"{share.mean():.2f}" for share in (by_cosine, by_pixels, by_cosine & by_pixels))])
    return table(["edit", "cosine", "pixels", "both"], rows)


def false_in_series(video: Path) -> str:
    """A table: by the time between two frames of a video, the share of pairs whose pixels are taken for the same."""
    import av

    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or 25)
        frames = [Miniature.of(frame.to_image()) for frame in container.decode(stream)]
    comparison, rows = Comparison(), []
    for gap in GAPS:
        apart = max(1, round(gap * rate))
        named = [(number.to_bytes(4, "big"), frame) for number, frame in enumerate(frames)]
        pairs = list(zip(named, named[apart:], strict=False))[::5]
        same = [comparison.fit(*pair).is_same for pair in pairs]
        rows.append([f"{gap:g}", str(len(same)), f"{np.mean(same):.2f}" if same else "–"])
    return table(["seconds apart", "pairs", "taken for the same"], rows)


def speed(vectors: FloatMatrix, rows: int) -> str:
    """How long it takes to find the near pairs of so many rows, and the share of all of them that is found."""
    many = np.concatenate(list(grown(vectors, rows))).astype(np.float16)
    began, processor = time.perf_counter(), time.process_time()
    found = near_pairs(many, PICTURE_NEAR, 8)
    spent = time.perf_counter() - began, time.process_time() - processor
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    wide, right, given = many.astype(np.float32), 0, 0
    for row in np.random.default_rng(0).permutation(rows)[:500].tolist():
        cosines = wide @ wide[row]
        cosines[row] = -1
        nearest = int(cosines.argmax())
        if cosines[nearest] >= PICTURE_NEAR:
            right += 1
            given += (min(row, nearest), max(row, nearest)) in pairs
    return (
        f"Among {rows:,} vectors {len(pairs):,} near pairs were found in {spent[0]:.0f} s ({spent[1]:.0f} "
        f"processor-seconds), with {given} of {right} rows that have one their nearest."
    )


def least_alike(folder: Path) -> Iterator[str]:
    """A line for each other of a group of the same picture, the least alike first."""
    with TemporaryDirectory() as place, Library(place) as library:
        library.index([folder])
        groups = library.duplicates(classes=["picture"]).groups
    others = [(one.similarity, group.files[0].path, one.path) for group in groups for one in group.others]
    yield f"{len(groups):,} groups, {len(others):,} files that need not be kept"
    yield from (f"{similarity:.3f}\t{kept}\t{other}" for similarity, kept, other in sorted(others))


def main() -> None:
    """Measures, and prints or writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--series", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--document", type=Path, help="the Markdown file that gets the tables")
    asked = parser.parse_args()
    photos = photos_of(asked.photos, 1_000_000)
    random.Random(3).shuffle(photos)
    said = [f"{asked.count} photos, each edited in {len(EDITS)} ways.", recall(photos[: asked.count])]
    if asked.series is not None:
        said.append(false_in_series(asked.series))
    if asked.rows:
        said.append(speed(vectors_of_photos(asked.photos), asked.rows))
    text = "\n\n".join([*said, machine()])
    write_section(asked.document, "Duplicates", text) if asked.document else print(text)
    if asked.folder is not None:
        for line in least_alike(asked.folder):
            print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
