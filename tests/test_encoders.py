"""The contract that every encoder keeps, the built-in one included."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import place_photographs
from PIL import Image

from mmsearch import Damaged, MmsearchError, Remedy
from mmsearch.encoding.builtin import BuiltinEncoder
from mmsearch.encoding.builtin_files import MODEL_FOLDER
from mmsearch.encoding.onnx_model import OnnxEncoder
from mmsearch.encoding.protocol import Encoder
from mmsearch.models.opening import open_encoder

TEXTS = ["a cat", "a photo of a dog on the beach", "income tax", "x", "coffee " * 200, "ein Hund am Strand", "🐈"]


KINDS = [
    "mmsearch-mini",
    "mmsearch-mini, crops",
    "CLIP",
    "CLIP, crops",
    "CLIP, optimised",
    "SigLIP",
    "SigLIP, optimised",
    "student and teacher",
]


@pytest.fixture(scope="module", params=KINDS)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    kind, _, form = request.param.partition(", ")
    ending = "+crops" if form == "crops" else ""
    if kind == "mmsearch-mini":
        return open_encoder(f"{kind}{ending}")
    pytest.importorskip("sentence_transformers", reason="the clip extra is not installed")
    from tiny_clip import make_tiny_clip, make_tiny_pair, make_tiny_siglip

    makers = {
        "CLIP": make_tiny_clip,
        "SigLIP": make_tiny_siglip,
        "student and teacher": make_tiny_pair,
    }
    folder = str(makers[kind](tmp_path_factory.mktemp("models") / "tiny"))
    if form != "optimised":
        return open_encoder(f"{folder}{ending}")
    from mmsearch.models.optimise.building import optimise

    return open_encoder(optimise(folder, f"{folder}-int8").folder)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Image.Image]:
    folder = place_photographs(tmp_path_factory.mktemp("photographs"))
    return [Image.open(path).convert("RGB") for path in sorted(folder.iterdir())]


def test_pictures_become_unit_rows(encoder: Encoder, pictures: list[Image.Image]) -> None:
    rows = encoder.encode("image", pictures)
    assert rows.dtype == np.float32
    assert rows.shape == (len(pictures), encoder.identity.dimension)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3)


def test_texts_become_unit_rows(encoder: Encoder) -> None:
    rows = encoder.encode("text", TEXTS)
    assert rows.dtype == np.float32
    assert rows.shape == (len(TEXTS), encoder.identity.dimension)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3)


def test_the_same_input_gives_the_same_vector(encoder: Encoder, pictures: list[Image.Image]) -> None:
    assert np.array_equal(encoder.encode("text", TEXTS), encoder.encode("text", TEXTS))
    assert np.array_equal(encoder.encode("image", pictures[:3]), encoder.encode("image", pictures[:3]))


def test_a_batch_is_what_its_members_are_one_by_one_and_in_order(encoder: Encoder, pictures: list[Image.Image]) -> None:
    texts = np.concatenate([encoder.encode("text", [text]) for text in TEXTS])
    assert np.allclose(encoder.encode("text", TEXTS), texts, atol=1e-3)
    images = np.concatenate([encoder.encode("image", [picture]) for picture in pictures])
    assert np.allclose(encoder.encode("image", pictures), images, atol=1e-3)
    assert np.allclose(encoder.encode("image", pictures[::-1]), images[::-1], atol=1e-3)


def test_an_empty_batch_is_no_rows(encoder: Encoder) -> None:
    assert encoder.encode("text", []).shape == (0, encoder.identity.dimension)
    assert encoder.encode("image", []).shape == (0, encoder.identity.dimension)


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (37, 41)])
def test_pictures_of_any_shape(encoder: Encoder, size: tuple[int, int]) -> None:
    row = encoder.encode("image", [Image.new("RGB", size, (200, 30, 90))])
    assert np.isfinite(row).all()
    assert np.linalg.norm(row) == pytest.approx(1, abs=1e-3)


def test_a_huge_text_and_one_of_nothing_are_encoded_too(encoder: Encoder) -> None:
    rows = encoder.encode("text", ["word " * 50_000, "", " \n", "\0", "a" * 50_000])
    assert np.isfinite(rows).all()
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3)


def test_what_exceeds_the_window_is_left_out(encoder: Encoder) -> None:
    long = "a dog on the beach " * 100
    assert np.allclose(encoder.encode("text", [long]), encoder.encode("text", [long + "and then " * 50]), atol=1e-3)


@pytest.mark.parametrize("mode", ["L", "1", "LA", "RGBA", "P", "CMYK"])
def test_pictures_of_any_mode_are_seen_as_their_colours(encoder: Encoder, mode: str) -> None:
    ramp = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    picture = ramp.convert(mode)
    row, expected = encoder.encode("image", [picture])[0], encoder.encode("image", [picture.convert("RGB")])[0]
    assert np.allclose(row, expected, atol=1e-3)


def test_a_bad_picture_fails_its_batch_and_nothing_after_it(encoder: Encoder, pictures: list[Image.Image]) -> None:
    good = encoder.encode("image", pictures[:2])
    bad = Image.new("RGB", (40, 30))
    bad.close()
    with pytest.raises(Exception):  # noqa: B017 - of whatever kind: the pipeline then tries them one by one
        encoder.encode("image", [pictures[0], bad, pictures[1]])
    assert np.array_equal(encoder.encode("image", pictures[:2]), good)


def test_several_threads_get_what_one_gets(encoder: Encoder, pictures: list[Image.Image]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    alone = (
        [encoder.encode("image", [picture]) for picture in pictures],
        [encoder.encode("text", [one]) for one in TEXTS],
    )
    with ThreadPoolExecutor(8) as executor:
        images = executor.map(lambda picture: encoder.encode("image", [picture]), pictures)
        texts = executor.map(lambda text: encoder.encode("text", [text]), TEXTS)
        assert np.allclose(np.concatenate(list(images)), np.concatenate(alone[0]), atol=1e-3)
        assert np.allclose(np.concatenate(list(texts)), np.concatenate(alone[1]), atol=1e-3)


def test_windows_cover_all_words_and_overlap(encoder: Encoder) -> None:
    text = "".join(f"Sentence number {number} speaks of something else.\n" for number in range(3000))
    spans = encoder.windows(text)
    assert len(spans) > 10
    assert text[: spans[0].start].strip() == ""
    assert text[spans[-1].end :].strip() == ""
    for before, after in itertools.pairwise(spans):
        assert before.start < after.start <= before.end <= after.end
        assert not (text[after.start - 1].isalpha() and text[after.start].isalpha()), "a word is cut"


def test_windows_of_short_and_of_empty_texts(encoder: Encoder) -> None:
    assert len(encoder.windows("a cat")) == 1
    assert encoder.windows("") == []
    assert encoder.windows("  \n\n ") == []


def test_a_text_without_spaces_is_cut_too(encoder: Encoder) -> None:
    spans = encoder.windows("abc" * 40_000)
    assert 1 <= len(spans) <= 120_000 / 8
    assert spans[0].start == 0
    assert spans[-1].end == 120_000


def test_the_fingerprint_is_stable_and_names_the_model(encoder: Encoder) -> None:
    again = open_encoder(encoder.identity.name)
    assert again.identity == encoder.identity
    assert len(encoder.identity.fingerprint) == 32


def test_other_weights_are_another_fingerprint(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="the clip extra is not installed")
    from tiny_clip import make_tiny_clip

    first, second = (make_tiny_clip(tmp_path / str(seed) / "tiny", seed) for seed in (1, 2))
    prints = {open_encoder(str(folder)).identity.fingerprint for folder in (first, second)}
    assert len(prints) == 2


def test_the_old_layout_and_the_new_one_give_the_same_vectors(tmp_path: Path, pictures: list[Image.Image]) -> None:
    pytest.importorskip("sentence_transformers", reason="the clip extra is not installed")
    from tiny_clip import make_old_tiny_clip, make_tiny_clip

    new, old = (open_encoder(str(make(tmp_path / make.__name__))) for make in (make_tiny_clip, make_old_tiny_clip))
    assert np.allclose(new.encode("image", pictures), old.encode("image", pictures), atol=1e-5)
    assert np.allclose(new.encode("text", TEXTS), old.encode("text", TEXTS), atol=1e-5)


def test_a_siglip_reads_texts_as_it_was_trained_to(tmp_path: Path) -> None:
    """Padded to one length, which it looks at as well, and in lower case: as transformers is told to by its makers."""
    pytest.importorskip("sentence_transformers", reason="the clip extra is not installed")
    import torch
    from tiny_clip import make_tiny_siglip
    from transformers import AutoModel, AutoProcessor

    folder = make_tiny_siglip(tmp_path / "tiny")
    texts = ["a cat", "a photo of a dog"]
    processor, model = AutoProcessor.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    ids = processor(text=texts, padding="max_length", max_length=16, truncation=True, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        expected = model.get_text_features(input_ids=ids)
    expected = getattr(expected, "pooler_output", expected).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    rows = open_encoder(str(folder)).encode("text", ["A Cat", "a photo of a dog"])
    assert np.allclose(rows, expected, atol=1e-4)


def test_pictures_of_one_model_and_texts_of_another(tmp_path: Path, pictures: list[Image.Image]) -> None:
    pytest.importorskip("sentence_transformers", reason="the clip extra is not installed")
    from tiny_clip import make_tiny_pair

    pair = make_tiny_pair(tmp_path / "tiny")
    both, teacher = open_encoder(str(pair)), open_encoder(str(pair / "image"))
    assert np.allclose(both.encode("image", pictures[:3]), teacher.encode("image", pictures[:3]), atol=1e-5)
    assert not np.allclose(both.encode("text", TEXTS), teacher.encode("text", TEXTS), atol=0.1)
    with pytest.raises(MmsearchError, match="does not encode both"):
        _ = open_encoder(str(pair / "text")).identity


def test_a_text_that_is_a_path_is_read_as_text(encoder: Encoder, tmp_path: Path) -> None:
    picture = tmp_path / "red.png"
    Image.new("RGB", (64, 64), "red").save(picture)
    as_text = encoder.encode("text", [str(picture), "http://127.0.0.1:9/picture.png"])
    picture.unlink()
    assert np.array_equal(as_text, encoder.encode("text", [str(picture), "http://127.0.0.1:9/picture.png"]))


def test_a_model_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="the clip extra is not installed")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MmsearchError, match="cannot be loaded as a sentence-transformers model"):
        _ = open_encoder(str(tmp_path / "empty")).identity


def test_the_built_in_model_is_whole_and_small() -> None:
    folder = Path(MODEL_FOLDER)
    described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    for name, digest in described["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    assert {"image.onnx", "text.onnx", "tokenizer.json"} <= set(described["sha256"])
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 45_000_000
    assert described["dimension"] <= 384
    assert (folder / "MODEL_CARD.md").exists()


def test_the_optimised_graph_is_kept_gives_the_same_vectors_and_may_be_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    expected = BuiltinEncoder().encode("text", TEXTS)
    (kept,) = (tmp_path / "cache").glob("*.onnx")
    assert np.array_equal(BuiltinEncoder().encode("text", TEXTS), expected)
    whole = kept.read_bytes()
    middle = len(whole) // 2  # among the weights: onnxruntime sees nothing wrong
    kept.write_bytes(whole[:middle] + bytes(4096) + whole[middle + 4096 :])
    assert np.array_equal(BuiltinEncoder().encode("text", TEXTS), expected)
    assert kept.read_bytes() == whole
    kept.write_bytes(b"no graph any more")
    assert np.array_equal(BuiltinEncoder().encode("text", TEXTS), expected)
    assert kept.stat().st_size > 1_000_000
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert np.array_equal(BuiltinEncoder().encode("text", TEXTS), expected)


def test_weights_that_its_description_does_not_tell_of_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    folder = Path(shutil.copytree(MODEL_FOLDER, tmp_path / "altered"))
    encoder = OnnxEncoder(str(folder))
    assert len(encoder.encode("text", ["a cat"])) == 1
    weights = folder / "text.onnx"
    status, content = weights.stat(), bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(Damaged, match=r"text.onnx is not the one that model.json beside it tells of"):
        OnnxEncoder(str(folder)).encode("text", ["a cat"])


def test_a_built_in_model_that_is_broken_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    with pytest.raises(Damaged) as broken:
        BuiltinEncoder(str(tmp_path))
    assert broken.value.remedy == Remedy("reinstall")
    (tmp_path / "model.json").write_text((Path(MODEL_FOLDER) / "model.json").read_text())
    (tmp_path / "tokenizer.json").write_bytes((Path(MODEL_FOLDER) / "tokenizer.json").read_bytes())
    (tmp_path / "text.onnx").write_bytes(b"not a model")
    with pytest.raises(Damaged) as broken:
        BuiltinEncoder(str(tmp_path)).encode("text", ["a cat"])
    assert broken.value.remedy == Remedy("reinstall")


def mutated(change: Callable[[dict[str, Any]], Any]) -> str:
    described = json.loads((Path(MODEL_FOLDER) / "model.json").read_text(encoding="utf-8"))
    made = change(described)
    return json.dumps(described if made is None else made)


def within(*keys: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Sets an entry; `...` takes it out."""

    def change(described: dict[str, Any]) -> None:
        *outer, last = keys
        for key in outer:
            described = described[key]
        if value is ...:
            del described[last]
        else:
            described[last] = value

    return change


