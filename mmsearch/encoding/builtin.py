"""`mmsearch-mini`, the model that ships in the package; `models/builtin/MODEL_CARD.md` says what it is made of.

The package has its newest revision whole. Of an older one, which libraries were made with, it keeps in a folder within
that the description and the image tower as they were, and a bridge from the newest text tower into the older space.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from zipfile import BadZipFile

from mmsearch.encoding import builtin_files
from mmsearch.encoding.calibration import from_json
from mmsearch.encoding.onnx_model import OnnxEncoder
from mmsearch.encoding.protocol import Encoder, Family, ModelFolder
from mmsearch.encoding.text_bridge import TextBridge
from mmsearch.errors import Damaged, Remedy
from mmsearch.records import Calibration, FloatMatrix, TextSpan


class BuiltinEncoder(OnnxEncoder):
    """The dual encoder in `mmsearch/models/builtin`, or one in the making in another folder."""

    def __init__(self, folder: str | None = None) -> None:
        super().__init__(folder or builtin_files.MODEL_FOLDER, remedy=Remedy("reinstall"))

    @cached_property
    def calibration(self) -> Calibration:
        return from_json(self._description["calibration"])

    @property
    def text_sha256(self) -> str:
        """The SHA-256 of the text tower's file, as the description tells it."""
        return str(self._description["sha256"][self._description["text"]["file"]])


class OlderEncoder(BuiltinEncoder):
    """An older revision: its own image tower, and its texts by a bridge from the model in the folder around it.

    Its identity and calibration are those that it had when it was the newest.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self._newest = BuiltinEncoder(os.path.dirname(folder))

    def _encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        return self._bridge(self._newest.encode("text", texts))

    def windows(self, text: str) -> list[TextSpan]:
        return self._newest.windows(text)

    @cached_property
    def _bridge(self) -> TextBridge:
        path = os.path.join(self._folder, builtin_files.BRIDGE)
        try:
            with open(path, "rb") as file:
                bridge = TextBridge.from_bytes(file.read())
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise Damaged(f"The model file {path} cannot be loaded", self._remedy) from error
        if bridge.tower_sha256 != self._newest.text_sha256 or bridge.weights.shape != (
            self._newest.identity.dimension,
            self.identity.dimension,
        ):
            raise Damaged(f"The model file {path} is not for {self._newest.identity.label} beside it", self._remedy)
        return bridge


def _is_builtin(folder: str) -> bool:
    return folder == builtin_files.MODEL_FOLDER or os.path.isfile(os.path.join(folder, builtin_files.BRIDGE))


def _open(model: ModelFolder) -> Encoder:
    return BuiltinEncoder() if model.folder == builtin_files.MODEL_FOLDER else OlderEncoder(model.folder)


FAMILY = Family(takes=_is_builtin, open=_open, is_for_processors=True)
