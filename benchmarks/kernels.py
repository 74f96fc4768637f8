"""Time kernels beside PyTorch's, turn about, on the same threads; write a table and JSON.

    python benchmarks/kernels.py --peer PYTHON [--threads N] [--rounds N] [--only TEXT] [--out DIR]

PYTHON is an interpreter with torch. Every layer is timed forward, for the gradient of its image and
for that of its weight. In each round both sides run the same layer once for some milliseconds, and
the medians over all rounds are compared: what else the machine does meets both alike. PyTorch runs
each layer in its usual layout, with channels last, and (forward) with its weights laid out in
advance; its fastest way counts. Ours lays weights out in advance (forward only) as well.

With one thread the processor time of that thread is taken, which other programs on the machine
disturb little; with several the time that passes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from kernel_cases import CASES, DIRECT_SHAPES, WINOGRAD_SHAPES, Conv, Dense

KINDS = ("forward", "image", "weight")
ENOUGH = 0.004
"""Seconds that one side runs a layer in a round."""


def repeat(once: Callable[[], object], seconds: float, threads: int) -> list[float]:
    """Time calls until `seconds` have passed."""
    clock = time.thread_time if threads == 1 else time.perf_counter
    times: list[float] = []
    begin = clock()
    while not times or clock() - begin < seconds:
        since = clock()
        once()
        times.append(clock() - since)
    return times


# --- ours


def our_layer(
    case: Conv | Dense, kind: str, threads: int, algorithm: str | None = None
) -> tuple[Callable[[], None], str]:
    """Compile a layer, perhaps with one algorithm; give what runs its kernel, and which it is."""
    import numpy as np

    import cnndsl.ops  # noqa: F401 - defines the ops
    from cnndsl.backends.cpu.backend import CpuBackend, CpuExecutable
    from cnndsl.backends.cpu.policy import Policy
    from cnndsl.backends.cpu.program import crew_size
    from cnndsl.backends.cpu.threads import Crew
    from cnndsl.ir.builder import Builder
    from cnndsl.ir.graph import Graph, NodeId
    from cnndsl.ops.structural import InputAttrs, input_
    from cnndsl.plan.memory import make_plan

    op, types, attrs = our_op(case, kind)
    graph = Graph("layer")
    b = Builder(graph)
    values = [b.emit(input_, attrs=InputAttrs(one), name=f"x{i}") for i, one in enumerate(types)]
    graph.outputs = {"y": b.emit(op, *values, attrs=attrs, name="node")}
    policy = Policy(algorithms={} if algorithm is None else {op.name: algorithm})
    executable = CpuBackend(threads=threads, policy=policy).compile(make_plan(graph))
    assert isinstance(executable, CpuExecutable)
    rng = np.random.default_rng(0)
    executable.run(
        {f"x{i}": rng.standard_normal(t.shape).astype(np.float32) for i, t in enumerate(types)}
    )
    kernel = executable.kernel(NodeId("node"))
    table = executable._idle[0].program.running
    if kind == "forward":
        rows = [i for i, phase in enumerate(kernel.phases) if not phase.packs]
        table = np.ascontiguousarray(table[rows])
    crew, size = Crew.shared(), crew_size(table)

    def once() -> None:
        assert executable is not None, "its code must live"
        crew.run(table.ctypes.data, 0, len(table), threads=min(threads, size))

    return once, kernel.algorithm


def our_op(case: Conv | Dense, kind: str) -> tuple[Any, list[Any], Any]:
    """Give the op of a layer or of a gradient, with operand types and attributes."""
    from cnndsl.ir.types import f32
    from cnndsl.ops import conv, linalg

    if isinstance(case, Dense):
        x, weight = f32(case.images, case.inputs), f32(case.outputs, case.inputs)
        y = f32(case.images, case.outputs)
        if kind == "forward":
            return linalg.dense, [x, weight], linalg.DenseAttrs(has_bias=False)
        if kind == "image":
            return linalg.matmul, [y, weight], linalg.MatmulAttrs()
        return linalg.matmul, [y, x], linalg.MatmulAttrs(transpose_a=True)
    (down, across), strides = case.padding, (case.stride, case.stride)
    slide = strides, ((down, down), (across, across)), (1, 1), case.groups
    x = f32(case.images, case.inputs, case.size, case.size)
    weight = f32(case.outputs, case.inputs // case.groups, *case.window)
    y = f32(case.images, case.outputs, *case.places)
    if kind == "forward":
        return conv.conv2d, [x, weight], conv.Conv2dAttrs(*slide)
    if kind == "image":
        return conv.conv2d_grad_input, [y, weight], conv.Conv2dGradAttrs(*slide, shape=x.shape)
    return conv.conv2d_grad_weight, [x, y], conv.Conv2dGradAttrs(*slide, shape=weight.shape)


def ceiling(threads: int) -> float:
    """Measure the most GFLOP/s that the processor's multiply-add units reach on some threads."""
    import ctypes
    import threading

    import numpy as np

    from cnndsl.backends.cpu.emit import FunctionEmitter
    from cnndsl.backends.cpu.jit import Library, compile_object
    from cnndsl.backends.cpu.llvm import F32, I64, PTR, Module
    from cnndsl.backends.cpu.target import host_target

    target = host_target()
    lanes, module = target.vector_bytes // 4, Module("ceiling", target)
    sums = 24 if target.registers >= 32 else 12
    f = FunctionEmitter(module, "ceiling", [(PTR, "p"), (I64, "n")], local=False)
    place, count = f.parameters
    wide = F32.times(lanes)
    slots = [f.variable(f.load(wide, place, i * lanes)) for i in range(sums)]
    a, b = (f.load(wide, place, (sums + i) * lanes) for i in (0, 1))
    with f.loop(0, count):
        for slot in slots:
            f.set(slot, f.fma(a, b, f.get(slot)))
    for i, slot in enumerate(slots):
        f.store(f.get(slot), place, i * lanes)
    f.finish()
    library = Library([compile_object(str(module), target)], ["ceiling"])
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(library.address("ceiling"))
    steps, rates = 100_000, []
    memory = [np.zeros(8192, np.float32) for _ in range(threads)]

    def once() -> None:
        workers = [threading.Thread(target=run, args=(m.ctypes.data, steps)) for m in memory]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    alone = (lambda: run(memory[0].ctypes.data, steps)) if threads == 1 else once
    for seconds in repeat(alone, 1.0, threads):
        rates.append(threads * steps * sums * lanes * 2 / seconds / 1e9)
    return sorted(rates)[-max(1, len(rates) // 10)]


# --- PyTorch, in a process of its own


def torch_ways(case: Conv | Dense, kind: str) -> dict[str, Callable[[], object]]:
    """Give the ways in which PyTorch can run a layer."""
    import torch

    torch.manual_seed(0)
    if isinstance(case, Dense):
        x, w = torch.randn(case.images, case.inputs), torch.randn(case.outputs, case.inputs)
        y = torch.randn(case.images, case.outputs)
        calls: dict[str, Callable[[], Any]] = {
            "forward": lambda: torch.nn.functional.linear(x, w),
            "image": lambda: y @ w,
            "weight": lambda: y.T @ x,
        }
        return {"plain": calls[kind]}
    x = torch.randn(case.images, case.inputs, case.size, case.size)
    w = torch.randn(case.outputs, case.inputs // case.groups, *case.window)
    y = torch.randn(case.images, case.outputs, *case.places)
    stride, pad, groups = [case.stride] * 2, list(case.padding), case.groups
    ways: dict[str, Callable[[], Any]] = {}
    for layout, memory in (
        ("plain", torch.contiguous_format),
        ("channels last", torch.channels_last),
    ):
        a, b, g = (t.contiguous(memory_format=memory) for t in (x, w, y))
        if kind == "forward":
            ways[layout] = partial(torch.conv2d, a, b, None, stride, pad, 1, groups)
            continue
        mask = [kind == "image", kind == "weight", False]
        ways[layout] = partial(
            torch.ops.aten.convolution_backward,
            *(g, a, b, None, stride, pad, [1, 1], False, [0, 0], groups, mask),
        )
    if kind == "forward":
        inner = x.to_mkldnn()
        packed = torch._C._nn.mkldnn_reorder_conv2d_weight(
            w.to_mkldnn(), pad, stride, [1, 1], groups
        )
        ways["laid out in advance"] = partial(
            torch.conv2d, inner, packed, None, stride, pad, 1, groups
        )
    return ways


def serve(threads: int) -> None:
    """Answer requests, a line of JSON each, with times of every way."""
    import torch

    torch.set_num_threads(threads)
    known: tuple[str, str] | None = None
    ways: dict[str, Callable[[], object]] = {}
    with torch.no_grad():
        for line in sys.stdin:
            name, kind = json.loads(line)
            if known != (name, kind):
                known, ways = (name, kind), torch_ways(CASES[name], kind)
                for way in ways.values():
                    repeat(way, ENOUGH, threads)
            times = {label: median(repeat(way, ENOUGH, threads)) for label, way in ways.items()}
            print(json.dumps(times), flush=True)


class Peer:
    """A process that runs PyTorch."""

    def __init__(self, python: str, threads: int) -> None:
        command = [python, __file__, "--serve", "--threads", str(threads)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def times(self, name: str, kind: str) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, kind]) + "\n")
        self._process.stdin.flush()
        found: dict[str, float] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


# --- both


def compare(name: str, kind: str, peer: Peer, *, threads: int, rounds: int) -> dict[str, Any]:
    """Time one kernel turn about."""
    once, algorithm = our_layer(CASES[name], kind, threads)
    once()
    ours: list[float] = []
    theirs: dict[str, list[float]] = {}
    for _ in range(rounds):
        ours.append(median(repeat(once, ENOUGH, threads)))
        for label, seconds in peer.times(name, kind).items():
            theirs.setdefault(label, []).append(seconds)
    medians = {label: median(times) for label, times in theirs.items()}
    best = min(medians, key=medians.__getitem__)
    mine = median(ours)
    return {
        "layer": name,
        "kind": kind,
        "algorithm": algorithm,
        "ours_ms": mine * 1e3,
        "torch_ms": medians[best] * 1e3,
        "torch_way": best,
        "ratio": medians[best] / mine,
        "gflops": CASES[name].flops / mine / 1e9,
        "rounds": rounds,
    }


def goals(most: float, *, threads: int, rounds: int) -> list[dict[str, Any]]:
    """Time the layers that have a goal, forward, with the algorithm that the goal is for."""
    wanted = [(name, "direct", 0.95) for name in DIRECT_SHAPES]
    wanted += [(name, "winograd4", 3.0) for name in WINOGRAD_SHAPES]
    rows = []
    for name, algorithm, share in wanted:
        once, _ = our_layer(CASES[name], "forward", threads, algorithm)
        once()
        mine = median(median(repeat(once, ENOUGH, threads)) for _ in range(rounds))
        gflops = CASES[name].flops / mine / 1e9
        found = {"layer": name, "algorithm": algorithm, "ms": mine * 1e3, "gflops": gflops}
        rows.append({**found, "share": gflops / most, "wanted": share})
        print(f"{name:36} {algorithm:10} {gflops:6.0f} GF/s {gflops / most:6.0%} of {share:.0%}")
    return rows


def goal_table(rows: list[dict[str, Any]]) -> str:
    """Write them as Markdown."""
    lines = [
        "",
        "Forward, one image, each with the algorithm that its goal is for; operations are counted "
        "as the direct sum's.",
        "",
        "| layer | algorithm | ms | GFLOP/s | of the ceiling | wanted |",
        "|---|---|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {r['layer']} | {r['algorithm']} | {r['ms']:.3f} | {r['gflops']:.0f} "
        f"| {r['share']:.0%} | {r['wanted']:.0%} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def table(rows: list[dict[str, Any]], most: float, threads: int) -> str:
    """Write the results as Markdown."""
    lines = [
        f"{threads} threads; the multiply-add units reach {most:.0f} GFLOP/s. "
        "Times in ms, medians of rounds taken turn about; ratio: PyTorch's time by ours.",
        "",
        "| layer | kernel | ours | PyTorch | ratio | GFLOP/s | of the ceiling | algorithm |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]
    lines += [
        f"| {r['layer']} | {r['kind']} | {r['ours_ms']:.3f} | {r['torch_ms']:.3f} "
        f"| {r['ratio']:.2f} | {r['gflops']:.0f} | {r['gflops'] / most:.0%} | {r['algorithm']} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--peer", help="an interpreter with torch")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="run layers whose name holds this")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--goals", action="store_true", help="only the layers that have a goal")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.threads)
        return
    if not args.peer and not args.goals:
        parser.error("--peer must name an interpreter with torch")
    most = ceiling(args.threads)
    named = goals(most, threads=args.threads, rounds=args.rounds)
    if args.goals:
        (args.out / "goals.md").write_text(
            f"{args.threads} threads; the multiply-add units reach {most:.0f} GFLOP/s.\n"
            + goal_table(named),
            encoding="utf-8",
        )
        return
    peer = Peer(args.peer, args.threads)
    rows = []
    for name in (name for name in CASES if args.only in name):
        for kind in args.kinds:
            rows.append(compare(name, kind, peer, threads=args.threads, rounds=args.rounds))
            r = rows[-1]
            print(
                f"{name:36} {kind:8} {r['ours_ms']:9.3f} {r['torch_ms']:9.3f} {r['ratio']:6.2f} "
                f"{r['gflops']:6.0f} GF/s  {r['algorithm']}",
                flush=True,
            )
    peer.close()
    (args.out / "kernels.md").write_text(
        table(rows, most, args.threads) + goal_table(named), encoding="utf-8"
    )
    record = {
        "machine": platform.machine(),
        "threads": args.threads,
        "ceiling": most,
        "rows": rows,
        "goals": named,
    }
    (args.out / "kernels.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
