"""The peers' side: a process that builds one network in one framework and times it on request.

Runs in the environment of the peers and knows nothing of cnndsl but the recipe and the weights that
were written. Requests come as lines of JSON on stdin and are answered on stdout, one by one.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

RATE, MOMENTUM = 0.01, 0.9
PARTS = ("weight", "bias", "running_mean", "running_var")
"""What PyTorch calls the arrays of a layer, in our order."""


def timed(once: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Run until `seconds` have passed; the median and the fastest of the runs."""
    times: list[float] = []
    begin = time.perf_counter()
    while not times or time.perf_counter() - begin < seconds:
        since = time.perf_counter()
        once()
        times.append(time.perf_counter() - since)
    return median(times), min(times)


def peak_bytes() -> int:
    """Give the most memory that this process has had; Linux alone tells it.

    The system's account of a process's resources begins with what its parent had.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell how much memory a process has had")


class Recipe:
    """A network as it was written down."""

    def __init__(self, folder: Path) -> None:
        found = json.loads((folder / "recipe.json").read_text())
        self.steps, self.input, self.scores = found["steps"], found["input"], found["scores"]
        self.size, self.has_dropout = found["size"], found["has_dropout"]
        with np.load(folder / "weights.npz") as arrays:
            self.weights = {name: arrays[name] for name in arrays.files}
        if (folder / "statistics.npz").exists():
            with np.load(folder / "statistics.npz") as arrays:
                self.weights.update({name: arrays[name] for name in arrays.files})


# --- PyTorch


def torch_model(recipe: Recipe) -> Any:
    """Build a module whose `forward` is written out, a line a step; scores in training."""
    import torch

    class Written(torch.nn.Module):
        pass

    model = Written()
    names = {recipe.input: "x"}
    lines = ["def forward(self, x):"]
    for number, step in enumerate(recipe.steps):
        name = f"v{number}"
        reads = [names[read] for read in step["reads"] if read in names]
        lines.append(f"    {name} = {torch_step(model, recipe, step, number, reads)}")
        names[step["name"]] = name
    scores = names[recipe.scores]
    lines.append(f"    return {scores} if self.training else torch.softmax({scores}, 1)")
    scope: dict[str, Any] = {"torch": torch, "F": torch.nn.functional}
    exec("\n".join(lines), scope)
    Written.forward = scope["forward"]
    return model


def torch_step(model: Any, recipe: Recipe, step: dict[str, Any], number: int, x: list[str]) -> str:
    """Add what a step needs to the module, and give the expression that computes it."""
    import torch

    nn, op, attrs = torch.nn, step["op"], step["attrs"]
    weights = [
        torch.from_numpy(recipe.weights[n].copy()) for n in step["reads"] if n in recipe.weights
    ]
    if op in ("relu", "tanh"):
        return f"torch.{op}({x[0]})"
    if op == "add":
        return f"{x[0]} + {x[1]}"
    if op == "concat":
        return f"torch.cat([{', '.join(x)}], {attrs['axis']})"
    if op == "reshape":
        return f"{x[0]}.reshape({x[0]}.shape[0], {', '.join(map(str, attrs['shape'][1:]))})"
    if op == "global_avg_pool":
        return f"{x[0]}.mean((2, 3))"
    before = x[0]
    if "padding" in attrs:
        (top, bottom), (left, right) = attrs["padding"]
        even = top == bottom and left == right
        pad = (top, left) if even else (0, 0)
        if not even:
            fill = ", value=float('-inf')" if op == "max_pool2d" else ""
            before = f"F.pad({before}, ({left}, {right}, {top}, {bottom}){fill})"
    if op == "conv2d":
        weight = weights[0]
        module: Any = nn.Conv2d(
            weight.shape[1] * attrs["groups"], weight.shape[0], tuple(weight.shape[2:]),
            tuple(attrs["strides"]), pad, tuple(attrs["dilations"]), attrs["groups"],
            bias=len(weights) > 1,
        )  # fmt: skip
    elif op == "dense":
        module = nn.Linear(weights[0].shape[1], weights[0].shape[0], bias=len(weights) > 1)
    elif op == "batch_norm":
        module = nn.BatchNorm2d(len(weights[0]), attrs["eps"])
    elif op == "max_pool2d":
        module = nn.MaxPool2d(tuple(attrs["window"]), tuple(attrs["strides"]), pad)
    elif op == "avg_pool2d":
        assert before == x[0], "no average pool with uneven padding is timed"
        module = nn.AvgPool2d(
            tuple(attrs["window"]), tuple(attrs["strides"]), pad,
            count_include_pad=attrs["count_padding"],
        )  # fmt: skip
    elif op == "lrn":
        size = attrs["size"]
        module = nn.LocalResponseNorm(size, attrs["alpha"] * size, attrs["beta"], attrs["k"])
    elif op == "dropout":
        module = nn.Dropout(attrs["rate"])
    else:
        raise ValueError(f"nobody knows how to write {op} for PyTorch")
    with torch.no_grad():
        for target, source in zip(PARTS, weights, strict=False):
            getattr(module, target).copy_(source)
    setattr(model, f"m{number}", module)
    return f"self.m{number}({before})"


class Torch:
    """PyTorch in its two layouts, and compiled if asked."""

    def __init__(self, folder: Path, threads: int, *, compiled: bool) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.folder, self.recipe, self.compiled = folder, Recipe(folder), compiled
        self.version = f"PyTorch {torch.__version__}"

    def statistics(self) -> dict[str, object]:
        """Measure each batch norm's statistics on some images, so that all stay near 1."""
        import torch

        model = torch_model(self.recipe).train()
        norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        with torch.no_grad():
            if norms:
                model(torch.randn(8, *self.recipe.size))
        named = [step for step in self.recipe.steps if step["op"] == "batch_norm"]
        arrays = {}
        for step, norm in zip(named, norms, strict=True):
            mean, variance = step["reads"][3:]
            arrays[mean], arrays[variance] = norm.running_mean.numpy(), norm.running_var.numpy()
        np.savez(self.folder / "statistics.npz", **arrays)
        self.recipe = Recipe(self.folder)
        return {"norms": len(norms), "has_dropout": self.recipe.has_dropout}

    def ways(self, kind: str, batch: int, *, one: bool) -> dict[str, Callable[[], Any]]:
        """Give what runs once, by name; the usual layout alone if only `one` is wanted."""
        import torch

        x = torch.from_numpy(np.load(self.folder / f"images{batch}.npy"))
        ways: dict[str, Callable[[], Any]] = {}
        layouts = {"eager": torch.contiguous_format, "channels last": torch.channels_last}
        for name, layout in list(layouts.items())[: 1 if one else None]:
            model = torch_model(self.recipe).to(memory_format=layout)
            images = x.contiguous(memory_format=layout)
            ways[name] = self._once(model, images, kind, batch)
            if self.compiled and name == "eager":
                ways["compile"] = self._once(
                    torch.compile(torch_model(self.recipe)), x, kind, batch
                )
        return ways

    def _once(self, model: Any, x: Any, kind: str, batch: int) -> Callable[[], Any]:
        import torch

        if kind == "infer":
            model.eval()

            def infer() -> Any:
                with torch.inference_mode():
                    return model(x)

            return infer
        labels = torch.from_numpy(np.load(self.folder / f"labels{batch}.npy"))
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, fused=True)

        def train() -> float:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
            return float(loss.detach())

        return train


