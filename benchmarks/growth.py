"""What a library costs as it grows: an unchanged tree, and a hundred photos more.

    python -m benchmarks.growth --photos ~/Pictures --sizes 1000 10000 100000 1000000

An unchanged tree is one of small text files, walked and compared by `mmsearch index`. The photos are added to a library
of `benchmarks.large_library`, from a folder of their own; beside it the same photos are indexed into an empty library.
Where they are a tenth of all or more, what scores mean is measured anew as well.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.large_library import make_library, vectors_of_photos
from benchmarks.measuring import Run, machine, middle, mmsearch_command, run, spread
from benchmarks.photo_folder import make_folder
from benchmarks.tables import exponent, plot, table, write_section
from mmsearch.records import FloatMatrix

WORDS = ("harbour", "garden", "letter", "winter", "bicycle", "river", "kitchen", "mountain", "market", "station")
TREE_SIZES = 100_000


def main() -> None:
    """Measures both and prints or writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--document", type=Path, help="the Markdown file that gets the tables, and a plot beside it")
    asked = parser.parse_args()
    trees = measure(asked, [size for size in asked.sizes if size <= TREE_SIZES], unchanged)
    write(asked, "An unchanged tree", "files", trees, "unchanged-tree.png")
    seeds = vectors_of_photos(asked.photos)
    with tempfile.TemporaryDirectory() as place:
        make_folder(Path(place, "more"), 100, 4_000, 3_000, asked.photos)
        added = measure(asked, [0, *asked.sizes], lambda size, here: add(size, here, seeds, Path(place, "more"), asked))
    write(asked, "A hundred photos of 12 megapixels more", "photos in the library before", added, "adding.png")


def measure(
    asked: argparse.Namespace, sizes: list[int], one: Callable[[int, Path], Callable[[], Run]]
) -> dict[int, list[Run]]:
    """Runs by size, in turn."""
    with tempfile.TemporaryDirectory() as place:
        runs: dict[int, list[Run]] = {size: [] for size in sizes}
        again = {}
        for size in sizes:
            again[size] = one(size, Path(place, str(size)))
            print(f"{size:,} made", file=sys.stderr)
        for _ in range(asked.repeats):
            for size in sizes:
                runs[size].append(again[size]())
                print(f"{size:,}: {runs[size][-1]}", file=sys.stderr)
    return runs


def unchanged(size: int, place: Path) -> Callable[[], Run]:
    """A tree of so many small files, indexed; what comes back indexes it once more."""
    tree = place / "tree"
    for number in range(size):
        if number % 500 == 0:
            (tree / f"{number // 500:04}").mkdir(parents=True)
        text = f"{WORDS[number % 10]} {number} {WORDS[number // 10 % 10]}"
        (tree / f"{number // 500:04}" / f"{number}.txt").write_text(text)
    environment = {"MMSEARCH_LIBRARY": str(place / "library")}
    run([*mmsearch_command(), "index", "--no-graph", str(tree)], environment)
    return lambda: run([*mmsearch_command(), "index", str(tree)], environment)


def add(size: int, place: Path, seeds: FloatMatrix, more: Path, asked: argparse.Namespace) -> Callable[[], Run]:
    """A library of so many photos; what comes back adds a hundred more, different ones each time."""
    if size:
        make_library(place, seeds, size, graph=False)
    place.mkdir(exist_ok=True)
    environment = {"MMSEARCH_LIBRARY": str(place)}
    folder = place / "more"

    def once() -> Run:
        if folder.exists():
            run([*mmsearch_command(), "forget", str(folder)], environment)
        shutil.copytree(more, folder, dirs_exist_ok=True)
        return run([*mmsearch_command(), "index", "--no-graph", str(folder)], environment)

    return once


def write(asked: argparse.Namespace, title: str, what: str, runs: dict[int, list[Run]], picture: str) -> None:
    """Prints the table, and writes it with a plot where a document is asked for."""
    rows = [
        [
            f"{size:,}",
            spread([one.wall for one in of_size]),
            f"{middle([one.processor for one in of_size]):.2f}",
            f"{max(one.peak for one in of_size) / 1e6:,.0f}",
            f"{middle([one.written for one in of_size]) / 1e3:,.0f}",
        ]
        for size, of_size in runs.items()
    ]
    sizes = [size for size in runs if size]
    growth = exponent(sizes, [middle([one.wall for one in runs[size]]) for size in sizes])
    text = table([what, "seconds, whole process", "CPU s", "peak MB", "kB written"], rows)
    text += f"\n\nTime grows as N^{growth:.2f}. Median of {asked.repeats} [lowest–highest]. {machine()}."
    print(text)
    if asked.document:
        curves = {title: {size: middle([one.wall for one in runs[size]]) for size in sizes}}
        plot(asked.document.parent / picture, curves, what, "seconds, whole process")
        write_section(asked.document, title, f"{text}\n\n![Seconds by size]({picture})")


if __name__ == "__main__":
    main()
