"""What to run on a GPU when one is at hand: is it right, how fast is it, and why.

    python benchmarks/gpu.py right                     # each stage fits in nine minutes
    python benchmarks/gpu.py fast --seconds 540
    python benchmarks/gpu.py why
    python benchmarks/gpu.py right fast why --dry      # small, on the emulated device

Each case is a process with a limit of its own (`gpu_worker.py`), and its result is written to
`results/gpu/<stage>.json` as soon as it is there, so that a crash or the end of the time costs no
other case. A case whose framework is not installed says so. Tables come last.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from gpu_cases import Case, cases  # noqa: E402

STAGES = ("right", "fast", "why")
LEAST = 5.0
"""Seconds below which no case is begun."""


def run_case(case: Case, *, device: str, limit: float) -> dict[str, Any]:
    """Run a case in a process of its own; gives what it found, or why it found nothing."""
    command = [
        sys.executable,
        str(HERE / "gpu_worker.py"),
        device,
        case.kind,
        json.dumps(case.told),
    ]
    begin = time.perf_counter()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, check=False, cwd=HERE.parent
        )
    except subprocess.TimeoutExpired:
        return {"case": case.name, "failed": f"not done after {limit:.0f} s"}
    seconds = round(time.perf_counter() - begin, 1)
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        return {"case": case.name, "failed": words[-1], "seconds": seconds}
    found = json.loads(done.stdout.splitlines()[-1])
    return {"case": case.name, **found, "seconds": seconds}


def run_stage(stage: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Run the cases of a stage while there is time, and keep each result at once."""
    end = time.perf_counter() + args.seconds
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{stage}.json"
    results: list[dict[str, Any]] = []
    for case in cases(stage, dry=args.dry):
        if args.only and not any(word in case.name for word in args.only):
            continue
        left = end - time.perf_counter()
        if left < LEAST:
            results.append({"case": case.name, "failed": "no time was left"})
        else:
            results.append(run_case(case, device=args.device, limit=min(left, case.limit)))
        told = {"stage": stage, "device": args.device, "dry": args.dry, "results": results}
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        print(line(results[-1]), flush=True)
    return results


def line(result: dict[str, Any]) -> str:
    """Write a result as a line."""
    name = f"{result['case']:<40}  "
    if "failed" in result:
        return f"{name}FAILED  {result['failed']}"
    if "skipped" in result:
        return f"{name}skipped  {result['skipped']}"
    shown = {k: v for k, v in result.items() if k not in ("case", "seconds", "rows")}
    words = "  ".join(f"{k} {_short(v)}" for k, v in shown.items())
    rows = "".join(f"\n    {row}" for row in result.get("rows", ()))
    return f"{name}{words}{rows}"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def ratios(results: list[dict[str, Any]]) -> list[str]:
    """Compare each workload's best of ours with the best of the others."""
    best: dict[str, dict[str, float]] = {}
    for result in results:
        if "images_per_second" in result:
            mine = best.setdefault(result["workload"], {})
            side = "ours" if result["framework"].startswith("cnndsl") else "others"
            mine[side] = max(mine.get(side, 0.0), result["images_per_second"])
    lines = []
    for workload, found in best.items():
        if len(found) == 2:
            lines.append(f"{workload:<42}{found['ours'] / found['others']:.2f} x the best other")
            lines += [
                f"    {found['ours'] / result['images_per_second']:.2f} x {result['framework']}"
                for result in results
                if result.get("workload") == workload and "images_per_second" in result
                if not result["framework"].startswith("cnndsl")
            ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("stages", nargs="+", choices=STAGES)
    parser.add_argument("--device", default=None, help="cuda[:N], or cuda-emulated")
    parser.add_argument("--dry", action="store_true", help="small cases, on the emulated device")
    parser.add_argument("--seconds", type=float, default=540, help="of a stage")
    parser.add_argument("--only", nargs="*", help="cases whose names hold one of these")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "gpu")
    args = parser.parse_args()
    args.device = args.device or ("cuda-emulated" if args.dry else "cuda")
    failed = 0
    for stage in args.stages:
        print(f"== {stage}", flush=True)
        results = run_stage(stage, args)
        print("\n".join(ratios(results)))
        failed += sum("failed" in result for result in results)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
