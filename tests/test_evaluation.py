"""A person measures how well things are found: on photos with captions, on folders of classes, against shortcuts."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import Mmsearch, place_photographs

from mmsearch import Library, MmsearchError
from mmsearch.encoding.builtin import BuiltinEncoder
from mmsearch.encoding.noise import noise_queries
from mmsearch.evaluation.comparison import Comparison, compare
from mmsearch.evaluation.datasets import Dataset, Example, read_dataset
from mmsearch.evaluation.embedding import EmbeddedDataset, embed
from mmsearch.evaluation.metrics import Estimate
from mmsearch.evaluation.report import Evaluation, evaluate
from mmsearch.evaluation.retrieval import Direction, directions, measure, zero_shot
from mmsearch.evaluation.separation import NONSENSE_SEED, separation
from mmsearch.nearest.codes import CodedRows, as_float16, as_int8
from mmsearch.records import Background

CAPTIONS = {
    "cat.png": ["a cat", "the face of a cat with green eyes"],
    "coffee.png": ["a cup of coffee", "an espresso on a saucer with a spoon"],
    "rocket.jpg": ["a rocket taking off"],
    "motorcycle.png": ["a motorcycle", "a motorbike in a garage"],
    "flower.jpg": ["a flower", "a red flower in a garden"],
    "temple.jpg": ["a temple"],
}


@pytest.fixture(scope="module")
def captioned(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Captions for some of the photographs, and the other photographs without."""
    path = tmp_path_factory.mktemp("captions") / "captions.jsonl"
    names = sorted((photos / "photos").iterdir())
    rows = [{"file": str(name), "captions": CAPTIONS.get(name.name, [])} for name in names]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders: four crops of each of five photographs."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("classes")
    originals = place_photographs(folder / "originals")
    kinds = {"cat": "cat.png", "cup of coffee": "coffee.png", "motorcycle": "motorcycle.png", "flower": "flower.jpg"}
    for kind, name in {**kinds, "brick_wall": "bricks.png"}.items():
        (folder / "data" / kind).mkdir(parents=True)
        with Image.open(originals / name) as photo:
            whole = photo.convert("RGB")
        for number in range(4):
            left = int(number * whole.width * 0.1)
            whole.crop((left, 0, left + int(whole.width * 0.7), whole.height)).save(
                folder / "data" / kind / f"{number}.jpg"
            )
    return folder / "data"


def test_captions_are_measured_in_three_directions(command: Mmsearch, captioned: Path) -> None:
    done = command("eval", captioned, "--json")
    assert done.code == 0, done.err
    answer = done.json
    assert set(answer) == {"schema_version", "dataset", "evaluations"}
    assert answer["dataset"] == {"name": "captions", "format": "jsonl", "photos": 14, "missing": 0}
    (found,) = answer["evaluations"]
    assert found["model"].startswith("mmsearch-mini@")
    assert (found["photos"], found["captions"], found["from_library"]) == (14, 10, 0)
    by_name = {one["name"]: one for one in found["directions"]}
    assert list(by_name) == ["text→image", "image→text", "text→text"]
    assert (by_name["text→image"]["queries"], by_name["text→image"]["gallery"]) == (10, 14)
    assert (by_name["image→text"]["queries"], by_name["image→text"]["gallery"]) == (6, 10)
    assert (by_name["text→text"]["queries"], by_name["text→text"]["gallery"]) == (8, 10)
    for one in by_name.values():
        assert one["metrics"]["R@10"]["value"] >= 0.9
        assert one["metrics"]["MRR"]["value"] > 0.6
        for metric in one["metrics"].values():
            assert 0 <= metric["low"] <= metric["value"] <= metric["high"] <= 1
    assert [one["direction"] for one in found["separations"]] == ["text→image", "text→text"]
    assert found["separations"][0]["roc_auc"] > 0.9
    assert found["separations"][0]["answered"]["value"] > 0.7


