"""The table of whole networks beside their peers."""

from __future__ import annotations

from string import ascii_lowercase
from typing import Any


def table(record: dict[str, Any]) -> str:
    """Write the results as Markdown."""
    rounds = sorted({row["rounds"] for row in record["rows"]})
    several = " to ".join(str(number) for number in dict.fromkeys((rounds[0], rounds[-1])))
    lines = [
        f"# cnndsl beside its peers on {record['machine']}",
        "",
        f"{record['threads']} threads of {record['processor']}, single precision, medians of "
        f"{several} rounds taken in turn; {record['load']:.1f} other "
        "programs wanted a processor when the last run began. "
        + ", ".join(record["versions"].values())
        + ". Times in ms. Ratio: the best peer's median by ours, above 1 where cnndsl is faster; "
        "fastest: the same of the fastest run of each, which other programs disturb least. "
        "Difference: the largest of any peer's output from ours, in relation; in training, of our "
        "losses from PyTorch's in double precision, none where dropout draws other numbers. "
        "Cold and warm: seconds that cnndsl takes to compile, without and with kernels that were "
        "kept. Rounds: how many, and the state of the tree that was measured: "
        f"{_states(record['rows'])}.",
    ]
    letters = _letters(record["rows"])
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
            "| wanted | difference | cold | warm | rounds |",
            "|---|--:|--:|" + "--:|" * len(ways) + "--:|" * 7,
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
                f"| {away} | {row['cold_s']:.2f} | {row['warm_s']:.2f} "
                f"| {row['rounds']} {letters[_when(row)]} |"
            )
    lines += [*_builds(record["rows"]), *_memory(record["rows"]), *_absent(record["rows"])]
    return "\n".join(lines) + "\n"


def _when(row: dict[str, Any]) -> tuple[str, str]:
    """Give the day a row was measured, and the commit."""
    return row["date"], row["state"]


def _letters(rows: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    """Name the days and commits at which rows were measured."""
    return dict(zip(sorted({_when(row) for row in rows}), ascii_lowercase, strict=False))


def _states(rows: list[dict[str, Any]]) -> str:
    """Say what the letters behind the rounds stand for."""
    found = _letters(rows).items()
    return "; ".join(f"{letter} {state} of {date}" for (date, state), letter in found)


def _builds(rows: list[dict[str, Any]]) -> list[str]:
    """Write how long everybody takes before the first run."""
    rows = [row for row in rows if row.get("build_s")]
    ways = list(dict.fromkeys(way for row in rows for way in row["build_s"]))
    if not rows:
        return []
    lines = [
        "",
        "## Seconds from the network to what can run",
        "",
        "Cold: without kernels that were kept. PyTorch builds its module and compiles nothing; JAX "
        "traces and compiles.",
        "",
        f"| network | | batch | cnndsl, cold | cnndsl, warm | {' | '.join(ways)} |",
        "|---|---|--:|--:|--:|" + "--:|" * len(ways),
    ]
    for row in rows:
        theirs = [f"{row['build_s'][way]:.2f}" if way in row["build_s"] else "" for way in ways]
        lines.append(
            f"| {row['title']} | {row['kind']} | {row['batch']} | {row['cold_s']:.2f} "
            f"| {row['warm_s']:.2f} | {' | '.join(theirs)} |"
        )
    return lines


def _memory(rows: list[dict[str, Any]]) -> list[str]:
    """Write the peaks of processes."""
    held = [row for row in rows if row["memory_mb"]]
    if not held:
        return []
    names = {"ours": "cnndsl", "torch": "PyTorch", "onnxruntime": "ONNX Runtime"}
    names |= {"openvino": "OpenVINO", "jax": "JAX"}
    lines = [
        "",
        "## Peak memory of a process, MB",
        "",
        f"| network | | batch | {' | '.join(names.values())} |",
        "|---|---|--:|" + "--:|" * len(names),
    ]
    for row in held:
        mb = row["memory_mb"]
        cells = " | ".join(f"{mb[name]:.0f}" if name in mb else "" for name in names)
        lines.append(f"| {row['title']} | {row['kind']} | {row['batch']} | {cells} |")
    return lines


def _absent(rows: list[dict[str, Any]]) -> list[str]:
    """Write who could not be asked, and why."""
    return [
        line
        for row in rows
        for name, why in row.get("absent", {}).items()
        for line in ("", f"{row['title']}, {row['kind']} {row['batch']}, without {name}: {why}")
    ]


def _ms(milliseconds: float, best: bool) -> str:
    return f"**{milliseconds:.3g}**" if best else f"{milliseconds:.3g}"
