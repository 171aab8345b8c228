"""What flows from a file to the library: items, each of one modality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image

Modality = Literal["image", "text"]
MODALITIES: tuple[Modality, ...] = ("image", "text")


@dataclass(frozen=True)
class TextSpan:
    """A stretch of a text that fits one encoder's window: characters `start` (included) to `end` (excluded)."""

    start: int
    end: int


@dataclass(frozen=True)
class ImageContent:
    """A picture as a person sees it: upright, flattened, RGB.

    `pixels` may be smaller than the file's picture (a scaled decode), never smaller than asked for;
    `width` and `height` are the file's own, upright, in pixels. `taken` is the EXIF date and time as an ISO 8601
    string, without an offset unless the camera wrote one; None where there is none.
    """

    pixels: Image
    width: int
    height: int
    taken: str | None


@dataclass(frozen=True)
class TextContent:
    """A text file's words: `text` with line ends as "\\n", and the encoding it was read in."""

    text: str
    encoding: str


Content = ImageContent | TextContent
