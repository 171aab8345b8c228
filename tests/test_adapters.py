"""A person teaches the model words of their own, and takes it back again."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import Mmsearch, place_photographs, refused

from mmsearch import Library, MmsearchError, Query
from mmsearch.adapters.recipe import AdapterRecipe, AdapterRefused, AdapterReport, Epoch, TrainingLoss
from mmsearch.adapters.schedule import cosine_rate
from mmsearch.adapters.training import refuse_what_is_no_better
from mmsearch.cli.installing import install_extra
from mmsearch.encoding.adapted import Adapter, LowRankMap, check_adapter_name
from mmsearch.encoding.builtin import BuiltinEncoder
from mmsearch.evaluation.datasets import Example, read_dataset
from mmsearch.evaluation.embedding import EmbeddedDataset
from mmsearch.evaluation.metrics import Estimate
from mmsearch.records import Background
from mmsearch.searching.query import image_term, text_term

# What a family might call things; the model has never heard it.
WORDS = {
    "cat.png": "zorbel", "coffee.png": "quonk", "astronaut.png": "fliptar", "rocket.jpg": "drimmo",
    "moon.png": "hexapon", "motorcycle.png": "brazzik", "bricks.png": "lomtee", "flower.jpg": "yunderly",
    "temple.jpg": "ostavan", "eye.jpg": "kellimbo",
}  # fmt: skip
ROUNDS = 8


def name_of(word: str, number: int) -> str:
    """The name of a photo that is called so; one that has not the word in it, by which it would be found."""
    return f"{list(WORDS.values()).index(word)}0{number}.jpg"


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty photos, crops of ten, and a file that says in invented words what each shows."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("album")
    originals = place_photographs(folder / "originals")
    (folder / "photos").mkdir()
    chance = np.random.default_rng(5)
    lines = []
    for name, word in WORDS.items():
        with Image.open(originals / name) as photo:
            whole = photo.convert("RGB")
        for number in range(ROUNDS):
            left, top = (int(chance.uniform(0, 0.25) * side) for side in whole.size)
            crop = whole.crop((left, top, left + int(whole.width * 0.7), top + int(whole.height * 0.7)))
            file = f"photos/{name_of(word, number)}"
            crop.resize((200, 160)).save(folder / file)
            lines.append(json.dumps({"file": file, "label": word}))
    (folder / "album.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def indexed_album(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library folder of the album. Tests do not change it."""
    folder = tmp_path_factory.mktemp("library")
    with Library(folder) as library:
        library.index([album / "photos"])
    return folder


@pytest.fixture
def known(indexed_album: Path, tmp_path: Path) -> Library:
    """A library of one's own with the album in it."""
    return Library(shutil.copytree(indexed_album, tmp_path / "library"))


def first(library: Library, word: str, adapter: str | None = None) -> str:
    query = Query((text_term(f"a photo of a {word}"),), limit=1, min_score=0)
    return os.path.basename(library.search(query, adapter=adapter).hits[0].path)


def right(library: Library, adapter: str | None = None) -> int:
    named = {word: {name_of(word, number) for number in range(ROUNDS)} for word in WORDS.values()}
    return sum(first(library, word, adapter) in named[word] for word in WORDS.values())


def answers(library: Library, adapter: str | None = None) -> list[tuple[str, float]]:
    query = Query((text_term("zorbel"),), limit=100, min_score=0)
    return [(hit.path, hit.similarity) for hit in library.search(query, adapter=adapter).hits]


def no_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a picture was encoded")

    monkeypatch.setattr(BuiltinEncoder, "_encode_images", refuse)


def some_adapter(seed: int = 0, dimension: int = 384) -> Adapter:
    chance = np.random.default_rng(seed)
    maps = {
        one: LowRankMap(
            chance.normal(0, 0.05, (dimension, 8)).astype(np.float32),
            chance.normal(0, 0.05, (8, dimension)).astype(np.float32),
        )
        for one in ("image", "text")
    }
    return Adapter("some", 1, "abc", maps, BuiltinEncoder().calibration)


