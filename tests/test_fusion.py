"""What was learned of merging vectors and words: trained, used, refused, undone; and nothing changes without it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Mmsearch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from mmsearch import Damaged, Library, Query, Term
from mmsearch.adapters.fusion import Answered, fitted
from mmsearch.adapters.picture_weight import LEAST, MOST, Choice, fitted_weight
from mmsearch.searching.fusion import ChannelWeights, Fusion, add_fusion
from mmsearch.searching.merging import Told, told_by_words
from mmsearch.searching.query import text_term
from mmsearch.store.sqlite.store import SqliteStore

# A word, and what speaks of it without naming it.
MEANT = {
    "lighthouse": "A tower by the sea with a lamp that warns ships of the rocks at night.",
    "bread": "Knead flour, water and yeast, let the dough rise, and bake the loaf in the oven.",
    "dentist": "She drilled the tooth, filled the cavity, and told me to brush twice a day.",
    "violin": "He tuned the four strings, took the bow, and practised his sonata.",
    "volcano": "Lava ran down the mountain and ash fell from the crater.",
    "football": "The striker scored a late goal and the keeper of the other team was sent off.",
    "wedding": "The bride and the groom exchanged rings in the church before all guests.",
    "tax": "The yearly return on income is due at the revenue office in July.",
    "horse": "The mare galloped over the meadow with the rider in the saddle.",
    "train": "The locomotive left the station with twelve carriages along the rails.",
    "surgeon": "He operated on the patient's heart in the hospital for six hours.",
    "beach": "We lay on the sand by the ocean and swam in the waves.",
    "pizza": "Tomato sauce, mozzarella and basil on a thin crust, hot from the stone oven.",
    "library": "Shelves full of novels, where readers borrow volumes and return them in time.",
    "winter": "Snow and ice lay on the roads, and the temperature fell below zero.",
    "cat": "The kitten purred, licked its paws and chased a mouse.",
    "garden": "Plant the tulips in autumn, water the roses, and mow the lawn.",
    "aeroplane": "The pilot landed the jet on the runway with all passengers.",
    "king": "The monarch was crowned and sat on the throne of his realm.",
    "computer": "The processor, the keyboard and the screen of the laptop were replaced.",
    "coffee": "Grind the beans, pour hot water over the filter, and drink an espresso.",
    "hospital": "Nurses and doctors look after the sick in the wards.",
    "camera": "Set the aperture and the shutter, focus the lens, and take the photograph.",
    "shoes": "Leather boots and sneakers, with laces and rubber soles.",
}


@pytest.fixture(scope="module")
def misnamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of notes, beside each of which lies one that only its name speaks for, and the data that tell of it."""
    home = tmp_path_factory.mktemp("misnamed")
    notes = home / "notes"
    notes.mkdir()
    lines = []
    for number, (word, text) in enumerate(MEANT.items()):
        (notes / f"{number}.txt").write_text(text)
        (notes / f"{word}.txt").write_text(f"Entry {number}: nothing was noted on this page, and it stays empty.")
        lines.append(json.dumps({"file": str(notes / f"{number}.txt"), "captions": [word]}))
    (home / "meant.jsonl").write_text("\n".join(lines))
    named = [json.dumps({"file": str(notes / f"{word}.txt"), "captions": [word]}) for word in MEANT]
    (home / "named.jsonl").write_text("\n".join(named))
    with Library(home / "library") as library:
        library.index([notes])
    return home


@pytest.fixture
def folder(misnamed: Path, tmp_path: Path) -> Path:
    shutil.copytree(misnamed / "library", tmp_path / "library")
    return tmp_path / "library"


def answers(folder: Path) -> list[list[tuple[str, float, float]]]:
    with Library(folder) as library, library.session() as session:
        results = [session.search(Query((text_term(word),), limit=5)) for word in list(MEANT)[:6]]
    return [[(hit.path, hit.score, hit.similarity) for hit in result.hits] for result in results]


def first_right(found: list[list[tuple[str, float, float]]]) -> int:
    """How many of the queries have what was meant as their first hit."""
    return sum(Path(hits[0][0]).stem == str(place) for place, hits in enumerate(found))


