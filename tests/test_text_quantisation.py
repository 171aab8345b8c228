"""The text tower in 8-bit integers: as near to float32 as promised, and the same in any company."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
transformers = pytest.importorskip("transformers", reason="the train extra is not installed")
onnx = pytest.importorskip("onnx", reason="the train extra is not installed")

from recipe.export import export_text_float, open_session  # noqa: E402
from recipe.joint import TextEncoder, TextHead  # noqa: E402
from recipe.text_quantisation import LARGEST_WEIGHT, quantise_text  # noqa: E402
from recipe.towers import DIMENSION, TextTower  # noqa: E402

WORDS, WINDOW = 400, 32
LENGTHS = (3, 5, 9, 14, 20, 32)
Ids = npt.NDArray[np.int64]


def texts(count: int, seed: int) -> list[Ids]:
    draw = np.random.default_rng(seed)
    return [draw.integers(1, WORDS, (1, LENGTHS[place % len(LENGTHS)])) for place in range(count)]


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tower of two layers with channels as uneven as a trained one's, in float32 and in integers."""
    torch.manual_seed(0)
    sizes = {"hidden_size": DIMENSION, "intermediate_size": 512, "num_attention_heads": 12, "num_hidden_layers": 2}
    bert = transformers.BertModel(
        transformers.BertConfig(vocab_size=WORDS, max_position_embeddings=WINDOW, attn_implementation="eager", **sizes),
        add_pooling_layer=False,
    )
    with torch.no_grad():
        for layer in bert.encoder.layer:
            layer.attention.output.LayerNorm.weight[torch.arange(0, DIMENSION, 100)] = 25.0
    folder = tmp_path_factory.mktemp("towers")
    exact, small = folder / "float.onnx", folder / "small.onnx"
    export_text_float(TextEncoder(TextTower(bert), TextHead(torch.zeros(DIMENSION))), exact)
    quantise_text(exact, small, texts(60, seed=1))
    return exact, small


def vectors(session: Any, texts: list[Ids]) -> npt.NDArray[np.float32]:
    feeds = ({"input_ids": ids, "attention_mask": np.ones_like(ids)} for ids in texts)
    return np.concatenate([session.run(None, one)[0] for one in feeds])


def test_it_is_near_to_float32_at_a_third_of_its_size(towers: tuple[Path, Path]) -> None:
    exact, small = towers
    fresh = texts(60, seed=2)
    cosines = (vectors(open_session(exact), fresh) * vectors(open_session(small), fresh)).sum(axis=1)
    assert cosines.mean() > 0.995
    assert cosines.min() > 0.98
    assert small.stat().st_size < exact.stat().st_size / 3


def test_a_text_has_the_same_vector_beside_longer_ones(towers: tuple[Path, Path]) -> None:
    session, fresh = open_session(towers[1]), texts(12, seed=3)
    ids, mask = np.zeros((12, WINDOW), np.int64), np.zeros((12, WINDOW), np.int64)
    for row, text in enumerate(fresh):
        ids[row, : text.size], mask[row, : text.size] = text, 1
    together = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
    assert ((together * vectors(session, fresh)).sum(axis=1) > 0.9999).all()


def test_texts_of_one_length_have_the_same_vectors_alone_and_together(towers: tuple[Path, Path]) -> None:
    session = open_session(towers[1])
    alone = [text for text in texts(24, seed=4) if text.size == 14]
    assert np.array_equal(vectors(session, [np.concatenate(alone)]), vectors(session, alone))


def test_no_sum_of_two_products_leaves_16_bits(towers: tuple[Path, Path]) -> None:
    weights = [
        onnx.numpy_helper.to_array(one)
        for one in onnx.load(str(towers[1])).graph.initializer
        if one.name.endswith(".weight")
    ]
    assert len(weights) == 2 * 6
    assert all(np.abs(one.astype(int)).max() == LARGEST_WEIGHT for one in weights)
    assert 2 * 255 * LARGEST_WEIGHT < 2**15
