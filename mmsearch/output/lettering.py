"""Words in pictures that are drawn: fonts that a system has, and lines that fit."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

    Font = FreeTypeFont | ImageFont

# The first that the system has; Pillow's own font, which knows Latin letters alone, where it has none.
_FONTS = ("NotoSans-Regular.ttf", "DejaVuSans.ttf", "Arial Unicode.ttf", "segoeui.ttf", "Arial.ttf", "arial.ttf")


def font_of_size(size: int) -> Font:
    """A font of so many pixels."""
    from PIL import ImageFont

    for name in _FONTS:
        with suppress(OSError):
            return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)


def shortened_line(draw: ImageDraw, font: Font, line: str, width: int) -> str:
    """The line, with "…" in place of what is too much in its middle: a name keeps its end."""
    if draw.textlength(line, font) <= width:
        return line
    kept = len(line) - 1
    while kept > 1 and draw.textlength(_without_middle(line, kept), font) > width:
        kept -= 1
    return _without_middle(line, kept)


def _without_middle(line: str, kept: int) -> str:
    end = kept * 2 // 3
    return f"{line[: kept - end]}…{line[len(line) - end :]}"
