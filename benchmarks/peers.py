"""Time whole networks beside PyTorch, ONNX Runtime, OpenVINO and JAX; write a table and JSON.

    python benchmarks/peers.py [--rounds N] [--threads N] [--only NET ...] [--kinds infer train]

The first run makes environments with the peers in the user's cache (or take some with --python and
--jax).
Each framework is a process of its own; all have the same weights, the same images, the same number
of threads on the same processors. Outputs are compared before anything is timed: of inference, and
of two training steps where no dropout makes them differ. Then everybody runs in turn, a round
after the other, and the medians over all rounds are compared. Between turns all are given time to
put their threads to sleep. A case has as many rounds as --rounds says, or as fit into --seconds,
and never fewer than five.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from peer_cases import NETS  # noqa: E402
from peer_environment import environment  # noqa: E402
from peer_machine import processor, state  # noqa: E402
from peer_ours import Ours  # noqa: E402
from peer_recipe import timed  # noqa: E402
from peer_table import table  # noqa: E402

FRAMEWORKS = {"infer": ("torch", "onnxruntime", "openvino", "jax"), "train": ("torch", "jax")}
ENOUGH = 0.05
"""Seconds of a turn; a run that takes longer is one turn."""
FEWEST = 5
"""Rounds of a case whose runs take long."""
PAUSE = 0.25
"""Seconds between turns: longer than the peers' threads spin before they sleep."""
AGREE = 2e-3
"""Largest difference of probabilities, and of losses, in relation to the largest of them."""
STEPS = 2
"""Training steps whose losses are compared, the second of which shows the first update."""


class PeerError(Exception):
    """A framework cannot do what it is asked for."""


class DifferError(Exception):
    """Somebody computes something else than we do."""


