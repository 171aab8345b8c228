"""A library in PostgreSQL is used as one in a folder is: by the same commands, with the same answers."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from string import ascii_letters, digits
from typing import Any

import numpy as np
import psycopg
import pytest
from conftest import Mmsearch
from postgres_server import GUARDED, PASSWORD, PostgresServer

from mmsearch import Filters, IndexSettings, Library, Query, Session, Term
from mmsearch.encoding.adapted import Adapter, LowRankMap
from mmsearch.errors import Busy, Refused, Unsupported
from mmsearch.indexing.work import WorkSettings
from mmsearch.records import Content, EncodedItem, FileState, ModelIdentity
from mmsearch.searching.query import text_term
from mmsearch.server.rest.index_process import started, told_by
from mmsearch.store.adapters import add_adapter, use_adapter
from mmsearch.store.models import add_model, stored_models
from mmsearch.store.opening import KINDS, Kind
from mmsearch.store.postgres.connected import Connected
from mmsearch.store.postgres.items import ItemTables
from mmsearch.store.postgres.store import PostgresStore


@pytest.fixture
def url(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database that nobody has used; the working folder is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return postgres.new_database()


def test_the_command_line_uses_it(url: str, home: Path, mmsearch: Mmsearch) -> None:
    def run(*arguments: str | Path) -> object:
        done = mmsearch(*arguments, "--library", url, "--json")
        assert done.code == 0, done.err
        return done.json

    assert mmsearch("search", "a cat", "--library", url).code == 2
    report = run("index", home)
    assert isinstance(report, dict) and report["added"] == 4
    hits = run("search", "a cat")
    assert isinstance(hits, dict) and hits["library"].startswith("postgresql://")
    assert os.path.basename(hits["hits"][0]["path"]) == "cat.png"
    listed = run("search", "--sort", "name")
    assert isinstance(listed, dict)
    assert [os.path.basename(hit["path"]) for hit in listed["hits"]] == sorted(os.listdir(home))
    assert run("search", "--like", "1")
    told = run("status")
    assert isinstance(told, dict) and (told["images"], told["texts"]) == (2, 2) and told["bytes"] > 0
    run("forget", home / "tax.txt")
    told = run("status")
    assert isinstance(told, dict) and told["texts"] == 1
    assert os.listdir(os.getcwd()) == []
    for command in (["doctor"], ["compact"], ["backup", "copy"]):
        refused = mmsearch(*command, "--library", url)
        assert refused.code == 2 and "PostgreSQL's care" in refused.err, refused.err
        assert "Traceback" not in refused.err


QUERIES = (
    Query((text_term("a cat"),), min_score=0.0),
    Query((text_term("a cup of coffee"),)),
    Query((text_term("income tax"), Term("text", "coffee", -0.5))),
    Query((Term("text", "in space"), Term("text", "a person", 0.4))),
    Query((text_term('"kittens"'),)),
    Query((text_term("milk"),), Filters(medium="text")),
    Query((text_term("stones"),), Filters(extensions=(".png",)), min_score=0.0),
    Query((text_term("xkzq vrrpl"),)),
    Query((text_term("a cat"),), min_score=0.0, limit=4, offset=3),
    Query((text_term("a cat"),), min_score=0.0, random=7, limit=5),
)


def told(library: Library, query: Query, machine: Session | None = None) -> list[tuple[object, ...]]:
    """What a person sees of an answer."""
    result = machine.search(query) if machine else library.search(query)
    shown = [result.total, result.total_exact, bool(result.nearest), *result.thresholds]
    thresholds = [(round(threshold, 3),) for threshold in result.thresholds.values()]
    hits = [(hit.path, round(hit.score, 3), round(hit.similarity, 3), hit.snippet, hit.copies) for hit in result.hits]
    return [tuple(shown), *thresholds, *hits]


def with_examples(photos: Path, elsewhere: Path) -> list[Query]:
    """Queries by a picture that is in the library, by one that is not, and by one with words."""
    shutil.copy(photos / "photos" / "coffee.png", elsewhere)
    inside = Term("image", str(photos / "photos" / "rocket.jpg"))
    outside = Term("image", str(elsewhere))
    return [
        Query((inside,)),
        Query((outside,)),
        Query((inside, text_term("-a person"))),
        Query((outside, text_term("cup"))),
    ]


def a_small_adapter(model: ModelIdentity) -> Adapter:
    chance = np.random.default_rng(4)

    def drawn() -> LowRankMap:
        down, up = (np.asarray(chance.normal(size=size) / 20, np.float32) for size in ((384, 4), (4, 384)))
        return LowRankMap(down, up)

    return Adapter("small", 1, model.fingerprint, {"image": drawn(), "text": drawn()}, {})


@pytest.fixture
def both(url: str, photos: Path, tmp_path: Path) -> Iterator[tuple[Library, Library]]:
    """A library in a folder, and a team's, of the same files."""
    with Library(tmp_path / "folder") as plain, Library(url) as team:
        plain.index([photos])
        team.index([photos])
        yield plain, team


