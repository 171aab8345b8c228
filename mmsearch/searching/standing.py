"""Where the words of a query stand in a text: all of their places, and the stretch that has most of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mmsearch.store.words import AskedWord, words_placed

# What a person takes in at a glance, in characters: words further apart stand in no stretch together.
_GLANCE = 120


def spans_of(asked: AskedWord, placed: Sequence[tuple[str, int, int]]) -> Iterator[tuple[int, int]]:
    """Where in a text a word stands, of which the words are `placed`: characters from (included) to (excluded)."""
    count = len(asked.pieces)
    for place in range(len(placed) - count + 1):
        some = placed[place : place + count]
        if asked.is_in([word for word, _, _ in some]):
            yield some[0][1], some[-1][2]


def fullest_stretch(text: str, weights: Mapping[AskedWord, float]) -> tuple[int, int] | None:
    """From where to where those words of a text stand that tell most within a glance: the shortest such stretch.

    None where none of the words stands in it.
    """
    placed = words_placed(text)
    standing = sorted((*span, word) for word in weights for span in spans_of(word, placed))
    best, most = None, (-1.0, 0)
    for number, (begins, _, _) in enumerate(standing):
        words: set[AskedWord] = set()
        stretch = begins
        for _, ends, word in standing[number:]:
            if ends - begins > _GLANCE and words:
                break
            if word not in words:
                words.add(word)
                stretch = max(stretch, ends)
        told = sum(weights[word] for word in words), begins - stretch
        if told > most:
            best, most = (begins, stretch), told
    return best
