"""`cnndsl ops`: the conformance matrix."""

from __future__ import annotations

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.options import json_option

BACKENDS = ("reference", "cpu", "cuda")
"""Columns of the matrix; a backend that is not there serves nothing."""


@click.command()
@json_option
@click.option("--missing", is_flag=True, help="Only ops that the reference or gradients lack.")
def ops(*, as_json: bool, missing: bool) -> None:
    """Every op with its gradient and the backends that have a kernel for it."""
    rows = [row for row in matrix() if not missing or incomplete(row)]
    seen = seen_on()
    if as_json:
        emit_json({"ops": rows, "seen_on": seen})
        return
    width = max((len(str(row["name"])) for row in rows), default=4)
    titles = {name: f"{name} ({seen[name]})" if name in seen else name for name in BACKENDS}
    click.echo(f"{'op':<{width}}  gradient  {'  '.join(titles.values())}")
    for row in rows:
        served = row["backends"]
        assert isinstance(served, dict)
        cells = "  ".join(
            f"{'yes' if served[name] else '-':<{len(title)}}" for name, title in titles.items()
        )
        gradient = "yes" if row["gradient"] else ("none" if row["constant"] else "-")
        click.echo(f"{row['name']:<{width}}  {gradient:<8}  {cells}".rstrip())
    served_here = sum(not incomplete(row) for row in rows)
    click.echo(
        f"\n{len(rows)} ops, {served_here} complete. gradient: yes; none, where by the op's nature"
        "\nnothing flows back; -, where a rule is missing."
        + "".join(
            f"\n{name}: its kernels have only been {where} yet." for name, where in seen.items()
        )
    )


def seen_on() -> dict[str, str]:
    """Give what the kernels of a backend have run on, where that is not what they are for."""
    from cnndsl.backends import BACKENDS as AVAILABLE
    from cnndsl.backends import load

    found = {name: load(name).seen_on for name in BACKENDS if name in AVAILABLE}
    return {name: where for name, where in found.items() if where is not None}


def matrix() -> list[dict[str, object]]:
    """Give a row an op: name, gradient, constant (no gradient by nature), backends, doc."""
    import cnndsl.ops  # noqa: F401 - registers the families
    from cnndsl.backends import BACKENDS as AVAILABLE
    from cnndsl.backends import load
    from cnndsl.ir.op import OPS, Trait
    from cnndsl.ops.rules import no_gradient, vjp

    loaded = {name: load(name) for name in AVAILABLE}
    return [
        {
            "name": op.name,
            "gradient": op in vjp,
            "constant": op in no_gradient or Trait.STRUCTURAL in op.traits,
            "backends": {
                name: name in loaded
                and (Trait.STRUCTURAL in op.traits or loaded[name].supports(op))
                for name in BACKENDS
            },
            "doc": op.doc.split("\n")[0],
        }
        for op in sorted(OPS.values(), key=lambda op: op.name)
    ]


def incomplete(row: dict[str, object]) -> bool:
    """Tell whether the reference backend or the gradient of an op is missing."""
    served = row["backends"]
    assert isinstance(served, dict)
    return not served["reference"] or not (row["gradient"] or row["constant"])
