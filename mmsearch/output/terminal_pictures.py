"""Pictures in a terminal: by the protocol that it has (kitty, iTerm2, sixel), and by half blocks everywhere else.

Which one that is, is told from the environment; the terminal itself is not asked, as it may not answer.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from mmsearch.errors import Invalid

if TYPE_CHECKING:
    from PIL.Image import Image

PREVIEW_VARIABLE = "MMSEARCH_PREVIEW"
# A cell of a terminal that does not tell its size, in pixels.
_USUAL_CELL = (10, 20)
# What the kitty protocol takes at a time.
_CHUNK = 4_096
_SIXEL_COLOURS = 255
_UPPER_HALF = "▀"
_RESET = "\x1b[0m"


class Protocol(str, Enum):
    """How a picture comes into a terminal."""

    KITTY = "kitty"
    ITERM2 = "iterm2"
    SIXEL = "sixel"
    BLOCKS = "blocks"


class Cells(NamedTuple):
    """A rectangle of a terminal: its columns and rows, and the width and height of one cell in pixels."""

    columns: int
    rows: int
    width: int
    height: int

    @property
    def pixels(self) -> tuple[int, int]:
        return self.columns * self.width, self.rows * self.height


def protocol_of(environment: Mapping[str, str]) -> Protocol:
    """The protocol of the terminal that this environment tells of.

    tmux and screen keep a picture of what was printed that knows cells alone: there it is half blocks.

    Raises:
        Invalid: the terminal shows no pictures, or the protocol that is asked for is none.
    """
    chosen = environment.get(PREVIEW_VARIABLE, "").lower()
    if chosen:
        if chosen not in {one.value for one in Protocol}:
            raise Invalid(f"{PREVIEW_VARIABLE} is {chosen!r}; it is {', '.join(Protocol)} or nothing.")
        return Protocol(chosen)
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if term in ("dumb", "unknown"):
        raise Invalid("This terminal shows no pictures (TERM is dumb); leave out --preview.")
    if "TMUX" in environment or "STY" in environment or term.startswith(("screen", "tmux")):
        return Protocol.BLOCKS
    if "KITTY_WINDOW_ID" in environment or term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return Protocol.KITTY
    if program in ("iTerm.app", "WezTerm", "mintty"):
        return Protocol.ITERM2
    if term.startswith(("foot", "mlterm", "yaft", "contour")):
        return Protocol.SIXEL
    return Protocol.BLOCKS


def cells_of(columns: int, rows: int, descriptor: int) -> Cells:
    """So many cells of the terminal behind a descriptor, with their size in pixels as far as it tells."""
    width, height = _USUAL_CELL
    try:
        import fcntl
        import struct
        import termios

        answer = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8))
        high, wide, across, down = struct.unpack("4H", answer)
        if high and wide and across >= wide and down >= high:
            width, height = across // wide, down // high
    except (ImportError, OSError):  # a system without, or no terminal
        pass
    return Cells(columns, rows, width, height)


def has_true_colours(environment: Mapping[str, str]) -> bool:
    """Whether a terminal says that it has more than 256 colours."""
    return environment.get("COLORTERM", "").lower() in ("truecolor", "24bit")


def drawn(picture: Image, cells: Cells, protocol: Protocol) -> str:
    """What puts a picture, RGB and within `cells.pixels`, where the cursor is, and leaves the cursor there.

    By kitty, iTerm2 or sixel; half blocks are lines, and made by `half_blocks`.
    """
    if protocol is Protocol.KITTY:
        return _kitty(picture, cells)
    # These may move the cursor, each terminal to another place.
    return f"\x1b7{_iterm2(picture, cells) if protocol is Protocol.ITERM2 else sixel(picture)}\x1b8"


def _kitty(picture: Image, cells: Cells) -> str:
    """By the kitty graphics protocol: a PNG in chunks; it answers nothing (q=2) and leaves the cursor (C=1)."""
    is_wide = picture.width * cells.pixels[1] >= picture.height * cells.pixels[0]
    size = f"c={cells.columns}" if is_wide else f"r={cells.rows}"
    data = base64.b64encode(_png(picture)).decode()
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    said = []
    for number, chunk in enumerate(chunks):
        settings = f"a=T,f=100,q=2,C=1,{size}," if number == 0 else ""
        said.append(f"\x1b_G{settings}m={int(number < len(chunks) - 1)};{chunk}\x1b\\")
    return "".join(said)


def _iterm2(picture: Image, cells: Cells) -> str:
    """By iTerm2's inline images, in cells."""
    data = _png(picture)
    settings = f"inline=1;size={len(data)};width={cells.columns};height={cells.rows};preserveAspectRatio=1"
    return f"\x1b]1337;File={settings}:{base64.b64encode(data).decode()}\x07"


