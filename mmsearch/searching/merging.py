"""Channels merged: what each has found of a file becomes one score and one place.

What vectors say and what words say of one file are taken for independent: the score is `1 - (1 - v)(1 - w)`. So a file
that is found by both comes before what only one of them has found, and a literal match stays above vague neighbours.
What has too few of a query's words says nothing. Where a fusion was learned (`searching/fusion.py`), `w` is what it
says a match is worth; what vectors say was moved by it before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from mmsearch.searching.fusion import WORDS, Fusion
from mmsearch.searching.words import LEAST_WORD_SCORE, NO_MATCH, WordMatch

# In which words a file was found: those that were typed, or those that they were read as.
WordsAs = Literal["typed", "english"]


class Measured(NamedTuple):
    """An item's score, whether it is enough, and the cosines: corrected for hubs, which ranks, and as it is."""

    is_hit: bool
    score: float
    corrected: float
    cosine: float


class Told(NamedTuple):
    """What each channel says of a file: its best vector, with its modality, and words; 0 for nothing."""

    modality: str
    by_vector: float
    by_words: float


class Found(NamedTuple):
    """A file at its best place, and those of the same content, unless each is to be a hit of its own."""

    measured: Measured
    item_id: int
    path: bytes
    content_id: int
    copies: tuple[bytes, ...] = ()
    channels: tuple[str, ...] = ()
    words_as: WordsAs | None = None
    told: Told = Told("", 0.0, 0.0)

    @property
    def order(self) -> tuple[float, float, bytes]:
        return -self.measured.score, -self.measured.corrected, self.path


_NOT_MEASURED = Measured(False, 0.0, -1.0, 0.0)


class Place(NamedTuple):
    """An item in a file; `measured` is what its vector says, None where it is of a space that is not asked."""

    item_id: int
    path: bytes
    content_id: int
    measured: Measured | None
    modality: str = ""


def by_file(
    places: Iterable[Place],
    matches: Mapping[tuple[int, bytes], WordMatch],
    least: float | None,
    must_match: bool,
    fusion: Fusion | None = None,
) -> list[Found]:
    """Each file at its best place.

    `matches` are by item and path; where a file `must_match` words it is a hit by them, and no other file is one. Where
    there is a `least` score a hit has that, else enough by its vector or by its words.
    """
    of_file: dict[bytes, list[Place]] = {}
    for place in places:
        of_file.setdefault(place.path, []).append(place)
    found: list[Found] = []
    for path, of_path in of_file.items():
        near = max(of_path, key=_of) if len(of_path) > 1 else of_path[0]
        words, is_told = {}, must_match
        if matches or must_match:
            words = {place.item_id: matches.get((place.item_id, path), NO_MATCH) for place in of_path}
            is_told = must_match or max(match.score for match in words.values()) >= LEAST_WORD_SCORE
        if is_told and fusion is not None:
            words = {item_id: _moved(match, fusion) for item_id, match in words.items()}
        if is_told:
            found.append(_both(near, of_path, words, least))
        elif not must_match:
            channels, measured = (near.modality,) if near.modality else (), _of(near)
            told = Told(near.modality, measured.score, 0.0)
            found.append(Found(measured, near.item_id, path, near.content_id, channels=channels, told=told))
    return found


def _both(near: Place, places: Iterable[Place], words: Mapping[int, WordMatch], least: float | None) -> Found:
    """A file that is found by its words, at the place where its vector and the words that stand there say most."""
    of_vector, literal = _of(near), max(words.values(), key=lambda match: match.score)
    score = together(of_vector.score, literal.score)
    place = max(places, key=lambda one: (together(_of(one).score, words[one.item_id].here), one is near))
    cosine = (place.measured or of_vector).cosine
    channels = (WORDS, near.modality) if of_vector.is_hit and near.modality else (WORDS,)
    measured = Measured(least is None or score >= least, score, of_vector.corrected, cosine)
    words_as: WordsAs = "english" if literal.is_english else "typed"
    told = Told(near.modality, of_vector.score, literal.score)
    return Found(measured, place.item_id, place.path, place.content_id, (), channels, words_as, told)


def _moved(match: WordMatch, fusion: Fusion) -> WordMatch:
    return match._replace(score=fusion.moved_words(match.score), here=fusion.moved_words(match.here))


def score_of_moment(near: Measured | None, said: float, least: float | None) -> float | None:
    """The score of a moment of a film by its vector and by what is said then; None where it is no hit."""
    near = near or _NOT_MEASURED
    if not said:
        return near.score if near.is_hit else None
    score = together(near.score, said)
    return score if least is None or score >= least else None


def together(one: float, other: float) -> float:
    """The score of what is told by both, taken for independent."""
    return 1 - (1 - one) * (1 - other)


def told_by_words(score: float, must_match: bool = False, fusion: Fusion | None = None) -> float:
    """What a match of that score adds to a file: nothing where it has too few of the words, unless it `must_match`."""
    if score < LEAST_WORD_SCORE and not must_match:
        return 0.0
    return score if fusion is None else fusion.moved_words(score)


def _of(place: Place) -> Measured:
    return place.measured or _NOT_MEASURED
