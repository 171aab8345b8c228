"""The text tower in 8-bit integers with fixed scales: a vector depends on its own text only, on every processor.

Dynamic quantisation takes its scales from the batch; here they are measured beforehand, on texts like those that
people keep. Activations are uint8, one scale a tensor; weights are int8, one scale a column, of which 7 bits are
used, so that sums of two products stay below 2**15 and processors without VNNI compute the very same integers.

What an input's few large channels would cost is moved into the weights (Xiao et al., "SmoothQuant", 2022), and the
weights are rounded so that the errors of earlier rows are made up for by later ones (Frantar et al., "GPTQ", 2022).
Attention, sums, normalisation and the map at the end compute in float32. The graph is written with the operators that
onnxruntime runs fastest, because what it makes of standard ones differs from version to version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from mmsearch.encoding.runtime import silenced

ort = silenced("onnxruntime")

Floats = npt.NDArray[np.float32]
# int64 [n, t], and which of them are no padding.
TokenIds = npt.NDArray[np.int64]

OPSET, IR_VERSION = 18, 9
CONTRIBUTED = "com.microsoft"
HEADS = 12
# Rows of activations that are kept a tensor.
SAMPLED_ROWS = 6_000
# Weights use the integers from -64 to 64: 2 * 255 * 64 fits into 16 bits.
LARGEST_WEIGHT = 64
# How much of the spread between channels moves into the weights; each input takes what costs it least.
MIGRATIONS = (0.5, 0.65, 0.8, 0.9, 1.0)
# The part of plain rounding's error that is left by rounding with compensation, seen on MiniLM.
LEFT_BY_COMPENSATION = 0.4
DAMPING = 0.01


class Linear(NamedTuple):
    """`inputs @ weight + bias`: float32 [k, n] and [n]."""

    weight: Floats
    bias: Floats


class Norm(NamedTuple):
    gain: Floats
    shift: Floats
    epsilon: float


@dataclass(frozen=True)
class Layer:
    """One transformer layer; `inputs` are the tensors of the source that its four products take."""

    attention: tuple[Linear, Linear, Linear]
    out: Linear
    up: Linear
    down: Linear
    norms: tuple[Norm, Norm]
    inputs: tuple[str, str, str, str]


@dataclass(frozen=True)
class Tower:
    """A BERT with mean pooling and the head that follows, as `export_text_float` writes it."""

    words: Floats
    positions: Floats
    norm: Norm
    layers: tuple[Layer, ...]
    centre: Floats
    linear: Floats


def read_tower(model: Any) -> Tower:
    """The weights of an exported text encoder, found by the paths of its modules.

    Raises:
        KeyError: it is no such encoder.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = {node.name: node for node in model.graph.node}

    def linear(path: str) -> Linear:
        bias = next(constants[name] for name in nodes[f"{path}/Add"].input if name in constants)
        return Linear(constants[nodes[f"{path}/MatMul"].input[1]], bias)

    def norm(path: str) -> Norm:
        node = nodes[f"{path}/LayerNormalization"]
        epsilon = next(one.f for one in node.attribute if one.name == "epsilon")
        return Norm(constants[node.input[1]], constants[node.input[2]], epsilon)

    def layer(path: str) -> Layer:
        own, out = f"{path}/attention/self", f"{path}/attention/output"
        after, up, down = f"{out}/dense", f"{path}/intermediate/dense", f"{path}/output/dense"
        first, second, third, fourth = (nodes[f"{one}/MatMul"].input[0] for one in (f"{own}/query", after, up, down))
        return Layer(
            (linear(f"{own}/query"), linear(f"{own}/key"), linear(f"{own}/value")),
            linear(after),
            linear(up),
            linear(down),
            (norm(f"{out}/LayerNorm"), norm(f"{path}/output/LayerNorm")),
            (first, second, third, fourth),
        )

    bert = "tower.bert.embeddings"
    paths: list[str] = []
    while f"/tower/bert/encoder/layer.{len(paths)}/output/dense/MatMul" in nodes:
        paths.append(f"/tower/bert/encoder/layer.{len(paths)}")
    return Tower(
        constants[f"{bert}.word_embeddings.weight"],
        # Every text is of the first kind.
        constants[f"{bert}.position_embeddings.weight"] + constants[f"{bert}.token_type_embeddings.weight"][0],
        norm("/tower/bert/embeddings/LayerNorm"),
        tuple(layer(path) for path in paths),
        constants[nodes["/head/Sub"].input[1]].reshape(-1),
        constants[nodes["/head/linear/MatMul"].input[1]],
    )


