"""What readers make of the files in a folder, as they are: each kind read, refused with which reasons, crashed, slow.

    python -m benchmarks.real_files FOLDER --most 150

FOLDER holds files from anywhere, the more programs wrote them the better: the test files of readers, a disk's own. Of
each kind that is read at most so many are taken, drawn with the same dice each time. They are read by a process apart,
which is watched, as in `benchmarks.fuzz_readers`.

Of documents of an office the distinct words are held against those that a second reader finds, Kreuzberg (of the extra
`office`; for what that one reads, it is no second one): how many of its words are among ours, and of ours among its.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fuzz_readers import Row, Watched, report
from benchmarks.measuring import machine
from benchmarks.tables import table, write_section
from mmsearch.reading import UnreadableFile, medium_of, open_file, read

# What a second reader reads as well, and by itself.
COMPARED = ("docx", "pptx", "xlsx", "odt", "ods", "odp", "epub", "fb2", "rtf", "eml", "ipynb")
# Of fewer words a share says nothing.
FEWEST_WORDS = 20
SECOND = """
import os, sys
from kreuzberg import ExtractionConfig, extract_file_sync
config = ExtractionConfig(use_cache=False, disable_ocr=True, enable_quality_processing=False)
text = extract_file_sync(sys.argv[1], config=config).content
os.write(1, text.encode("utf-8", "replace"))
"""
MOST_SECONDS = 60.0


def main() -> None:
    """Reads the files, and prints or writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, default=150, help="so many files of each kind")
    parser.add_argument("--compare", type=int, default=20, help="so many of each kind are read by a second reader too")
    parser.add_argument("--kinds", nargs="+", help="of these extensions alone, without the dot")
    parser.add_argument("--document", type=Path, help="the Markdown file that gets the tables")
    asked = parser.parse_args()
    kinds: dict[str, list[Path]] = {}
    for path in sorted(asked.folder.rglob("*")):
        kind = path.suffix[1:].lower()
        if path.is_file() and medium_of(os.fsencode(path)) and (not asked.kinds or kind in asked.kinds):
            kinds.setdefault(kind, []).append(path)
    rows, compared = {}, []
    for kind, paths in kinds.items():
        random.Random(7).shuffle(paths)
        rows[kind] = row_of(paths[: asked.most])
        print(kind, rows[kind], file=sys.stderr, flush=True)
        if kind in COMPARED:
            compared.append(comparison(kind, paths[: asked.most], asked.compare))
    head = ["kind", "files compared", "of its words found here", "of ours found there"]
    text = "\n\n".join([report(rows, "files"), table(head, compared), machine()])
    write_section(asked.document, "Real files", text) if asked.document else print(text)


def row_of(paths: Sequence[Path]) -> Row:
    """What becomes of the files of one kind."""
    row = Row()
    with Watched() as reader:
        for path in paths:
            row.count(path.name, reader.read(path))
    return row


def comparison(kind: str, paths: Sequence[Path], count: int) -> list[str]:
    """A line of the second table, of the first files in which both find enough words: means, and the lowest."""
    theirs_here, ours_there = [], []
    for path in paths:
        theirs, ours = words_of_second(path), words_here(path)
        if min(len(theirs), len(ours)) < FEWEST_WORDS:
            continue
        theirs_here.append(len(theirs & ours) / len(theirs))
        ours_there.append(len(theirs & ours) / len(ours))
        print(f"{path} {theirs_here[-1]:.3f} {ours_there[-1]:.3f}", file=sys.stderr, flush=True)
        if len(theirs_here) == count:
            break
    shares = [f"{statistics.mean(some):.3f} [{min(some):.3f}]" if some else "–" for some in (theirs_here, ours_there)]
    return [kind, str(len(theirs_here)), *shares]


def words_here(path: Path) -> set[str]:
    """The distinct words of the file's parts; none where it cannot be read."""
    found: set[str] = set()
    try:
        with open_file(os.fsencode(path)) as file:
            for part in read(file, 256).parts:
                if part.modality == "text":
                    found |= words_in(part.payload)
    except UnreadableFile:
        return set()
    return found


def words_of_second(path: Path) -> set[str]:
    """Those that the second reader finds, in a process of its own, as it may not end well."""
    try:
        done = subprocess.run([sys.executable, "-c", SECOND, path], capture_output=True, timeout=MOST_SECONDS)
    except subprocess.TimeoutExpired:
        return set()
    return words_in(done.stdout.decode("utf-8", "replace")) if done.returncode == 0 else set()


def words_in(text: str) -> set[str]:
    """Words of two letters and more, in small letters."""
    return set(re.findall(r"[^\W\d_]{2,}", text.casefold()))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