def sixel(picture: Image) -> str:
    """The picture in DEC's sixels: bands of six rows, of each band a line of every colour that is in it."""
    import numpy as np

    few = picture.quantize(_SIXEL_COLOURS)
    palette = few.getpalette() or []
    pixels = np.asarray(few)
    height, width = pixels.shape
    colours = "".join(
        "#{};2;{};{};{}".format(number, *(round(value * 100 / 255) for value in palette[3 * number : 3 * number + 3]))
        for number in np.unique(pixels).tolist()
    )
    bands = []
    for top in range(0, height, 6):
        band = pixels[top : top + 6]
        weights = (1 << np.arange(len(band)))[:, np.newaxis]
        lines = [
            f"#{number}" + _runs(((band == number) * weights).sum(axis=0).tolist())
            for number in np.unique(band).tolist()
        ]
        bands.append("$".join(lines))
    return f'\x1bP0;1q"1;1;{width};{height}{colours}{"-".join(bands)}\x1b\\'


def _runs(columns: list[int]) -> str:
    """Sixels of one line, those that repeat told by their number."""
    said, start = [], 0
    for place in range(1, len(columns) + 1):
        if place == len(columns) or columns[place] != columns[start]:
            length, character = place - start, chr(63 + columns[start])
            said.append(f"!{length}{character}" if length > 3 else character * length)
            start = place
    return "".join(said)


def half_blocks(picture: Image, cells: Cells, true_colours: bool) -> list[str]:
    """Lines of the picture, two pixels a cell, in its shape; each is as many cells wide as the picture becomes."""
    ratio = min(cells.columns * cells.width / picture.width, cells.rows * cells.height / picture.height)
    columns = max(1, min(cells.columns, round(picture.width * ratio / cells.width)))
    rows = max(1, min(cells.rows, round(picture.height * ratio / cells.height)))
    small = picture.convert("RGB").resize((columns, 2 * rows))
    pixels = [small.getpixel((x, y)) for y in range(2 * rows) for x in range(columns)]
    lines = []
    for top in range(0, 2 * rows * columns, 2 * columns):
        above, below = pixels[top : top + columns], pixels[top + columns : top + 2 * columns]
        lines.append(
            "".join(_block(one, other, true_colours) for one, other in zip(above, below, strict=True)) + _RESET
        )
    return lines


def _block(above: object, below: object, true_colours: bool) -> str:
    return f"\x1b[38;{_colour(above, true_colours)};48;{_colour(below, true_colours)}m{_UPPER_HALF}"


def _colour(pixel: object, true_colours: bool) -> str:
    assert isinstance(pixel, tuple)
    red, green, blue = pixel[:3]
    if true_colours:
        return f"2;{red};{green};{blue}"
    if max(pixel) - min(pixel) < 12:  # the 24 greys are finer than the cube
        return f"5;{232 + min(23, round((red - 8) / 10))}" if red > 7 else "5;16"
    return f"5;{16 + 36 * _of_six(red) + 6 * _of_six(green) + _of_six(blue)}"


def _of_six(value: int) -> int:
    """The nearest of the levels 0, 95, 135, 175, 215 and 255."""
    return 0 if value < 48 else 1 if value < 115 else (value - 35) // 40


def _png(picture: Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()
