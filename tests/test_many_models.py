"""Several models in one library: each with vectors of its own, and searches that change from one to another."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import NOTES, Mmsearch, refused
from interrupting import hooked
from library_places import Places, wait_until_nobody_writes

from mmsearch import Library, MmsearchError
from mmsearch.encoding.onnx_model import OnnxEncoder
from mmsearch.files.crash_points import VARIABLE
from mmsearch.indexing.run import IndexSettings
from mmsearch.records import FloatMatrix
from mmsearch.searching.query import Query, Term
from mmsearch.searching.results import SearchResult
from mmsearch.store.models import stored_models
from mmsearch.store.sqlite.signing import add_functions, sign
from mmsearch.store.sqlite.store import SqliteStore

pytest.importorskip("sentence_transformers", reason="the clip extra is not installed")
from tiny_clip import make_tiny_clip

ANYTHING = Query((Term("text", "a cat"),), min_score=0)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of other dimensions, in a folder, that needs no torch."""
    from mmsearch.models.optimise.building import optimise

    folder = tmp_path_factory.mktemp("models")
    return optimise(str(make_tiny_clip(folder / "original")), str(folder / "tiny"), []).folder


def found(result: SearchResult) -> set[str]:
    return {os.path.basename(hit.path) for hit in result.hits}


def names(library: Library) -> list[str]:
    return [model.name for model in library.models.list()]


def test_a_second_model_encodes_beside_the_first_and_searches_switch_when_told(
    library: Library, home: Path, tiny: str
) -> None:
    library.index([home])
    first = library.search("a cat")
    report = library.index([home], model=tiny)
    assert (report.encoded, report.unchanged, report.added) == (4, 0, 0)
    assert report.searched.startswith("mmsearch-mini@")
    again = library.search("a cat")
    assert [(hit.path, hit.score) for hit in again.hits] == [(hit.path, hit.score) for hit in first.hits]
    with_tiny = library.search(ANYTHING, model=tiny)
    assert with_tiny.model.startswith(tiny)
    assert len(with_tiny.hits) == 4
    assert library.models.use(tiny).searched
    assert library.search(ANYTHING).model.startswith(tiny)
    assert library.search("a cat", model="mmsearch-mini").hits == first.hits
    assert library.index().model.startswith(tiny)


def test_searches_wait_for_a_model_that_has_not_caught_up(
    library: Library, home: Path, tmp_path: Path, tiny: str
) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (more / "ships.txt").write_text("A text about ships.")
    library.index([home, more])
    library.index([home], model=tiny)
    waiting = library.models.use(tiny)
    assert (waiting.searched, waiting.wanted, waiting.files, waiting.lacking) == (False, True, 4, 1)
    assert library.search("a cat").model.startswith("mmsearch-mini@")
    (more / "trains.txt").write_text("A text about trains.")
    report = library.index()
    assert (report.model.split("@")[0], report.added) == ("mmsearch-mini", 1)
    assert report.catching_up is not None
    assert report.catching_up.encoded == 2
    assert report.switched
    assert library.search(ANYTHING).model.startswith(tiny)
    assert library.index().catching_up is None


def test_at_once_does_not_wait(library: Library, home: Path, tmp_path: Path, tiny: str) -> None:
    (home / "cat.png").rename(tmp_path / "cat.png")
    library.index([home])
    library.index([home], model=tiny)
    (tmp_path / "cat.png").rename(home / "cat.png")
    library.index()
    assert library.models.use(tiny, at_once=True).searched
    assert found(library.search(ANYTHING)) == {"coffee.png", "coffee.md", "tax.txt"}
    assert library.index().encoded == 1
    assert "cat.png" in found(library.search(ANYTHING))


def test_what_one_model_brings_in_the_other_catches_up_with(library: Library, home: Path, tiny: str) -> None:
    library.index([home])
    (home / "ships.txt").write_text("A text about ships.")
    assert library.index([home], model=tiny).added == 1
    assert "ships.txt" not in found(library.search("ships", scan="exact"))
    report = library.index()
    assert (report.encoded, report.unchanged) == (1, 4)
    assert "ships.txt" in found(library.search("ships"))
    assert [model.lacking for model in library.models.list()] == [0, 0]


