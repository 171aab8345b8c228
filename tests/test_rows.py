"""The row file: how it grows, that a damaged row is noticed, and that a file of another state is not believed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_library import DIMENSION, MadeUpLibrary, drawn

from mmsearch import Library
from mmsearch.nearest import row_file
from mmsearch.nearest.code_file import refresh_codes
from mmsearch.nearest.codes import Words
from mmsearch.nearest.derived import ROWS, Missing, NotUsable, derived_path
from mmsearch.nearest.gallery import Gallery
from mmsearch.nearest.row_file import check_rows, open_rows, refresh_rows
from mmsearch.nearest.vectors import as_float32, blocks_after
from mmsearch.store.checksums import row_checksums


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few rows have a file here."""
    monkeypatch.setattr(row_file, "ROWS_FROM", 10)


@pytest.fixture
def library(tmp_path: Path) -> MadeUpLibrary:
    return MadeUpLibrary(tmp_path / "library")


def path_of(library: MadeUpLibrary) -> Path:
    return Path(derived_path(library.folder, library.space(), ROWS))


def refresh(library: MadeUpLibrary) -> str | None:
    stored, _ = refresh_codes(library.folder, library.store, library.space())
    return refresh_rows(library.folder, library.store, library.space(), len(stored))


def assert_covers(library: MadeUpLibrary, expected: list[int]) -> None:
    """The file holds these items, and their vectors are those of the store."""
    check_rows(library.folder, library.store, library.space())
    file = open_rows(library.folder, library.store, library.space())
    assert file.item_ids.tolist() == expected
    for block in blocks_after(library.store, library.space(), 0):
        rows, damaged = file.read(block.item_ids)
        assert len(damaged) == 0
        assert (rows.item_ids == block.item_ids).all()
        assert (rows.vectors == block.vectors).all()


def best(library: MadeUpLibrary, query: npt.NDArray[Any], scan: str = "codes") -> tuple[list[int], list[str]]:
    """The nearest ten of the second of two searches, which keeps what it reads, and what was in the way."""
    gallery = Gallery(library.folder, library.space(), scan)  # type: ignore[arg-type]
    for _ in range(2):
        ranking, _ = gallery.ranking(library.store, query)
        found = ranking(10).item_ids.tolist()
    return found, gallery.troubles()


def damage(path: Path, place: int, value: int = 1) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= value
    path.write_bytes(content)


def test_the_file_grows_by_what_is_new_and_is_not_written_anew(library: MadeUpLibrary) -> None:
    expected = library.add(drawn(300))
    assert refresh(library) is None
    before, number = path_of(library).read_bytes(), os.stat(path_of(library)).st_ino
    for seed in (1, 2, 3):
        expected += library.add(drawn(7, seed=seed))
        assert refresh(library) is None
    assert path_of(library).read_bytes().startswith(before)
    assert os.stat(path_of(library)).st_ino == number
    assert_covers(library, expected)


def test_an_unchanged_library_writes_nothing(library: MadeUpLibrary) -> None:
    library.add(drawn(30))
    refresh(library)
    moment, state = os.stat(path_of(library)).st_mtime_ns, library.store.state()
    refresh(library)
    assert (os.stat(path_of(library)).st_mtime_ns, library.store.state()) == (moment, state)


def test_a_small_library_has_none(library: MadeUpLibrary) -> None:
    item_ids = library.add(drawn(12))
    refresh(library)
    assert path_of(library).exists()
    library.remove(item_ids[3:])
    refresh_rows(library.folder, library.store, library.space(), 3)
    assert not path_of(library).exists()
    with pytest.raises(Missing):
        check_rows(library.folder, library.store, library.space())


def test_what_is_dead_goes_once_there_is_much_of_it(library: MadeUpLibrary) -> None:
    item_ids = library.add(drawn(2_000))
    refresh(library)
    library.remove(item_ids[:600])
    refresh(library)
    assert_covers(library, item_ids[600:])


def test_very_many_pieces_become_one(library: MadeUpLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_file, "MOST_SMALL_BLOCKS", 5)
    expected = library.add(drawn(20))
    for seed in range(12):
        refresh(library)
        expected += library.add(drawn(2, seed=seed))
    refresh(library)
    assert len(open_rows(library.folder, library.store, library.space()).starts) <= 6
    assert_covers(library, expected)


