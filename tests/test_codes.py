"""The code file: what it covers, how it grows, and that no state of it changes an answer."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_library import DIMENSION, MadeUpLibrary, drawn, unit

from mmsearch import Library, Query
from mmsearch.nearest import code_file
from mmsearch.nearest.chained import BLOCK
from mmsearch.nearest.code_file import check_codes, open_codes, refresh_codes
from mmsearch.nearest.codes import CodedQuery, best_places, sign_words
from mmsearch.nearest.derived import CODES, Missing, NotUsable, derived_path
from mmsearch.nearest.gallery import FEW_ROWS, Gallery, Wanted, candidates_among
from mmsearch.nearest.scan import Scan
from mmsearch.nearest.vectors import rows_of
from mmsearch.records import Modality
from mmsearch.searching.query import text_term


@pytest.fixture
def library(tmp_path: Path) -> MadeUpLibrary:
    return MadeUpLibrary(tmp_path / "library")


def path_of(library: MadeUpLibrary, modality: Modality = "image") -> str:
    return derived_path(library.folder, library.space(modality), CODES)


def covered(library: MadeUpLibrary, modality: Modality = "image") -> list[int]:
    """The items that the code file covers; their codes must be those of their vectors."""
    space = library.space(modality)
    with open_codes(library.folder, library.store, space) as codes:
        blocks = list(codes.blocks())
        found = [int(item_id) for block in blocks for item_id in block.item_ids]
        assert all(item_id <= codes.record.covers_to for item_id in found)
        for block in blocks:
            live = np.isin(block.item_ids, np.array(library.store.item_ids(library.model_id, modality)))
            rows = rows_of(library.store, space, block.item_ids[live])
            assert (codes.coder.words(rows.vectors) == block.words[:, live]).all()
    return found


def best(library: MadeUpLibrary, query: npt.NDArray[Any], scan: Scan, count: int = 10) -> list[int]:
    gallery = Gallery(library.folder, library.space(), scan)
    ranking, _ = gallery.ranking(library.store, query)
    assert gallery.troubles() == []
    live = set(library.store.item_ids(library.model_id, "image").tolist())
    return [int(one) for one in ranking(2 * count).item_ids if int(one) in live][:count]


# The arithmetic


@given(seed=st.integers(0, 1_000), dimension=st.sampled_from([3, 64, 100, 384]), rows=st.integers(0, 70))
def test_estimates_are_sums_over_the_bits_that_are_set(seed: int, dimension: int, rows: int) -> None:
    chance = np.random.default_rng(seed)
    vectors = chance.normal(size=(rows, dimension)).astype(np.float32)
    mean, query = chance.normal(size=(2, dimension)).astype(np.float32) * 0.1
    in_four_bits = np.rint(query * 7 / np.abs(query).max())
    expected = (vectors > mean).astype(np.int64) @ in_four_bits.astype(np.int64)
    assert CodedQuery.of(query).estimates(sign_words(vectors, mean)).tolist() == expected.tolist()


def test_a_query_of_zeros_can_be_coded() -> None:
    words = sign_words(drawn(5), np.zeros(DIMENSION, np.float32))
    assert CodedQuery.of(np.zeros(DIMENSION, np.float32)).estimates(words).tolist() == [0] * 5


@given(st.lists(st.integers(-50, 50), max_size=60), st.integers(1, 70))
def test_the_best_places_are_the_best(values: list[int], count: int) -> None:
    estimates = np.array(values, np.int16)
    expected = sorted(range(len(values)), key=lambda place: (-values[place], place))[:count]
    assert best_places(estimates, count).tolist() == sorted(expected)


# How the file grows


def test_the_file_grows_by_what_is_new_and_is_not_written_anew(library: MadeUpLibrary) -> None:
    first = library.add(drawn(3_000))
    refresh_codes(library.folder, library.store, library.space())
    before = Path(path_of(library)).read_bytes()
    number = os.stat(path_of(library)).st_ino
    second = library.add(drawn(100, seed=1))
    stored, trouble = refresh_codes(library.folder, library.store, library.space())
    after = Path(path_of(library)).read_bytes()
    assert (len(stored), trouble) == (3_100, None)
    assert after.startswith(before)
    assert os.stat(path_of(library)).st_ino == number
    assert len(after) - len(before) < 100 * 8 * (1 + DIMENSION // 64) + 300
    assert covered(library) == first + second


def test_an_unchanged_library_writes_nothing(library: MadeUpLibrary) -> None:
    library.add(drawn(50))
    library.add(drawn(50), "text")

    def refresh() -> list[int]:
        for modality in ("image", "text"):
            refresh_codes(library.folder, library.store, library.space(modality))
        return [os.stat(path_of(library, modality)).st_mtime_ns for modality in ("image", "text")]

    assert refresh() == refresh()


def test_an_empty_library_has_no_code_file(library: MadeUpLibrary) -> None:
    assert len(refresh_codes(library.folder, library.store, library.space())[0]) == 0
    with pytest.raises(Missing):
        check_codes(library.folder, library.store, library.space())


def test_many_small_additions_become_full_blocks(library: MadeUpLibrary) -> None:
    expected = library.add(drawn(200))
    for turn in range(40):
        refresh_codes(library.folder, library.store, library.space())
        expected += library.add(drawn(3, seed=turn))
        library.add(drawn(2, seed=turn), "text")
    refresh_codes(library.folder, library.store, library.space())
    with open_codes(library.folder, library.store, library.space()) as codes:
        assert len(list(codes.blocks())) <= code_file.MOST_SMALL_BLOCKS + 2
    assert covered(library) == expected


def test_a_library_of_photos_alone_grows_for_long(library: MadeUpLibrary) -> None:
    for turn in range(60):
        library.add(drawn(2, seed=turn))
        for modality in ("image", "text"):
            stored, trouble = refresh_codes(library.folder, library.store, library.space(modality))
            assert trouble is None
    assert len(stored) == 0
    assert covered(library, "text") == []


def test_all_photos_are_forgotten_and_notes_stay(library: MadeUpLibrary) -> None:
    photos = library.add(drawn(100))
    library.add(drawn(10), "text")
    photos += library.add(drawn(5, seed=1))
    for modality in ("image", "text"):
        refresh_codes(library.folder, library.store, library.space(modality))
    library.remove(photos)
    for modality in ("image", "text"):
        _, trouble = refresh_codes(library.folder, library.store, library.space(modality))
        assert trouble is None
    new = library.add(drawn(3, seed=2))
    refresh_codes(library.folder, library.store, library.space())
    assert set(new) <= set(covered(library))


def test_a_file_of_a_far_smaller_library_gets_a_new_mean(library: MadeUpLibrary) -> None:
    library.add(-drawn(30))
    refresh_codes(library.folder, library.store, library.space())
    library.add(drawn(1_000))
    refresh_codes(library.folder, library.store, library.space())
    with open_codes(library.folder, library.store, library.space()) as codes:
        assert codes.description.rows == 1_030
        assert np.dot(codes.coder.mean, drawn(1_000).mean(axis=0)) > 0


def test_a_file_with_many_dead_rows_is_made_anew(library: MadeUpLibrary) -> None:
    item_ids = library.add(drawn(2_000))
    refresh_codes(library.folder, library.store, library.space())
    library.remove(item_ids[:600])
    refresh_codes(library.folder, library.store, library.space())
    assert covered(library) == item_ids[600:]


def test_the_deleted_last_items_do_not_cost_the_file(library: MadeUpLibrary) -> None:
    item_ids = library.add(drawn(1_000))
    refresh_codes(library.folder, library.store, library.space())
    library.remove(item_ids[-5:])
    number = os.stat(path_of(library)).st_ino
    expected = best(library, drawn(1, seed=5)[0], "exact")
    assert best(library, drawn(1, seed=5)[0], "codes") == expected
    new = library.add(drawn(10, seed=7))
    refresh_codes(library.folder, library.store, library.space())
    assert covered(library) == item_ids + new
    assert os.stat(path_of(library)).st_ino == number


def test_photos_that_are_added_do_not_make_a_search_read_them_for_notes(library: MadeUpLibrary) -> None:
    library.add(drawn(20), "text")
    library.add(drawn(500))
    refresh_codes(library.folder, library.store, library.space("text"))
    with open_codes(library.folder, library.store, library.space("text")) as codes:
        assert codes.record.covers_to == library.store.latest_item()


# What cannot be trusted


def fork(library: MadeUpLibrary, tmp_path: Path) -> MadeUpLibrary:
    """The library as it is now, as a backup that is used again later."""
    shutil.copytree(library.folder, tmp_path / "fork")
    other = MadeUpLibrary.__new__(MadeUpLibrary)
    other.__dict__.update(library.__dict__)
    other.folder = str(tmp_path / "fork")
    other.store = type(library.store).write(other.folder)
    return other


@pytest.mark.parametrize(("here", "there"), [(50, 50), (50, 5), (5, 50), (0, 60), (60, 0)])
def test_a_file_of_another_line_of_the_library_changes_no_answer(
    library: MadeUpLibrary, tmp_path: Path, here: int, there: int
) -> None:
    library.add(drawn(200))
    other = fork(library, tmp_path)
    library.add(drawn(here, seed=1))
    library.add(drawn(10, seed=3), "text")
    other.add(drawn(there, seed=2))
    other.add(drawn(10, seed=4), "text")
    refresh_codes(library.folder, library.store, library.space())
    os.makedirs(os.path.dirname(path_of(other)), exist_ok=True)
    shutil.copy(path_of(library), path_of(other))
    query = drawn(1, seed=2)[0]
    expected = best(other, query, "exact")
    gallery = Gallery(other.folder, other.space())
    assert gallery.ranking(other.store, query)[0](10).item_ids.tolist() == expected
    refresh_codes(other.folder, other.store, other.space())
    assert covered(other) == other.store.item_ids(other.model_id, "image").tolist()


@pytest.mark.slow
@settings(max_examples=60)
@given(place=st.floats(0, 1), bit=st.integers(0, 7), cut=st.booleans())
def test_any_damage_is_noticed_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, place: float, bit: int, cut: bool
) -> None:
    library = MadeUpLibrary(tmp_path_factory.mktemp("damaged") / "library")
    library.add(drawn(60))
    refresh_codes(library.folder, library.store, library.space())
    query = drawn(1, seed=3)[0]
    expected = best(library, query, "exact")
    path = Path(path_of(library))
    content = bytearray(path.read_bytes())
    at = int(place * (len(content) - 1))
    content[at] ^= 1 << bit
    path.write_bytes(bytes(content[:at] if cut else content))
    found = Gallery(library.folder, library.space()).ranking(library.store, query)[0](10)
    assert found.item_ids.tolist() == expected
    refresh_codes(library.folder, library.store, library.space())
    assert covered(library) == library.store.item_ids(library.model_id, "image").tolist()


def restored(library: MadeUpLibrary, backup: MadeUpLibrary) -> None:
    """Puts the library's later files in the place of those of its backup, as a restore of the database alone does."""
    shutil.rmtree(os.path.join(backup.folder, "derived"), ignore_errors=True)
    shutil.copytree(os.path.join(library.folder, "derived"), os.path.join(backup.folder, "derived"))


