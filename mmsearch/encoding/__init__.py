"""Encoders: parts and queries to unit vectors of one space. One module a model family; this is the registry.

A family is a module with a `FAMILY` and one line in FAMILIES, which are asked in that order.
"""

from __future__ import annotations

from importlib import import_module

from mmsearch.encoding.protocol import Encoder, Family, ModelFolder
from mmsearch.errors import Remedy, Unsupported

__all__ = ["FAMILIES", "Encoder", "Family", "ModelFolder", "family_of", "open_folder"]

# By name, since a search is to load no family but its own.
FAMILIES = (
    "mmsearch.encoding.builtin",
    "mmsearch.encoding.onnx_model",
    "mmsearch.encoding.clap",
    "mmsearch.encoding.sentence_transformers",
)


def family_of(folder: str) -> Family:
    """The first family that takes what is in the folder; the last one takes everything, and says so when it cannot."""
    for module in FAMILIES:
        family: Family = import_module(module).FAMILY
        if family.takes(folder):
            break
    return family


def open_folder(model: ModelFolder) -> Encoder:
    """The encoder of the model in a folder.

    Raises:
        MmsearchError: it is damaged, lacks what it needs, or cannot run on the device that is asked for.
    """
    family = family_of(model.folder)
    if family.is_for_processors and model.device not in ("auto", "cpu"):
        raise Unsupported(f"{model.name} runs on the processor, not on {model.device}", Remedy("device.leave_out"))
    return family.open(model)
