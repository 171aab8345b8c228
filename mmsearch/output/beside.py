"""The pictures of hits in a terminal, each to the left of what is said of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping

from mmsearch.output.terminal_pictures import Protocol, cells_of, drawn, half_blocks, has_true_colours, protocol_of
from mmsearch.output.thumbnails import Thumbnail, thumbnail
from mmsearch.searching.results import Hit, ListedFile

# The size of a picture in cells, at most, and the share of the terminal's width that it may take.
COLUMNS, ROWS = 24, 8
_SHARE = 3
_GAP = 2


class Preview:
    """Draws in the terminal behind `descriptor`, which the environment tells of; `draw` is what draws a hit.

    `width` is how many columns a picture takes, with the gap behind it.

    Raises:
        Invalid: that terminal shows no pictures.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        descriptor: int,
        draw: Callable[[Hit | ListedFile, tuple[int, int]], Thumbnail] = thumbnail,
    ) -> None:
        self._draw = draw
        self._protocol = protocol_of(environment)
        self._true_colours = has_true_colours(environment)
        columns = max(1, min(COLUMNS, shutil.get_terminal_size().columns // _SHARE))
        self._cells = cells_of(columns, ROWS, descriptor)
        self.width = columns + _GAP
        self._move = f"\x1b[{self.width + 1}G"

    def beside_nothing(self) -> list[str]:
        """What stands to the left of a line without a picture."""
        return [self._move]

    def beside(self, hit: Hit | ListedFile, lines: int) -> list[str]:
        """What stands to the left of so many lines on a hit, line by line: as many as its picture takes, and one more.

        A hit without a picture has its lines where those of the others are.
        """
        picture = self._draw(hit, self._cells.pixels).picture
        if picture is None:
            return [self._move]
        if self._protocol is Protocol.BLOCKS:
            shown = half_blocks(picture, self._cells, self._true_colours)
            return [*(line + self._move for line in shown), self._move]
        # Room first: at the foot of a terminal all that is printed moves up, and the picture would not.
        rows = max(lines, self._cells.rows + 1)
        room = "\n" * rows + f"\x1b[{rows}A"
        return [room + drawn(picture, self._cells, self._protocol) + self._move, *[self._move] * self._cells.rows]
