"""A library in PostgreSQL, on a real server: who may write it, what is said when there is none, and what survives."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest
from conftest import Mmsearch, refused
from postgres_server import (
    GUARDED,
    PASSWORD,
    PostgresServer,
    restored_server,
    running_standby,
)

from mmsearch import IndexSettings, Library
from mmsearch.errors import Busy, Invalid, MmsearchError, NotFound, Refused, Unavailable, Unsupported
from mmsearch.records import Content, Details, EncodedItem, FileState, Filters, Locator, ModelIdentity
from mmsearch.store.models import add_model
from mmsearch.store.words import AskedWord

if TYPE_CHECKING:
    from mmsearch.store.postgres.store import PostgresStore

DIMENSION = 8


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


def write(url: str) -> PostgresStore:
    from mmsearch.store.postgres.store import PostgresStore

    return PostgresStore.write(url)


def read(url: str) -> PostgresStore:
    from mmsearch.store.postgres.store import PostgresStore

    return PostgresStore.read(url)


def picture(number: int) -> EncodedItem:
    vector = np.zeros(DIMENSION, np.float32)
    vector[number % DIMENSION] = 1
    return EncodedItem("image", vector)


def begin(store: PostgresStore) -> int:
    """Takes a model and a root in. Returns the id of the model."""
    with store.transaction():
        store.put_root(b"/photos", "{}")
        return add_model(store, ModelIdentity("made-up", "1", DIMENSION, "f" * 32))


def put(store: PostgresStore, model_id: int, number: int) -> None:
    """Stores a photo, within the caller's transaction."""
    content_id = store.put_content(Content(number.to_bytes(16, "big"), "image", 10))
    store.add_items(content_id, model_id, [picture(number)])
    store.put_file(FileState(store.roots()[0].id, b"/photos/%d.jpg" % number, 10, 1), content_id)


def test_one_process_writes_at_a_time_and_readers_wait_for_nobody(url: str) -> None:
    with closing(write(url)) as store:
        with pytest.raises(Busy) as busy:
            write(url)
        assert f":{os.getpid()}" in str(busy.value)  # who it is
        model_id = begin(store)
        with closing(read(url)) as reader, store.transaction():
            put(store, model_id, 1)  # the first of its space, for which tables are made
            assert reader.file_count() == reader.item_count() == 0
            assert reader.vectors_after(model_id, "image", 0, 10)[0].tolist() == []
            assert reader.nearest(model_id, "image", picture(1).vector, 5, Filters())[0].tolist() == []
    with closing(write(url)) as store:
        assert store.file_count() == store.item_count() == 1


def test_a_writer_that_has_lost_its_connection_commits_nothing_more(postgres: PostgresServer, url: str) -> None:
    import psycopg

    with closing(write(url)) as store:
        model_id = begin(store)
        with pytest.raises(psycopg.OperationalError), store.transaction():
            put(store, model_id, 1)
            cut_off = f"SELECT pg_terminate_backend({store.connection.info.backend_pid}, 5000)"
            assert postgres.run(cut_off) == [(True,)]
            put(store, model_id, 2)
        with pytest.raises(psycopg.OperationalError), store.transaction():
            put(store, model_id, 3)
    with closing(write(url)) as store:  # the lock has gone with the connection
        assert store.file_count() == store.item_count() == 0


def test_the_caller_may_forbid_a_commit(url: str) -> None:
    from mmsearch.store.postgres.store import PostgresStore

    allowed = [True]

    def check() -> None:
        if not allowed.pop(0):
            raise Busy("The lock is lost")

    with closing(write(url)):
        pass
    with closing(PostgresStore.write(url, check)) as store:
        begin(store)
        allowed.append(False)
        with pytest.raises(Busy), store.transaction():
            store.put_root(b"/other", "{}")
        assert [root.path for root in store.roots()] == [b"/photos"]


def test_a_run_that_finds_nothing_new_writes_nothing(url: str) -> None:
    with closing(write(url)) as store:
        begin(store)
        before = store.state()
        with store.transaction():
            store.put_root(b"/photos", "{}")
            store.retire_orphans()
            store.remove_files([])
            store.remove_failures([])
        assert store.state() == before