def test_rows_that_were_removed_after_a_backup_are_found_once_it_is_back(
    library: MadeUpLibrary, tmp_path: Path
) -> None:
    item_ids = library.add(drawn(2_000))
    refresh_codes(library.folder, library.store, library.space())
    backup = fork(library, tmp_path)
    library.remove(item_ids[300:1_000])
    refresh_codes(library.folder, library.store, library.space())
    restored(library, backup)
    query = drawn(2_000)[500]
    gallery = Gallery(backup.folder, backup.space())
    assert gallery.ranking(backup.store, query)[0](10).item_ids[0] == item_ids[500]
    refresh_codes(backup.folder, backup.store, backup.space())
    assert covered(backup) == item_ids


def test_the_same_files_in_another_order_after_a_backup(library: MadeUpLibrary, tmp_path: Path) -> None:
    pytest.importorskip("hnswlib")
    from mmsearch.nearest.hnsw import refresh_graph

    library.add(drawn(100))
    for one in (library,):
        refresh_graph(one.folder, one.store, refresh_codes(one.folder, one.store, one.space())[0])
    backup = fork(library, tmp_path)
    later = drawn(100, seed=1)
    library.add(later)
    refresh_graph(library.folder, library.store, refresh_codes(library.folder, library.store, library.space())[0])
    restored(library, backup)
    backup.add(np.concatenate([later[:-1][::-1], later[-1:]]))  # the last one is the same
    for scan in ("codes", "graph"):
        gallery = Gallery(backup.folder, backup.space(), scan)
        found = gallery.ranking(backup.store, later[20])[0](5)
        expected = Gallery(backup.folder, backup.space(), "exact").ranking(backup.store, later[20])[0](5)
        assert found.item_ids.tolist() == expected.item_ids.tolist()
        assert np.allclose(found.cosines, expected.cosines, atol=1e-3)


