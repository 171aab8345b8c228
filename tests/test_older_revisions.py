"""After an upgrade of the built-in model a library of the revision before goes on, and changes over without a gap."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import NOTES, Mmsearch, make_home, refused
from older_revision import SHIPPED, revision_in

from mmsearch import Library, MmsearchError
from mmsearch.encoding import builtin_files
from mmsearch.encoding.builtin import BuiltinEncoder, OlderEncoder
from mmsearch.encoding.builtin_files import BRIDGE
from mmsearch.encoding.text_bridge import TextBridge
from mmsearch.models.opening import open_encoder
from mmsearch.records import FloatMatrix
from mmsearch.searching.query import Query, Term

OLDER, NEWER = (f"mmsearch-mini@{int(revision_in(SHIPPED)) + step}" for step in (0, 1))
ANYTHING = Query((Term("text", "a cat"),), min_score=0)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of a folder beside it, `home`, from before the upgrade."""
    folder = tmp_path_factory.mktemp("before")
    make_home(folder / "home")
    with Library(folder / "library") as library:
        library.index([folder / "home"])
    return folder


@pytest.fixture
def home(before: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(before / "home", tmp_path / "home"))


@pytest.fixture
def old(before: Path, home: Path, tmp_path: Path) -> Path:
    """A library of one's own from before the upgrade, which knows one's own home."""
    folder = Path(shutil.copytree(before / "library", tmp_path / "old"))
    with Library(folder) as library:
        library.index([home])
        library.forget(before / "home")
    return folder


