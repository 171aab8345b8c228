"""A web page in a document → its text as it is read, its heading, and the pictures that it shows."""

from __future__ import annotations

import html
import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote

from mmsearch.reading.document.pages import LONGEST_PAGE, tidied
from mmsearch.reading.html_text import blank_markup
from mmsearch.reading.reader import UnreadableFile
from mmsearch.reading.text_encoding import NotText, decode_text

_HEAD, _HEAD_END = re.compile(r"<head[\s>]", re.I), re.compile(r"</head\s{0,9}>", re.I)
_TITLE = re.compile(r"<title[^<>]{0,500}>([^<]{0,2000})</title", re.I)
_HEADING, _HEADING_END = re.compile(r"<h[1-3](?:\s[^<>]{0,500})?>", re.I), re.compile(r"</h[1-3]\s{0,9}>", re.I)
_LONGEST_HEADING = 2_000
_TAG = re.compile(r"<[^<>]{0,2000}>")
# They do not part words: a letter that is set large belongs to the rest of its word.
_IN_LINES = re.compile(
    r"</?(?:a|abbr|b|big|cite|code|del|em|font|i|ins|kbd|mark|q|s|small|span|strong|sub|sup|tt|u|var|wbr)"
    r"(?:\s[^<>]{0,2000})?/?>",
    re.I,
)
_LINE_ENDS = re.compile(
    r"<(?=br[\s/>]|/(?:p|div|h[1-6]|li|tr|blockquote|dt|dd|pre|caption|figcaption|section)\s{0,9}>)", re.I
)
_CELL_ENDS = re.compile(r"<(?=/t[dh]\s{0,9}>)", re.I)
_SPACES = re.compile(r"[ \t\r\f\v\n]+")
_IMAGE = re.compile(
    r"""<(?:img|image)\s[^<>]{0,2000}?(?:src|href)\s{0,9}=\s{0,9}(?:"([^"<>]{1,500})"|'([^'<>]{1,500})')""", re.I
)
# Stand for line ends and tabs while spaces are tidied: no text has them.
_LINE, _CELL = "\x1d", "\x1f"


@dataclass(frozen=True)
class WebPage:
    """`heading` is the first one, or the title; `pictures` are the places that it refers to, as they are written."""

    text: str
    heading: str | None
    pictures: tuple[str, ...]


def web_page(data: bytes) -> WebPage:
    """What can be read and seen on the page. Raises UnreadableFile where it is no text."""
    try:
        page, _ = decode_text(data)
    except NotText as error:
        raise UnreadableFile(str(error)) from None
    page = page[:LONGEST_PAGE]
    head = _HEAD.search(page)
    head_end = None if head is None else _HEAD_END.search(page, head.end())
    body = page if head is None or head_end is None else page[: head.start()] + page[head_end.end() :]
    title = _TITLE.search(page)
    named = _first_heading(body) or (title[1] if title is not None else "")
    pictures = [unquote(html.unescape(one or other)) for one, other in _IMAGE.findall(body)]
    return WebPage(text_of_markup(body), _in_one_line(named), tuple(dict.fromkeys(pictures)))


def text_of_markup(markup: str) -> str:
    """The words between the tags, a line a paragraph or a row, with tabs between cells."""
    marked = markup.replace(_LINE, " ").replace(_CELL, " ")
    marked = _CELL_ENDS.sub(f"{_CELL}<", _LINE_ENDS.sub(f"{_LINE}<", _IN_LINES.sub("", marked)))
    text = html.unescape(_SPACES.sub(" ", blank_markup(marked)))
    lines = text.replace(_CELL, "\t").replace("\xa0", " ").replace("\xad", "").split(_LINE)
    return tidied("\n".join(line.strip() for line in lines))


def resolved(base: str, reference: str) -> str:
    """The name of the member that a place refers to, seen from the member `base`."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), reference.partition("#")[0])).lstrip("/")


def _first_heading(body: str) -> str:
    begins = _HEADING.search(body)
    ends = None if begins is None else _HEADING_END.search(body, begins.end(), begins.end() + _LONGEST_HEADING)
    return body[begins.end() : ends.start()] if begins is not None and ends is not None else ""


def _in_one_line(markup: str) -> str | None:
    return " ".join(html.unescape(_TAG.sub("", markup)).split())[:200] or None
