"""A person asks why a file is a hit: which channel, which words, and where in its picture."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Mmsearch, refused
from made_videos import write_film
from PIL import Image
from terminal import printed_on_a_terminal, seen
from tiny_clip import make_tiny_clip, make_tiny_siglip

from mmsearch import Explanation, Heat, HeatMap, Library, heat_map_png
from mmsearch.encoding.adapted import AdaptedEncoder, Adapter, LowRankMap
from mmsearch.encoding.builtin_files import MODEL_FOLDER
from mmsearch.encoding.crops import CroppedEncoder
from mmsearch.encoding.onnx_model import OnnxEncoder
from mmsearch.encoding.regions import regions_of
from mmsearch.encoding.split_graph import split_at_pooling
from mmsearch.models.opening import open_encoder
from mmsearch.output.explanations import explained_lines
from mmsearch.records import Background
from mmsearch.searching.explanations import FoundBy
from mmsearch.searching.heat import AskedTerm, heat_in

UNRELATED = Background(mean=-0.03, std=0.11, midpoint=3.7, slope=2.3, noise_mean=0.0, noise_std=0.1)


def photograph(photos: Path, name: str) -> Image.Image:
    with Image.open(photos / "photos" / name) as opened:
        return opened.convert("RGB")


@pytest.fixture(scope="module")
def both(photos: Path) -> Image.Image:
    """A cat in the left half, a cup of coffee in the right one."""
    picture = Image.new("RGB", (600, 400))
    for place, name in enumerate(("cat.png", "coffee.png")):
        picture.paste(photograph(photos, name).resize((300, 400)), (300 * place, 0))
    return picture


@pytest.fixture(scope="module")
def home(both: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `files` and their `library`: that picture, a film of it, and a note."""
    folder = tmp_path_factory.mktemp("explained")
    files = folder / "files"
    files.mkdir()
    both.save(files / "kitchen_table.jpg", quality=95)
    pytest.importorskip("av")
    write_film(files / "film.mp4", [(both.resize((320, 240)), 4.0)])
    (files / "note.md").write_text("# Morning\n\nThe cup stands here. Café au lait in a white cup, and a CUP of tea.\n")
    with Library(folder / "library") as library:
        library.index(files)
    return folder


def map_of(heat: Heat | None, term: str) -> HeatMap:
    assert heat is not None
    return next(one for one in heat.maps if one.term == term)


def peak(heat: Heat | None, term: str) -> tuple[float, float]:
    """Where a term has most, from the left and from the top, in shares of what the model has seen."""
    grid = np.array(map_of(heat, term).grid)
    row, column = np.unravel_index(grid.argmax(), grid.shape)
    return (column + 0.5) / grid.shape[1], (row + 0.5) / grid.shape[0]


def test_a_heat_map_points_to_the_half_that_shows_what_was_asked_for(home: Path) -> None:
    with Library(home / "library") as library:
        explanation = library.explain(home / "files" / "kitchen_table.jpg", "a cat beside a cup of coffee")
    heat = explanation.heat
    assert heat is not None and heat.method == "regions" and heat.seen == (0, 0, 1, 1)
    assert [(one.term, one.kind) for one in heat.maps] == [
        ("a cat beside a cup of coffee", "query"), ("cat", "word"), ("beside", "word"), ("cup", "word"),
        ("coffee", "word"),
    ]  # fmt: skip
    assert peak(heat, "cat")[0] < 0.5 < peak(heat, "cup")[0]
    assert peak(heat, "coffee")[0] > 0.5
    assert all(len(one.grid) == heat.rows and len(one.grid[0]) == heat.columns for one in heat.maps)
    assert heat.cold < heat.hot == pytest.approx(max(max(map(max, one.grid)) for one in heat.maps))
    assert explanation.words == () and [one.channel for one in explanation.channels] == ["image"]


def test_the_frame_of_a_film_has_a_heat_map_too(home: Path) -> None:
    with Library(home / "library") as library:
        explanation = library.explain(home / "files" / "film.mp4", "a cup of coffee")
    assert explanation.source == "frame" and explanation.time is not None
    assert peak(explanation.heat, "coffee")[0] > 0.5