def test_the_tables_of_a_model_go_with_it_and_no_reader_is_in_the_way(postgres: PostgresServer, url: str) -> None:
    def tables() -> set[str]:
        asked = "SELECT relname FROM pg_class WHERE relname ~ '^vectors_[0-9]+(_image)?$'"
        return {row[0] for row in postgres.run(asked, postgres.name_of(url))}

    with closing(write(url)) as store:
        model_id = begin(store)
        with store.transaction():
            put(store, model_id, 1)
        with closing(read(url)) as reader, reader.one_state():
            assert len(reader.vectors_after(model_id, "image", 0, 10)[0]) == 1
            with store.transaction():
                other = add_model(store, ModelIdentity("made-up", "2", DIMENSION, "e" * 32))
                store.add_items(1, other, [picture(2)])
            store.drop_lost_tables()
            assert len(reader.vectors_after(model_id, "image", 0, 10)[0]) == 1  # in its state it is there
        kept = {f"vectors_{other}", f"vectors_{other}_image"}
        assert tables() == kept | {f"vectors_{model_id}", f"vectors_{model_id}_image"}
    with closing(write(url)) as store:
        assert tables() == kept
        assert store.nearest(other, "image", picture(2).vector, 5, Filters())[0].tolist() == [2]


def test_a_text_may_have_what_postgresql_has_not(url: str) -> None:
    with closing(write(url)) as store:
        model_id = begin(store)
        with store.transaction():
            put(store, model_id, 1)
            store.put_details(1, Details(title="a\0b", keywords=("c\0", "d")), {"image": 1})
            content_id = store.put_content(Content(b"t" * 16, "text", 10))
            item = EncodedItem("text", picture(2).vector, Locator(start=0, end=3), "body", "x\0y")
            store.add_items(content_id, model_id, [item])
            store.put_file(FileState(store.roots()[0].id, b"/photos/t.txt", 10, 1), content_id)
        found = {one.path: one for one in store.found_items([1, 2], Filters())}
        assert found[b"/photos/t.txt"].text == "x\ufffdy"  # as many characters, so that places in it still fit
        assert found[b"/photos/1.jpg"].facts.details.keywords == ("c\ufffd", "d")


def test_a_database_without_a_library_or_with_a_newer_one_is_told(postgres: PostgresServer, url: str) -> None:
    with pytest.raises(NotFound, match="no library in postgresql://postgres@/library_"):
        read(url)
    with closing(write(url)) as store, store.transaction():
        store.set_setting("schema", "99")
    for opened in (read, write):
        with pytest.raises(Unsupported, match="newer mmsearch"):
            opened(url)
    postgres.run("UPDATE mmsearch.settings SET value = '0' WHERE key = 'schema'", postgres.name_of(url))
    with pytest.raises(Refused, match="older mmsearch"):
        read(url)


def test_what_bars_the_way_to_the_server_is_told_in_a_sentence_without_the_password(
    postgres: PostgresServer, url: str
) -> None:
    name = postgres.name_of(url)
    secret = "s3cr3t-word"
    barred: list[tuple[str, type[MmsearchError], str]] = [
        (postgres.url(name, GUARDED, secret), Refused, "password authentication failed"),
        (postgres.url(name, GUARDED), Refused, "no password supplied"),
        (postgres.url("nowhere", GUARDED, PASSWORD), NotFound, 'database "nowhere" does not exist'),
        (f"postgresql://ana:{secret}@127.0.0.1:1/photos", Unavailable, "ana@127.0.0.1:1/photos is out of reach"),
        (f"postgresql://ana:{secret}@/photos?host=%2Fnone", Unavailable, "out of reach"),
        (f"postgresql://ana:{secret}/w@127.0.0.1/photos", Invalid, "%2F"),
        (f"postgresql://ana:w@{secret}@127.0.0.1/photos", Invalid, "%40"),
        (f"postgresql://ana:{secret}%zz@127.0.0.1/photos", Invalid, "postgresql://user@host"),
        (f"postgresql://ana:{secret}@127.0.0.1/photos?colour=red", Invalid, "postgresql://user@host"),
    ]
    for address, kind, said in barred:
        for opened in (read, write):
            with pytest.raises(kind) as error:
                opened(address)
            assert said in str(error.value), address
            assert secret not in str(error.value) and PASSWORD not in str(error.value)
            assert quote(PASSWORD, safe="") not in str(error.value)