def test_it_answers_as_a_library_in_a_folder_does(
    both: tuple[Library, Library], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, team = both
    queries = [*QUERIES, *with_examples(photos, tmp_path / "example.png")]
    expected = [told(plain, query) for query in queries]
    assert [told(team, query) for query in queries] == expected
    cat = plain.search("a cat").hits[0]
    for query in (
        Query((), like=(cat.id,)),
        Query((text_term("a photo"),), like=(cat.id,), unlike=(plain.id_called(photos / "photos" / "moon.png"),)),
    ):
        assert told(team, query) == told(plain, query)
    channels = [(one.channel, round(one.score, 3)) for one in plain.explain(cat.path, "a cat").channels]
    assert [(one.channel, round(one.score, 3)) for one in team.explain(cat.path, "a cat").channels] == channels
    assert [one.path for one in team.list_files().hits] == [one.path for one in plain.list_files().hits]
    assert team.facets() == plain.facets()
    assert [one.files for one in team.models.list()] == [one.files for one in plain.models.list()]
    assert len(team.duplicates().groups) == len(plain.duplicates().groups)
    # A machine that never indexed finds the same, by what the server says, and keeps no vectors.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    with Library(team.given) as another, another.session() as session:
        assert [told(another, query, session) for query in queries] == expected
        assert [told(another, query, session) for query in queries] == expected  # with what it remembers
    for machine in ("cache", "elsewhere"):
        kept = [path.suffix for path in Path(tmp_path, machine, "mmsearch", "libraries").rglob("*")]
        assert not set(kept) & {".codes", ".rows", ".hnsw"}


def test_an_adapter_moves_what_the_server_finds(both: tuple[Library, Library]) -> None:
    plain, team = both
    without = told(team, QUERIES[0])
    for library in both:
        with library._access.writing() as store, store.transaction():
            (model,) = stored_models(store)
            adapter = a_small_adapter(model.identity)
            use_adapter(store, adapter.model_fingerprint, add_adapter(store, adapter, "{}"))
    for query in QUERIES:
        assert told(team, query) == told(plain, query)
    assert told(team, QUERIES[0]) != without


def test_no_session_reads_all_vectors_and_nobody_notes_files_of_his_machine(
    both: tuple[Library, Library], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, team = both
    with closing(PostgresStore.read(url)) as store:
        keys = [str(key) for (key,) in store.connection.execute("SELECT key FROM settings")]
    assert "calibration" in keys and not [key for key in keys if key.startswith(("codes ", "rows ", "hnsw "))]
    exact = [hit.path for hit in team.search("a cat", scan="exact").hits]
    for method in ("vectors_after", "item_ids", "matching_items"):
        monkeypatch.delattr(ItemTables, method)
    with team.session() as session:
        assert [hit.path for hit in session.search("a cat").hits] == exact
        assert session.search(QUERIES[5]).hits


def test_a_search_finds_more_than_it_looks_at_first(url: str, tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / "here" / f"{number}.txt").write_text(f"Chapter {number}. It was a dark and stormy night.")
    with Library(url) as team, Library(tmp_path / "folder") as plain:
        for library in (team, plain):
            library.index([tmp_path / "here"])
        for words in ("income tax", "a stormy night"):
            everything = Query((text_term(words),), min_score=0.0, limit=100)
            found = team.search(everything)
            assert len(found.hits) == found.total == 60
            for query in (everything, replace(everything, limit=10), replace(everything, limit=10, offset=45)):
                first, *hits = told(team, query)
                expected, *others = told(plain, query)
                assert first == expected and len(hits) == len(others)


def test_a_run_of_index_has_the_server_make_its_graphs(
    url: str, photos: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def graphs() -> list[str]:
        names = postgres.run("SELECT indexrelname FROM pg_stat_user_indexes", postgres.name_of(url))
        return [name for (name,) in names if name.endswith("_graph")]

    with Library(url) as team:
        team.index([photos])
        monkeypatch.setattr("mmsearch.store.postgres.graphs.LEAST_ITEMS", 10)
        stopped = IndexSettings()
        stopped.stop.set()
        assert team.index(settings=stopped).stopped and graphs() == []  # who stops it waits for its end
        team.index()
        assert graphs() == ["vectors_1_image_graph"]
        exact = [hit.path for hit in team.search(QUERIES[0], scan="exact").hits]
        assert [hit.path for hit in team.search(QUERIES[0]).hits] == exact


def test_what_a_folder_keeps_to_be_searched_is_refused(url: str, home: Path, mmsearch: Mmsearch) -> None:
    for option, left_out in ((["--graph"], "--graph"), (["--codes", "128"], "--codes")):
        refused = mmsearch("index", home, *option, "--library", url)
        assert refused.code == 2 and f"leave {left_out} out" in refused.err


def test_a_server_sees_what_its_own_run_of_index_finds(url: str, home: Path) -> None:
    with Library(url) as team:
        team.index([home])
        with team.session() as session:
            assert session.search("a cat").hits[0].path == str(home / "cat.png")
            (home / "boats.txt").write_text("Sailing boats in the harbour.")
            with started(team.given, []) as process:
                assert process.stdout is not None
                told = list(told_by(process.stdout))
            assert told[-1]["report"]["added"] == 1
            assert session.search("sailing boats").hits[0].path == str(home / "boats.txt")


def test_one_process_writes_at_a_time(url: str, home: Path) -> None:
    with Library(url) as team:
        team.index([home])
        with closing(PostgresStore.write(url)), pytest.raises(Busy):
            team.index()
        assert team.index().added == 0
        with pytest.raises(Refused, match="pg_dump"):
            team.care.backup("copy")


@pytest.fixture
def far_down(tmp_path: Path) -> Path:
    """A note with a path of more bytes than an index of PostgreSQL takes."""
    folder = tmp_path / "home"
    chance = random.Random(1)
    while len(os.fsencode(folder)) < 2_700:
        folder /= "".join(chance.choices(ascii_letters + digits, k=200))
    folder.mkdir(parents=True)
    (folder / "far.txt").write_text("A lighthouse far away.")
    return folder / "far.txt"


@pytest.mark.parametrize("queued", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["alone", "by a worker"])
def test_a_path_that_postgres_cannot_keep_is_told_and_ends_no_run(
    url: str, home: Path, far_down: Path, queued: bool, tmp_path: Path
) -> None:
    (far_down.parent / "nowhere.txt").symlink_to("nothing")
    reason = "path of more than 2,600 bytes, which a library there cannot keep"
    with Library(url) as team:
        for added in (4, 0):
            if queued:
                settings = IndexSettings(queue=True)
                settings.stop.set()
                team.index([home], settings=settings)
                team.work(WorkSettings(exit_when_empty=True))
                report = team.index([home], settings=IndexSettings(queue=True))
            else:
                report = team.index([home])
            assert report.added == (0 if queued else added)
            told = {os.fsdecode(problem.path): problem.reason for problem in report.problems}
            assert told[str(far_down)] == reason and len(told) == 2
        assert team.status().counts.texts == 2
        assert str(far_down) not in [hit.path for hit in team.search("a lighthouse far away").hits]
    with Library(tmp_path / "folder") as plain:
        plain.index([home])
        assert plain.search("a lighthouse far away").hits[0].path == str(far_down)


def test_no_output_has_the_password(postgres: PostgresServer, url: str, home: Path, mmsearch: Mmsearch) -> None:
    guarded = postgres.url(postgres.name_of(url), GUARDED, PASSWORD)
    wrong = guarded.replace("w%40rd", "w%40rong")
    assert wrong != guarded
    for arguments in (["index", str(home)], ["status"], ["status", "--json"], ["watch", "--install"]):
        for location in (guarded, wrong):
            done = mmsearch(*arguments, "--library", location)
            assert "w%40r" not in done.out + done.err and "w@r" not in done.out + done.err
            assert done.code == 2 or location == guarded


def test_without_the_extra_it_is_refused_by_name(mmsearch: Mmsearch, monkeypatch: pytest.MonkeyPatch) -> None:
    known = KINDS["postgres"]
    monkeypatch.setitem(KINDS, "postgres", Kind("nobody_has_psycopg.place", known.extra, ("nobody_has_psycopg",), ""))
    with pytest.raises(Unsupported, match="needs the extra postgres, which is not installed"):
        Library("postgres://db/photos")


def test_a_library_in_a_folder_loads_nothing_of_it(indexed: Path) -> None:
    script = "import sys; from mmsearch import Library; Library(sys.argv[1]).status(); print('psycopg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script, str(indexed)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_warm_search_is_few_statements_and_keeps_them_prepared(
    both: tuple[Library, Library], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, team = both
    asked: list[tuple[Connected, str]] = []
    run = Connected._run

    def noted(store: Connected, statement: str, *values: Any, **how: Any) -> Any:
        asked.append((store, statement))
        return run(store, statement, *values, **how)

    monkeypatch.setattr(Connected, "_run", noted)
    with team.session() as session:
        for text in ("a cat", "a moon", "a cup of coffee"):
            session.search(text)
        asked.clear()
        session.search("a rocket in space")
        assert len(asked) <= 14, [statement for _, statement in asked]
        store = asked[0][0]
        assert store._number("SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql") >= 5
        assert store._number("SELECT sum(generic_plans + custom_plans) FROM pg_prepared_statements") >= 10
    with closing(PostgresStore.write(url)) as writer:
        # What was indexed is in the index of words, where the server may have put it off.
        assert writer._number("SELECT gin_clean_pending_list('file_words_words')") == 0


def test_words_are_asked_of_the_server_once_a_state(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "first.txt").write_text("The lighthouse keeper lives on a rock.")
    asked: list[str] = []
    run = Connected._run

    def noted(store: Connected, statement: str, *values: Any, **how: Any) -> Any:
        asked.append(statement)
        return run(store, statement, *values, **how)

    def found(text: str) -> tuple[set[str], int]:
        """The names of the hits, and how many statements asked for documents with words."""
        asked.clear()
        names = {Path(hit.path).name for hit in session.search(text).hits}
        return names, sum("@@" in statement for statement in asked)

    monkeypatch.setattr(Connected, "_run", noted)
    with Library(postgres.new_database()) as team:
        team.index([tmp_path])
        with team.session() as session:
            names, statements = found("lighthouse")
            assert names == {"first.txt"} and statements > 0
            assert found("lighthouse") == ({"first.txt"}, 0)
            (tmp_path / "second.txt").write_text("A lighthouse stands at the harbour.")
            team.index([tmp_path])
            names, statements = found("lighthouse")
            assert names == {"first.txt", "second.txt"} and statements > 0


def test_a_photo_is_stored_in_two_trips_to_the_server(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    run = Connected._run

    def noted(store: Connected, statement: str, *values: Any, **how: Any) -> Any:
        asked.append(statement)
        return run(store, statement, *values, **how)

    def photo(number: int) -> None:
        content_id = store.put_content(Content(number.to_bytes(16, "big"), "image", 10, details_version=1))
        store.add_items(content_id, model_id, [EncodedItem("image", np.eye(8, dtype=np.float32)[number % 8])])
        store.remark(content_id, model_id, None, 0, 10)
        store.put_file(FileState(root_id, b"/photos/%d.jpg" % number, 10, 1), content_id)

    with closing(PostgresStore.write(postgres.new_database())) as store:
        with store.transaction():
            model_id = add_model(store, ModelIdentity("made-up", "1", 8, "f" * 32))
            root_id = store.put_root(b"/photos", "{}").id
            photo(0)
        monkeypatch.setattr(Connected, "_run", noted)
        with store.transaction():
            photo(1)
            asked.clear()
            for number in range(2, 12):
                photo(number)
            assert len(asked) == 10, asked
        assert (store.file_count(), store.item_count()) == (12, 12)
        # What is wrong with one of them is told, and nothing of the transaction is kept.
        with pytest.raises(psycopg.errors.ProgramLimitExceeded), store.transaction():
            photo(12)
            store.put_file(FileState(root_id, os.urandom(9_000).replace(b"\0", b"/"), 10, 1), 1)
            photo(13)
        assert (store.file_count(), store.item_count()) == (12, 12)
        with store.transaction():
            photo(12)
        assert [len(store.vectors_after(model_id, "image", 0, 99)[0]), store.file_count()] == [13, 13]