def test_what_names_mislead_to_is_learned_used_and_undone(command: Mmsearch, misnamed: Path, folder: Path) -> None:
    before = answers(folder)
    assert first_right(before) == 0
    done = command("train", misnamed / "meant.jsonl", "--fusion", "--json")
    assert done.code == 0, done.err
    report: dict[str, Any] = done.json
    assert report["fused_mrr"]["value"] > report["base_mrr"]["value"]
    assert report["trained_on"] + report["judged_on"] == report["queries"] == len(MEANT)
    assert report["channels"].keys() == {"text", "words"}
    learned = answers(folder)
    assert first_right(learned) >= 4
    assert all(0 <= score <= 1 for hits in learned for _, score, _ in hits)
    listed = command("adapters", "--json").json["fusions"]
    assert [(one["label"], one["in_use"]) for one in listed] == [("fusion@1", True)]
    assert "* fusion@1" in command("adapters").out
    assert command("adapters", "--use", "fusion@none").code == 0
    assert answers(folder) == before
    assert command("adapters", "--use", "fusion@1").code == 0
    assert answers(folder) == learned
    assert command("adapters", "--remove", "fusion@1").code == 0
    assert answers(folder) == before
    assert command("adapters", "--use", "fusion@1").code == 2


def test_what_helps_nothing_is_refused_unless_it_is_forced(command: Mmsearch, misnamed: Path, folder: Path) -> None:
    before = answers(folder)
    done = command("train", misnamed / "named.jsonl", "--fusion")
    assert (done.code, done.out) == (2, "")
    assert "so it was not kept; --force keeps it" in done.err
    assert command("adapters", "--json").json["fusions"] == []
    assert answers(folder) == before
    assert command("train", misnamed / "named.jsonl", "--fusion", "--force").code == 0
    assert answers(folder) != before
    assert command("train", misnamed / "meant.jsonl", "--fusion").code == 0
    listed = command("adapters", "--json").json["fusions"]
    assert [(one["label"], one["in_use"]) for one in listed] == [("fusion@1", False), ("fusion@2", True)]


