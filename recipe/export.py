"""The trained encoders as quantised ONNX graphs for onnxruntime.

Image tower: static int8 in QDQ form, weights per channel and with 7 bits (``reduce_range``), so that the
pair sums of 8-bit products stay below 2**15 and the result is the same on processors without VNNI.
Text tower: exported in float32 here, and quantised by ``recipe.text_quantisation``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from mmsearch.encoding.runtime import silenced
from recipe.joint import ImageEncoder, TextEncoder
from recipe.towers import VisionTower, normalise_pixels

ort, quantization = silenced("onnxruntime"), silenced("onnxruntime.quantization")
shapes = silenced("onnxruntime.quantization.shape_inference")

OPSET = 17
# Node names start with the module's path, with the outermost module's own name sometimes left out.
FLOAT_LAYERS = ("/head", "/stem/", "/tower/stem/", "/trunk_blocks/trunk_blocks.0/")


_Reader: Any = quantization.CalibrationDataReader


class _Photos(_Reader):
    """Feeds calibration photos, uint8 [n, S, S, 3], to the quantiser in small batches."""

    def __init__(self, pixels: npt.NDArray[np.uint8], batch: int = 8) -> None:
        self.batches: Iterator[npt.NDArray[np.uint8]] = iter(
            [pixels[s : s + batch] for s in range(0, len(pixels), batch)]
        )

    def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"pixels": batch}


def export_image_float(encoder: ImageEncoder, side: int, target: Path) -> None:
    """The image encoder in float32, shapes inferred and constants folded."""
    pixels = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "raw.onnx"
        torch.onnx.export(
            encoder.eval().to(memory_format=torch.contiguous_format),
            (pixels,),
            str(raw),
            input_names=["pixels"],
            output_names=["embedding"],
            dynamic_axes={"pixels": {0: "n"}, "embedding": {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )
        folded = Path(scratch) / "folded.onnx"
        shapes.quant_pre_process(str(raw), str(folded), skip_symbolic_shape=True)
        merge_padding(folded, target)


class _Trunk(nn.Module):
    """Pixels to the trunk's activations."""

    def __init__(self, tower: VisionTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.tower.trunk(normalise_pixels(pixels))


def export_trunk(tower: VisionTower, side: int, target: Path) -> Any:
    """The frozen trunk alone in float32, as a session: several times as fast as PyTorch on two cores."""
    pixels = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    torch.onnx.export(
        _Trunk(tower).eval(),
        (pixels,),
        str(target),
        input_names=["pixels"],
        output_names=["activations"],
        dynamic_axes={"pixels": {0: "n"}, "activations": {0: "n"}},
        opset_version=OPSET,
        dynamo=False,
    )
    return open_session(target)


def merge_padding(source: Path, target: Path) -> None:
    """Fold each zero padding before a convolution into the convolution, which quantises better."""
    model = onnx.load(str(source))
    graph = model.graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    pads = {node.output[0]: node for node in graph.node if node.op_type == "Pad"}
    for node in graph.node:
        pad = pads.get(node.input[0]) if node.op_type == "Conv" else None
        if pad is None:
            continue
        # ONNX pads are all begins, then all ends, over [n, c, h, w].
        amounts = [int(v) for v in constants[pad.input[1]]]
        own = next(a for a in node.attribute if a.name == "pads")
        own.ints[:] = [amounts[2], amounts[3], amounts[6], amounts[7]]
        node.input[0] = pad.input[0]
        graph.node.remove(pad)
    onnx.save(model, str(target))


def store_weights_as_int8(source: Path, target: Path) -> None:
    """Keep matrix products in float32 but their weights in int8 on disk.

    Symmetric, one scale per output column or row; a DequantizeLinear in the graph restores them on loading.
    The image heads lose three times as much cosine with quantised activations, for hardly any time.
    """
    model = onnx.load(str(source))
    graph = model.graph
    weights = {t.name: t for t in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in {"Gemm", "MatMul"}]
    for node in nodes:
        stem = node.input[1]
        tensor = weights.pop(stem, None)
        if tensor is None:
            continue
        graph.initializer.remove(tensor)
        values = numpy_helper.to_array(tensor)
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        axis = 0 if transposed else 1
        scale = (np.abs(values).max(axis=1 - axis) / 127.0 + 1e-12).astype(np.float32)
        rounded = np.rint(values / np.expand_dims(scale, 1 - axis)).astype(np.int8)
        graph.initializer.extend(
            [
                numpy_helper.from_array(rounded, f"{stem}_int8"),
                numpy_helper.from_array(scale, f"{stem}_scale"),
            ]
        )
        restore = onnx.helper.make_node(
            "DequantizeLinear", [f"{stem}_int8", f"{stem}_scale"], [stem], name=f"{stem}_restore", axis=axis
        )
        graph.node.insert(0, restore)
    onnx.save(model, str(target))


def quantise_image(source: Path, target: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """Static int8 for the convolutions; the first layers and the heads compute in float32."""
    names = [node.name for node in onnx.load(str(source)).graph.node]
    with tempfile.TemporaryDirectory() as scratch:
        static = Path(scratch) / "static.onnx"
        quantization.quantize_static(
            str(source),
            str(static),
            _Photos(pixels),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Add", "Clip"],
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
            nodes_to_exclude=[name for name in names if name.startswith(FLOAT_LAYERS)],
        )
        store_weights_as_int8(static, target)


def export_text_float(encoder: TextEncoder, target: Path) -> None:
    """The text encoder in float32."""
    ids = torch.ones(2, 8, dtype=torch.int64)
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "raw.onnx"
        torch.onnx.export(
            encoder.eval(),
            (ids, torch.ones_like(ids)),
            str(raw),
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={
                "input_ids": {0: "n", 1: "t"},
                "attention_mask": {0: "n", 1: "t"},
                "embedding": {0: "n"},
            },
            opset_version=OPSET,
            dynamo=False,
        )
        shapes.quant_pre_process(str(raw), str(target), skip_symbolic_shape=True)


def optimise_offline(source: Path, target: Path) -> None:
    """Fold what can be folded; "basic" uses standard operators only, so any onnxruntime can load it."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def open_session(path: Path, threads: int = 2) -> Any:
    """A CPU session on one graph."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
