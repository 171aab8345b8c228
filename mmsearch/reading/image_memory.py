"""How much memory pictures take while they are decoded: each within its limit, and giants one after the other."""

from __future__ import annotations

import contextlib
import threading
from contextlib import AbstractContextManager

from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import UnreadableFile

# Pictures that take more memory are decoded one after the other, whatever the number of threads.
GIANT_BYTES = 200_000_000
_one_giant_at_a_time = threading.Lock()


def check_size(file: OpenFile, width: int, height: int, needed: int) -> None:
    """Raises UnreadableFile where a picture of so many pixels would need more than its file's limit, in bytes."""
    limit = file.limits.max_image_bytes
    if needed > limit:
        raise UnreadableFile(
            f"picture of {width * height / 1e6:,.0f} megapixels: it would take {needed / 1e6:,.0f} MB of memory, "
            f"over the limit of {limit / 1e6:,.0f}"
        )


def decoding(needed: int) -> AbstractContextManager[object]:
    """The time in which a picture is decoded that needs so many bytes."""
    return _one_giant_at_a_time if needed > GIANT_BYTES else contextlib.nullcontext()
