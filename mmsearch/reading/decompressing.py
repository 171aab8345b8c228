"""The ways in which members of zips are packed → what undoes each, block by block, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol

from mmsearch.files.zip_directory import BARE, DEFLATED, STORED, number_in

if TYPE_CHECKING:
    from lzma import LZMADecompressor

BZIP2, LZMA = 12, 14
METHODS = (BARE, STORED, DEFLATED, BZIP2, LZMA)
# LZMA's properties come behind its version and their length: a byte, and the size of the memory that it looks back on.
_PROPERTIES_AT, _PROPERTIES_END = 4, 9
# No member that is read is larger, so none looks further back; what is said to be less than the least is that.
_LEAST_LOOKED_BACK, _MOST_LOOKED_BACK = 1 << 12, 64_000_000


class Decompressor(Protocol):
    """Takes packed bytes and gives at most so many unpacked ones; what it has not used it keeps. Raises whatever the
    library behind it raises for damaged ones.
    """

    @property
    def eof(self) -> bool:
        """Whether the end has come that the packed bytes tell."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes without further bytes."""

    @property
    def unused_data(self) -> bytes:
        """What was given and lies behind that end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """The next unpacked bytes."""


def decompressor_of(method: int) -> Decompressor:
    """What undoes one of METHODS but BARE and STORED.

    Raises:
        ImportError: this Python was built without what does so.
    """
    if method == LZMA:
        return _Lzma()
    if method == BZIP2:
        from bz2 import BZ2Decompressor

        return BZ2Decompressor()
    return _Deflate()


class _Deflate:
    def __init__(self) -> None:
        self._engine = zlib.decompressobj(-zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def needs_input(self) -> bool:
        return not self._engine.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._engine.decompress(self._engine.unconsumed_tail + data, max_length)


class _Lzma:
    def __init__(self) -> None:
        from lzma import FORMAT_RAW, LZMADecompressor

        self._begun = partial(LZMADecompressor, FORMAT_RAW)
        self._engine: LZMADecompressor | None = None
        self._head = b""

    @property
    def eof(self) -> bool:
        return self._engine is not None and self._engine.eof

    @property
    def needs_input(self) -> bool:
        return self._engine is None or self._engine.needs_input

    @property
    def unused_data(self) -> bytes:
        return b"" if self._engine is None else self._engine.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._engine is None:
            self._head += data
            if len(self._head) < _PROPERTIES_END:
                return b""
            self._engine = self._begun(filters=[_filter_told(self._head[_PROPERTIES_AT:_PROPERTIES_END])])
            data = self._head[_PROPERTIES_END:]
        return self._engine.decompress(data, max_length)


def _filter_told(properties: bytes) -> Mapping[str, int]:
    from lzma import FILTER_LZMA1

    rest, literal_context = divmod(properties[0], 9)
    position, literal_position = divmod(rest, 5)
    return {
        "id": FILTER_LZMA1,
        "dict_size": min(max(_LEAST_LOOKED_BACK, number_in(properties, 1, 4)), _MOST_LOOKED_BACK),
        "lc": literal_context,
        "lp": literal_position,
        "pb": position,
    }
