"""Why a hit is one, in lines of words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mmsearch.output import visible
from mmsearch.output.places import BEFORE_MATCH
from mmsearch.searching.explanations import Explanation, FoundWord, Heat, HeatMap
from mmsearch.searching.results import Hit

# So many characters of a passage are shown.
_PASSAGE = 200
_CALLED = {"part_name": "part name"}
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
        told = ", ".join(f"{one.channel} {one.score:.2f}" for one in explanation.channels)
        yield ExplainedLine(f"found by {told}")
    if explanation.words:
        yield ExplainedLine(f"words: {', '.join(map(_word, explanation.words))}")
    yield from _passage(hit, explanation)
    if explanation.heat is not None:
        heat = explanation.heat
        yield ExplainedLine(f"in the picture: {', '.join(_said_of(one, heat) for one in heat.maps)}")
    elif explanation.trouble is not None:
        yield ExplainedLine(f"no heat map: {visible(explanation.trouble)}")


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
    return f"{visible(one.term)} ({place}, {highest:.2f})"