MALFORMED: dict[str, str] = {
    "empty": "",
    "a list": "[]",
    "a number": "7",
    "not UTF-8": "\udcff\udcfe",
    "nested without an end": "[" * 100_000,
    "huge": json.dumps({"name": "x" * 2_000_000}),
    "no name": mutated(within("name", value=...)),
    "name of another kind": mutated(within("name", value={"a": 1})),
    "half a surrogate pair": mutated(within("name", value="\ud800")),
    "revision of another kind": mutated(within("revision", value=2)),
    "no dimension": mutated(within("dimension", value=...)),
    "dimension of another kind": mutated(within("dimension", value="384")),
    "dimension infinite": mutated(within("dimension", value=float("inf"))),
    "dimension negative": mutated(within("dimension", value=-384)),
    "dimension huge": mutated(within("dimension", value=10**12)),
    "another dimension": mutated(within("dimension", value=128)),
    "no image": mutated(within("image", value=...)),
    "image of another kind": mutated(within("image", value=["image.onnx"])),
    "side huge": mutated(within("image", "side", value=10**6)),
    "side zero": mutated(within("image", "side", value=0)),
    "side true": mutated(within("image", "side", value=True)),
    "another side": mutated(within("image", "side", value=128)),
    "fit unknown": mutated(within("image", "fit", value="stretch")),
    "fit of another kind": mutated(within("image", "fit", value=["squash"])),
    "resampling unknown": mutated(within("image", "resampling", value="magic")),
    "ends of no length": mutated(within("image", "ends_from", value=0.5)),
    "ends of another kind": mutated(within("image", "ends_from", value=True)),
    "ends without end": mutated(within("image", "ends_from", value=float("inf"))),
    "batch zero": mutated(within("image", "batch", value=0)),
    "no file": mutated(within("image", "file", value=...)),
    "file elsewhere": mutated(within("image", "file", value="../../image.onnx")),
    "file with a NUL": mutated(within("image", "file", value="image\0.onnx")),
    "the other tower's file": mutated(within("image", "file", value="text.onnx")),
    "file that is not there": mutated(within("image", "file", value="other.onnx")),
    "window of another kind": mutated(within("text", "window", value=None)),
    "window tiny": mutated(within("text", "window", value=2)),
    "window huge": mutated(within("text", "window", value=10**9)),
    "overlap as wide as the window": mutated(within("text", "overlap", value=126)),
    "overlap negative": mutated(within("text", "overlap", value=-1)),
    "pad_id none of the vocabulary": mutated(within("text", "pad_id", value=10**6)),
    "padded beyond its window": mutated(within("text", "padded_to", value=10**8)),
    "lower of another kind": mutated(within("text", "lower", value="yes")),
    "tokenizer is no tokenizer": mutated(within("text", "tokenizer", value="model.json")),
    "tokenizer elsewhere": mutated(within("text", "tokenizer", value="/etc/passwd")),
    "no digests": mutated(within("sha256", value=...)),
    "digest that is a path": mutated(within("sha256", "text.onnx", value="../../../../x")),
    "digest of another kind": mutated(within("sha256", "text.onnx", value=7)),
    "calibration of another kind": mutated(within("calibration", value=[])),
    "calibration of something else": mutated(within("calibration", "sound-text", value={})),
    "calibration that lacks a number": mutated(within("calibration", "text-text", "std", value=...)),
    "calibration of words": mutated(within("calibration", "text-text", "std", value="wide")),
    "calibration without end": mutated(within("calibration", "text-text", "std", value=float("nan"))),
}