class Peer:
    """A process with one network in one framework."""

    def __init__(self, python: Path, framework: str, folder: Path, threads: int, *, mode: str):
        command = [str(python), str(HERE / "peer_worker.py"), framework, str(folder)]
        self._process = subprocess.Popen(
            [*command, str(threads), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": ""},
        )

    @property
    def ended(self) -> bool:
        """Whether the process is no more."""
        return self._process.poll() is not None

    def ask(self, do: str, **more: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise PeerError(f"its process ended with {self._process.wait()} when asked to {do}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer["answer"]

    def close(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()


def gap(found: Any, expected: Any) -> float:
    """Give the largest difference in relation to the largest number."""
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return float(np.abs(a - b).max() / np.abs(b).max())


class Comparison:
    """One network in all frameworks."""

    def __init__(self, name: str, folder: Path, args: Any) -> None:
        net = NETS[name]
        self.name, self.net, self.args = name, net, args
        self.ours = Ours(net.program, args.threads)
        self.ours.write(folder)
        self._folder = folder
        self.peers: dict[str, Peer] = {}
        self.versions: dict[str, str] = {}
        self._start("torch")
        told = self.peers["torch"].ask("statistics")
        self._repeats = not told["has_dropout"]
        self.ours.take(folder)
        for framework in dict.fromkeys(f for kind in args.kinds for f in self.frameworks(kind)):
            if framework not in self.peers:
                self._start(framework)

    def frameworks(self, kind: str) -> list[str]:
        """Give the frameworks that are wanted."""
        return [name for name in FRAMEWORKS[kind] if name not in self.args.without]

    def _start(self, framework: str) -> None:
        self.peers[framework] = self._peer(framework)
        self.versions[framework] = self.peers[framework].ask("version")

    def _peer(self, framework: str) -> Peer:
        python = self.args.jax if framework == "jax" else self.args.python
        mode = "compile" if self.args.compile else "plain"
        return Peer(python, framework, self._folder, self.args.threads, mode=mode)

    def close(self) -> None:
        for peer in self.peers.values():
            peer.close()

    def case(self, kind: str, batch: int) -> dict[str, Any]:
        """Compare outputs, then time."""
        np.save(self._folder / f"images{batch}.npy", self.ours.input(batch))
        np.save(self._folder / f"labels{batch}.npy", self.ours.labels(batch))
        kernels = self._folder / f"kernels-{kind}{batch}"
        os.environ["CNNDSL_KERNELS"] = str(kernels)
        cold, warm = (self.ours.compile(kind, batch) for _ in range(2))
        built: dict[str, Peer] = {}
        first: dict[str, float] = {}
        absent: dict[str, str] = {}
        for framework in self.frameworks(kind):
            try:
                if self.peers[framework].ended:
                    self._start(framework)
                seconds = self.peers[framework].ask("build", kind=kind, batch=batch, one=False)
            except PeerError as error:
                absent[framework] = str(error)
                continue
            built.update(dict.fromkeys(seconds, self.peers[framework]))
            first.update(seconds)
        differences = self._differences(kind, batch, list(dict.fromkeys(built.values())))
        if self.args.check:
            return {"net": self.name, "kind": kind, "batch": batch, **differences, **absent}
        times = self._times(kind, batch, built)
        medians = {way: median(middle for middle, _ in found) for way, found in times.items()}
        fastest = {way: min(least for _, least in found) for way, found in times.items()}
        mine, least = medians.pop("ours"), fastest.pop("ours")
        best = min(medians, key=medians.__getitem__)
        return {
            "net": self.name,
            "title": self.net.title,
            "kind": kind,
            "batch": batch,
            "ours_ms": mine * 1e3,
            "peers_ms": {way: t * 1e3 for way, t in medians.items()},
            "best": best,
            "ratio": medians[best] / mine,
            "fastest_ms": {"ours": least * 1e3} | {way: t * 1e3 for way, t in fastest.items()},
            "fastest_ratio": min(fastest.values()) / least,
            "wanted": self.net.goals.get(f"{kind} {batch}"),
            "difference": max(differences.values()) if differences else None,
            "memory_mb": self.memory(kind, batch) if self.args.memory else {},
            "cold_s": cold,
            "warm_s": warm,
            "build_s": first,
            "absent": absent,
            "rounds": len(times["ours"]),
            "state": self.args.state,
            "date": time.strftime("%Y-%m-%d"),
            "all_ms": {way: [middle * 1e3 for middle, _ in t] for way, t in times.items()},
        }

    def memory(self, kind: str, batch: int) -> dict[str, float]:
        """Give the most MB that a process has which does nothing but run this case a few times."""
        command = [sys.executable, str(HERE / "peer_ours.py"), self.net.program, kind, str(batch)]
        told = subprocess.run(
            [*command, str(self.args.threads)], check=True, stdout=subprocess.PIPE, text=True
        )
        found = {"ours": int(told.stdout) / 1e6}
        for framework in self.frameworks(kind):
            peer = self._peer(framework)
            with contextlib.suppress(PeerError):
                (way,) = peer.ask("build", kind=kind, batch=batch, one=True)
                peer.ask("time", way=way, seconds=4 * ENOUGH)
                found[framework] = peer.ask("memory") / 1e6
            peer.close()
        return found

    def _differences(self, kind: str, batch: int, peers: list[Peer]) -> dict[str, float]:
        """Compare what everybody computes; raises where we compute something else.

        In training norms over few images make rounding errors large: after an update of ResNet-50
        with four images PyTorch is 3e-3 from its own double precision. That is what our losses are
        held to; where a peer is so far from it, we may be twice as far, as errors are by chance.
        """
        if kind == "infer":
            mine: Any = self.ours.output(batch)
            theirs = {w: out for peer in peers for w, out in peer.ask("output").items()}
            gaps = {way: gap(mine, out) for way, out in theirs.items()}
            judged, allowed = max(gaps.values()), AGREE
        elif self._repeats:
            mine = self.ours.losses(batch, STEPS)
            theirs = {w: o for peer in peers for w, o in peer.ask("losses", steps=STEPS).items()}
            exact = self.peers["torch"].ask("exact losses", batch=batch, steps=STEPS)
            gaps = {"double precision": gap(mine, exact)}
            judged = gaps["double precision"]
            allowed = max(AGREE, *(2 * gap(out, exact) for out in theirs.values()))
        else:
            return {}
        if judged > allowed:
            raise DifferError(f"outputs differ by more than {allowed:.0e}: {gaps}")
        return gaps

    def _times(
        self, kind: str, batch: int, built: dict[str, Peer]
    ) -> dict[str, list[tuple[float, float]]]:
        """Time everybody in turn; each round begins with somebody else."""
        once = self.ours.call(kind, batch)
        ways = ["ours", *built]
        times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        begin = time.monotonic()
        for number in range(-1, self.args.rounds):
            if number >= FEWEST and time.monotonic() - begin > self.args.seconds:
                break
            turn = number % len(ways)
            for way in (*ways[turn:], *ways[:turn]):
                time.sleep(PAUSE)
                if way == "ours":
                    taken = timed(once, ENOUGH)
                else:
                    taken = built[way].ask("time", way=way, seconds=ENOUGH)
                if number >= 0:  # The first turn warms up.
                    times[way].append(taken)
        return times


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--python", type=Path, help="an interpreter that has the peers")
    parser.add_argument("--torch", help='what to install as PyTorch: "torch==2.13.0+cpu"')
    parser.add_argument("--threads", type=int, help="as many as there are processors")
    parser.add_argument("--jax", type=Path, help="an interpreter that has JAX")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=60, help="of all rounds of a case")
    parser.add_argument("--only", nargs="+", default=list(NETS), choices=list(NETS))
    parser.add_argument("--kinds", nargs="+", default=["infer", "train"], choices=FRAMEWORKS)
    parser.add_argument("--batch", type=int, nargs="+", help="only these numbers of images")
    parser.add_argument("--check", action="store_true", help="compare outputs, time nothing")
    parser.add_argument("--compile", action="store_true", help="torch.compile too; slow to begin")
    parser.add_argument("--memory", action="store_true", help="the peak of processes, too")
    parser.add_argument("--add", action="store_true", help="keep what was measured before")
    parser.add_argument("--resume", action="store_true", help="leave out what is there already")
    parser.add_argument("--without", nargs="+", default=[], choices=FRAMEWORKS["infer"][1:])
    parser.add_argument("--out", type=Path, default=HERE / "results")
    return parser.parse_args()


def chosen(batches: tuple[int, ...], wanted: list[int] | None) -> list[int]:
    """Give the numbers of images that were asked for: all, where none were."""
    return [batch for batch in batches if wanted is None or batch in wanted]


def main() -> None:
    args = arguments()
    args.python = args.python or environment("peers", args.torch)
    if "jax" not in args.without:
        args.jax = args.jax or environment("jax")
    args.state = state()
    here = sorted(os.sched_getaffinity(0))
    args.threads = args.threads or len(here)
    # The peers inherit this, so everybody runs on the same processors.
    os.sched_setaffinity(0, here[: args.threads])
    record: dict[str, Any] = {
        "machine": platform.machine(),
        "processor": processor(),
        "threads": args.threads,
        "load": os.getloadavg()[0],
        "versions": {},
        "rows": [],
    }
    args.out.mkdir(parents=True, exist_ok=True)
    kept = args.out / "peers.json"
    if (args.add or args.resume) and kept.exists():
        old = json.loads(kept.read_text(encoding="utf-8"))
        record["versions"], record["rows"] = old["versions"], old["rows"]
    failed: list[str] = []
    for name in args.only:
        wanted = [
            (kind, batch)
            for kind in args.kinds
            for batch in chosen(getattr(NETS[name], kind), args.batch)
            if not args.resume or found(record["rows"], name, kind, batch) is None
        ]
        if wanted:
            with tempfile.TemporaryDirectory(prefix="cnndsl-peers-") as folder:
                failed += measure(name, wanted, Path(folder), args, record)
            gc.collect()
    if failed:
        raise SystemExit("not compared:\n" + "\n".join(failed))


def measure(
    name: str, wanted: list[tuple[str, int]], folder: Path, args: Any, record: dict[str, Any]
) -> list[str]:
    """Measure cases of a network; each is written down as soon as it is known.

    Gives what could not be compared, and why.
    """
    both = Comparison(name, folder, args)
    rows, order = record["rows"], list(NETS)
    failed = []
    try:
        for kind, batch in wanted:
            try:
                row = both.case(kind, batch)
            except (DifferError, PeerError, subprocess.CalledProcessError) as error:
                failed.append(f"{name} {kind} {batch}: {error}")
                print(failed[-1], flush=True)
                continue
            if args.check:
                print(row, flush=True)
                continue
            before = found(rows, name, kind, batch)
            if before is not None:
                row["memory_mb"] = row["memory_mb"] or before["memory_mb"]
                rows.remove(before)
            rows.append(row)
            rows.sort(key=lambda row: (order.index(row["net"]), row["kind"], row["batch"]))
            record["versions"].update(both.versions)
            write(record, args.out)
            show(row)
    finally:
        both.close()
    return failed


def found(rows: list[dict[str, Any]], name: str, kind: str, batch: int) -> dict[str, Any] | None:
    """Give what was measured of a case before."""
    same = (name, kind, batch)
    return next((row for row in rows if (row["net"], row["kind"], row["batch"]) == same), None)


def show(row: dict[str, Any]) -> None:
    theirs = "  ".join(f"{way} {t:.3g}" for way, t in row["peers_ms"].items())
    ratios = f"{row['ratio']:5.2f} {row['fastest_ratio']:5.2f}"
    print(
        f"{row['title']:20} {row['kind']} {row['batch']:<4} {ratios}  "
        f"ours {row['ours_ms']:.3g}  {theirs}",
        flush=True,
    )


def write(record: dict[str, Any], folder: Path) -> None:
    """Write what is known so far."""
    (folder / "peers.md").write_text(table(record), encoding="utf-8")
    (folder / "peers.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
