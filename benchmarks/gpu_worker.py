"""One case of `gpu.py`, in a process of its own: `gpu_worker.py DEVICE KIND JSON` prints JSON."""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from peer_ours import LOSS, Ours  # noqa: E402
from peer_recipe import MOMENTUM, RATE  # noqa: E402

import cnndsl.ops  # noqa: E402, F401
from cnndsl.backends import load  # noqa: E402
from cnndsl.backends.base import Measurement  # noqa: E402
from cnndsl.backends.cuda.backend import CudaBackend  # noqa: E402
from cnndsl.backends.cuda.choices import Choice, Site, as_shipped  # noqa: E402
from cnndsl.backends.cuda.driver import Driver, Move  # noqa: E402
from cnndsl.backends.cuda.executable import CudaExecutable  # noqa: E402
from cnndsl.backends.cuda.libraries import Libraries, Tuner, find_libraries  # noqa: E402
from cnndsl.compiler import CompileOptions, Training, lower_network, optimize  # noqa: E402
from cnndsl.ir.graph import Graph  # noqa: E402
from cnndsl.ir.op import OPS  # noqa: E402
from cnndsl.ir.types import DType  # noqa: E402
from cnndsl.layers.initializers import initial_state  # noqa: E402
from cnndsl.ops.evaluate import evaluate  # noqa: E402
from cnndsl.ops.rules import samples  # noqa: E402
from cnndsl.plan.memory import make_plan  # noqa: E402
from cnndsl.plan.plan import Plan  # noqa: E402
from cnndsl.recipes.loss_scale import LossScale  # noqa: E402
from cnndsl.recipes.optimizers import SGD  # noqa: E402
from cnndsl.runtime.executable import Executable  # noqa: E402
from cnndsl.runtime.profile import Ceiling, Profile  # noqa: E402
from cnndsl.support.diagnostics import BackendError  # noqa: E402
from tests.backends.cuda.emulation import LAUNCHED, feeds_of, gap, graph_of, typed  # noqa: E402
from tests.backends.cuda.larger import LARGER  # noqa: E402
from tests.zoo.networks import Subject, feeds  # noqa: E402

BOUNDS = {"fp32": 2e-5, "tf32": 5e-2, "bf16": 3e-1, "fp16": 1e-1}
"""Largest difference of a loss from the CPU's after some steps, relative to the largest."""


def backend(device: str, **changed: Any) -> CudaBackend:
    """Load the device, with other ways of running if asked."""
    found = load(device)
    assert isinstance(found, CudaBackend), f"{device} is no GPU"
    for name, value in changed.items():
        setattr(found, f"_{name}", value)
    return found


TUNED = (" tuned", " tuned on stand-ins")
PEAKS = {
    "A100": {"fp32": 19.5e12, "tf32": 156e12, "bf16": 312e12, "fp16": 312e12},
    "H100": {"fp32": 67e12, "tf32": 494e12, "bf16": 989e12, "fp16": 989e12},
    "H200": {"fp32": 67e12, "tf32": 494e12, "bf16": 989e12, "fp16": 989e12},
}
"""Operations a second by datasheet, dense, by a word of the GPU's name."""


def bandwidth(driver: Driver, nbytes: int) -> float:
    """Copy within the device and give bytes read and written a second, the median of nine."""
    room = driver.allocate(2 * nbytes)
    try:
        times = driver.time([[Move(room, room + nbytes, nbytes)]] * 10)[1:]
    finally:
        driver.release(room)
    return 2 * nbytes / float(np.median(times))


def roofline_seconds(plan: Plan, flops: float, moved: float) -> float:
    """Give the least time of a plan's steps, each bound by its operations or by its bytes."""
    ceiling = Ceiling(1, flops, moved)
    return Profile.of(plan, [0.0] * len(plan.steps), 0.0).roofline(ceiling)


