"""The words of a web page where they stand: markup is blanked, so that offsets still point into the file."""

from __future__ import annotations

import re

_OPENING = re.compile(r"<(?:!--|([A-Za-z][A-Za-z0-9-]*)|[/!?])")
# A > inside a quoted value does not end a tag; a quote that follows no = is no quote.
_TAG_PART = re.compile(r"""=\s{0,80}(["'])|>""")
_NO_TEXT_INSIDE = {
    name: re.compile(rf"</{name}(?![A-Za-z0-9-])", re.I) for name in ("script", "style", "template", "svg")
}
_NOT_A_LINE_END = re.compile(r"[^\n]+")


def blank_markup(page: str) -> str:
    """`page` with tags, comments, scripts and styles turned into spaces: the same length, the same lines.

    Character references (&amp;) stay as they are. Takes time linear in the length of the page.
    """
    parts = []
    text_from = 0
    while (opening := _OPENING.search(page, text_from)) is not None:
        end = _markup_end(page, opening)
        parts.append(page[text_from : opening.start()])
        parts.append(_NOT_A_LINE_END.sub(_spaces, page[opening.start() : end]))
        text_from = end
    parts.append(page[text_from:])
    return "".join(parts)


def _markup_end(page: str, opening: re.Match[str]) -> int:
    """Where the markup ends; the end of the page where it never does, as in a browser."""
    if opening[0] == "<!--":
        end = page.find("-->", opening.end())
        return len(page) if end < 0 else end + 3
    end = _tag_end(page, opening.end())
    closing = _NO_TEXT_INSIDE.get((opening[1] or "").lower())
    if closing is not None and page[end - 2 : end] != "/>":
        match = closing.search(page, end)
        end = len(page) if match is None else _tag_end(page, match.end())
    return end


def _tag_end(page: str, start: int) -> int:
    while (part := _TAG_PART.search(page, start)) is not None:
        if part[1] is None:
            return part.end()
        quote = page.find(part[1], part.end())
        if quote < 0:
            break
        start = quote + 1
    return len(page)


def _spaces(match: re.Match[str]) -> str:
    return " " * len(match[0])
