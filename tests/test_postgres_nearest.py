"""The nearest items of a PostgreSQL library: which plan is taken, what it finds, and that nothing of it stays set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest
from postgres_server import PostgresServer

from mmsearch.nearest.spaces import Space
from mmsearch.nearest.store_gallery import StoreGallery
from mmsearch.nearest.vectors import SpaceQuery
from mmsearch.records import Content, EncodedItem, FileState, Filters, FloatMatrix, ModelIdentity
from mmsearch.store.models import add_model
from mmsearch.store.postgres.enough import Enough, looked_at_in

if TYPE_CHECKING:
    from mmsearch.store.postgres.nearest import SpaceTable
    from mmsearch.store.postgres.store import PostgresStore

DIMENSION, ITEMS = 16, 1_200
# Each lies in the one before: how many of the items.
FOLDERS = {b"/all": ITEMS, b"/all/half": ITEMS // 2, b"/all/half/few": ITEMS // 100}


def unit_rows(count: int, seed: int) -> FloatMatrix:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def library(postgres: PostgresServer) -> Iterator[PostgresStore]:
    with filled_store(postgres) as store:
        yield store


@contextmanager
def filled_store(postgres: PostgresServer) -> Iterator[PostgresStore]:
    """A store with items in folders, and a graph of them."""
    from mmsearch.store.postgres import graphs, nearest
    from mmsearch.store.postgres.store import PostgresStore

    rows = unit_rows(ITEMS, 1)
    rows[7] = rows[3]
    with closing(PostgresStore.write(postgres.new_database())) as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, "LEAST_ITEMS", ITEMS)
        patch.setattr(nearest, "_FEW_BY_ROOT", 3.0)
        with store.transaction():
            model_id = add_model(store, ModelIdentity("made-up", "1", DIMENSION, "f" * 32))
            root = store.put_root(b"/all", "{}")
        assert store.build_nearest() == 0
        begins = 0
        for folder, ends in reversed(FOLDERS.items()):
            assert store.build_nearest() == 0
            with store.transaction():
                content_id = store.put_content(Content(ends.to_bytes(16, "big"), "document", 10))
                store.add_items(content_id, model_id, [EncodedItem("image", row) for row in rows[begins:ends]])
                store.put_file(FileState(root.id, folder + b"/1.pdf", 10, 1), content_id)
            begins = ends
        assert store.build_nearest() == 1
        assert store.build_nearest() == 0
        yield store


def times_asked(store: PostgresStore) -> int:
    """How often the graph was."""
    store.connection.execute("SELECT pg_stat_force_next_flush()")
    row = store.connection.execute(
        "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'vectors_1_image_graph'"
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(("folder", "by_graph"), [(b"/all", True), (b"/all/half", True), (b"/all/half/few", False)])
def test_the_graph_is_asked_unless_few_pass(library: PostgresStore, folder: bytes, by_graph: bool) -> None:
    filters = Filters() if folder == b"/all" else Filters(folders=(folder,))
    stored = unit_rows(ITEMS, 1)
    stored[7] = stored[3]
    stored = stored[: FOLDERS[folder]].astype(np.float16).astype(np.float32)
    found, before = 0, times_asked(library)
    for query in unit_rows(20, 2):
        item_ids, cosines, among, is_exact = library.nearest(1, "image", query, 10, filters)
        assert is_exact is not by_graph and abs(among - len(stored)) <= by_graph * len(stored) / 4
        expected = stored @ query
        assert np.allclose(cosines, expected[item_ids - 1], atol=1e-6)
        assert list(cosines) == sorted(cosines, reverse=True)
        found += len(np.intersect1d(item_ids, np.argsort(-expected, kind="stable")[:10] + 1))
    assert found >= 190
    assert times_asked(library) - before == (20 if by_graph else 0)


def test_of_equals_the_older_comes_first_and_all_are_found_that_are_asked_for(library: PostgresStore) -> None:
    item_ids, cosines, *_ = library.nearest(1, "image", unit_rows(ITEMS, 1)[3], 2, Filters())
    assert item_ids.tolist() == [4, 8] and cosines[0] == cosines[1]
    half = Filters(folders=(b"/all/half",))
    for count in (ITEMS // 2, ITEMS):
        item_ids, *_ = library.nearest(1, "image", unit_rows(1, 5)[0], count, half)
        assert sorted(item_ids.tolist()) == list(range(1, ITEMS // 2 + 1))
    assert library.matching_items(half, 1, "image").tolist() == list(range(1, ITEMS // 2 + 1))
    assert library.nearest(1, "text", unit_rows(1, 5)[0], 5, Filters())[0].tolist() == []


@pytest.mark.parametrize("folder", [b"/all", b"/all/half"])
def test_a_search_comes_to_all_though_the_server_takes_them_for_half_as_many(
    postgres: PostgresServer, folder: bytes
) -> None:
    gallery = StoreGallery(Space(1, ModelIdentity("made-up", "1", DIMENSION, "f" * 32), "image"))
    query, filters = SpaceQuery(unit_rows(1, 5)[0]), None if folder == b"/all" else Filters(folders=(folder,))
    with filled_store(postgres) as store:
        store.connection.execute(
            "UPDATE pg_class SET reltuples = %s WHERE oid = 'vectors_1_image'::regclass", (ITEMS // 2,)
        )
        ranking, about = gallery.ranking_among(store, query, filters, patient=False)
        assert about < 0.7 * FOLDERS[folder]
        for count in (50, 200, 400, 800, 3_200):
            found = ranking(count)
            assert len(found.item_ids) == min(count, FOLDERS[folder])
            assert found.complete is found.exact is (count >= FOLDERS[folder])


def space_of(store: PostgresStore) -> SpaceTable:
    space = store._space(1, "image")
    assert space is not None and space.has_graph
    return space


def test_how_much_of_a_graph_is_looked_at_is_measured_for_what_people_ask(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmsearch.encoding.query_bank import QueryBank
    from mmsearch.store.postgres import graphs

    monkeypatch.setattr(graphs, "_EF_CONSTRUCTION", 32)
    stored, queries = unit_rows(ITEMS, 1), unit_rows(200, 6)
    stored[7] = stored[3]
    best = np.argsort(-(queries @ stored.T), kind="stable")[:, :10] + 1
    with filled_store(postgres) as store:

        def share_found() -> float:
            near = [store.nearest(1, "image", query, 10, Filters()).item_ids for query in queries]
            return sum(len(np.intersect1d(*both)) for both in zip(near, best, strict=True)) / best.size

        assert space_of(store).looked_at == 400  # as there are no texts to ask with
        with store.transaction():
            store.put_query_bank(1, QueryBank(queries[:100], sharpness=8.0, centre=0.0))
        monkeypatch.setattr(graphs, "_ASKED", 10)
        monkeypatch.setattr(graphs, "_TRIED", (10, 15, 20, 40, 80))
        enough = []
        for wanted in (0.0, 0.995):  # with 10 it is some .975, and a graph is another one each time
            monkeypatch.setattr(graphs, "_WANTED", wanted)
            forget_measured(store)
            assert store.build_nearest() == 0
            enough.append(space_of(store).looked_at)
            assert share_found() >= wanted - 0.01
        assert enough[0] == 10 < enough[1]


def test_it_is_measured_again_once_the_graph_has_grown_or_is_another(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmsearch.encoding.query_bank import QueryBank
    from mmsearch.store.postgres import graphs

    with filled_store(postgres) as store:
        with store.transaction():
            store.put_query_bank(1, QueryBank(unit_rows(50, 6), sharpness=8.0, centre=0.0))
        assert store.build_nearest() == 0
        first = Enough(150, ITEMS)
        assert space_of(store).enough == first
        for grown, measured in ((1.1, first), (1.3, Enough(150, round(1.3 * ITEMS)))):
            with store.transaction():
                content_id = store.put_content(Content(repr(grown).encode(), "document", 10))
                missing = unit_rows(round(grown * ITEMS) - store.item_count(), 8)
                store.add_items(content_id, 1, [EncodedItem("image", row) for row in missing])
                store.put_file(FileState(store.roots()[0].id, b"/all/%f.pdf" % grown, 10, 1), content_id)
            store.connection.execute("ANALYZE vectors_1_image")
            assert store.build_nearest() == 0
            assert space_of(store).enough == measured
        assert space_of(store).looked_at == 150
        with store.transaction():
            store.remove_files(store.files_below(b"/all/half"))
            store.remove_orphans()
        monkeypatch.setattr(graphs, "_TRIED", (200,))
        assert store.build_nearest() == 1
        assert space_of(store).enough == Enough(200, round(1.3 * ITEMS) - ITEMS // 2)


def test_what_is_to_be_found_is_what_a_search_finds_with_hubs_corrected(library: PostgresStore) -> None:
    from mmsearch.encoding.query_bank import QueryBank

    stored, query = unit_rows(ITEMS, 1).astype(np.float16), unit_rows(1, 5)[0]
    bank = QueryBank(unit_rows(50, 6), sharpness=8.0, centre=0.0)
    corrected = stored.astype(np.float32) @ query + bank.numbers(stored)
    best = (np.argsort(-corrected)[:10] + 1).tolist()
    assert best != (np.argsort(-(stored @ query))[:10] + 1).tolist()
    assert library._right(space_of(library), bank, query).item_ids == set(best)


@pytest.mark.parametrize(("rows", "looked_at"), [(50_000, 240), (100_000, 240), (400_000, 418)])
def test_of_a_graph_that_has_grown_more_is_looked_at(rows: int, looked_at: int) -> None:
    assert round(Enough(240, 100_000).among(rows)) == looked_at
    assert Enough.read(str(Enough(240, 100_000))) == Enough(240, 100_000)


@pytest.mark.parametrize("setting", [None, "", "240", "240 of", "many of 10", "1 of 2 of 3"])
def test_what_nobody_has_measured_is_not_read(setting: str | None) -> None:
    assert Enough.read(setting) is None


def forget_measured(store: PostgresStore) -> None:
    with store.transaction():
        store.remove_setting(looked_at_in("vectors_1_image"))


def test_nothing_stays_set_after_a_query(library: PostgresStore) -> None:
    def set_now() -> tuple[object, ...] | None:
        return library.connection.execute(
            "SELECT current_setting('hnsw.ef_search'), current_setting('hnsw.iterative_scan'), "
            "current_setting('enable_seqscan'), current_setting('enable_sort'), current_setting('plan_cache_mode')"
        ).fetchone()

    usual, query, asked = ("40", "off", "on", "on", "auto"), unit_rows(1, 5)[0], times_asked(library)
    library.nearest(1, "image", query, 10, Filters())
    assert set_now() == usual
    with library.one_state():
        library.nearest(1, "image", query, 10, Filters())
        assert set_now() == usual
        assert library.item_count() == ITEMS
    assert times_asked(library) == asked + 2


def test_a_graph_is_made_anew_when_much_of_it_was_removed_and_by_one_at_a_time(postgres: PostgresServer) -> None:
    import psycopg

    from mmsearch.store.postgres.schema import BUILDING, LOCKS

    query = unit_rows(1, 5)[0]
    with filled_store(postgres) as store:
        few, *_ = store.nearest(1, "image", query, ITEMS, Filters(folders=(b"/all/half/few",)))
        for folder, made in ((b"/all/half/few", 0), (b"/all/half", 1)):
            with store.transaction():
                store.remove_files(store.files_below(folder))
                store.remove_orphans()
            with psycopg.connect(store.connection.info.dsn, autocommit=True) as other:
                other.execute("SELECT pg_advisory_lock(%s, %s)", (LOCKS, BUILDING))
                assert store.build_nearest() == 0
                other.execute("SELECT pg_advisory_unlock_all()")  # a server notices some time later that one has gone
            assert store.build_nearest() == made
            assert store.build_nearest() == 0
        item_ids, *_ = store.nearest(1, "image", query, ITEMS, Filters())
        assert len(item_ids) == ITEMS - ITEMS // 2 and not set(few) & set(item_ids)
        asked = times_asked(store)
        store.nearest(1, "image", query, 10, Filters())
        assert times_asked(store) == asked + 1
