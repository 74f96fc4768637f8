"""Time whole networks beside PyTorch, ONNX Runtime and OpenVINO; write a table and JSON.

    python benchmarks/peers.py [--rounds N] [--threads N] [--only NET ...] [--kinds infer train]

The first run makes an environment with the peers in the user's cache (or take one with --python).
Each framework is a process of its own; all have the same weights, the same images, the same number
of threads on the same processors. Outputs are compared before anything is timed: of inference, and
of two training steps where no dropout makes them differ. Then everybody runs in turn, a round
after the other, and the medians over all rounds are compared. Between turns all are given time to
put their threads to sleep.
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
import venv
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from peer_cases import NETS, Net  # noqa: E402
from peer_ours import Ours  # noqa: E402
from peer_worker import timed  # noqa: E402

TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
PACKAGES = ("numpy", "onnx", "onnxruntime", "openvino")
FRAMEWORKS = {"infer": ("torch", "onnxruntime", "openvino"), "train": ("torch",)}
ENOUGH = 0.2
"""Seconds of a turn; a run that takes longer is one turn."""
PAUSE = 0.25
"""Seconds between turns: longer than the peers' threads spin before they sleep."""
AGREE = 2e-3
"""Largest difference of probabilities, and of losses, in relation to the largest of them."""
STEPS = 2
"""Training steps whose losses are compared, the second of which shows the first update."""


def environment(torch: str | None) -> Path:
    """Make the environment of the peers, if it is not there; gives its interpreter."""
    import platformdirs

    folder = platformdirs.user_cache_path("cnndsl") / "benchmarks" / "peers"
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists():
        return python
    print(f"making an environment in {folder}", flush=True)
    venv.create(folder, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "-q", "--no-input"]
    small = [*pip, "--index-url", TORCH_INDEX, "--retries", "0", "--timeout", "10", "torch"]
    if torch is not None:
        subprocess.run([*pip, torch], check=True)
    elif subprocess.run(small, check=False, stderr=subprocess.DEVNULL).returncode:
        subprocess.run([*pip, "torch"], check=True)
    subprocess.run([*pip, *PACKAGES], check=True)
    ready.touch()
    return python


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

    def ask(self, do: str, **more: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a peer ended with {self._process.wait()} when asked to {do}")
        return json.loads(line)

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

    def __init__(self, name: str, net: Net, python: Path, folder: Path, args: Any) -> None:
        self.name, self.net, self.args = name, net, args
        self.ours = Ours(net.program, args.threads)
        self.ours.write(folder)
        self._folder, self._python = folder, python
        self.peers: dict[str, Peer] = {}
        self.versions: dict[str, str] = {}
        self._start("torch")
        told = self.peers["torch"].ask("statistics")
        self._repeats = not told["has_dropout"]
        self.ours.take(folder)
        for framework in FRAMEWORKS["infer"][1:] if "infer" in args.kinds else ():
            self._start(framework)

    def _start(self, framework: str) -> None:
        mode = "compile" if self.args.compile else "plain"
        self.peers[framework] = Peer(
            self._python, framework, self._folder, self.args.threads, mode=mode
        )
        self.versions[framework] = self.peers[framework].ask("version")

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
        chosen = {name: self.peers[name] for name in FRAMEWORKS[kind]}
        built = {
            way: peer
            for peer in chosen.values()
            for way in peer.ask("build", kind=kind, batch=batch, one=False)
        }
        differences = self._differences(kind, batch, list(chosen.values()))
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
            "rounds": self.args.rounds,
            "all_ms": {way: [middle * 1e3 for middle, _ in t] for way, t in times.items()},
        }

    def memory(self, kind: str, batch: int) -> dict[str, float]:
        """Give the most MB that a process has which does nothing but run this case a few times."""
        command = [sys.executable, str(HERE / "peer_ours.py"), self.net.program, kind, str(batch)]
        told = subprocess.run(
            [*command, str(self.args.threads)], check=True, stdout=subprocess.PIPE, text=True
        )
        found = {"ours": int(told.stdout) / 1e6}
        for framework in FRAMEWORKS[kind]:
            peer = Peer(self._python, framework, self._folder, self.args.threads, mode="plain")
            (way,) = peer.ask("build", kind=kind, batch=batch, one=True)
            peer.ask("time", way=way, seconds=ENOUGH)
            found[framework] = peer.ask("memory") / 1e6
            peer.close()
        return found

    def _differences(self, kind: str, batch: int, peers: list[Peer]) -> dict[str, float]:
        """Compare what everybody computes; the run ends where somebody computes something else.

        In training one of PyTorch's layouts has to agree. With ResNet-50 and four images its two
        layouts are themselves 1 % apart after one update.
        """
        if kind == "train" and not self._repeats:
            return {}
        if kind == "infer":
            mine: Any = self.ours.output(batch)
            theirs = {w: out for peer in peers for w, out in peer.ask("output").items()}
        else:
            mine = self.ours.losses(batch, STEPS)
            theirs = {w: o for peer in peers for w, o in peer.ask("losses", steps=STEPS).items()}
        found = {way: gap(mine, out) for way, out in theirs.items()}
        judged = min(found.values()) if kind == "train" else max(found.values())
        if judged > AGREE:
            raise SystemExit(f"{self.name} {kind} {batch}: outputs differ: {found}")
        return found

    def _times(
        self, kind: str, batch: int, built: dict[str, Peer]
    ) -> dict[str, list[tuple[float, float]]]:
        """Time everybody in turn; each round begins with somebody else."""
        once = self.ours.call(kind, batch)
        ways = ["ours", *built]
        times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for number in range(-1, self.args.rounds):
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


