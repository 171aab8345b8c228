"""A made-up upgrade of the built-in model: the one that ships becomes the older revision of a newer one.

The newer one is the shipped one with both its towers turned by one rotation: it finds the same things, with vectors
that have nothing to do with those of before. The bridge that leads back is the same rotation the other way round.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np

from mmsearch.encoding.builtin_files import BRIDGE, MODEL_FOLDER
from mmsearch.encoding.text_bridge import TextBridge
from mmsearch.records import FloatMatrix

SHIPPED = Path(MODEL_FOLDER)


def revision_in(folder: Path) -> str:
    return str(json.loads((folder / "model.json").read_text("utf-8"))["revision"])


def make_newer(folder: Path) -> Path:
    """A package's folder of the built-in model one revision after the one that ships, which it keeps as older."""
    described = json.loads((SHIPPED / "model.json").read_text("utf-8"))
    for key in ("query_bank", "noise"):  # their vectors are not turned; a library has them encoded
        described.pop(key)
    older = folder / f"revision-{described['revision']}"
    older.mkdir(parents=True)
    (older / "model.json").write_text(json.dumps(described), "utf-8")
    shutil.copyfile(SHIPPED / described["image"]["file"], older / described["image"]["file"])
    size = described["dimension"]
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(size, size)))[0].astype(np.float32)
    shutil.copyfile(SHIPPED / "tokenizer.json", folder / "tokenizer.json")
    for name in (described["image"]["file"], described["text"]["file"]):
        _turn(SHIPPED / name, folder / name, rotation)
        described["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    described["revision"] = f"{int(described['revision']) + 1}"
    (folder / "model.json").write_text(json.dumps(described), "utf-8")
    tower = described["sha256"][described["text"]["file"]]
    bridge = TextBridge(tower, rotation.T, np.zeros(size, np.float32))
    (older / BRIDGE).write_bytes(bridge.to_bytes())
    for kept in SHIPPED.glob(f"*/{BRIDGE}"):  # revisions before that go over both bridges
        shutil.copytree(kept.parent, folder / kept.parent.name)
        further = TextBridge.from_bytes(kept.read_bytes())
        both = TextBridge(tower, rotation.T @ further.weights, further.offset)
        (folder / kept.parent.name / BRIDGE).write_bytes(both.to_bytes())
    return folder


def _turn(source: Path, target: Path, rotation: FloatMatrix) -> None:
    """The graph with what it gives multiplied by the rotation."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(source))
    graph, given = model.graph, model.graph.output[0].name
    for node in graph.node:
        node.output[:] = ["before" if name == given else name for name in node.output]
    graph.initializer.append(numpy_helper.from_array(rotation, "rotation"))
    graph.node.append(helper.make_node("MatMul", ["before", "rotation"], [given]))
    onnx.save(model, os.fspath(target))
