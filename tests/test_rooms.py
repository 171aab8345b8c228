"""The folder tree is the flow of data: no room knows a later one, or a sibling on its own line, not even lazily."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "mmsearch"
# From the first to the last: each knows only those on the lines above it.
FLOW = (
    *(("errors", "records"), ("files",), ("reading", "encoding", "language"), ("models",), ("store",), ("nearest",)),
    *(
        ("indexing",),
        ("searching",),
        ("evaluation", "care", "showing"),
        ("adapters",),
        ("library",),
        ("output",),
        ("server", "client"),
        ("cli",),
    ),
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


def test_what_has_telemetry_comes_in_through_one_place() -> None:
    """Where it is turned off first; tests that import one of these themselves do so after a module of ours."""
    from mmsearch.files.silencing import TALKATIVE

    elsewhere = []
    for path in (
        file for folder in ("mmsearch", "recipe", "benchmarks") for file in (PACKAGE.parent / folder).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                named = [node.module or ""]
            elsewhere += [f"{path.name}: {name}" for name in named if name.split(".")[0] in TALKATIVE]
    assert elsewhere == []


# The store, and a cache that is a file of its own.
OF_SQLITE = ("store/sqlite/", "searching/cache.py")
MOST_LINES, MOST_LINES_OF_A_FUNCTION, MOST_PARAMETERS = 450, 60, 7


def sources(folder: Path = PACKAGE) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*.py")):
        yield path.relative_to(folder).as_posix(), path.read_text()


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Those of the package, and of the recipe of its model."""
    for name, source in (*sources(), *sources(PACKAGE.parent / "recipe")):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield name, node


def test_sqlite_is_known_to_the_store_alone() -> None:
    knowing = [
        name
        for name, source in sources()
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Import) and any(one.name == "sqlite3" for one in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "sqlite3")
    ]
    assert [name for name in knowing if not name.startswith(OF_SQLITE)] == []


def test_no_room_but_the_store_reaches_for_its_connection() -> None:
    reaching = [
        name
        for name, source in sources()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr == "connection"
    ]
    assert [name for name in reaching if not name.startswith(("store/sqlite/", "store/postgres/"))] == []


def test_no_module_is_long() -> None:
    long = {name: source.count("\n") for name, source in sources() if source.count("\n") > MOST_LINES}
    assert long == {}


def test_no_function_is_long() -> None:
    lines = {f"{name} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1 for name, node in functions()}
    assert {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_FUNCTION} == {}


def test_no_function_has_many_parameters() -> None:
    """Those of a command are its options."""
    many = {}
    for name, node in functions():
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        own = [one for one in arguments if one.arg not in ("self", "cls")]
        if len(own) > MOST_PARAMETERS and not name.startswith("cli/"):
            many[f"{name} {node.name}"] = len(own)
    assert many == {}
