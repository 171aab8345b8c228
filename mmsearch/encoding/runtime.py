"""Packages that would talk to a network of their own, as encoders use them: connections are opened within `pulling`
alone, and what comes in does so by `silenced`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mmsearch.files.silencing import silenced

__all__ = ["loading", "pulling", "silenced"]


class _Switch:
    """Whether the hub's packages may open connections: not while a model is loaded, unless another is being pulled."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loads = self._pulls = 0
        self._was_off = False

    def change(self, loads: int = 0, pulls: int = 0) -> None:
        constants = silenced("huggingface_hub.constants")
        with self._lock:
            if not self._loads and not self._pulls:
                self._was_off = bool(constants.HF_HUB_OFFLINE)  # as the person has it
            self._loads += loads
            self._pulls += pulls
            constants.HF_HUB_OFFLINE = self._was_off or (self._loads > 0 and not self._pulls)


_switch = _Switch()


@contextmanager
def loading() -> Iterator[None]:
    """A model is loaded within the block: nothing is fetched, whatever the model's own files ask for."""
    _switch.change(loads=1)
    try:
        yield
    finally:
        _switch.change(loads=-1)


@contextmanager
def pulling() -> Iterator[None]:
    """A person has asked for what is fetched within the block."""
    _switch.change(pulls=1)
    try:
        yield
    finally:
        _switch.change(pulls=-1)
