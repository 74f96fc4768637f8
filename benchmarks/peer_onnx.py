"""The side of ONNX Runtime and OpenVINO, which read one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peer_recipe import Recipe, Ways

ZERO, SIX = "zero", "six"
"""Names of constants."""


def write_onnx(recipe: Recipe, batch: int, path: Path) -> None:
    """Write the network of inference for a number of images."""
    from onnx import TensorProto, helper, numpy_helper, save_model

    nodes, used = [], set()

    def emit(kind: str, reads: list[str], name: str, **attrs: Any) -> None:
        used.update(reads)
        nodes.append(helper.make_node(kind, reads, [name], name=name, **attrs))

    for step in recipe.steps:
        onnx_step(emit, step, recipe, batch)
    emit("Softmax", [recipe.scores], "probabilities", axis=1)
    arrays = {**recipe.weights, ZERO: np.float32(0), SIX: np.float32(6)}
    for step in recipe.steps:
        if step["op"] == "reshape":
            arrays[step["name"] + ".shape"] = np.array(
                [batch, *step["attrs"]["shape"][1:]], np.int64
            )
    held = [numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items() if n in used]
    images = helper.make_tensor_value_info(recipe.input, TensorProto.FLOAT, [batch, *recipe.size])
    result = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [batch, None])
    graph = helper.make_graph(nodes, "net", [images], [result], held)
    opset = [helper.make_opsetid("", 17)]
    save_model(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))


def onnx_step(emit: Callable[..., None], step: dict[str, Any], recipe: Recipe, batch: int) -> None:
    """Write a step as ONNX's operators."""
    op, reads, name, attrs = step["op"], step["reads"], step["name"], step["attrs"]
    simple = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "dropout": "Identity"}
    simple |= {"add": "Add", "mul": "Mul"}
    pads = {}
    if "padding" in attrs:
        (top, bottom), (left, right) = attrs["padding"]
        pads = {"pads": [top, left, bottom, right], "strides": attrs["strides"]}
    if op in simple:
        emit(simple[op], reads, name)
    elif op == "relu6":
        emit("Clip", [*reads, ZERO, SIX], name)
    elif op == "swish" and attrs["beta"] == 1:
        emit("Sigmoid", reads, f"{name}.gate")
        emit("Mul", [*reads, f"{name}.gate"], name)
    elif op == "transpose":
        emit("Transpose", reads, name, perm=attrs["permutation"])
    elif op == "concat":
        emit("Concat", reads, name, axis=attrs["axis"])
    elif op == "reshape":
        emit("Reshape", [reads[0], f"{name}.shape"], name)
    elif op == "global_avg_pool":
        emit("GlobalAveragePool", reads, f"{name}.whole")
        emit("Flatten", [f"{name}.whole"], name, axis=1)
    elif op == "conv2d":
        shape = list(recipe.weights[reads[1]].shape[2:])
        more = {"dilations": attrs["dilations"], "group": attrs["groups"], "kernel_shape": shape}
        if len(reads) > 2 and recipe.weights[reads[2]].ndim > 1:  # One at each place.
            emit("Conv", reads[:2], f"{name}.sums", **pads, **more)
            emit("Add", [f"{name}.sums", reads[2]], name)
        else:
            emit("Conv", reads, name, **pads, **more)
    elif op == "dense":
        emit("Gemm", reads, name, transB=1)
    elif op == "batch_norm":
        emit("BatchNormalization", reads, name, epsilon=attrs["eps"])
    elif op == "max_pool2d":
        emit("MaxPool", reads, name, kernel_shape=attrs["window"], **pads)
    elif op == "avg_pool2d":
        counted = int(attrs["count_padding"])
        emit("AveragePool", reads, name, kernel_shape=attrs["window"], **pads,
             count_include_pad=counted)  # fmt: skip
    elif op == "lrn":
        size = attrs["size"]
        emit("LRN", reads, name, size=size, alpha=attrs["alpha"] * size, beta=attrs["beta"],
             bias=attrs["k"])  # fmt: skip
    else:
        raise ValueError(f"nobody knows how to write {op} for ONNX")


class Onnx:
    """What ONNX Runtime and OpenVINO share."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder, self.threads, self.recipe = folder, threads, Recipe(folder)

    def file(self, batch: int) -> str:
        path = self.folder / f"net{batch}.onnx"
        if not path.exists():
            write_onnx(self.recipe, batch, path)
        return str(path)

    def images(self, batch: int) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = np.load(self.folder / f"images{batch}.npy")
        return found


class OnnxRuntime(Onnx):
    """ONNX Runtime with all its graph optimisations."""

    def __init__(self, folder: Path, threads: int) -> None:
        import onnxruntime

        super().__init__(folder, threads)
        self.version = f"ONNX Runtime {onnxruntime.__version__}"

    def ways(self, kind: str, batch: int) -> Ways:
        """Give what makes a session."""
        return {"ONNX Runtime": lambda: self._session(batch)}

    def _session(self, batch: int) -> Callable[[], Any]:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = ort.InferenceSession(self.file(batch), options, ["CPUExecutionProvider"])
        feeds = {self.recipe.input: self.images(batch)}
        return lambda: session.run(None, feeds)[0]


class OpenVino(Onnx):
    """OpenVINO for latency, in single precision."""

    def __init__(self, folder: Path, threads: int) -> None:
        import openvino

        super().__init__(folder, threads)
        self.version = f"OpenVINO {openvino.__version__.split('-')[0]}"

    def ways(self, kind: str, batch: int) -> Ways:
        """Give what compiles the network."""
        return {"OpenVINO": lambda: self._compiled(batch)}

    def _compiled(self, batch: int) -> Callable[[], Any]:
        import openvino

        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self.threads,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        compiled = openvino.Core().compile_model(self.file(batch), "CPU", settings)
        request, feeds = compiled.create_infer_request(), [self.images(batch)]
        result = compiled.output(0)
        return lambda: request.infer(feeds, share_inputs=True, share_outputs=True)[result]
