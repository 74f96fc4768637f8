"""The cases of `gpu.py`: what is run at which stage, the most important first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from peer_cases import NETS

PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
PEERS = ("torch eager", "torch compile", "jax")


@dataclass(frozen=True)
class Case:
    """One process."""

    name: str
    """For people, and for `--only`."""
    kind: str
    """Function of `gpu_worker.py`."""
    told: dict[str, Any] = field(default_factory=dict)
    """Its arguments."""
    limit: float = 180.0
    """Seconds that it may take."""


WORKLOADS = (
    ("resnet50", "train", 256),
    ("resnet50", "infer", 256),
    ("lenet", "train", 128),
    ("resnet50", "train", 64),
    ("resnet50", "infer", 64),
    ("resnet50", "infer", 1),
    ("mobilenet", "train", 256),
    ("keras", "train", 200),
)
"""Network of `peer_cases.py`, training or inference, images of a step."""


def cases(stage: str, *, dry: bool) -> Iterator[Case]:
    """Walk the cases of a stage."""
    if stage == "right":
        yield from _right(dry=dry)
    elif stage == "fast":
        yield from _fast(dry=dry)
    else:
        yield from _why(dry=dry)


def _right(*, dry: bool) -> Iterator[Case]:
    yield Case("machine", "machine", {})
    families = ("relu", "softmax", "matmul") if dry else ()
    yield Case("every op", "ops", {"names": families})
    programs = ("lenet",) if dry else ("lenet", "residual", "inception", "separable")
    for name in programs:
        told = {"name": name, "batch": 2 if dry else 8, "steps": 2 if dry else 10}
        yield Case(f"{name} beside the CPU", "training", told)
        yield Case(f"{name} replayed and queued", "replay", told)
    for precision in ("fp32",) if dry else PRECISIONS:
        told = {"name": "residual", "batch": 2 if dry else 32, "precision": precision}
        yield Case(f"ways of libraries, {precision}", "libraries", told)
    if not dry:
        for precision in PRECISIONS[1:]:
            told = {"name": "residual", "batch": 8, "steps": 20, "precision": precision}
            yield Case(f"residual, {precision}", "training", told)


def _fast(*, dry: bool) -> Iterator[Case]:
    workloads = (("lenet", "train", 4), ("lenet", "infer", 4)) if dry else WORKLOADS
    for net, kind, batch in workloads:
        title = f"{NETS[net].title} {kind} {batch}"
        told = {"program": NETS[net].program, "kind": kind, "batch": batch, "workload": title}
        for precision in ("fp32",) if dry else ("bf16", "fp16", "tf32", "fp32"):
            more = {"precision": precision, "runs": 1 if dry else 20}
            yield Case(f"{title}, ours {precision}", "ours", {**told, **more})
        more = {"precision": "fp32" if dry else "bf16", "runs": 1 if dry else 20, "tuned": True}
        yield Case(f"{title}, ours tuned", "ours", {**told, **more})
        for peer in PEERS:
            yield Case(f"{title}, {peer}", "peer", {**told, "peer": peer})


def _why(*, dry: bool) -> Iterator[Case]:
    workloads = (("lenet", "train", 4),) if dry else WORKLOADS[:3]
    for net, kind, batch in workloads:
        told = {"program": NETS[net].program, "kind": kind, "batch": batch}
        title = f"{NETS[net].title} {kind} {batch}"
        for precision in ("fp32",) if dry else ("fp32", "bf16"):
            more = {**told, "precision": precision}
            yield Case(f"{title}, time by op, {precision}", "profile", more)
        if not dry:
            more = {**told, "precision": "bf16"}
            yield Case(f"{title}, ways of libraries by shape", "tuning", more, limit=240)
        yield Case(
            f"{title}, what launching costs", "launching", {**told, "runs": 1 if dry else 20}
        )
