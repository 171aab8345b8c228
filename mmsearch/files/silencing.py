"""The one place through which packages come in that would talk to a network of their own: silenced, then imported.

onnxruntime's wheels (seen from 1.29 to 1.32) look up a telemetry host while a process stays up, and write a device id
into ~/.cache/Microsoft; the hub's packages count their users. What turns that off is read when they are imported.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

# Whoever imports one of these imports others of them.
TALKATIVE = (
    *("onnxruntime", "huggingface_hub", "transformers", "sentence_transformers", "datasets"),
    *("rapidocr", "faster_whisper", "ctranslate2"),
)
_SILENCE = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}


def silenced(module: str) -> Any:
    """The module of that name, of one of the packages TALKATIVE, imported with its telemetry turned off.

    Raises:
        ImportError: it is not installed.
    """
    os.environ.update(_SILENCE)
    return import_module(module)