def test_who_may_not_do_it_is_told_what_the_owner_can_do(postgres: PostgresServer, url: str) -> None:
    name = postgres.name_of(url)
    guest = postgres.url(name, GUARDED, PASSWORD)
    postgres.run(f"ALTER DATABASE {name} OWNER TO {GUARDED}")
    with pytest.raises(Refused, match="let a superuser of the server run CREATE EXTENSION vector"):
        write(guest)  # an owner of the database may not add it either
    with closing(write(url)) as store:
        begin(store)
    with pytest.raises(Refused, match="permission denied"):
        read(guest)
    postgres.run(f"GRANT USAGE ON SCHEMA mmsearch TO {GUARDED}", name)
    postgres.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA mmsearch TO {GUARDED}", name)
    with closing(write(url)) as store, store.transaction():
        put(store, store.model_rows()[0][0], 1)  # the first of its space, whose table is made after the grant
    with closing(read(guest)) as reader:
        assert reader.nearest(reader.model_rows()[0][0], "image", picture(1).vector, 5, Filters())[0].tolist() == [1]
    from mmsearch.store.postgres.refusals import mapped_errors

    refused = pytest.raises(Refused, match="permission denied")
    with closing(write(guest)) as store, refused, mapped_errors(guest), store.transaction():
        store.put_root(b"/other", "{}")


def test_a_reader_goes_on_when_the_server_was_started_anew(own_server: PostgresServer) -> None:
    from mmsearch.store.postgres.refusals import mapped_errors

    url = own_server.new_database()
    with closing(write(url)) as store:
        begin(store)
    with closing(read(url)) as reader:
        assert len(reader.roots()) == 1
        for ending in (signal.SIGINT, signal.SIGKILL):
            own_server.stop(ending)
            for _ in range(2):
                with pytest.raises(Unavailable) as error, mapped_errors(url):
                    reader.roots()
                assert str(error.value).count(".") <= str(error.value).count("/") + 1
            own_server.start()
            assert len(reader.roots()) == 1
        with pytest.raises(Unavailable), mapped_errors(url), reader.one_state():
            assert len(reader.roots()) == 1
            own_server.stop()
            own_server.start()
            reader.roots()  # which would be of another state
        with reader.one_state():
            assert len(reader.roots()) == 1


def test_a_dump_restores_the_whole_library(postgres: PostgresServer, url: str) -> None:
    with closing(write(url)) as store:
        model_id = begin(store)
        with store.transaction():
            for number in range(1, 6):
                put(store, model_id, number)
            store.put_details(1, Details(title="Sunset"), {"image": 1})
        with store.transaction():
            store.remove_path(b"/photos/5.jpg")
            store.remove_orphans()
        before = what_is_there(url)
        place = os.path.join(postgres.folder, "library.dump")
        postgres.program("pg_dump", "-Fc", "--schema=mmsearch", "-f", place, url)
    restored = postgres.new_database()
    postgres.run("CREATE EXTENSION vector", postgres.name_of(restored))
    postgres.run(f"ALTER DATABASE {postgres.name_of(restored)} OWNER TO {GUARDED}")
    restored = postgres.url(postgres.name_of(restored), GUARDED, PASSWORD)  # which is no superuser
    postgres.program("pg_restore", "--exit-on-error", "--no-owner", "-d", restored, place)
    assert what_is_there(restored) == before
    with closing(write(restored)) as store:
        assert store.nearest(model_id, "image", picture(3).vector, 1, Filters())[0].tolist() == [3]
        assert len(store.files_with(AskedWord(("sunset",)))) == 1
        with store.transaction():
            put(store, model_id, 6)
            store.remove_path(b"/photos/1.jpg")
            store.remove_orphans()
        assert store.latest_item() == 6  # and not 5, which another item had
        assert store.files_with(AskedWord(("sunset",))) == set()


def test_a_new_library_has_all_that_is_looked_for_and_nothing_more(url: str) -> None:
    from mmsearch.store.postgres import wholeness
    from mmsearch.store.postgres.schema import statements

    with closing(write(url)) as store:
        there = store.connection.execute(wholeness._ALL.encode()).fetchall()
    ours = {(kind, name): count for _, kind, name, count in there if not name.endswith(("_key", "_pkey"))}
    assert ours == wholeness._parts_of(statements())


@pytest.fixture(scope="module")
def dump(postgres: PostgresServer) -> tuple[str, bytes]:
    """A dump of a library with a photo: where it may be written to be read back, and its bytes."""
    url, place = postgres.new_database(), os.path.join(postgres.folder, "whole.dump")
    with closing(write(url)) as store:
        model_id = begin(store)
        with store.transaction():
            put(store, model_id, 1)
    postgres.program("pg_dump", "-Fc", "--schema=mmsearch", "-f", place, url)
    return place, Path(place).read_bytes()


