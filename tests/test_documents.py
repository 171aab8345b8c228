"""Documents are read page by page, and what lies in them is found where it lies."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mmsearch import Library, reading
from mmsearch.reading import NotAMedium, OpenFile, ReadLimits, UnreadableFile, open_file, read
from mmsearch.reading.opening import DEEPEST
from mmsearch.records import Part


def parts_of(path: Path, side: int = 64) -> list[Part]:
    with open_file(os.fsencode(path), None) as file:
        assert file.reader.medium == "document"
        return list(read(file, side).parts)


def refused(path: Path, limits: ReadLimits | None = None) -> str:
    """Why it is not read."""
    with pytest.raises(UnreadableFile) as told, open_file(os.fsencode(path), limits) as file:
        list(read(file, 64).parts)
    return told.value.reason


def notebook(path: Path, cells: list[dict[str, object]]) -> Path:
    path.write_text(json.dumps({"nbformat": 4, "cells": cells}), encoding="utf-8")
    return path


CELLS: list[dict[str, object]] = [
    {"cell_type": "markdown", "source": ["# Rainfall\n", "in the valley of the river"]},
    {"cell_type": "code", "source": "", "outputs": [{"data": {"image/png": "iVBORw0KGgo" * 90}}]},
    {"cell_type": "code", "source": "plot(rain)  # millimetres a month", "outputs": [{"text": ["printed"]}]},
]


def test_the_cells_of_a_notebook_are_found_by_their_words(tmp_path: Path, library: Library) -> None:
    path = notebook(tmp_path / "rain.ipynb", CELLS)
    assert [(part.locator.page, part.payload) for part in parts_of(path)] == [
        (1, "# Rainfall\nin the valley of the river"),
        (3, "plot(rain)  # millimetres a month"),
    ]
    library.index([tmp_path])
    hit = library.search("how much it rains in the valley").hits[0]
    assert (hit.type, hit.page, Path(hit.path).name) == ("document", 1, "rain.ipynb")


@pytest.mark.parametrize("content", ["{}", "[1]", '{"cells": 3}', '{"cells": [', '{"worksheets": [3]}', "[" * 9_000])
def test_what_is_no_notebook_is_said(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(content)
    assert refused(path) == "damaged notebook"


def test_a_notebook_without_a_word_or_too_large_is_said(tmp_path: Path) -> None:
    assert refused(notebook(tmp_path / "a.ipynb", [{"source": " "}, {"source": [3]}, {}])) == "no text inside"
    large = notebook(tmp_path / "b.ipynb", CELLS)
    assert "over the limit" in refused(large, ReadLimits(max_member_bytes=100))


def test_the_same_bytes_are_another_content_under_the_name_of_a_text(tmp_path: Path, library: Library) -> None:
    path = notebook(tmp_path / "rain.ipynb", CELLS)
    (tmp_path / "rain.json").write_bytes(path.read_bytes())
    library.index([tmp_path])
    assert library.status().counts.files == {"document": 1, "text": 1}


@pytest.fixture
def outer(tmp_path: Path) -> OpenFile:
    with open_file(os.fsencode(notebook(tmp_path / "a.ipynb", CELLS)), ReadLimits(max_member_bytes=100_000)) as file:
        return file


def test_what_lies_in_a_file_is_read_as_what_it_is(outer: OpenFile) -> None:
    note = outer.member("notes/todo.txt", b"buy a ladder")
    assert [part.payload for part in read(note, 64).parts] == ["buy a ladder"]
    inner = note.member("cells.ipynb", json.dumps({"cells": CELLS}).encode())
    assert inner.depth == 2 and inner.reader.medium == "document"


def test_a_member_is_bounded_in_size_and_depth(outer: OpenFile) -> None:
    file = outer
    for _ in range(DEEPEST):
        file = file.member("a.txt", b"words")
    with pytest.raises(UnreadableFile, match="lies in more than 3 files"):
        file.member("a.txt", b"words")
    with pytest.raises(UnreadableFile, match="over the limit of 100,000"):
        outer.member("a.txt", b"words " * 20_000)
    with pytest.raises(UnreadableFile, match="empty file"):
        outer.member("a.txt", b"")
    with pytest.raises(NotAMedium):
        outer.member("a.exe", b"MZ\0\1\2\3")


def test_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from mmsearch.output.unread import unread_said
    from mmsearch.reading import document

    missing = replace(document.READER, extensions=frozenset(), wanting=lambda: {".toy": "toys", ".toy2": "toys"})
    monkeypatch.setattr(reading, "READERS", [*reading.READERS, missing])
    said = unread_said({".toy": 2, ".toy2": 1, ".exe": 4, "": 1}, (), lambda message, remedy: message)
    assert said == "4 .exe, 2 .toy, 1 .toy2, 1 of other kinds; the extra toys reads .toy, .toy2"