def share(executable: CudaExecutable, precision: str, seconds: float) -> dict[str, float]:
    """Give the share of the roofline, where the GPU's peak is known."""
    name = executable.driver.name
    peaks = next((found for word, found in PEAKS.items() if word in name), None)
    if peaks is None:
        return {}
    moved = bandwidth(executable.driver, 1 << 28)
    least = roofline_seconds(executable.plan, peaks[precision], moved)
    return {"roofline_share": least / seconds, "copy_tb_per_second": moved / 1e12}


def machine(device: str) -> dict[str, Any]:
    """Name the device, and time a program of next to nothing: what one launch costs."""
    ours = Ours("lenet", 1)
    executable = compiled(device, ours, "infer", 1)
    driver = executable.driver
    return {
        "device": driver.name,
        "free_gib": round((driver.free_bytes() or 0) / 2**30, 1),
        "identity": driver.identity,
        "copy_gb_per_second": bandwidth(driver, 1 << 20 if device == "cuda-emulated" else 1 << 28)
        / 1e9,
        "launches": len(executable.plan.steps),
        "microseconds_a_step": 1e6 * executable.repeat(3) / max(1, len(executable.plan.steps)),
    }


def ops(device: str, names: list[str]) -> dict[str, Any]:
    """Hold every op to the reference in double precision."""
    worst, at, count = 0.0, "", 0
    for op in LAUNCHED:
        if names and op.name not in names:
            continue
        cases = [*samples[OPS[op.name]](), *LARGER.get(op.name, ())]
        for dtype, slack in ((DType.F32, 1.0), (DType.F64, 1e-7)):
            graph, given = graph_of(op, cases, dtype), feeds_of(op, cases)
            executable = backend(device).compile(make_plan(graph, alignment=256))
            expected = evaluate(graph, given, dtype=DType.F64)
            for name, array in executable.run(typed(graph, given)).items():
                bound = cases[int(name[1:].partition("_")[0])].tolerance * slack
                error = gap(array, expected[name]) / bound
                count += 1
                if not error <= worst:
                    worst, at = error, f"{op.name} {name} {dtype.value}"
    if not worst <= 1:
        raise SystemExit(f"{at}: {worst:.3g} times the tolerance")
    return {"results": count, "worst_share_of_tolerance": worst, "at": at}


def loss_scale() -> LossScale | None:
    """Give how losses are scaled in the precision of this process."""
    return LossScale() if os.environ.get("CNNDSL_GPU_PRECISION") == "fp16" else None


def step_graph(name: str, batch: int) -> Graph:
    """Give a training step of a program of the tests."""
    subject, options = Subject.of(name), CompileOptions(batch=batch)
    training = Training(
        SGD(lr=0.1),
        subject.training.loss,
        loss_options=subject.training.loss_options,
        scale=loss_scale(),
    )
    return optimize(lower_network(subject.network, options, training=training), options)


def trained(executable: Executable, graph: Graph, steps: int) -> list[dict[str, Any]]:
    """Run some steps from the first state; give outputs and state after each."""
    executable.load_state(initial_state(graph, 0))
    found = []
    for step in range(steps):
        outputs = executable.run(feeds(graph, seed=step))
        found.append({**outputs, **executable.read_state()})
    return found


def training(
    device: str, name: str, batch: int, steps: int, precision: str = "fp32"
) -> dict[str, Any]:
    """Compare a training run with the CPU's: all arrays in fp32, the losses in less."""
    os.environ["CNNDSL_GPU_PRECISION"] = precision
    graph = step_graph(name, batch)
    plan = make_plan(graph, alignment=256)
    ours = trained(backend(device).compile(plan), graph, steps)
    theirs = trained(load("cpu").compile(plan), graph, steps)
    keys = list(theirs[0]) if precision == "fp32" else ["loss"]
    error = float(
        np.max([[gap(a[k], b[k]) for k in keys] for a, b in zip(ours, theirs, strict=True)])
    )
    if not error <= BOUNDS[precision]:
        raise SystemExit(f"{name} is off by {error:.3g}; the bound is {BOUNDS[precision]}")
    return {"steps": steps, "difference": error, "loss": float(ours[-1]["loss"])}


