"""The command on a terminal, and what is to be seen there: a small terminal that knows what mmsearch prints."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

COLUMNS, ROWS = 100, 40
Colour = tuple[int, int, int]

_NEXT = re.compile(
    r"\x1b\[(?P<numbers>[\d;]*)(?P<command>[A-Za-z])|\x1b\]8;[^\x1b]*\x1b\\|(?P<picture>\x1b_G.*?\x1b\\|\x1b\]1337;.*?\x07"
    r"|\x1bP.*?\x1b\\)|\x1b(?P<cursor>[78])|(?P<character>[^\x1b])",
    re.DOTALL,
)


@dataclass
class Screen:
    """Characters and the colours of their two halves, by row and column, and what was drawn in pixels, where."""

    cells: dict[tuple[int, int], tuple[str, Colour | None, Colour | None]] = field(default_factory=dict)
    pictures: list[tuple[int, int, str]] = field(default_factory=list)

    def line(self, row: int) -> str:
        columns = [column for at, column in self.cells if at == row]
        return "".join(
            self.cells.get((row, column), (" ", None, None))[0] for column in range(max(columns, default=0) + 1)
        )

    def text(self) -> str:
        return "\n".join(self.line(row).rstrip() for row in range(max((row for row, _ in self.cells), default=0) + 1))


def printed_on_a_terminal(
    *arguments: str, library: Path, environment: Mapping[str, str] | None = None, columns: int = COLUMNS
) -> tuple[int, str]:
    """The exit code and the output of the command with a terminal as its stdout and stderr."""
    own = {"MMSEARCH_LIBRARY": str(library), **(environment or {})}
    return python_on_a_terminal("-m", "mmsearch", *arguments, environment=own, columns=columns)


def python_on_a_terminal(
    *arguments: str, environment: Mapping[str, str] | None = None, columns: int = COLUMNS
) -> tuple[int, str]:
    """The exit code and the output of Python with a terminal as its stdout and stderr."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", ROWS, columns, columns * 10, ROWS * 20))
    kept = ("PATH", "HOME", "PYTHONPATH", "XDG_CACHE_HOME")
    inherited = {name: os.environ[name] for name in kept if name in os.environ}
    own = {"TERM": "xterm-256color", "LANG": "C.UTF-8", **(environment or {})}
    running = subprocess.Popen([sys.executable, *arguments], env={**inherited, **own}, stdout=terminal, stderr=terminal)
    os.close(terminal)
    return ended(running, controller)


def ended(running: subprocess.Popen[bytes], controller: int) -> tuple[int, str]:
    """The exit code of a process, and what it printed on the terminal behind `controller`, which is closed."""
    printed = b""
    while True:
        try:
            block = os.read(controller, 65536)
        except OSError:
            break
        if not block:
            break
        printed += block
    os.close(controller)
    return running.wait(timeout=60), printed.decode("utf-8", "replace")


def seen(printed: str) -> Screen:
    """What is on a screen, high enough that nothing moves up, after all of that was printed."""
    screen, row, column, kept = Screen(), 0, 0, (0, 0)
    fore: Colour | None = None
    back: Colour | None = None
    for found in _NEXT.finditer(printed):
        if (character := found["character"]) is not None:
            if character == "\n":
                row += 1
            elif character == "\r":
                column = 0
            else:
                screen.cells[row, column] = character, fore, back
                column += 1
        elif found["picture"]:
            if not found["picture"].startswith("\x1b_Gm="):  # a further chunk of the one before
                screen.pictures.append((row, column, found["picture"]))
        elif found["cursor"]:
            if found["cursor"] == "7":
                kept = row, column
            else:
                row, column = kept
        elif found["command"] == "A":
            row -= int(found["numbers"])
        elif found["command"] == "G":
            column = int(found["numbers"]) - 1
        elif found["command"] == "m":
            numbers = [int(number) for number in found["numbers"].split(";") if number]
            fore = _colour_after(38, numbers) if 38 in numbers else None
            back = _colour_after(48, numbers) if 48 in numbers else None
    return screen


def _colour_after(sign: int, numbers: list[int]) -> Colour:
    kind, first, *rest = numbers[numbers.index(sign) + 1 :]
    if kind == 2:
        return first, rest[0], rest[1]
    if first >= 232:
        return (8 + 10 * (first - 232),) * 3
    levels = (0, 95, 135, 175, 215, 255)
    return levels[(first - 16) // 36], levels[(first - 16) // 6 % 6], levels[(first - 16) % 6]
