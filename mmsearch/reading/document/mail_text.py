"""What a mail says: its headers and bodies in any encoding → text, without the history that it quotes at its end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mmsearch.reading.html_text import blank_markup
from mmsearch.reading.noise import blank_noise
from mmsearch.reading.text_encoding import NotText, decode_text

if TYPE_CHECKING:
    from email.message import Message

# Supersets, which are what mail programs write under these names.
_SUPERSETS = {
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    **dict.fromkeys(("ks_c_5601-1987", "euc-kr"), "cp949"),
    "shift_jis": "cp932",
}
# Python has them among its encodings; they are no character sets, and some take long.
_NO_CHARACTER_SETS = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"}
# Where a line ends in a web page, whatever its source looks like.
_BLOCK = re.compile(r"<(?:p|div|br|tr|li|h[1-6]|table|blockquote|hr)\b", re.I)
_QUOTE = re.compile(r"<blockquote\b", re.I)
_END_OF_QUOTE = re.compile(r"</blockquote\s*>", re.I)
# Spaces of all kinds, and what newsletters fill their previews up with.
_SPACES = re.compile(r"[ \t\f\v\xa0\xad\u034f\u2000-\u200f\u2028\u2029\u202f\u205f-\u2064\u3000\ufeff]+")
_EMPTY_LINES = re.compile(r"\n\s*\n\s*\n")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
# So many quoted lines at the end of an answer are a history; fewer are what is answered to.
_LEAST_HISTORY = 5
# Of a letter to a thousand people; what takes them apart is slow with long ones.
_LONGEST_HEADER = 20_000


def header(message: Message, name: str) -> str:
    """The header on one line, decoded as well as can be; "" where there is none."""
    for known, value in message.raw_items():
        if known.lower() == name:
            return decoded_header(value)
    return ""


def decoded_header(value: Any) -> str:
    """The value of a header, or of one of its parameters, with the words that it has in other encodings."""
    from email.header import decode_header

    raw = str(value)[:_LONGEST_HEADER].replace("\r", "").replace("\n", "")  # what follows a fold is a space
    if not raw.isascii():  # bytes that are in no encoding that it names
        raw = decoded(raw.encode("utf-8", "surrogateescape"), None)
    try:
        words = decode_header(raw)
    except Exception:  # damaged base64 in it, and more
        words = [(raw, None)]
    said = "".join(word if isinstance(word, str) else decoded(word, charset) for word, charset in words)
    return " ".join(_CONTROLS.sub(" ", said).split())


def decoded(data: bytes, charset: str | None) -> str:
    """The text that is in the named encoding, or, where that is wrong, in the one that it looks to be in."""
    name = (charset or "utf-8").lower().strip("\"' ")
    text = _strictly_decoded(data, _SUPERSETS.get(name, name))
    if text is not None:
        return text
    try:
        return decode_text(data)[0]
    except NotText:
        return data.decode("ascii", "replace")


def _strictly_decoded(data: bytes, encoding: str) -> str | None:
    if encoding.replace("_", "-") in _NO_CHARACTER_SETS:
        return None
    try:
        return data.decode(encoding)
    except (LookupError, ValueError):  # UnicodeError is one
        return None


def body_of(plain: str, page: str) -> str:
    """The body of a mail that may have one as plain text and one as a web page: the plain one if it says anything."""
    if any(map(str.isalpha, plain)) or not page:
        return without_history(_tidied(plain))
    return _tidied(text_of_page(_without_quoted_end(page))).replace("\n ", "\n")  # the source's indentation


def text_of_page(page: str) -> str:
    """The words of a web page, without markup."""
    import html

    return html.unescape(blank_markup(_BLOCK.sub(r"\n\g<0>", page.replace("\0", ""))))


def without_history(text: str) -> str:
    """The text without quoted lines ("> …") at its end, where these are several and an answer stands before them.

    What is quoted between answers stays. The line that says whose words they are goes with them.
    """
    lines = text.rstrip().split("\n")
    begin = len(lines)
    while begin and (lines[begin - 1].startswith(">") or not lines[begin - 1].strip()):
        begin -= 1
    if sum(line.startswith(">") for line in lines[begin:]) < _LEAST_HISTORY:
        return text
    own = lines[:begin]
    if own and own[-1].rstrip().endswith(":"):  # "On Monday, Ada wrote:"
        own.pop()
    return "\n".join(own).rstrip() if any(line.strip() for line in own) else text


def _without_quoted_end(page: str) -> str:
    """A web page without the quotation that it ends with, where something stands before that."""
    begin = _QUOTE.search(page)
    if begin is None:
        return page
    ends = list(_END_OF_QUOTE.finditer(page, begin.end()))
    after = page[ends[-1].end() :] if ends else ""
    own = page[: begin.start()]
    if _says_anything(text_of_page(after)) or not _says_anything(text_of_page(own)):
        return page
    return own


def _says_anything(text: str) -> bool:
    return any(map(str.isalpha, text))


def _tidied(text: str) -> str:
    text = _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = (_SPACES.sub(" ", line).rstrip() for line in text.split("\n"))
    return blank_noise(_EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip())


def message_text(message: Message, bodies: Iterable[str], attached: Iterable[str]) -> str:
    """A mail as a person reads it: subject, from, to, date; the body; the names of what is attached."""
    said = (("From: ", header(message, "from")), ("To: ", header(message, "to")), ("Date: ", header(message, "date")))
    head = [header(message, "subject"), *(name + value for name, value in said if value)]
    names = ", ".join(attached)
    parts = ["\n".join(line for line in head if line), *bodies, f"Attached: {names}" if names else ""]
    return "\n\n".join(part for part in parts if part.strip())