def test_what_a_killed_run_has_begun_is_no_block(library: MadeUpLibrary) -> None:
    expected = library.add(drawn(100))
    refresh_codes(library.folder, library.store, library.space())
    with open(path_of(library), "ab") as file:
        file.write(b"rows" + bytes(BLOCK.size - 4) + b"half a payload")
    check_codes(library.folder, library.store, library.space())
    expected += library.add(drawn(3))
    refresh_codes(library.folder, library.store, library.space())
    assert covered(library) == expected


def test_files_that_are_none(library: MadeUpLibrary) -> None:
    library.add(drawn(10))
    os.makedirs(os.path.dirname(path_of(library)))
    for content in (b"", b"mmcodes1", os.urandom(5_000)):
        Path(path_of(library)).write_bytes(content)
        with pytest.raises(NotUsable):
            check_codes(library.folder, library.store, library.space())


# Answers


@pytest.mark.slow
def test_codes_find_what_an_exact_search_finds(library: MadeUpLibrary) -> None:
    library.add(drawn(8_000))
    refresh_codes(library.folder, library.store, library.space())
    library.add(drawn(50, seed=1))
    galleries = [Gallery(library.folder, library.space(), scan) for scan in ("exact", "codes")]
    shared = []
    for query in drawn(40, seed=8):
        exact, by_codes = (set(gallery.ranking(library.store, query)[0](10).item_ids.tolist()) for gallery in galleries)
        shared.append(len(exact & by_codes) / 10)
    assert np.mean(shared) >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [0, 1, 500, 3_000])