def test_a_dropped_model_leaves_nothing_behind(library: Library, home: Path, tiny: str) -> None:
    library.index([home])
    before = library.search("a cat").hits
    library.index([home], model=tiny)
    with pytest.raises(MmsearchError, match="Searches use mmsearch-mini"):
        library.models.drop("mmsearch-mini")
    derived = Path(library.folder, "derived")
    assert len({path.name.split("-")[0] for path in derived.iterdir()}) == 2
    assert library.models.drop(tiny).dropped >= 4
    with pytest.raises(MmsearchError, match="No file"):
        library.models.drop(tiny)
    assert len({path.name.split("-")[0] for path in derived.iterdir()}) == 1
    assert names(library) == ["mmsearch-mini"]
    assert library.search("a cat").hits == before
    with closing(SqliteStore.read(library.folder)) as store:
        assert store.item_count() == 4
    assert library.care.examine().sound
    with refused("index --model"):
        library.search("a cat", model=tiny)


def test_rebuilding_one_model_leaves_the_others_alone(library: Library, home: Path, tiny: str) -> None:
    library.index([home])
    library.index([home], model=tiny)
    before = library.search("a cat").hits
    with closing(SqliteStore.read(library.folder)) as store:
        kept = [one for one in stored_models(store) if one.name == "mmsearch-mini"]
    assert library.index(model=tiny, rebuild=True).encoded == 4
    library.close()
    with closing(SqliteStore.read(library.folder)) as store:
        assert [one for one in stored_models(store) if one.name == "mmsearch-mini"] == kept
    assert library.search("a cat").hits == before


def test_files_that_change_move_and_go_do_so_for_both(library: Library, home: Path, tiny: str) -> None:
    library.index([home])
    library.index([home], model=tiny)
    (home / "cat.png").rename(home / "kitten.png")
    (home / "coffee.png").unlink()
    (home / "tax.txt").write_text("A text about ships.")
    report = library.index()
    assert (report.moved, report.removed) == (1, 1)
    assert library.models.use(tiny).lacking == 1  # the new text
    library.index()
    for model in ("mmsearch-mini", tiny):
        assert found(library.search(ANYTHING, model=model)) == {"kitten.png", "coffee.md", "tax.txt"}
        assert "ships" in str(library.search(ANYTHING, model=model).hits)
    library.care.compact()
    assert library.care.examine().sound


