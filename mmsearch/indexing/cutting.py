"""Texts cut into passages that fit an encoder's window, and no more of them than a text may have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass, replace

from mmsearch.encoding.protocol import Encoder, modalities_of_items
from mmsearch.reading import Reading
from mmsearch.records import Part, TextSpan

# Markup and noise that a reader has blanked: a passage is kept without it.
_BLANKED = re.compile(r" {40,}")


@dataclass
class Cutting:
    """Cuts the parts of one file. Of its texts at most `most` passages are taken, spread evenly over the file where it
    is known of how many parts or pages it consists; `left_out` counts the others.
    """

    encoder: Encoder
    most: int
    left_out: int = 0
    _taken: int = 0
    # How many parts (or pages) there are, which of them is being cut, and how much of it has been.
    _parts: int | None = None
    _place: int = 0
    _cut: float = 0.0

    @property
    def share(self) -> float:
        """How much of the file has been cut, from 0 to 1; 0 where it is not known of how many parts it consists."""
        return (self._place + self._cut) / self._parts if self._parts else 0.0

    def encodable(self, reading: Reading) -> Iterator[Part]:
        """The parts that the encoder takes, texts as passages."""
        self._parts = len(reading.parts) if isinstance(reading.parts, Sized) else reading.facts.pages
        in_pages = not isinstance(reading.parts, Sized)
        wanted = modalities_of_items(self.encoder)
        for place, part in enumerate(reading.parts):
            page = part.locator.page
            self._place, self._cut = page - 1 if in_pages and page else place, 0.0
            if part.modality not in wanted:
                continue
            if part.modality == "text":
                yield from self._passages(part)
            else:
                yield part

    def _passages(self, part: Part) -> Iterator[Part]:
        """A part that is a text, as stretches that fit the encoder's window, each with its place."""
        text: str = part.payload
        line, counted = part.locator.line or 1, 0
        begins = part.locator.start or 0
        spans = self.encoder.windows(text)
        chosen = spread(spans, min(len(spans), self._allowed()))
        self._taken += len(chosen)
        self.left_out += len(spans) - len(chosen)
        for number, span in enumerate(chosen):
            line += text.count("\n", counted, span.start)
            counted = span.start
            place = replace(part.locator, start=begins + span.start, end=begins + span.end, line=line)
            self._cut = number / len(chosen)
            yield replace(part, payload=_BLANKED.sub(" ", text[span.start : span.end]), locator=place)

    def _allowed(self) -> int:
        """How many passages the part may have: what those before it have left of their shares is its own too."""
        if not self._parts:
            return self.most - self._taken
        return max(0, self.most * min(self._place + 1, self._parts) // self._parts - self._taken)


def spread(spans: Sequence[TextSpan], most: int) -> Sequence[TextSpan]:
    """At most so many of them, evenly over all, the first among them."""
    if len(spans) <= most:
        return spans
    return [spans[number * len(spans) // most] for number in range(most)]
