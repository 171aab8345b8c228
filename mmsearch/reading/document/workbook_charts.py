"""The charts within the sheets of an old workbook (.xls): copies of the values that they show lie there as cells do, in
places that have nothing to do with the sheet's. Readers that take them for cells lose what stands there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

_BEGIN, _END = 0x0809, 0x000A
# Kinds of records that are cells: formulas, numbers, texts, truth values, and rows of several.
_CELLS = frozenset(
    (0x0006, 0x0206, 0x0406, 0x0203, 0x0003, 0x027E, 0x00BD, 0x0204, 0x0004, 0x00FD, 0x00D6, 0x0205, 0x0005, 0x0207)
)
# A kind of which there is none: it is passed over.
_PASSED_OVER = b"\xfe\x7f"
_CHART = b"\x02\x10\x10\x00"


def without_charts(data: bytes, workbook: bytes, places: Sequence[int], block: int) -> bytes:
    """The file `data`, with no cells but the sheets' own in its stream `workbook`.

    The blocks of that stream, of `block` bytes each, lie at `places` in the file.
    """
    if _CHART not in workbook:
        return data
    changed = bytearray(data)
    for at in _cells_of_charts(workbook):
        for number, byte in enumerate(_PASSED_OVER, start=at):
            place = places[number // block] + number % block
            changed[place] = byte
    return bytes(changed)


def _cells_of_charts(workbook: bytes) -> Iterator[int]:
    """Where the records of cells begin that lie in something within a sheet."""
    at = depth = 0
    while at + 4 <= len(workbook):
        kind, length = struct.unpack_from("<HH", workbook, at)
        if kind == _BEGIN:
            depth += 1
        elif kind == _END:
            depth = max(0, depth - 1)
        elif depth > 1 and kind in _CELLS:
            yield at
        at += 4 + length