def restored(server: PostgresServer, place: str, *options: str, extension: bool = True) -> str:
    """The URL of a new database that a dump was read back to as far as it went."""
    url = server.new_database()
    if extension:
        server.run("CREATE EXTENSION vector", server.name_of(url))
    with suppress(RuntimeError):
        server.program("pg_restore", *options, "-d", url, place)
    return url


def assert_not_whole(url: str, words: str, tmp_path: Path) -> None:
    """Nothing that is done with the library takes it for one, and nothing changes it."""
    with Library(url) as library:
        for act in (
            library.status,
            library.care.examine,
            library.work,
            lambda: library.search("a cat"),
            lambda: library.index([tmp_path]),
            lambda: library.index([tmp_path], settings=IndexSettings(queue=True)),
        ):
            with refused(words):
                act()


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ("TABLE details CASCADE", "the table details and [0-9]+ other parts of it missing"),
        ("TABLE settings CASCADE", "a part of a library alone"),
        ("TABLE spaces CASCADE", "not as it was written"),
        ("TABLE vectors_1_image CASCADE", "the table vectors_1_image and 1 other parts? of it missing"),
        ("INDEX items_content", "the index items_content of it missing"),
        ("TRIGGER items_removed ON items", "the trigger items_removed of it missing"),
    ],
)
def test_a_library_of_which_a_part_was_not_restored_is_not_taken_for_one(
    postgres: PostgresServer, dump: tuple[str, bytes], tmp_path: Path, lost: str, told: str
) -> None:
    url = restored(postgres, dump[0], "--exit-on-error")
    with closing(read(url)) as store:
        assert store.file_count() == 1
    postgres.run(f"SET search_path = mmsearch; DROP {lost}", postgres.name_of(url))
    assert_not_whole(url, told, tmp_path)


def test_a_constraint_that_was_not_restored_is_missed(
    postgres: PostgresServer, dump: tuple[str, bytes], tmp_path: Path
) -> None:
    url = restored(postgres, dump[0])
    postgres.run("ALTER TABLE mmsearch.jobs DROP CONSTRAINT jobs_path_model_id_key", postgres.name_of(url))
    assert_not_whole(url, "a constraint of jobs of it missing", tmp_path)


def test_a_dump_that_is_cut_off_or_read_back_where_there_is_no_pgvector_makes_no_library(
    postgres: PostgresServer, dump: tuple[str, bytes], tmp_path: Path, mmsearch: Mmsearch
) -> None:
    place, whole = dump
    assert_not_whole(restored(postgres, place, extension=False), "the table vectors and", tmp_path)
    assert_not_whole(restored(postgres, place, "--section=pre-data"), "a part of a library alone", tmp_path)
    only_data = restored(postgres, place, "--section=pre-data", "--section=data")
    assert_not_whole(only_data, "not whole", tmp_path)
    for end in (-1, -200):  # of the tables' rows; without its list of contents none is read back at all
        Path(place).write_bytes(whole[:end])
        assert_not_whole(restored(postgres, place), "not whole|a part of a library alone", tmp_path)
    Path(place).write_bytes(whole)
    for command in (["status"], ["search", "a cat"], ["doctor"], ["index", str(tmp_path)], ["worker"]):
        said = mmsearch(*command, "--library", only_data)
        assert said.code == 2 and "is not whole, as after a restore that broke off" in said.err
        assert said.err.count("\n") == 1 and not said.out


@pytest.mark.slow
def test_a_base_backup_made_while_it_is_written_restores_the_whole_library(
    own_server: PostgresServer,
) -> None:
    url = own_server.new_database()
    writer = Writer(url)
    try:
        for number in range(1, 6):
            assert writer.step() == f"within {number}"
            writer.go_on()
            assert writer.step() == f"after {number}"
            writer.go_on()
        assert writer.step() == "within 6"  # which is not committed, and is in no backup
        with restored_server(own_server) as restored:
            writer.go_on()
            assert writer.step() == "after 6"
            copy = restored.url(own_server.name_of(url))
            assert what_is_there(copy)[0] == 5 and what_is_there(url)[0] == 6
            own_server.stop(signal.SIGKILL)
            with closing(write(copy)) as store, store.transaction():  # nobody holds the lock there
                put(store, store.model_rows()[0][0], 6)
            assert what_is_there(copy)[0] == 6
    finally:
        writer.kill()