def test_answers_come_from_the_file_and_are_those_of_the_store(
    library: MadeUpLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(drawn(900))
    refresh(library)
    later = library.add(drawn(3, seed=5))
    query = drawn(3, seed=5)[0]
    expected = best(library, query, "exact")
    asked: list[int] = []
    vectors_of = library.store.vectors_of

    def count(item_ids: npt.NDArray[Any]) -> object:
        asked.append(len(item_ids))
        return vectors_of(item_ids)

    monkeypatch.setattr(library.store, "vectors_of", count)
    assert best(library, query) == expected
    assert expected[0][0] == later[0]
    assert len(asked) == 1, "only the first search, of a fresh process, asks the store"


def test_what_a_killed_run_has_begun_is_nothing(library: MadeUpLibrary) -> None:
    expected = library.add(drawn(100))
    refresh(library)
    with open(path_of(library), "ab") as file:
        file.write(b"rows" + bytes(2_000))
    assert_covers(library, expected)
    expected += library.add(drawn(3, seed=1))
    assert refresh(library) is None
    assert_covers(library, expected)


@pytest.mark.slow
@settings(max_examples=60)
@given(place=st.floats(0, 1), bit=st.integers(0, 7), cut=st.booleans())
def test_any_damage_is_noticed_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, place: float, bit: int, cut: bool
) -> None:
    library = MadeUpLibrary(tmp_path_factory.mktemp("damaged") / "library")
    expected = library.add(drawn(60))
    refresh(library)
    query = drawn(1, seed=3)[0]
    right, _ = best(library, query, "exact")
    path = path_of(library)
    at = int(place * (path.stat().st_size - 1))
    if cut:
        os.truncate(path, at)
    else:
        damage(path, at, 1 << bit)
    assert best(library, query)[0] == right
    refresh(library)
    assert_covers(library, expected)
    assert best(library, query) == (right, [])


def test_a_row_that_is_wrong_is_read_from_the_store_and_told(library: MadeUpLibrary) -> None:
    library.add(drawn(60))
    refresh(library)
    right, _ = best(library, drawn(60)[59], "exact")
    damage(path_of(library), path_of(library).stat().st_size - 2 * DIMENSION)
    assert best(library, drawn(60)[59]) == (right, ["damaged: a row's checksum is wrong"])
    with pytest.raises(NotUsable):
        check_rows(library.folder, library.store, library.space())
    assert refresh(library) == "damaged: a row's checksum is wrong"
    assert best(library, drawn(60)[59]) == (right, [])


def test_a_file_that_is_cut_while_it_is_mapped_is_noticed(library: MadeUpLibrary) -> None:
    library.add(drawn(4_000))
    refresh(library)
    gallery = Gallery(library.folder, library.space())
    query = drawn(1, seed=3)[0]
    rankings = [gallery.ranking(library.store, query)[0](10).item_ids.tolist() for _ in range(2)]
    os.truncate(path_of(library), 5_000)
    assert gallery.ranking(library.store, query)[0](10).item_ids.tolist() == rankings[1]
    assert gallery.troubles() == ["cut short or not a derived file"]


def test_a_file_of_another_line_of_the_library_is_not_believed(library: MadeUpLibrary, tmp_path: Path) -> None:
    library.add(drawn(200))
    refresh(library)
    shutil.copytree(library.folder, tmp_path / "fork")
    other = MadeUpLibrary.__new__(MadeUpLibrary)
    other.__dict__.update(library.__dict__)
    other.folder = str(tmp_path / "fork")
    other.store = type(library.store).write(other.folder)
    # The same ids for other vectors, and as many of them.
    library.add(drawn(50, seed=1))
    other.add(drawn(50, seed=2))
    refresh(library)
    refresh(other)
    shutil.copy(path_of(library), path_of(other))
    with pytest.raises(NotUsable):
        open_rows(other.folder, other.store, other.space())
    query = drawn(50, seed=2)[7]
    assert best(other, query)[0] == best(other, query, "exact")[0]
    refresh(other)
    assert_covers(other, other.store.item_ids(other.model_id, "image").tolist())


@given(seed=st.integers(0, 1_000), word=st.integers(0, 15), change=st.integers(1, 2**64 - 1))
def test_a_change_within_one_word_changes_the_checksum(seed: int, word: int, change: int) -> None:
    chance = np.random.default_rng(seed)
    words: Words = chance.integers(0, 2**64, (3, 16), np.uint64)
    item_ids = np.array([1, 2, 3], np.int64)
    before = row_checksums(item_ids, words)
    words[1, word] ^= np.uint64(change)
    assert (row_checksums(item_ids, words) != before).tolist() == [False, True, False]
    assert (row_checksums(item_ids + 1, words) != row_checksums(item_ids, words)).all()


def test_every_finite_half_becomes_the_same_float() -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    assert (as_float32(halves) == halves.astype(np.float32)).all()


def test_doctor_finds_a_damaged_row_and_the_next_run_makes_the_file_anew(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_file, "ROWS_FROM", 1)
    with Library(tmp_path / "library") as library:
        library.index([home])
        path = next((tmp_path / "library" / "derived").glob("*-image.rows"))
        damage(path, path.stat().st_size - 5)
        assert [finding.problem for finding in library.care.examine().findings] == [
            "the rows of images: damaged: a row's checksum is wrong"
        ]
        assert library.index([home]).rebuilt == ["damaged: a row's checksum is wrong"]
        assert library.care.examine().findings == ()