def replay(device: str, name: str, batch: int, steps: int) -> dict[str, Any]:
    """Compare replayed with queued runs, and joined with single updates, to the bit."""
    graph = step_graph(name, batch)
    plan = make_plan(graph, alignment=256)
    first = trained(backend(device).compile(plan), graph, steps)
    for changed in ({"record": False}, {"join": False}, {"poison": True}):
        other = trained(backend(device, **changed).compile(plan), graph, steps)
        same = all(np.array_equal(a[k], b[k]) for a, b in zip(first, other, strict=True) for k in a)
        if not same:
            raise SystemExit(f"{name} differs with {changed}")
    return {"steps": steps, "compared": 3}


def compiled(device: str, ours: Ours, kind: str, batch: int, **changed: Any) -> CudaExecutable:
    """Compile a network, load its weights and run it once."""
    plan = network_plan(ours, kind, batch)
    executable = backend(device, **changed).compile(plan)
    assert isinstance(executable, CudaExecutable), "the CUDA backend makes these"
    executable.load_state({**initial_state(plan.graph, 0)})
    executable.run(feeds(plan.graph))
    return executable


def network_plan(ours: Ours, kind: str, batch: int) -> Plan:
    """Plan a network, or its training step."""
    options = CompileOptions(batch=batch)
    step = Training(SGD(lr=RATE, momentum=MOMENTUM), LOSS, scale=loss_scale())
    wanted = step if kind == "train" else None
    graph = optimize(lower_network(ours.network, options, training=wanted), options)
    return make_plan(graph, alignment=256)


def ours(
    device: str,
    program: str,
    kind: str,
    batch: int,
    workload: str,
    precision: str,
    runs: int,
    *,
    tuned: bool = False,
) -> dict[str, Any]:
    """Time replays of a network, feeds left on the device: the median of five turns.

    With `tuned`, libraries are measured first, and the fastest right way of each step is taken.
    """
    os.environ["CNNDSL_GPU_PRECISION"] = precision
    with tempfile.TemporaryDirectory() as room:
        changed: dict[str, Any] = {}
        if tuned:
            try:
                changed, measured = tuned_for(device, Ours(program, 1), kind, batch, Path(room))
            except BackendError as error:
                return {"skipped": str(error).splitlines()[-1]}
        executable = compiled(device, Ours(program, 1), kind, batch, **changed)
    seconds = float(np.median([executable.repeat(runs) for _ in range(5)]))
    found = {
        "workload": workload,
        "framework": f"cnndsl {precision}{TUNED[device == 'cuda-emulated'] if tuned else ''}",
        "images_per_second": batch / seconds,
        "milliseconds": 1e3 * seconds,
        "arena_gib": round(sum(executable.plan.arena_bytes.values()) / 2**30, 2),
        **share(executable, precision, seconds),
    }
    if tuned:
        found["by_library"] = sum(m.chosen != m.estimated for m in measured)
    return found


def tuner_of(device: str, folder: Path) -> Tuner:
    """Give the libraries of a device; stand-ins that compute on the host for the emulated one."""
    if device == "cuda-emulated":
        from tests.backends.cuda.providers.regions import libraries as stand_ins

        found = Libraries(stand_ins())
        return Tuner(lambda driver: found, folder)
    return Tuner(find_libraries, folder)


def tuned_for(
    device: str, mine: Ours, kind: str, batch: int, folder: Path
) -> tuple[dict[str, Any], list[Measurement]]:
    """Measure the ways of a network; gives what a backend that takes them is told, and the ways."""
    changed = {"tuner": tuner_of(device, folder)}
    plan = network_plan(mine, kind, batch)
    return changed, list(backend(device, **changed).tune(plan))


