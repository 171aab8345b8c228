"""Pictures seen whole and by their two end squares: where that is asked for, and where they are panoramas."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import Mmsearch
from PIL import Image

from mmsearch import Library, MmsearchError, Query
from mmsearch.encoding.builtin_files import MODEL_FOLDER
from mmsearch.encoding.onnx_model import IMAGE_BATCH, OnnxEncoder
from mmsearch.models.opening import open_encoder
from mmsearch.reading import picture_in
from mmsearch.records import FloatMatrix
from mmsearch.searching.query import text_term


def unit(vector: FloatMatrix) -> FloatMatrix:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def photograph(photos: Path, name: str) -> Image.Image:
    with Image.open(photos / "photos" / name) as opened:
        return opened.convert("RGB")


@pytest.fixture(scope="module")
def panorama(photos: Path) -> Image.Image:
    """A cat at the left end, a cup of coffee at the right, and bricks between them."""
    squares = [photograph(photos, name).resize((300, 300)) for name in ("cat.png", "bricks.png", "coffee.png")]
    wide = Image.new("RGB", (1500, 300))
    for place, square in enumerate([squares[0], squares[1], squares[1], squares[1], squares[2]]):
        wide.paste(square, (300 * place, 0))
    return wide


def with_ends_from(folder: Path, ratio: float | None) -> OnnxEncoder:
    """The built-in model with such a description, in a folder of its own."""
    shutil.copytree(MODEL_FOLDER, folder, symlinks=True)
    described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    described["image"].pop("ends_from", None)
    if ratio is not None:
        described["image"]["ends_from"] = ratio
    (folder / "model.json").write_text(json.dumps(described), encoding="utf-8")
    return OnnxEncoder(str(folder))


@pytest.mark.slow
def test_a_library_indexed_with_crops_goes_on_with_them(home: Path, mmsearch: Mmsearch) -> None:
    assert "4 added" in mmsearch("index", home, "--crops").out
    assert [one["name"] for one in mmsearch("models", "--json").json["library"]] == ["mmsearch-mini+crops"]
    found = mmsearch("search", "a cat", "--json").json
    assert (found["model"].split("@")[0], os.path.basename(found["hits"][0]["path"])) == (
        "mmsearch-mini+crops",
        "cat.png",
    )
    (home / "again.png").write_bytes((home / "cat.png").read_bytes() + b"\0")
    report = mmsearch("index", "--json").json
    assert (report["model"].split("@")[0], report["added"], report["unchanged"]) == ("mmsearch-mini+crops", 1, 4)
    assert mmsearch("index", "--crops", "--json").json["unchanged"] == 5
    copied = shutil.copy(home / "coffee.png", home.parent / "query.png")
    with Image.open(copied) as picture:  # a file that the library does not have
        picture.convert("RGB").save(copied)
    hit = mmsearch("search", "--image", copied, "--json").json["hits"][0]
    assert os.path.basename(hit["path"]) == "coffee.png"
    assert hit["similarity"] == pytest.approx(1, abs=1e-3)


@pytest.mark.slow
def test_a_library_that_was_indexed_without_gets_vectors_of_both(home: Path, mmsearch: Mmsearch) -> None:
    mmsearch("index", home)
    report = mmsearch("index", home, "--crops", "--json").json
    assert (report["encoded"], report["model"].split("@")[0]) == (4, "mmsearch-mini+crops")
    assert mmsearch("search", "a cat", "--json").json["model"].startswith("mmsearch-mini@")
    mmsearch("models", "use", "mmsearch-mini+crops")
    assert mmsearch("search", "a cat", "--json").json["model"].startswith("mmsearch-mini+crops@")
    listed = mmsearch("models").out
    assert "not here" not in listed
    assert any("mmsearch-mini+crops" in line and "searches use it" in line for line in listed.splitlines())
    assert "4 vectors" in mmsearch("models", "drop", "mmsearch-mini").out
    assert mmsearch("search", "a cat", "--paths").out.splitlines()[0].endswith("cat.png")


def test_crops_are_of_the_model_that_searches_use_or_that_is_named(library: Library, home: Path) -> None:
    assert library.models.with_crops() == "mmsearch-mini+crops"
    assert library.models.with_crops("some/model") == "some/model+crops"
    library.index([home], model=library.models.with_crops())
    assert library.models.with_crops() == "mmsearch-mini+crops"
    with pytest.raises(MmsearchError, match="some/model is not on this disk"):
        library.index([home], model="some/model+crops")


def test_crops_are_no_part_of_a_comparison(home: Path, mmsearch: Mmsearch) -> None:
    refused = mmsearch("index", home, "--dry-run", "--crops")
    assert (refused.code, "--crops" in refused.err) == (2, True)


def test_a_picture_is_the_mean_of_the_whole_and_of_its_ends(panorama: Image.Image) -> None:
    plain, cropped = open_encoder(), open_encoder("mmsearch-mini+crops")
    for picture, ends in (
        (panorama, [(0, 0, 300, 300), (1200, 0, 1500, 300)]),
        (panorama.transpose(Image.Transpose.ROTATE_270), [(0, 0, 300, 300), (0, 1200, 300, 1500)]),
    ):
        views = plain.encode("image", [picture, *(picture.crop(end) for end in ends)])
        assert np.allclose(cropped.encode("image", [picture])[0], unit(views.sum(axis=0)), atol=1e-5)
    texts = ["a cat", "a cup of coffee"]
    assert np.array_equal(cropped.encode("text", texts), plain.encode("text", texts))
    assert cropped.identity.fingerprint != plain.identity.fingerprint


def test_a_square_is_encoded_once(photos: Path) -> None:
    square = photograph(photos, "bricks.png")
    assert square.width == square.height
    assert np.array_equal(
        open_encoder("mmsearch-mini+crops").encode("image", [square]), open_encoder().encode("image", [square])
    )


def test_a_model_may_say_from_which_length_on_it_looks_at_ends(
    tmp_path: Path, panorama: Image.Image, photos: Path
) -> None:
    plain, looking = with_ends_from(tmp_path / "plain", None), with_ends_from(tmp_path / "looking", 2.25)
    cropped = open_encoder(f"{tmp_path / 'plain'}+crops")
    short = panorama.crop((0, 0, 674, 300))
    photo = photograph(photos, "cat.png")
    assert np.array_equal(plain.encode("image", [short, photo]), looking.encode("image", [short, photo]))
    for long in (panorama, panorama.crop((0, 0, 675, 300)), panorama.crop((0, 0, 675, 300)).rotate(90, expand=True)):
        assert np.allclose(
            looking.encode("image", [photo, long, short])[1], cropped.encode("image", [long])[0], atol=1e-5
        )
    assert looking.identity.fingerprint != plain.identity.fingerprint
    query = looking.encode("text", ["a cup of coffee"])[0]
    seen, squashed = (encoder.encode("image", [panorama])[0] @ query for encoder in (looking, plain))
    assert seen > squashed + 0.02


def test_a_panorama_of_a_library_is_found_by_what_its_ends_show(
    tmp_path: Path, panorama: Image.Image, photos: Path, library: Library
) -> None:
    album = tmp_path / "album"
    shutil.copytree(photos / "photos", album, ignore=shutil.ignore_patterns("cat*", "coffee*"))
    panorama.save(album / "wide.jpg", quality=95)
    with_ends_from(tmp_path / "model", 2.25)
    library.index([album], model=str(tmp_path / "model"))
    for words in ("a cat", "a cup of coffee"):
        found = library.search(Query((text_term(words),), min_score=0.0)).hits
        assert "wide.jpg" in [os.path.basename(hit.path) for hit in found[:2]]


def test_no_more_views_are_made_at_once_than_a_model_takes(
    tmp_path: Path, panorama: Image.Image, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = open_encoder("mmsearch-mini+crops")
    pictures = [panorama.resize((50 + place, 20)) for place in range(8)] + [Image.new("RGB", (20, 20))] * 8
    alone = np.concatenate([encoder.encode("image", [picture]) for picture in pictures])
    sizes: list[int] = []
    encode = OnnxEncoder._encode_images

    def counted(self: OnnxEncoder, views: Sequence[Image.Image]) -> FloatMatrix:
        sizes.append(len(views))
        return encode(self, views)

    monkeypatch.setattr(OnnxEncoder, "_encode_images", counted)
    assert np.allclose(encoder.encode("image", pictures), alone, atol=1e-5)
    assert max(sizes) <= IMAGE_BATCH
    assert sum(sizes) == 8 * 3 + 8


@pytest.mark.parametrize("size", [(6000, 500), (500, 6000), (4000, 1100)])
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_the_ends_of_a_panorama_are_decoded_with_the_pixels_that_a_model_sees(
    tmp_path: Path, size: tuple[int, int], ending: str
) -> None:
    path = tmp_path / f"wide.{ending}"
    Image.new("RGB", size, "red").save(path)
    side = open_encoder("mmsearch-mini+crops").image_side
    picture = picture_in(os.fsencode(path), side)
    assert picture is not None
    assert side <= min(picture.size) <= 2 * side
    assert max(picture.size) / min(picture.size) == pytest.approx(max(size) / min(size), rel=0.01)
