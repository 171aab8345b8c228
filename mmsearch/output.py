"""What is shown: hits and reports as a table, plain lines, JSON, JSON lines, paths, NUL-separated paths.

Names and texts come from other people's files: on a terminal they can neither move the cursor, nor colour, nor be
taken for markup.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from mmsearch.indexing import IndexReport
    from mmsearch.library import Forgotten, Status
    from mmsearch.searching import Hit, SearchResult

SCHEMA_VERSION = 1
_SNIPPET_CHARACTERS = 160
_SHOWN_FAILURES = 5
# Embeddings, overrides and isolates that turn the direction of what follows.
_DIRECTION = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


class Form(str, Enum):
    """How hits are printed."""

    TABLE = "table"
    LINES = "lines"
    JSON = "json"
    JSONL = "jsonl"
    PATHS = "paths"
    NULL = "null"


def visible(text: str) -> str:
    r"""`text` with control characters, direction marks and undecodable bytes as `\xNN` or `\uNNNN`."""
    return "".join(_visible_character(character) for character in text)


def _visible_character(character: str) -> str:
    code = ord(character)
    if code < 0x20 or 0x7F <= code < 0xA0:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code in _DIRECTION or 0xD800 <= code <= 0xDFFF or code in (0x2028, 0x2029):
        return f"\\u{code:04x}"
    return character


def to_json(value: dict[str, Any]) -> str:
    r"""One line of ASCII JSON. Bytes of a name that are no UTF-8 are lone surrogates: byte 0xNN as `\udcNN`."""
    return json.dumps(value, ensure_ascii=True)


# Hits


def hit_as_json(hit: Hit) -> dict[str, Any]:
    """A hit as docs/json.md describes it."""
    described = asdict(hit)
    described["score"] = round(hit.score, 4)
    described["similarity"] = round(hit.similarity, 4)
    return described


def result_as_json(result: SearchResult) -> dict[str, Any]:
    """A search's answer as docs/json.md describes it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "query": result.query.as_json(),
        "model": result.model,
        "library": result.library,
        "elapsed_ms": round(result.elapsed_ms, 1),
        "hits": [hit_as_json(hit) for hit in result.hits],
    }


def print_result(result: SearchResult, form: Form) -> None:
    """Prints a search's answer on stdout; nothing for no hits, but for JSON."""
    if form is Form.JSON:
        print(to_json(result_as_json(result)))
    elif form is Form.JSONL:
        for hit in result.hits:
            print(to_json({"schema_version": SCHEMA_VERSION, **hit_as_json(hit)}))
    elif form in (Form.PATHS, Form.NULL):
        end = b"\0" if form is Form.NULL else b"\n"
        sys.stdout.flush()
        sys.stdout.buffer.write(b"".join(os.fsencode(hit.path) + end for hit in result.hits))
        sys.stdout.buffer.flush()
    elif form is Form.LINES:
        for hit in result.hits:
            print("\t".join([f"{hit.score:.2f}", hit.type, _place(hit), _snippet(hit)]).rstrip())
    elif result.hits:
        _print_table(result)


def _place(hit: Hit) -> str:
    line = f":{hit.line}" if hit.line is not None else ""
    return visible(hit.path) + line


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


# Reports


