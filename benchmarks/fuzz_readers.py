"""What readers make of damaged files: each kind read, refused with which reasons, crashed, or slow; its peak memory.

    python -m benchmarks.fuzz_readers SEEDS --copies 300

SEEDS is a folder of small sound files; those of one extension are one kind. Each copy has bits flipped, blocks taken
out, doubled or overwritten, numbers as lengths are written changed, or several of these; of a zip every second copy has
that done within a member, which is packed anew, so that what reads the member sees the damage. Besides, the first seed
of a kind is cut off at ten places. The same seeds give the same copies each time. They are read by a process apart,
which is watched: where it ends, or stays with a file for a minute, the file is `crashed`, as it is with any error but a
reason.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import re
import selectors
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring import machine
from benchmarks.tables import table, write_section

CUTS = 10
SLOW_SECONDS = 10.0
MOST_SECONDS = 60.0
# No file may take so much; the address space holds libraries too.
MOST_ADDRESSES = 6_000_000_000
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
READ = """
import json, os, resource, sys, time
from mmsearch.reading import UnreadableFile, open_file, read
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
for line in sys.stdin:
    began, end = time.process_time(), ""
    try:
        with open_file(os.fsencode(line.rstrip("\\n"))) as file:
            for part in read(file, 256).parts:
                pass
        kind = "read"
    except UnreadableFile as error:
        kind, end = "refused", error.reason
    except BaseException as error:
        kind, end = "wrong", repr(error)
    usages = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps([kind, end, time.process_time() - began, max(usages)]), file=answers, flush=True)
"""


@dataclass
class Row:
    """What became of the copies of one kind. `peak` is in kilobytes."""

    copies: int = 0
    read: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    crashed: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    peak: int = 0

    def count(self, name: str, answer: tuple[str, str, float, int]) -> None:
        """Takes in what `Watched.read` says of the copy of that name."""
        end, reason, seconds, peak = answer
        self.copies += 1
        self.peak = max(self.peak, peak)
        if end == "read":
            self.read += 1
        elif end == "refused":
            self.reasons[re.sub(r"(?<![A-Za-z\d])\d[\d,.]*", "N", reason)] += 1
        else:
            self.crashed.append(f"{name}: {reason}")
        if seconds > SLOW_SECONDS:
            self.slow.append(f"{name}: {seconds:.0f} s")


def main() -> None:
    """Makes the copies, has them read, and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", type=Path)
    parser.add_argument("--copies", type=int, default=300)
    parser.add_argument("--kinds", nargs="+", help="of these extensions alone, without the dot")
    parser.add_argument("--keep", type=Path, help="a folder for the copies that crashed or were slow")
    parser.add_argument("--document", type=Path, help="the Markdown file that gets the table")
    asked = parser.parse_args()
    kinds: dict[str, list[Path]] = {}
    for path in sorted(asked.seeds.rglob("*")):
        if path.is_file() and (not asked.kinds or path.suffix[1:].lower() in asked.kinds):
            kinds.setdefault(path.suffix[1:].lower(), []).append(path)
    rows = {}
    for kind, seeds in kinds.items():
        rows[kind] = fuzzed(kind, [seed.read_bytes() for seed in seeds], asked)
        print(kind, rows[kind], file=sys.stderr, flush=True)
    text = f"{report(rows)}\n\n{machine()}"
    write_section(asked.document, "Damaged files", text) if asked.document else print(text)


def fuzzed(kind: str, seeds: Sequence[bytes], asked: argparse.Namespace) -> Row:
    row = Row()
    with tempfile.TemporaryDirectory() as place, Watched() as reader:
        for number, copy in enumerate(copies(kind, seeds, asked.copies)):
            path = Path(place, f"{number}.{kind}")
            path.write_bytes(copy)
            end, _, seconds, _ = answer = reader.read(path)
            row.count(str(number), answer)
            if asked.keep and (end not in ("read", "refused") or seconds > SLOW_SECONDS):
                (asked.keep / path.name).write_bytes(copy)
            path.unlink()
    return row


