"""A file that mmsearch has written before may be written over, and nobody else's: they are told apart by a sign."""

from __future__ import annotations

# So far from its beginning the sign stands in a page or a picture.
_WITHIN = 1_024


def is_signed(path: str, sign: str) -> bool:
    """Whether the file at `path` begins with that sign of mmsearch's."""
    try:
        with open(path, "rb") as file:
            return sign.encode() in file.read(_WITHIN)
    except OSError:
        return False