def report_as_json(report: IndexReport, library: str) -> dict[str, Any]:
    """A run of `index` as docs/json.md describes it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "library": library,
        "model": report.model,
        "added": report.added,
        "updated": report.updated,
        "moved": report.moved,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "failed": report.failed,
        "failing": report.failing,
        "others": report.others,
        "resumed": report.resumed,
        "seconds": round(report.seconds, 3),
        "failures": [{"path": os.fsdecode(path), "reason": reason} for path, reason in report.failures],
        "problems": [{"path": os.fsdecode(problem.path), "reason": problem.reason} for problem in report.problems],
        "offline": [os.fsdecode(path) for path in report.offline],
    }


def summary(report: IndexReport) -> str:
    """One line that says what a run did."""
    counts = [
        (report.added, "added"),
        (report.updated, "updated"),
        (report.moved, "moved or copied"),
        (report.unchanged, "unchanged"),
        (report.removed, "removed"),
        (report.failed + report.failing, "unreadable"),
        (report.others, "of other kinds"),
    ]
    said = ", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing found"
    rate = ""
    if report.added + report.updated and report.seconds >= 1:
        rate = f" ({(report.added + report.updated) / report.seconds:.0f} files/s)"
    return f"{report.files:,} files searchable: {said} in {report.seconds:.1f} s{rate}"


def notes(report: IndexReport) -> list[str]:
    """What a person should know beside the summary: one sentence each."""
    said = []
    if report.resumed:
        said.append(f"resumed: {report.unchanged:,} already done")
    said += [
        f"{visible(os.fsdecode(path))} is missing or empty; its files stay in the library "
        "(`mmsearch forget` drops them)"
        for path in report.offline
    ]
    noted = [*report.failures, *((problem.path, problem.reason) for problem in report.problems)]
    said += [f"skipped {visible(os.fsdecode(path))}: {visible(reason)}" for path, reason in noted[:_SHOWN_FAILURES]]
    if report.failing:
        said.append(f"{report.failing:,} could not be read before and have not changed; --retry reads them again")
    if len(noted) > _SHOWN_FAILURES:
        said.append(f"skipped {len(noted) - _SHOWN_FAILURES:,} more; `mmsearch status --failed` lists them")
    return said


def forgotten_as_json(path: str, forgotten: Forgotten) -> dict[str, Any]:
    """What `forget` did, as docs/json.md describes it."""
    absolute = os.path.abspath(os.path.expanduser(path))
    return {"schema_version": SCHEMA_VERSION, "path": absolute, "removed": forgotten.files}


def notes_on_forgetting(path: str, forgotten: Forgotten) -> list[str]:
    """What a person should know who forgot a part of a folder that is indexed."""
    return [
        f"the next `mmsearch index` takes {visible(path)} again, since it lies in {visible(os.fsdecode(root))}; "
        "leave it out with --exclude or a .mmsearchignore file."
        for root in forgotten.roots
    ]


def status_as_json(status: Status) -> dict[str, Any]:
    """A library's status as docs/json.md describes it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "library": status.library,
        "model": status.model,
        "dimension": status.dimension,
        "images": status.counts.images,
        "texts": status.counts.texts,
        "contents": status.counts.contents,
        "items": status.counts.items,
        "bytes": status.bytes,
        "interrupted": status.interrupted,
        "roots": [
            {
                "path": os.fsdecode(root.path),
                "files": root.files,
                "changed": root.changed,
                "offline": root.offline,
                "rules": asdict(root.rules),
            }
            for root in status.roots
        ],
        "failures": [
            {"path": os.fsdecode(failure.path), "reason": failure.reason, "noted": failure.noted}
            for failure in status.failures
        ],
    }


def print_status(status: Status, failed: bool) -> None:
    """A library's status for a person, on stdout; with `failed` the unreadable files, a line each."""
    if failed:
        for failure in status.failures:
            print(f"{visible(os.fsdecode(failure.path))}\t{visible(failure.reason)}")
        return
    counts = status.counts
    print(f"library   {visible(status.library)} ({status.bytes / 1e6:,.1f} MB)")
    print(f"model     {visible(status.model)}, {status.dimension} dimensions")
    print(f"files     {counts.images:,} pictures, {counts.texts:,} texts ({counts.items:,} items)")
    for root in status.roots:
        state = "offline" if root.offline else f"last change {root.changed or 'never'}"
        print(f"root      {visible(os.fsdecode(root.path))}: {root.files:,} files, {state}")
    if counts.failures:
        print(f"failed    {counts.failures:,} files could not be read; `mmsearch status --failed` lists them")
    if status.interrupted:
        print("note      the last run was cut off; `mmsearch index` goes on with it")


def say(sentence: str) -> None:
    """A sentence for a person, on stderr."""
    print(f"mmsearch: {sentence}", file=sys.stderr)


def stderr_console() -> Console:
    """Where progress is drawn."""
    from rich.console import Console

    return Console(stderr=True)
