"""Texts cut into passages that fit an encoder's window, and no more of them than a text may have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mmsearch.encoding.protocol import Encoder
from mmsearch.records import Part, TextSpan

# Markup and noise that a reader has blanked: a passage is kept without it.
_BLANKED = re.compile(r" {40,}")


@dataclass
class Cutting:
    """Cuts the parts of one file. Of each text, `most` passages are taken; `left_out` counts the others."""

    encoder: Encoder
    most: int
    left_out: int = 0

    def encodable(self, parts: Iterable[Part]) -> Iterator[Part]:
        """The parts that the encoder takes, texts as passages."""
        for part in parts:
            if part.modality == "text":
                yield from self._passages(part)
            elif part.modality in self.encoder.modalities:
                yield part

    def _passages(self, part: Part) -> Iterator[Part]:
        """A part that is a text, as stretches that fit the encoder's window, each with its place."""
        text: str = part.payload
        line, counted = part.locator.line or 1, 0
        begins = part.locator.start or 0
        spans = self.encoder.windows(text)
        self.left_out += max(0, len(spans) - self.most)
        for span in spread(spans, self.most):
            line += text.count("\n", counted, span.start)
            counted = span.start
            place = replace(part.locator, start=begins + span.start, end=begins + span.end, line=line)
            yield replace(part, payload=_BLANKED.sub(" ", text[span.start : span.end]), locator=place)


def spread(spans: Sequence[TextSpan], most: int) -> Sequence[TextSpan]:
    """At most so many of them, evenly over all, the first among them."""
    if len(spans) <= most:
        return spans
    return [spans[number * len(spans) // most] for number in range(most)]
