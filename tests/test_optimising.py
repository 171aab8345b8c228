"""`mmsearch models optimise`: a model as 8-bit graphs that need no torch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Mmsearch, refused
from PIL import Image

from mmsearch import Library, MmsearchError, Query
from mmsearch.cli.installing import install_extra
from mmsearch.indexing.pictures import pictures_in
from mmsearch.models.opening import open_encoder
from mmsearch.models.optimise.building import optimise
from mmsearch.searching.query import text_term

pytest.importorskip("sentence_transformers", reason="the clip extra is not installed")
from tiny_clip import make_tiny_clip, make_tiny_pair, make_tiny_siglip

WITHOUT_TORCH = """
import sys
for name in ("torch", "transformers", "sentence_transformers"):
    sys.modules[name] = None
from mmsearch.__main__ import run
run()
"""


@pytest.fixture(
    scope="module",
    params=[make_tiny_clip, make_tiny_siglip, make_tiny_pair],
    ids=["CLIP", "SigLIP", "student and teacher"],
)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    make: Callable[[Path], Path] = request.param
    return str(make(tmp_path_factory.mktemp("models") / "tiny"))


def test_an_exact_export_agrees_and_8_bits_nearly(model: str, tmp_path: Path, photos: Path) -> None:
    pictures = pictures_in(str(photos))
    made = optimise(model, str(tmp_path / "small"), pictures)
    assert [one.items for one in made.float32] == [len(pictures), 8]
    assert min(one.lowest for one in made.float32) > 0.99
    assert min(one.mean for one in made.int8) > 0.9
    assert sorted(os.listdir(made.folder)) == ["image.onnx", "model.json", "text.onnx", "tokenizer.json"]
    assert made.bytes == sum(path.stat().st_size for path in Path(made.folder).iterdir())


def test_a_large_table_of_tokens_is_brought_to_8_bits_too(tmp_path: Path) -> None:
    import onnx

    folder = Path(optimise(str(make_tiny_siglip(tmp_path / "tiny")), str(tmp_path / "small")).folder)
    tables = {tuple(one.dims): one.data_type for one in onnx.load(str(folder / "text.onnx")).graph.initializer}
    assert tables[1_200, 16] == onnx.TensorProto.INT8
    assert tables[1_200, 1] == onnx.TensorProto.FLOAT


def test_a_library_is_indexed_and_searched_without_torch(model: str, tmp_path: Path, home: Path) -> None:
    folder = optimise(model, str(tmp_path / "small"), []).folder
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(tmp_path / "library")}
    for arguments in (["index", str(home), "--model", folder], ["search", "a cat", "--min-score", "0", "--paths"]):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, *arguments],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    found = done.stdout.splitlines()
    assert sorted(found) == sorted(str(path) for path in home.iterdir())
    (tmp_path / "library" / "queries.cache").unlink()
    with Library(tmp_path / "library") as library:
        assert library.status().model.endswith("-int8")
        assert library.index([home]).unchanged == 4
        # What torch is not there for is no other answer where it is.
        hits = library.search(Query((text_term("a cat"),), min_score=0.0)).hits
    assert [hit.path for hit in hits] == found


def test_the_optimised_model_is_another_one(model: str, tmp_path: Path) -> None:
    folder = optimise(model, str(tmp_path / "small"), []).folder
    assert open_encoder(folder).identity.fingerprint != open_encoder(model).identity.fingerprint
    moved = tmp_path / "elsewhere"
    os.rename(folder, moved)
    vector = open_encoder(str(moved)).encode("image", [Image.new("RGB", (50, 40), "red")])
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-3)


def test_the_command_says_how_near_it_is(command: Mmsearch, tmp_path: Path, photos: Path) -> None:
    model = make_tiny_clip(tmp_path / "tiny")
    done = command("models", "optimise", model, tmp_path / "small", "--photos", photos)
    assert done.code == 0, done.err
    assert "exact export: cosine with the original 1.0" in done.out
    assert f"--model {tmp_path / 'small'}" in done.out
    as_json = command("models", "optimise", model, tmp_path / "again", "--json").json
    assert [one["tower"] for one in as_json["int8"]] == ["made-up pictures", "texts"]


def test_an_export_that_is_another_model_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmsearch.models.optimise import graphs

    def other_side(tower: dict[str, object]) -> object:
        rows = tower["sentence_embedding"]
        return -rows / rows.norm(dim=-1, keepdim=True)  # type: ignore[attr-defined, operator]

    monkeypatch.setattr(graphs, "_unit_rows", other_side)
    with pytest.raises(MmsearchError, match="gives other vectors"):
        optimise(str(make_tiny_clip(tmp_path / "tiny")), str(tmp_path / "small"))
    assert sorted(os.listdir(tmp_path)) == ["tiny"]


def test_what_cannot_be_done_is_one_sentence(command: Mmsearch, tmp_path: Path) -> None:
    model = make_tiny_clip(tmp_path / "tiny")
    (tmp_path / "empty").mkdir()
    in_use = command("models", "optimise", model, tmp_path)
    assert (in_use.code, in_use.err.count("\n")) == (2, 1)
    assert "is there already" in in_use.err
    none = command("models", "optimise", model, tmp_path / "small", "--photos", tmp_path / "empty")
    assert none.code == 2
    assert "There are no pictures" in none.err
    with pytest.raises(MmsearchError, match="cannot be loaded"):
        optimise(str(tmp_path / "empty"), str(tmp_path / "small"), [])


def test_without_onnx_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)  # makes its import fail
    with refused(re.escape(f"install them with {install_extra('clip')}")):
        optimise(str(tmp_path / "tiny"), str(tmp_path / "small"), [])


def test_a_damaged_optimised_model_says_what_to_do(tmp_path: Path) -> None:
    folder = Path(optimise(str(make_tiny_clip(tmp_path / "tiny")), str(tmp_path / "small"), []).folder)
    (folder / "image.onnx").write_bytes(b"no graph")
    with refused("models optimise"):
        open_encoder(str(folder)).encode("image", [Image.new("RGB", (50, 40))])
    (folder / "model.json").write_text("{")
    with refused("models optimise"):
        open_encoder(str(folder))
