"""PDFs made by hand, for tests."""

from __future__ import annotations

import hashlib
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

# What passwords are filled up with, as the format says.
_PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
_ID = bytes(range(16))


@dataclass(frozen=True)
class Page:
    """Lines of text, a photo in the rectangle `place` (left, bottom, width, height in points), or both.

    `filled` is what a person has written into a field of a form, `more` is content as it stands in the file.
    """

    lines: tuple[str, ...] = ()
    photo: Path | None = None
    place: tuple[float, float, float, float] = (0, 0, 612, 792)
    filled: str = ""
    more: bytes = b""
    box: tuple[float, float, float, float] = (0, 0, 612, 792)


def text_page(*lines: str) -> Page:
    return Page(lines)


def written(
    pages: list[Page], owner_password: bool = False, user_password: bool = False, is_packed: bool = False
) -> bytes:
    """A PDF of these pages; with an owner's password anybody reads it, with a user's only who knows it."""
    objects: list[bytes] = [b"", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids, fields = [], []
    for page in pages:
        content, filtered = _content(page), b""
        if is_packed:
            content, filtered = zlib.compress(content), b" /Filter /FlateDecode"
        objects.append(b"<< /Length %d%s >>\nstream\n%s\nendstream" % (len(content), filtered, content))
        content_number, more = len(objects), b""
        if page.photo is not None:
            objects.append(_photo(page.photo))
            more = b"/XObject << /P %d 0 R >>" % len(objects)
        annotations = b""
        if page.filled:
            objects.append(_field(page.filled))
            fields.append(b"%d 0 R" % len(objects))
            annotations = b"/Annots [%d 0 R]" % len(objects)
        box = " ".join(map(str, page.box)).encode()
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [%s] /Contents %d 0 R %s "
            b"/Resources << /Font << /F 3 0 R >> %s >> >>" % (box, content_number, annotations, more)
        )
        kids.append(b"%d 0 R" % len(objects))
    form = b"/AcroForm << /Fields [%s] /DR << /Font << /F 3 0 R >> >> >>" % b" ".join(fields) if fields else b""
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R %s >>" % form
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), b" ".join(kids))
    encryption = b""
    if owner_password or user_password:
        key, encryption = _encryption(b"secret" if user_password else b"")
        objects = [_encrypted(number, one, key) for number, one in enumerate(objects, start=1)]
    return _file(objects, encryption)


def _file(objects: list[bytes], encryption: bytes) -> bytes:
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n")
    places = []
    for number, one in enumerate(objects, start=1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, one))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % place for place in places))
    names = b"/ID [<%s> <%s>]" % (_ID.hex().encode(), _ID.hex().encode())
    out.write(b"trailer\n<< /Size %d /Root 1 0 R %s %s >>\n" % (len(objects) + 1, names, encryption))
    out.write(b"startxref\n%d\n%%%%EOF\n" % table)
    return out.getvalue()


def _content(page: Page) -> bytes:
    out = page.more
    if page.photo is not None:
        left, bottom, width, height = page.place
        out += f"q {width} 0 0 {height} {left} {bottom} cm /P Do Q\n".encode()
    for number, line in enumerate(page.lines):
        shown = line.encode("latin-1").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
        out += b"BT /F 12 Tf 60 %d Td (%s) Tj ET\n" % (720 - 16 * number, shown)
    return out


def _photo(path: Path) -> bytes:
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    kept = io.BytesIO()
    picture.save(kept, "JPEG")
    data = kept.getvalue()
    head = b"/Type /XObject /Subtype /Image /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode"
    size = b"/Width %d /Height %d /Length %d" % (*picture.size, len(data))
    return b"<< %s %s >>\nstream\n%s\nendstream" % (head, size, data)


def _field(value: str) -> bytes:
    return (
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /F 4 /Rect [60 600 500 620] "
        b"/DA (/F 12 Tf 0 g) /V (%s) >>" % value.encode("latin-1")
    )


def _encryption(user_password: bytes) -> tuple[bytes, bytes]:
    """The key and the dictionary of the format's first encryption (RC4 with 40 bits)."""
    permissions = (-4).to_bytes(4, "little", signed=True)
    owner = _rc4(hashlib.md5(_padded(b"owner")).digest()[:5], _padded(user_password))
    key = hashlib.md5(_padded(user_password) + owner + permissions + _ID).digest()[:5]
    user = _rc4(key, _PADDING)
    said = b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>" % (owner.hex().encode(), user.hex().encode())
    return key, b"/Encrypt " + said


def _encrypted(number: int, one: bytes, key: bytes) -> bytes:
    """An object with its stream encrypted; strings outside of streams are not expected."""
    head, mark, rest = one.partition(b"\nstream\n")
    if not mark:
        return one
    own = hashlib.md5(key + number.to_bytes(3, "little") + b"\0\0").digest()[:10]
    return head + mark + _rc4(own, rest.removesuffix(b"\nendstream")) + b"\nendstream"


def _padded(password: bytes) -> bytes:
    return (password + _PADDING)[:32]


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
