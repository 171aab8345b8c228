"""How fast photos are indexed by model and device, and how busy a graphics card is meanwhile.

    python -m benchmarks.devices MODEL... --device cpu --device cuda --count 2000 --width 2000 --height 1500

MODEL is a folder (`benchmarks.peer_stand_in` makes one of ViT-B/32's shape), or a name, for which the optimised form is
taken where there is one. Each index run is whole, in a process of its own, models and devices in turn. `encoding alone`
is given pictures that are decoded already, from as many threads. The card's use is what nvidia-smi says, four times a
second, while it computes at all.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measuring import Run, machine, mmsearch_command, run, spread
from benchmarks.photo_folder import make_folder
from benchmarks.tables import table, write_section

ENCODE = """
import functools, os, sys, time
from concurrent.futures import ThreadPoolExecutor
from mmsearch.models.opening import open_encoder
from mmsearch.reading import picture_in
model, device, folder = sys.argv[1:]
encoder = open_encoder(model, device)
paths = [os.fsencode(os.path.join(place, name)) for place, _, names in os.walk(folder) for name in names]
pictures = [picture_in(path, encoder.image_side) for path in paths[:64]]
pictures = (pictures * 32)[: 16 * max(16, encoder.pictures_at_once)]
size = encoder.pictures_at_once
batches = [pictures[start : start + size] for start in range(0, len(pictures), size)]
encoder.encode("image", batches[0])
started = time.perf_counter()
encode = functools.partial(encoder.encode, "image")
with ThreadPoolExecutor(os.cpu_count()) as executor: list(executor.map(encode, batches))
print(len(pictures) / (time.perf_counter() - started), size)
"""


def main() -> None:
    """Runs all of them in turn and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="+")
    parser.add_argument("--device", action="append", help="auto, cpu, cuda or mps (repeatable)")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--width", type=int, default=2_000)
    parser.add_argument("--height", type=int, default=1_500)
    parser.add_argument("--photos", type=Path, help="real photos to make the folder of")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--document", type=Path, help="the Markdown file that gets the table")
    asked = parser.parse_args()
    ways = [(model, device) for model in asked.model for device in asked.device or ["auto"]]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "photos")
        make_folder(folder, asked.count, asked.width, asked.height, asked.photos)
        alone: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
        at_once: dict[tuple[str, str], int] = {}
        runs: dict[tuple[str, str], list[Run]] = {way: [] for way in ways}
        used: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
        for _ in range(asked.repeats):
            for way in ways:
                rate, size = run([sys.executable, "-c", ENCODE, *way, str(folder)]).out.split()
                alone[way].append(float(rate))
                at_once[way] = int(size)
                with watching_card() as seen:
                    runs[way].append(index(*way, folder, Path(place, "library")))
                used[way] += seen
                print(*way, f"{runs[way][-1].wall:.1f} s", file=sys.stderr)
    rows = [
        [
            Path(way[0]).name,
            way[1],
            str(at_once[way]),
            spread(alone[way], 0),
            spread([asked.count / one.wall for one in runs[way]], 1),
            spread([100 * one.processor / one.wall / (os.cpu_count() or 1) for one in runs[way]], 0),
            f"{sum(used[way]) / len(used[way]):.0f}" if used[way] else "–",
        ]
        for way in ways
    ]
    head = [
        "model",
        "device",
        "pictures a call",
        "photos/s, encoding alone",
        "photos/s, whole run",
        "% of the cores busy",
    ]
    text = f"{table([*head, '% of the card busy'], rows)}\n\nMedian of {asked.repeats} [lowest–highest]. {machine()}."
    print(text)
    if asked.document:
        write_section(asked.document, f"Indexing {asked.count:,} photos by model and device", text)


def index(model: str, device: str, folder: Path, library: Path) -> Run:
    """One whole run into a new library."""
    shutil.rmtree(library, ignore_errors=True)
    command = [*mmsearch_command(), "index", str(folder), "--model", model, "--device", device]
    done = run(command, {"MMSEARCH_LIBRARY": str(library)})
    assert done.code == 0, done.out
    return done


@contextmanager
def watching_card() -> Iterator[list[float]]:
    """Collects, in per cent, how busy the graphics card is, from when it first is to when it last is."""
    seen: list[float] = []
    if shutil.which("nvidia-smi") is None:
        yield seen
        return
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "250"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        thread = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
        thread.start()
        try:
            yield seen
        finally:
            process.terminate()
            thread.join()
    values = [float(line) for line in lines if line.strip().isdigit()]
    busy = [number for number, value in enumerate(values) if value > 0]
    if busy:
        seen += values[busy[0] : busy[-1] + 1]


if __name__ == "__main__":
    main()
