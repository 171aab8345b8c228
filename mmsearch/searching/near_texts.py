"""Texts that are the same but for a format, white space or small edits, without comparing each with each.

A text is the set of its runs of three words. What two texts share of these, of all that either has (Jaccard), is
estimated by the least values of random orders of the runs (Broder, "On the Resemblance and Containment of Documents",
1997); texts that agree in three such values of one band are compared by the runs themselves (Leskovec et al., "Mining
of Massive Datasets", 3.4). Bills and reports of one form share most of their words: where it is numbers that differ,
two texts are not one. How often that is right is measured by `benchmarks/near_texts.py`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mmsearch.records import Filters, ItemIds, Progress, TextPassage
from mmsearch.store.protocol import Store
from mmsearch.store.words import words_of_text

Codes = npt.NDArray[np.uint64]

# What two texts must share of their runs of words.
LEAST_SHARED = 0.6
# They are filled in otherwise if so much of what differs is numbers; not for a single one, if they share so many.
_NUMBERS_OF_OTHERS, _NUMBERS_SHARED = 0.2, 0.6
# Fewer words say too little.
FEWEST_WORDS = 8
# Of files that are texts by their bytes those that are written to be read. A word makes another program, or table.
PROSE = frozenset(
    {".txt", ".text", ".md", ".markdown", ".mdown", ".mkd", ".rst", ".adoc", ".asciidoc", ".org", ".tex", ".textile"}
    | {".wiki", ".rmd", ".qmd", ".html", ".htm", ".xhtml"}
)
_RUN = 3
# 20 × 3 values: of pairs that share 0.6 of their runs, 99 % agree in a band.
_BANDS, _ROWS = 20, 3
# An estimate by 60 values is rarely so far below what is shared.
_ESTIMATE_BELOW = 0.2
# Of a longer text the runs of the least codes stand for all.
_MOST_RUNS = 8_192
# In a larger band each text is compared with so many that would be kept before others.
_CROWD, _KEPT_FIRST = 64, 32
_KNOWN_WORDS = 300_000
_AT_ONCE = 500
_SEED = 1


class Shared(NamedTuple):
    """Two texts, by the items that stand for them, and the share of runs of words that they have in common, 0 to 1."""

    one: int
    other: int
    share: float


class Runs(NamedTuple):
    """A text as codes of its runs of words (`runs`, ascending, each once) and of its words, ascending.

    `last` is the highest code that is among the runs where a long text has more of them.
    """

    runs: Codes
    words: Codes
    last: int | None = None


class WordCodes(dict[str, int]):
    """A number for each word, odd for digits; it forgets them when they are too many."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _KNOWN_WORDS:
            self.clear()
        code = self[word] = zlib.crc32(word.encode()) << 1 | word.isdigit()
        return code


def runs_of(text: str, codes: WordCodes) -> Runs | None:
    """What is compared of a text, or None where it has too few words."""
    words = words_of_text(text)
    if len(words) < FEWEST_WORDS:
        return None
    numbers = np.array([codes[word] for word in words], np.uint64)
    chained = np.zeros(len(numbers) - _RUN + 1, np.uint64)
    for place in range(_RUN):
        chained = _mixed(chained + numbers[place : place + len(chained)])
    runs = np.unique(chained)
    last = int(runs[_MOST_RUNS - 1]) if len(runs) > _MOST_RUNS else None
    return Runs(runs[:_MOST_RUNS], np.sort(numbers), last)


def shared(one: Runs, other: Runs) -> float:
    """The share of their runs that two texts have in common, 0 to 1; 0 for one form, filled in otherwise."""
    if _are_filled_in(one.words, other.words):
        return 0.0
    ends = [runs.last for runs in (one, other) if runs.last is not None]
    mine, others = (
        runs.runs[: np.searchsorted(runs.runs, min(ends), "right")] if ends else runs.runs for runs in (one, other)
    )
    common = len(np.intersect1d(mine, others, assume_unique=True))
    return common / max(1, len(mine) + len(others) - common)


