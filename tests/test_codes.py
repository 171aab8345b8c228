"""The code file: what it covers, how it grows, and that no state of it changes an answer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_library import DIMENSION, MadeUpLibrary, drawn, unit

from mmsearch import code_file
from mmsearch.code_file import check_codes, open_codes, refresh_codes
from mmsearch.codes import CodedQuery, best_places, sign_words
from mmsearch.derived import Missing, NotUsable, derived_path, trusted_to
from mmsearch.gallery import FEWEST_CANDIDATES, Gallery, Scan
from mmsearch.items import MODALITIES, Modality
from mmsearch.vectors import rows_of


@pytest.fixture
def library(tmp_path: Path) -> MadeUpLibrary:
    return MadeUpLibrary(tmp_path / "library")


def path_of(library: MadeUpLibrary, modality: Modality = "image") -> str:
    return derived_path(library.folder, library.space(modality), code_file.KIND)


def covered(library: MadeUpLibrary, modality: Modality = "image") -> list[int]:
    """The items that the code file covers; their codes must be those of their vectors."""
    space = library.space(modality)
    with open_codes(library.folder, library.catalogue, space) as codes:
        blocks = list(codes.blocks())
        last = trusted_to(library.catalogue, codes.probes)
        found = [int(item_id) for block in blocks for item_id in block.item_ids if item_id <= last]
        for block in blocks:
            live = np.isin(block.item_ids, np.array(library.catalogue.item_ids(library.model_id, modality)))
            rows = rows_of(library.catalogue, space, block.item_ids[live])
            assert (sign_words(rows.vectors.astype(np.float32), codes.mean) == block.words[:, live]).all()
    return found


def best(library: MadeUpLibrary, query: np.ndarray, scan: Scan, count: int = 10) -> list[int]:
    gallery = Gallery(library.folder, library.catalogue, library.space(), scan)
    ranking, _ = gallery.ranking(query)
    assert gallery.troubles == []
    live = set(library.catalogue.item_ids(library.model_id, "image").tolist())
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
    refresh_codes(library.folder, library.catalogue, library.space())
    before = Path(path_of(library)).read_bytes()
    number = os.stat(path_of(library)).st_ino
    second = library.add(drawn(100, seed=1))
    stored, trouble = refresh_codes(library.folder, library.catalogue, library.space())
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
        for modality in MODALITIES:
            refresh_codes(library.folder, library.catalogue, library.space(modality))
        return [os.stat(path_of(library, modality)).st_mtime_ns for modality in MODALITIES]

    assert refresh() == refresh()


def test_an_empty_library_has_no_code_file(library: MadeUpLibrary) -> None:
    assert len(refresh_codes(library.folder, library.catalogue, library.space())[0]) == 0
    with pytest.raises(Missing):
        check_codes(library.folder, library.catalogue, library.space())


def test_many_small_additions_become_full_blocks(library: MadeUpLibrary) -> None:
    expected = library.add(drawn(200))
    for turn in range(40):
        refresh_codes(library.folder, library.catalogue, library.space())
        expected += library.add(drawn(3, seed=turn))
        library.add(drawn(2, seed=turn), "text")
    refresh_codes(library.folder, library.catalogue, library.space())
    with open_codes(library.folder, library.catalogue, library.space()) as codes:
        assert len(list(codes.blocks())) <= code_file.MOST_SMALL_BLOCKS + 2
    assert covered(library) == expected


def test_a_file_of_a_far_smaller_library_gets_a_new_mean(library: MadeUpLibrary) -> None:
    library.add(-drawn(30))
    refresh_codes(library.folder, library.catalogue, library.space())
    library.add(drawn(1_000))
    refresh_codes(library.folder, library.catalogue, library.space())
    with open_codes(library.folder, library.catalogue, library.space()) as codes:
        assert codes.description.rows == 1_030
        assert np.dot(codes.mean, drawn(1_000).mean(axis=0)) > 0


def test_a_file_with_many_dead_rows_is_made_anew(library: MadeUpLibrary) -> None:
    item_ids = library.add(drawn(2_000))
    refresh_codes(library.folder, library.catalogue, library.space())
    library.remove(item_ids[:600])
    refresh_codes(library.folder, library.catalogue, library.space())
    assert covered(library) == item_ids[600:]


def test_the_deleted_last_items_do_not_cost_the_file(library: MadeUpLibrary) -> None:
    item_ids = library.add(drawn(1_000))
    refresh_codes(library.folder, library.catalogue, library.space())
    library.remove(item_ids[-5:])
    with open_codes(library.folder, library.catalogue, library.space()) as codes:
        list(codes.blocks())
        assert trusted_to(library.catalogue, codes.probes) == item_ids[-8]
    expected = best(library, drawn(1, seed=5)[0], "exact")
    assert best(library, drawn(1, seed=5)[0], "codes") == expected
    new = library.add(drawn(10, seed=7))
    refresh_codes(library.folder, library.catalogue, library.space())
    assert covered(library) == item_ids[:-5] + new


def test_photos_that_are_added_do_not_make_a_search_read_them_for_notes(library: MadeUpLibrary) -> None:
    library.add(drawn(20), "text")
    library.add(drawn(500))
    refresh_codes(library.folder, library.catalogue, library.space("text"))
    with open_codes(library.folder, library.catalogue, library.space("text")) as codes:
        list(codes.blocks())
        assert trusted_to(library.catalogue, codes.probes) == library.catalogue.latest_item()


# What cannot be trusted


def fork(library: MadeUpLibrary, tmp_path: Path) -> MadeUpLibrary:
    """The library as it is now, as a backup that is used again later."""
    shutil.copytree(library.folder, tmp_path / "fork")
    other = MadeUpLibrary.__new__(MadeUpLibrary)
    other.__dict__.update(library.__dict__)
    other.folder = str(tmp_path / "fork")
    other.catalogue = type(library.catalogue).write(other.folder)
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
    refresh_codes(library.folder, library.catalogue, library.space())
    os.makedirs(os.path.dirname(path_of(other)), exist_ok=True)
    shutil.copy(path_of(library), path_of(other))
    query = drawn(1, seed=2)[0]
    expected = best(other, query, "exact")
    gallery = Gallery(other.folder, other.catalogue, other.space())
    assert gallery.ranking(query)[0](10).item_ids.tolist() == expected
    refresh_codes(other.folder, other.catalogue, other.space())
    assert covered(other) == other.catalogue.item_ids(other.model_id, "image").tolist()


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0, 1), bit=st.integers(0, 7), cut=st.booleans())
def test_any_damage_is_noticed_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, place: float, bit: int, cut: bool
) -> None:
    library = MadeUpLibrary(tmp_path_factory.mktemp("damaged") / "library")
    library.add(drawn(60))
    refresh_codes(library.folder, library.catalogue, library.space())
    query = drawn(1, seed=3)[0]
    expected = best(library, query, "exact")
    path = Path(path_of(library))
    content = bytearray(path.read_bytes())
    at = int(place * (len(content) - 1))
    content[at] ^= 1 << bit
    path.write_bytes(bytes(content[:at] if cut else content))
    found = Gallery(library.folder, library.catalogue, library.space()).ranking(query)[0](10)
    assert found.item_ids.tolist() == expected
    refresh_codes(library.folder, library.catalogue, library.space())
    assert covered(library) == library.catalogue.item_ids(library.model_id, "image").tolist()


def test_what_a_killed_run_has_begun_is_no_block(library: MadeUpLibrary) -> None:
    expected = library.add(drawn(100))
    refresh_codes(library.folder, library.catalogue, library.space())
    with open(path_of(library), "ab") as file:
        file.write(bytes(code_file._BLOCK.size) + b"payload without a head")
    check_codes(library.folder, library.catalogue, library.space())
    expected += library.add(drawn(3))
    refresh_codes(library.folder, library.catalogue, library.space())
    assert covered(library) == expected


def test_files_that_are_none(library: MadeUpLibrary) -> None:
    library.add(drawn(10))
    os.makedirs(os.path.dirname(path_of(library)))
    for content in (b"", b"mmcodes1", os.urandom(5_000)):
        Path(path_of(library)).write_bytes(content)
        with pytest.raises(NotUsable):
            check_codes(library.folder, library.catalogue, library.space())


# Answers


def test_codes_find_what_an_exact_search_finds(library: MadeUpLibrary) -> None:
    library.add(drawn(8 * FEWEST_CANDIDATES))
    refresh_codes(library.folder, library.catalogue, library.space())
    library.add(drawn(50, seed=1))
    galleries = [Gallery(library.folder, library.catalogue, library.space(), scan) for scan in ("exact", "codes")]
    shared = []
    for query in drawn(40, seed=8):
        exact, by_codes = (set(gallery.ranking(query)[0](10).item_ids.tolist()) for gallery in galleries)
        shared.append(len(exact & by_codes) / 10)
    assert np.mean(shared) >= 0.99


@pytest.mark.parametrize("wanted", [0, 1, 500, 3_000])
def test_only_what_is_wanted_is_found(library: MadeUpLibrary, wanted: int) -> None:
    pytest.importorskip("hnswlib")
    from mmsearch.graph import refresh_graph

    item_ids = np.array(library.add(drawn(6_000)), np.int64)
    stored, _ = refresh_codes(library.folder, library.catalogue, library.space())
    refresh_graph(library.folder, library.catalogue, stored)
    library.add(drawn(10, seed=1))
    among = np.sort(np.random.default_rng(1).permutation(item_ids)[:wanted])
    scans: tuple[Scan, ...] = ("exact", "codes", "graph", "auto")
    galleries = [Gallery(library.folder, library.catalogue, library.space(), scan, 100) for scan in scans]
    shared = []
    for query in drawn(12, seed=4):
        found = []
        for gallery in galleries:
            ranking, rows = gallery.ranking(query, among)
            assert rows == wanted
            found.append(ranking(10).item_ids.tolist())
            assert set(found[-1]) <= set(among.tolist())
        shared += [len(set(one) & set(found[0])) / max(1, len(found[0])) for one in found]
    assert np.mean(shared) >= (0.97 if wanted else 0)


def test_a_million_equal_pictures_are_not_all_compared(library: MadeUpLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    library.add(np.repeat(drawn(1), 3 * FEWEST_CANDIDATES, axis=0))
    refresh_codes(library.folder, library.catalogue, library.space())
    asked: list[int] = []
    vectors_of: Callable[..., object] = library.catalogue.vectors_of

    def count(item_ids: np.ndarray) -> object:
        asked.append(len(item_ids))
        return vectors_of(item_ids)

    monkeypatch.setattr(library.catalogue, "vectors_of", count)
    gallery = Gallery(library.folder, library.catalogue, library.space())
    assert len(gallery.ranking(drawn(1)[0])[0](10).item_ids) == 10
    assert asked == [FEWEST_CANDIDATES]


def test_a_file_that_is_replaced_between_two_queries_changes_no_answer(library: MadeUpLibrary) -> None:
    item_ids = library.add(drawn(4 * FEWEST_CANDIDATES))
    refresh_codes(library.folder, library.catalogue, library.space())
    gallery = Gallery(library.folder, library.catalogue, library.space())
    queries = unit(drawn(4, seed=1))
    gallery.ranking(queries[0])[0](10)
    library.remove(item_ids[:1_500])
    library.add(drawn(100, seed=2))
    os.remove(path_of(library))
    refresh_codes(library.folder, library.catalogue, library.space())
    for query in queries[1:]:
        assert len(set(gallery.ranking(query)[0](10).item_ids.tolist()) & set(best(library, query, "exact"))) >= 9


def test_the_graph_of_notes_knows_that_photos_do_not_concern_it(
    library: MadeUpLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hnswlib")
    from mmsearch import graph

    monkeypatch.setattr(graph, "LARGEST_LAG", 100)
    library.add(drawn(20), "text")
    stored, _ = refresh_codes(library.folder, library.catalogue, library.space("text"))
    graph.refresh_graph(library.folder, library.catalogue, stored)
    library.add(drawn(300))
    graph.refresh_graph(library.folder, library.catalogue, stored)
    found = graph.read_graph(library.folder, library.catalogue, library.space("text"))
    assert found.trusted_to == library.catalogue.latest_item()
    assert len(found.nearest(drawn(1)[0], 5)[0]) == 5