def libraries(device: str, name: str, batch: int, precision: str) -> dict[str, Any]:
    """Compare every way of the libraries with our kernels, and say which are refused, and why."""
    os.environ["CNNDSL_GPU_PRECISION"] = precision
    plan = make_plan(step_graph(name, batch), alignment=256)
    with tempfile.TemporaryDirectory() as room:
        try:
            found = list(backend(device, tuner=tuner_of(device, Path(room))).tune(plan))
        except BackendError as error:
            return {"skipped": str(error).splitlines()[-1]}
    refused = {way: why for each in found for way, why in each.refused.items()}
    return {
        "steps": len(found),
        "right": sum(len(each.seconds) - 1 for each in found),
        "refused": len(refused),
        "rows": [f"{way}: {why}" for way, why in refused.items()][:20],
    }


def tuning(device: str, program: str, kind: str, batch: int, precision: str) -> dict[str, Any]:
    """Time the ways of a network's steps; gives the table in the form that is shipped."""
    os.environ["CNNDSL_GPU_PRECISION"] = precision
    with tempfile.TemporaryDirectory() as room:
        try:
            _, found = tuned_for(device, Ours(program, 1), kind, batch, Path(room))
        except BackendError as error:
            return {"skipped": str(error).splitlines()[-1]}
        kept = [json.loads(path.read_text()) for path in Path(room).glob("*.choice")]
    rows = [
        f"{each.op:<20} own {1e6 * each.seconds['own']:>9.1f} us, {each.chosen} "
        f"{1e6 * each.seconds[each.chosen]:>9.1f} us"
        for each in sorted(found, key=lambda each: -each.seconds["own"])
    ]
    table: dict[str, object] = {}
    for told in kept:
        site = told["site"]
        where = Site(site["gpu"], site["identity"], tuple(site["libraries"]))
        table |= as_shipped(where, [(told["question"], Choice(**told["choice"]))])
    return {"rows": rows[:30], "shipped": table}


def peer(
    device: str, program: str, kind: str, batch: int, workload: str, peer: str
) -> dict[str, Any]:
    """Time PyTorch (cuDNN's own choice of algorithms) or JAX at its best: bf16, channels last."""
    try:
        if peer == "jax":
            from gpu_peer_jax import time_jax as timed
        else:
            from gpu_peer import time_torch

            timed = functools.partial(time_torch, compiled=peer == "torch compile")
    except ImportError as error:
        return {"skipped": f"{error.name} is not installed"}
    with tempfile.TemporaryDirectory() as room:
        mine = Ours(program, 1)
        mine.write(Path(room))
        np.save(Path(room) / f"images{batch}.npy", mine.input(batch))
        np.save(Path(room) / f"labels{batch}.npy", mine.labels(batch))
        return {"workload": workload, **timed(Path(room), kind, batch)}


def profile(device: str, program: str, kind: str, batch: int, precision: str) -> dict[str, Any]:
    """Say where the time goes, an op a row, the slowest first."""
    os.environ["CNNDSL_GPU_PRECISION"] = precision
    executable = compiled(device, Ours(program, 1), kind, batch)
    found = executable.profile(feeds(executable.plan.graph))
    total = sum(row.seconds for row in found.rows)
    rows = [
        f"{row.op:<28}{row.steps:>5}{1e3 * row.seconds:>10.3f} ms"
        f"{100 * row.seconds / total:>6.1f} %"
        f"{row.flops_per_second / 1e12:>8.2f} TFLOP/s{row.bytes_per_second / 1e12:>7.2f} TB/s"
        for row in found.by_op()[:12]
    ]
    return {"milliseconds": 1e3 * total, "rows": rows}


def launching(device: str, program: str, kind: str, batch: int, runs: int) -> dict[str, Any]:
    """Compare a run as one graph, with single updates, and (host included) queued."""
    mine = Ours(program, 1)
    graph = compiled(device, mine, kind, batch).repeat(runs)
    single = compiled(device, mine, kind, batch, join=False).repeat(runs)
    return {"graph_ms": 1e3 * graph, "single_updates_ms": 1e3 * single}


KINDS = {
    f.__name__: f
    for f in (machine, ops, training, replay, libraries, ours, peer, profile, launching, tuning)
}


def main() -> None:
    _, device, kind, told = sys.argv
    print(json.dumps(KINDS[kind](device, **json.loads(told))))


if __name__ == "__main__":
    main()
