"""Hits as a table on a terminal: one line each, as wide as the terminal is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from mmsearch.output.columns import stdout_width
from mmsearch.output.places import Viewpoint, excerpt, file_url, place_in_file, time_span
from mmsearch.searching.results import FileList, Hit, ListedFile, SearchResult

if TYPE_CHECKING:
    from mmsearch.output.beside import Preview

# A score from which on it is shown so.
_COLOURS = ((0.5, "green"), (0.2, "yellow"), (0.0, "dim"))
_GAP = "  "
_LEAST_WIDTH = 8
# The head of a column of dates, as wide as they are.
_DATE = "date".ljust(10)
_SIMILARITY = "similarity"


def print_table(
    result: SearchResult | FileList, verbose: bool, with_moments: bool, preview: Preview | None = None
) -> None:
    """Prints a header and a line for each hit; below it, where it is `verbose`, what is known of it, and its other
    moments `with_moments`. All of it stands beside the hit's picture where there is a `preview`.
    """
    whole = Console()
    console = whole if preview is None else Console(width=max(_LEAST_WIDTH, whole.width - preview.width))
    place = Viewpoint()
    number_width = len(str(max(hit.rank for hit in result.hits)))
    columns = _columns(result)
    indent = " " * (number_width + len(_GAP) + sum(len(name) + len(_GAP) for name in columns))
    head = Text(_GAP.join([f"{'#':>{number_width}}", *columns, "file"]), style="dim")
    head_left = preview.beside_nothing() if preview else None
    _print(console, [head], head_left)
    heading: str | None = None
    for hit in result.hits:
        if _is_grouped(result) and (named := _heading(hit, place)) != heading:
            heading = named
            _print(console, [Text(shortened(heading, console.width), style="bold")], head_left)
        line = Text().append(f"{hit.rank:>{number_width}}{_GAP}", style="dim")
        for measure in _measures(hit, columns):
            line.append(measure).append(_GAP)
        suffix = place_in_file(hit) + ("" if hit.available else " (not there now)")
        copies = "" if not hit.copies else " +1 copy" if len(hit.copies) == 1 else f" +{len(hit.copies):,} copies"
        copies += "".join(f" +{os.path.splitext(one)[1][1:]}" for one in hit.companions)
        room = max(_LEAST_WIDTH, console.width - len(indent) - len(suffix + copies))
        name = shortened(place.shown(hit.path), room)
        line.append(name + suffix, style=Style(link=file_url(hit.path))).append(copies, style="dim")
        lines = [line]
        for moment in hit.moments if with_moments and isinstance(hit, Hit) else ():
            score = " ".join([" " * number_width, f" {moment.score:5.2f}"])
            lines.append(Text(f"{score:<{len(indent)}}{time_span(moment.time)}", style="dim"))
        details = _details(hit, columns, place, console.width - len(indent)) if verbose or preview else ()
        lines += [Text(indent + shortened_at_end(one, console.width - len(indent)), style="dim") for one in details]
        if isinstance(hit, Hit) and hit.explanation is not None:
            lines += _explained(hit, indent, console.width)
        _print(console, lines, preview.beside(hit, len(lines)) if preview else None)


def print_files(rows: Iterable[tuple[str, str]]) -> None:
    """Prints a line for each path, after what is said before it: it names the file, and leads to it."""
    console, place = Console(width=stdout_width()), Viewpoint()
    for before, path in rows:
        room = max(_LEAST_WIDTH, console.width - cell_len(before))
        name = Text(shortened(place.shown(path), room), style=Style(link=file_url(path)))
        _print(console, [Text(before) + name])


def _is_grouped(result: SearchResult | FileList) -> bool:
    grouped = (hit for hit in result.hits if hit.group is not None)
    return next(grouped, None) is not None


def _heading(hit: Hit | ListedFile, place: Viewpoint) -> str:
    """What a group is called: a folder as a person at this place would write it."""
    return "no place known" if hit.group is None else place.shown(hit.group)


def _columns(result: SearchResult | FileList) -> list[str]:
    """The heads of what stands before a file: its score where it has one, and what else files are sorted by."""
    sort = result.sort if isinstance(result, FileList) else result.query.sort
    more = {"date": [_DATE], "similarity": [_SIMILARITY]}.get(sort, [])
    return [*([] if isinstance(result, FileList) else ["score"]), *more]


def _measures(hit: Hit | ListedFile, columns: Sequence[str]) -> Iterator[Text]:
    for name in columns:
        if name == "score" and isinstance(hit, Hit):
            score = hit.score
            yield Text(f"{score:5.2f}", style=next(colour for least, colour in _COLOURS if score >= least))
        elif name == _SIMILARITY and isinstance(hit, Hit):
            yield Text(f"{_cosine(hit):>{len(_SIMILARITY)}}")
        else:
            yield Text(hit.moment[:10])


def _cosine(hit: Hit) -> str:
    """Its similarity, and no negative nought."""
    return f"{round(hit.similarity, 2) + 0.0:.2f}"


def shortened(text: str, width: int) -> str:
    """`text` in so many cells at most: what is too much is left out of the middle, so that a path keeps its name."""
    if cell_len(text) <= width:
        return text
    end = _first(text[::-1], (width - 1) * 2 // 3)[::-1]
    return f"{_first(text, width - 1 - cell_len(end))}…{end}"


def shortened_at_end(text: str, width: int) -> str:
    """`text` in so many cells at most."""
    return text if cell_len(text) <= width else f"{_first(text, width - 1)}…"


def _first(text: str, width: int) -> str:
    taken = 0
    for place, character in enumerate(text):
        taken += cell_len(character)
        if taken > width:
            return text[:place]
    return text


def _details(hit: Hit | ListedFile, columns: Sequence[str], place: Viewpoint, room: int) -> list[str]:
    facts = [
        f"{hit.width}×{hit.height}" if hit.width is not None else hit.type,
        *([] if _DATE in columns else [hit.moment[:10]]),
        f"{hit.bytes:,} bytes",
        *([f"similarity {_cosine(hit)}"] if isinstance(hit, Hit) else []),
    ]
    snippet = excerpt(hit, room) if isinstance(hit, Hit) else ""
    copies = [f"copy: {place.shown(copy)}" for copy in hit.copies]
    copies += [f"beside it: {place.shown(companion)}" for companion in hit.companions]
    return [" · ".join(facts), *copies, *([snippet] if snippet else [])]


def _explained(hit: Hit, indent: str, width: int) -> Iterator[Text]:
    """Why the hit is one: as many lines as it takes, with the words of the query in bold."""
    from mmsearch.output.explanations import explained_lines

    room = max(_LEAST_WIDTH, width - len(indent))
    for line in explained_lines(hit):
        text = Text(line.said, style="dim")
        for begins, ends in line.marks:
            text.stylize("bold not dim", begins, ends)
        for part in text.wrap(Console(width=room), room):
            yield Text(indent) + part


def _print(console: Console, lines: Sequence[Text], left: Sequence[str] | None = None) -> None:
    """Prints the lines, each after what stands to its left, as the terminal takes it."""
    for number in range(max(len(lines), len(left or ()))):
        if left is not None:
            console.file.write(left[number] if number < len(left) else left[-1])
        line = lines[number] if number < len(lines) else Text()
        console.print(line, no_wrap=True, overflow="crop", crop=True, highlight=False)