def test_a_file_that_only_one_model_fails_at_stays_found_by_the_other(
    library: Library, home: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index([home])

    with monkeypatch.context() as patch:
        patch.setattr(OnnxEncoder, "_encode_images", breaks)
        report = library.index([home], model=tiny)
        (home / "new.png").write_bytes((home / "cat.png").read_bytes() + b"\0")
        assert library.index([home], model=tiny).failed == 1
        assert library.index([home], model=tiny).failing == 3, "what has not changed is not tried again"
    assert (report.failed, report.encoded) == (2, 2)
    assert "no such kernel" in report.failures[0].reason
    assert "cat.png" in found(library.search("a cat"))
    assert library.index().added == 1
    assert "new.png" in found(library.search("a cat"))
    assert library.index(retry=True, model=tiny).encoded == 3
    assert found(library.search(ANYTHING, model=tiny)) == {"cat.png", "new.png", "coffee.png", "coffee.md", "tax.txt"}
    assert not library.status().failures


def breaks(*_: object) -> FloatMatrix:
    raise RuntimeError("no such kernel")


def test_a_file_that_a_model_cannot_encode_does_not_keep_searches_from_it(
    library: Library, home: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index([home])
    with monkeypatch.context() as patch:
        patch.setattr(OnnxEncoder, "_encode_images", breaks)
        library.index([home], model=tiny)
    report = library.index([home], model=tiny)
    assert (report.failing, report.unchanged) == (2, 2)
    used = library.models.use(tiny)
    assert (used.searched, used.files, used.failed, used.lacking) == (True, 2, 2, 0)
    assert found(library.search(ANYTHING)) == {"coffee.md", "tax.txt"}
    assert len(library.status().failures) == 2


def test_searches_do_not_change_to_a_model_that_has_encoded_nothing(
    library: Library, home: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index([home])
    with monkeypatch.context() as patch:
        patch.setattr(OnnxEncoder, "_encode_images", breaks)
        patch.setattr(OnnxEncoder, "_encode_texts", breaks)
        with suppress(RuntimeError):  # of the calibration
            library.index([home], model=tiny)
    with pytest.raises(MmsearchError, match="could encode none"):
        library.models.use(tiny)
    assert library.search("a cat").model.startswith("mmsearch-mini")
    assert library.index(model=tiny, retry=True).encoded == 4
    assert library.models.use(tiny).searched


@pytest.mark.parametrize("how", ["dropped", "rebuilt"])
def test_what_a_model_failed_at_is_forgotten_with_it(
    library: Library, home: Path, tiny: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    library.index([home])
    with monkeypatch.context() as patch:
        patch.setattr(OnnxEncoder, "_encode_images", breaks)
        library.index([home], model=tiny)
    if how == "dropped":
        library.models.drop(tiny)
        assert not library.status().failures
    assert library.index(model=tiny, rebuild=how == "rebuilt").encoded == 4
    assert not library.status().failures


def test_two_models_fail_at_one_file_each_for_itself(
    library: Library, home: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmsearch.models.optimise.building import optimise

    other = optimise(str(make_tiny_clip(tmp_path / "original", seed=5)), str(tmp_path / "other")).folder
    library.index([home])
    with monkeypatch.context() as patch:
        patch.setattr(OnnxEncoder, "_encode_images", breaks)
        for model in (tiny, other, tiny, other):
            library.index([home], model=model)
        assert [library.index([home], model=model).failed for model in (tiny, other)] == [0, 0]
    assert [(model.lacking, model.failed) for model in library.models.list()] == [(0, 0), (0, 2), (0, 2)]


def test_a_file_that_a_model_fails_at_may_be_touched_and_moved(
    library: Library, home: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index([home])
    with monkeypatch.context() as patch:
        patch.setattr(OnnxEncoder, "_encode_images", breaks)
        library.index([home], model=tiny)
        os.utime(home / "cat.png", (1, 1))
        (home / "coffee.png").rename(home / "cup.png")
        assert library.index([home], model=tiny).failed == 2
        assert {"cat.png", "cup.png"} <= found(library.search(ANYTHING))
    report = library.index([home])
    assert (report.added, report.moved, report.encoded) == (0, 0, 0)


def test_limits_of_one_models_run_take_nothing_from_another(library: Library, home: Path, tiny: str) -> None:
    from mmsearch.reading import ReadLimits

    library.index([home])
    report = library.index([home], model=tiny, settings=IndexSettings(ReadLimits({"text": 150})))
    assert report.failed == 1
    assert len(found(library.search(ANYTHING))) == 4
    assert library.index([home]).unchanged == 4


def test_a_model_without_its_tokenizer_is_told_of_and_mended(library: Library, home: Path, tiny: str) -> None:
    broken = Path(shutil.copytree(tiny, home.parent / "broken"))
    (broken / "tokenizer.json").unlink()
    library.index([home])
    with pytest.raises(MmsearchError, match=r"tokenizer\.json cannot be loaded"):
        library.index([home], model=str(broken))
    shutil.copy(Path(tiny, "tokenizer.json"), broken)
    with Library(library.folder) as again:
        again.index([home], model=str(broken))
        assert len(again.search(ANYTHING, model=str(broken)).hits) == 4


def test_a_copy_of_a_model_takes_no_name_away(library: Library, home: Path, tmp_path: Path) -> None:
    from mmsearch.encoding.builtin_files import MODEL_FOLDER

    library.index([home])
    copy = shutil.copytree(MODEL_FOLDER, tmp_path / "copy")
    assert library.index([home], model=str(copy)).unchanged == 4
    assert names(library) == ["mmsearch-mini"]
    shutil.rmtree(copy)
    with Library(library.folder) as again:
        assert again.search("a cat").hits


def test_a_model_that_is_broken_ends_the_run_and_is_no_fault_of_the_files(
    library: Library, home: Path, tiny: str
) -> None:
    broken = Path(shutil.copytree(tiny, home.parent / "broken"))
    (broken / "image.onnx").write_bytes(b"no graph")
    library.index([home])
    with pytest.raises(MmsearchError, match=r"is not the one that model.json beside it tells of"):
        library.index([home], model=str(broken))
    assert not library.status().failures
    shutil.copy(Path(tiny, "image.onnx"), broken)
    with Library(library.folder) as again:
        assert again.index([home], model=str(broken)).failed == 0


def test_a_model_that_was_moved_or_copied_is_the_same_one(
    library: Library, home: Path, tiny: str, tmp_path: Path
) -> None:
    first = shutil.copytree(tiny, tmp_path / "first")
    library.index([home], model=str(first))
    second = first.rename(tmp_path / "second")
    with Library(library.folder) as again:
        report = again.index([home], model=str(second))
        assert (report.unchanged, report.encoded) == (4, 0)
        assert names(again) == [str(second)]
        assert again.search(ANYTHING).model.startswith(str(second))
    shutil.copytree(second, tmp_path / "third")
    with Library(library.folder) as again:
        assert again.index([home], model=str(tmp_path / "third"), rebuild=True).encoded == 4
        assert names(again) == [str(tmp_path / "third")]
        assert len(again.search(ANYTHING).hits) == 4


def test_a_wanted_model_that_is_away_hinders_nothing_else(
    library: Library, home: Path, tiny: str, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    more = tmp_path / "more"
    more.mkdir()
    (more / "ships.txt").write_text("A text about ships.")
    library.index([home, more])
    library.index([home], model=str(folder))
    assert library.models.use(str(folder)).wanted
    folder.rename(tmp_path / "away")
    (home / "trains.txt").write_text("A text about trains.")
    with Library(library.folder) as again:
        report = again.index()
    assert report.added == 1
    assert str(folder) in (report.hindered or "")
    assert "trains.txt" in found(library.search("trains"))


def test_a_move_between_roots_encodes_nothing_while_a_model_is_waited_for(
    library: Library, tmp_path: Path, home: Path, tiny: str
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    (one / "ships.txt").write_text("A text about ships.")
    (one / "trains.txt").write_text("A text about trains.")
    (other / "planes.txt").write_text("A text about planes.")
    library.index([one, other, home])
    library.index([home], model=tiny)
    assert library.models.use(tiny).wanted
    (one / "ships.txt").rename(other / "ships.txt")
    library.index([one])
    report = library.index([other])
    assert (report.moved, report.added) == (1, 0)


def test_using_the_model_that_searches_use_waits_for_nothing(library: Library, home: Path, tiny: str) -> None:
    library.index([home], model=tiny)
    (home / "ships.txt").write_text("A text about ships.")
    report = library.index([home], model="mmsearch-mini")
    assert (report.searched.startswith(tiny), report.lacking) == (True, 1)
    used = library.models.use(tiny)
    assert (used.searched, used.wanted, used.lacking) == (True, False, 1)
    assert not library.index().switched


def test_a_library_that_has_lost_which_model_it_uses_is_mended(library: Library, home: Path, tiny: str) -> None:
    library.index([home])
    library.index([home], model=tiny)
    library.close()
    with closing(sqlite3.connect(Path(library.folder, "library.db"))) as connection, connection:
        connection.execute("UPDATE settings SET value = '77' WHERE key = 'model_id'")
        add_functions(connection)
        sign(connection, "settings")
        connection.execute("DELETE FROM vectors WHERE item_id = (SELECT max(id) FROM items)")
        connection.execute("DELETE FROM items WHERE id = (SELECT max(id) FROM items)")
    assert len(library.care.examine().findings) >= 2
    library.care.repair()
    assert library.care.examine().sound
    library.index()
    library.index(model=tiny)
    assert [model.lacking for model in library.models.list()] == [0, 0]
    assert library.search("a cat").hits


@pytest.mark.slow
def test_a_killed_change_of_model_goes_on_and_searches_never_notice(places: Places, tmp_path: Path, tiny: str) -> None:
    library = Library(places.new())
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(60):
        (texts / f"{number}.txt").write_text(f"{NOTES['tax.txt']} {number}")
    library.index([texts])
    before = library.search("income tax").hits
    command = [sys.executable, "-m", "mmsearch", "index", str(texts), "--model", tiny, "--library", library.given]
    killed = subprocess.run(
        command, env={**os.environ, VARIABLE: "batch committed:3"}, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    wait_until_nobody_writes(library.given)
    assert library.search("income tax").hits == before
    assert library.models.use(tiny).wanted
    report = library.index()
    assert report.catching_up is not None
    assert report.catching_up.encoded == 60 - 3 * 8
    assert library.search(ANYTHING).model.startswith(tiny)
    assert len(library.search(Query((Term("text", "tax"),), min_score=0, limit=1000)).hits) == 60


def test_each_model_has_its_own_adapter_setting_and_calibration(library: Library, home: Path, tiny: str) -> None:
    from mmsearch.encoding.adapted import Adapter, LowRankMap
    from mmsearch.models.opening import open_encoder
    from mmsearch.nearest.spaces import with_adapter
    from mmsearch.searching.calibration import stored_calibration
    from mmsearch.store.adapters import add_adapter, use_adapter

    library.index([home])
    library.index([home], model=tiny)
    encoder = open_encoder()
    with closing(SqliteStore.write(library.folder)) as store:
        curves = [
            stored_calibration(store, one.identity, with_adapter(store, one).query_bank) for one in stored_models(store)
        ]
        assert None not in curves
        assert curves[0] != curves[1]
        still = LowRankMap(np.zeros((384, 1), np.float32), np.zeros((1, 384), np.float32))
        calibration = encoder.calibration
        assert calibration is not None
        adapter = Adapter("pets", 1, encoder.identity.fingerprint, {"image": still, "text": still}, calibration)
        with store.transaction():
            use_adapter(store, adapter.model_fingerprint, add_adapter(store, adapter, "{}"))
    library.models.use(tiny)
    assert "pets" not in library.search(ANYTHING).model
    with pytest.raises(MmsearchError, match="made for another model"):
        library.search("a cat", adapter="pets")
    library.models.use("mmsearch-mini")
    assert library.search("a cat").model.endswith("+pets@1")


def test_one_models_vectors_are_never_asked_with_another(library: Library, home: Path, tmp_path: Path) -> None:
    from mmsearch.models.optimise.building import optimise

    folder = optimise(str(make_tiny_clip(tmp_path / "one", seed=1)), str(tmp_path / "model"), []).folder
    library.index([home], model=folder)
    os.rename(folder, tmp_path / "away")
    with pytest.raises(MmsearchError, match="There is no model in a folder"):
        Library(library.folder).search(ANYTHING)
    assert optimise(str(make_tiny_clip(tmp_path / "two", seed=2)), str(tmp_path / "model"), []).folder == folder
    with pytest.raises(MmsearchError, match="of other weights"):
        Library(library.folder).search(ANYTHING)
    with pytest.raises(MmsearchError, match="of other weights"):
        Library(library.folder).index()


def test_the_commands(command: Mmsearch, home: Path, tiny: str) -> None:
    command("index", home)
    done = command("index", home, "--model", tiny)
    assert done.out.startswith(f"4 files encoded with {tiny}@")
    assert "searches use mmsearch-mini@" in done.err
    status = command("status")
    assert f"{tiny}@" in status.out
    assert "4 files encoded" in status.out
    assert command("search", "a cat", "--model", tiny, "--min-score", "0", "--json").json["model"].startswith(tiny)
    used = command("models", "use", tiny)
    assert (used.code, used.err) == (0, "")
    assert f"searches use {tiny}@" in used.out
    assert command("search", "a cat", "--min-score", "0", "--json").json["model"].startswith(tiny)
    dropped = command("models", "drop", "mmsearch-mini", "--json").json
    assert dropped["dropped"] >= 4
    kept = command("models", "drop", tiny)
    assert (kept.code, kept.err.count("\n")) == (2, 1)
    assert command("models", "use", "mmsearch-mini").code == 2
    early = command("models", "--library", home, "drop", tiny)
    assert (early.code, early.err.count("\n")) == (2, 1)
    assert command("search", "a cat", "--model", "nothing").code == 2


DEADLY_WORDS = """
def changed(module):
    encode = module.OnnxEncoder._encode_texts
    def deadly(self, texts):
        if self.identity.name != "mmsearch-mini" and any("abracadabra" in text for text in texts):
            os.kill(os.getpid(), 9)
        return encode(self, texts)
    module.OnnxEncoder._encode_texts = deadly
"""


@pytest.mark.slow
def test_a_text_that_ends_the_model_that_is_waited_for_is_set_aside_for_it_alone(
    home: Path, tiny: str, tmp_path: Path
) -> None:
    (home / "spell.txt").write_text("Then says the wizard abracadabra.")
    folder = tmp_path / "library"
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(folder)}
    hooks = hooked(tmp_path, "mmsearch.encoding.onnx_model", DEADLY_WORDS)

    def index(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mmsearch", "index", *map(str, arguments)]
        return subprocess.run(command, env=environment | hooks, capture_output=True, text=True, check=False)

    with Library(folder) as library:
        library.index([home])
        library.index([home / "cat.png"], model=tiny)
        library.models.use(tiny)
    assert index().returncode == -signal.SIGKILL
    done = index()
    assert done.returncode == 0, done.stderr
    with Library(folder) as library:
        (failure,) = library.status().failures
        assert (os.path.basename(failure.path), failure.reason) == (b"spell.txt", "ended the program that encoded it")
        wizard = Query((Term("text", "a wizard"),), min_score=0)
        hits = library.search(wizard, model="mmsearch-mini").hits
        assert os.path.basename(hits[0].path) == "spell.txt"
