"""A contact sheet as one web page: it asks nothing of any network, runs no script, and follows light and dark."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import os
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from mmsearch.output import counted, visible
from mmsearch.output.places import file_url, place_in_file
from mmsearch.searching.results import FileList, Hit, SearchResult

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmsearch.output.contact_sheet import Drawn

_QUALITY = 80
_STYLE = """
:root { color-scheme: light dark; --back: #fafafa; --card: #fff; --line: #d8d8d8; --words: #1c1c1c; --dim: #5c5c5c;
  --mark: #0b57d0; --shade: #ececec; }
@media (prefers-color-scheme: dark) {
  :root { --back: #161616; --card: #202020; --line: #3a3a3a; --words: #ececec; --dim: #a8a8a8; --mark: #8ab4f8;
    --shade: #101010; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 1.5rem; background: var(--back); color: var(--words); font: 15px/1.4 system-ui, sans-serif; }
h1 { margin: 0 0 .25rem; font-size: 1.3rem; overflow-wrap: anywhere; }
h2 { margin: 1.5rem 0 .5rem; font-size: 1.05rem; overflow-wrap: anywhere; }
p { margin: 0 0 1rem; color: var(--dim); }
ol { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 1rem; margin: 0; padding: 0;
  list-style: none; }
a { display: block; height: 100%; color: inherit; text-decoration: none; background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
a:hover { border-color: var(--mark); }
a:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px; }
.shown { display: flex; align-items: center; justify-content: center; height: 180px;
  background: var(--shade); }
.shown img { max-width: 100%; max-height: 100%; }
.text { align-items: flex-start; justify-content: flex-start; padding: .6rem .75rem; font-size: .85rem;
  overflow: hidden; }
.trouble { padding: .75rem; color: var(--dim); font-style: italic; text-align: center; }
.said { display: block; padding: .5rem .75rem .65rem; }
.name { display: block; font-weight: 600; overflow-wrap: anywhere; }
.dim { display: block; color: var(--dim); font-size: .8rem; overflow-wrap: anywhere; }
@media print { body { padding: 0; } li { break-inside: avoid; } }
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def write_html(file: IO[bytes], drawn: Iterable[Drawn], result: SearchResult | FileList) -> None:
    """Writes the page as its hits come, so that one picture is in memory at a time."""
    from mmsearch.output.contact_sheet import SIGN

    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    title = _title(result)
    head = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_escaped(_POLICY.format(digest=digest))}">',
        f'<meta name="generator" content="{SIGN}">',
        '<meta name="referrer" content="no-referrer">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        "<main>",
        f'<h1 dir="auto" translate="no">{title}</h1>',
        f"<p>{_count(result)}</p>",
    ]
    _write(file, "\n".join(head))
    is_grouped = any(hit.group is not None for hit in result.hits)
    groups: list[str | None] = []
    for one in drawn:
        if not groups or one.hit.group != groups[-1]:
            heading = _escaped("no place known" if one.hit.group is None else one.hit.group)
            _write(file, "</ol>" if groups else "")
            _write(file, f'<h2 dir="auto" translate="no">{heading}</h2>' if is_grouped else "")
            _write(file, "<ol>")
            groups.append(one.hit.group)
        _write(file, _card(one))
    _write(file, f"{'</ol>' if groups else ''}\n</main>\n</body>\n</html>")


def _write(file: IO[bytes], lines: str) -> None:
    file.write(lines.encode() + b"\n")


def _card(drawn: Drawn) -> str:
    """One hit: all of it is the link to its file."""
    hit = drawn.hit
    measures = [f"#{hit.rank}", *([f"{hit.score:.2f}"] if isinstance(hit, Hit) else []), hit.moment[:10]]
    name = _escaped(os.path.basename(hit.path) + place_in_file(hit))
    return (
        f'<li><a href="{_escaped(file_url(hit.path))}" title="{_escaped(hit.path)}">{_shown(drawn)}'
        f'<span class="said"><span class="name" dir="auto" translate="no">{name}</span>'
        f'<span class="dim">{_escaped(" · ".join(measures))}</span>'
        f'<span class="dim" dir="auto" translate="no">{_escaped(os.path.dirname(hit.path))}</span></span></a></li>'
    )


def _shown(drawn: Drawn) -> str:
    seen = drawn.thumbnail
    if seen.picture is not None:
        return f'<span class="shown"><img src="{_data_url(seen.picture)}" alt="" loading="lazy"></span>'
    if seen.trouble:
        return f'<span class="shown trouble">{_escaped(seen.trouble)}</span>'
    return f'<span class="shown text" dir="auto" translate="no">{_escaped(seen.words)}</span>'


def _data_url(picture: Image) -> str:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def _title(result: SearchResult | FileList) -> str:
    """What was looked for."""
    if isinstance(result, FileList):
        return "Files"
    said = [
        f"{'without ' if term.weight < 0 else ''}"
        f"{term.value if term.modality == 'text' else os.path.basename(term.value)}"
        for term in result.query.terms
    ]
    return _escaped(" + ".join(said)) or "Files"


def _count(result: SearchResult | FileList) -> str:
    shown, total = len(result.hits), result.total
    known = "" if isinstance(result, FileList) or result.total_exact else "at least "
    return f"{shown:,} of {known}{counted(total, 'file')}"


def _escaped(text: str) -> str:
    """`text` as it may stand in an element or in a value between quotes; what moves a cursor is written out."""
    return html.escape(visible(text), quote=True)