def test_only_what_is_wanted_is_found(library: MadeUpLibrary, wanted: int) -> None:
    pytest.importorskip("hnswlib")
    from mmsearch.nearest.hnsw import refresh_graph

    item_ids = np.array(library.add(drawn(6_000)), np.int64)
    stored, _ = refresh_codes(library.folder, library.store, library.space())
    refresh_graph(library.folder, library.store, stored)
    library.add(drawn(10, seed=1))
    among = np.sort(np.random.default_rng(1).permutation(item_ids)[:wanted])
    scans: tuple[Scan, ...] = ("exact", "codes", "graph", "auto")
    galleries = [Gallery(library.folder, library.space(), scan, 100) for scan in scans]
    shared = []
    for query in drawn(12, seed=4):
        found = []
        for gallery in galleries:
            ranking, rows = gallery.ranking(library.store, query, Wanted(among))
            assert rows == wanted
            found.append(ranking(10).item_ids.tolist())
            assert set(found[-1]) <= set(among.tolist())
        shared += [len(set(one) & set(found[0])) / max(1, len(found[0])) for one in found]
    assert np.mean(shared) >= (0.97 if wanted else 0)


def test_what_is_left_is_found_though_all_that_seemed_near_is_gone(home: Path, tmp_path: Path) -> None:
    words = ("cat", "ship", "tax", "bread")
    for number in range(40):
        (home / f"{number}.txt").write_text(f"Chapter {number} speaks of a {words[number % 4]} and of nothing else.")
    with Library(tmp_path / "library") as library:
        library.index([home])
        asked = Query((text_term("a chapter about a cat"),), limit=3, min_score=0)
        near = [hit.path for hit in library.search(Query(asked.terms, limit=35, min_score=0)).hits]
        connection = sqlite3.connect(tmp_path / "library" / "library.db")
        for path in near[:30]:
            connection.execute("DELETE FROM files WHERE path = ?", (os.fsencode(path),))
        connection.commit()
        connection.close()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mmsearch.nearest.gallery.FEW_ROWS", 4)
            patch.setattr("mmsearch.searching.ranked_files.FIRST_CANDIDATES", 1)
            for scan in ("codes", "graph"):
                hits = library.search(asked, scan=scan).hits
                assert [hit.path for hit in hits] == near[30:33]


