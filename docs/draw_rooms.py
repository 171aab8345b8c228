"""Draws docs/rooms.svg, the rooms of the package and what each knows of the others, from the imports.

Run it as `python docs/draw_rooms.py`; with `--check` nothing is written, and the exit code says whether the
figure is up to date.
"""

from __future__ import annotations

import runpy
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
FIGURE = HERE / "rooms.svg"
RULE = HERE.parent / "tests" / "test_rooms.py"

HOLDS = {
    "errors": "kinds of errors, each with a code",
    "records": "the frozen types that flow between rooms",
    "files": "replace in place, hash, lock, times, crash points",
    "reading": "a file → its parts; a module for each medium",
    "encoding": "parts and queries → vectors; a module for each family",
    "language": "a query in another language → English",
    "models": "models on this disk: names, pull, pack, optimise",
    "store": "what is where: files, contents, items, vectors",
    "nearest": "the nearest vectors: codes, graph, filters",
    "indexing": "walk, compare, read, encode, commit",
    "searching": "query → channels → calibrated scores → hits",
    "evaluation": "how well it finds: data sets and measures",
    "care": "what is wrong with a library, and putting it right",
    "showing": "pictures of files by their ids, and their cache",
    "adapters": "small learned maps over a model's vectors",
    "library": "the door: Library, and its doors within",
    "output": "tables, lines and JSON",
    "server": "for programs that stay and ask: MCP, REST",
    "client": "a library that is served elsewhere",
    "cli": "the command line: parse, call Library, print",
}
# What nearly all rooms know is drawn on the left, so that it does not hide the way of the data on the right.
GROUND = ("errors", "records", "files")

WIDTH, TOP, BOTTOM = 1000, 92, 58
BOX_LEFT, BOX_RIGHT, BOX_HEIGHT = 196, 706, 40
GAP_IN_STOREY, GAP = 5, 20

STYLE = """
    .page { fill: #fbfaf7 } .room { fill: #ffffff } .storey { fill: #efece4 }
    .name { font: 600 15px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #23211d }
    .holds { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #57534a }
    .title { font: 600 19px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #23211d }
    .knows { fill: none; stroke-linecap: round }
    @media (prefers-color-scheme: dark) {
      .page { fill: #17181b } .room { fill: #222429 } .storey { fill: #2b2e34 }
      .name, .title { fill: #ecebe7 } .holds { fill: #a9a69d }
    }
"""


@dataclass(frozen=True)
class Box:
    """Where a room is drawn, in pixels."""

    top: float
    colour: str

    @property
    def middle(self) -> float:
        return self.top + BOX_HEIGHT / 2


@dataclass(frozen=True)
class Arrow:
    """From a room to one that it knows: `modules` of it import from there."""

    importer: str
    known: str
    modules: int

    @property
    def is_ground(self) -> bool:
        return self.known in GROUND


def arrows(rule: Mapping[str, object]) -> list[Arrow]:
    """All that the rooms know of each other, as the test of the import rule sees it."""
    storey, imports = rule["STOREY"], rule["imports"]
    assert isinstance(storey, dict) and callable(imports)
    modules: defaultdict[tuple[str, str], set[Path]] = defaultdict(set)
    for path, room, other in imports():
        if room != other and room in storey and other in storey:
            modules[room, other].add(path)
    return [Arrow(*pair, len(paths)) for pair, paths in sorted(modules.items())]


def boxes(flow: tuple[tuple[str, ...], ...]) -> dict[str, Box]:
    """The rooms from the first to the last, one under the other; those of a storey lie close together."""
    found: dict[str, Box] = {}
    top = float(TOP)
    for number, rooms in enumerate(flow):
        hue = 172 + round(168 * number / (len(flow) - 1))
        for room in rooms:
            colour = "#8d887c" if room in GROUND else f"hsl({hue}, 52%, 52%)"
            found[room] = Box(top, colour)
            top += BOX_HEIGHT + GAP_IN_STOREY
        top += GAP - GAP_IN_STOREY
    return found