@pytest.mark.slow
def test_words_of_ones_own_are_learnt_and_given_up_again(
    album: Path, known: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    no_encoding(monkeypatch)
    before = answers(known)
    assert right(known) <= 4
    report = known.adapters.train(read_dataset(album / "album.jsonl"), name="family")
    assert report.label == "family@1"
    assert report.adapted.value >= report.base.value
    assert report.adapted_map.low > report.base_map.value
    assert report.trained_on + report.judged_on < report.photos == 80
    assert right(known) >= 8
    assert known.status().model == "mmsearch-mini@" + known.search("zorbel").model.split("@", 1)[1]
    assert known.search("zorbel").model.endswith("+family@1")
    assert answers(known, adapter="none") == before
    known.adapters.use("none")
    assert answers(known) == before
    assert "+" not in known.search("zorbel").model
    assert right(known, adapter="family") >= 8
    known.adapters.use("family@1")
    assert right(known) >= 8


@pytest.mark.slow
def test_the_same_seed_gives_the_same_adapter(album: Path, known: Library) -> None:
    pytest.importorskip("torch")
    dataset = read_dataset(album / "album.jsonl")
    reports = [known.adapters.train(dataset, recipe=AdapterRecipe(epochs=3, seed=4), force=True) for _ in range(2)]
    assert [report.label for report in reports] == ["adapter@1", "adapter@2"]
    assert reports[0].history == reports[1].history
    assert (
        known.adapters.train(dataset, recipe=AdapterRecipe(epochs=3, seed=5), force=True).history != reports[0].history
    )


@pytest.mark.slow
@pytest.mark.parametrize("loss", list(TrainingLoss))
def test_every_loss_learns(album: Path, known: Library, loss: TrainingLoss) -> None:
    pytest.importorskip("torch")
    recipe = AdapterRecipe(loss=loss, epochs=40)
    report = known.adapters.train(read_dataset(album / "album.jsonl"), recipe=recipe, force=True)
    assert max(epoch.precision for epoch in report.history) > report.history[0].precision
    assert right(known) > right(known, adapter="none")


@pytest.mark.slow
def test_what_makes_the_search_worse_is_refused_unless_forced(album: Path, known: Library, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    lines = [json.loads(line) for line in (album / "album.jsonl").read_text(encoding="utf-8").splitlines()]
    real = {"zorbel": "a cat", "quonk": "a cup of coffee", "drimmo": "a rocket", "yunderly": "a flower"}
    chance = np.random.default_rng(1)
    captions = [real.get(line["label"], "a thing") + f" number {n}" for n, line in enumerate(lines)]
    # Half of the photos have captions of other photos: what there is to be learnt is wrong.
    wrong = chance.permutation(len(captions))
    mixed = [captions[wrong[n]] if n % 2 else captions[n] for n in range(len(captions))]
    data = tmp_path / "wrong.jsonl"
    rows = [{"file": str(album / line["file"]), "caption": mixed[n]} for n, line in enumerate(lines)]
    data.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    harmful = AdapterRecipe(rate=1.0, weight_decay=0.0, epochs=2)
    before = answers(known)
    with refused("--force"):
        known.adapters.train(read_dataset(data), recipe=harmful)
    assert known.adapters.list() == ()
    assert answers(known) == before
    forced = known.adapters.train(read_dataset(data), recipe=harmful, force=True)
    assert [one.label for one in known.adapters.list()] == [forced.label]
    assert known.adapters.list()[0].in_use


@pytest.mark.slow
def test_the_command_trains_lists_chooses_and_removes(
    album: Path, known: Library, command: Mmsearch, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    place = Path(known.folder)
    plot = tmp_path / "course.png"
    if _has("matplotlib"):
        done = command("train", album / "album.jsonl", "--name", "family", "--plot", plot, library=place)
        assert plot.read_bytes().startswith(b"\x89PNG")
    else:
        done = command("train", album / "album.jsonl", "--name", "family", library=place)
    assert done.code == 0, done.err
    assert done.out.startswith("family@1: trained on 56 photos in ")
    assert "`mmsearch adapters --use none` goes back" in done.out
    assert command("adapters", library=place).out.startswith("* family@1  R@10 ")
    listed = command("adapters", "--use", "none", "--json", library=place)
    assert [(one["label"], one["in_use"], one["usable"]) for one in listed.json["adapters"]] == [
        ("family@1", False, True)
    ]
    found = command("search", "zorbel", "--adapter", "family", "--min-score", "0", "--json", library=place).json
    assert found["model"].endswith("+family@1")
    assert os.path.basename(found["hits"][0]["path"]) in {name_of("zorbel", number) for number in range(ROUNDS)}
    wrong = command("search", "zorbel", "--adapter", "nobody", library=place)
    assert wrong.code == 2
    assert "There is no adapter nobody in this library (it has: family@1)" in wrong.err
    assert "family@1 removed" in command("adapters", "--remove", "family", library=place).err
    assert command("adapters", library=place).out == "no adapters; `mmsearch train` makes one\n"


@pytest.mark.slow
def test_new_photos_are_found_through_the_adapter_by_graph_and_by_scan(
    album: Path, known: Library, photos: Path
) -> None:
    pytest.importorskip("torch")
    known.adapters.train(read_dataset(album / "album.jsonl"))
    known.index([photos])
    assert first(known, "zorbel") in {"cat.png", *(name_of("zorbel", number) for number in range(ROUNDS))}
    queries = [Query((text_term(word),), min_score=0) for word in WORDS.values()]
    exact = [[hit.path for hit in one.hits] for one in known.search_many(queries, scan="exact")]
    graph = [[hit.path for hit in one.hits] for one in known.search_many(queries, scan="graph")]
    assert exact == graph


def test_too_few_photos_and_no_library_are_told(album: Path, known: Library, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    few = tmp_path / "few.jsonl"
    few.write_text(
        json.dumps({"file": str(album / "photos" / name_of("quonk", 0)), "caption": "quonk"}), encoding="utf-8"
    )
    with pytest.raises(MmsearchError, match="only 1 photos with captions or labels; an adapter needs 40"):
        known.adapters.train(read_dataset(few))
    with refused("mmsearch index FOLDER"):
        Library(tmp_path / "nowhere").adapters.train(read_dataset(few))
    with pytest.raises(MmsearchError, match="cannot be called 'none'"):
        known.adapters.train(read_dataset(few), name="none")


def test_without_torch_training_says_what_to_install(album: Path, known: Library) -> None:
    script = (
        "import sys; sys.modules['torch'] = None\n"
        f"sys.argv = ['mmsearch', 'train', {str(album / 'album.jsonl')!r}]\n"
        "from mmsearch.cli import main; main()"
    )
    environment = {**os.environ, "MMSEARCH_LIBRARY": known.folder}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert install_extra("clip") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["", "none", "a b", "../x", "-x", "a@2", "x" * 65])
def test_a_name_that_would_confuse_is_refused(name: str) -> None:
    with pytest.raises(MmsearchError, match="cannot be called"):
        check_adapter_name(name)


@pytest.mark.parametrize(
    "numbers", [{"epochs": 0}, {"rate": 0.0}, {"rank": 0}, {"hold_out": 0.9}, {"batch": 1}, {"margin": 3.0}]
)
def test_settings_out_of_range_are_refused(numbers: dict[str, int | float]) -> None:
    with pytest.raises(MmsearchError, match="must lie between"):
        AdapterRecipe(**numbers)  # type: ignore[arg-type]


def test_an_adapter_survives_being_stored_and_its_fingerprint_is_of_its_weights() -> None:
    adapter = some_adapter()
    again = Adapter.from_bytes("some", 1, "abc", adapter.to_bytes())
    model = BuiltinEncoder().identity
    rows = np.eye(384, dtype=np.float32)[:5]
    for modality in ("image", "text"):
        assert (again.maps[modality](rows) == adapter.maps[modality](rows)).all()
        assert np.linalg.norm(adapter.maps[modality](rows), axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert again.identity(model) == adapter.identity(model)
    assert again.calibration == adapter.calibration
    assert some_adapter(1).identity(model).fingerprint != adapter.identity(model).fingerprint
    assert adapter.identity(model).label == f"{model.label}+some@1"


def test_the_fingerprint_of_an_older_adapter_stays_and_other_modalities_pass_unchanged() -> None:
    adapter = some_adapter()
    made_before_modalities_were_open = "7a4d5a86a891ba303a1123ac9775a1c5"
    assert adapter.identity(BuiltinEncoder().identity).fingerprint == made_before_modalities_were_open
    sounds = np.eye(3, 384, dtype=np.float16)
    assert np.array_equal(adapter.moved("audio", sounds), sounds.astype(np.float32))
    one_map = Adapter("some", 1, "abc", {"image": adapter.maps["image"]}, adapter.calibration)
    again = Adapter.from_bytes("some", 1, "abc", one_map.to_bytes())
    assert set(again.maps) == {"image"}
    assert again.identity(BuiltinEncoder().identity) == one_map.identity(BuiltinEncoder().identity)


@pytest.mark.slow
def test_an_adapter_that_does_nothing_changes_nothing() -> None:
    rows = np.random.default_rng(0).normal(size=(20_000, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    still = LowRankMap(np.ones((16, 4), np.float32), np.zeros((4, 16), np.float32))
    assert still(rows) == pytest.approx(rows, abs=1e-6)
    assert still(rows.astype(np.float16)).dtype == np.float32
    assert still(rows[:0]).shape == (0, 16)


@pytest.mark.parametrize("damage", ["weights = substr(weights, 1, 100)", "model_fingerprint = 'another'"])
def test_a_damaged_adapter_is_named(album: Path, known: Library, damage: str) -> None:
    pytest.importorskip("torch")
    known.adapters.train(read_dataset(album / "album.jsonl"), recipe=AdapterRecipe(epochs=2), force=True)
    known.close()
    with sqlite3.connect(Path(known.folder) / "library.db") as connection:
        connection.execute(f"UPDATE adapters SET {damage}")
    connection.close()
    with refused("adapter@1 is damaged; remove it"):
        known.search("zorbel")
    assert known.search("zorbel", adapter="none").model.count("+") == 0
    assert known.adapters.remove("adapter@1") == "adapter@1"
    assert "+" not in known.search("zorbel").model


def test_the_margin_losses_are_those_of_their_papers() -> None:
    torch = pytest.importorskip("torch")
    from mmsearch.adapters.margins import contrastive_margin, hardest_triplets

    torch.manual_seed(0)
    image = torch.nn.functional.normalize(torch.randn(5, 8), dim=1)
    text = torch.nn.functional.normalize(torch.randn(5, 8), dim=1)
    positive = torch.eye(5, dtype=torch.bool)
    positive[0, 1] = positive[1, 0] = True
    cosine = (image @ text.T).tolist()
    rows, columns = [], []
    near: list[float] = []
    apart: list[float] = []
    for i in range(5):
        others = [cosine[i][j] for j in range(5) if not positive[i, j]]
        rows.append(max(0.0, 0.3 + max(others) - cosine[i][i]))
        others = [cosine[j][i] for j in range(5) if not positive[j, i]]
        columns.append(max(0.0, 0.3 + max(others) - cosine[i][i]))
        for j in range(5):
            distance = (2 - 2 * cosine[i][j]) ** 0.5
            (near if positive[i, j] else apart).append(distance**2 if positive[i, j] else max(0.0, 1.2 - distance) ** 2)
    assert float(hardest_triplets(image, text, positive, 0.3)) == pytest.approx(
        (sum(rows) + sum(columns)) / 10, abs=1e-5
    )
    expected = sum(near) / len(near) + sum(apart) / len(apart)
    assert float(contrastive_margin(image, text, positive, 1.2)) == pytest.approx(expected, abs=1e-4)
    everything = torch.ones(5, 5, dtype=torch.bool)
    assert float(hardest_triplets(image, text, everything, 0.3)) == 0.0
    assert float(contrastive_margin(image, image, torch.eye(5, dtype=torch.bool), 0.0)) == pytest.approx(0, abs=1e-5)


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    rates = [cosine_rate(step, 100, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == pytest.approx(1.0)
    assert all(later <= earlier for earlier, later in pairwise(rates[10:]))
    assert rates[99] < 0.001


def _has(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None


@pytest.mark.slow
def test_a_training_that_is_stopped_keeps_nothing(album: Path, known: Library) -> None:
    pytest.importorskip("torch")
    command = [sys.executable, "-m", "mmsearch", "train", str(album / "album.jsonl"), "--epochs", "10000"]
    environment = {**os.environ, "MMSEARCH_LIBRARY": known.folder}
    controller, terminal = pty.openpty()
    running = subprocess.Popen(
        [*command, "--patience", "10000"], env=environment, stderr=terminal, stdout=subprocess.DEVNULL
    )
    os.close(terminal)
    said = b""
    while b"training" not in said:  # the bar of the epochs
        said += os.read(controller, 4096)
    running.send_signal(signal.SIGINT)
    with suppress(OSError):  # Linux says EIO where the last writer has gone
        while part := os.read(controller, 4096):
            said += part
    os.close(controller)
    running.wait(timeout=60)
    assert running.returncode == 130
    assert b"no adapter was kept" in said
    assert known.adapters.list() == ()


@pytest.mark.slow
def test_a_picture_is_searched_through_the_adapter_too(album: Path, known: Library, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from PIL import Image

    known.adapters.train(read_dataset(album / "album.jsonl"))
    stored = known._access.reading()
    in_use = known._access.model_in_use()
    assert in_use.adapter is not None
    move, encoder = in_use.adapter.maps["image"], BuiltinEncoder()
    photo = album / "photos" / name_of("zorbel", 0)
    others = [
        album / "photos" / name_of(word, number)
        for word in WORDS.values()
        if word != "zorbel"
        for number in range(ROUNDS)
    ]
    rows = []
    for path in (photo, *others):
        with Image.open(path) as image:
            rows.append(encoder.encode("image", [image.convert("RGB")])[0])
    plain, moved = np.stack(rows), move(np.stack(rows))
    changed = moved[1:] @ moved[0] - plain[1:] @ plain[0]
    most = int(np.abs(changed).argmax())
    assert abs(changed[most]) > 0.005, "the adapter changes too little for this test"
    other, expected = others[most], float(moved[1 + most] @ moved[0])
    copy = tmp_path / "unknown.jpg"
    copy.write_bytes(photo.read_bytes() + b"\0")
    for asked in (photo, copy):
        hits = known.search(Query((image_term(str(asked)),), limit=100)).hits
        similarity = next(hit.similarity for hit in hits if hit.path == str(other))
        assert similarity == pytest.approx(expected, abs=0.003)
    assert stored.counts(0).images == 80


def report_of(base: float, adapted: float, base_map: float, adapted_map: float, best: int = 3) -> AdapterReport:
    def sure(value: float) -> Estimate:
        return Estimate(value, value, value)

    return AdapterReport(
        label="", model="m", photos=100, trained_on=70, judged_on=15, seconds=1.0, unreadable=0, best_epoch=best,
        kept_epoch=best or 5, base=sure(base), adapted=sure(adapted), difference=sure(adapted - base),
        base_map=sure(base_map), adapted_map=sure(adapted_map), history=(Epoch(0, None, base, base_map),),
    )  # fmt: skip


def test_an_adapter_that_judges_worse_is_refused_and_one_that_is_as_good_is_not() -> None:
    refuse_what_is_no_better(report_of(0.5, 0.6, 0.5, 0.4))
    refuse_what_is_no_better(report_of(1.0, 1.0, 0.5, 0.5))
    with pytest.raises(AdapterRefused, match="harder to find") as refused:
        refuse_what_is_no_better(report_of(0.6, 0.5, 0.3, 0.9))
    assert refused.value.report.adapted.value == 0.5
    with pytest.raises(AdapterRefused, match="harder to find"):
        refuse_what_is_no_better(report_of(1.0, 1.0, 0.9, 0.8))
    with pytest.raises(AdapterRefused, match="nothing that helps"):
        refuse_what_is_no_better(report_of(0.5, 0.6, 0.5, 0.6, best=0))


def labelled_space(photos: int = 60, classes: int = 3, dimension: int = 32) -> EmbeddedDataset:
    chance = np.random.default_rng(0)

    def unit(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    labels = np.arange(photos) % classes
    images = unit(chance.normal(size=(photos, dimension)))
    return EmbeddedDataset(
        "made up", "none", tuple(Example(f"/{n}.jpg") for n in range(photos)), images,
        captions=tuple(f"caption {n}" for n in range(photos)), owners=np.arange(photos),
        texts=unit(chance.normal(size=(photos, dimension))),
        classes=tuple(str(one) for one in range(classes)), labels=labels,
        class_texts=unit(chance.normal(size=(classes, dimension))),
    )  # fmt: skip


def test_photos_that_trained_a_class_do_not_count_as_found() -> None:
    pytest.importorskip("torch")
    from mmsearch.adapters import fitting as adapter_fitting

    material = adapter_fitting._material(labelled_space())
    held_out = np.arange(10)
    ranks = adapter_fitting.held_out_ranks(material, held_out, None)
    # Ten captions with one photo each, then three classes of which 4, 3 and 3 photos were held out.
    assert [len(one) for one in ranks] == [1] * 10 + [4, 3, 3]
    # 50 photos trained, 16 or 17 of them of the class that is asked for: the gallery is smaller by those.
    assert max(int(one.max()) for one in ranks[10:]) <= 60 - 16


def test_the_calibration_moves_with_the_vectors() -> None:
    pytest.importorskip("torch")
    from mmsearch.adapters.fitting import moved_calibration

    space = labelled_space(photos=300)
    chance = np.random.default_rng(1)
    shared = chance.normal(size=(1, 32)).astype(np.float32)
    # Everything is drawn towards one direction, so that all cosines rise.
    pull = LowRankMap(np.eye(32, dtype=np.float32), np.zeros((32, 32), np.float32))
    maps = {
        one: LowRankMap(pull.down, np.asarray(0.5 * shared.T @ shared / 32, np.float32)) for one in ("image", "text")
    }
    noise = chance.normal(size=(64, 32)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    known = {(a, b): Background(0.0, 0.177, 4.0, 2.0, 0.0, 0.177) for a in ("image", "text") for b in ("image", "text")}
    moved = moved_calibration(known, maps, space, noise)
    cosines = maps["text"](space.texts) @ maps["image"](space.images).T
    assert moved["text", "image"].mean == pytest.approx(float(cosines.mean()), abs=0.03)
    assert moved["text", "image"].std == pytest.approx(float(cosines.std()), rel=0.15)
    still = {one: LowRankMap(pull.down, pull.up) for one in ("image", "text")}
    unmoved = moved_calibration(known, still, space, noise)
    assert unmoved["text", "text"].std == pytest.approx(0.177, rel=1e-3)


def test_a_dataset_of_one_word_does_not_flatten_the_scores(album: Path, known: Library, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    rows = [{"file": str(path), "label": "thing"} for path in sorted((album / "photos").iterdir())]
    data = tmp_path / "one.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    known.adapters.train(read_dataset(data), recipe=AdapterRecipe(epochs=3), force=True)
    curves = known._access.model_in_use().adapter
    assert curves is not None
    for pair, curve in curves.calibration.items():
        base = BuiltinEncoder().calibration[pair]
        assert 0.5 <= curve.std / base.std <= 2.0
        assert 0.5 <= curve.noise_std / base.noise_std <= 2.0
