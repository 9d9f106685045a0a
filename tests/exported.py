"""Files as `evenodds export` writes them, of graphs so small that nothing has to be traced."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from evenodds.export.entry import FORMAT, Entry
from evenodds.export.inside import DIGEST, graph_digest

LATENT, SIDE = 6, 4
CLASSES = ("cats", "dogs <b>")
UNITS = {"low": [0.0], "high": [255.0], "dtype": "uint8"}


Steps = tuple[list[tuple[Any, ...]], dict[str, Any]]
"""Nodes (operator, inputs, output, attributes or none), and constants by name."""


def write_graph(
    path: Path,
    steps: Sequence[tuple[Any, ...]],
    constants: Mapping[str, Any],
    inputs: Sequence[Entry],
    outputs: Sequence[Entry],
    words: Mapping[str, str],
) -> Path:
    """Writes an ONNX file with the metadata `words`; `steps` and `constants` as in Steps."""
    nodes = [helper.make_node(kind, of, [to], **(more[0] if more else {})) for kind, of, to, *more in steps]
    kinds = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "uint8": TensorProto.UINT8}
    ends = [
        [helper.make_tensor_value_info(one.name, kinds[one.dtype], one.shape) for one in part]
        for part in (inputs, outputs)
    ]
    inside = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "small", *ends, inside)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    digest = graph_digest(model.SerializeToString(), "small")
    helper.set_model_props(model, {**words, DIGEST: digest})
    onnx.save(model, str(path))
    return path


def small_model(path: Path, uint8: bool = True) -> Path:
    """Writes a generator of grey images, by class: a weighted sum of z and a level for each class.

    Args:
        uint8: whether the images are bytes; else floats in [-1, 1].
    """
    rng = np.random.default_rng(0)
    constants = {
        "weights": rng.normal(size=(LATENT, SIDE * SIDE)).astype(np.float32) * 30,
        "levels": np.array([[90.0], [160.0]], np.float32),
        "shape": np.array([-1, 1, SIDE, SIDE]),
        "low": np.float32(0),
        "high": np.float32(255),
    }
    steps: list[tuple[Any, ...]] = [
        ("MatMul", ["z", "weights"], "product"),
        ("Gather", ["levels", "y"], "level"),
        ("Add", ["product", "level"], "sum"),
        ("Reshape", ["sum", "shape"], "image"),
        ("Clip", ["image", "low", "high"], "clipped"),
    ]
    if uint8:
        steps += [("Round", ["clipped"], "rounded"), ("Cast", ["rounded"], "x", {"to": TensorProto.UINT8})]
    else:
        steps += [("Div", ["clipped", "half"], "to 2"), ("Sub", ["to 2", "one"], "x")]
        constants |= {"half": np.float32(127.5), "one": np.float32(1)}
    inputs = [Entry("z", "float32", ("batch", LATENT)), Entry("y", "int64", ("batch",))]
    outputs = [Entry("x", "uint8" if uint8 else "float32", ("batch", 1, SIDE, SIDE))]
    card = {"kind": "image", "shape": [1, SIDE, SIDE], "units": UNITS, "classes": CLASSES, "class_counts": [3, 1]}
    about = {
        "answers": "sample",
        "inputs": [asdict(one) for one in inputs],
        "outputs": [asdict(one) for one in outputs],
        "card": card,
        "config": {"prior": {"name": "normal", "size": LATENT}},
    }
    words = {"format": FORMAT, "answers": "sample", "run": "0123456789ab", "classes": json.dumps(CLASSES)}
    words |= {"units": json.dumps(UNITS), "evenodds": json.dumps(about)}
    return write_graph(path, steps, constants, inputs, outputs, words)