def figure() -> str:
    """The whole figure, as SVG."""
    rule = runpy.run_path(str(RULE))
    flow: tuple[tuple[str, ...], ...] = rule["FLOW"]
    placed, known = boxes(flow), arrows(rule)
    height = max(box.top for box in placed.values()) + BOX_HEIGHT + BOTTOM
    foot = height - 22
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" role="img">',
        "  <title>The rooms of mmsearch, and what each knows of the others</title>",
        f"  <style>{STYLE}  </style>",
        f'  <rect class="page" width="{WIDTH}" height="{height:g}" rx="14"/>',
        f'  <text class="title" x="{BOX_LEFT}" y="42">The rooms, and what each knows</text>',
        f'  <text class="holds" x="{BOX_LEFT}" y="66">An arrow runs from a room to one that it imports: always '
        "upwards, never to a sibling in its storey.</text>",
        *(line for rooms in flow if len(rooms) > 1 for line in _storey(placed, rooms)),
        *(line for arrow in _back_to_front(known, placed) for line in _arrow(arrow, known, placed)),
        *(line for room, box in placed.items() for line in _room(room, box)),
        f'  <text class="holds" x="{BOX_LEFT}" y="{foot:g}">Left, in grey: the ground that all stand on. '
        "The more modules of a room import from another, the wider the line.</text>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _storey(placed: Mapping[str, Box], rooms: tuple[str, ...]) -> Iterator[str]:
    top, end = placed[rooms[0]].top - 6, placed[rooms[-1]].top + BOX_HEIGHT + 6
    yield (
        f'  <rect class="storey" x="{BOX_LEFT - 6}" y="{top:g}" width="{BOX_RIGHT - BOX_LEFT + 12}" '
        f'height="{end - top:g}" rx="9"/>'
    )


def _room(room: str, box: Box) -> Iterator[str]:
    place = f'x="{BOX_LEFT}" y="{box.top:g}" width="{BOX_RIGHT - BOX_LEFT}" height="{BOX_HEIGHT}" rx="6"'
    yield f'  <rect class="room" {place} stroke="{box.colour}" stroke-width="1.4"/>'
    yield f'  <rect x="{BOX_LEFT}" y="{box.top:g}" width="7" height="{BOX_HEIGHT}" rx="3" fill="{box.colour}"/>'
    yield f'  <text class="name" x="{BOX_LEFT + 20}" y="{box.middle + 5:g}">{room}</text>'
    yield f'  <text class="holds" x="{BOX_LEFT + 132}" y="{box.middle + 4.5:g}">{escape(HOLDS[room])}</text>'


def _back_to_front(known: list[Arrow], placed: Mapping[str, Box]) -> list[Arrow]:
    return sorted(known, key=lambda arrow: placed[arrow.known].top - placed[arrow.importer].top)


def _arrow(arrow: Arrow, known: list[Arrow], placed: Mapping[str, Box]) -> Iterator[str]:
    """A bow beside the boxes; of those that meet in a box, the shorter lie within the longer ones."""
    beside = [one for one in known if one.is_ground == arrow.is_ground]
    leaving = [one for one in beside if one.importer == arrow.importer]
    leaving.sort(key=lambda one: -placed[one.known].top)
    arriving = [one for one in beside if one.known == arrow.known]
    arriving.sort(key=lambda one: -placed[one.importer].top)
    start = placed[arrow.importer].top + _port(leaving.index(arrow), len(leaving))
    end = placed[arrow.known].top + BOX_HEIGHT / 2 + _port(arriving.index(arrow), len(arriving))
    side, edge, bend = (-1, BOX_LEFT, 0.2) if arrow.is_ground else (1, BOX_RIGHT, 0.44)
    tip = edge + side * 1.5
    reach = edge + side * (24 + bend * (start - end))
    width = 0.9 + 0.42 * arrow.modules
    colour = placed[arrow.known if arrow.is_ground else arrow.importer].colour
    size = 5 + width / 2
    plural = "s" if arrow.modules > 1 else ""
    yield f'  <g stroke="{colour}" opacity="{0.45 if arrow.is_ground else 0.8:g}">'
    yield f"    <title>{arrow.importer} → {arrow.known}: {arrow.modules} module{plural}</title>"
    yield (
        f'    <path class="knows" stroke-width="{width:.2f}" d="M {edge} {start:.1f} '
        f'C {reach:.1f} {start:.1f} {reach:.1f} {end:.1f} {tip + side * size:.1f} {end:.1f}"/>'
    )
    yield (
        f'    <path fill="{colour}" stroke="none" d="M {tip:.1f} {end:.1f} l {side * size:.1f} {-size / 2:.1f} '
        f'v {size:.1f} z"/>'
    )
    yield "  </g>"


def _port(place: int, count: int) -> float:
    """How far down in the half of a box's edge the arrow is that is at `place` among `count`."""
    half = BOX_HEIGHT / 2
    step = min(4.5, (half - 5) / max(1, count))
    return half / 2 + (place - (count - 1) / 2) * step


if __name__ == "__main__":
    drawn = figure()
    if sys.argv[1:] == ["--check"]:
        sys.exit(FIGURE.read_text(encoding="utf-8") != drawn)
    FIGURE.write_text(drawn, encoding="utf-8")
