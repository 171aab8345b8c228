"""A contact sheet as one picture: a grid of thumbnails with what is said of each below it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from mmsearch.output import visible
from mmsearch.output.lettering import font_of_size, shortened_line
from mmsearch.output.places import place_in_file
from mmsearch.searching.results import Hit

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

    from mmsearch.output.contact_sheet import Drawn
    from mmsearch.output.lettering import Font

_MOST_COLUMNS = 6
_GAP, _LINE, _FONT_SIZE = 12, 17, 13
_LINES_BELOW = 2
_BACK, _EMPTY, _WORDS, _DIM = "#ffffff", "#f0f0f0", "#1c1c1c", "#6a6a6a"


def write_png(file: IO[bytes], drawn: Iterable[Drawn], count: int) -> None:
    """Draws so many hits, in rows, and writes the picture."""
    from PIL import Image, ImageDraw
    from PIL.PngImagePlugin import PngInfo

    from mmsearch.output.contact_sheet import PNG_SIZE, SIGN

    width, height = PNG_SIZE
    columns = max(1, min(_MOST_COLUMNS, math.ceil(math.sqrt(count))))
    across, down = width + _GAP, height + _LINES_BELOW * _LINE + 2 * _GAP
    sheet = Image.new("RGB", (columns * across + _GAP, math.ceil(count / columns) * down + _GAP), _BACK)
    draw, font = ImageDraw.Draw(sheet), font_of_size(_FONT_SIZE)
    for number, one in enumerate(drawn):
        left, top = _GAP + number % columns * across, _GAP + number // columns * down
        picture = one.thumbnail.picture
        draw.rectangle((left, top, left + width - 1, top + height - 1), fill=_EMPTY)
        if picture is not None:
            sheet.paste(picture, (left + (width - picture.width) // 2, top + (height - picture.height) // 2))
        else:
            words, colour = one.thumbnail.words or f"({one.thumbnail.trouble})", _WORDS if one.thumbnail.words else _DIM
            lines = _wrapped(draw, font, visible(words), width - 2 * _GAP, (height - 2 * _GAP) // _LINE)
            for line_number, line in enumerate(lines):
                draw.text((left + _GAP, top + _GAP + line_number * _LINE), line, colour, font)
        for line_number, (line, colour) in enumerate(_said(one)):
            said = shortened_line(draw, font, line, width)
            draw.text((left, top + height + _GAP // 2 + line_number * _LINE), said, colour, font)
    about = PngInfo()
    about.add_text("Software", SIGN)
    sheet.save(file, "PNG", pnginfo=about)


def _said(drawn: Drawn) -> list[tuple[str, str]]:
    """The lines below a thumbnail, each with its colour."""
    hit = drawn.hit
    measures = [f"#{hit.rank}", *([f"{hit.score:.2f}"] if isinstance(hit, Hit) else []), hit.moment[:10]]
    return [(visible(os.path.basename(hit.path)) + place_in_file(hit), _WORDS), ("  ".join(measures), _DIM)]


def _wrapped(draw: ImageDraw, font: Font, words: str, width: int, most: int) -> list[str]:
    """At most so many lines, none wider than `width`; words that are longer than a line are cut."""
    lines: list[str] = []
    for word in words.split(" "):
        if lines and draw.textlength(f"{lines[-1]} {word}", font) <= width:
            lines[-1] += f" {word}"
            continue
        while word and len(lines) <= most:
            kept = len(word)
            while kept > 1 and draw.textlength(word[:kept], font) > width:
                kept -= 1
            lines.append(word[:kept])
            word = word[kept:]
        if len(lines) > most:
            return [*lines[: most - 1], f"{lines[most - 1][:-1]}…"]
    return lines
