"""A model file as onnxruntime has optimised it, kept in the user's cache: it loads in half the time.

The cached file belongs to one model file, one onnxruntime and one kind of processor. It may be deleted at any time,
and where none can be written or read the model is loaded as it is.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from mmsearch.encoding.runtime import silenced
from mmsearch.files.hashing import updated
from mmsearch.files.private import take_from_others
from mmsearch.files.replacing import replacing, write_whole

_CHECKSUM_ENDING = ".xxh3"
_LONGEST_CHECKSUM = 64


def load_optimised(path: str, digest: str, options: Any) -> Any:
    """An onnxruntime session of the model file at `path`; `digest` is a hash of that file's bytes.

    A cached file that is not as it was written, byte for byte, is made again. The level of optimisation in `options`
    must be one whose result does not depend on the processor.
    """
    onnxruntime = silenced("onnxruntime")
    level = options.graph_optimization_level
    machine = os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "")
    cached = _cached_path(f"{digest[:16]}-onnxruntime-{onnxruntime.__version__}-{machine}-{int(level)}.onnx")
    take_from_others(os.path.dirname(cached))  # an older mmsearch let others read it
    if _is_as_written(cached):
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        with suppress(Exception):  # damaged, in whatever way
            return onnxruntime.InferenceSession(cached, options, providers=["CPUExecutionProvider"])
        options.graph_optimization_level = level
    try:
        with replacing(cached) as part:
            options.optimized_model_filepath = part
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            written = _checksum(part).encode()
        write_whole(cached + _CHECKSUM_ENDING, lambda file: file.write(written))
        return session
    except Exception:  # no room for it, or no right to write it
        options.optimized_model_filepath = ""
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _is_as_written(cached: str) -> bool:
    """Whether the cached file is there, with the checksum that lies beside it."""
    try:
        with open(cached + _CHECKSUM_ENDING, "rb") as file:
            return file.read(_LONGEST_CHECKSUM) == _checksum(cached).encode()
    except OSError:
        return False


def _checksum(path: str) -> str:
    import xxhash

    return updated(xxhash.xxh3_128(), path).hexdigest()


def _cached_path(name: str) -> str:
    import platformdirs

    return os.path.join(platformdirs.user_cache_dir("mmsearch", appauthor=False), name)
