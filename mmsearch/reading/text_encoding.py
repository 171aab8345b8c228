"""Bytes → text: which encoding a text file is in, or that it is not text.

UTF-8 is tried first and is nearly always it. What is not Unicode is weighed by the letters that languages
write: charset-normalizer alone takes short Western texts for Central European ones ("ŕ la plage").
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter

from mmsearch.reading.legacy_encoding import eastern_encoding, encoding_by_letters

SAMPLE_BYTES = 256_000
"""How much of a file in a legacy encoding is weighed."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Control characters that texts do hold: backspace to carriage return, Ctrl-Z (the DOS end of file), escape.
_CONTROLS = bytes(code for code in range(32) if code not in (8, 9, 10, 11, 12, 13, 26, 27)) + b"\x7f"
_MOST_CONTROLS = 0.01

_DECLARED = re.compile(rb"""(?:charset|encoding|coding)\s*[=:]\s*["']?\s*([A-Za-z][\w-]{1,30})""", re.I)
# Python knows codecs that are no character sets (unicode_escape, idna); a file must not choose those.
_CHARACTER_SETS = re.compile(r"(?:cp|windows|iso-?8859|latin|koi8|shift|sjis|euc|gb|big5|mac|tis|ks_c|us-ascii)")
# What the web takes these names for: their supersets.
_WEB_NAMES = {
    **dict.fromkeys(("iso-8859-1", "latin-1", "latin1", "us-ascii"), "cp1252"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "windows-31j"), "cp932"),
    **dict.fromkeys(("gb2312", "gb_2312-80", "gbk"), "gb18030"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "ksc5601", "windows-949"), "cp949"),
    **dict.fromkeys(("big5", "big5-hkscs"), "big5hkscs"),
    **dict.fromkeys(("iso-8859-11", "tis-620", "windows-874"), "cp874"),
    "iso-8859-9": "cp1254",
    "mac-cyrillic": "mac_cyrillic",
}
# EBCDIC and Unicode without a mark, which make letters of any bytes, and encodings that nobody's files are in.
_NEVER_GUESSED = [
    *("cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140"),
    *("utf_7", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"),
    *("cp1006", "cp1125", "cp720", "cp864", "cp869", "hp_roman8", "koi8_t", "kz1048", "ptcp154", "mac_iceland"),
    *("shift_jis_2004", "shift_jisx0213", "euc_jis_2004", "euc_jisx0213", "iso8859_10", "iso8859_14", "iso8859_16"),
]
# They switch between alphabets by these: (mark, encodings).
_SWITCHING = ((b"\x1b$)C", ("iso2022_kr",)), (b"\x1b$", ("iso2022_jp", "iso2022_jp_2", "iso2022_jp_ext")))


class NotText(Exception):
    """The bytes are no text; the message says why."""


def looks_like_text(head: bytes) -> bool:
    """Whether a file that begins with these bytes (cut at a multiple of four) may be a text."""
    if _bom(head) is not None:
        return True
    if b"\0" in head:
        return _unicode_without_mark(head) is not None
    return _has_few_controls(head) or _SWITCHING[0][0] in head


def decode_text(data: bytes) -> tuple[str, str]:
    """The text and the name of its encoding. The byte order mark is dropped, line ends are kept.

    Raises NotText for binary data and for texts in no known encoding.
    """
    encoding = _bom(data)
    if encoding is not None:
        mark = next(mark for mark, name in _BOMS if name == encoding)
        return data[len(mark) :].decode(encoding, "replace"), encoding
    if b"\0" in data:
        encoding = _unicode_without_mark(data)
        if encoding is None:
            raise NotText("binary data in a text file")
        return data.decode(encoding, "replace"), encoding
    for encoding in (name for mark, names in _SWITCHING if mark in data for name in names):
        if (text := _decoded(data, encoding)) is not None:
            return text, encoding
    if not _has_few_controls(data):
        raise NotText("binary data in a text file")
    if (text := _decoded(data, "utf-8")) is not None:
        return text, "utf-8"
    if _is_damaged_utf8(data):
        return data.decode("utf-8", "replace"), "utf-8"
    encoding = _legacy_encoding(_sample(data))
    return data.decode(encoding, "replace"), encoding


def _bom(data: bytes) -> str | None:
    return next((name for mark, name in _BOMS if data.startswith(mark)), None)


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeError, LookupError):
        return None


def _has_few_controls(data: bytes) -> bool:
    return len(data) - len(data.translate(None, _CONTROLS)) <= _MOST_CONTROLS * len(data)


def _unicode_without_mark(data: bytes) -> str | None:
    """UTF-16 or UTF-32 told by where the zero bytes of its ASCII characters lie."""
    sample = data[: SAMPLE_BYTES - SAMPLE_BYTES % 4]
    for encoding, width, offset in (
        ("utf-32-le", 4, 0),
        ("utf-32-be", 4, 3),
        ("utf-16-le", 2, 0),
        ("utf-16-be", 2, 1),
    ):
        if len(data) % width:
            continue
        text = _decoded(sample, encoding)
        if text is None and width == 2:
            text = _decoded(sample[:-2], encoding)  # the sample may end inside a surrogate pair
        # Something must be ASCII, and be so at the right place: any bytes at all are some UTF-16.
        if text and any(sample[at + offset] for at in range(0, min(len(sample), 64), width)) and _reads(text):
            return encoding
    return None


def _reads(text: str) -> bool:
    kinds = Counter(unicodedata.category(char)[0] for char in text[:4000] if char not in "\t\r\n\f\x1a\ufeff")
    return bool(kinds) and kinds["C"] <= 0.01 * kinds.total() and any(char in " \n,." for char in text)


def _is_damaged_utf8(data: bytes) -> bool:
    """Whether nearly all characters beyond ASCII are good UTF-8: a cut end, or lines of two writers."""
    text = data[: 4 * SAMPLE_BYTES].decode("utf-8", "surrogateescape")
    beyond = [char for char in text if char > "\x7f"]
    bad = sum("\udc80" <= char <= "\udcff" for char in beyond)
    if bad <= 3 and text and "\udc80" <= text[-1] <= "\udcff" and _decoded(data[:-bad], "utf-8") is not None:
        return len(beyond) > bad
    return len(beyond) - bad >= 10 * bad


def _sample(data: bytes) -> bytes:
    if len(data) <= SAMPLE_BYTES:
        return data
    sample = data[:SAMPLE_BYTES]
    return sample[: sample.rfind(b"\n") + 1] or sample  # a line end is never half a character


def _legacy_encoding(sample: bytes) -> str:
    for declared in _DECLARED.finditer(sample[:2000]):
        name = declared[1].decode("ascii").lower().removeprefix("x-")
        for encoding in (_WEB_NAMES.get(name, name), name):
            if _CHARACTER_SETS.match(encoding) and _decoded(sample, encoding) is not None:
                return encoding
    encoding = encoding_by_letters(sample) or _encoding_by_charset_normalizer(sample) or eastern_encoding(sample)
    if encoding is None:
        raise NotText("text in no known encoding")
    return encoding


def _encoding_by_charset_normalizer(sample: bytes) -> str | None:
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_exclusion=_NEVER_GUESSED).best()
    return None if best is None else str(best.encoding)