def copies(kind: str, seeds: Sequence[bytes], count: int) -> Iterator[bytes]:
    """The seeds in turn, damaged; then the first of them, cut off."""
    chance = random.Random(zlib.crc32(kind.encode()))
    for number in range(count):
        seed = seeds[number // 2 % len(seeds)]
        if number % 2 and seed.startswith(b"PK\3\4"):
            yield damaged_within(seed, chance)
        else:
            yield damaged(seed, chance)
    for place in range(CUTS):
        yield seeds[0][: len(seeds[0]) * (2 * place + 1) // (2 * CUTS)]


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The bytes after one to four accidents."""
    broken = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        accident = chance.choice((flip, flip, flip, set_number, set_number, set_number, take_out, double, overwrite))
        if broken:
            accident(broken, chance)
    return bytes(broken)


def flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 8, 64))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def block(data: bytearray, chance: random.Random) -> tuple[int, int]:
    begin = chance.randrange(len(data))
    return begin, begin + 1 + int(chance.random() ** 3 * (len(data) - begin))


def take_out(data: bytearray, chance: random.Random) -> None:
    begin, end = block(data, chance)
    del data[begin:end]


def double(data: bytearray, chance: random.Random) -> None:
    begin, end = block(data, chance)
    data[end:end] = data[begin:end]


def overwrite(data: bytearray, chance: random.Random) -> None:
    begin, end = block(data, chance)
    data[begin:end] = chance.choice((bytes(end - begin), chance.randbytes(end - begin), b"<" * (end - begin)))


def set_number(data: bytearray, chance: random.Random) -> None:
    """A number of one to four bytes, as lengths and counts are written, is an extreme one, or one of digits is."""
    begin = chance.randrange(len(data))
    digits = [match.span() for match in re.finditer(rb"\d+", data[begin : begin + 2_000])]
    if digits and chance.random() < 0.5:
        first, last = digits[0]
        data[begin + first : begin + last] = str(chance.choice(EXTREMES)).encode()
        return
    length = chance.choice((1, 2, 4))
    written = (chance.choice(EXTREMES) % 256**length).to_bytes(length, chance.choice(("little", "big")))
    data[begin : begin + length] = written


def damaged_within(data: bytes, chance: random.Random) -> bytes:
    """A zip of which one member is damaged and packed as if it were not."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as whole, zipfile.ZipFile(made, "w") as broken:
        members = [one for one in whole.infolist() if one.file_size]
        bad = chance.choice(members)
        for one in members:
            content = whole.read(one)
            broken.writestr(one, damaged(content, chance) if one is bad else content)
    return made.getvalue()


class Watched:
    """A process that reads files, and is started anew after one that ended it."""

    def __enter__(self) -> Watched:
        self._start()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", READ, str(MOST_ADDRESSES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def read(self, path: Path) -> tuple[str, str, float, int]:
        """(how it ended, the reason or error, processor seconds, peak kilobytes of the process so far)."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            is_ready = bool(selector.select(MOST_SECONDS))
        line = self._process.stdout.readline() if is_ready else ""
        if line:
            end, reason, seconds, peak = json.loads(line)
            return end, reason, seconds, peak
        self._process.kill()
        code = self._process.wait()
        self._start()
        return "crashed", f"ended with {code}" if is_ready else f"longer than {MOST_SECONDS:.0f} s", 0.0, 0


def report(rows: Mapping[str, Row], counted: str = "copies") -> str:
    """The table of the rows by kind."""
    lines = [
        [
            kind,
            str(row.copies),
            str(row.read),
            "; ".join(f"{reason} {count}" for reason, count in row.reasons.most_common()),
            "; ".join(row.crashed) or "0",
            "; ".join(row.slow) or "0",
            f"{row.peak / 1e3:,.0f}",
        ]
        for kind, row in sorted(rows.items())
    ]
    head = ["kind", counted, "read", "refused", "crashed", f"slower than {SLOW_SECONDS:.0f} s", "peak MB"]
    return table(head, lines)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
