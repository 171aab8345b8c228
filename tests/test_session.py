"""One session, many threads, and a library that changes under it."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmsearch import Filters, Library, MmsearchError, Query
from mmsearch.encoding.builtin import BuiltinEncoder
from mmsearch.records import FileBrief
from mmsearch.searching import presence
from mmsearch.searching.facets import counted
from mmsearch.searching.query import image_term, text_term
from mmsearch.searching.results import SearchResult
from mmsearch.searching.session import Session
from mmsearch.store.sqlite.store import SqliteStore

WORDS = ("cat", "ship", "tax", "bread", "rocket", "garden", "winter", "music")


def names(result: SearchResult) -> list[str]:
    return [os.path.basename(hit.path) for hit in result.hits]


def everything(words: str = "anything", **more: Any) -> Query:
    return Query((text_term(words),), **{"limit": 1_000, "min_score": 0.0, **more})


def state_of(folder: str) -> int:
    store = SqliteStore.read(folder)
    try:
        return store.state()[1]
    finally:
        store.close()


# What its hits have in common


def test_what_is_counted_of_a_query_is_what_its_hits_have(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "more").mkdir()
    for name in ("cat.png", "coffee.png"):
        shutil.copy(home / name, home / "more" / f"copy of {name}")
    coffee = shutil.copy(home / "coffee.png", tmp_path / "coffee.png")
    looked_at: set[bytes] = set()
    look = presence.Presence.look

    def noted(self: presence.Presence, paths: Iterable[bytes]) -> dict[bytes, os.stat_result | None]:
        asked = list(paths)
        looked_at.update(asked)
        return look(self, asked)

    with Library(tmp_path / "library") as library, library.session() as session:
        library.index([home])
        os.remove(home / "cat.png")  # its copy is shown for it
        for query in (
            everything("a cat"),
            everything("a cat", copies=True),
            everything("coffee", limit=3, offset=1, sort="name"),
            everything("a note", filters=Filters(medium="text")),
            everything("a picture", filters=Filters(folders=(os.fsencode(home / "more"),))),
            Query((text_term("a cat"),)),
            Query((text_term("zqxvkw plfmrn"),)),
            Query((image_term(str(coffee)), text_term("a cat", -1))),
        ):
            hits = session.search(query).hits
            briefs = [FileBrief(os.fsencode(hit.path), hit.type, hit.moment, hit.place, hit.camera) for hit in hits]
            with monkeypatch.context() as patch:
                patch.setattr(presence.Presence, "look", noted)
                assert session.facets_of(query) == counted(briefs)
    # Nobody looks for a file that no other can stand for.
    assert os.fsencode(home / "cat.png") in looked_at
    assert all(path.endswith(b".png") for path in looked_at)


# Always at the newest state


def comparable(result: SearchResult) -> tuple[object, ...]:
    """All of an answer that depends on the library alone."""
    hits = tuple((hit.rank, hit.id, hit.path, hit.score, hit.similarity, hit.snippet) for hit in result.hits)
    return hits, result.total, result.total_exact, sorted(result.thresholds)


def mixed_queries(home: Path, crop: Path) -> list[Query]:
    cat, coffee = image_term(str(home / "cat.png")), image_term(str(home / "coffee.png"))
    folder = (os.fsencode(home / "a"),)
    return [
        everything("a cat"),
        everything("a ship at sea", limit=5),
        everything("bread", limit=3, offset=2),
        everything("bread", limit=3, offset=5),
        everything("a note", filters=Filters(folders=folder)),
        everything("a note", filters=Filters(folders=(os.fsencode(home / "b"),)), limit=4),
        everything("a note", filters=Filters(extensions=(".md",))),
        everything("a picture", filters=Filters(medium="image")),
        Query((text_term("winter"),), Filters(medium="text", folders=folder), 4, 0.0, 1),
        Query((cat,), limit=6),
        Query((image_term(str(crop)), text_term("a drink")), limit=6, offset=1),
        Query((coffee, text_term("milk", -1)), Filters(medium="text"), 6),
        Query((text_term("a cat"),)),
    ]


@contextmanager
def answers_of_each_state(folder: str, queries: list[Query]) -> Iterator[dict[int, list[tuple[object, ...]]]]:
    """While it is open, each transaction that is written is followed by what a fresh Library answers then."""
    found: dict[int, list[tuple[object, ...]]] = {}
    transaction = SqliteStore.transaction

    def note() -> None:
        with Library(folder) as library:
            results = [library.search(query) for query in queries]
        assert len({result.state for result in results}) == 1
        found.setdefault(results[0].state, [comparable(result) for result in results])

    @contextmanager
    def noting(store: SqliteStore) -> Iterator[None]:
        with transaction(store):
            yield
        note()

    note()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteStore, "transaction", noting)
        yield found


def changes(library: Library, home: Path) -> list[Callable[[], object]]:
    """What a writer does, step by step."""

    def write(number: int) -> None:
        for folder in ("a", "b"):
            (home / folder).mkdir(exist_ok=True)
            for place, word in enumerate(WORDS[number % 3 :: 2]):
                text = f"Note {number} of a {word}: the {WORDS[(number + place) % 8]} is here.\n"
                (home / folder / f"{number} {word}.{'md' if place % 2 else 'txt'}").write_text(text)

    def edit() -> None:
        for path in sorted((home / "a").iterdir())[::2]:
            path.write_text(f"{path.stem}, and something else about the {WORDS[len(path.stem) % 8]}.")

    def remove() -> None:
        for path in sorted((home / "b").iterdir())[:3]:
            path.unlink()

    def index() -> object:
        return library.index([home])

    return [
        lambda: write(1), index, lambda: write(2), index, remove, index, library.care.compact, edit, index,
        lambda: library.forget(home / "a"), index, lambda: write(3), edit, index, library.care.compact,
        lambda: shutil.rmtree(home / "b"), index, lambda: library.care.prune(library.care.losses()),
    ]  # fmt: skip


@pytest.mark.slow
def test_each_answer_is_that_of_one_state_while_the_library_changes(home: Path, tmp_path: Path) -> None:
    from PIL import Image

    with Image.open(home / "cat.png") as cat:
        cat.crop((40, 20, 400, 280)).convert("RGB").save(tmp_path / "crop.jpg")
    folder = str(tmp_path / "library")
    writer = Library(folder)
    writer.index([home])
    queries = mixed_queries(home, tmp_path / "crop.jpg")
    over, seen = threading.Event(), threading.Lock()
    answered: list[tuple[int, int, int, SearchResult]] = []

    def ask(session: Session, seed: int) -> None:
        chance, times = random.Random(seed), 0
        while times < 200 or not over.is_set():
            number = chance.randrange(len(queries))
            before = state_of(folder)
            result = session.search(queries[number])
            with seen:
                answered.append((number, before, state_of(folder), result))
            times += 1

    with (
        answers_of_each_state(folder, queries) as expected,
        Library(folder).session() as session,
        ThreadPoolExecutor(8) as executor,
    ):
        asking = [executor.submit(ask, session, seed) for seed in range(8)]
        try:
            for step in changes(writer, home):
                step()
        finally:
            over.set()
        for one in asking:
            one.result()
    assert len(answered) >= 8 * 200
    assert len({result.state for _, _, _, result in answered}) > 20, "the library did not change meanwhile"
    for number, before, after, result in answered:
        assert before <= result.state <= after
        assert comparable(result) == expected[result.state][number], (queries[number], result.state)
        assert result.troubles == ()


def test_a_batch_that_stays_open_sees_what_later_runs_bring_and_take(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    library = Library(folder)
    library.index([home])
    command = [sys.executable, "-m", "mmsearch", "search", "--batch", "-", "--min-score", "0", "--limit", "50"]
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(folder)}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as batch:
        assert batch.stdin is not None
        assert batch.stdout is not None

        def found() -> set[str]:
            assert batch.stdin is not None
            assert batch.stdout is not None
            batch.stdin.write("a ferry in the harbour\n")
            batch.stdin.flush()
            return {os.path.basename(hit["path"]) for hit in json.loads(batch.stdout.readline())["hits"]}

        first = found()
        (home / "later.txt").write_text("The ferry leaves the harbour at noon.")
        library.index([home])
        assert found() == first | {"later.txt"}
        (home / "tax.txt").unlink()
        library.index([home])
        assert found() == (first | {"later.txt"}) - {"tax.txt"}
        library.care.compact()
        library.forget(home / "cat.png")
        assert found() == (first | {"later.txt"}) - {"tax.txt", "cat.png"}
        batch.stdin.close()
        assert batch.wait() == 0


def test_a_backup_that_is_put_back_under_an_open_session(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    library = Library(folder)
    library.index([home])
    library.care.backup(tmp_path / "backup.db")
    with library.session() as session:
        before = comparable(session.search(everything("a ferry")))
        (home / "later.txt").write_text("The ferry leaves the harbour at noon.")
        library.index([home])
        assert "later.txt" in names(session.search(everything("a ferry")))
        library.close()
        for name in ("library.db-wal", "library.db-shm"):
            (folder / name).unlink(missing_ok=True)
        shutil.copy(tmp_path / "backup.db", tmp_path / "copy.db")
        os.replace(tmp_path / "copy.db", folder / "library.db")
        assert comparable(session.search(everything("a ferry"))) == before
        # The same ids for something else, at the same number of the state or a later one.
        (home / "later.txt").write_text("Bread is baked from flour.")
        library.index([home])
        found = session.search(everything("a ferry"))
        assert comparable(found) == comparable(Library(folder).search(everything("a ferry")))
        assert next(hit for hit in found.hits if hit.path.endswith("later.txt")).snippet == "Bread is baked from flour."


def test_a_state_has_a_number_that_rises_with_what_is_written(library: Library, home: Path) -> None:
    library.index([home])
    state = state_of(library.folder)
    library.index([home])
    assert state_of(library.folder) == state, "an unchanged tree writes nothing"
    store = SqliteStore.write(library.folder)
    with store.transaction():
        pass
    assert store.state()[1] == state
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.set_setting("x", "1")
        raise ZeroDivisionError
    assert store.state()[1] == state
    with store.transaction():
        store.set_setting("x", "1")
    assert store.state()[1] == state + 1
    store.close()


def test_the_model_in_use_is_that_of_the_moment(indexed: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(indexed, tmp_path / "own")
    with Library(folder).session() as session:
        assert session.search("a cat").hits
        store = SqliteStore.write(str(folder))
        with store.transaction():
            store.set_setting("model_id", "99")
        with pytest.raises(MmsearchError):
            session.search("a cat")
        with store.transaction():
            store.set_setting("model_id", "1")
        store.close()
        assert session.search("a cat").hits


# Threads


def test_folder_filters_of_six_threads_do_not_meet(home: Path, tmp_path: Path) -> None:
    folders = []
    for word in WORDS[:4]:
        folder = home / word
        folder.mkdir()
        folders.append(folder)
        for number in range(5):
            (folder / f"{number}.txt").write_text(f"Chapter {number} speaks of a {word} and of nothing else.")
    library = Library(tmp_path / "library")
    library.index([home])
    asked = [everything("a chapter", filters=Filters(folders=(os.fsencode(folder),))) for folder in folders]
    with library.session() as session:

        def ask(seed: int) -> None:
            chance = random.Random(seed)
            for _ in range(60):
                number = chance.randrange(4)
                hits = session.search(asked[number]).hits
                assert sorted(hit.path for hit in hits) == sorted(str(path) for path in folders[number].iterdir())

        with ThreadPoolExecutor(6) as executor:
            list(executor.map(ask, range(6)))


def test_one_model_is_loaded_once_and_encodes_one_query_at_a_time(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "queries.cache").unlink(missing_ok=True)
    encode = BuiltinEncoder.encode
    lock = threading.Lock()
    encoded: list[tuple[int, str]] = []

    def watched(encoder: BuiltinEncoder, modality: str, texts: list[str]) -> Any:
        assert lock.acquire(blocking=False), "two at a time"
        try:
            encoded.extend((id(encoder), text) for text in texts)
            return encode(encoder, modality, texts)
        finally:
            lock.release()

    monkeypatch.setattr(BuiltinEncoder, "encode", watched)
    with Library(own).session() as session, ThreadPoolExecutor(8) as executor:
        list(executor.map(session.search, [f"a {word}" for word in WORDS] * 4))
    assert len({encoder for encoder, _ in encoded}) == 1
    assert sorted(text for _, text in encoded) == sorted(f"a {word}" for word in WORDS)


def test_connections_of_threads_that_have_ended_are_closed(indexed: Path) -> None:
    session = Library(indexed).session()
    for _ in range(20):
        thread = threading.Thread(target=session.search, args=("a cat",))
        thread.start()
        thread.join()
    assert len(session._connections) <= 2
    session.close()
    assert len(session._connections) == 0
    with pytest.raises(MmsearchError, match="closed"):
        session.search("a cat")


@pytest.mark.slow
def test_what_is_kept_does_not_grow(indexed: Path, photos: Path) -> None:
    def memory() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    if not os.path.exists("/proc/self/statm"):
        pytest.skip("this system does not say how much memory is in use")
    folders = [os.fsencode(photos / name) for name in ("photos", "notes")]
    with Library(indexed).session() as session:

        def search(number: int) -> None:
            filters = Filters(folders=(folders[number % 2],), extensions=(f".x{number}", ".png", ".txt"))
            session.search(everything(f"a {WORDS[number % 8]}", filters=filters if number % 3 else Filters(), limit=5))

        for number in range(500):
            search(number)
        before = memory()
        for number in range(500, 2_000):
            search(number)
        assert memory() - before < 4_000_000


# Pages


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("first", [1, 50])
def test_pages_neither_repeat_nor_skip(indexed: Path, monkeypatch: pytest.MonkeyPatch, size: int, first: int) -> None:
    monkeypatch.setattr("mmsearch.searching.ranked_files.FIRST_CANDIDATES", first)
    with Library(indexed).session() as session:
        whole = session.search(everything("a cat"))
        pages = [session.search(everything("a cat", limit=size, offset=offset)) for offset in range(0, 21, size)]
    together = [hit for page in pages for hit in page.hits]
    assert together == list(whole.hits)
    assert [hit.rank for hit in together] == list(range(1, 19))
    assert all(page.total <= 18 for page in pages)
    assert (whole.total, whole.total_exact) == (18, True)
    assert pages[-1].nearest is None


def test_pages_do_not_overlap_where_codes_find_more_the_deeper_they_look(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmsearch.nearest.gallery.FEW_ROWS", 4)
    monkeypatch.setattr("mmsearch.nearest.gallery.candidates_among", lambda rows: 4)
    monkeypatch.setattr("mmsearch.searching.ranked_files.FIRST_CANDIDATES", 1)
    for number in range(60):
        (home / f"{number}.txt").write_text(f"Chapter {number} of a {WORDS[number % 8]} and a {WORDS[number % 5]}.")
    library = Library(tmp_path / "library")
    library.index([home])
    with library.session(scan="codes") as session:
        pages = [session.search(everything("a ship", limit=5, offset=offset)) for offset in range(0, 70, 5)]
    paths = [hit.path for page in pages for hit in page.hits]
    assert len(paths) == len(set(paths)) == 64
    for page in pages:
        assert [hit.score for hit in page.hits] == sorted((hit.score for hit in page.hits), reverse=True)


def test_no_page_lacks_what_comes_late_in_a_graph_that_has_what_was_removed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hnswlib")
    monkeypatch.setattr("mmsearch.nearest.hnsw.CHEAP_ROWS", 0)
    notes, library = tmp_path / "notes", Library(tmp_path / "library")
    notes.mkdir()
    for number in range(64):
        (notes / f"{number}.txt").write_text(f"Chapter {number} of a {WORDS[number % 8]} and a {WORDS[number % 5]}.")
    library.index([notes])
    asked = Query((image_term(str(home / "cat.png")),), limit=1_000, min_score=0)
    for hit in library.search(asked).hits[:4]:
        os.remove(hit.path)
    library.index()
    (codes,) = (tmp_path / "library" / "derived").glob("*.codes")
    codes.unlink()
    library.index()  # drops what was gone the last time; codes are made anew, and the graph keeps those few
    monkeypatch.setattr("mmsearch.searching.ranked_files.FIRST_CANDIDATES", 60)
    with library.session(scan="graph", graph_from_rows=1) as session:
        found = session.search(asked)
    assert sorted(names(found)) == sorted(os.listdir(notes))
    assert (found.total, found.total_exact) == (60, True)


def test_a_total_is_exact_where_all_was_looked_at(indexed: Path) -> None:
    with Library(indexed).session() as session:
        few = session.search(Query((text_term("a motorcycle"),)))
        assert (few.total, few.total_exact) == (len(few.hits), True)
        beyond = session.search(Query((text_term("a motorcycle"),), offset=5))
        assert (beyond.hits, beyond.total, beyond.nearest) == ((), few.total, None)


def test_an_offset_is_a_page_of_the_command(command: Any, indexed: Path) -> None:
    whole = command("search", "a cat", "--min-score", "0", "--limit", "6", "--json", library=indexed).json
    second = command(
        "search", "a cat", "--min-score", "0", "--limit", "3", "--offset", "3", "--json", library=indexed
    ).json
    assert [hit["id"] for hit in second["hits"]] == [hit["id"] for hit in whole["hits"][3:]]
    assert [hit["rank"] for hit in second["hits"]] == [4, 5, 6]
    assert second["offset"] == 3
    assert command("search", "a cat", "--offset", "-1", library=indexed).code == 2


# Files on drives that hang


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch, photos: Path) -> Iterator[tuple[threading.Event, list[bytes]]]:
    """The folder of notes does not answer until the event is set; with what was asked there."""
    released, asked = threading.Event(), []
    status_of = presence.status_of

    def hang(path: bytes) -> os.stat_result | None:
        if path.startswith(os.fsencode(photos / "notes")):
            asked.append(path)
            released.wait()
        return status_of(path)

    monkeypatch.setattr(presence, "status_of", hang)
    yield released, asked
    released.set()


@pytest.mark.slow
def test_a_drive_that_hangs_holds_no_search_up(
    indexed: Path, photos: Path, hanging: tuple[threading.Event, list[bytes]]
) -> None:
    released, asked = hanging
    with Library(indexed).session() as session:
        for _ in range(3):
            hits = session.search(everything("a cat")).hits
            assert {hit.available for hit in hits if hit.path.startswith(str(photos / "photos"))} == {True}
            assert {hit.available for hit in hits if hit.path.startswith(str(photos / "notes"))} == {False}
        assert len(asked) == 1, "a folder that hangs is asked once"
        released.set()
        for thread in threading.enumerate():
            if thread.daemon and thread is not threading.current_thread():
                thread.join(5)
        assert all(hit.available for hit in session.search(everything("a cat")).hits)


def test_only_the_hits_of_the_page_are_looked_at(indexed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    status_of = presence.status_of

    def watched(path: bytes) -> os.stat_result | None:
        asked.append(path)
        return status_of(path)

    monkeypatch.setattr(presence, "status_of", watched)
    with Library(indexed).session() as session:
        hits = session.search(everything("a cat", limit=4, offset=2)).hits
    assert asked == [os.fsencode(hit.path) for hit in hits]


def test_the_query_image_is_found_out_on_a_drive_that_hangs(
    indexed: Path, photos: Path, hanging: tuple[threading.Event, list[bytes]]
) -> None:
    with Library(indexed).session() as session:
        found = session.search(Query((image_term(str(photos / "photos" / "cat.png")),), limit=50))
    assert "cat.png" not in names(found)
    assert len(found.hits) == 17


# Several models


@pytest.mark.slow
def test_two_models_make_one_list(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiny_clip import make_tiny_clip

    monkeypatch.setenv("MMSEARCH_MODELS", str(tmp_path / "models"))
    tiny = str(make_tiny_clip(tmp_path / "tiny"))
    library = Library(tmp_path / "library")
    library.index([home])
    library.index([home], model=tiny)
    both = [model.name for model in library.models.list()]
    assert len(both) == 2
    alone = [everything("a cat") for _ in both]
    single = [
        {hit.path: hit for hit in library.search(one, model=name).hits} for one, name in zip(alone, both, strict=True)
    ]
    with library.session(models=both) as session:
        merged = session.search(everything("a cat"))
        assert len(merged.hits) == len({hit.path for hit in merged.hits}) == 4
        for hit in merged.hits:
            assert hit.score == max(of_model[hit.path].score for of_model in single)
        scores = [hit.score for hit in merged.hits]
        assert scores == sorted(scores, reverse=True)
        assert len(merged.model.split(", ")) == 2
        example = session.search(Query((image_term(str(home / "cat.png")),), Filters(medium="image")))
        assert names(example) == ["coffee.png"]
    with library.session(models=both[:1]) as session:
        assert session.search(everything("a cat")).hits == tuple(library.search(everything("a cat")).hits)
    with library.session(models=["nobody/none"]) as session, pytest.raises(MmsearchError):
        session.search("a cat")


def test_what_a_model_was_not_measured_for_has_typical_scores() -> None:
    from mmsearch.encoding.calibration import TYPICAL_ACROSS, TYPICAL_OF_SOUND
    from mmsearch.searching.scoring import combined
    from mmsearch.searching.weighted_terms import WeightedTerm

    vector = np.array([1, 0], np.float32)
    for items, typical in (("image", TYPICAL_ACROSS), ("audio", TYPICAL_OF_SOUND)):
        background = combined({}, [WeightedTerm("text", 1.0, vector)], items)
        assert (background.mean, background.std) == pytest.approx(typical)