def test_words_are_told_with_where_they_stand(home: Path) -> None:
    with Library(home / "library") as library:
        result = library.explained(library.search("white cup cafe"))
        hit = next(hit for hit in result.hits if hit.path.endswith("note.md"))
        named = library.explain(home / "files" / "kitchen_table.jpg", "table in the files")
    explanation = hit.explanation
    assert explanation is not None and hit.snippet is not None and explanation.heat is None
    said = {one.word: [hit.snippet[begins:ends] for begins, ends in one.spans] for one in explanation.words}
    assert said == {"white": ["white"], "cup": ["cup", "cup", "CUP"], "cafe": ["Café"]}
    assert {one.fields for one in explanation.words} == {("text",)}
    shares = [one.score for one in explanation.channels]
    assert explanation.channels[0].channel == "words" and all(0 < one <= 1 for one in shares)
    assert 1 - np.prod([1 - one for one in shares]) == pytest.approx(hit.score)
    assert {one.word: one.fields for one in named.words} == {"table": ("name",), "files": ("folder",)}


def test_what_a_vector_that_is_too_far_adds_to_the_words_is_told(home: Path) -> None:
    with Library(home / "library") as library:
        result = library.explained(library.search("white cup cafe"))
    hit = next(hit for hit in result.hits if hit.path.endswith("note.md"))
    assert hit.explanation is not None
    alone = replace(hit, score=0.914, explanation=replace(hit.explanation, channels=(FoundBy("words", 0.9),)))
    assert next(explained_lines(alone)).said == (
        "score 0.91 = 0.90 for its words + 0.01 for its meaning, too far to be found by that alone"
    )
    assert next(explained_lines(replace(alone, score=0.9))).said == "score 0.90: its words"


def test_words_that_a_query_in_another_language_was_read_as_are_told_too(home: Path) -> None:
    with Library(home / "library") as library:
        explained = library.explain(home / "files" / "note.md", "eine weiße Tasse")
    assert "cup" in {found.word for found in explained.words}
    assert next(found.score for found in explained.channels if found.channel == "words") > 0.5


def test_a_file_is_called_by_its_path_its_id_or_its_rank(home: Path) -> None:
    path = str(home / "files" / "note.md")
    with Library(home / "library") as library:
        result = library.search("white cup cafe")
        library.keep_result(result)
        rank = next(hit.rank for hit in result.hits if hit.path == path)
        told = [library.explain(called, "cup") for called in (path, result.hits[rank - 1].id, str(rank))]
        assert told[0] == told[1] == told[2] and told[0].path == path
        with refused("has no file"):
            library.explain("/nowhere.jpg", "cup")
        with refused("quotation marks"):
            library.explain(path, '"a cup of milk"')


@pytest.mark.slow
def test_the_command_says_it_below_each_hit_and_in_json(mmsearch: Mmsearch, home: Path) -> None:
    lines = mmsearch("search", "white cup cafe", "--explain", library=home / "library").out.splitlines()
    note = next(place for place, line in enumerate(lines) if "note.md" in line)
    told = re.fullmatch(
        r"\t\tscore (.*) = (.*) for its words \+ (.*) for what its text means \((.*) of the (.*) left\)",
        lines[note + 1],
    )
    assert told is not None, lines[note + 1]
    score, by_words, added, by_text, left = map(Decimal, told.groups())
    assert lines[note].split("\t")[0] == str(score) and by_words + added == score and by_words + left == 1
    assert abs(by_text * left - added) <= Decimal("0.01")
    assert lines[note + 2] == "\t\twords: white (text), cup (text), cafe (text)"
    assert "[Café] au lait in a [white] [cup], and a [CUP] of tea" in lines[note + 3]
    plain = mmsearch("search", "a cup of coffee", "--json", library=home / "library").json
    assert all(hit["explanation"] is None for hit in plain["hits"])
    told = mmsearch("search", "a cup of coffee", "--explain", "--json", library=home / "library").json
    photo = next(hit for hit in told["hits"] if hit["type"] == "image")
    explanation = photo["explanation"]
    assert set(explanation) == {
        "id", "path", "source", "page", "time", "region", "part_name", "channels", "words", "heat", "trouble",
        "score",
    }  # fmt: skip
    assert set(explanation["heat"]) == {"method", "rows", "columns", "seen", "cold", "hot", "maps"}
    assert {name for one in explanation["heat"]["maps"] for name in one} == {"term", "kind", "grid"}
    each = mmsearch("search", "--batch", "-", "--explain", library=home / "library", stdin="a cup of coffee\n")
    assert [hit["explanation"] for hit in json.loads(each.out)["hits"]] == [
        hit["explanation"] for hit in told["hits"]
    ]  # fmt: skip
    for wrong in (("--type", "image"), ("cup", "--paths"), ("cup", "--explain-to", home / "files" / "note.md")):
        assert mmsearch("search", *wrong, "--explain", library=home / "library").code == 2


