"""Hits, as a table, lines, JSON, JSON lines or paths."""

from __future__ import annotations

import os
import sys
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from mmsearch.output import visible
from mmsearch.output.json import to_json

if TYPE_CHECKING:
    from rich.text import Text

    from mmsearch.searching.results import Hit, SearchResult

_SNIPPET_CHARACTERS = 160
_AWAY = " (not there now)"


class Form(str, Enum):
    """How hits are printed."""

    TABLE = "table"
    LINES = "lines"
    JSON = "json"
    JSONL = "jsonl"
    PATHS = "paths"
    NULL = "null"


def print_result(result: SearchResult, form: Form) -> None:
    """Prints a search's answer on stdout; nothing for no hits, but for JSON."""
    if form is Form.JSON:
        print(to_json(result))
    elif form is Form.JSONL:
        for hit in result.hits:
            print(to_json(hit))
    elif form in (Form.PATHS, Form.NULL):
        end = b"\0" if form is Form.NULL else b"\n"
        sys.stdout.flush()
        sys.stdout.buffer.write(b"".join(os.fsencode(hit.path) + end for hit in result.hits if hit.available))
        sys.stdout.buffer.flush()
    elif form is Form.LINES:
        for hit in result.hits:
            print("\t".join([f"{hit.score:.2f}", hit.type, _place(hit), _snippet(hit)]).rstrip())
    elif result.hits:
        _print_table(result)


def notes(result: SearchResult, form: Form) -> list[str]:
    """What a person should know beside the hits: one sentence each."""
    away = sum(not hit.available for hit in result.hits)
    if not away or form in (Form.JSON, Form.JSONL):
        return []
    left_out = " and left out" if form in (Form.PATHS, Form.NULL) else ""
    what = "file found is" if away == 1 else "files found are"
    return [f"{away:,} {what} not there now (a drive that is away?){left_out}; `mmsearch prune` drops what is gone."]


def nothing_found(result: SearchResult) -> str:
    """A sentence for a person whose query has no hits."""
    near = result.nearest
    if near is None:
        return "nothing found."
    if result.query.min_score is not None:
        return f"nothing found with that score; the nearest is {_place(near)} ({near.score:.2f})."
    return f"nothing close; the nearest is {_place(near)} ({near.score:.2f}). --min-score 0 shows all."


def _place(hit: Hit) -> str:
    line = f":{hit.line}" if hit.line is not None else ""
    return visible(hit.path) + line + ("" if hit.available else _AWAY)


def _snippet(hit: Hit) -> str:
    words = visible(" ".join((hit.snippet or "").split()))
    return words if len(words) <= _SNIPPET_CHARACTERS else words[: _SNIPPET_CHARACTERS - 1] + "…"


def _print_table(result: SearchResult) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("#", justify="right", style="dim")
    table.add_column("score", justify="right")
    table.add_column("file", overflow="fold", ratio=1)
    table.add_column("", style="dim", no_wrap=True)
    for hit in result.hits:
        table.add_row(str(hit.rank), f"{hit.score:.2f}", _file_cell(hit), _about(hit))
    Console(soft_wrap=False).print(table)


def _file_cell(hit: Hit) -> Text:
    from rich.style import Style
    from rich.text import Text

    cell = Text(_place(hit), style=Style(link=_link(hit.path)))
    snippet = _snippet(hit)
    if snippet:
        cell.append(f"\n{snippet}", style=Style(dim=True, link=""))
    return cell


def _about(hit: Hit) -> str:
    moment = (hit.taken or hit.modified)[:10]
    return f"{hit.width}×{hit.height}  {moment}" if hit.type == "image" else f"text  {moment}"


def _link(path: str) -> str:
    slashes = os.fsencode(path.replace("\\", "/") if os.sep == "\\" else path)
    return "file://" + quote_from_bytes(slashes if slashes.startswith(b"/") else b"/" + slashes)
