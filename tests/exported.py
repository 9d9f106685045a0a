"""A file as `evenodds export` writes it, of a generator so small that nothing has to be traced."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from evenodds.export.entry import FORMAT
from evenodds.export.inside import DIGEST, graph_digest

LATENT, SIDE = 6, 4
CLASSES = ("cats", "dogs <b>")
UNITS = {"low": [0.0], "high": [255.0], "dtype": "uint8"}


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
        **({} if uint8 else {"half": np.float32(127.5), "one": np.float32(1)}),
    }
    steps = [
        ("MatMul", ["z", "weights"], "product"),
        ("Gather", ["levels", "y"], "level"),
        ("Add", ["product", "level"], "sum"),
        ("Reshape", ["sum", "shape"], "image"),
        ("Clip", ["image", "low", "high"], "clipped"),
        *([("Round", ["clipped"], "rounded")] if uint8 else [("Div", ["clipped", "half"], "to_2")]),
    ]
    nodes = [helper.make_node(kind, inputs, [output]) for kind, inputs, output in steps]
    last = [("Cast", ["rounded"], {"to": TensorProto.UINT8})] if uint8 else [("Sub", ["to_2", "one"], {})]
    nodes += [helper.make_node(kind, inputs, ["x"], **more) for kind, inputs, more in last]
    image = ("uint8" if uint8 else "float32", ["batch", 1, SIDE, SIDE])
    entries = {"z": ("float32", ["batch", LATENT]), "y": ("int64", ["batch"]), "x": image}
    kinds = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "uint8": TensorProto.UINT8}
    made = {n: helper.make_tensor_value_info(n, kinds[kind], shape) for n, (kind, shape) in entries.items()}
    inside = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "small", [made["z"], made["y"]], [made["x"]], inside)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    described = {name: {"name": name, "dtype": kind, "shape": shape} for name, (kind, shape) in entries.items()}
    card = {"kind": "image", "shape": [1, SIDE, SIDE], "units": UNITS, "classes": CLASSES, "class_counts": [3, 1]}
    about = {
        "answers": "sample",
        "inputs": [described["z"], described["y"]],
        "outputs": [described["x"]],
        "card": card,
        "config": {"prior": {"name": "normal", "size": LATENT}},
    }
    words = {"format": FORMAT, "answers": "sample", "run": "0123456789ab", "classes": json.dumps(CLASSES)}
    words |= {"units": json.dumps(UNITS), "evenodds": json.dumps(about)}
    digest = graph_digest(model.SerializeToString(), "small")
    helper.set_model_props(model, {**words, DIGEST: digest})
    onnx.save(model, str(path))
    return path
