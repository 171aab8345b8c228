"""Bytes → text: which encoding a text file is in, or that it is not text.

UTF-8 is tried first and is nearly always it. What is not Unicode is weighed by the letters that languages
write: charset-normalizer alone takes short Western texts for Central European ones ("ŕ la plage").
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter

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

# The letters beyond ASCII of the languages each encoding serves; on a tie the earlier encoding is it.
_LANGUAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "cp1252",
        (
            *("äöüßé", "éèêëàâçîïôûùüœæÿ", "áéíóúüñçàèòï", "áâãàçéêíóôõúü", "àèéìíîòóù", "ëïéèêöüóáçàâ"),
            *("åäöéüà", "æøåéèêòóôäö", "áðéíóúýþæö", "äöõüšž"),
        ),
    ),
    ("cp1250", ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "čćđšž", "ăâîşţ")),
    ("cp1254", ("çğıöşüâîû",)),
    ("cp1257", ("ąčęėįšųūž", "āčēģīķļņšūž")),
    ("cp850", ("äöüßé", "éèêëàâçîïôûù", "áéíóúüñ", "åäöæøé", "áâãàçéêíóôõú")),
    ("mac_roman", ("äöüßé", "éèêëàâçîïôûùœ", "áéíóúüñ", "åäöæøé", "áâãàçéêíóôõú", "àèéìòù")),
)
_SIGNS = frozenset("’‘“”„‚‹›«»–—…•·°§€£¥¢©®™½¼¾¹²³×¿¡ºª´¨±µ\xa0\xad†‡¶")
_SIGNS_IN_WORDS = frozenset("’–—…·´\xad\xa0ºª/")
_ENOUGH_COVERED = 0.95
_DECLARED = re.compile(rb"""(?:charset|encoding|coding)\s*[=:]\s*["']?\s*([A-Za-z][\w-]{1,30})""", re.I)
# Python knows codecs that are no character sets (unicode_escape, idna); a file must not choose those.
_CHARACTER_SETS = re.compile(r"(?:cp|windows|iso-?8859|latin|koi8|shift|sjis|euc|gb|big5|mac|tis|ks_c|us-ascii)")
_WEB_NAMES = {"iso-8859-1": "cp1252", "latin-1": "cp1252", "latin1": "cp1252", "us-ascii": "cp1252"}


class NotText(Exception):
    """The bytes are no text; the message says why."""


def looks_like_text(head: bytes) -> bool:
    """Whether a file that begins with these bytes (cut at a multiple of four) may be a text."""
    if _bom(head) is not None:
        return True
    if b"\0" in head:
        return _unicode_without_mark(head) is not None
    return _has_few_controls(head)


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
    if not _has_few_controls(data):
        raise NotText("binary data in a text file")
    if b"\x1b$" in data and (text := _decoded(data, "iso2022_jp")) is not None:
        return text, "iso2022_jp"
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
    declared = _DECLARED.search(sample[:2000])
    if declared is not None:
        name = declared[1].decode("ascii").lower()
        name = _WEB_NAMES.get(name, name)
        if _CHARACTER_SETS.match(name) and _decoded(sample, name) is not None:
            return name
    encoding = _encoding_by_letters(sample) or _encoding_by_charset_normalizer(sample)
    if encoding is None:
        raise NotText("text in no known encoding")
    return encoding


def _encoding_by_letters(sample: bytes) -> str | None:
    """For texts in Latin letters: the encoding in which some one language writes nearly all the others."""
    beyond = sum(byte > 127 for byte in sample[:20_000])
    if beyond > 0.3 * min(len(sample), 20_000):
        return None
    best, best_covered = None, _ENOUGH_COVERED
    for encoding, languages in _LANGUAGES:
        text = _decoded(sample[:64_000], encoding)
        if text is None:
            continue
        counts, strangers = _letters_beyond_ascii(text)
        total = sum(counts.values()) + strangers
        known = max(sum(counts[letter] for letter in language) for language in languages)
        covered = known / total if total else 1.0
        if covered > best_covered or (best is None and covered == best_covered):
            best, best_covered = encoding, covered
    return best


def _letters_beyond_ascii(text: str) -> tuple[Counter[str], int]:
    """How often each letter beyond ASCII occurs, and how many characters no prose would have there."""
    counts: Counter[str] = Counter()
    strangers = 0
    for match in re.finditer(r"[^\x00-\x7f]", text):
        char, at = match[0], match.start()
        if char.isalpha() and char not in _SIGNS:
            lower = char.lower()
            counts[lower if len(lower) == 1 else char] += 1
        elif char not in _SIGNS or (
            char not in _SIGNS_IN_WORDS and text[at - 1 : at].isalpha() and text[at + 1 : at + 2].isalpha()
        ):
            strangers += 1
    return counts, strangers


def _encoding_by_charset_normalizer(sample: bytes) -> str | None:
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    if best is None:
        return None
    japanese = _decoded(sample, "euc_jp") if best.multi_byte_usage else None
    if japanese is not None and sum("ぁ" <= char <= "ヿ" for char in japanese) > 0.15 * len(japanese):
        return "euc_jp"
    encoding: str = best.encoding
    return encoding
