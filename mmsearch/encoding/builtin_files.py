"""Where the files of the built-in model lie. It is light: who only asks which revisions there are loads no encoder."""

from __future__ import annotations

import os

MODEL_FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "models", "builtin")
# What tells the folder of an older revision from that of a whole model.
BRIDGE = "text-bridge.npz"
