"""What does one damaged byte of a library's database do: is the answer right, is the damage said, does doctor find it?

    python -m benchmarks.damage --tries 200 --seed 1
    python -m benchmarks.damage --every 50 --bits --repair 40

A small library is made of notes; each try changes one byte of its `library.db` (with `--bits` one bit), searches, asks
for the status and lets doctor look. `--every` goes through the whole file in such steps. The first `--repair` tries of
which doctor knows are also repaired and indexed again. Prints how many tries ended how, and each one that should not
be: a wrong answer that nobody says (`silent`), an error that is none of mmsearch's (`traceback`), and a library whose
answers are others after its repair (`not mended`).
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from mmsearch import Filters, Library, MmsearchError, Query, Term

TOPICS = (
    "ships in the harbour",
    "three kittens",
    "the income tax",
    "a hot cup of coffee",
    "stars at night",
    "old trains",
)
NOTES = 40


def make_home(folder: Path) -> None:
    folder.mkdir()
    for number in range(NOTES):
        topic = TOPICS[number % len(TOPICS)]
        words = f"Note {number} is about {topic}. " * 3
        (folder / f"note {number}.{'md' if number % 3 else 'txt'}").write_text(f"# {topic}\n\n{words}\n")


def answers(folder: Path) -> object:
    """All that a person would see: hits of several queries with what is said of each file, and the counts."""
    with closing(Library(folder)) as library:
        queries = [Query((Term("text", topic),)) for topic in TOPICS]
        queries.append(Query((Term("text", TOPICS[0]),), Filters(extensions=(".txt",))))
        found = [
            [
                (hit.path, round(hit.score, 5), hit.type, hit.snippet, hit.line, hit.bytes, hit.modified)
                for hit in one.hits
            ]
            for one in (library.search(query) for query in queries)
        ]
        status = library.status()
        return found, status.counts.files, status.counts.items, status.model


def places(arguments: argparse.Namespace, size: int) -> Iterator[tuple[int, int]]:
    """Which byte is changed, and by which mask."""
    chance = random.Random(arguments.seed)
    if arguments.every:
        for place in range(0, size, arguments.every):
            yield place, 1 << chance.randrange(8) if arguments.bits else chance.randrange(1, 256)
        return
    for _ in range(arguments.tries):
        yield chance.randrange(size), 1 << chance.randrange(8) if arguments.bits else chance.randrange(1, 256)


def outcome(folder: Path, right: object) -> tuple[str, str, bool]:
    """How a try ended, with the error where there was one, and whether doctor finds something."""
    said = ""
    try:
        seen = answers(folder)
    except MmsearchError as error:
        seen, said = None, error.message
    except Exception as error:
        return "traceback", repr(error), False
    try:
        found = not Library(folder).care.examine().sound
    except MmsearchError as error:
        found, said = True, said or error.message
    except Exception as error:
        return "traceback", f"doctor: {error!r}", False
    if said:
        return ("said" if found else "said, not found"), said, found
    if seen == right:
        return ("right, found" if found else "right"), "", found
    return ("wrong, found" if found else "silent"), "", found


def is_mended(folder: Path, home: Path, right: object) -> str:
    """What is wrong after a repair and a run of index; "" for nothing."""
    try:
        with closing(Library(folder)) as library:
            library.care.repair()
            library.index([home])
        if answers(folder) != right:
            return "other answers"
        return "" if Library(folder).care.examine().sound else "doctor still finds something"
    except Exception as error:
        return repr(error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--every", type=int, default=0)
    parser.add_argument("--bits", action="store_true")
    parser.add_argument("--repair", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home, sound, own = Path(place, "home"), Path(place, "sound"), Path(place, "own")
        make_home(home)
        with closing(Library(sound)) as library:
            library.index([home])
        right = answers(sound)
        content = (sound / "library.db").read_bytes()
        ends: Counter[str] = Counter()
        repairs = asked.repair
        for where, mask in places(asked, len(content)):
            shutil.rmtree(own, ignore_errors=True)
            shutil.copytree(sound, own)
            broken = bytearray(content)
            broken[where] ^= mask
            (own / "library.db").write_bytes(broken)
            end, error, found = outcome(own, right)
            ends[end] += 1
            if end in ("silent", "traceback", "said, not found"):
                print(f"{end}: byte {where} ^ {mask}: {error}", flush=True)
            if found and repairs:
                repairs -= 1
                trouble = is_mended(own, home, right)
                ends["not mended" if trouble else "mended"] += 1
                if trouble:
                    print(f"not mended: byte {where} ^ {mask} ({end}): {trouble}", flush=True)
        print(f"{len(content):,} bytes:", dict(sorted(ends.items())))


if __name__ == "__main__":
    main()
