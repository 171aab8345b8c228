"""What the word index costs: its size, the time to make and to settle it, and what a query takes.

    python -m benchmarks.word_index FOLDER --files 100000 [--passages 300000]

The library is made up: names and folders as cameras and people give them, and passages of words that are as frequent as
in real texts (Zipf's law), without vectors. Each query is ranked as a resident search does it, and other spellings of
its words are looked for.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from mmsearch.language import read
from mmsearch.records import Content, EncodedItem, FileState, Filters, Locator, ModelIdentity
from mmsearch.searching.query import Term, text_term
from mmsearch.searching.word_channel import WordChannel
from mmsearch.searching.word_ranking import WordsNear
from mmsearch.store.models import add_model
from mmsearch.store.sqlite.damage import let_words_be
from mmsearch.store.sqlite.store import SqliteStore

FILES_A_TRANSACTION = 2_000
PASSAGES_A_FILE, WORDS_A_PASSAGE, VOCABULARY = 10, 60, 50_000
PLACES = ("Japan 京都", "Lisbon", "Home", "Garden", "Work", "Wedding of Ann & Tom", "Norway", "Christmas", "Camp")
QUERIES = {
    "a file's name": "IMG_054321",
    "a common folder": "Japan",
    "a common and a rare word": "Japan 054321",
    "two common words": "Norway 2019",
    "a sentence": "a photo of two people walking along the river in Lisbon at night with an umbrella",
    "a phrase": '"Ann & Tom"',
    "the same without the marks": "Ann & Tom",
    "a word of a common folder and one of texts": "Japan {common}",
    "two common words of texts": "{common} {other}",
    "a word with a slip of the finger": "{slip}",
    "three of them": "{slip} {slip2} {slip3}",
    "nonsense": "qzxvw",
}


def names(count: int) -> Iterator[bytes]:
    chance = random.Random(1)
    for number in range(count):
        place = PLACES[number * len(PLACES) // count]
        folder = f"{2005 + number * 20 // count}/{place}"
        yield f"/home/me/Pictures/{folder}/IMG_{number:06d}.{chance.choice(('jpg', 'JPG', 'png'))}".encode()


def made_up_words(count: int) -> list[str]:
    chance = random.Random(2)
    return ["".join(chance.choices("abcdefghiklmnoprstuvw", k=chance.randint(2, 9))) for _ in range(count)]


def queries() -> Iterator[tuple[str, str]]:
    """What is asked, with words of texts; a slip is a long word with a letter that no word has."""
    vocabulary = made_up_words(VOCABULARY)
    slips = [f"{word[:4]}q{word[5:]}" for word in vocabulary if len(word) == 9]
    asked = {"common": vocabulary[8], "other": vocabulary[9], "slip": slips[0], "slip2": slips[1], "slip3": slips[2]}
    for name, written in QUERIES.items():
        yield name, written.format(**asked)


def fill(folder: Path, files: int, passages: int) -> None:
    """Makes a library with nothing in its word index, as an older one is."""
    store = SqliteStore.write(str(folder))
    let_words_be(store)
    with store.transaction():
        model_id = add_model(store, ModelIdentity("made-up", "1", 1, "f" * 32))
        root_id = store.put_root(b"/home/me/Pictures", "{}").id
    vocabulary, chance = made_up_words(VOCABULARY), np.random.default_rng(3)
    paths, row, left = list(names(files)), np.ones(1, np.float32), passages
    for first in range(0, files, FILES_A_TRANSACTION):
        with store.transaction():
            for number, path in enumerate(paths[first : first + FILES_A_TRANSACTION], start=first):
                items = [EncodedItem("image", row)]
                if left > 0:
                    left -= PASSAGES_A_FILE
                    drawn = np.minimum(chance.zipf(1.2, (PASSAGES_A_FILE, WORDS_A_PASSAGE)) - 1, VOCABULARY - 1)
                    texts = [" ".join(vocabulary[place] for place in passage) for passage in drawn.tolist()]
                    items = [EncodedItem("text", row, Locator(), "body", text) for text in texts]
                content_id = store.put_content(Content(number.to_bytes(16, "big"), "image", 1))
                store.add_items(content_id, model_id, items)
                store.put_file(FileState(root_id, path, 1, 1), content_id)
    store.close()


def timed(work: Callable[[], object], times: int = 1) -> float:
    """The median of so many times, in milliseconds of processor time."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return 1000 * float(np.median(taken))


def ranked(store: SqliteStore, term: Term, model_ids: Sequence[int]) -> WordsNear:
    """What is found for a term, with other spellings looked for."""
    channel = WordChannel(store, [term], Filters(), model_ids)
    channel.suggestions()
    return channel.best(50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--passages", type=int, default=0)
    arguments = parser.parse_args()
    folder = arguments.folder
    if not folder.exists():
        folder.mkdir(parents=True)
        fill(folder, arguments.files, arguments.passages)
    store = SqliteStore.write(str(folder))

    def renew() -> None:
        with store.transaction():
            store.renew_words()
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    before = (folder / "library.db").stat().st_size
    print(f"made, as an upgrade does: {timed(renew) / 1000:.1f} s")
    print(f"size: {((folder / 'library.db').stat().st_size - before) / 1e6:.1f} MB beside {before / 1e6:.1f} MB")
    with store.transaction():
        store.remove_files([arguments.files // 2])
    print(f"settled after a removal: {timed(store.settle_words) / 1000:.2f} s")
    model_ids = [model_id for model_id, _ in store.model_rows()]
    for name, written in queries():
        term = replace(text_term(written), read_as=read(written))
        found = partial(ranked, store, term, model_ids)
        print(f"{name} ({written}): {timed(found, 5):.1f} ms, {len(found().places)} places")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    store.close()


if __name__ == "__main__":
    main()
