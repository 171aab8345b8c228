"""What every store does, whichever engine it stands on. A store of another kind is added to STORES."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres_server import PostgresServer

from mmsearch.encoding.query_bank import QueryBank
from mmsearch.files.hashing import place_in_shuffle
from mmsearch.records import (
    Content,
    Details,
    EncodedItem,
    FileFacts,
    FileState,
    Filters,
    FloatMatrix,
    KnownArchive,
    Listing,
    Locator,
    ModelIdentity,
    Near,
    Part,
    Root,
    StageState,
)
from mmsearch.store.mapped_store import MappedStore, mapped
from mmsearch.store.models import add_model, searched_model, stored_models
from mmsearch.store.mounts import Mount, MountMap
from mmsearch.store.protocol import Store
from mmsearch.store.sqlite.store import SqliteStore
from mmsearch.store.whole_rows import TABLES, Row, belongs_to_library
from mmsearch.store.words import AskedWord, asked_word

DIMENSION = 8
READERS = "image 1, text 1"
NO_FACTS, EVERYTHING = FileFacts(), Filters()


# How a machine may see a library: all that it names here, root folders and all, lies elsewhere there.
MOUNTS = MountMap([Mount(b"/team", b"/"), Mount(b"/srv/nas/photos", b"/photos")])


@dataclass(frozen=True)
class Engine:
    """A kind of store: where an empty one may be, how one there is opened for writing, and for reading, and by which
    path it knows what is given to it by another.
    """

    place: Callable[[pytest.FixtureRequest], str]
    write: Callable[[str], Store]
    read: Callable[[str], Store]
    known_as: Callable[[bytes], bytes] = bytes

    def mapped(self) -> Engine:
        """The same, seen from a machine with other mounts."""
        return Engine(
            self.place,
            lambda place: mapped(self.write(place), MOUNTS, writes=True),
            lambda place: mapped(self.read(place), MOUNTS),
            MOUNTS.known_as,
        )


def folder(request: pytest.FixtureRequest) -> str:
    made: Path = request.getfixturevalue("tmp_path_factory").mktemp("store")
    return str(made)


def database(request: pytest.FixtureRequest) -> str:
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database(request.getfixturevalue("empty_library"))


def write_postgres(place: str) -> Store:
    from mmsearch.store.postgres.store import PostgresStore

    return PostgresStore.write(place)


def read_postgres(place: str) -> Store:
    from mmsearch.store.postgres.store import PostgresStore

    return PostgresStore.read(place)


STORES = {
    "sqlite": Engine(folder, SqliteStore.write, SqliteStore.read),
    "postgres": Engine(database, write_postgres, read_postgres),
}
STORES |= {f"{name} elsewhere": engine.mapped() for name, engine in STORES.items()}


@pytest.fixture(scope="session")
def empty_library(postgres: PostgresServer) -> str:
    """The name of a database with a library in which nothing is: copied in less time than one is made."""
    url = postgres.new_database()
    write_postgres(url).close()
    return postgres.name_of(url)


@pytest.fixture(scope="session")
def new_place(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Where an empty store of that kind may be, a new place at each call."""
    return lambda name: STORES[name].place(request)


