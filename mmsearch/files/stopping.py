"""A stop by a signal that C code has swallowed: SQLite makes an error of its own of whatever is raised in a function.

Reading a library calls such functions for each row, so that Ctrl-C often comes in one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType

_asked: list[type[KeyboardInterrupt]] = []


def raising(stop: type[KeyboardInterrupt]) -> Callable[[int, FrameType | None], None]:
    """A handler of a signal: it raises that, and notes that it has."""

    def handle(number: int, frame: FrameType | None) -> None:
        _asked.append(stop)
        raise stop

    return handle


def raise_again() -> None:
    """Raises what a handler has raised before and what something between has made another error of."""
    if _asked:
        raise _asked[-1] from None


def forget() -> None:
    """From now on only what is asked for later counts: another command of the same process begins."""
    _asked.clear()