@pytest.fixture(scope="module")
def named(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs under names of persons, with notes, asked for by these."""
    place = tmp_path_factory.mktemp("named")
    said = {"Ottilie.png": "cat.png", "Barnaby.png": "coffee.png", "IMG_7.jpg": "rocket.jpg", "IMG_8.jpg": "temple.jpg"}
    asked = {"Ottilie.png": ["Ottilie"], "Barnaby.png": ["Barnaby"], "IMG_7.jpg": "order 4711"}
    rows: list[dict[str, object]] = []
    for name, photo in said.items():
        shutil.copy(photos / "photos" / photo, place / name)
        rows.append({"file": name, "captions": asked.get(name, "a temple")})
    rows[2]["words"] = "Order 4711, by Xenia."
    (place / "named.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return place / "named.jsonl"


@pytest.mark.slow
def test_words_alone_vectors_alone_and_both_are_measured_on_photos_with_names_and_notes(
    command: Mmsearch, named: Path, tmp_path: Path
) -> None:
    done = command("eval", named, "--json")
    assert done.code == 0, done.err
    (found,) = done.json["evaluations"]
    ways = {one["name"]: one for one in found["channels"]}
    assert list(ways) == ["words", "vectors", "both"]
    assert all((one["queries"], one["gallery"]) == (4, 4) for one in ways.values())
    # `a temple` is in no name: of four photos that have none of its words it comes last.
    assert ways["words"]["metrics"]["R@1"]["value"] == 0.75
    assert ways["words"]["metrics"]["MRR"]["value"] == pytest.approx((3 + 1 / 4) / 4)
    assert ways["both"]["metrics"]["R@1"]["value"] == 1.0
    to_images = next(one for one in found["directions"] if one["name"] == "text→image")
    assert ways["vectors"]["metrics"] == to_images["metrics"]
    shown = command("eval", named)
    assert "by channel" in shown.out and "vectors" in shown.out


def test_photos_without_a_word_of_a_caption_are_not_measured_by_words(tmp_path: Path, photos: Path) -> None:
    shutil.copy(photos / "photos" / "cat.png", tmp_path / "1.png")
    shutil.copy(photos / "photos" / "coffee.png", tmp_path / "2.png")
    rows = [{"file": "1.png", "caption": "a tabby"}, {"file": "2.png", "caption": "an espresso"}]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (found,) = Library(tmp_path / "none").evaluate(read_dataset(tmp_path / "data.jsonl")).evaluations
    assert found.channels == ()


def test_class_folders_are_named_and_found(command: Mmsearch, classes: Path) -> None:
    done = command("eval", classes, "--k", "1,4", "--json")
    assert done.code == 0, done.err
    (found,) = done.json["evaluations"]
    by_name = {one["name"]: one for one in found["directions"]}
    assert list(by_name) == ["label→image", "image→image"]
    assert by_name["image→image"]["queries"] == 20
    assert by_name["image→image"]["metrics"]["R@1"]["value"] > 0.9
    assert by_name["label→image"]["metrics"]["recall@4"]["value"] > 0.7
    assert "R@10" not in by_name["label→image"]["metrics"]
    assert (found["zero_shot"]["photos"], found["zero_shot"]["classes"]) == (20, 5)
    assert found["zero_shot"]["top_1"]["value"] > 0.8
    assert found["zero_shot"]["top_5"]["value"] == 1.0
    assert found["separations"][0]["refused_absent"] is not None


@pytest.mark.slow
def test_a_person_reads_tables(command: Mmsearch, captioned: Path, classes: Path) -> None:
    done = command("eval", captioned, "--compare", "codes")
    assert done.code == 0, done.err
    assert done.out.startswith("captions: 14 photos, 10 captions, 0 classes;")
    assert "text→image" in done.out
    assert "exact, int8" in done.out
    assert "nonsense" in done.out
    assert "naming photos" in command("eval", classes).out


def test_whoever_compares_two_shortcuts_sees_exact_search_once_in_each_direction(
    command: Mmsearch, captioned: Path
) -> None:
    pytest.importorskip("hnswlib")
    both = ("--compare", "graph", "--compare", "codes", "--compare", "graph")
    (found,) = command("eval", captioned, *both, "--json").json["evaluations"]
    rows = [(one["direction"], one["name"]) for one in found["comparisons"]]
    assert len(rows) == len(set(rows)) and {name for _, name in rows} > {"exact, float32", "HNSW graph, ef 16"}
    printed = command("eval", captioned, *both).out
    assert printed.count("exact, float32") == len(found["directions"])


@pytest.mark.slow
def test_photos_of_the_library_are_not_encoded_again(
    indexed: Path, captioned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a picture was encoded")

    fresh = Library(indexed / "none").evaluate(read_dataset(captioned)).evaluations[0]
    monkeypatch.setattr(BuiltinEncoder, "_encode_images", refuse)
    known = Library(indexed).evaluate(read_dataset(captioned)).evaluations[0]
    assert (fresh.from_library, known.from_library) == (0, 14)
    assert known.directions[0].metrics["MRR"].value == pytest.approx(fresh.directions[0].metrics["MRR"].value, abs=0.02)


@pytest.mark.slow
def test_several_models_are_measured_side_by_side(command: Mmsearch, captioned: Path, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    from tiny_clip import make_tiny_clip

    tiny = make_tiny_clip(tmp_path / "tiny")
    done = command("eval", captioned, "--model", "mmsearch-mini", "--model", str(tiny), "--json")
    assert done.code == 0, done.err
    first, second = done.json["evaluations"]
    assert first["model"].startswith("mmsearch-mini@")
    assert second["model"].startswith(str(tiny))
    gained = [one["directions"][0]["metrics"]["MRR"]["value"] for one in (first, second)]
    assert gained[0] > gained[1], "random weights find as much as trained ones"


def test_unreadable_and_missing_photos_are_left_out_and_told(command: Mmsearch, photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "photos" / "cat.png", tmp_path / "cat.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    rows = [{"file": name, "caption": name} for name in ("cat.png", "broken.jpg", "gone.jpg")]
    (tmp_path / "data.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    done = command("eval", tmp_path / "data.jsonl", "--json")
    assert done.code == 0, done.err
    assert "1 photos that data names are not there" in done.err
    assert "broken.jpg: it cannot be read as a picture" in done.err
    (found,) = done.json["evaluations"]
    assert (found["photos"], found["captions"], len(found["unreadable"])) == (1, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--k", "0"], "is no list of numbers"),
        (["--k", "one"], "is no list of numbers"),
        (["--k", "9" * 30], "is no list of numbers"),
        (["--format", "csv"], "There is no format 'csv'"),
        (["--compare", "everything"], "--compare takes graph or codes"),
        (["--adapter", "pets"], "There is no library yet"),
        (["--model", "/no/such/model"], "/no/such/model"),
    ],
)
def test_what_a_person_gets_wrong_is_one_sentence(
    command: Mmsearch, captioned: Path, arguments: list[str], told: str
) -> None:
    done = command("eval", captioned, *arguments)
    assert done.code == 2
    assert told in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_folder_with_nothing_to_measure_by_is_told(command: Mmsearch, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "bare.jsonl"
    path.write_text(json.dumps({"file": str(photos / "photos" / "cat.png")}), encoding="utf-8")
    assert "has neither captions nor labels" in command("eval", path).err


# On vectors that are made up


def unit(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def made_up(photos: int = 60, captions: int = 3, noise: float = 1.0, dimension: int = 64) -> EmbeddedDataset:
    chance = np.random.default_rng(0)
    images = unit(chance.normal(size=(photos, dimension)))
    owners = np.repeat(np.arange(photos), captions)
    texts = unit(images[owners] + noise * chance.normal(size=(len(owners), dimension)) / dimension**0.5)
    labels = np.arange(photos) % 4
    labels[: photos // 12] = -1
    centres = np.stack([images[labels == one].mean(axis=0) for one in range(4)])
    return EmbeddedDataset(
        name="made up",
        model="none",
        examples=tuple(Example(f"/{number}.jpg") for number in range(photos)),
        images=images,
        captions=tuple(f"caption {number}" for number in range(len(owners))),
        owners=owners,
        texts=texts,
        classes=("a", "b", "c", "d"),
        labels=labels,
        class_texts=unit(centres),
    )


def test_each_direction_agrees_with_a_plain_count() -> None:
    data = made_up(noise=2.0)
    by_name = {one.name: measure(one) for one in directions(data)}
    order = np.argsort(-(data.texts @ data.images.T), axis=1)
    places = [int(np.flatnonzero(order[k] == data.owners[k])[0]) for k in range(len(data.texts))]
    assert by_name["text→image"].metrics["R@5"].value == pytest.approx(np.mean([place < 5 for place in places]))
    assert by_name["text→image"].metrics["MRR"].value == pytest.approx(np.mean([1 / (place + 1) for place in places]))
    order = np.argsort(-(data.images @ data.texts.T), axis=1)
    hits = [data.owners[order[photo, :5]].tolist().count(photo) for photo in range(60)]
    assert by_name["image→text"].metrics["P@5"].value == pytest.approx(np.mean(hits) / 5)
    assert by_name["image→text"].metrics["recall@5"].value == pytest.approx(np.mean(hits) / 3)
    cosines = data.texts @ data.texts.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = cosines.argmax(axis=1)
    assert by_name["text→text"].metrics["R@1"].value == pytest.approx(np.mean(data.owners[nearest] == data.owners))
    rows = np.flatnonzero(data.labels >= 0)
    cosines = data.images[rows] @ data.images[rows].T
    np.fill_diagonal(cosines, -np.inf)
    alike = data.labels[rows][cosines.argmax(axis=1)] == data.labels[rows]
    assert by_name["image→image"].metrics["R@1"].value == pytest.approx(np.mean(alike))
    assert by_name["image→image"].queries == 55
    named = (data.images[rows] @ data.class_texts.T).argmax(axis=1) == data.labels[rows]
    found = zero_shot(data)
    assert found is not None
    assert found.top_1.value == pytest.approx(np.mean(named))
    assert found.top_5.value == 1.0


def test_a_caption_of_two_photos_is_right_for_both() -> None:
    data = made_up(photos=4, captions=1)
    same = EmbeddedDataset(
        **{**vars(data), "captions": ("a dog", "A dog", "a cat", "a bird"), "labels": np.full(4, -1), "classes": ()}
    )
    (to_images, _) = directions(same)
    right, left_out = to_images.judge(np.arange(4))
    assert left_out is None
    assert right.tolist() == [[True, True, False, False]] * 2 + [[False, False, True, False], [False] * 3 + [True]]


def test_captions_of_one_photo_are_one_group() -> None:
    by_name = {one.name: one for one in directions(made_up())}
    assert by_name["text→image"].groups.tolist() == np.repeat(np.arange(60), 3).tolist()


@pytest.mark.parametrize("comparison", list(Comparison))
def test_shortcuts_are_held_against_exact_search(comparison: Comparison) -> None:
    pytest.importorskip("hnswlib")
    to_images: Direction = directions(made_up(photos=300, captions=1))[0]
    settings = compare(to_images, comparison)
    assert settings[0].name == "exact, float32"
    assert (settings[0].recall_at_10, settings[0].bytes_per_vector) == (1.0, 256.0)
    assert settings[0].hits_at_10 == pytest.approx(measure(to_images).metrics["R@10"].value)
    for one in settings[1:]:
        assert (0.3 if one.name.endswith("alone") else 0.5) < one.recall_at_10 <= 1.0
        assert one.gallery == one.queries == 300
    recalls = {one.name: one.recall_at_10 for one in settings}
    if comparison is Comparison.GRAPH:
        assert recalls["HNSW graph, ef 16"] <= recalls["HNSW graph, ef 256"]
        assert recalls["HNSW graph, ef 256"] > 0.99
    else:
        assert recalls["exact, float16"] > 0.99
        assert recalls["sign bits, 100 re-ranked"] > 0.8


def test_learned_codes_of_more_bits_find_more_and_re_ranked_nearly_all() -> None:
    chance = np.random.default_rng(5)
    narrow = chance.normal(size=(100, 256)).astype(np.float32)
    images = unit(chance.normal(size=(1_500, 100)).astype(np.float32) @ narrow)
    texts = unit(images[:60] + 0.3 * unit(chance.normal(size=(60, 100)).astype(np.float32) @ narrow))
    data = replace(
        made_up(),
        images=images,
        labels=np.full(1_500, -1),
        texts=texts,
        owners=np.arange(60),
        captions=tuple(f"photo {number}" for number in range(60)),
    )
    by_name = {one.name: one for one in compare(directions(data)[0], Comparison.CODES)}
    few, more = by_name["64 learned bits alone"], by_name["128 learned bits alone"]
    assert (few.bytes_per_vector, more.bytes_per_vector) == (8, 16)
    assert few.recall_at_10 < more.recall_at_10
    assert few.recall_at_100 is not None and more.recall_at_100 is not None
    assert few.recall_at_100 < more.recall_at_100
    assert by_name["128 learned bits, 1,000 re-ranked"].recall_at_10 > 0.99
    assert by_name["exact, float32"].recall_at_100 == 1.0


def test_equal_vectors_do_not_count_against_a_shortcut() -> None:
    data = made_up(photos=30, captions=1)
    copies = EmbeddedDataset(**{**vars(data), "images": np.repeat(data.images[:2], 15, axis=0)})
    compared = [one for one in compare(directions(copies)[0], Comparison.CODES) if not one.name.endswith("alone")]
    assert len(compared) == 3
    assert all(one.recall_at_10 == 1.0 for one in compared)


def test_separation_counts_what_is_shown_above_the_threshold() -> None:
    data = made_up(photos=200, captions=1, noise=0.5)
    chance = np.random.default_rng(9)
    noise, nonsense = (unit(chance.normal(size=(100, 64))) for _ in range(2))
    curve = Background(mean=0.0, std=1 / 8, midpoint=4.0, slope=2.0, noise_mean=0.0, noise_std=1 / 8)
    known = {(asked, answering): curve for asked in ("image", "text") for answering in ("image", "text")}
    to_images = directions(data)[0]
    found = separation(data, to_images, known, noise, nonsense)
    assert found.roc_auc is not None
    assert found.roc_auc > 0.99
    assert 0.75 < found.refused.value <= 1.0
    assert found.answered.value > 0.95
    assert found.recall > 0.95
    assert found.f1 == pytest.approx(2 * found.precision * found.recall / (found.precision + found.recall))
    assert found.refused_absent is None


def test_an_evaluation_from_python_is_three_lines(captioned: Path, tmp_path: Path) -> None:
    (found,) = Library(tmp_path / "none").evaluate(read_dataset(captioned), ks=(1, 3)).evaluations
    assert isinstance(found, Evaluation)
    assert isinstance(found.directions[0].metrics["R@3"], Estimate)


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(MmsearchError, match="None of the 1 photos of odd can be read"):
        embed(Dataset("odd", "jsonl", (Example(str(tmp_path / "a.jpg"), ("a",)),)), BuiltinEncoder())


def test_a_model_without_a_calibration_is_calibrated_by_the_dataset() -> None:
    class Uncalibrated(BuiltinEncoder):
        calibration = None  # type: ignore[assignment]

    found = evaluate(made_up(dimension=384, noise=0.5), Uncalibrated())
    assert [one.direction for one in found.separations] == ["text→image", "text→text", "label→image"]
    assert found.separations[0].answered.value > 0.9


def test_the_nonsense_that_is_measured_is_not_that_which_calibrates() -> None:
    assert not set(noise_queries()) & set(noise_queries(seed=NONSENSE_SEED))


# Codes


def test_codes_lose_little() -> None:
    vectors = made_up(photos=200).images
    assert np.abs(as_float16(vectors) - vectors).max() < 1e-3
    assert np.abs(as_int8(vectors) - vectors).max() <= np.abs(vectors).max() / 127 / 2 + 1e-6
    assert as_int8(np.zeros((1, 8), np.float32)).tolist() == [[0.0] * 8]


@pytest.mark.parametrize("dimension", [40, 64, 100])
def test_sign_codes_find_a_vector_itself(dimension: int) -> None:
    vectors = unit(np.random.default_rng(3).normal(size=(500, dimension)))
    codes = CodedRows.of(vectors)
    assert codes.words.shape == (-(-dimension // 64), 500)
    assert all(row in codes.nearest(vectors[row], 20) for row in range(0, 500, 25))
    assert len(codes.nearest(vectors[0], 20)) == 20
    assert codes.nearest(vectors[0], 600).tolist() == list(range(500))
    assert len(CodedRows.of(vectors[:0]).nearest(vectors[0], 5)) == 0