def test_files_that_the_library_lacks_teach_nothing(command: Mmsearch, misnamed: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("A note.")
    assert command("index", tmp_path / "notes").code == 0
    done = command("train", misnamed / "meant.jsonl", "--fusion")
    assert (done.code, done.out) == (2, "")
    assert "0 queries for files of this library" in done.err


def test_a_session_that_is_open_takes_what_is_learned(misnamed: Path, folder: Path) -> None:
    from mmsearch.evaluation.datasets import read_dataset

    with Library(folder) as library, library.session() as session:
        word = Query((text_term("lighthouse"),), limit=1)
        assert Path(session.search(word).hits[0].path).stem == "lighthouse"
        library.fusions.train(read_dataset(misnamed / "meant.jsonl"))
        assert Path(session.search(word).hits[0].path).stem == "0"
        library.fusions.use("fusion@none")
        assert Path(session.search(word).hits[0].path).stem == "lighthouse"


def test_what_is_damaged_is_said_and_can_be_taken_out(command: Mmsearch, folder: Path) -> None:
    store = SqliteStore.write(str(folder))
    with store.transaction():
        store.set_setting("fusions", '{"in_use": 1, "fusions": {"1": {}}}')
    store.close()
    with Library(folder) as library, pytest.raises(Damaged):
        library.search("lighthouse")
    done = command("search", "lighthouse")
    assert done.code == 2
    assert "--remove fusion@all" in done.err
    assert command("adapters", "--remove", "fusion@all").code == 0
    assert command("search", "lighthouse").code == 0


def test_a_rare_name_stays_above_vague_neighbours_whatever_was_learned(folder: Path, misnamed: Path) -> None:
    """A person who never meant names has taught the library so; a name that nothing else is near to is first."""
    against_words = {
        "text": ChannelWeights(1.0, 2.0),  # neighbours are worth more than they say
        "words": ChannelWeights(0.5, -6.0),  # and names are worth next to nothing
    }
    name = misnamed / "notes" / "volcano.txt"
    with Library(folder) as library, library.session() as session:
        query = Query((text_term("volcano"),), limit=48, min_score=0.0)
        before = {hit.path: hit.score for hit in session.search(query).hits}
    store = SqliteStore.write(str(folder))
    add_fusion(store, Fusion(against_words), {})
    store.close()
    with Library(folder) as library, library.session() as session:
        found = [hit.path for hit in session.search(query).hits]
        assert session.search(query).hits[0].score > 0
    vague = [path for path in found if before[path] < before[str(name)] / 2 and path != str(name)]
    assert len(vague) > 20
    assert found.index(str(name)) < min(map(found.index, vague))


# A picture beside words

COLOURS = {"red": "#d01818", "green": "#109030", "blue": "#1840d0", "yellow": "#f0d010", "black": "#101010"}
SHAPES = ("circle", "square", "triangle", "cross")


def drawn(path: Path, shape: str, colour: str, size: int) -> str:
    """A shape in a colour on white, saved; its path."""
    picture, low, high = Image.new("RGB", (224, 224), "white"), 112 - size, 112 + size
    pen = ImageDraw.Draw(picture)
    if shape == "circle":
        pen.ellipse((low, low, high, high), fill=colour)
    elif shape == "square":
        pen.rectangle((low, low, high, high), fill=colour)
    elif shape == "triangle":
        pen.polygon([(112, low), (low, high), (high, high)], fill=colour)
    else:
        pen.rectangle((98, low, 126, high), fill=colour)
        pen.rectangle((low, 98, high, 126), fill=colour)
    picture.save(path)
    return str(path)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of shapes, of somebody who shows one and says another colour; and of one who says what is shown."""
    home = tmp_path_factory.mktemp("shapes")
    for name in ("library", "shapes", "asked"):
        (home / name).mkdir()
    other: list[dict[str, Any]] = []
    same: list[dict[str, Any]] = []
    for shape in SHAPES:
        for place, (name, colour) in enumerate(COLOURS.items()):
            file = drawn(home / "shapes" / f"{len(other):02d}.png", shape, colour, 70)
            shown = [list(COLOURS)[(place + step) % len(COLOURS)] for step in (1, 2)]
            asked = [drawn(home / "asked" / f"{shape} {one}.png", shape, COLOURS[one], 60) for one in shown]
            text = f"a {name} {shape}"
            other.append({"file": file, "queries": [{"image": one, "text": text} for one in asked]})
            itself = drawn(home / "asked" / f"{shape} {name} again.png", shape, colour, 69)
            same.append({"file": file, "queries": [{"image": itself, "text": text}]})
    (home / "other.jsonl").write_text("\n".join(map(json.dumps, other)))
    (home / "same.jsonl").write_text("\n".join(map(json.dumps, same)))
    with Library(home / "library") as library:
        library.index([home / "shapes"])
    return home


def found_with(home: Path, folder: Path) -> list[list[tuple[str, float]]]:
    """What is found for each colour, by words with a picture of the next colour, and by words alone."""
    words = [Term("text", f"a {name} square") for name in COLOURS]
    shown = [*list(COLOURS)[1:], *list(COLOURS)[:1]]
    pictures = [Term("image", str(home / "asked" / f"square {name}.png")) for name in shown]
    queries = [*zip(words, pictures, strict=True), *((word,) for word in words)]
    with Library(folder) as library:
        results = [library.search(Query(terms, limit=20, min_score=0.0)) for terms in queries]
    return [[(hit.path, hit.score) for hit in result.hits] for result in results]


def test_what_a_picture_weighs_beside_words_is_learned_used_and_undone(
    command: Mmsearch, shapes: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "library"
    shutil.copytree(shapes / "library", folder)
    before = found_with(shapes, folder)
    done = command("train", shapes / "other.jsonl", "--fusion", "--json")
    assert done.code == 0, done.err
    report: dict[str, Any] = done.json
    assert report["queries"] == 0 and report["base_mrr"] is None and report["channels"] == {}
    picture = report["picture"]
    assert picture["trained_on"] + picture["judged_on"] == picture["queries"] == 40
    assert 0.125 <= picture["weight"] < 0.9  # the words say more
    assert picture["fused_mrr"]["value"] > picture["base_mrr"]["value"]
    (listed,) = command("adapters", "--json").json["fusions"]
    assert listed["picture_weight"] == picture["weight"] and listed["channels"] == {}
    assert "a picture beside words 0." in command("adapters").out
    learned = found_with(shapes, folder)
    count = len(COLOURS)
    assert learned[:count] != before[:count]
    assert learned[count:] == before[count:]  # by words alone
    said = Query(
        (Term("text", "a red square"), Term("image", str(shapes / "asked" / "square green.png"), picture["weight"])),
        limit=20,
        min_score=0.0,
    )
    command("adapters", "--use", "fusion@none")
    assert found_with(shapes, folder) == before
    with Library(folder) as library:
        assert [hit.path for hit in library.search(said).hits] == [path for path, _ in learned[0]]
    command("adapters", "--use", "fusion@1")
    with Library(folder) as library:  # a weight that is said counts beside what was learned
        result = library.search(replace(said, terms=(said.terms[0], replace(said.terms[1], weight=1.0))))
    assert [(hit.path, hit.score) for hit in result.hits] == learned[0]
    assert result.query.terms[1].weight == 1.0


def test_a_weight_that_helps_nothing_is_refused(command: Mmsearch, shapes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    shutil.copytree(shapes / "library", folder)
    done = command("train", shapes / "same.jsonl", "--fusion")
    assert (done.code, done.out) == (2, "")
    assert "so it was not kept; --force keeps it" in done.err
    assert command("adapters", "--json").json["fusions"] == []


def test_of_both_that_is_kept_which_helps(command: Mmsearch, misnamed: Path, shapes: Path, tmp_path: Path) -> None:
    """Notes whose names mislead teach what names are worth; the pictures shown say all that there is to say."""
    folder = tmp_path / "library"
    shutil.copytree(shapes / "library", folder)
    assert command("index", misnamed / "notes").code == 0
    lines = (misnamed / "meant.jsonl").read_text() + "\n" + (shapes / "same.jsonl").read_text()
    (tmp_path / "both.jsonl").write_text(lines)
    done = command("train", tmp_path / "both.jsonl", "--fusion")
    assert done.code == 0, done.err
    assert "queries of a picture with words" in done.out and "it stays as it was" in done.out
    (listed,) = command("adapters", "--json").json["fusions"]
    assert listed["picture_weight"] == 1.0 and "words" in listed["channels"]


def test_queries_that_are_written_wrong_are_named(command: Mmsearch, shapes: Path, tmp_path: Path) -> None:
    file = str(shapes / "shapes" / "00.png")
    for query, what in (
        ({"image": "gone.png", "text": "a cat"}, "gone.png of a query in line 1"),
        ({"image": file, "text": " "}, "A query in line 1"),
        ({"image": file}, 'no text under "text" in line 1'),
    ):
        (tmp_path / "wrong.jsonl").write_text(json.dumps({"file": file, "queries": [query]}))
        done = command("train", tmp_path / "wrong.jsonl", "--fusion")
        assert done.code == 2 and what in done.err, done.err


# The arithmetic


@given(
    scores=st.lists(st.floats(0, 1, width=32), min_size=2, max_size=30),
    slope=st.floats(0.05, 20),
    shift=st.floats(-20, 20),
)
def test_moved_scores_stay_scores_in_their_order(scores: list[float], slope: float, shift: float) -> None:
    before = np.sort(np.array(scores, np.float32))
    after = ChannelWeights(slope, shift).moved(before)
    assert ((after >= 0) & (after <= 1)).all()
    assert (np.diff(after) >= 0).all()
    assert (after[before == 0] == 0).all() and (after[before == 1] == 1).all()


@given(
    words=st.floats(0.5, 1, width=32),
    share=st.floats(0, 0.49),
    text=st.tuples(st.floats(0.05, 20), st.floats(-20, 20)),
    of_words=st.tuples(st.floats(0.05, 20), st.floats(-20, 20)),
)
def test_no_weights_put_a_vague_neighbour_above_a_literal_match(
    words: float, share: float, text: tuple[float, float], of_words: tuple[float, float]
) -> None:
    fusion = Fusion({"text": ChannelWeights(*text), "words": ChannelWeights(*of_words)})
    assert told_by_words(words, fusion=fusion) >= fusion.moved_one("text", share * words)


def made_up(seed: int, words_are_right: float) -> Iterator[Answered]:
    """Queries whose vectors' scores are as probable as they say, and of whose matches such a share is right."""
    chance = np.random.default_rng(seed)
    for _ in range(200):
        by_vector = chance.uniform(0, 1, 10)
        by_words = np.where(chance.uniform(size=10) < 0.3, 0.9, 0.0)
        right = (chance.uniform(size=10) < by_vector) | (
            (by_words > 0) & (chance.uniform(size=10) < words_are_right)
        )  # fmt: skip
        told = (Told("image", float(v), float(w)) for v, w in zip(by_vector, by_words, strict=True))
        yield Answered(tuple(told), tuple(bool(one) for one in right))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_each_channel_is_told_by_what_it_is_worth_and_not_by_the_other(share: float) -> None:
    fusion = fitted(list(made_up(1, share)))
    assert fusion.moved_one("words", 0.9) == pytest.approx(share, abs=0.12)
    for score in (0.2, 0.5, 0.8):
        assert fusion.moved_one("image", score) == pytest.approx(score, abs=0.12)


def chosen(seed: int, weight: float, count: int = 300) -> Iterator[Choice]:
    """Queries of which that one of twenty is right which is nearest with such a weight, but for some chance."""
    chance = np.random.default_rng(seed)
    for _ in range(count):
        cosines = chance.normal(0, 0.1, (20, 2))
        utility = 30 * (cosines @ [1, weight]) + chance.gumbel(size=20)
        yield Choice(cosines, np.arange(20) == utility.argmax())


@pytest.mark.parametrize("weight", [0.25, 1.0, 3.0])
def test_the_weight_is_that_by_which_was_chosen(weight: float) -> None:
    assert fitted_weight(list(chosen(2, weight))) == pytest.approx(weight, rel=0.15)


def test_few_queries_and_perfect_ones_give_a_weight_all_the_same() -> None:
    assert fitted_weight([]) == 1.0
    alone = Choice(np.array([[0.1, 0.9], [0.2, 0.1]]), np.array([True, False]))
    assert fitted_weight([alone] * 50) == MOST
    of_words = Choice(np.array([[0.9, 0.1], [0.1, 0.2]]), np.array([True, False]))
    assert fitted_weight([of_words] * 50) == LEAST
