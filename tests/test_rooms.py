"""The folder tree is the flow of data: no room knows a later one, or a sibling on its own line, not even lazily."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "mmsearch"
# From the first to the last: each knows only those on the lines above it.
FLOW = (
    *(("errors", "records"), ("files",), ("reading", "encoding"), ("models",), ("store",), ("nearest",), ("indexing",)),
    *(("searching",), ("evaluation", "care"), ("adapters",), ("library",), ("output",), ("cli",)),
)
STOREY = {room: storey for storey, rooms in enumerate(FLOW) for room in rooms}


def imports() -> Iterator[tuple[Path, str, str]]:
    """(file, its room, the room that it imports from) of every import in the package, wherever it stands."""
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path} imports relatively"
                named = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in named:
                if name.startswith("mmsearch."):
                    yield path, room, name.split(".")[1]


def test_every_module_lies_in_a_room_of_the_flow() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")}
    assert rooms - {"__init__", "__main__"} == set(STOREY)


def test_no_import_runs_up_the_flow() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path, room, other in imports()
        if room in STOREY and other in STOREY and room != other and STOREY[other] >= STOREY[room]
    ]
    assert wrong == []
