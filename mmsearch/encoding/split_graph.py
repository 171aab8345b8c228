"""An ONNX graph of an image tower cut in two where it pools: what comes before gives the last feature map, what comes
behind (the heads) takes one. Only the wire format of protocol buffers is read and written; no weight is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

# Numbers of fields in onnx.proto.
_GRAPH = 7
_NODE, _INPUT, _OUTPUT = 1, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_KIND = 1, 2, 4
_NAME, _TYPE, _TENSOR, _ELEMENTS, _FLOAT32 = 1, 2, 1, 1, 1
# Of the wire format: a number, and bytes behind their length; what else there is has a fixed size.
_VARINT, _BYTES = 0, 2
_SIZES = {1: 8, 5: 4}
_POOLS = (b"GlobalAveragePool", b"ReduceMean")
_QUANTIZE, _RESTORE = b"QuantizeLinear", b"DequantizeLinear"


class SplitGraph(NamedTuple):
    """Two models, serialised: `body` gives what the whole one gives and, as its last output, the tensor called
    `features`; `heads` takes that alone and gives what the whole one gives.
    """

    body: bytes
    heads: bytes
    features: str


class _Field(NamedTuple):
    number: int
    value: memoryview
    whole: memoryview


class _Node(NamedTuple):
    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    kind: bytes
    whole: memoryview


def split_at_pooling(model: bytes) -> SplitGraph | None:
    """The two halves of a serialised model, cut at the last mean behind which nothing else of the input is needed.

    None where there is no such place. Whether what is cut there is a map of a picture, only running the body tells.

    Raises:
        ValueError: the bytes are no such model.
    """
    fields = list(_fields(memoryview(model)))
    graph = [field for of_graph in fields if of_graph.number == _GRAPH for field in _fields(of_graph.value)]
    nodes = [_node(field) for field in graph if field.number == _NODE]
    taken = {_name(field) for field in graph if field.number == _INPUT}
    outputs = [_name(field) for field in graph if field.number == _OUTPUT]
    makers = {name: node for node in nodes for name in node.outputs}
    for pool in reversed(nodes):
        for features in _pooled_by(pool, makers):
            behind = _behind(features, nodes, outputs)
            if not any(name in taken for node in behind for name in node.inputs):
                return _cut(model, fields, graph, {id(node.whole) for node in behind}, nodes, features)
    return None


def _pooled_by(pool: _Node, makers: Mapping[bytes, _Node]) -> Iterator[bytes]:
    """The tensor that a node pools, and what that is a copy or a quantised form of."""
    if pool.kind not in _POOLS or not pool.inputs:
        return
    name = pool.inputs[0]
    while True:
        maker = makers.get(name)
        kind = b"" if maker is None else maker.kind
        if kind != _QUANTIZE:
            yield name
        if maker is None or kind not in (_QUANTIZE, _RESTORE):
            return
        name = maker.inputs[0]


def _behind(features: bytes, nodes: Sequence[_Node], outputs: Sequence[bytes]) -> list[_Node]:
    """The nodes that the outputs need where the features are given."""
    needed, behind = set(outputs), []
    for node in reversed(nodes):  # those of a graph come in the order in which they can be computed
        if needed.intersection(node.outputs) and features not in node.outputs:
            needed.update(node.inputs)
            behind.append(node)
    return behind if features in needed else list(nodes)


def _cut(
    model: bytes,
    fields: Sequence[_Field],
    graph: Sequence[_Field],
    behind: set[int],
    nodes: Sequence[_Node],
    features: bytes,
) -> SplitGraph:
    described = _value(features)
    # A message that follows another one in the same bytes is merged with it.
    body = model + _written(_GRAPH, _written(_OUTPUT, described))
    kept = [field.whole for field in graph if field.number not in (_NODE, _INPUT)]
    kept += [node.whole for node in nodes if id(node.whole) in behind]
    heads = _written(_GRAPH, b"".join((*kept, _written(_INPUT, described))))
    others = (field.whole for field in fields if field.number != _GRAPH)
    return SplitGraph(body, b"".join((*others, heads)), features.decode())


def _node(field: _Field) -> _Node:
    parts = list(_fields(field.value))
    inputs, outputs, kinds = (
        tuple(bytes(part.value) for part in parts if part.number == number)
        for number in (_NODE_INPUT, _NODE_OUTPUT, _NODE_KIND)
    )
    return _Node(inputs, outputs, kinds[0] if kinds else b"", field.whole)


def _name(described: _Field) -> bytes:
    return next((bytes(part.value) for part in _fields(described.value) if part.number == _NAME), b"")


def _value(name: bytes) -> bytes:
    """The description of a tensor of float32 in any shape."""
    tensor = _number(_ELEMENTS << 3 | _VARINT) + _number(_FLOAT32)
    return _written(_NAME, name) + _written(_TYPE, _written(_TENSOR, tensor))


def _fields(message: memoryview) -> Iterator[_Field]:
    place = 0
    while place < len(message):
        start = place
        key, begins = _read(message, place)
        kind = key & 7
        if kind == _VARINT:
            place = _read(message, begins)[1]
        elif kind == _BYTES:
            length, begins = _read(message, begins)
            place = begins + length
        elif kind in _SIZES:
            place = begins + _SIZES[kind]
        else:
            raise ValueError("a field of a kind that there is not")
        if place > len(message):
            raise ValueError("a field that goes on behind the end")
        yield _Field(key >> 3, message[begins:place], message[start:place])


def _read(message: memoryview, place: int) -> tuple[int, int]:
    """The number that is written at a place, and the place behind it."""
    number = shift = 0
    while place < len(message):
        byte = message[place]
        number |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return number, place
    raise ValueError("a number without an end")


def _written(number: int, value: bytes) -> bytes:
    return _number(number << 3 | _BYTES) + _number(len(value)) + value


def _number(number: int) -> bytes:
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])
