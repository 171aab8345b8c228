"""What a tar says of its members, which stands before each. Nothing of it is to be trusted.

A tar that is packed as a whole (`.tar.gz`) has no places at which its members could be read, and is none here.
"""

from __future__ import annotations

import stat
import zlib
from collections.abc import Iterator
from typing import IO

from mmsearch.files.zip_directory import BARE, ZipEntry, bytes_at

_BLOCK = 512
_END = bytes(_BLOCK)
_REGULAR, _CONTIGUOUS, _SPARSE = (b"0", b"\0"), b"7", b"S"
_LONG_NAME, _EXTENDED = b"L", b"x"
# These, a long name of a link, and what is said of all that follow.
_SAYS_MORE = (_LONG_NAME, _EXTENDED, b"K", b"g")
# What has nothing behind its header, whatever size it says: links, devices, folders and pipes.
_EMPTY = (b"1", b"2", b"3", b"4", b"5", b"6")
# The longest name, or list of what the header has no room for, that is looked at.
_MOST_SAID = 1_000_000
# So many headers in a row that only say more of what follows are no tar's.
_MOST_BEFORE = 16
# So long before and after 1970 a time is taken for one, in seconds.
_LARGEST_TIME = 1 << 33


class BrokenTar(Exception):
    """From some place on a tar makes no sense, or is not there. The message says which."""


def tar_entries(stream: IO[bytes], size: int, state: bytes) -> Iterator[ZipEntry]:
    """The regular files in a tar of so many bytes, in their order, and all else under an empty name.

    A tar has no checksums of its members: that of its own `state` stands for them, so that all are read again once it
    has changed.

    Raises:
        BrokenTar: it breaks off, or is damaged; what came before is right.
    """
    mark, place, before = zlib.crc32(state), 0, 0
    said: dict[bytes, bytes] = {}
    while True:
        header = bytes_at(stream, place, _BLOCK)
        if len(header) < _BLOCK:
            raise BrokenTar("truncated tar")
        if header == _END:
            return
        if not _is_right(header):
            raise BrokenTar("damaged tar" if place else "not a tar")
        kind, length = header[156:157], _number(said.get(b"size")) or _number_in(header[124:136])
        place += _BLOCK
        if kind == _SPARSE:
            place = _behind_the_map(stream, header, place)
        ends = place if kind in _EMPTY else place + length
        before = before + 1 if kind in _SAYS_MORE else 0
        if length < 0 or before > _MOST_BEFORE or (kind in _SAYS_MORE and length > _MOST_SAID):
            raise BrokenTar("damaged tar")
        if ends > size:
            raise BrokenTar("truncated tar")
        if kind in (_LONG_NAME, _EXTENDED):
            data = bytes_at(stream, place, length)
            said |= {b"path": data.rstrip(b"\0")} if kind == _LONG_NAME else _records(data)
        elif kind not in _SAYS_MORE:
            is_file = (kind in _REGULAR or kind == _CONTIGUOUS) and not any(b"sparse" in name for name in said)
            name = (said.get(b"path") or _name_in(header)) if is_file else b""
            seconds = _number_in(header[136:148])
            when = (0, seconds if abs(seconds) < _LARGEST_TIME else None)
            mode = stat.S_IFREG | _number_in(header[100:108]) & 0o7777
            yield ZipEntry(_in_utf8(name), place, BARE, 0, mark, length, length, mode, when)
            said = {}
        place = ends + -ends % _BLOCK


def _is_right(header: bytes) -> bool:
    """Whether the sum of a header is what it says: of its bytes, or of these with a sign, as some programs wrote it."""
    blank = header[:148] + b" " * 8 + header[156:]
    told = _number_in(header[148:156])
    return told == sum(blank) or told == sum(byte - 256 if byte > 127 else byte for byte in blank)


def _number_in(field: bytes) -> int:
    """A number in digits of base 8, or in bytes behind a mark where it is larger; 0 where it is none."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big", signed=field[0] == 0xFF)
    digits = field.split(b"\0")[0].strip()
    try:
        return int(digits, 8)
    except ValueError:
        return 0


def _number(digits: bytes | None) -> int:
    return int(digits) if digits is not None and digits.isdigit() and len(digits) < 20 else 0


def _name_in(header: bytes) -> bytes:
    name, above = (field.split(b"\0")[0] for field in (header[:100], header[345:500]))
    is_split = header[257:263] == b"ustar\0" and bool(above)
    return above + b"/" + name if is_split else name


def _in_utf8(name: bytes) -> bytes:
    """The name; one of another encoding as if it were Latin, so that it can be written down."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1").encode()
    return name


def _records(data: bytes) -> dict[bytes, bytes]:
    """What a list of `LENGTH NAME=VALUE` lines says."""
    found: dict[bytes, bytes] = {}
    place = 0
    while (space := data.find(b" ", place, place + 20)) > 0:
        length = _number(data[place:space])
        name, is_given, value = data[space + 1 : place + length].rstrip(b"\n").partition(b"=")
        if length <= space - place or not is_given:
            break
        found[name] = value
        place += length
    return found


def _behind_the_map(stream: IO[bytes], header: bytes, place: int) -> int:
    """Where the bytes of a file with holes begin: behind blocks that go on with the map of these."""
    goes_on = header[482]
    while goes_on:
        block = bytes_at(stream, place, _BLOCK)
        if len(block) < _BLOCK:
            raise BrokenTar("truncated tar")
        goes_on, place = block[504], place + _BLOCK
    return place