class NearTexts:
    """Finds the texts among those that pass the filters, at one state of a library, that are nearly the same."""

    def __init__(self, store: Store, model_id: int, filters: Filters, on_progress: Callable[[Progress], None]) -> None:
        self._store = store
        self._model_id = model_id
        self._filters = filters
        self._on_progress = on_progress
        self._codes = WordCodes()
        self._item_ids: ItemIds = np.empty(0, np.int64)
        self._least: Codes = np.empty((0, _BANDS * _ROWS), np.uint64)

    def candidates(self) -> list[int]:
        """The items, the first of each content, of the texts that may be the same as another one."""
        item_ids, least = [], []
        for item_id, runs in self._read(None):
            item_ids.append(item_id)
            least.append(_least(runs.runs))
            if len(item_ids) % _AT_ONCE == 1:
                self._on_progress(Progress("comparing", len(item_ids), None, "texts"))
        self._item_ids = np.array(item_ids, np.int64)
        self._least = np.array(least, np.uint64).reshape(len(least), _BANDS * _ROWS)
        crowds = [np.empty(0, np.int64), *(crowd for band in range(_BANDS) for crowd in self._agreeing(band))]
        return [int(self._item_ids[place]) for place in np.unique(np.concatenate(crowds)).tolist()]

    def pairs(self, order: Sequence[int]) -> list[Shared]:
        """Those that are the same, of the candidates in `order`, of which the ones to keep come first."""
        place_of = {item_id: place for place, item_id in enumerate(order)}
        ranks = np.array([place_of.get(item_id, -1) for item_id in self._item_ids.tolist()], np.int64)
        count = max(1, len(ranks))
        keys: ItemIds = np.empty(0, np.int64)
        for band in range(_BANDS):
            found = [keys]
            for crowd in self._agreeing(band):
                crowd = crowd[ranks[crowd] >= 0]
                crowd = crowd[np.argsort(ranks[crowd])]
                first, second = np.triu_indices(len(crowd) if len(crowd) <= _CROWD else _KEPT_FIRST, 1, len(crowd))
                one, other = crowd[first], crowd[second]
                found.append(np.minimum(one, other) * count + np.maximum(one, other))
            keys = np.unique(np.concatenate(found))
        one, other = keys // count, keys % count
        likely = _agreement(self._least, one, other) >= LEAST_SHARED - _ESTIMATE_BELOW
        return list(self._compared(self._item_ids[one[likely]], self._item_ids[other[likely]]))

    def _agreeing(self, band: int) -> Iterator[ItemIds]:
        """The places of texts, two and more, that agree in all values of a band."""
        values = self._least[:, band * _ROWS : (band + 1) * _ROWS]
        keys = np.zeros(len(values), np.uint64)
        for row in range(_ROWS):
            keys = _mixed(keys + values[:, row])
        order = np.argsort(keys, kind="stable")
        bounds = np.concatenate([[0], np.flatnonzero(np.diff(keys[order])) + 1, [len(order)]])
        crowds = np.flatnonzero(np.diff(bounds) > 1)
        return (order[bounds[crowd] : bounds[crowd + 1]] for crowd in crowds.tolist())

    def _compared(self, one: ItemIds, other: ItemIds) -> Iterator[Shared]:
        for start in range(0, len(one), _AT_ONCE):
            here, there = (side[start : start + _AT_ONCE].tolist() for side in (one, other))
            runs = dict(self._read(sorted({*here, *there})))
            self._on_progress(Progress("comparing", start + len(here), len(one), "texts"))
            for first, second in zip(here, there, strict=True):
                if first in runs and second in runs:
                    share = shared(runs[first], runs[second])
                    if share >= LEAST_SHARED:
                        yield Shared(min(first, second), max(first, second), share)

    def _read(self, among: Sequence[int] | None) -> Iterator[tuple[int, Runs]]:
        """Each text by its first item."""
        passages = self._store.text_passages(self._model_id, self._filters, PROSE, among)
        for _, of_one in groupby(passages, key=lambda passage: passage.content_id):
            first, *others = of_one
            runs = runs_of(joined(first, others), self._codes)
            if runs is not None:
                yield first.item_id, runs


def joined(first: TextPassage, others: Iterable[TextPassage]) -> str:
    """The text of passages that may begin with what those before them end with."""
    texts, before = [first.text], first
    for passage in others:
        doubled = 0
        if passage.page == before.page and passage.start is not None and before.end is not None:
            doubled = before.end - passage.start
        texts.append(passage.text[doubled:] if 0 < doubled < len(passage.text) else f"\n{passage.text}")
        before = passage
    return "".join(texts)


def _mixed(values: Codes) -> Codes:
    """Each number scattered over all of 64 bits (the finish of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_FACTORS = np.random.default_rng(_SEED).integers(1, 2**63, (_BANDS * _ROWS, 1), np.uint64) * np.uint64(2) + np.uint64(1)


def _least(runs: Codes) -> Codes:
    """The least value of the runs in each of the random orders, uint64 [bands × rows]."""
    least: Codes = (runs * _FACTORS).min(axis=1)
    return least


def _agreement(least: Codes, one: ItemIds, other: ItemIds) -> npt.NDArray[np.float64]:
    """In what share of the values each pair agrees."""
    found = np.empty(len(one))
    for start in range(0, len(one), 65_536):
        block = slice(start, start + 65_536)
        found[block] = (least[one[block]] == least[other[block]]).mean(axis=1)
    return found


def _are_filled_in(one: Codes, other: Codes) -> bool:
    """Whether it is numbers that make the difference between two texts, by their words."""
    kinds, place = np.unique(np.concatenate([one, other]), return_inverse=True)
    counts = [np.bincount(part, minlength=len(kinds)) for part in (place[: len(one)], place[len(one) :])]
    is_number = kinds & np.uint64(1) == 1
    own = [np.maximum(count - less, 0) for count, less in (counts, counts[::-1])]
    numbers = [int(of_one[is_number].sum()) for of_one in own]
    fewest, others = min(numbers), sum(int(of_one.sum()) for of_one in own)
    if fewest == 0 or sum(numbers) < _NUMBERS_OF_OTHERS * others:
        return False
    shared_numbers = int(np.minimum(*counts)[is_number].sum())
    return fewest > 1 or shared_numbers < _NUMBERS_SHARED * (shared_numbers + fewest)
