"""How well moments of a video are found by words, and how much processor time a minute of 1080p takes.

    python -m benchmarks.video_moments --pairs pairs.jsonl --count 100

Photos with captions (`pairs.jsonl`: a line each with `file` and a list of captions) are shown for three seconds each,
with hard cuts in one video and with cross-fades of half a second in another. Each caption asks for its photo: R@5 is
the share of captions for which one of the first five moments of the answer shows it for a second or more. The time is
that of a process that reads a video of 1080p, with a slow pan over photos, and encodes nothing, and that of `mmsearch
index`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageOps

from benchmarks.measuring import machine, mmsearch_command, run
from benchmarks.tables import table, write_section
from mmsearch import Library, Query
from mmsearch.searching.query import text_term

SECONDS = 3.0
FADE = 0.5
RATE = 25
ASPECTS = (1.2, 1.5)
READ = """
import os, sys
from mmsearch.reading import open_file, read
with open_file(os.fsencode(sys.argv[1])) as file:
    for part in read(file, 256).parts: pass
"""


class Captioned(NamedTuple):
    """A photo and what people say of it."""

    path: Path
    captions: list[str]


def main() -> None:
    """Makes the videos, asks, and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--captions", default="by_eye", help="the field that holds them")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 360), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--seconds", type=float, default=60.0, help="how much of 1080p is read; 0 for none")
    parser.add_argument("--document", type=Path, help="the Markdown file that gets the table")
    asked = parser.parse_args()
    photos = chosen(asked.pairs, asked.captions, asked.count)
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as place:
        for name, fade in (("hard cuts", 0.0), ("cross-fades", FADE)):
            film = Path(place, name.replace(" ", "-"), "photos.mp4")
            film.parent.mkdir()
            write_video(film, shown(photos, tuple(asked.size), fade), tuple(asked.size))
            found, items, spent = recall(film, photos)
            rows.append([name, f"{found:.3f}", str(items), f"{spent:.1f}"])
            print(rows[-1], file=sys.stderr)
        speed = "" if not asked.seconds else cost(Path(place, "large.mp4"), photos, asked.seconds)
    text = "\n".join([
        f"{len(photos)} photos of {SECONDS:g} s each, {sum(len(one.captions) for one in photos)} captions.",
        "", table(["video", "R@5 by moment", "items", "seconds to index"], rows), "", speed, "", machine(),
    ])  # fmt: skip
    write_section(asked.document, "Moments of a video", text) if asked.document else print(text)


def chosen(pairs: Path, field: str, count: int) -> list[Captioned]:
    """So many photos with captions, of about the shape of a video, drawn with the same dice each time."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in pairs.read_text(encoding="utf-8").splitlines()]
    captioned = [Captioned(pairs.parent / line["file"], line[field]) for line in lines if line.get(field)]
    random.Random(7).shuffle(captioned)
    found: list[Captioned] = []
    for one in captioned:
        with Image.open(one.path) as photo:
            if ASPECTS[0] <= photo.width / photo.height <= ASPECTS[1]:
                found.append(one)
        if len(found) == count:
            break
    return found


def shown(photos: Sequence[Captioned], size: tuple[int, int], fade: float) -> Iterator[Image.Image]:
    """The frames of a video that shows each photo, one fading into the next for so many seconds."""
    before: Image.Image | None = None
    for one in photos:
        with Image.open(one.path) as opened:
            picture = ImageOps.fit(opened.convert("RGB"), size)
        for number in range(round(SECONDS * RATE)):
            share = (number + 1) / (fade * RATE) if fade else 1.0
            yield picture if before is None or share >= 1 else Image.blend(before, picture, share)
        before = picture


def panned(photos: Sequence[Captioned], size: tuple[int, int], seconds: float) -> Iterator[Image.Image]:
    """The frames of a video that moves slowly over photos, so that each differs from the one before."""
    width, height = size
    for place in range(round(seconds * RATE)):
        if place % round(SECONDS * RATE) == 0:
            with Image.open(photos[place // round(SECONDS * RATE) % len(photos)].path) as opened:
                picture = ImageOps.fit(opened.convert("RGB"), (width + 4 * round(SECONDS * RATE), height))
        left = 4 * (place % round(SECONDS * RATE))
        yield picture.crop((left, 0, left + width, height))


def write_video(path: Path, frames: Iterator[Image.Image], size: tuple[int, int], preset: str = "veryfast") -> None:
    """H.264 with the key frames that x264 chooses."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": preset})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def recall(film: Path, photos: Sequence[Captioned]) -> tuple[float, int, float]:
    """R@5 by moment, how many items the video has in the library, and the seconds that indexing it took."""
    with tempfile.TemporaryDirectory() as folder, Library(folder) as library:
        began = time.perf_counter()
        library.index([film.parent])
        spent = time.perf_counter() - began
        asked = [(place, caption) for place, one in enumerate(photos) for caption in one.captions]
        results = library.search_many(Query((text_term(caption),), min_score=0.0) for _, caption in asked)
        found = 0
        for (place, _), result in zip(asked, results, strict=True):
            best = result.hits[0]
            times = [best.time, *(moment.time for moment in best.moments)][:5]
            begins, ends = SECONDS * place, SECONDS * (place + 1)
            found += any(one is not None and min(one[1], ends) - max(one[0], begins) >= 1 for one in times)
        return found / len(asked), library.status().counts.items, spent


def cost(film: Path, photos: Sequence[Captioned], seconds: float) -> str:
    """What a minute of 1080p takes, as a sentence."""
    write_video(film, panned(photos, (1_920, 1_080), seconds), (1_920, 1_080), "ultrafast")
    nothing = film.with_suffix(".txt")
    nothing.write_text("Some words.")
    reading = run([sys.executable, "-c", READ, str(film)]).processor
    base = run([sys.executable, "-c", READ, str(nothing)]).processor
    indexing = run(
        [*mmsearch_command(), "index", str(film)], {"MMSEARCH_LIBRARY": str(film.parent / "library")}
    ).processor
    minute = 60 / seconds
    return (
        f"A minute of 1080p ({film.stat().st_size * minute / 1e6:.0f} MB) takes {(reading - base) * minute:.1f} "
        f"processor-seconds to read, and `mmsearch index` {indexing * minute:.1f} as a whole, its start included."
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
