"""How often a text is found with small edits, what is taken for it that is not, and how soon.

    python -m benchmarks.near_texts docs/*.md --letters 100 --texts 10000

Letters are put together of five paragraphs of the files. Of each kind of edit it says how many letters are still taken
for the original, and how many runs of words both share. Series follow one form: bills with other numbers, certificates
with another name, minutes that begin and end alike, reports of which every paragraph has other figures: no two of them
should be one text. `--texts` says how long it takes to compare so many, a twentieth of them edited copies.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.tables import table
from mmsearch.nearest.vectors import as_float32
from mmsearch.records import Content, EncodedItem, FileState, Filters, Locator, ModelIdentity
from mmsearch.searching.near_texts import LEAST_SHARED, NearTexts, WordCodes, runs_of, shared
from mmsearch.store.models import add_model
from mmsearch.store.sqlite.store import SqliteStore

Letter = list[str]
NAMES = ["Anna Schmidt", "Peter Meyer", "Ines Costa", "Ola Berg", "Marta Nowak", "Jan de Boer", "Lea Roux", "Tim Fox"]


def with_word(letter: Letter, chance: random.Random) -> Letter:
    words = letter[2].split()
    words[chance.randrange(len(words))] = "otherwise"
    return [*letter[:2], " ".join(words), *letter[3:]]


EDITS: dict[str, Callable[[Letter, Letter, random.Random], Letter]] = {
    "white space and case": lambda one, other, chance: [text.upper().replace(" ", "\n  ") for text in one],
    "a word changed": lambda one, other, chance: with_word(one, chance),
    "a line added": lambda one, other, chance: [*one, " ".join(other[0].split()[:12])],
    "the first paragraph gone": lambda one, other, chance: one[1:],
    "one paragraph of five changed": lambda one, other, chance: [*one[:3], other[3], one[4]],
    "two paragraphs of five changed": lambda one, other, chance: [*one[:2], *other[2:4], one[4]],
    "paragraphs in another order": lambda one, other, chance: chance.sample(one, len(one)),
    "another text": lambda one, other, chance: other,
}


def bill(number: int, form: Letter) -> Letter:
    sums = [f"Item {place}: {number * 31 % 97} pieces at {number * 17 % 89}.{place}0" for place in range(4)]
    return [f"Bill {1000 + number} of {number % 28 + 1} March 2024", form[0], *sums, form[1]]


SERIES: dict[str, Callable[[int, Letter, Letter], Letter]] = {
    "bills": lambda number, form, own: bill(number, form),
    "certificates": lambda number, form, own: [f"It is certified that {NAMES[number]}", *form[:2], NAMES[number]],
    "minutes": lambda number, form, own: [form[0], f"Meeting {number} on {number + 3} May", *own[1:4], form[4]],
    "reports": lambda number, form, own: [f"{one} {number * 37 % 83} of {number * 53 % 79}" for one in form],
}


def share(one: Letter, other: Letter) -> float:
    runs = [runs_of("\n\n".join(letter), WordCodes()) for letter in (one, other)]
    return 0.0 if runs[0] is None or runs[1] is None else shared(runs[0], runs[1])


def edits(letters: Sequence[Letter], chance: random.Random) -> str:
    rows = []
    for name, edit in EDITS.items():
        shares = [
            share(one, edit(one, other, chance)) for one, other in zip(letters, [*letters[1:], letters[0]], strict=True)
        ]
        found = np.mean([one >= LEAST_SHARED for one in shares])
        rows.append([name, f"{found:.2f}", f"{np.median(shares):.2f}"])
    return table(["edit", "taken for the same", "runs shared, median"], rows)


def series(letters: Sequence[Letter]) -> str:
    rows = []
    for name, made in SERIES.items():
        of_series = [
            [made(number, letters[first], letters[first + number]) for number in range(len(NAMES))]
            for first in range(0, len(letters) - len(NAMES), len(NAMES))
        ]
        shares = [share(*pair) for one in of_series for pair in combinations(one, 2)]
        rows.append([name, f"{len(shares):,}", f"{np.mean([one >= LEAST_SHARED for one in shares]):.2f}"])
    return table(["series", "pairs", "taken for the same"], rows)


def fill(folder: str, texts: Sequence[str]) -> tuple[SqliteStore, int]:
    """A library with those texts, each a passage."""
    store = SqliteStore.write(folder)
    vector = as_float32(np.eye(1, 4, dtype=np.float16))[0]
    with store.transaction():
        model_id = add_model(store, ModelIdentity("made-up", "1", 4, "f" * 32))
        root = store.put_root(b"/texts", "{}")
        for number, text in enumerate(texts):
            content_id = store.put_content(Content(number.to_bytes(16, "big"), "text", len(text)))
            store.add_items(content_id, model_id, [EncodedItem("text", vector, Locator(0, len(text)), "body", text)])
            store.put_file(FileState(root.id, b"/texts/%d.txt" % number, len(text), number), content_id)
    return store, model_id


def timed(texts: Sequence[str]) -> str:
    with TemporaryDirectory() as folder:
        store, model_id = fill(folder, texts)
        started, worked = time.perf_counter(), time.process_time()
        near = NearTexts(store, model_id, Filters(), lambda progress: None)
        candidates = near.candidates()
        pairs = near.pairs(candidates)
        wall, processor = time.perf_counter() - started, time.process_time() - worked
        store.close()
    words = sum(len(text.split()) for text in texts) // len(texts)
    return (
        f"{len(texts):,} texts of {words} words: {wall:.1f} s ({processor:.1f} processor-seconds), {len(candidates):,} "
        f"worth comparing, {len(pairs):,} pairs that are the same"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--letters", type=int, default=100)
    parser.add_argument("--texts", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(1)
    written = "\n\n".join(file.read_text(encoding="utf-8") for file in arguments.files)
    paragraphs = sorted(
        {one for one in re.split(r"\n\s*\n", written) if 30 <= len(one.split()) <= 120 and "|" not in one}
    )
    chance.shuffle(paragraphs)
    letters = [chance.sample(paragraphs, 5) for _ in range(arguments.letters)]
    print(edits(letters, chance), series(letters), sep="\n\n")
    if arguments.texts:
        words = sorted(set(written.split()))
        texts = [" ".join(chance.choices(words, k=300)) for _ in range(arguments.texts * 20 // 21)]
        texts += [f"{text} with a line behind it" for text in texts[::20]]
        print(timed(texts), sep="\n")


if __name__ == "__main__":
    main()