@pytest.fixture
def upgraded(old: Path, newer_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """That library, opened by a package with the newer revision."""
    monkeypatch.setattr(builtin_files, "MODEL_FOLDER", str(newer_folder))
    with Library(old) as library:
        yield library


def hits(library: Library, query: Query | str = ANYTHING, model: str | None = None) -> list[tuple[str, float]]:
    return [(os.path.basename(hit.path), hit.similarity) for hit in library.search(query, model=model).hits]


def names(library: Library) -> list[str]:
    return [model.name for model in library.models.list()]


def stored_vectors(folder: Path) -> list[tuple[int, bytes]]:
    with closing(sqlite3.connect(folder / "library.db")) as connection:
        return connection.execute("SELECT item_id, vector FROM vectors ORDER BY item_id").fetchall()


def refuse(*_: object) -> FloatMatrix:
    raise AssertionError("a file was encoded")


def test_it_finds_what_it_found(old: Path, newer_folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Query | str] = [
        ANYTHING,
        "a cup of coffee",
        "income tax",
        Query((Term("image", str(home / "cat.png")),)),
    ]
    with Library(old) as library:
        found = [hits(library, query) for query in asked]
    (old / "queries.cache").unlink()
    monkeypatch.setattr(builtin_files, "MODEL_FOLDER", str(newer_folder))
    with Library(old) as library:
        for query, expected in zip(asked, found, strict=True):
            again = hits(library, query)
            assert [name for name, _ in again] == [name for name, _ in expected]
            assert [one for _, one in again] == pytest.approx([one for _, one in expected], abs=0.003)
        assert library.search(ANYTHING).model == library.status().model == OLDER


def test_nothing_is_encoded_again_unasked(upgraded: Library, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stored_vectors(old)
    monkeypatch.setattr(BuiltinEncoder, "encode", refuse)
    report = upgraded.index()
    assert (report.unchanged, report.encoded, report.model, report.newer) == (4, 0, OLDER, NEWER)
    assert stored_vectors(old) == before
    assert upgraded.care.examine().sound


def test_new_files_join_it(upgraded: Library, home: Path) -> None:
    (home / "ships.txt").write_text("A text about ships.")
    shutil.copy(home / "cat.png", home / "kitten.png")
    with open(home / "kitten.png", "ab") as file:
        file.write(b"\0")
    report = upgraded.index()
    assert (report.added, report.model) == (2, OLDER)
    assert hits(upgraded, "ships")[0][0] == "ships.txt"
    found = dict(hits(upgraded))
    assert found["kitten.png"] == pytest.approx(found["cat.png"], abs=0.001)
    assert hits(upgraded, Query((Term("image", str(home / "cat.png")),)))[0][0] == "kitten.png"


def test_its_texts_go_over_the_bridge_and_its_pictures_do_not(
    newer_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    texts = [NOTES["coffee.md"], "a cat", "zxqv"]
    picture = Image.effect_mandelbrot((300, 200), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    of_before = open_encoder()
    monkeypatch.setattr(builtin_files, "MODEL_FOLDER", str(newer_folder))
    older, newest = open_encoder(OLDER), open_encoder()
    assert older.identity == of_before.identity
    assert older.calibration == of_before.calibration
    assert np.array_equal(older.encode("image", [picture]), of_before.encode("image", [picture]))
    true = of_before.encode("text", texts)
    assert np.allclose(older.encode("text", texts), true, atol=2e-3)
    assert not np.allclose(newest.encode("text", texts), true, atol=0.1)
    assert older.windows(NOTES["tax.txt"] * 20) == newest.windows(NOTES["tax.txt"] * 20)
    assert newest.identity.label == NEWER
    assert open_encoder(NEWER).identity == newest.identity


@pytest.mark.slow
def test_it_changes_over_without_a_gap(upgraded: Library, old: Path, home: Path, command: Mmsearch) -> None:
    said = command("index", library=old)
    assert said.err.count(f"{NEWER}, a better model than {OLDER}, is there") == 1
    assert "`mmsearch index --model mmsearch-mini`" in said.err
    assert "`mmsearch models use mmsearch-mini`" in said.err
    first = hits(upgraded)
    done = command("index", "--model", "mmsearch-mini", library=old)
    assert done.out.startswith(f"4 files encoded with {NEWER}")
    assert f"searches use {OLDER} as before" in done.err
    assert "better" not in done.err
    assert hits(upgraded) == first
    assert names(upgraded) == [OLDER, "mmsearch-mini"]
    assert upgraded.search(ANYTHING, model="mmsearch-mini").model == NEWER
    assert upgraded.search(ANYTHING, model=OLDER).model == OLDER
    assert f"searches use {NEWER} from now on" in command("models", "use", "mmsearch-mini", library=old).out
    again = hits(upgraded)
    assert upgraded.search(ANYTHING).model == NEWER
    assert again[0][0] == first[0][0]
    # Over the bridge hits that lie near to one another may change places.
    assert dict(again) == pytest.approx(dict(first), abs=0.003)
    assert "better" not in command("index", library=old).err
    assert f"vectors of {OLDER} dropped" in command("models", "drop", OLDER, library=old).out
    assert names(upgraded) == ["mmsearch-mini"]
    assert hits(upgraded) == again
    assert upgraded.care.examine().sound


@pytest.mark.slow
def test_searches_wait_until_it_has_caught_up(upgraded: Library, home: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (more / "ships.txt").write_text("A text about ships.")
    upgraded.index([more])
    upgraded.index([home], model="mmsearch-mini")
    used = upgraded.models.use("mmsearch-mini")
    assert (used.name, used.searched, used.wanted, used.lacking) == ("mmsearch-mini", False, True, 1)
    assert upgraded.search("ships").model == OLDER
    report = upgraded.index()
    assert report.catching_up is not None
    assert (report.model, report.catching_up.model, report.catching_up.encoded) == (OLDER, NEWER, 1)
    assert (report.switched, report.searched, report.newer) == (True, NEWER, None)


def test_a_model_that_has_encoded_nothing_is_not_used(upgraded: Library) -> None:
    with refused("index --model mmsearch-mini"):
        upgraded.models.use("mmsearch-mini")
    with refused(f"models it has: {OLDER}"):
        upgraded.models.drop("mmsearch-mini")
    with refused(f"Searches use {OLDER}"):
        upgraded.models.drop(OLDER)
    assert upgraded.search(ANYTHING, model="mmsearch-mini").model == OLDER, "scripts that name it go on"


@pytest.mark.slow
def test_encoding_all_again_takes_the_newest(upgraded: Library) -> None:
    report = upgraded.index(rebuild=True)
    assert (report.encoded, report.model, report.searched, report.newer) == (4, NEWER, NEWER, None)
    assert names(upgraded) == ["mmsearch-mini"]
    assert hits(upgraded)[0][0] == "cat.png"


@pytest.mark.slow
def test_the_older_one_can_be_encoded_with_again(upgraded: Library) -> None:
    upgraded.index(model="mmsearch-mini")
    report = upgraded.index(model=OLDER, rebuild=True)
    assert (report.encoded, report.model, report.searched) == (4, OLDER, OLDER)
    assert sorted(names(upgraded)) == ["mmsearch-mini", OLDER]


@pytest.mark.slow
def test_the_commands_name_the_two_apart(upgraded: Library, old: Path, home: Path, command: Mmsearch) -> None:
    command("index", "--model", "mmsearch-mini", library=old)
    listed = command("models", library=old).out
    assert [line.split()[0] for line in listed.splitlines()[1:3]] == ["mmsearch-mini", OLDER]
    assert "not here" not in listed
    status = command("status", "--json", library=old).json
    assert [(one["name"], one["label"]) for one in status["models"]] == [(OLDER, OLDER), ("mmsearch-mini", NEWER)]
    dataset = home / "captions.jsonl"
    photos = [{"file": "cat.png", "captions": ["a cat"]}, {"file": "coffee.png", "captions": ["a cup of coffee"]}]
    dataset.write_text("\n".join(json.dumps(photo) for photo in photos))
    measured = command("eval", dataset, "--json", library=old).json["evaluations"]
    assert [(one["model"], one["from_library"]) for one in measured] == [(OLDER, 2)]
    measured = command("eval", dataset, "--model", "mmsearch-mini", "--model", OLDER, "--json", library=old).json
    assert [one["model"] for one in measured["evaluations"]] == [NEWER, OLDER]
    assert command("index", "--json", library=old).json["newer"] == NEWER
    for refusal in ("pull", "optimise", "remove"):
        assert f"{OLDER} is built in" in command("models", refusal, OLDER, library=old).err


@pytest.mark.slow
def test_adapters_of_it_go_on(old: Path, newer_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmsearch.encoding.adapted import Adapter, LowRankMap
    from mmsearch.store.adapters import add_adapter
    from mmsearch.store.sqlite.store import SqliteStore

    encoder = BuiltinEncoder()
    small = np.full((encoder.identity.dimension, 1), 0.01, np.float32)
    a_map = LowRankMap(small, small.T)
    adapter = Adapter("pets", 1, encoder.identity.fingerprint, {"image": a_map, "text": a_map}, encoder.calibration)
    with closing(SqliteStore.write(str(old))) as store, store.transaction():
        add_adapter(store, adapter, "{}")
    monkeypatch.setattr(builtin_files, "MODEL_FOLDER", str(newer_folder))
    with Library(old) as library:
        assert library.adapters.use("pets") == f"{OLDER}+pets@1"
        assert library.search(ANYTHING).model == f"{OLDER}+pets@1"
        assert hits(library)[0][0] == "cat.png"
        library.index(model="mmsearch-mini")
        library.models.use("mmsearch-mini")
        assert library.search(ANYTHING).model == NEWER
        with pytest.raises(MmsearchError, match="made for another model"):
            library.search(ANYTHING, adapter="pets")


@pytest.mark.slow
def test_a_revision_that_is_not_there_is_told_of(upgraded: Library, old: Path, home: Path) -> None:
    with closing(sqlite3.connect(old / "library.db")) as connection, connection:
        connection.execute("UPDATE models SET revision = '0', fingerprint = ?", ("0" * 32,))
    told = f"indexed with mmsearch-mini@0 and the installed model is {NEWER}.*index --model mmsearch-mini --rebuild"
    with refused(told):
        upgraded.search(ANYTHING)
    with refused(told):
        upgraded.index()
    with refused(
        f"There is no mmsearch-mini@7 in this installation, which has mmsearch-mini, {OLDER}.*; choose another"
    ):
        upgraded.index([home], model="mmsearch-mini@7")
    assert upgraded.status().model == "mmsearch-mini@0"
    report = upgraded.index(model="mmsearch-mini", rebuild=True)
    assert (report.encoded, report.searched) == (4, NEWER)
    assert names(upgraded) == ["mmsearch-mini"]


def test_a_bridge_is_fitted_from_pairs_of_vectors_and_judged_on_others() -> None:
    pytest.importorskip("torch", reason="the clip extra is not installed")
    from recipe.older_revision import Texts, fit, recalls

    draw = np.random.default_rng(5)
    there = np.linalg.qr(draw.normal(size=(24, 24)))[0]
    old = draw.normal(size=(2_000, 24)) + 0.5
    old /= np.linalg.norm(old, axis=1, keepdims=True)
    new = old @ there * np.linspace(0.5, 1.5, 24)
    new /= np.linalg.norm(new, axis=1, keepdims=True)
    texts = Texts(old.astype(np.float32), new.astype(np.float32))
    bridge, _ = fit({"some": Texts(texts.old[:1_000], texts.new[:1_000])}, "0" * 64)
    rest = Texts(texts.old[1_000:], texts.new[1_000:])
    assert float((bridge(rest.new) * rest.old).sum(1).mean()) > 0.98
    assert recalls(bridge(rest.new), rest.old).startswith("100.0 / ")
    assert not recalls(rest.new, rest.old).startswith("100.0 / ")
    assert np.array_equal(TextBridge.from_bytes(bridge.to_bytes()).weights, bridge.weights)


@pytest.mark.parametrize("what", ["cut off", "of another tower", "missing"])
def test_a_bridge_that_is_not_the_right_one_is_told_of(newer_folder: Path, tmp_path: Path, what: str) -> None:
    folder = tmp_path / "builtin"
    folder.mkdir()
    for entry in newer_folder.iterdir():
        if entry.is_file():
            (folder / entry.name).symlink_to(entry)
    older = Path(shutil.copytree(next(newer_folder.glob("revision-*")), folder / "older"))
    written = (older / BRIDGE).read_bytes()
    if what == "cut off":
        (older / BRIDGE).write_bytes(written[:-1000])
    elif what == "of another tower":
        bridge = TextBridge.from_bytes(written)
        (older / BRIDGE).write_bytes(TextBridge("0" * 64, bridge.weights, bridge.offset).to_bytes())
    else:
        (older / BRIDGE).unlink()
    with refused(r"text-bridge\.npz (cannot be loaded|is not for mmsearch-mini).*install mmsearch again"):
        OlderEncoder(str(older)).encode("text", ["a cat"])
