"""How fast photos are indexed, beside decoding alone and beside rclip.

    python -m benchmarks.index_photos --count 96 --width 4000 --height 3000 --rclip ~/peer/bin/rclip

Each command runs whole, in a process of its own, on files in the page cache, in turn, so that a machine that gets
slower does so for all. `decoding alone` reads and decodes the same files with as many threads and encodes nothing.
Without the model that rclip downloads, `benchmarks.peer_stand_in` makes one of the same shape (--rclip-data).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import Run, machine, middle, mmsearch_command, run, spread
from benchmarks.photo_folder import make_folder
from benchmarks.tables import table, write_section

DECODE = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from mmsearch.models.opening import open_encoder
from mmsearch.reading import picture_in
side = open_encoder().image_side
def read(path): picture_in(path, side)
paths = [os.fsencode(os.path.join(place, name)) for place, _, names in os.walk(sys.argv[1]) for name in names]
with ThreadPoolExecutor(os.cpu_count()) as executor: list(executor.map(read, paths))
"""


def main() -> None:
    """Runs all of them in turn and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=96)
    parser.add_argument("--width", type=int, default=4_000)
    parser.add_argument("--height", type=int, default=3_000)
    parser.add_argument("--photos", type=Path, help="real photos to make the folder of")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", type=Path, help="a folder that `mmsearch models optimise` made of a ViT-B/32")
    parser.add_argument("--rclip", type=Path)
    parser.add_argument("--rclip-data", type=Path)
    parser.add_argument("--document", type=Path, help="the Markdown file that gets the table")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "photos")
        make_folder(folder, asked.count, asked.width, asked.height, asked.photos)
        runs: dict[str, list[Run]] = {"mmsearch index": [], "decoding alone": []}
        if asked.model:
            runs["mmsearch index --model, ViT-B/32 in 8 bits"] = []
        if asked.rclip:
            runs["rclip"] = []
        for turn in range(asked.repeats):
            for name in list(runs) if turn % 2 == 0 else list(runs)[::-1]:
                runs[name].append(one(name, folder, Path(place), asked))
                print(name, f"{runs[name][-1].wall:.2f} s", file=sys.stderr)
    text = report(runs, asked)
    print(text)
    if asked.document:
        megapixels = asked.width * asked.height / 1e6
        write_section(asked.document, f"Indexing {asked.count:,} JPEG photos of {megapixels:.1f} megapixels", text)


def one(name: str, folder: Path, place: Path, asked: argparse.Namespace) -> Run:
    """One run of that name, on a library of its own."""
    if name == "decoding alone":
        return run([sys.executable, "-c", DECODE, str(folder)])
    library = place / "library"
    if name == "rclip":
        data = asked.rclip_data or Path.home() / ".local/share/rclip"
        shutil.rmtree(library, ignore_errors=True)
        library.mkdir()
        for part in data.iterdir():
            if part.name != "db.sqlite3":
                os.symlink(part.resolve(), library / part.name)
        os.chdir(folder)
        return run([str(asked.rclip), "--filepath-only", "a boat"], {"RCLIP_DATADIR": str(library)})
    shutil.rmtree(library, ignore_errors=True)
    model = ["--model", str(asked.model)] if "--model" in name else []
    done = run([*mmsearch_command(), "index", str(folder), *model], {"MMSEARCH_LIBRARY": str(library)})
    assert done.code == 0, done.out
    return done


def report(runs: dict[str, list[Run]], asked: argparse.Namespace) -> str:
    """The table, and how the others compare with mmsearch."""
    rows = [
        [
            name,
            spread([asked.count / one.wall for one in of_name], 1),
            spread([one.processor / asked.count * 1000 for one in of_name], 0),
            spread([100 * one.processor / one.wall / (os.cpu_count() or 1) for one in of_name], 0),
            f"{max(one.peak for one in of_name) / 1e6:,.0f}",
            f"{middle([one.written for one in of_name]) / 1e6:,.1f}",
        ]
        for name, of_name in runs.items()
    ]
    head = ["", "photos/s", "CPU ms a photo", "% of the cores busy", "peak MB", "MB written"]
    wall = {name: middle([one.wall for one in of_name]) for name, of_name in runs.items()}
    ratios = [
        f"`mmsearch index` does {wall['decoding alone'] / wall['mmsearch index']:.2f} of what decoding alone does"
    ]
    ratios += [
        f"`{name}` does {wall['rclip'] / wall[name]:.1f} times as many photos a second as rclip"
        for name in wall
        if "rclip" in wall and name.startswith("mmsearch")
    ]
    return f"{table(head, rows)}\n\n{'; '.join(ratios)}.\n\nMedian of {asked.repeats} [lowest–highest]. {machine()}."


if __name__ == "__main__":
    main()
