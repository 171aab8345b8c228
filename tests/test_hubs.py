"""Hub correction: photos that are near to every text no longer stand before the right ones, however is searched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_library import DIMENSION, MadeUpLibrary, drawn, unit
from test_crashes import run

from mmsearch import Library, MmsearchError, Query, Term
from mmsearch.encoding.adapted import Adapter, LowRankMap
from mmsearch.encoding.builtin import BuiltinEncoder
from mmsearch.encoding.query_bank import QueryBank, bank_texts, packed, unpacked
from mmsearch.evaluation.comparison import Comparison, compare
from mmsearch.evaluation.datasets import Example
from mmsearch.evaluation.embedding import EmbeddedDataset
from mmsearch.evaluation.retrieval import directions, measure
from mmsearch.nearest.code_file import refresh_codes
from mmsearch.nearest.derived import CODES, derived_path
from mmsearch.nearest.gallery import Gallery, Nearest, Wanted
from mmsearch.nearest.hnsw import refresh_graph
from mmsearch.nearest.scan import Scan
from mmsearch.nearest.spaces import Space
from mmsearch.records import FloatMatrix, Modality

OLDER = Path(__file__).parent / "data" / "libraries" / "schema-7.db"
FIXTURE_QUERY = "a red circle"


@pytest.fixture
def library(tmp_path: Path) -> MadeUpLibrary:
    return MadeUpLibrary(tmp_path / "library")


def refresh(library: MadeUpLibrary, graph: bool = False) -> None:
    stored, _ = refresh_codes(library.folder, library.store, library.space())
    refresh_graph(library.folder, library.store, stored, graph)


def nearest(
    library: MadeUpLibrary, query: FloatMatrix, scan: Scan = "codes", by_text: float = 1.0, count: int = 10
) -> list[Nearest]:
    """What a search of a fresh process finds, and what the next one of a session does."""
    gallery = Gallery(library.folder, library.space(), scan, graph_from_rows=1)
    return [gallery.ranking(library.store, query, by_text=by_text)[0](count) for _ in range(2)]


# What it is


def test_the_number_of_a_picture_is_what_the_inverted_softmax_says() -> None:
    bank, pictures = QueryBank(drawn(50, 1), 8.0, 0.1), drawn(300, 2)
    plain = np.log(np.exp(8.0 * pictures.astype(np.float64) @ bank.vectors.T).mean(axis=1)) / 8.0
    assert bank.numbers(pictures).astype(np.float64) == pytest.approx(0.1 - plain, abs=1e-3)
    sharp = QueryBank(bank.vectors, 1e4, 0.0)
    assert sharp.numbers(pictures).astype(float) == pytest.approx(-(pictures @ bank.vectors.T).max(axis=1), abs=2e-3)


def test_a_bank_in_eight_bits_is_nearly_the_bank() -> None:
    vectors = drawn(40, 3)
    assert (unpacked(packed(vectors), DIMENSION) * vectors).sum(axis=1).min() > 0.999
    for broken in (b"", packed(vectors)[:-1]):
        with pytest.raises(ValueError):
            unpacked(broken, DIMENSION)


def test_the_bank_that_ships_is_that_of_the_texts_that_ship() -> None:
    texts, encoder = bank_texts(), BuiltinEncoder()
    assert len(set(texts)) == len(texts) == 1_500
    bank = encoder.query_bank
    assert bank is not None
    # Behind those of the texts are vectors of human captions, whose words do not ship.
    assert len(bank.vectors) > len(texts)
    some = range(0, len(texts), 100)
    assert (encoder.encode("text", [texts[one] for one in some]) * bank.vectors[some]).sum(axis=1).min() > 0.99


# What a person sees of it


def hub_and_right(library: MadeUpLibrary, bank: FloatMatrix) -> tuple[int, int, FloatMatrix]:
    """Ids of a photo that is near to all texts of the bank, and of the right one for a text, and that text."""
    direction = unit(bank.mean(axis=0, keepdims=True))[0]
    chance = np.random.default_rng(5)
    about = chance.normal(size=DIMENSION).astype(np.float32)
    about -= (about @ direction) * direction
    about /= np.linalg.norm(about)
    query = 0.75 * direction + np.sqrt(1 - 0.75**2).astype(np.float32) * about
    away = chance.normal(size=DIMENSION).astype(np.float32)
    away = unit((away - (away @ direction) * direction)[np.newaxis])[0]
    hub, right = library.add(unit(np.stack([direction, 0.95 * about + 0.1 * direction + 0.1 * away])))
    return hub, right, query


@pytest.mark.parametrize("scan", ["codes", "exact", "graph"])
def test_a_hub_no_longer_stands_before_the_right_photo(library: MadeUpLibrary, scan: Scan) -> None:
    texts = drawn(200, 7)
    library.add(drawn(30, 8))
    hub, right, query = hub_and_right(library, texts)
    refresh(library, graph=True)
    assert nearest(library, query, scan)[0].item_ids.tolist().index(hub) == 0
    library.give_query_bank(texts)
    for when in ("before the files are made anew", "afterwards"):
        for found in nearest(library, query, scan, count=40):
            ids = found.item_ids.tolist()
            assert ids.index(right) < ids.index(hub), when
            assert found.cosines[ids.index(hub)] > found.cosines[ids.index(right)]
        refresh(library, graph=True)


def test_similarity_is_the_cosine_and_the_order_is_the_corrected_one(indexed: Path) -> None:
    with Library(indexed) as library:
        hits = library.search(Query((Term("text", "food"),), min_score=0, limit=50)).hits
        encoder = BuiltinEncoder()
        text, bank = encoder.encode("text", ["food"])[0], encoder.query_bank
        assert bank is not None
        from mmsearch.evaluation.models import stored_vectors
        from mmsearch.store.models import searched_model
        from mmsearch.store.sqlite.store import SqliteStore

        store = SqliteStore.read(str(indexed))
        model = searched_model(store)
        assert model is not None
        photos = [hit for hit in hits if hit.type == "image"]
        rows = [stored_vectors(store, model.id)(hit.path) for hit in photos]
        vectors = np.stack([row for row in rows if row is not None])
        store.close()
    cosines = vectors @ text
    corrected = cosines + bank.numbers(vectors).astype(np.float32)
    assert [hit.similarity for hit in photos] == pytest.approx(cosines.tolist(), abs=1e-5)
    assert (np.diff(corrected) <= 1e-4).all()
    assert (np.diff(cosines) > 0).any()  # not the order of the cosines


# However is searched


@pytest.mark.slow
@settings(max_examples=8)
@given(seed=st.integers(0, 1_000), by_text=st.sampled_from([1.0, 0.6, -0.5]))
def test_codes_and_graph_find_what_comparing_all_finds(
    tmp_path_factory: pytest.TempPathFactory, seed: int, by_text: float
) -> None:
    library = MadeUpLibrary(tmp_path_factory.mktemp("hubs") / "library")
    library.give_query_bank(drawn(64, seed + 1))
    rows, query = drawn(900, seed), drawn(1, seed + 2)[0]
    library.add(rows[:800])
    refresh(library, graph=True)
    library.add(rows[800:])  # newer than all files
    exact = nearest(library, query, "exact", by_text)[0]
    numbers = library.space().hub_numbers(library.store, rows.astype(np.float16)).astype(np.float32)
    plain = rows.astype(np.float16).astype(np.float32) @ query + np.float32(by_text) * numbers
    assert exact.corrected == pytest.approx(np.sort(plain)[::-1][:10], abs=2e-3)
    for scan in ("codes", "graph"):
        for found in nearest(library, query, scan, by_text):
            assert len(set(found.item_ids.tolist()) & set(exact.item_ids.tolist())) >= 9
            shared = np.isin(found.item_ids, exact.item_ids)
            at = [exact.item_ids.tolist().index(one) for one in found.item_ids[shared].tolist()]
            assert found.corrected[shared] == pytest.approx(exact.corrected[at], abs=1e-4)
            assert found.cosines[shared] == pytest.approx(exact.cosines[at], abs=1e-4)


def test_codes_know_hubs_among_very_many_rows(library: MadeUpLibrary) -> None:
    """More rows than are compared exactly: the numbers decide which are."""
    library.give_query_bank(drawn(64, 1))
    library.add(drawn(6_000, 2))
    refresh(library)
    for seed in range(5):
        query = drawn(1, 100 + seed)[0]
        exact, by_codes = (set(nearest(library, query, scan)[0].item_ids.tolist()) for scan in ("exact", "codes"))
        assert len(exact & by_codes) >= 9


def test_a_filter_chooses_among_corrected_photos(library: MadeUpLibrary) -> None:
    library.give_query_bank(drawn(64, 1))
    ids = library.add(drawn(2_000, 2))
    refresh(library)
    query = drawn(1, 3)[0]
    for among in (np.array(ids[:100]), np.array(ids[:1_500])):
        found = []
        for scan in ("exact", "codes"):
            gallery = Gallery(library.folder, library.space(), scan)
            for _ in range(2):
                ranking, rows = gallery.ranking(library.store, query, Wanted(among), by_text=1.0)
                assert rows == len(among)
                found.append(ranking(5).item_ids.tolist())
        assert found.count(found[0]) == 4


@pytest.mark.parametrize("scan", ["codes", "exact"])
def test_a_query_by_picture_is_what_it_was_to_the_last_bit(library: MadeUpLibrary, scan: Scan) -> None:
    library.add(drawn(3_000, 2))
    refresh(library)
    queries = drawn(5, 4)
    before = [nearest(library, query, scan, by_text=0.0) for query in queries]
    library.give_query_bank(drawn(64, 1))
    refresh(library)
    for query, both in zip(queries, before, strict=True):
        for first, second in zip(both, nearest(library, query, scan, by_text=0.0), strict=True):
            assert first.item_ids.tolist() == second.item_ids.tolist()
            assert first.cosines.tobytes() == second.cosines.tobytes() == second.corrected.tobytes()


def test_notes_have_no_numbers(library: MadeUpLibrary) -> None:
    library.give_query_bank(drawn(64, 1))
    library.add(drawn(20, 2), "text", ".txt")
    assert library.space("text").query_bank == ""
    gallery = Gallery(library.folder, library.space("text"))
    found = gallery.ranking(library.store, drawn(1, 3)[0], by_text=1.0)[0](10)
    assert found.cosines.tobytes() == found.corrected.tobytes()


def test_through_an_adapter_pictures_and_bank_are_moved(library: MadeUpLibrary) -> None:
    texts, rows = drawn(64, 1), drawn(50, 2)
    library.give_query_bank(texts)
    library.add(rows)
    chance = np.random.default_rng(0)
    shapes = (DIMENSION, 4), (4, DIMENSION)

    def drawn_map() -> LowRankMap:
        down, up = (np.asarray(chance.normal(size=shape) / 8, np.float32) for shape in shapes)
        return LowRankMap(down, up)

    maps: dict[Modality, LowRankMap] = {"image": drawn_map(), "text": drawn_map()}
    adapter = Adapter("made-up", 1, library.identity.fingerprint, maps, {})
    plain = library.space()
    space = Space(library.model_id, adapter.identity(library.identity), "image", adapter, plain.query_bank)
    query = drawn(1, 3)[0]
    found = Gallery(library.folder, space).ranking(library.store, query, by_text=1.0)[0](50)
    stored = unpacked(packed(texts), DIMENSION)
    bank = QueryBank(adapter.moved("text", stored), 8.0, 0.1)
    moved = adapter.moved("image", rows.astype(np.float16)).astype(np.float16)
    expected = moved.astype(np.float32) @ query + bank.numbers(moved).astype(np.float32)
    assert found.corrected == pytest.approx(np.sort(expected)[::-1], abs=1e-3)
    assert found.corrected != pytest.approx(found.cosines, abs=1e-3)


# A library of before


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "old"
    folder.mkdir()
    shutil.copyfile(OLDER, folder / "library.db")
    return folder


def similarities(folder: Path) -> list[tuple[str, float]]:
    with Library(folder) as library:
        hits = library.search(Query((Term("text", FIXTURE_QUERY),), min_score=0, limit=20)).hits
        return [(os.path.basename(hit.path), round(hit.score, 4)) for hit in hits]


def bank_name(folder: Path) -> str | None:
    with Library(folder) as library:
        store = library._access.reading()
        return store.query_bank_name(store.model_rows()[0][0])


@pytest.mark.slow
def test_an_index_run_corrects_hubs_in_a_library_of_before_and_encodes_nothing(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = similarities(old)
    assert bank_name(old) is None
    monkeypatch.setattr(BuiltinEncoder, "_encode_images", None)
    with Library(old) as library:
        report = library.index()
    assert (report.encoded, report.added, report.rebuilt) == (0, 0, [])
    assert bank_name(old)
    after = similarities(old)
    assert dict(after) != dict(before)
    with Library(old) as library:
        state = library._access.reading().state()
        library.index()
        assert library._access.reading().state() == state  # an unchanged tree costs nothing
        assert library.care.examine().sound


@pytest.mark.slow
@pytest.mark.parametrize("point", ["query bank kept", "codes begun", "derived file written", "calibration kept"])
def test_a_run_that_is_killed_there_leaves_right_answers_and_the_next_one_goes_on(
    old: Path, point: str, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(old, whole)
    for folder in (old, whole):
        run(folder, "status")  # brought up to date
    run(whole, "index")
    expected = similarities(whole)
    assert run(old, "index", crash=point).returncode != 0
    assert [name for name, _ in similarities(old)] == [name for name, _ in expected]
    assert run(old, "index").returncode == 0
    assert similarities(old) == expected


# Damage


def test_a_damaged_number_is_noticed(library: MadeUpLibrary) -> None:
    library.give_query_bank(drawn(64, 1))
    library.add(drawn(300, 2))
    refresh(library)
    query = drawn(1, 3)[0]
    expected = nearest(library, query)[0].item_ids.tolist()
    path = Path(derived_path(library.folder, library.space(), CODES))
    content = bytearray(path.read_bytes())
    content[-1] ^= 64  # the last number of the last block
    path.write_bytes(content)
    gallery = Gallery(library.folder, library.space())
    assert gallery.ranking(library.store, query, by_text=1.0)[0](10).item_ids.tolist() == expected
    assert gallery.troubles()


@pytest.mark.slow
def test_a_damaged_bank_is_found_and_made_anew(old: Path) -> None:
    with Library(old) as library:
        library.index()
    expected = similarities(old)
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(old / "library.db")) as connection, connection:
        connection.execute("UPDATE query_banks SET centre = centre + 0.25")
    shutil.rmtree(old / "derived")
    from mmsearch.nearest import spaces

    spaces._query_banks._entries.clear()
    with Library(old) as library:
        with pytest.raises(MmsearchError, match="damaged"):
            library.search(FIXTURE_QUERY)
        assert not library.care.examine().sound
        library.care.repair()
        assert library.care.examine().sound
        library.index()
    assert similarities(old) == expected


def test_a_bank_goes_with_its_model(library: MadeUpLibrary) -> None:
    library.give_query_bank(drawn(64, 1))
    assert library.store.query_bank(library.model_id).sharpness == 8.0
    with library.store.transaction():
        library.store.delete_model(library.model_id)
    assert library.store.query_bank_name(library.model_id) is None


# What is measured


def test_an_evaluation_asks_photos_by_text_as_searches_do(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    texts = drawn(400, 1)
    images = unit(texts[:100] + 0.9 * chance.normal(size=(100, DIMENSION)).astype(np.float32) / DIMENSION**0.5)
    images[:20] = unit(0.3 * images[:20] + texts.mean(axis=0))  # hubs
    data = EmbeddedDataset(
        name="made up",
        model="none",
        examples=tuple(Example(f"/{number}.jpg") for number in range(100)),
        images=images,
        captions=tuple(f"caption {number}" for number in range(100)),
        owners=np.arange(100),
        texts=texts[:100],
        classes=(),
        labels=np.full(100, -1),
        class_texts=np.empty((0, DIMENSION), np.float32),
    )
    corrected = EmbeddedDataset(**{**vars(data), "query_bank": QueryBank(texts[100:], 8.0, 0.1)})
    plain, better = ({one.name: one for one in directions(one)} for one in (data, corrected))
    recalls = [measure(one["text→image"]).metrics["R@1"].value for one in (plain, better)]
    cosines = data.texts @ images.T
    numbers = QueryBank(texts[100:], 8.0, 0.1).numbers(images).astype(np.float32)
    for recall, asked in zip(recalls, (cosines, cosines + numbers), strict=True):
        assert recall == pytest.approx((asked.argmax(axis=1) == np.arange(100)).mean())
    assert recalls[0] != recalls[1]
    assert measure(plain["image→text"]) == measure(better["image→text"])
    for comparison in Comparison:
        for setting in compare(better["text→image"], comparison):
            assert setting.recall_at_10 > (0.3 if setting.name.endswith("alone") else 0.9), setting
