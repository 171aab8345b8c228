"""Documents of office programs before 2007, written by hand: compound files (OLE2) with the least that is in them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_SECTOR, _SMALL, _SMALL_BELOW = 512, 64, 4096
_END, _FREE, _OF_TABLE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


@dataclass
class _Entry:
    name: str
    kind: int
    data: bytes = b""
    inside: list[int] = field(default_factory=list)
    right: int = _FREE
    start: int = 0

    def written(self) -> bytes:
        name = self.name.encode("utf-16-le")
        child = self.inside[0] if self.inside else _FREE
        row = struct.pack("<HBBIII", len(name) + 2, self.kind, 1, _FREE, self.right, child)
        return name.ljust(64, b"\0") + row + bytes(36) + struct.pack("<IQ", self.start, len(self.data))


def compound(streams: Mapping[str, bytes], in_front: bool = False) -> bytes:
    """A compound file of these streams; a name may begin with that of a folder and a slash.

    The lists of what lies where stand at its end, or `in_front`, where the file has up to 64 KB.
    """
    entries = [_Entry("Root Entry", 5)]
    folders = {"": 0}
    for path, data in streams.items():
        folder, _, name = path.rpartition("/")
        if folder not in folders:
            folders[folder] = len(entries)
            entries[0].inside.append(len(entries))
            entries.append(_Entry(folder, 1))
        entries[folders[folder]].inside.append(len(entries))
        entries.append(_Entry(name, 2, data))
    for entry in entries:  # in the order that the format asks for, each on the right of the one before
        entry.inside.sort(key=lambda one: (len(entries[one].name), entries[one].name.upper()))
        for one, following in zip(entry.inside, entry.inside[1:], strict=False):
            entries[one].right = following
    small_table: list[int] = []
    small = bytearray()
    for entry in entries[1:]:
        if entry.kind == 2 and len(entry.data) < _SMALL_BELOW:
            entry.start = _chained(small_table, small, entry.data, _SMALL) if entry.data else _END
    entries[0].data = bytes(small)
    length = -(-128 * len(entries) // _SECTOR) * _SECTOR
    table: list[int] = []
    content = bytearray()
    if in_front:
        table, content = [_OF_TABLE], bytearray(_SECTOR)
        directory_at = _chained(table, content, bytes(length), _SECTOR)
    for entry in entries:
        if entry.kind == 5 or len(entry.data) >= _SMALL_BELOW:
            entry.start = _chained(table, content, entry.data, _SECTOR) if entry.data else _END
    packed = b"".join(struct.pack("<I", one) for one in small_table)
    small_at = _chained(table, content, packed, _SECTOR) if packed else _END
    directory = b"".join(entry.written() for entry in entries).ljust(length, b"\0")
    if in_front:
        table_at, tables = 0, 1
        content[_SECTOR : _SECTOR + length] = directory
    else:
        directory_at = _chained(table, content, directory, _SECTOR)
        table_at, tables = len(table), -(-len(table) // (_SECTOR // 4 - 1))
        table += [_OF_TABLE] * tables
        content += bytes(tables * _SECTOR)
    table += [_FREE] * (-len(table) % (_SECTOR // 4))
    written = b"".join(struct.pack("<I", one) for one in table)
    content[table_at * _SECTOR : table_at * _SECTOR + len(written)] = written
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
    header += bytes(6) + struct.pack("<IIIIIIIIII", 0, tables, directory_at, 0, _SMALL_BELOW, small_at,
                                     -(-len(packed) // _SECTOR), _END, 0, table_at)  # fmt: skip
    header += b"".join(struct.pack("<I", table_at + one if one < tables else _FREE) for one in range(1, 109))
    return header + bytes(content)


def _chained(table: list[int], content: bytearray, data: bytes, sector: int) -> int:
    """Puts the data into sectors of their own, one after the other; where it begins."""
    start = len(table)
    count = -(-len(data) // sector)
    table += [*range(start + 1, start + count), _END]
    content += data.ljust(count * sector, b"\0")
    return start


def word(text: str, flags: int = 0) -> bytes:
    """A document of Word 97 to 2003: one piece of text, in two bytes a character."""
    data = text.replace("\n", "\r").encode("utf-16-le")
    head = bytearray(2048)
    struct.pack_into("<HHHHHH", head, 0, 0xA5EC, 0xC1, 0, 0x409, 0, 0x0200 | flags)
    struct.pack_into("<H", head, 32, 14)
    struct.pack_into("<H", head, 62, 22)
    struct.pack_into("<II", head, 24, len(head), len(head) + len(data))
    struct.pack_into("<I", head, 0x4C, len(data) // 2)
    struct.pack_into("<H", head, 152, 93)
    pieces = struct.pack("<II", 0, len(data) // 2) + struct.pack("<HIH", 0, len(head), 0)
    table = b"\x02" + struct.pack("<I", len(pieces)) + pieces
    struct.pack_into("<II", head, 0x1A2, 0, len(table))
    return compound({"WordDocument": (bytes(head) + data).ljust(4096, b"\0"), "1Table": table.ljust(4096, b"\0")})


def excel(
    sheets: Mapping[str, Sequence[Sequence[str]]], has_password: bool = False, charted: Sequence[float] = ()
) -> bytes:
    """A workbook of Excel 97 to 2003 with texts in its cells, and a chart of those values on each sheet."""
    bodies = [_sheet(rows, charted) for rows in sheets.values()]
    begin = _begun(5)
    if has_password:
        begin += _record(0x002F, struct.pack("<HHH", 1, 1, 1) + bytes(48))
    at = len(begin) + sum(12 + len(name) for name in sheets) + 4
    listed = b""
    for name, body in zip(sheets, bodies, strict=True):
        listed += _record(0x0085, struct.pack("<IBBBB", at, 0, 0, len(name), 0) + name.encode("latin-1"))
        at += len(body)
    return compound({"Workbook": (begin + listed + _record(0x000A, b"") + b"".join(bodies)).ljust(4096, b"\0")})


def _sheet(rows: Sequence[Sequence[str]], charted: Sequence[float]) -> bytes:
    cells = [(row, column, text) for row, texts in enumerate(rows) for column, text in enumerate(texts)]
    labels = b"".join(
        _record(0x0204, struct.pack("<HHHHB", row, column, 0, len(text), 0) + text.encode("latin-1"))
        for row, column, text in cells
    )
    return _begun(0x10) + labels + (_chart(charted) if charted else b"") + _record(0x000A, b"")


def _chart(values: Sequence[float]) -> bytes:
    """A chart, which keeps what it shows as cells of its own."""
    numbers = (struct.pack("<HHHd", row, 0, 0, value) for row, value in enumerate(values))
    kept = b"".join(_record(0x0203, number) for number in numbers)
    return _begun(0x20) + _record(0x1002, bytes(16)) + kept + _record(0x000A, b"")


def _begun(what: int) -> bytes:
    return _record(0x0809, struct.pack("<HHHHII", 0x0600, what, 0x0DBB, 1996, 0, 6))


def powerpoint(slides: Sequence[str], in_front: bool = False, **more: bytes) -> bytes:
    """A presentation of PowerPoint 97 to 2003; each text stands in the outline and on its slide."""
    texts = [_atom(0x0FA8, text.encode("latin-1")) for text in slides]
    outline = _atom(0x0FF0, b"".join(texts), 0xF)
    on_slides = b"".join(_atom(0x03EE, _atom(0xF00D, text, 0xF), 0xF) for text in texts)
    document = _atom(0x03E8, outline, 0xF) + on_slides
    user = _atom(0x0FF6, struct.pack("<IIIHHBBH", 0x14, 0xE391C05F, 0, 0, 0x03F4, 3, 0, 0))
    return compound({"Current User": user, "PowerPoint Document": document.ljust(4096, b"\0"), **more}, in_front)


def mail(subject: str, sender: str, to: str, body: str, attached: Mapping[str, bytes]) -> bytes:
    """A mail of Outlook."""
    sent = 133_500_000_000_000_000  # in tenths of a microsecond since 1601: 2024-01-16 10:40
    dated = struct.pack("<HHIQ", 0x40, 0x39, 6, sent)
    streams = {"__properties_version1.0": struct.pack("<QIIII8x", 0, 0, len(attached), 0, len(attached)) + dated}
    for kind, text in (
        ("0037", subject),
        ("0C1A", sender),
        ("0C1F", f"{sender.lower()}@example.com"),
        ("0E04", to),
        ("1000", body),
    ):
        streams[f"__substg1.0_{kind}001F"] = text.encode("utf-16-le")
    streams["__recip_version1.0_#00000000/__properties_version1.0"] = bytes(8) + struct.pack("<HHIQ", 3, 0x0C15, 6, 1)
    for kind, text in (("3001", to), ("39FE", f"{to.lower()}@example.com")):
        streams[f"__recip_version1.0_#00000000/__substg1.0_{kind}001F"] = text.encode("utf-16-le")
    for number, (name, data) in enumerate(attached.items()):
        folder = f"__attach_version1.0_#{number:08X}"
        streams[f"{folder}/__properties_version1.0"] = bytes(8) + struct.pack("<HHIQ", 3, 0x3705, 6, 1)
        streams[f"{folder}/__substg1.0_3707001F"] = name.encode("utf-16-le")
        streams[f"{folder}/__substg1.0_37010102"] = data
    return compound(streams)


def _record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def _atom(kind: int, data: bytes, version: int = 0) -> bytes:
    return struct.pack("<HHI", version, kind, len(data)) + data