@pytest.mark.slow
def test_a_standby_is_searched_and_not_written(own_server: PostgresServer) -> None:
    url = own_server.new_database()
    with closing(write(url)) as store:
        model_id = begin(store)
    with running_standby(own_server) as standby:
        copy = standby.url(own_server.name_of(url))
        with pytest.raises(Refused, match="is a standby"):
            write(copy)
        with closing(write(url)) as store, closing(read(copy)) as reader:
            assert store.runs() == [(None, f"{platform.node()}:{os.getpid()}")] and reader.runs() is None
            for number in range(1, 4):
                with store.transaction():
                    put(store, model_id, number)
                with reader.one_state():
                    assert reader.state() == store.state()
                    found = reader.nearest(model_id, "image", picture(number).vector, 1, Filters())
                    assert found[0].tolist() == [number]


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from test_postgres import begin, put, write
store = write({url!r})
model_id = store.model_rows()[0][0] if store.model_rows() else begin(store)
for number in range(store.file_count() + 1, 1000):
    with store.transaction():
        put(store, model_id, number)
        print("within", number, flush=True)
        sys.stdin.readline()
    print("after", number, flush=True)
    sys.stdin.readline()
"""


class Writer:
    """A process that stores one photo a transaction, a step at a time: within the transaction, and after it."""

    def __init__(self, url: str) -> None:
        code = WRITER.format(tests=str(Path(__file__).parent), url=url)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def step(self) -> str:
        """Waits until it has come to the next point, and says which; "" once it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def what_is_there(url: str) -> tuple[Any, ...]:
    """Looks whether all of each photo is there or nothing, and gives what there is."""
    with closing(read(url)) as reader, reader.one_state():
        files, items, newest = reader.file_count(), reader.item_count(), reader.latest_item()
        model_id = reader.model_rows()[0][0]
        ids, vectors = reader.vectors_after(model_id, "image", 0, 1000)
        assert len(ids) == len(vectors) == files == items
        assert reader.files_without_items(model_id) == set()
        assert not reader.has_orphans()
        if files:
            assert max(ids.tolist()) == newest
            assert {one.path for one in reader.found_items(ids.tolist(), Filters())} == {
                b"/photos/%d.jpg" % number for number in range(1, files + 1)
            }
            assert reader.documents_known() == files
        return files, reader.state()[1]


def test_a_writer_that_is_killed_leaves_nothing_half(url: str) -> None:
    for kills in range(3):
        writer = Writer(url)
        try:
            assert writer.step() == f"within {2 * kills + 1}"
            writer.go_on()
            assert writer.step() == f"after {2 * kills + 1}"
            writer.go_on()
            assert writer.step() == f"within {2 * kills + 2}"
        finally:
            writer.kill()
        _wait_for_the_lock(url)
        assert what_is_there(url)[0] == 2 * kills + 1
        writer = Writer(url)
        try:
            assert writer.step() == f"within {2 * kills + 2}"
            writer.go_on()
            assert writer.step() == f"after {2 * kills + 2}"
        finally:
            writer.kill()
        _wait_for_the_lock(url)
        assert what_is_there(url)[0] == 2 * kills + 2


@pytest.mark.slow
def test_a_server_that_is_killed_leaves_nothing_half(own_server: PostgresServer) -> None:
    url = own_server.new_database()
    stored = 0
    for ending in (signal.SIGQUIT, signal.SIGKILL) * 5:
        writer = Writer(url)
        try:
            assert writer.step() == f"within {stored + 1}"
            writer.go_on()
            assert writer.step() == f"after {stored + 1}"
            stored += 1
            writer.go_on()
            assert writer.step() == f"within {stored + 1}"
            own_server.stop(ending)
            writer.go_on()
            if said := writer.step():
                # The processes of a server that was killed alone end when they notice, and may commit before.
                stored += 1
                assert (ending, said) == (signal.SIGKILL, f"after {stored}")
            else:  # it could not commit, and said so
                assert writer.process.wait(60) == 1
        finally:
            writer.kill()
        own_server.start()
        assert what_is_there(url)[0] == stored


def _wait_for_the_lock(url: str) -> None:
    """The server notices within moments that a process is gone."""
    assert any(_may_write(url) for _ in range(1000))


def _may_write(url: str) -> bool:
    try:
        write(url).close()
    except Busy:
        return False
    return True
