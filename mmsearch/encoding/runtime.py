"""The one place through which packages come in that would talk to a network of their own: silenced, then imported.

onnxruntime's wheels (seen from 1.29 to 1.32) look up a telemetry host while a process stays up, and write a device id
into ~/.cache/Microsoft; the hub's packages count their users. What turns that off is read when they are imported.
Connections are opened within `pulling` alone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

# Whoever imports one of these imports others of them.
TALKATIVE = ("onnxruntime", "huggingface_hub", "transformers", "sentence_transformers", "datasets")
_SILENCE = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}


def silenced(module: str) -> Any:
    """The module of that name, of one of the packages TALKATIVE, imported with its telemetry turned off.

    Raises:
        ImportError: it is not installed.
    """
    os.environ.update(_SILENCE)
    return import_module(module)


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