def test_all_equal_rows_are_found_though_a_graph_gives_what_can_be_reached(
    library: MadeUpLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hnswlib")
    from mmsearch.nearest import hnsw

    def with_rows_that_nothing_leads_to(*of: Any) -> Any:
        index = built(*of)
        for item_id in item_ids[::100]:  # which ones they are is otherwise up to the threads that build
            index.mark_deleted(item_id)
        return index

    built = hnsw.built
    monkeypatch.setattr(hnsw, "built", with_rows_that_nothing_leads_to)
    item_ids = library.add(np.repeat(drawn(1), 2_000, axis=0))
    hnsw.refresh_graph(library.folder, library.store, refresh_codes(library.folder, library.store, library.space())[0])
    found, cosines = hnsw.read_graph(library.folder, library.store, library.space()).nearest(drawn(1)[0], 2_000)
    assert 0 < len(found) == len(cosines) <= 1_980
    for wanted in (None, Wanted(np.array(item_ids[:1_000], np.int64))):
        ranking, size = Gallery(library.folder, library.space(), "graph").ranking(library.store, drawn(1)[0], wanted)
        nearest = ranking(size)
        assert sorted(nearest.item_ids.tolist()) == item_ids[:size]
        assert nearest.complete and nearest.exact


def test_a_million_equal_pictures_are_not_all_compared(library: MadeUpLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    library.add(np.repeat(drawn(1), 3_000, axis=0))
    refresh_codes(library.folder, library.store, library.space())
    asked: list[int] = []
    vectors_of: Callable[..., object] = library.store.vectors_of

    def count(item_ids: npt.NDArray[Any]) -> object:
        asked.append(len(item_ids))
        return vectors_of(item_ids)

    monkeypatch.setattr(library.store, "vectors_of", count)
    gallery = Gallery(library.folder, library.space())
    assert len(gallery.ranking(library.store, drawn(1)[0])[0](10).item_ids) == 10
    assert asked == [candidates_among(3_000)] == [FEW_ROWS]


@pytest.mark.slow
def test_a_file_that_is_replaced_between_two_queries_changes_no_answer(library: MadeUpLibrary) -> None:
    item_ids = library.add(drawn(4_000))
    refresh_codes(library.folder, library.store, library.space())
    gallery = Gallery(library.folder, library.space())
    queries = unit(drawn(4, seed=1))
    gallery.ranking(library.store, queries[0])[0](10)
    library.remove(item_ids[:1_500])
    library.add(drawn(100, seed=2))
    os.remove(path_of(library))
    refresh_codes(library.folder, library.store, library.space())
    gallery = Gallery(library.folder, library.space(), before=gallery)
    for query in queries[1:]:
        assert (
            len(
                set(gallery.ranking(library.store, query)[0](10).item_ids.tolist()) & set(best(library, query, "exact"))
            )
            >= 9
        )


def test_the_graph_of_notes_knows_that_photos_do_not_concern_it(
    library: MadeUpLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hnswlib")
    from mmsearch.nearest import hnsw as graph

    monkeypatch.setattr(graph, "LARGEST_LAG", 100)
    library.add(drawn(20), "text")
    stored, _ = refresh_codes(library.folder, library.store, library.space("text"))
    graph.refresh_graph(library.folder, library.store, stored)
    library.add(drawn(300))
    graph.refresh_graph(library.folder, library.store, stored)
    found = graph.read_graph(library.folder, library.store, library.space("text"))
    assert found.covers_to == library.store.latest_item()
    assert len(found.nearest(drawn(1)[0], 5)[0]) == 5