def test_a_table_marks_the_words_and_a_preview_shows_the_heat(home: Path) -> None:
    def printed(*options: str) -> str:
        arguments = ("search", "coffee cup", "--type", "image", *options)
        code, shown = printed_on_a_terminal(
            *arguments, library=home / "library", environment={"COLORTERM": "truecolor"}
        )
        assert code == 0
        return str(shown)

    assert "in the picture: coffee cup (" in seen(printed("--explain")).text()
    plain, heated = printed("--preview"), printed("--preview", "--explain")
    assert seen(plain).cells != seen(heated).cells


@pytest.mark.slow
def test_heat_maps_are_written_as_pngs_and_replace_no_other_picture(
    mmsearch: Mmsearch, home: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "maps"
    asked = ("search", "cat and coffee", "--type", "image", "--explain-to", folder)
    for _ in range(2):
        done = mmsearch(*asked, "--contact-sheet", tmp_path / "sheet.png", library=home / "library")
        assert done.code == 0 and "heat maps of 1 picture are in" in done.err
        assert [path.name for path in folder.iterdir()] == ["001-kitchen_table.png"]
    with Image.open(folder / "001-kitchen_table.png") as sheet:
        assert sheet.width > 3 * 480 and sheet.text["Software"] == "mmsearch heat map"  # type: ignore[attr-defined]
    with Image.open(tmp_path / "sheet.png") as explained:
        glowing = np.asarray(explained)
    assert mmsearch(*asked[:-2], "--contact-sheet", tmp_path / "plain.png", library=home / "library").code == 0
    with Image.open(tmp_path / "plain.png") as plain:
        assert plain.size == explained.size and not np.array_equal(np.asarray(plain), glowing)
    Image.new("RGB", (9, 9)).save(folder / "001-kitchen_table.png")
    done = mmsearch(*asked, library=home / "library")
    assert done.code == 2 and "not overwritten" in done.err


def test_the_colour_lies_where_the_heat_is(home: Path, both: Image.Image) -> None:
    grid = ((0.1, 0.1), (0.1, 0.9))
    heat = Heat("regions", 2, 2, (0, 0, 1, 1), 0.1, 0.9, (HeatMap("cup", "query", grid),))
    path = str(home / "files" / "kitchen_table.jpg")
    drawn = Explanation("", path, "body", None, None, None, None, (), (), heat)
    (home / "one.png").write_bytes(heat_map_png(drawn))
    with Image.open(home / "one.png") as opened:
        sheet = np.asarray(opened.convert("RGB"), np.int16)
    left, right = sheet[20:40, 20:40].reshape(-1, 3), sheet[280:320, 440:470].reshape(-1, 3)
    assert (left.max(axis=1) - left.min(axis=1)).mean() < 60  # nearly grey
    assert (right[:, 0] - right[:, 2]).mean() > 90  # yellow
    with refused("has no heat map"):
        heat_map_png(Explanation("", path, "body", None, None, None, None, ()))


class NoRegions:
    """A model that tells no parts of a picture apart."""

    def __init__(self, model: OnnxEncoder) -> None:
        self.encode, self.image_side, self.pictures_at_once = model.encode, model.image_side, 8


def test_a_model_without_regions_is_shown_the_picture_with_parts_hidden(both: Image.Image) -> None:
    model = OnnxEncoder(MODEL_FOLDER)
    texts = ("a cat", "a cup of coffee")
    terms = [AskedTerm(text, "query", model.encode("text", [text])[0]) for text in texts]
    hidden: Any = NoRegions(model)
    assert regions_of(hidden, both) is None
    heat = heat_in(hidden, both, terms, UNRELATED)
    assert heat.method == "occlusion" and (heat.rows, heat.columns) == (7, 7)
    assert peak(heat, "a cat")[0] < 0.5 < peak(heat, "a cup of coffee")[0]


@pytest.mark.slow
def test_every_revision_and_view_of_the_model_has_regions(both: Image.Image) -> None:
    model = OnnxEncoder(MODEL_FOLDER)
    own = regions_of(model, both)
    assert own is not None
    assert np.linalg.norm(own.vectors, axis=2) == pytest.approx(np.ones(own.vectors.shape[:2]), abs=1e-4)
    cropped = regions_of(CroppedEncoder(model), both)
    assert cropped is not None and np.array_equal(cropped.vectors, own.vectors)
    dimension = model.identity.dimension
    still = LowRankMap(np.zeros((dimension, 1), np.float32), np.zeros((1, dimension), np.float32))
    turned = LowRankMap(np.eye(dimension, dtype=np.float32), -2 * np.eye(dimension, dtype=np.float32))
    for own_map, sign in ((still, 1), (turned, -1)):
        adapter = Adapter("a", 1, model.identity.fingerprint, {"image": own_map}, {})
        moved = regions_of(AdaptedEncoder(model, adapter), both)
        assert moved is not None and moved.vectors == pytest.approx(sign * own.vectors, abs=1e-3)
    wide = regions_of(model, both.resize((1200, 200)))
    assert wide is not None and wide.vectors.shape[1] == 6 * wide.vectors.shape[0]


@pytest.mark.parametrize("make", [make_tiny_clip, make_tiny_siglip])
def test_models_of_transformers_have_a_grid_of_their_patches(make: Any, both: Image.Image, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the clip extra is not installed")
    encoder = open_encoder(str(make(tmp_path / "model")))
    grid = regions_of(encoder, both)
    assert grid is not None and grid.vectors.shape == (4, 4, 16)
    assert np.linalg.norm(grid.vectors, axis=2) == pytest.approx(np.ones((4, 4)), abs=1e-4)
    sees_all = make is make_tiny_siglip
    assert grid.seen == ((0, 0, 1, 1) if sees_all else pytest.approx((1 / 6, 0, 5 / 6, 1)))


def test_a_graph_in_halves_gives_what_the_whole_one_gives(both: Image.Image) -> None:
    import onnxruntime

    for folder in (MODEL_FOLDER, *older_folders()):
        model = OnnxEncoder(folder)
        split = split_at_pooling((Path(folder) / "image.onnx").read_bytes())
        assert split is not None
        pixels = np.asarray(both.resize((model.image_side, model.image_side)))[np.newaxis]
        features = onnxruntime.InferenceSession(split.body).run([split.features], {"pixels": pixels})[0]
        assert features.ndim == 4
        (vector,) = onnxruntime.InferenceSession(split.heads).run(None, {split.features: features})[0]
        (whole,) = onnxruntime.InferenceSession(Path(folder) / "image.onnx").run(None, {"pixels": pixels})[0]
        assert float(vector @ whole) == pytest.approx(1, abs=1e-4)
    assert split_at_pooling(b"") is None
    for damaged in (b"\x3a\xff", b"\x3a", b"\x0f"):
        with pytest.raises(ValueError):
            split_at_pooling(damaged)


def older_folders() -> Sequence[str]:
    return [str(path) for path in sorted(Path(MODEL_FOLDER).glob("revision-*"))]