class Seen(NamedTuple):
    """What calibration saw of a tensor: some rows, float32 [m, k], and the range of each channel, [k] both."""

    rows: Floats
    lowest: Floats
    highest: Floats


def observe(model: Any, names: Sequence[str], batches: Sequence[TokenIds]) -> dict[str, Seen]:
    """Runs an encoder in float32 over unpadded batches, int64 [n, t] each, and keeps what these tensors were."""
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    tapped.graph.output.extend([helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names])
    session = ort.InferenceSession(tapped.SerializeToString(), providers=["CPUExecutionProvider"])
    draw = np.random.default_rng(0)
    share = SAMPLED_ROWS / sum(ids.size for ids in batches)
    rows: dict[str, list[Floats]] = {name: [] for name in names}
    lowest: dict[str, Floats] = {}
    highest: dict[str, Floats] = {}
    for ids in batches:
        values = session.run(list(names), {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        kept = draw.random(ids.size) < share
        for name, value in zip(names, values, strict=True):
            flat = value.reshape(ids.size, -1)
            rows[name].append(flat[kept])
            lowest[name] = np.minimum(lowest.get(name, flat[0]), flat.min(axis=0))
            highest[name] = np.maximum(highest.get(name, flat[0]), flat.max(axis=0))
    return {name: Seen(np.concatenate(rows[name]), lowest[name], highest[name]) for name in names}


class Grid(NamedTuple):
    """The 256 values that a quantised tensor can take: `scale * (integer - zero)`."""

    scale: float
    zero: int

    def nearest(self, values: Floats) -> Floats:
        integers = np.clip(np.rint(values / self.scale) + self.zero, 0, 255)
        return np.asarray((integers - self.zero) * self.scale, np.float32)


@dataclass(frozen=True)
class Quantised:
    """A product: the input is divided by `divisor` [k], brought onto `grid`, and multiplied by integers."""

    divisor: Floats
    grid: Grid
    weight: npt.NDArray[np.int8]
    scale: Floats
    bias: Floats


def smoothing(weight: Floats, seen: Seen) -> tuple[Floats, Grid]:
    """The divisor of each channel, and the grid of what is divided, that lose least of the product."""
    largest = np.maximum(np.maximum(-seen.lowest, seen.highest), 1e-5)
    reach = np.maximum(np.abs(weight).max(axis=1), 1e-5)
    some = seen.rows[::3]
    expected, found = some @ weight, []
    for migration in MIGRATIONS:
        divisor = (largest**migration / reach ** (1 - migration)).astype(np.float32)
        low = min(float((seen.lowest / divisor).min()), 0.0)
        high = max(float((seen.highest / divisor).max()), 0.0)
        scale = max((high - low) / 255, 1e-12)
        grid = Grid(scale, round(-low / scale))
        rows, moved = some / divisor, weight * divisor[:, None]
        steps = np.abs(moved).max(axis=0) / LARGEST_WEIGHT + 1e-12
        by_input = np.square(grid.nearest(rows) @ moved - expected).sum()
        by_weight = np.square(rows @ (np.rint(moved / steps) * steps) - expected).sum()
        found.append((float(by_input + LEFT_BY_COMPENSATION * by_weight), divisor, grid))
    _, divisor, grid = min(found, key=lambda one: one[0])
    return divisor, grid


def rounded(weight: Floats, inputs: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Integers and a scale a column, int8 [k, n] and float32 [n]: each row makes up for the rows rounded before it.

    Args:
        weight: float32 [k, n].
        inputs: what it is multiplied with, float32 [m, k].
    """
    moments = inputs.T.astype(np.float64) @ inputs
    moments[np.diag_indices(len(moments))] += DAMPING * np.diag(moments).mean()
    order = np.argsort(-np.diag(moments))
    spread = np.linalg.cholesky(np.linalg.inv(moments[np.ix_(order, order)])).T
    left = weight[order].astype(np.float64)
    scale = np.abs(left).max(axis=0) / LARGEST_WEIGHT + 1e-12
    integers = np.empty(left.shape, np.int8)
    block = 64
    for start in range(0, len(left), block):
        end = min(start + block, len(left))
        errors = np.empty((end - start, left.shape[1]))
        for row in range(start, end):
            nearest = np.clip(np.rint(left[row] / scale), -LARGEST_WEIGHT, LARGEST_WEIGHT)
            integers[order[row]] = nearest
            errors[row - start] = (left[row] - nearest * scale) / spread[row, row]
            left[row:end] -= np.outer(spread[row, row:end], errors[row - start])
        left[end:] -= spread[start:end, end:].T @ errors
    return integers, scale.astype(np.float32)


def quantised(linear: Linear, seen: Seen) -> Quantised:
    """A product in integers; its bias also takes up what it would be off on average."""
    divisor, grid = smoothing(linear.weight, seen)
    inputs = grid.nearest(seen.rows / divisor)
    integers, scale = rounded(linear.weight * divisor[:, None], inputs)
    off = (seen.rows @ linear.weight - inputs @ (integers * scale)).mean(axis=0)
    return Quantised(divisor, grid, integers, scale, (linear.bias + off).astype(np.float32))


@dataclass
class Graph:
    """A graph in the making. Tensors go by their names."""

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)

    def constant(self, name: str, value: npt.ArrayLike) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def add(self, kind: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: Any) -> str:
        node = helper.make_node(kind, list(inputs), [output], name=output, domain=domain, **attributes)
        self.nodes.append(node)
        return output

    def norm(self, name: str, values: str, norm: Norm) -> str:
        gain, shift = self.constant(f"{name}.gain", norm.gain), self.constant(f"{name}.shift", norm.shift)
        return self.add("LayerNormalization", [values, gain, shift], name, axis=-1, epsilon=norm.epsilon)

    def onto_grid(self, values: str, of: Quantised, divide: bool = True) -> str:
        """The integers of a product's input."""
        if divide:
            factors = self.constant(f"{values}.factors", (1 / of.divisor).astype(np.float32))
            values = self.add("Mul", [values, factors], f"{values}.divided")
        scale = self.constant(f"{values}.scale", np.float32(of.grid.scale))
        zero = self.constant(f"{values}.zero", np.uint8(of.grid.zero))
        return self.add("QuantizeLinear", [values, scale, zero], f"{values}.integers")

    def product(self, name: str, integers: str, of: Quantised, columns: slice = slice(None)) -> str:
        stem = integers.removesuffix(".integers")
        inputs = [
            integers,
            self.constant(f"{name}.weight", np.ascontiguousarray(of.weight[:, columns])),
            f"{stem}.scale",
            self.constant(f"{name}.scales", of.scale[columns]),
            f"{stem}.zero",
            "",
            self.constant(f"{name}.bias", of.bias[columns]),
        ]
        return self.add("MatMulIntegerToFloat", inputs, name, CONTRIBUTED)


def write_words(graph: Graph, tower: Tower) -> str:
    """From ids to the first layer's input; the table of words is in int8, with a scale a row."""
    scale = (np.abs(tower.words).max(axis=1, keepdims=True) / 127 + 1e-12).astype(np.float32)
    table = graph.constant("words", np.rint(tower.words / scale).astype(np.int8))
    rows = graph.add("Gather", [table, "input_ids"], "words.rows")
    scales = graph.add("Gather", [graph.constant("words.scales", scale), "input_ids"], "words.row_scales")
    rows = graph.add("Cast", [rows], "words.cast", to=TensorProto.FLOAT)
    words = graph.add("Mul", [rows, scales], "words.restored")
    length = graph.add("Shape", ["input_ids"], "length", start=1, end=2)
    first, axis = graph.constant("first", np.array([0])), graph.constant("axis", np.array([0]))
    half = graph.constant("positions.half", tower.positions.astype(np.float16))
    positions = graph.add("Cast", [half], "positions", to=TensorProto.FLOAT)
    places = graph.add("Slice", [positions, first, length, axis], "places")
    return graph.norm("embedded", graph.add("Add", [words, places], "words.placed"), tower.norm)


def write_layer(graph: Graph, name: str, values: str, layer: Layer, products: Sequence[Quantised]) -> str:
    """One layer. `Sum` is not fused with the normalisation after it, which would make both slower."""
    attention, out, up, down = products
    width = len(attention.divisor)
    # What divides the attention's result moves into the values' own weights.
    parted = np.concatenate([np.ones(2 * width, np.float32), 1 / out.divisor])
    attention = Quantised(
        attention.divisor, attention.grid, attention.weight, attention.scale * parted, attention.bias * parted
    )
    integers = graph.onto_grid(values, attention)
    parts = [
        graph.product(f"{name}.{part}", integers, attention, slice(place * width, (place + 1) * width))
        for place, part in enumerate(("query", "key", "value"))
    ]
    context = graph.add("MultiHeadAttention", [*parts, "", "mask"], f"{name}.context", CONTRIBUTED, num_heads=HEADS)
    attended = graph.product(f"{name}.out", graph.onto_grid(context, out, divide=False), out)
    middle = graph.add("Sum", [attended, values], f"{name}.sum")
    middle = graph.norm(f"{name}.middle", middle, layer.norms[0])
    wide = graph.product(f"{name}.up", graph.onto_grid(middle, up), up)
    wide = graph.add("FastGelu", [wide], f"{name}.gelu", CONTRIBUTED)
    narrow = graph.product(f"{name}.down", graph.onto_grid(wide, down), down)
    return graph.norm(f"{name}.end", graph.add("Sum", [narrow, middle], f"{name}.total"), layer.norms[1])


def write_head(graph: Graph, tower: Tower, states: str) -> None:
    """Pooled over the tokens, centred and mapped in float32; the map is near the identity, and kept in float16.

    Both products are one for each text, with a vector: so they add up in the same order however many texts there are.
    """
    mask = graph.add("Cast", ["attention_mask"], "mask.float", to=TensorProto.FLOAT)
    mask = graph.add("Unsqueeze", [mask, graph.constant("row", np.array([1]))], "mask.row")
    pooled = graph.add("MatMul", [mask, states], "pooled")
    pooled = graph.add("LpNormalization", [pooled], "pooled.unit", axis=-1, p=2)
    pooled = graph.add("Sub", [pooled, graph.constant("centre", tower.centre)], "pooled.centred")
    pooled = graph.add("Transpose", [pooled], "pooled.column", perm=[0, 2, 1])
    half = graph.constant("map.half", np.ascontiguousarray(tower.linear.T).astype(np.float16))
    joint = graph.add("MatMul", [graph.add("Cast", [half], "map", to=TensorProto.FLOAT), pooled], "joint")
    joint = graph.add("LpNormalization", [joint], "joint.unit", axis=1, p=2)
    graph.add("Squeeze", [joint, graph.constant("column", np.array([2]))], "embedding")


def quantise_text(source: Path, target: Path, batches: Sequence[TokenIds]) -> None:
    """An encoder that `export_text_float` wrote, in integers; `batches` are unpadded token ids, int64 [n, t] each."""
    model = onnx.load(str(source))
    tower = read_tower(model)
    seen = observe(model, list(dict.fromkeys(name for layer in tower.layers for name in layer.inputs)), batches)
    graph = Graph()
    graph.add("Cast", ["attention_mask"], "mask", to=TensorProto.INT32)
    values = write_words(graph, tower)
    for place, layer in enumerate(tower.layers):
        merged = Linear(
            np.concatenate([one.weight for one in layer.attention], axis=1),
            np.concatenate([one.bias for one in layer.attention]),
        )
        linears = (merged, layer.out, layer.up, layer.down)
        products = [quantised(linear, seen[name]) for linear, name in zip(linears, layer.inputs, strict=True)]
        values = write_layer(graph, f"layer{place}", values, layer, products)
    write_head(graph, tower, values)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", len(tower.centre)])
    made = helper.make_graph(graph.nodes, "text", inputs, [output], list(graph.constants.values()))
    versions = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIBUTED, 1)]
    onnx.save(helper.make_model(made, opset_imports=versions, ir_version=IR_VERSION), str(target))
