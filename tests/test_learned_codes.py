"""Learned codes as a choice of the library: chosen, searched with, changed back; nothing of it changes an answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import Mmsearch
from made_up_library import DIMENSION, MadeUpLibrary, drawn

from mmsearch import Library, Query
from mmsearch.files.crash_points import VARIABLE
from mmsearch.nearest import gallery as gallery_module
from mmsearch.nearest.code_file import check_codes, open_codes, refresh_codes
from mmsearch.nearest.codes import Coder
from mmsearch.nearest.derived import CODES, NotUsable, derived_path
from mmsearch.nearest.gallery import Gallery
from mmsearch.searching.query import text_term
from mmsearch.store.settings import want_code_bits


@pytest.fixture
def library(tmp_path: Path) -> MadeUpLibrary:
    return MadeUpLibrary(tmp_path / "library")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """So few items are compared that the codes decide which."""
    monkeypatch.setattr(gallery_module, "FEW_ROWS", 4)
    monkeypatch.setattr(gallery_module, "candidates_among", lambda rows: 8)
    yield


def path_of(library: MadeUpLibrary) -> Path:
    return Path(derived_path(library.folder, library.space(), CODES))


def chosen(library: MadeUpLibrary, bits: int) -> str | None:
    """Chooses codes and brings the file up to date."""
    want_code_bits(library.store, bits)
    return refresh_codes(library.folder, library.store, library.space())[1]


def bits_of(library: MadeUpLibrary) -> int:
    with open_codes(library.folder, library.store, library.space()) as codes:
        return codes.description.bits


def found(library: MadeUpLibrary, before: Gallery | None = None, count: int = 20) -> tuple[list[list[int]], Gallery]:
    gallery = Gallery(library.folder, library.space(), before=before)
    near = [
        gallery.ranking(library.store, query)[0](10).item_ids.tolist()
        for query in drawn(count, seed=8)
    ]  # fmt: skip
    assert gallery.troubles() == []
    return near, gallery


def code_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "derived").glob("*.codes"))}


def hits(folder: Path) -> list[str]:
    with Library(folder) as library:
        return [hit.path for hit in library.search(Query((text_term("a dog"),), limit=5, min_score=0)).hits]


def test_codes_are_chosen_once_and_for_all_and_changed_back(
    indexed: Path, command: Mmsearch, tmp_path: Path, few: None
) -> None:
    folder = tmp_path / "library"
    shutil.copytree(indexed, folder)
    signs, expected = code_files(folder), hits(folder)
    assert command("index", "--codes", "128").code == 0
    learned = code_files(folder)
    assert learned.keys() == signs.keys()
    assert all(learned[name] != signs[name] for name in signs)
    assert hits(folder) == expected
    assert command("index").code == 0
    assert code_files(folder) == learned
    assert command("doctor").code == 0
    assert command("index", "--codes", "sign").code == 0
    assert code_files(folder) == signs


def test_a_word_that_names_no_codes(command: Mmsearch) -> None:
    done = command("index", "--codes", "100")
    assert (done.code, done.out) == (2, "")
    assert "sign, 128 or 256" in done.err
    assert command("index", "--codes", "128", "--dry-run").code == 2


@pytest.mark.slow
def test_a_run_that_is_killed_while_the_file_is_made_leaves_the_one_before(indexed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    shutil.copytree(indexed, folder)
    signs, expected = code_files(folder), hits(folder)
    ask = [sys.executable, "-m", "mmsearch", "index", "--codes", "128", "--library", str(folder)]
    killed = subprocess.run(ask, env={**os.environ, VARIABLE: "codes begun"}, capture_output=True, timeout=300)
    assert killed.returncode not in (0, 1, 2)
    assert code_files(folder) == signs
    assert hits(folder) == expected
    with Library(folder) as library:
        library.index()  # the choice was kept
    assert code_files(folder) != signs
    assert hits(folder) == expected


@pytest.mark.slow
def test_learned_codes_find_what_an_exact_search_finds(library: MadeUpLibrary) -> None:
    library.add(drawn(6_000))
    assert chosen(library, 64) is None
    library.add(drawn(50, seed=1))
    near, _ = found(library)
    exact = Gallery(library.folder, library.space(), "exact")
    shared = [
        len(set(one) & set(exact.ranking(library.store, query)[0](10).item_ids.tolist())) / 10
        for one, query in zip(near, drawn(20, seed=8), strict=True)
    ]
    assert np.mean(shared) >= 0.99


def test_a_session_goes_on_while_codes_are_changed(library: MadeUpLibrary) -> None:
    library.add(drawn(3_000))
    chosen(library, 0)
    expected, before = found(library)
    for bits in (64, 0):
        chosen(library, bits)
        near, before = found(library, before)
        assert near == expected


@pytest.mark.slow
def test_the_file_grows_by_what_is_new_and_learns_anew_when_the_library_is_far_larger(library: MadeUpLibrary) -> None:
    library.add(drawn(600))
    chosen(library, 64)
    with open_codes(library.folder, library.store, library.space()) as codes:
        first = codes.coder
    before = path_of(library).read_bytes()
    library.add(drawn(100, seed=1))
    refresh_codes(library.folder, library.store, library.space())
    assert path_of(library).read_bytes().startswith(before)
    library.add(drawn(5_000, seed=2))
    refresh_codes(library.folder, library.store, library.space())
    with open_codes(library.folder, library.store, library.space()) as codes:
        assert codes.description.rows == 5_700
        assert codes.coder.axes is not None and first.axes is not None
        assert not np.allclose(codes.coder.axes, first.axes)
    assert bits_of(library) == 64


@pytest.mark.parametrize("place", [0.001, 0.02, 0.3, 0.6, 0.999])
def test_a_damaged_file_changes_no_answer_and_is_made_anew(library: MadeUpLibrary, place: float) -> None:
    library.add(drawn(300))
    chosen(library, 64)
    expected, _ = found(library)
    content = bytearray(path_of(library).read_bytes())
    sound = bytes(content)
    content[int(place * (len(content) - 1))] ^= 4
    path_of(library).write_bytes(content)
    gallery = Gallery(library.folder, library.space())
    query = drawn(20, seed=8)[0]
    assert gallery.ranking(library.store, query)[0](10).item_ids.tolist() == expected[0]
    with pytest.raises(NotUsable):
        check_codes(library.folder, library.store, library.space())
    refresh_codes(library.folder, library.store, library.space())
    assert path_of(library).read_bytes() == sound


def test_axes_are_orthonormal_however_few_vectors_there_are() -> None:
    for count in (0, 1, 20, 500):
        coder = Coder.of(drawn(500)[:count], 32)
        assert coder.axes is not None and coder.axes.shape == (DIMENSION, 32)
        assert np.allclose(coder.axes.T @ coder.axes, np.eye(32), atol=1e-4)
    assert Coder.of(drawn(500), 256).bits == DIMENSION
