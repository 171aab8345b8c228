"""The two towers of a CLIP-style model as ONNX graphs, exact or with 8-bit weights.

Matrix products are quantised dynamically: weights to 8-bit integers a column, with 7 bits used, so that sums of two
products fit 16 bits on processors without VNNI; activations by the range of each picture or text, one at a time, so
that a vector does not depend on its company. Needs the `clip` extra.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmsearch.encoding.runtime import silenced
from mmsearch.encoding.sentence_transformers import SentenceTransformersEncoder, Towers
from mmsearch.errors import Unsupported

OPSET = 17
# A table of fewer rows holds positions, not tokens.
LEAST_TABLE_ROWS = 1_000


@dataclass(frozen=True)
class Exportable:
    """Both towers as sentence-transformers has loaded them, and what prepares their pictures and texts.

    Pictures are brought to `side` pixels, cut to a square (`fit` is crop) or squashed into one; a text has at most
    `longest_text` tokens.
    """

    towers: Towers
    pictures: Any
    tokenizer: Any
    side: int
    fit: str
    longest_text: int


def exportable(encoder: SentenceTransformersEncoder) -> Exportable:
    """The encoder's towers.

    Raises:
        Unsupported: they are built in a way that cannot be exported.
    """
    towers = encoder.towers
    pictures = getattr(getattr(towers.image[0], "processor", None), "image_processor", None)
    tokenizer = towers.tokenizer
    if pictures is None or tokenizer is None:
        raise Unsupported(
            f"{encoder.identity.name} is not built like CLIP or SigLIP, so it cannot be exported; use it as it is."
        )
    side, fit = _fit(pictures)
    return Exportable(towers, pictures, tokenizer, side, fit, encoder.longest_text)


def _fit(pictures: Any) -> tuple[int, str]:
    """The side that pictures are brought to, and whether they are cut to a square or squashed into one."""
    size = dict(pictures.size)
    if getattr(pictures, "do_center_crop", False):
        crop = dict(pictures.crop_size)
        if "shortest_edge" in size and crop.get("height") == crop.get("width") == size["shortest_edge"]:
            return int(crop["height"]), "crop"
    elif size.get("height") is not None and size.get("height") == size.get("width"):
        return int(size["height"]), "squash"
    raise Unsupported(
        f"Pictures are prepared for this model in a way that cannot be exported ({size}); use it as it is."
    )


def export(source: Exportable, image_file: str, text_file: str, tokenizer_file: str) -> None:
    """Writes both towers as float32 graphs that give unit rows, as `encoding.onnx_model` wants them."""
    with _quiet():
        for tower in (source.towers.image, source.towers.text):
            tower[0].model.set_attn_implementation("eager")
        _export_pictures(source, image_file)
        _export_texts(source, text_file)
        source.tokenizer.backend_tokenizer.no_padding()
        source.tokenizer.backend_tokenizer.no_truncation()
        source.tokenizer.backend_tokenizer.save(tokenizer_file)


def _export_pictures(source: Exportable, path: str) -> None:
    import torch

    mean, deviation = (
        torch.tensor(numbers).reshape(1, 3, 1, 1) for numbers in (source.pictures.image_mean, source.pictures.image_std)
    )
    scale = float(source.pictures.rescale_factor)

    class Pictures(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tower = source.towers.image

        def forward(self, pixels: Any) -> Any:
            values = (pixels.permute(0, 3, 1, 2).to(torch.float32) * scale - mean) / deviation
            return _unit_rows(self.tower({"pixel_values": values, "modality": "image"}))

    pixels = torch.zeros(2, source.side, source.side, 3, dtype=torch.uint8)
    _write(Pictures(), {"pixels": pixels}, {0: "n"}, path)


def _export_texts(source: Exportable, path: str) -> None:
    import torch

    class Texts(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tower = source.towers.text

        def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
            features = {"input_ids": input_ids, "modality": "text"}
            if attention_mask is not None:
                features["attention_mask"] = attention_mask
            return _unit_rows(self.tower(features))

    length = source.longest_text
    ids = torch.tensor([source.tokenizer("a photo", padding="max_length", max_length=length)["input_ids"]])
    inputs = {"input_ids": ids}
    if not source.towers.is_siglip:  # which looks at what pads as well
        inputs["attention_mask"] = torch.ones_like(ids)
    _write(Texts(), inputs, {0: "n", 1: "length"}, path)


def _write(module: Any, inputs: dict[str, Any], sizes: dict[int, str], path: str) -> None:
    import torch

    torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        path,
        input_names=list(inputs),
        output_names=["embedding"],
        dynamic_axes={**dict.fromkeys(inputs, sizes), "embedding": {0: "n"}},
        opset_version=OPSET,
        dynamo=False,  # what the new exporter writes cannot be quantised dynamically
    )


def _unit_rows(found: dict[str, Any]) -> Any:
    rows = found["sentence_embedding"]
    return rows / rows.norm(dim=-1, keepdim=True)


def quantise(source: str, target: str) -> None:
    """Writes the graph at `source` with 8-bit weights to `target`."""
    import onnx

    quantization = silenced("onnxruntime.quantization")
    with _quiet():
        model = onnx.load(source)  # a graph of more than 2 GB has its weights in files beside it
        _quantise_embeddings(model.graph)
        quantization.quantize_dynamic(
            model,
            target,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )


def _quantise_embeddings(graph: Any) -> None:
    """Brings the graph's tables of token embeddings to 8 bits, with a scale for each token.

    They are most of a text tower that knows many languages, and a text needs a few rows of them.
    """
    from onnx import TensorProto, helper, numpy_helper

    tables = {one.name: one for one in graph.initializer}
    nodes = list(graph.node)
    for place, node in reversed(list(enumerate(nodes))):
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or table.data_type != TensorProto.FLOAT or table.dims[0] < LEAST_TABLE_ROWS:
            continue
        rows = numpy_helper.to_array(table)
        scales = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-12).astype(np.float32) / 127
        name, ids, found = table.name, node.input[1], node.output[0]
        graph.initializer.extend(
            [
                numpy_helper.from_array(np.round(rows / scales).astype(np.int8), f"{name}.int8"),
                numpy_helper.from_array(scales, f"{name}.scales"),
            ]
        )
        graph.initializer.remove(table)
        nodes[place : place + 1] = [
            helper.make_node("Gather", [f"{name}.int8", ids], [f"{found}.int8"]),
            helper.make_node("Cast", [f"{found}.int8"], [f"{found}.cast"], to=TensorProto.FLOAT),
            helper.make_node("Gather", [f"{name}.scales", ids], [f"{found}.scales"]),
            helper.make_node("Mul", [f"{found}.cast", f"{found}.scales"], [found]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


@contextmanager
def _quiet() -> Iterator[None]:
    """torch and onnxruntime warn of what is meant here: shapes that are fixed, graphs that were not prepared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
