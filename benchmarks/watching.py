"""How soon is what is written found, and what does waiting for it cost?

    python -m benchmarks.watching --folders 20000

Makes a tree of so many folders with 2,000 notes, watches it in a process of its own, and prints a table. Linux only: a
process's time and memory are read from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

NOTES = 2_000


def make_tree(tree: Path, folders: int) -> None:
    """Folders of ten, a hundred of these in each of those at the top; and what rules leave out."""
    outer = max(1, folders // 1_100)
    for number in range(NOTES):
        place = tree / f"{number % outer:02}" / f"{number // outer % 100:03}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.txt").write_text(f"Note number {number} about boats.")
    for number in range(outer * 1_000):
        (tree / f"{number % outer:02}" / f"{number // outer % 100:03}" / f"{number // outer // 100}").mkdir(
            parents=True, exist_ok=True
        )
        (tree / "node_modules" / f"{number}").mkdir(parents=True, exist_ok=True)


class Watched:
    """A process that watches, and when it told what."""

    def __init__(self, tree: Path, library: Path) -> None:
        self.events: list[tuple[float, Any]] = []
        command = [sys.executable, "-m", "mmsearch", "watch", "--json", str(tree), "--library", str(library)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append((time.monotonic(), json.loads(line)))

    def told(self, kind: str, after: int = 0) -> float:
        """When the first event of that kind came, of those after so many."""
        while True:
            for moment, event in self.events[after:]:
                if event["event"] == kind:
                    return moment
            time.sleep(0.02)

    def processor(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmRSS"))

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


def measure(folder: Path, folders: int) -> dict[str, str]:
    """What stands in the rows of the table."""
    tree, library = folder / "tree", folder / "library"
    make_tree(tree, folders)
    first = Watched(tree, library)
    first.told("watching")
    first.end()
    began = time.monotonic()
    watched = Watched(tree, library)
    rows = {"start, all folders known": f"{watched.told('watching') - began:.1f} s"}
    rows["folders watched"] = f"{watched.events[-1][1]['folders']:,}"
    rows["memory before a model is loaded"] = f"{watched.memory():.0f} MB"
    before, began = watched.processor(), time.monotonic()
    time.sleep(10)
    rows["processor time of 10 idle seconds"] = f"{watched.processor() - before:.2f} s"
    place = next(path.parent for path in tree.rglob("*.txt"))
    taken = []
    for number in range(6):
        after, began = len(watched.events), time.monotonic()
        (place / f"new {number}.txt").write_text(f"A note about whales, number {number}.")
        taken.append(watched.told("indexed", after) - began)
        time.sleep(1)
    rows["written → found, the first file"] = f"{taken[0]:.1f} s"
    rows["written → found, median of the next five"] = f"{statistics.median(taken[1:]):.1f} s"
    rows["memory after that"] = f"{watched.memory():.0f} MB"
    after, began = len(watched.events), time.monotonic()
    next(path for path in tree.iterdir() if path.name != "node_modules").rename(tree / "renamed")
    rows["a folder of 1,100 folders renamed → found"] = f"{watched.told('indexed', after) - began:.1f} s"
    watched.end()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print("| | |\n|-|-|")
        for name, value in measure(Path(folder), arguments.folders).items():
            print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