@pytest.fixture(params=STORES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return STORES[request.param]


@pytest.fixture
def place(engine: Engine, request: pytest.FixtureRequest) -> str:
    return engine.place(request)


@pytest.fixture
def store(engine: Engine, place: str) -> Iterator[Store]:
    with closing(engine.write(place)) as opened:
        yield opened
        if opened.__class__ is MappedStore:
            check_translated(opened)


def check_translated(store: MappedStore) -> None:
    """Nothing that was written has a path of this machine, and what is there is seen at one."""
    for table in TABLES:
        for place, column in enumerate(table.columns):
            if column not in ("path", "mounts"):
                continue
            with store.one_state():
                there = [row[place] for rows in store.unmapped.rows_of(table) for row in rows]
                here = [row[place] for rows in store.rows_of(table) for row in rows]
            for stored, seen in zip(there, here, strict=True):
                paths = [stored] if isinstance(stored, bytes) else map(os.fsencode, json.loads(str(stored)))
                assert all(path.startswith((b"/team/", b"/srv/nas/photos", b"s3://")) for path in paths), table.name
                assert not isinstance(stored, bytes) or seen == MOUNTS.here(stored)


def unit(*numbers: float) -> FloatMatrix:
    row = np.zeros(DIMENSION, np.float32)
    row[: len(numbers)] = numbers
    return np.asarray(row / np.linalg.norm(row), np.float32)


class Filled:
    """A store with a model and a root; what is added are files of one content each."""

    def __init__(self, store: Store) -> None:
        self.store = store
        with store.transaction():
            self.model_id = add_model(store, ModelIdentity("made-up", "1", DIMENSION, "f" * 32))
            self.root = store.put_root(b"/photos", "{}")
        self.added = 0

    def file(self, path: bytes, mtime_ns: int = 1) -> FileState:
        return FileState(self.root.id, path, 10, mtime_ns)

    def add(
        self, path: bytes, *items: EncodedItem, medium: str = "image", facts: FileFacts = NO_FACTS, mtime_ns: int = 1
    ) -> int:
        """Adds a file with a new content. Returns the id of that."""
        self.added += 1
        with self.store.transaction():
            content_id = self.store.put_content(Content(self.added.to_bytes(16, "big"), medium, 10, 1, facts))
            self.store.add_items(content_id, self.model_id, items)
            self.store.put_file(self.file(path, mtime_ns), content_id)
        return content_id

    def nearest(self, vector: FloatMatrix, count: int = 10, filters: Filters = EVERYTHING) -> list[bytes]:
        """The paths of the nearest files, best first."""
        ids = self.store.nearest(self.model_id, "image", vector, count, filters).item_ids
        paths = {item.item_id: item.path for item in self.store.found_items(ids.tolist(), filters)}
        return [paths[item_id] for item_id in ids.tolist()]


@pytest.fixture
def filled(store: Store) -> Filled:
    return Filled(store)


def picture(*numbers: float) -> EncodedItem:
    return EncodedItem("image", unit(*numbers))


def test_a_transaction_is_whole_or_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.transaction():
        store.put_root(b"/a", "{}")
        store.set_setting("a", "1")
        raise RuntimeError
    assert store.roots() == []
    assert store.setting("a") is None
    with store.transaction():
        store.put_root(b"/a", "{}")
    assert [root.path for root in store.roots()] == [b"/a"]


def test_the_state_rises_with_what_was_written_and_with_nothing_else(store: Store) -> None:
    library, before = store.state()
    assert library
    with pytest.raises(RuntimeError), store.transaction():
        raise RuntimeError
    assert store.state() == (library, before)
    with store.transaction():
        store.set_setting("a", "1")
    assert store.state()[0] == library
    assert store.state()[1] > before


def test_moments_that_are_kept_are_by_the_clock_that_the_store_tells(store: Store) -> None:
    began = store.now()
    with store.transaction():
        store.mark_changed([store.put_root(b"/photos", "{}").id])
    (root,) = store.roots()
    assert root.changed is not None
    assert datetime.fromisoformat(began) <= datetime.fromisoformat(root.changed) <= datetime.fromisoformat(store.now())


def test_a_reader_sees_one_state_until_it_looks_again(engine: Engine, place: str, store: Store) -> None:
    with store.transaction():
        store.put_root(b"/a", "{}")
    with closing(engine.read(place)) as reader:
        with reader.one_state():
            assert len(reader.roots()) == 1
            with store.transaction():
                store.put_root(b"/b", "{}")
            assert len(reader.roots()) == 1
        assert len(reader.roots()) == 2


def test_settings_are_texts_and_some_are_numbers(store: Store) -> None:
    with store.transaction():
        store.set_setting("a", "12")
        store.set_setting("b", "twelve")
    assert (store.setting("a"), store.number_setting("a"), store.number_setting("b")) == ("12", 12, 0)
    with store.transaction():
        store.remove_setting("a")
    assert store.setting("a") is None


PATHS = st.binary(min_size=1, max_size=40).filter(lambda path: b"\0" not in path).map(lambda path: b"/" + path)


@settings(max_examples=30)
@given(paths=st.lists(PATHS, min_size=1, max_size=8, unique=True))
@pytest.mark.parametrize("name", STORES)
def test_paths_are_any_bytes(name: str, paths: list[bytes], new_place: Callable[[str], str]) -> None:
    with closing(STORES[name].write(new_place(name))) as store:
        filled = Filled(store)
        for number, path in enumerate(paths):
            filled.add(path, picture(1, number))
        known = store.files_at(paths, filled.model_id, READERS).files
        assert set(known) == set(paths)
        assert {item.path for item in store.found_items(range(1, 20), Filters())} == set(paths)


def test_a_root_keeps_its_rules_and_what_is_known_of_it(store: Store) -> None:
    with store.transaction():
        root = store.put_root(b"/a", '{"hidden": false}')
        store.set_mounts(root.id, [b"/a/usb", b"/a/caf\xe9"])
        store.set_absent(root.id, 3)
        store.mark_changed([root.id])
    (kept,) = store.roots()
    assert (kept.rules, kept.mounts, kept.absent) == ('{"hidden": false}', (b"/a/usb", b"/a/caf\xe9"), 3)
    assert kept.changed is not None
    with store.transaction():
        assert store.put_root(b"/a", "{}").id == root.id
    with store.transaction():
        store.remove_root(root.id)
    assert store.roots() == []


def test_files_are_known_by_size_and_time(filled: Filled) -> None:
    filled.add(b"/photos/a.jpg", picture(1), mtime_ns=7)
    known = filled.store.files_at([b"/photos/a.jpg", b"/photos/b.jpg"], filled.model_id, READERS).files
    assert list(known) == [b"/photos/a.jpg"]
    file = known[b"/photos/a.jpg"]
    assert (file.root_id, file.size, file.mtime_ns, bool(file.failed)) == (filled.root.id, 10, 7, False)
    assert [path for _, path in filled.store.files_of_root(filled.root)] == [b"/photos/a.jpg"]
    assert filled.store.files_in_root(filled.root) == filled.store.count_files_below(b"/photos") == 1


def test_a_folder_is_not_another_that_begins_alike(filled: Filled) -> None:
    for path in (b"/photos/a/1.jpg", b"/photos/ab/1.jpg", b"/photos/a.jpg", b"/photos/a/deep/er/1.jpg"):
        filled.add(path, picture(1, len(path)))
    assert len(filled.store.files_below(b"/photos/a")) == 2
    assert len(filled.store.files_below(b"/photos")) == 4
    assert len(filled.store.files_below(b"/photos/a.jpg")) == 1


def test_passages_come_one_content_after_another(filled: Filled) -> None:
    def passage(text: str, page: int | None = None, source: str = "body") -> EncodedItem:
        return EncodedItem("text", unit(1), Locator(start=0, end=len(text), page=page), source, text)

    filled.add(b"/photos/a.txt", passage("one"), passage("two"), medium="text")
    book = filled.add(b"/photos/b.pdf", passage("read", 1), passage("seen", 1, "ocr"), medium="document")
    filled.add(b"/photos/c.py", passage("code"), medium="text")
    filled.add(b"/photos/d.jpg", picture(1), passage("words", source="ocr"))
    thinned = filled.add(b"/photos/e.txt", passage("some"), medium="text")
    store = filled.store
    with store.transaction():
        store.remark(thinned, filled.model_id, None, 3, 1)
    found = list(store.text_passages(filled.model_id, EVERYTHING, {".txt"}))
    assert [one.text for one in found] == ["one", "two", "read"]
    assert (found[2].content_id, found[2].page, found[2].start, found[2].end) == (book, 1, 0, 4)
    of_first = store.text_passages(filled.model_id, EVERYTHING, {".txt"}, [found[0].item_id])
    assert [one.text for one in of_first] == ["one", "two"]
    of_books = store.text_passages(filled.model_id, Filters(extensions=(".pdf",)), {".txt"}, None)
    assert [one.text for one in of_books] == ["read"]


def test_copies_share_their_items(filled: Filled) -> None:
    store = filled.store
    content_id = filled.add(b"/photos/a.jpg", picture(1))
    with store.transaction():
        store.put_file(filled.file(b"/photos/copy.jpg"), content_id)
    assert store.item_count() == 1
    (first, second) = store.found_items([store.latest_item()], Filters())
    assert {first.path, second.path} == {b"/photos/a.jpg", b"/photos/copy.jpg"}
    assert first.digest == second.digest


def test_what_is_there_more_than_once_is_known_by_its_first_item(filled: Filled) -> None:
    store = filled.store
    content_id = filled.add(b"/photos/a/one.jpg", picture(1), picture(0, 1))
    filled.add(b"/photos/a/other.jpg", picture(1))
    assert store.copied_items(EVERYTHING).tolist() == []
    with store.transaction():
        store.put_file(filled.file(b"/photos/b/copy.png"), content_id)
    (item_id,) = store.copied_items(EVERYTHING).tolist()
    found = store.found_items([item_id], EVERYTHING)
    assert sorted(item.path for item in found) == [b"/photos/a/one.jpg", b"/photos/b/copy.png"]
    assert item_id == store.item_ids(filled.model_id, "image")[0]
    # Where a filter lets one of them pass, it is there once.
    assert store.copied_items(Filters(extensions=(".jpg",))).tolist() == []


def test_digests_are_those_of_contents_or_not(filled: Filled) -> None:
    filled.add(b"/photos/one.jpg", picture(1))
    there, gone = (1).to_bytes(16, "big"), (2).to_bytes(16, "big")
    assert filled.store.digests_among([there, gone]) == {there}
    assert filled.store.digests_among([]) == set()


def test_an_item_keeps_its_place_and_its_source(filled: Filled) -> None:
    place = Locator(start=3, end=9, line=2, page=4, region=(0.0, 0.25, 0.5, 1.0), time=(1.5, 2.0), part_name="Budget")
    item = EncodedItem("text", unit(1), place, "ocr", "some words")
    facts = FileFacts(40, 30, "2024-05-01T10:00:00", "utf-8", 3.5, 12)
    filled.add(b"/photos/a.pdf", item, medium="document", facts=facts)
    (found,) = filled.store.found_items([filled.store.latest_item()], Filters())
    assert (found.locator, found.source, found.text, found.facts) == (place, "ocr", "some words", facts)
    assert (found.modality, found.medium) == ("text", "document")
    assert filled.store.spaces(filled.model_id) == [("text", "document")]


def test_a_long_content_comes_in_pieces_and_is_whole_with_the_last(filled: Filled) -> None:
    store, model_id = filled.store, filled.model_id
    content = Content(b"d" * 16, "document", 10)
    items = [EncodedItem("text", unit(1, n), Locator(page=n)) for n in range(5)]
    with store.transaction():
        content_id = store.put_content(content)
        store.add_items(content_id, model_id, items[:2], 0, is_whole=False)
        store.put_file(filled.file(b"/photos/a.pdf"), content_id)
    assert store.content_with_items(content.digest, model_id, 1) is None
    assert store.items_stored(content.digest, model_id, 1) == 2
    assert len(store.files_without_items(model_id)) == 1
    for _ in range(2):  # another file of that content may bring the same again
        with store.transaction():
            store.add_items(content_id, model_id, items[1:4], 1, is_whole=False)
    with store.transaction():
        store.add_items(content_id, model_id, items[4:], 4, is_whole=True)
    assert store.content_with_items(content.digest, model_id, 1) == content_id
    found = store.found_items(store.item_ids(model_id, "text").tolist(), Filters())
    assert sorted(item.locator.page or 0 for item in found) == [0, 1, 2, 3, 4]
    assert not store.files_without_items(model_id)


def test_what_another_version_of_the_reader_found_is_dropped(filled: Filled) -> None:
    store, model_id = filled.store, filled.model_id
    content_id = filled.add(b"/photos/a.jpg", picture(1))
    digest = (1).to_bytes(16, "big")
    assert store.files_read_otherwise({"image": 1, "text": 9}) == set()
    assert len(store.files_read_otherwise({"image": 2})) == 1
    assert len(store.files_read_otherwise({"image": 1, "image .jpg": 2})) == 1
    assert store.files_read_otherwise({"image": 1, "image .png": 2, "text .jpg": 2}) == set()
    with store.transaction():
        assert store.put_content(Content(digest, "image", 10, reader=2)) == content_id
    assert store.content_with_items(digest, model_id, 2) is None
    assert store.item_count() == 0


def test_what_a_newer_reader_finds_again_stays_and_an_older_one_takes_nothing_back(filled: Filled) -> None:
    store, model_id = filled.store, filled.model_id
    content_id = filled.add(b"/photos/a.tif", picture(1))
    digest = (1).to_bytes(16, "big")
    with store.transaction():
        store.renew_reader(content_id, 3)
    assert store.content_with_items(digest, model_id, 3) == content_id
    # Under another name the same bytes may be of an extension with an older version.
    assert store.content_with_items(digest, model_id, 2) == content_id
    assert store.items_stored(digest, model_id, 2) == 1
    assert store.files_read_otherwise({"image": 2}) == set()
    with store.transaction():
        assert store.put_content(Content(digest, "image", 10, reader=2)) == content_id
        store.renew_reader(content_id, 2)
    assert store.content_with_items(digest, model_id, 3) == content_id


def test_what_a_stage_read_of_parts_is_dropped_with_them(filled: Filled) -> None:
    store = filled.store
    content_id = filled.add(b"/photos/a.tif", picture(1))
    ocr = StageState("ocr", "1", "ocr", frozenset(("image",)))
    speech = StageState("speech", "1", "transcript", frozenset(("image",)))
    with store.transaction():
        for stage in (ocr, speech):
            store.put_stage(content_id, stage, [Part("text", "some words", Locator(), stage.source)])
        store.note_texts_not_encoded(content_id, ocr, 7, "too long")
    with store.transaction():
        store.put_content(Content((1).to_bytes(16, "big"), "image", 10, reader=2), ["ocr"])
    assert store.stage_parts(content_id, ocr) == []
    assert store.stage_failures(ocr) == []
    assert store.stage_counts(ocr).left == 1
    assert [part.payload for part in store.stage_parts(content_id, speech)] == ["some words"]
    assert store.stage_counts(speech).left == 0


def test_what_cannot_be_read_is_known_until_it_or_the_readers_change(filled: Filled) -> None:
    store = filled.store
    with store.transaction():
        store.note_failure(filled.file(b"/photos/bad.jpg"), "truncated JPEG", READERS)
    (failure,) = store.failures()
    assert (failure.path, failure.reason) == (b"/photos/bad.jpg", "truncated JPEG")
    known = store.files_at([b"/photos/bad.jpg"], filled.model_id, READERS).files[b"/photos/bad.jpg"]
    assert known.failed and (known.size, known.mtime_ns) == (10, 1)
    known = store.files_at([b"/photos/bad.jpg"], filled.model_id, "better readers").files[b"/photos/bad.jpg"]
    assert known.failed and known.size != 10
    content_id = filled.add(b"/photos/good.jpg", picture(1))
    with store.transaction():
        store.put_file(filled.file(b"/photos/bad.jpg"), content_id)
    assert store.failures() == []


def test_what_one_model_cannot_encode_is_left_to_the_others(filled: Filled) -> None:
    store = filled.store
    content_id = filled.add(b"/photos/a.jpg", picture(1))
    with store.transaction():
        other = add_model(store, ModelIdentity("other", "1", DIMENSION, "e" * 32))
        store.note_not_encoded(filled.file(b"/photos/a.jpg"), "too wide", READERS, other, is_held=True)
    assert store.files_without_items(other) == set()
    assert store.count_not_encoded(other) == 1
    for model_id, readers, failing in (
        (other, READERS, {b"/photos/a.jpg"}), (other, "better readers", set()), (filled.model_id, READERS, set())
    ):  # fmt: skip
        known = store.files_at([b"/photos/a.jpg"], model_id, readers)
        assert known.failing == failing and len(known.not_encoded) == 1
        assert not known.files[b"/photos/a.jpg"].failed
    assert store.found_items([store.latest_item()], Filters())
    with store.transaction():
        store.add_items(content_id, other, [picture(0, 1)])
        store.put_file(filled.file(b"/photos/a.jpg"), content_id)
    assert store.failures() == []


def test_kinds_that_nothing_reads_are_counted_by_root(filled: Filled) -> None:
    store = filled.store
    with store.transaction():
        other: Root = store.put_root(b"/other", "{}")
        store.put_unread(filled.root.id, {".pdf": 2, "": 1})
        store.put_unread(other.id, {".pdf": 1, ".mp4": 5})
    assert store.unread(filled.root.id) == {".pdf": 2, "": 1}
    assert store.unread() == {".mp4": 5, ".pdf": 3, "": 1}
    with store.transaction():
        store.remove_root(other.id)
    assert store.unread() == {".pdf": 2, "": 1}


def test_an_archive_is_known_as_it_was_read_last_with_its_files(filled: Filled) -> None:
    store = filled.store
    archive = KnownArchive(b"/photos/a.zip", 10, 1, 2, "zip 1", 2, {".bin": 3, "": 1}, "damaged")
    filled.add(b"/photos/a.zip!one.jpg", picture(1))
    with store.transaction():
        store.put_archive(filled.root.id, archive._replace(size=9))
        store.put_archive(filled.root.id, archive)
        store.note_failure(filled.file(b"/photos/a.zip!two.jpg"), "truncated JPEG", READERS)
        store.note_failure(filled.file(b"/photos/a.zip"), "damaged", READERS)
    assert store.archives_of_root(filled.root.id) == {b"/photos/a.zip": archive}
    members = [(one.path, one.size) for one in store.members_of(b"/photos/a.zip")]
    assert members == [(b"/photos/a.zip!one.jpg", 10), (b"/photos/a.zip!two.jpg", 10)]
    with store.transaction():
        store.remove_archives_below(b"/photos")
    assert store.archives_of_root(filled.root.id) == {}


def test_items_are_numbered_in_the_order_of_their_commits_and_never_twice(filled: Filled) -> None:
    store = filled.store
    seen: list[int] = []
    for number in range(5):
        filled.add(b"/photos/%d.jpg" % number, picture(1, number))
        newest = store.latest_item()
        assert newest > (seen[-1] if seen else 0)
        seen.append(newest)
    removed = store.items_removed()
    with store.transaction():
        store.remove_path(b"/photos/4.jpg")
        store.remove_orphans()
    assert store.items_removed() == removed + 1
    filled.add(b"/photos/5.jpg", picture(1, 9))
    assert store.latest_item() > seen[-1]
    ids, vectors = store.vectors_after(filled.model_id, "image", seen[1], 10)
    assert ids.tolist() == [seen[2], seen[3], store.latest_item()]
    assert vectors[0] == unit(1, 2).astype("<f2").tobytes()
    assert [found.tolist() for found in (store.live_items(np.array([*seen, 99])), store.item_ids(1, "image"))] == [
        [*seen[:4]],
        [*seen[:4], store.latest_item()],
    ]
    assert store.count_items_after(filled.model_id, "image", seen[2]) == 2
    some, same = store.vectors_of(np.array([seen[2], seen[4]]))
    assert (some.tolist(), same) == ([seen[2]], vectors[:1])


def test_contents_that_no_file_holds_go_after_a_second_run(filled: Filled) -> None:
    store = filled.store
    filled.add(b"/photos/a.jpg", picture(1))
    with store.transaction():
        store.remove_path(b"/photos/a.jpg")
        store.retire_orphans()
    assert store.has_orphans() and store.item_count() == 1
    with store.transaction():
        store.retire_orphans()
    assert not store.has_orphans() and store.item_count() == 0


def test_a_model_that_is_replaced_leaves_nothing(filled: Filled) -> None:
    store = filled.store
    filled.add(b"/photos/a.jpg", picture(1))
    with store.transaction():
        add_model(store, ModelIdentity("made-up", "2", DIMENSION, "d" * 32))
    (model,) = stored_models(store)
    assert model.identity.revision == "2" and searched_model(store) == model
    assert not store.has_items_of(filled.model_id)
    assert len(store.files_without_items(model.id)) == 1


def test_the_nearest_are_those_with_the_highest_cosines(filled: Filled) -> None:
    chance = np.random.default_rng(5)
    rows = chance.normal(size=(60, DIMENSION)).astype(np.float32)
    for number, row in enumerate(rows):
        filled.add(b"/photos/%02d.jpg" % number, picture(*row))
    vector = unit(*chance.normal(size=DIMENSION))
    stored = np.stack([unit(*row).astype(np.float16) for row in rows]).astype(np.float32)
    expected = [b"/photos/%02d.jpg" % place for place in np.argsort(-(stored @ vector), kind="stable")]
    assert filled.nearest(vector, 10) == expected[:10]
    assert filled.nearest(vector, 100) == expected
    found = filled.store.nearest(
        filled.model_id, "image", vector, 10, Filters(folders=(b"/photos/07.jpg", b"/photos/2"))
    )
    assert (len(found.item_ids), found.among, found.is_exact) == (1, 1, True)
    assert filled.store.nearest(filled.model_id, "image", vector, 10, EVERYTHING).among == 60


def test_filters_choose_before_the_ranking(filled: Filled) -> None:
    for number in range(40):
        folder, ending = (b"a", b".png") if number % 10 == 0 else (b"b", b".jpg")
        moment = f"20{10 + number % 10}-06-01T12:00:00" if number % 2 else None
        path = b"/photos/%s/%02d%s" % (folder, number, ending)
        filled.add(path, picture(1, number / 100), facts=FileFacts(taken=moment), mtime_ns=1_000_000_000 * number)
    vector = unit(1)
    in_a = [b"/photos/a/%02d.png" % number for number in (0, 10, 20, 30)]
    assert filled.nearest(vector, 10, Filters(folders=(b"/photos/a",))) == in_a
    assert filled.nearest(vector, 3, Filters(extensions=(".png",))) == in_a[:3]
    assert filled.nearest(vector, 10, Filters(not_folders=(b"/photos/b",))) == in_a
    assert filled.nearest(vector, 9, Filters(not_folders=(b"/photos/b/01.jpg", b"/photos/b/02.jpg", b"/photos/c"))) == [
        b"/photos/%s/%02d%s" % ((b"a", number, b".png") if number % 10 == 0 else (b"b", number, b".jpg"))
        for number in (0, *range(3, 11))
    ]
    assert filled.nearest(vector, 10, Filters(folders=(b"/photos/a",), not_folders=(b"/photos",))) == []
    assert filled.nearest(vector, 10, Filters(medium="text")) == []
    taken = filled.nearest(vector, 40, Filters(after=datetime(2015, 1, 1), before=datetime(2018, 1, 1)))
    assert [int(os.path.basename(path)[:2]) % 10 for path in taken] == [5, 7] * 4
    assert filled.nearest(vector, 10, Filters(folders=(b"/photos/a", b"/photos/b"), extensions=(".png",))) == in_a


def test_filters_compare_what_files_and_their_sidecars_say(filled: Filled) -> None:
    store, vector = filled.store, unit(1)
    own = Details("Canon EOS 5D", "EF 50mm", latitude=38.72, longitude=-9.14, place="Lisbon, Portugal", rating=3)
    first = filled.add(b"/a.jpg", picture(1), facts=FileFacts(details=replace(own, keywords=("Old Pier", "Meer"))))
    filled.add(b"/b.jpg", picture(1))
    filled.add(b"/c.mp4", picture(1), medium="video", facts=FileFacts(duration=90.0))
    (beside,) = store.files_below(b"/b.jpg")
    with store.transaction():
        store.put_details(first, replace(own, keywords=("Old Pier", "Meer")), {"image": 1})
        second = store.contents_of([beside])[beside]
        store.put_details(second, Details("Nikon D5"), {"image": 1})
        told = Details("FUJIFILM X-T5", latitude=-23.55, longitude=-46.63, place="São Paulo, Brazil", rating=5)
        store.put_sidecars(beside, "one", FileFacts(taken="2020-05-01T10:00:00", details=told))

    def found(filters: Filters) -> set[bytes]:
        item_ids = store.nearest(filled.model_id, "image", vector, 9, filters).item_ids
        return {item.path for item in store.found_items(item_ids.tolist(), filters)}

    a, b, c = b"/a.jpg", b"/b.jpg", b"/c.mp4"
    for filters, expected in (
        (Filters(camera="canon eos"), {a}),
        (Filters(camera="nikon"), set()),  # a sidecar says otherwise
        (Filters(camera="x-t5"), {b}),
        (Filters(lens="50MM"), {a}),
        (Filters(near=Near(38.7, -9.1, 10)), {a}),
        (Filters(near=Near(38.7, -9.1, 10_000)), {a, b}),
        (Filters(places=("lisbon",)), {a}),
        (Filters(places=("isbon",)), set()),
        (Filters(places=("sao paulo", "portugal")), {a, b}),
        (Filters(keywords=("OLD pier",)), {a}),
        (Filters(keywords=("pier meer",)), set()),
        (Filters(keywords=("meer", "old")), {a}),
        (Filters(rating=3), {a, b}),
        (Filters(rating=4), {b}),
        (Filters(longer=60.0), {c}),
        (Filters(longer=90.0), set()),
        (Filters(shorter=100.0, medium="video"), {c}),
        (Filters(after=datetime(2020, 5, 1, 10), before=datetime(2020, 5, 1, 10, 0, 1)), {b}),
        (Filters(before=datetime(2000, 1, 1), not_folders=(c,)), {a}),
    ):
        assert found(filters) == expected, filters

    def told_of_b() -> tuple[str | None, str | None, bool]:
        (brief,) = store.briefs([filled.model_id], Filters(folders=(b,)))
        return brief.camera, brief.place, brief.moment == "2020-05-01T10:00:00"

    assert told_of_b() == ("FUJIFILM X-T5", "São Paulo, Brazil", True)
    with store.transaction():
        store.remove_sidecars([beside])
    assert found(Filters(camera="nikon")) == {b} and found(Filters(rating=4)) == set()
    assert told_of_b() == ("Nikon D5", None, False)


def test_files_of_one_photo_are_listed_once(filled: Filled) -> None:
    film = FileFacts(duration=2.0)
    for path in (b"/photos/a.jpg", b"/photos/a.nef", b"/photos/alone.nef"):
        filled.add(path, picture(1))
    for path in (b"/photos/a.mov", b"/photos/b.mov"):
        filled.add(path, picture(1), medium="video", facts=film)
    models = [filled.model_id]
    listed, total = filled.store.list_files(models, EVERYTHING, Listing(False, 0, 9, False))
    assert ([path for _, path in listed], total) == ([b"/photos/a.jpg", b"/photos/alone.nef", b"/photos/b.mov"], 3)
    assert filled.store.list_files(models, EVERYTHING, Listing(False, 0, 1, True))[1] == 5
    asked = [b"/photos/a.jpg", b"/photos/b.mov", b"/photos/no.jpg"]
    beside = filled.store.beside(asked, EVERYTHING)
    assert {path: len(files) for path, files in beside.items()} == dict(zip(asked, (3, 1, 0), strict=True))
    assert [(one.path, one.is_picture, one.size) for one in beside[b"/photos/a.jpg"]] == [
        (b"/photos/a.jpg", True, 10),
        (b"/photos/a.mov", False, 10),
        (b"/photos/a.nef", False, 10),
    ]
    some = filled.store.beside(asked[:1], Filters(extensions=(".jpg", ".nef")))
    assert [one.path for one in some[b"/photos/a.jpg"]] == [b"/photos/a.jpg", b"/photos/a.nef"]


def test_counts_are_by_medium(filled: Filled) -> None:
    filled.add(b"/photos/a.jpg", picture(1))
    filled.add(b"/photos/b.txt", EncodedItem("text", unit(1), text="words"), medium="text")
    counts = filled.store.counts(filled.model_id)
    assert (dict(counts.files), counts.contents, counts.items) == ({"image": 1, "text": 1}, 2, 2)
    assert filled.store.some_pictures(5) == [b"/photos/a.jpg"]


def test_files_are_listed_by_date_and_by_path_a_page_at_a_time(filled: Filled) -> None:
    day = 86_400 * 10**9
    for number, path in ((3, b"/photos/b.jpg"), (1, b"/photos/c.jpg"), (2, b"/photos/a.jpg")):
        of_a = filled.add(path, picture(number), mtime_ns=number * day)
    with filled.store.transaction():
        filled.store.put_file(filled.file(b"/photos/d.jpg", mtime_ns=4 * day), of_a)
    models = [filled.model_id]

    def paths(by_date: bool, filters: Filters = EVERYTHING, **page: int) -> list[bytes]:
        listing = Listing(by_date, page.get("offset", 0), page.get("limit", 10), bool(page.get("copies", 0)))
        return [path for _, path in filled.store.list_files(models, filters, listing)[0]]

    assert paths(True, copies=1) == [b"/photos/d.jpg", b"/photos/b.jpg", b"/photos/a.jpg", b"/photos/c.jpg"]
    assert paths(True) == [b"/photos/d.jpg", b"/photos/b.jpg", b"/photos/c.jpg"]
    assert paths(False) == [b"/photos/a.jpg", b"/photos/b.jpg", b"/photos/c.jpg"]
    assert paths(False, limit=1, offset=1) == [b"/photos/b.jpg"]
    assert paths(True, Filters(folders=(b"/photos/c.jpg",))) == [b"/photos/c.jpg"]
    assert filled.store.list_files(models, EVERYTHING, Listing(True, 0, 1, False))[1] == 3
    for copies, total in ((False, 3), (True, 4)):  # behind the last page, too
        assert filled.store.list_files(models, EVERYTHING, Listing(True, 9, 1, copies)) == ([], total)
    assert filled.store.list_files([filled.model_id + 1], EVERYTHING, Listing(True, 0, 1, False)) == ([], 0)
    briefs = filled.store.briefs(models, EVERYTHING)
    assert sorted(brief.path for brief in briefs) == [b"/photos/a.jpg", b"/photos/b.jpg", b"/photos/c.jpg"]
    assert {brief.moment[:10] for brief in briefs} == {"1970-01-02", "1970-01-03", "1970-01-04"}
    assert {(brief.medium, brief.place, brief.camera) for brief in briefs} == {("image", None, None)}
    assert filled.store.briefs(models, Filters(folders=(b"/photos/c.jpg",)))[0].path == b"/photos/c.jpg"
    assert filled.store.briefs([filled.model_id + 1], EVERYTHING) == []


def test_of_copies_the_one_that_is_best_to_be_had_is_listed(filled: Filled) -> None:
    plain, packed, bucket = b"/photos/a.jpg", b"/photos/old.zip!a.jpg", b"s3://bucket/a.jpg"
    of_a = filled.add(plain, picture(1), mtime_ns=10**9)
    with filled.store.transaction():
        filled.store.put_file(filled.file(packed, mtime_ns=2 * 10**9), of_a)
        filled.store.put_file(filled.file(bucket, mtime_ns=3 * 10**9), of_a)
    filled.add(b"/photos/b.jpg", picture(2), mtime_ns=2 * 10**9 + 1)

    def listed(*away: bytes, by_date: bool = True) -> list[bytes]:
        listing = Listing(by_date, 0, 9, False, away=away)
        page, total = filled.store.list_files([filled.model_id], EVERYTHING, listing)
        assert total == 2
        return [path for _, path in page]

    other = b"/photos/b.jpg"
    assert listed() == listed(b"/photos/c.jpg", b"/photo") == [other, plain]
    assert listed(plain) == [other, packed]
    assert listed(plain, b"/photos/old.zip") == listed(b"/photos", plain) == [bucket, other]
    assert listed(b"/photos", b"s3://bucket") == [other, plain]
    assert listed(plain, by_date=False) == [other, packed]
    assert {brief.path for brief in filled.store.briefs([filled.model_id], EVERYTHING)} == {plain, other}


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process cannot be set here")
@pytest.mark.parametrize("zone", ["Asia/Kolkata", "XYZ-5:30"])
def test_files_have_the_time_of_this_machine(filled: Filled, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.add(b"/photos/a.jpg", picture(1), mtime_ns=86_400 * 10**9)
    filled.add(b"/photos/b.jpg", picture(2), mtime_ns=-1)
    filled.add(b"/photos/c.jpg", picture(3), facts=FileFacts(taken="1970-01-02T05:00:00+09:00"), mtime_ns=-1)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        briefs = filled.store.briefs([filled.model_id], EVERYTHING)
        listed, _ = filled.store.list_files([filled.model_id], EVERYTHING, Listing(True, 0, 9, False))
    time.tzset()
    assert {(brief.path[-5:], brief.moment) for brief in briefs} == {
        (b"a.jpg", "1970-01-02T05:30:00"),
        (b"b.jpg", "1970-01-01T05:29:59"),
        (b"c.jpg", "1970-01-02T05:00:00"),
    }
    assert [path[-5:] for _, path in listed] == [b"a.jpg", b"c.jpg", b"b.jpg"]


def test_files_are_listed_in_the_order_that_a_seed_draws(filled: Filled, engine: Engine) -> None:
    every = [b"/photos/%02d.jpg" % number for number in range(12)]

    def drawn_by_one(path: bytes) -> int:
        return place_in_shuffle(engine.known_as(path), 1)

    for number, path in enumerate(every):
        filled.add(path, picture(1, number))

    def drawn(seed: int, offset: int = 0, limit: int = 12) -> list[bytes]:
        listing = Listing(True, offset, limit, False, seed)
        return [path for _, path in filled.store.list_files([filled.model_id], EVERYTHING, listing)[0]]

    first, largest = drawn(1), drawn(2**64 - 1)
    assert sorted(first) == sorted(largest) == every
    assert len({tuple(first), tuple(largest), tuple(every)}) == 3
    assert [*drawn(1, 0, 5), *drawn(1, 5, 7)] == first == sorted(every, key=drawn_by_one)
    content_id = filled.store.content_at(first[3])
    assert content_id is not None
    with filled.store.transaction():
        filled.store.put_file(filled.file(b"/photos/copy.jpg"), content_id)
    again = sorted([*every, b"/photos/copy.jpg"], key=drawn_by_one)
    later = max(first[3], b"/photos/copy.jpg", key=again.index)
    assert drawn(1) == [path for path in again if path != later]


def test_a_content_is_known_by_its_digest_and_its_path_with_its_items(filled: Filled) -> None:
    store, model_id = filled.store, filled.model_id
    filled.add(b"/photos/a.jpg", picture(1))
    filled.add(b"/photos/b.txt", EncodedItem("text", unit(1), text="words"), medium="text")
    digest = store.digest_at(b"/photos/b.txt")
    assert digest is not None
    assert store.digest_at(b"/photos/c.txt") is None
    assert (store.has_content(digest), store.has_content(bytes(16))) == (True, False)
    items = store.items_of_content(digest, model_id)
    assert {modality: item_ids.tolist() for modality, item_ids in items.items()} == {
        "text": store.item_ids(model_id, "text").tolist()
    }
    assert store.items_of_content(digest, model_id + 1) == {}
    assert store.items_of_contents([digest, bytes(16)]) == set(store.item_ids(model_id, "text").tolist())
    with store.transaction():
        store.remove_path(b"/photos/b.txt")
    assert not store.has_content(digest)


def test_what_is_missing_in_a_content_is_remarked_until_it_goes(filled: Filled) -> None:
    store, model = filled.store, filled.model_id
    cut, long, whole = (filled.add(path, picture(1)) for path in (b"/photos/b.jpg", b"/photos/a.txt", b"/photos/c.jpg"))
    with store.transaction():
        other = add_model(store, ModelIdentity("another", "1", DIMENSION, "e" * 32))
        store.remark(cut, model, "incomplete JPEG", 0, 20)
        store.remark(long, model, None, 12, 20)
        store.remark(whole, model, None, 0, 20)
        store.remark(long, other, None, 300, 5)
        store.put_file(filled.file(b"/photos/copy.jpg"), cut)
    remarks = [(b"/photos/a.txt", None, 12), (b"/photos/b.jpg", "incomplete JPEG", 0)]
    assert store.remarks(model) == [*remarks, (b"/photos/copy.jpg", "incomplete JPEG", 0)]
    assert store.remarks(other) == [(b"/photos/a.txt", None, 300)]
    assert [store.is_thinned(long, model, most) for most in (19, 20, 21)] == [False, False, True]
    assert not store.is_thinned(cut, model, 21)
    assert store.thinned_files(model, 20) == set() != store.thinned_files(model, 21)
    with store.transaction():
        store.remark(long, model, None, 0, 30)
        store.remove_path(b"/photos/copy.jpg")
        store.delete_model(other)
    assert (store.remarks(model), store.remarks(other)) == (remarks[1:], [])
    with store.transaction():
        store.remove_path(b"/photos/b.jpg")
        store.remove_orphans()
    assert store.remarks(model) == []


def test_a_content_that_was_begun_keeps_the_limit_within_which_it_was(filled: Filled) -> None:
    store, model = filled.store, filled.model_id
    with store.transaction():
        content = store.put_content(Content(b"d" * 16, "text", 10, 1, NO_FACTS))
        store.add_items(content, model, [picture(1), picture(2)], 0, is_whole=False)
        store.note_budget(content, model, 40)
    assert store.items_begun(content, model) == 2
    assert (store.budget_of(b"d" * 16, model), store.budget_of(b"e" * 16, model)) == (40, None)
    assert store.remarks(model) == [] and store.thinned_files(model, 100) == set()
    with store.transaction():
        store.add_items(content, model, [picture(3)], 2, is_whole=True)
    assert store.items_begun(content, model) == 0


def test_the_moments_of_a_film_are_known_beside_each_other_and_how_far_it_was_begun(filled: Filled) -> None:
    store, model = filled.store, filled.model_id
    title = EncodedItem("text", unit(1), Locator(start=0, end=4), "tags", "Trip")
    frames = [EncodedItem("image", unit(1, n), Locator(time=(2.0 * n, 2.0 * n + 2)), "frame") for n in (1, 2)]
    with store.transaction():
        content = store.put_content(Content(b"v" * 16, "video", 10, 1, NO_FACTS))
        store.add_items(content, model, [title], 0, is_whole=False)
    assert store.frames_begun(content, model) == (0, 0.0)
    with store.transaction():
        store.add_items(content, model, frames, 1, is_whole=True)
    assert store.frames_begun(content, model) == (2, 6.0)
    second = store.latest_item()
    filled.add(b"/photos/a.jpg", picture(1))
    timed = store.timed_items([second, store.latest_item()])
    assert [(one.beside, one.item_id, one.modality, one.begins, one.ends) for one in timed] == [
        (second, second - 1, "image", 2.0, 4.0),
        (second, second, "image", 4.0, 6.0),
    ]
    assert {one.model_id for one in timed} == {model}


def passage(text: str, *numbers: float, name: str | None = None, source: str = "body") -> EncodedItem:
    return EncodedItem("text", unit(1, *numbers), Locator(start=0, end=len(text), part_name=name), source, text)


class Words:
    """Asks the word index of a store, and tells paths."""

    def __init__(self, filled: Filled) -> None:
        self.filled = filled

    def __call__(self, *asked: str, most: int = 100, filters: Filters = EVERYTHING) -> set[bytes]:
        """The paths of the files that hold all of these words in one document."""
        store = self.filled.store
        words = [word for word in map(asked_word, asked) if word is not None]
        files, items = store.documents_with(words, most)
        places = store.word_places(files, items, filters, [self.filled.model_id])
        return {place.path for place in places}


@pytest.fixture
def words(filled: Filled) -> Words:
    return Words(filled)


def test_files_are_found_by_the_words_of_their_names_and_folders(filled: Filled, words: Words) -> None:
    first, second = (
        f"/photos/{name}".encode() for name in ("2019/Japan 京都/IMG_0518.jpg", "HolidayParty/Réunion-2.jpg")
    )
    filled.add(first, picture(1))
    filled.add(second, picture(2))
    first, second = (
        b"/photos/2019/Japan \xe4\xba\xac\xe9\x83\xbd/IMG_0518.jpg",
        b"/photos/HolidayParty/R\xc3\xa9union-2.jpg",
    )
    for asked in ("japan", "JAPAN", "IMG_0518", "img0518", "0518", "京都", "京", "都", "2019/Japan"):
        assert words(asked) == {first}, asked
    for asked in ("party", "holidayparty", "HolidayParty", "reunion", "Réunion", "réunion-2"):
        assert words(asked) == {second}, asked
    assert words("photos") == {first, second}  # the last name of the root itself
    assert words("japan", "0518") == {first}
    assert words("japan", "party") == words("051") == words("apan") == words("京東") == set()


def test_items_are_found_by_their_texts_and_the_names_of_their_parts(filled: Filled, words: Words) -> None:
    filled.add(b"/photos/log.txt", passage("10:00 Server started.\nListening"), medium="text")
    filled.add(b"/photos/other.txt", passage("It started when the server fell."), medium="text")
    filled.add(b"/photos/a.xlsx", passage("12 13", name="Budget 2024"), medium="document")
    assert words("server started") == words("started listening") == {b"/photos/log.txt"}
    assert words("server", "started") == {b"/photos/log.txt", b"/photos/other.txt"}
    assert words("budget 2024") == {b"/photos/a.xlsx"}
    assert words("server", filters=Filters(folders=(b"/photos/other.txt",))) == {b"/photos/other.txt"}
    assert len(filled.store.documents_with([AskedWord(("server",))], 1)[1]) == 1
    assert len(filled.store.files_with(AskedWord(("server",)))) == 2
    assert filled.store.holds_any([AskedWord(("zebra",)), AskedWord(("budget",))])
    assert not filled.store.holds_any([AskedWord(("zebra",)), AskedWord(("serve",))])
    assert asked_word("...") is None


def test_items_are_found_by_words_that_stand_apart(filled: Filled) -> None:
    store = filled.store
    for path, text in (
        ("invoices/1.txt", "Wood for acme"),
        ("letters/2.txt", "Acme wrote"),
        ("invoices/3.txt", "Wood"),
    ):
        filled.add(f"/photos/{path}".encode(), passage(text), medium="text")
    invoices, acme, wood = (AskedWord((word,)) for word in ("invoices", "acme", "wood"))
    (both,) = store.items_in_files_with([invoices], [acme], 9)
    assert [place.path for place in store.word_places((), [both], EVERYTHING, [filled.model_id])] == [
        b"/photos/invoices/1.txt"
    ]
    assert store.items_in_files_with([invoices], [acme, wood], 9) == [both]
    assert len(store.items_in_files_with([invoices], [wood], 9)) == 2
    assert len(store.items_in_files_with([invoices], [wood], 1)) == 1
    assert store.items_in_files_with([acme], [invoices], 9) == []


def test_files_are_found_by_what_they_are_called_and_not_by_what_they_tell(filled: Filled) -> None:
    store = filled.store
    filled.add(b"/photos/The Who/1.jpg", picture(1))
    told, titled = (filled.add(f"/photos/{number}.jpg".encode(), picture(number)) for number in (2, 3))
    with store.transaction():
        store.put_details(told, Details(description="The one or the who"), {"image": 1})
        store.put_details(titled, Details(title="Live: The Who"), {"image": 1})
    asked = AskedWord(("the", "who"))
    places = store.word_places(store.files_named(asked, 9), (), EVERYTHING, [filled.model_id])
    assert {place.path for place in places} == {b"/photos/The Who/1.jpg", b"/photos/3.jpg"}
    assert len(store.files_named(asked, 1)) == 1
    assert len(store.files_with(asked)) == 3


def test_a_text_of_any_length_is_found_by_its_words(filled: Filled, words: Words) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    long = ["x" + "".join(four) for four in itertools.islice(itertools.product(letters, repeat=4), 20_000)]
    filled.add(b"/photos/long.txt", passage(" ".join(long)), medium="text")
    assert words(f"{long[8]} {long[9]}") == words(long[1], long[-1]) == {b"/photos/long.txt"}
    assert words(f"{long[8]} {long[10]}") == words(long[1], "xzzzz") == set()


def test_a_word_may_be_only_begun(filled: Filled) -> None:
    filled.add(b"/photos/kitten.jpg", picture(1))
    begun, other = AskedWord(("kit",), is_begun=True), AskedWord(("kit",))
    assert len(filled.store.files_with(begun)) == 1
    assert filled.store.files_with(other) == set()
    phrase = AskedWord(("kitten", "jp"), is_begun=True)
    assert len(filled.store.files_with(phrase)) == 1
    assert filled.store.files_with(phrase._replace(pieces=("jpg", "kit"))) == set()


def test_no_phrase_goes_from_a_name_to_a_folder(filled: Filled, words: Words) -> None:
    filled.add(b"/photos/kitten.jpg", picture(1))
    assert words("kitten jpg") == words("jpg", "photos") == {b"/photos/kitten.jpg"}
    assert words("jpg photos") == set()


def test_what_photos_and_their_sidecars_say_is_found_until_it_is_another(filled: Filled, words: Words) -> None:
    store, path = filled.store, b"/photos/a.jpg"
    content_id = filled.add(path, picture(1))
    (file_id,) = store.files_below(path)
    with store.transaction():
        store.put_details(content_id, Details(title="Sunset", keywords=("old pier", "sea")), {"image": 1})
        store.put_sidecars(file_id, "one", FileFacts(details=Details(description="With Aunt Ottilie", place="Lisbon")))
    assert words("sunset") == words("old pier") == words("ottilie") == words("lisbon") == {path}
    with store.transaction():
        store.put_details(content_id, Details(title="Sunrise"), {"image": 2})
        store.put_sidecars(file_id, "two", FileFacts(details=Details(description="With Uncle Otto")))
    assert words("sunset") == words("pier") == words("ottilie") == set()
    assert words("sunrise") == words("otto") == {path}
    with store.transaction():
        store.remove_sidecars([file_id])
    assert words("otto") == set() != words("sunrise")


def test_words_follow_their_files(filled: Filled, words: Words) -> None:
    store = filled.store
    content_id = filled.add(b"/photos/one.txt", passage("a tale of whales"), medium="text")
    filled.add(b"/photos/two.txt", passage("a tale of snails"), medium="text")
    with store.transaction():  # moved
        store.put_file(filled.file(b"/photos/three.txt"), content_id)
        store.remove_path(b"/photos/one.txt")
    assert words("one") == set() and words("three") == words("whales") == {b"/photos/three.txt"}
    with store.transaction():  # other words in the same file
        other = store.put_content(Content(b"n" * 16, "text", 10))
        store.add_items(other, filled.model_id, [passage("news of newts")])
        store.put_details(other, Details(title="Pond"), {"text": 1})
        store.put_file(filled.file(b"/photos/three.txt"), other)
        store.remove_orphans()
    assert store.contents_among([content_id, other]) == {other}
    assert words("whales") == set() and words("newts") == words("pond") == {b"/photos/three.txt"}
    with store.transaction():  # another root has it
        sub = store.put_root(b"/photos/three.txt", "{}")
        store.give_file_to(store.files_below(b"/photos/three.txt")[0], sub.id)
    assert words("photos") == {b"/photos/two.txt"} and words("three") == {b"/photos/three.txt"}
    with store.transaction():
        store.remove_files(store.files_below(b"/photos"))
        store.remove_orphans()
    assert words("three") == words("newts") == words("photos") == set()
    assert store.settle_words() and not store.settle_words()


def test_a_transaction_that_fails_leaves_the_words_as_they_were(filled: Filled, words: Words) -> None:
    filled.add(b"/photos/one.jpg", picture(1))
    with pytest.raises(RuntimeError), filled.store.transaction():
        filled.store.remove_path(b"/photos/one.jpg")
        filled.store.put_file(filled.file(b"/photos/two.jpg"), 1)
        raise RuntimeError
    assert words("one") == {b"/photos/one.jpg"} and words("two") == set()


@pytest.mark.parametrize("comes_first", ["older", "newer"])
def test_several_models_have_the_words_of_a_content_once_and_none_takes_them_along(
    filled: Filled, words: Words, comes_first: str
) -> None:
    store = filled.store
    with store.transaction():
        other = add_model(store, ModelIdentity("other", "1", DIMENSION, "e" * 32))
        content_id = store.put_content(Content(b"c" * 16, "text", 10))
        store.put_file(filled.file(b"/photos/a.txt"), content_id)
        models = [filled.model_id, other] if comes_first == "older" else [other, filled.model_id]
        for model_id in models:
            passages = [passage(text, name="Zoo") for text in ("some whales", "and some snails")]
            store.add_items(content_id, model_id, passages)
    # Another stage adds what one of them alone has.
    with store.transaction():
        held = len(passages)
        store.remove_items_of([content_id], other)
        store.add_items(content_id, other, [*passages, passage("a sign", 2, source="ocr")])
    assert len(store.documents_with([AskedWord(("whales",))], 9)[1]) == 1
    assert len(store.documents_with([AskedWord(("zoo",))], 9)[1]) == held
    assert words("a sign") == {b"/photos/a.txt"}
    with store.transaction():
        store.remove_items_of_model(filled.model_id)
    assert len(store.documents_with([AskedWord(("whales",))], 9)[1]) == 1
    assert len(store.documents_with([AskedWord(("snails",))], 9)[1]) == 1
    assert len(store.documents_with([AskedWord(("zoo",))], 9)[1]) == held
    with store.transaction():
        store.remove_items_of_model(other)
    assert store.documents_with([AskedWord(("some",))], 9) == ([], [])


def test_what_is_indexed_of_a_place_is_told(filled: Filled) -> None:
    content_id = filled.add(b"/photos/sub/a.txt", passage("some whales", name="Zoo"), medium="text")
    with filled.store.transaction():
        filled.store.put_details(content_id, Details(title="T", description="D"), {"text": 1})
    (source,) = filled.store.word_sources([filled.store.latest_item()], EVERYTHING)
    assert (source.name, source.folders, source.said, source.told) == ("a.txt", "photos/sub", "T", "D")
    assert (source.text.split("\n"), source.path) == (["some whales", "Zoo"], b"/photos/sub/a.txt")
    assert filled.store.has_words() and filled.store.documents_known() == 3  # its name's, its text's and its part's
    with filled.store.transaction():
        filled.store.remove_files(filled.store.files_below(b"/photos"))
    assert filled.store.documents_known() == 2


def test_all_words_are_indexed_anew_as_they_were(filled: Filled, words: Words) -> None:
    filled.add(b"/photos/sub/a.txt", passage("some whales", name="Zoo"), medium="text")
    with filled.store.transaction():
        filled.store.renew_words()
    for asked in ("sub", "a", "whales", "zoo"):
        assert words(asked) == {b"/photos/sub/a.txt"}


def test_what_a_stage_found_is_kept_and_its_items_come_behind_the_others(store: Store) -> None:
    filled = Filled(store)
    stage = StageState("ocr", "1", "ocr", frozenset({"image"}))
    content_id = filled.add(b"/photos/a.jpg", EncodedItem("image", unit(1)))
    filled.add(b"/photos/a.txt", EncodedItem("text", unit(2), text="a"), medium="text")
    assert [file.path for file in store.files_to_read(stage, [filled.root.id], filled.model_id)] == [b"/photos/a.jpg"]
    assert store.files_to_read(stage, [filled.root.id + 1], filled.model_id) == []
    parts = [
        Part("text", "Exit", Locator(page=2, region=(0.0, 0.25, 0.5, 1.0), time=(1.0, 2.5), part_name="door"), "ocr")
    ]
    with store.transaction():
        store.put_stage(content_id, stage, parts)
    assert store.files_to_read(stage, [filled.root.id], filled.model_id) == []
    assert store.stage_parts(content_id, stage) == parts
    assert store.contents_to_encode(stage, filled.model_id) == [content_id]
    with store.transaction():
        assert store.note_texts_not_encoded(content_id, stage, filled.model_id, "too odd") == [b"/photos/a.jpg"]
    assert store.contents_to_encode(stage, filled.model_id) == []
    assert [failure.reason for failure in store.stage_failures(stage)] == ["too odd"]
    assert store.stage_counts(stage) == (1, 1, 0, 0)
    with store.transaction():
        store.remove_failures_of_model(filled.model_id)
    assert store.contents_to_encode(stage, filled.model_id) == [content_id]
    with store.transaction():
        item = EncodedItem("text", unit(0, 1), parts[0].locator, "ocr", "Exit")
        store.add_stage_items(content_id, filled.model_id, [item])
    assert store.contents_to_encode(stage, filled.model_id) == []
    assert store.stage_counts(stage) == (1, 1, 0, 0)
    found = store.found_items(store.item_ids(filled.model_id, "text").tolist(), EVERYTHING)
    assert [(one.path, one.source, one.locator) for one in found if one.source == "ocr"] == [
        (b"/photos/a.jpg", "ocr", parts[0].locator)
    ]
    newer = StageState("ocr", "2", "ocr", stage.media)
    with store.transaction():
        store.put_stage(content_id, newer, failure="blurred")
    assert [failure.reason for failure in store.stage_failures(newer)] == ["blurred"]
    assert store.stage_counts(newer) == (0, 0, 1, 0)
    assert store.count_items_of(filled.model_id) == 2
    with store.transaction():
        store.forget_stage_failures()
    assert store.stage_counts(newer) == (0, 0, 0, 1)


def some_of_everything(store: Store) -> None:
    """Puts rows into every table, with gaps in their numbers."""
    filled = Filled(store)
    first = filled.model_id
    film = EncodedItem("image", unit(0, 1), Locator(time=(0.5, 1.5), region=(0.0, 0.25, 0.5, 1.0)), source="frame")
    note = EncodedItem("text", unit(1, 1), Locator(start=0, end=9, line=1, part_name="Slide"), text="wörds\nhere")
    filled.add(b"/photos/gone.jpg", picture(1))
    facts = FileFacts(taken="2020-01-02T03:04:05", duration=2.5, pages=3)
    long = filled.add(b"/photos/\xff note.txt", note, film, medium="text", facts=facts)
    kept = filled.add(b"/photos/kept.jpg", picture(1, 2))
    stage = StageState("ocr", "1", "ocr", frozenset({"image"}))
    (file_id,) = store.files_below(b"/photos/kept.jpg")
    bank = QueryBank(np.stack([unit(1), unit(2, 1)]), sharpness=8.0, centre=0.1)
    archive = KnownArchive(b"/photos/a.zip", 10, 1, None, "zip 1", 2, {".bin": 1}, "damaged")
    with store.transaction():
        store.remove_files(store.files_below(b"/photos/gone.jpg"))
        store.remove_orphans()
        second = add_model(store, ModelIdentity("other", "2", DIMENSION, "e" * 32))
        store.add_items(long, second, [note])
        store.set_caught_up(first)
        store.put_details(kept, Details(camera="X100", iso=200, latitude=0.1, keywords=("a", "b")), {"image": 1})
        store.put_sidecars(file_id, "seen", FileFacts(details=Details(title="Lighthouse", rating=4)))
        store.note_failure(filled.file(b"/photos/bad.jpg"), "truncated", READERS)
        store.note_not_encoded(filled.file(b"/photos/odd.jpg"), "too large", READERS, second, False)
        store.put_unread(filled.root.id, {".xyz": 3})
        store.remark(long, first, "its end is missing", 2, 100)
        store.note_wordless(kept, second)
        store.put_stage(kept, stage, [Part("text", "Exit", Locator(region=(0.0, 0.25, 0.5, 1.0)), "ocr")])
        store.put_archive(filled.root.id, archive)
        store.insert_adapter("family", 1, "f" * 32, b"\0\1", "{}")
        store.put_query_bank(first, bank)


def all_rows(store: Store) -> dict[str, list[Row]]:
    with store.one_state():
        return {table.name: [row for rows in store.rows_of(table) for row in rows] for table in TABLES}


@pytest.mark.parametrize("other", STORES)
def test_all_rows_move_to_another_store(store: Store, other: str, new_place: Callable[[str], str]) -> None:
    some_of_everything(store)
    given = all_rows(store)
    assert [name for name, rows in given.items() if not rows] == []
    with closing(STORES[other].write(new_place(other))) as target:
        id_before = target.state()[0]
        with target.transaction():
            for table in TABLES:
                assert target.count_rows(table) == 0
                target.put_rows(table, given[table.name])
            target.rows_are_put()
        assert all_rows(target) == given
        assert [target.count_rows(table) for table in TABLES] == [len(rows) for rows in given.values()]
        assert target.state()[0] == id_before
        for words in (["lighthouse"], ["wörds"], ["slide"], ["kept"], ["gone"]):
            asked = [one for word in words if (one := asked_word(word))]
            assert target.documents_with(asked, 10) == store.documents_with(asked, 10), words
        model_id = store.model_rows()[0][0]
        for modality in ("image", "text"):
            near = store.nearest(model_id, modality, unit(1, 1), 10, EVERYTHING)
            found = target.nearest(model_id, modality, unit(1, 1), 10, EVERYTHING)
            assert found.item_ids.tolist() == near.item_ids.tolist() != []
            np.testing.assert_allclose(found.cosines, near.cosines, atol=1e-6)
        before = target.latest_item()
        with target.transaction():
            content_id = target.put_content(Content(b"new" * 6, "image", 10, 1, NO_FACTS))
            target.add_items(content_id, model_id, [picture(3)])
            target.put_file(FileState(target.roots()[0].id, b"/photos/new.jpg", 10, 1), content_id)
        assert target.latest_item() > before
        assert content_id not in [row[0] for row in given["contents"]]


def test_what_tells_of_a_store_itself_stays_with_it() -> None:
    fingerprint = "0123456789abcdef" * 2
    for key in (
        "library_id",
        "state",
        "schema",
        "words",
        f"codes {fingerprint[:16]}-image",
        "removed before graph",
        "looked at in graph",
    ):
        assert not belongs_to_library(key), key
    for key in ("model_id", "items_removed", "calibration", f"adapter_id {fingerprint}", "stage ocr", "graph"):
        assert belongs_to_library(key), key