@pytest.mark.parametrize("written", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_description_is_one_sentence(written: str, tmp_path: Path) -> None:
    for name in ("image.onnx", "text.onnx", "tokenizer.json"):
        (tmp_path / name).symlink_to(Path(MODEL_FOLDER) / name)
    (tmp_path / "model.json").write_bytes(written.encode("utf-8", "surrogateescape"))
    with pytest.raises(Damaged) as broken:
        encoder = open_encoder(str(tmp_path))
        encoder.encode("text", ["a cat"])
        encoder.encode("image", [Image.new("RGB", (64, 48))])
    assert broken.value.remedy == Remedy("models.optimise")
    assert "\n" not in broken.value.message
    assert len(broken.value.message) < 500


@pytest.mark.parametrize("entry", [("licence",), ("calibration", "text-image", "familiarity")])
def test_a_description_with_more_entries_is_read(entry: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("image.onnx", "text.onnx", "tokenizer.json"):
        (tmp_path / name).symlink_to(Path(MODEL_FOLDER) / name)
    (tmp_path / "model.json").write_text(mutated(within(*entry, value=0.35)))
    encoder = open_encoder(str(tmp_path))
    assert encoder.encode("text", ["a cat"]).shape == (1, 384)
    assert encoder.calibration == BuiltinEncoder().calibration
