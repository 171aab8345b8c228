"""Kinds of media and vectors, names and arrays that all rooms speak of."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Written as texts: numpy is not loaded for a type.
FloatMatrix: TypeAlias = "npt.NDArray[np.float32]"
HalfMatrix: TypeAlias = "npt.NDArray[np.float16]"
ItemIds: TypeAlias = "npt.NDArray[np.int64]"

BUILTIN_MODEL = "mmsearch-mini"
# What the name of a model that `models optimise` made ends with.
OPTIMISED_ENDING = "-int8"
# And that of one that sees pictures by their end squares as well.
CROPS_ENDING = "+crops"

# What cameras call what their sensors saw, as it was before it became a picture.
RAW_EXTENSIONS = frozenset([".cr2", ".cr3", ".nef", ".nrw", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw"])

# Why a model that hears has nothing of a file: there is no sound in it, or silence.
NOTHING_HEARD = "no sound inside"
# The setting of a library that names its models of sound: a list of their ids, in JSON.
SOUND_MODELS = "sound_models"

# What kind of vector a part gets ("image", "text", "audio"), and what kind of file it came from ("image", "text", …):
# whatever readers give and encoders take.
Modality: TypeAlias = str
Medium: TypeAlias = str