def table(record: dict[str, Any]) -> str:
    """Write the results as Markdown."""
    rounds = sorted({row["rounds"] for row in record["rows"]})
    several = " to ".join(str(number) for number in dict.fromkeys((rounds[0], rounds[-1])))
    lines = [
        f"# cnndsl beside its peers on {record['machine']}",
        "",
        f"{record['threads']} threads of {record['processor']}, single precision, medians of "
        f"{several} rounds taken in turn, {record['date']}; {record['load']:.1f} other "
        "programs wanted a processor when it began. "
        + ", ".join(record["versions"].values())
        + ". Times in ms. Ratio: the best peer's median by ours, above 1 where cnndsl is faster; "
        "fastest: the same of the fastest run of each, which other programs disturb least. "
        "Difference: the largest of any peer's output or loss, in relation; none where dropout "
        "draws other numbers. Cold and warm: seconds that cnndsl takes to compile, without and "
        "with kernels that were kept.",
    ]
    for kind, title in (("infer", "Inference"), ("train", "A training step")):
        rows = [row for row in record["rows"] if row["kind"] == kind]
        if not rows:
            continue
        ways = list(dict.fromkeys(way for row in rows for way in row["peers_ms"]))
        lines += [
            "",
            f"## {title}",
            "",
            f"| network | batch | cnndsl | {' | '.join(ways)} | ratio | fastest "
            "| wanted | difference | cold | warm |",
            "|---|--:|--:|" + "--:|" * len(ways) + "--:|" * 6,
        ]
        for row in rows:
            theirs = [
                "" if way not in row["peers_ms"] else _ms(row["peers_ms"][way], way == row["best"])
                for way in ways
            ]
            away = "" if row["difference"] is None else f"{row['difference']:.0e}"
            lines.append(
                f"| {row['title']} | {row['batch']} | {row['ours_ms']:.3g} | {' | '.join(theirs)} "
                f"| {row['ratio']:.2f} | {row['fastest_ratio']:.2f} | {row['wanted'] or ''} "
                f"| {away} | {row['cold_s']:.2f} | {row['warm_s']:.2f} |"
            )
    held = [row for row in record["rows"] if row["memory_mb"]]
    if held:
        lines += [
            "",
            "## Peak memory of a process, MB",
            "",
            "| network | | batch | cnndsl | PyTorch | ONNX Runtime | OpenVINO |",
            "|---|---|--:|--:|--:|--:|--:|",
        ]
        for row in held:
            found = row["memory_mb"]
            names = ("ours", "torch", "onnxruntime", "openvino")
            cells = " | ".join(f"{found[name]:.0f}" if name in found else "" for name in names)
            lines.append(f"| {row['title']} | {row['kind']} | {row['batch']} | {cells} |")
    return "\n".join(lines) + "\n"


def _ms(milliseconds: float, best: bool) -> str:
    return f"**{milliseconds:.3g}**" if best else f"{milliseconds:.3g}"


def processor() -> str:
    """Give the processor's name as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--python", type=Path, help="an interpreter that has the peers")
    parser.add_argument("--torch", help='what to install as PyTorch: "torch==2.13.0+cpu"')
    parser.add_argument("--threads", type=int, help="as many as there are processors")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=list(NETS), choices=list(NETS))
    parser.add_argument("--kinds", nargs="+", default=["infer", "train"], choices=FRAMEWORKS)
    parser.add_argument("--batch", type=int, nargs="+", help="only these numbers of images")
    parser.add_argument("--compile", action="store_true", help="torch.compile too; slow to begin")
    parser.add_argument("--memory", action="store_true", help="the peak of processes, too")
    parser.add_argument("--add", action="store_true", help="keep what was measured of the others")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    return parser.parse_args()


def chosen(batches: tuple[int, ...], wanted: list[int] | None) -> list[int]:
    """Give the numbers of images that were asked for: all, where none were."""
    return [batch for batch in batches if wanted is None or batch in wanted]


def main() -> None:
    args = arguments()
    python = args.python or environment(args.torch)
    here = sorted(os.sched_getaffinity(0))
    args.threads = args.threads or len(here)
    # The peers inherit this, so everybody runs on the same processors.
    os.sched_setaffinity(0, here[: args.threads])
    record: dict[str, Any] = {
        "machine": platform.machine(),
        "processor": processor(),
        "threads": args.threads,
        "rounds": args.rounds,
        "date": time.strftime("%Y-%m-%d"),
        "load": os.getloadavg()[0],
        "versions": {},
        "rows": [],
    }
    args.out.mkdir(parents=True, exist_ok=True)
    kept = args.out / "peers.json"
    if args.add and kept.exists():
        old = json.loads(kept.read_text(encoding="utf-8"))
        record["versions"] = old["versions"]
        record["rows"] = [
            row
            for row in old["rows"]
            if row["net"] not in args.only or row["kind"] not in args.kinds
        ]
    for name in args.only:
        net = NETS[name]
        with tempfile.TemporaryDirectory(prefix="cnndsl-peers-") as folder:
            both = Comparison(name, net, python, Path(folder), args)
            try:
                for kind in args.kinds:
                    for batch in chosen(getattr(net, kind), args.batch):
                        row = both.case(kind, batch)
                        record["rows"].append(row)
                        show(row)
                record["versions"].update(both.versions)
            finally:
                both.close()
        del both
        gc.collect()
        order = list(NETS)
        record["rows"].sort(key=lambda row: order.index(row["net"]))
        write(record, args.out)


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
