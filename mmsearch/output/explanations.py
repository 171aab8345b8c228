"""Why a hit is one, in lines of words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mmsearch.output import visible
from mmsearch.output.places import BEFORE_MATCH
from mmsearch.searching.explanations import Explanation, FoundBy, FoundWord, Heat, HeatMap
from mmsearch.searching.results import Hit

# So many characters of a passage are shown.
_PASSAGE = 200
_CALLED = {"part_name": "part name"}
# What a channel gives its score for.
_FOR = {
    "words": "its words",
    "image": "what its picture shows",
    "text": "what its text means",
    "audio": "what is heard in it",
}
_TOO_FAR = "its meaning, too far to be found by that alone"
_MIDDLE = "middle"
_ACROSS, _DOWN = ("left", _MIDDLE, "right"), ("top", _MIDDLE, "bottom")


class ExplainedLine(NamedTuple):
    """A line, and the stretches of it that are words of the query: characters from (included) to (excluded)."""

    said: str
    marks: tuple[tuple[int, int], ...] = ()

    @property
    def marked(self) -> str:
        """The line with brackets around those words, where there is no other way to mark them."""
        said = self.said
        for begins, ends in reversed(self.marks):
            said = f"{said[:begins]}[{said[begins:ends]}]{said[ends:]}"
        return said


def explained_lines(hit: Hit) -> Iterator[ExplainedLine]:
    """What is said of the explanation of a hit; nothing where it has none."""
    explanation = hit.explanation
    if explanation is None:
        return
    if explanation.channels:
        yield ExplainedLine(_sum(hit.score, explanation.channels))
    if explanation.words:
        yield ExplainedLine(f"words: {', '.join(map(_word, explanation.words))}")
    yield from _passage(hit, explanation)
    if explanation.heat is not None:
        heat = explanation.heat
        yield ExplainedLine(f"in the picture: {', '.join(_said_of(one, heat) for one in heat.maps)}")
    elif explanation.trouble is not None:
        yield ExplainedLine(f"no heat map: {visible(explanation.trouble)}")


def _sum(score: float, channels: Sequence[FoundBy]) -> str:
    """What makes the score, as parts that add up to it as it is shown: a second channel counts for what the first left.

    A vector that is not near enough by itself is no channel of the hit, and yet adds to its words.
    """
    first, *others = channels
    left, added = 1 - round(first.score, 2), round(score, 2) - round(first.score, 2)
    if not others and added < 0.005:
        return f"score {score:.2f}: {_FOR[first.channel]}"
    by_itself = f"{_FOR[others[0].channel]} ({others[0].score:.2f} of the {left:.2f} left)" if others else _TOO_FAR
    return f"score {score:.2f} = {first.score:.2f} for {_FOR[first.channel]} + {added:.2f} for {by_itself}"


def _word(one: FoundWord) -> str:
    fields = ", ".join(_CALLED.get(name, name) for name in one.fields)
    return f"{visible(one.word)}{'…' if one.begun else ''} ({fields})"


def _passage(hit: Hit, explanation: Explanation) -> Iterator[ExplainedLine]:
    """The passage from shortly before where most words of the query stand in it."""
    snippet = hit.snippet or ""
    spans = sorted({span for word in explanation.words for span in word.spans})
    if not spans:
        return
    first = spans[0][0] if hit.match is None else hit.match[0]
    start = max(0, first - BEFORE_MATCH)
    said, marks, place = "…" if start else "", [], start
    end = min(len(snippet), start + _PASSAGE)
    for begins, ends in spans:
        if place <= begins and ends <= end:
            said += _plain(snippet[place:begins])
            marks.append((len(said), len(said) + len(visible(snippet[begins:ends]))))
            said += visible(snippet[begins:ends])
            place = ends
    said += _plain(snippet[place:end]) + ("…" if end < len(snippet) else "")
    yield ExplainedLine(said, tuple(marks))


def _plain(text: str) -> str:
    """The text on one line."""
    return visible("".join(" " if character.isspace() else character for character in text))


def _said_of(one: HeatMap, heat: Heat) -> str:
    """Where a term has most of it, and how much."""
    highest, above, left = max(
        (value, -row, -column) for row, of_row in enumerate(one.grid) for column, value in enumerate(of_row)
    )
    down, across = _DOWN[-above * 3 // heat.rows], _ACROSS[-left * 3 // heat.columns]
    place = " ".join(name for name in (down, across) if name != _MIDDLE) or _MIDDLE
    measure = f"cosine {highest:.2f}" if heat.method == "regions" else f"cosine falls by {highest:.2f} without it"
    return f"{visible(one.term)} ({place}, {measure})"