# --- ONNX, for ONNX Runtime and OpenVINO


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
    arrays = dict(recipe.weights)
    for step in recipe.steps:
        if step["op"] == "reshape":
            arrays[step["name"] + ".shape"] = np.array(
                [batch, *step["attrs"]["shape"][1:]], np.int64
            )
    held = [numpy_helper.from_array(a, n) for n, a in arrays.items() if n in used]
    images = helper.make_tensor_value_info(recipe.input, TensorProto.FLOAT, [batch, *recipe.size])
    result = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [batch, None])
    graph = helper.make_graph(nodes, "net", [images], [result], held)
    opset = [helper.make_opsetid("", 17)]
    save_model(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))


def onnx_step(emit: Callable[..., None], step: dict[str, Any], recipe: Recipe, batch: int) -> None:
    """Write a step as ONNX's operators."""
    op, reads, name, attrs = step["op"], step["reads"], step["name"], step["attrs"]
    simple = {"relu": "Relu", "tanh": "Tanh", "add": "Add", "dropout": "Identity"}
    pads = {}
    if "padding" in attrs:
        (top, bottom), (left, right) = attrs["padding"]
        pads = {"pads": [top, left, bottom, right], "strides": attrs["strides"]}
    if op in simple:
        emit(simple[op], reads, name)
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

    def ways(self, kind: str, batch: int, *, one: bool) -> dict[str, Callable[[], Any]]:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = ort.InferenceSession(self.file(batch), options, ["CPUExecutionProvider"])
        feeds = {self.recipe.input: self.images(batch)}
        return {"ONNX Runtime": lambda: session.run(None, feeds)[0]}


class OpenVino(Onnx):
    """OpenVINO for latency, in single precision."""

    def __init__(self, folder: Path, threads: int) -> None:
        import openvino

        super().__init__(folder, threads)
        self.version = f"OpenVINO {openvino.__version__.split('-')[0]}"

    def ways(self, kind: str, batch: int, *, one: bool) -> dict[str, Callable[[], Any]]:
        import openvino

        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self.threads,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        compiled = openvino.Core().compile_model(self.file(batch), "CPU", settings)
        request, feeds = compiled.create_infer_request(), [self.images(batch)]
        result = compiled.output(0)
        return {
            "OpenVINO": lambda: request.infer(feeds, share_inputs=True, share_outputs=True)[result]
        }


# --- requests


def serve(framework: str, folder: Path, threads: int, *, compiled: bool) -> None:
    """Answer requests until stdin ends."""
    if framework == "torch":
        peer: Any = Torch(folder, threads, compiled=compiled)
    else:
        peer = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}[framework](folder, threads)
    ways: dict[str, Callable[[], Any]] = {}
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What a framework prints is no answer.
    for line in sys.stdin:
        ask = json.loads(line)
        answer: Any = None
        if ask["do"] == "version":
            answer = peer.version
        elif ask["do"] == "statistics":
            answer = peer.statistics()
        elif ask["do"] == "build":
            ways = {}
            ways = peer.ways(ask["kind"], ask["batch"], one=ask["one"])
            answer = list(ways)
        elif ask["do"] == "output":
            answer = {way: np.asarray(once()).tolist() for way, once in ways.items()}
        elif ask["do"] == "losses":
            answer = {way: [once() for _ in range(ask["steps"])] for way, once in ways.items()}
        elif ask["do"] == "time":
            answer = timed(ways[ask["way"]], ask["seconds"])
        elif ask["do"] == "memory":
            answer = peak_bytes()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), compiled=sys.argv[4] == "compile")
