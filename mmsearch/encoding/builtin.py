"""`mmsearch-mini`, the model that ships in the package; `models/builtin/MODEL_CARD.md` says what it is made of."""

from __future__ import annotations

import os
from functools import cached_property

from mmsearch.encoding.calibration import from_json
from mmsearch.encoding.onnx_model import OnnxEncoder
from mmsearch.encoding.protocol import Family
from mmsearch.errors import Remedy
from mmsearch.records import Calibration

MODEL_FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "models", "builtin")


class BuiltinEncoder(OnnxEncoder):
    """The dual encoder in `mmsearch/models/builtin`, or one in the making in another folder."""

    def __init__(self, folder: str = MODEL_FOLDER) -> None:
        super().__init__(folder, remedy=Remedy("reinstall"))

    @cached_property
    def calibration(self) -> Calibration:
        return from_json(self._description["calibration"])


FAMILY = Family(
    takes=lambda folder: folder == MODEL_FOLDER, open=lambda model: BuiltinEncoder(model.folder), is_for_processors=True
)
