"""`cnndsl kernels`: the code that computes a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.loading import Reading, load_program, reading_options
from cnndsl.cli.lowering import Wanted, backend_of, graph_options
from cnndsl.cli.options import device_options, json_option, program_argument

if TYPE_CHECKING:
    from cnndsl.backends.base import Precision
    from cnndsl.plan.plan import Plan, Step

COMMENT = {"ir": "//", "llvm": ";", "asm": "#", "cuda": "//"}
"""What a comment begins with in each kind of text."""


@click.command()
@program_argument
@click.argument("layer")
@reading_options
@graph_options
@device_options
@click.option(
    "--emit",
    type=click.Choice(list(COMMENT)),
    default="llvm",
    show_default=True,
    help="The node of the graph; LLVM's text or assembly of the cpu; CUDA C++ of cuda and "
    "cuda-emulated.",
)
@json_option
def kernels(
    *,
    program: str,
    layer: str,
    reading: Reading,
    wanted: Wanted,
    device: str | None,
    precision: Precision | None,
    emit: str,
    as_json: bool,
) -> None:
    """Print the code of the kernels that compute LAYER of a program.

    LAYER is a layer of the program or a node of its graph after all passes, as `cnndsl plan` lists
    them; with --train, what makes the layer's gradients belongs to it.
    """
    from cnndsl.compiler import build, plan_graph
    from cnndsl.ir.printer import format_node

    backend = backend_of(device, precision)
    elaboration = load_program(program, reading, quiet=as_json)
    graph = wanted.optimized(elaboration)
    plan = plan_graph(graph, backend)
    steps = steps_of(plan, layer)
    executable = None if emit == "ir" else build(plan, backend)
    found: list[dict[str, object]] = []
    for step in steps:
        node = step.node
        text, algorithm = format_node(node), ""
        if executable is not None:
            text = executable.node_artifacts(node.id).get(emit, "")
            algorithm = executable.algorithm(node.id)
        found.append({"node": node.id, "op": node.op.name, "algorithm": algorithm, "text": text})
    if as_json:
        emit_json({"name": graph.name, "layer": layer, "emit": emit, "kernels": found})
        return
    for each in found:
        title = f"{COMMENT[emit]} {each['node']}: {each['op']} {each['algorithm']}".rstrip()
        click.echo(f"{title}\n{str(each['text']).rstrip() or f'{COMMENT[emit]} no code'}\n")


def steps_of(plan: Plan, layer: str) -> list[Step]:
    """Give the steps that compute a layer or node; a usage error with near names if none does.

    A layer that passes fused with the next one has no node of its name: the steps that read its
    weights, or what was prepared from them, compute it.
    """
    from cnndsl.support.suggest import nearest

    found, known = [], set()
    prepared: dict[str, set[str]] = {}
    for step in (*plan.prepare, *plan.steps):
        owners = {str(step.node.id)} | ({str(of)} if (of := step.node.origin.of) else set())
        for value in step.node.operands:
            owners |= prepared.get(value.node, set())
            if plan.graph[value].op.name == "parameter":
                owners.add(value.node.rpartition(".")[0])
        if step in plan.prepare:
            prepared[step.node.id] = owners
        known |= owners
        if layer in owners:
            found.append(step)
    if found:
        return found
    close = nearest(layer, sorted(known))
    hint = f"; did you mean {', '.join(close)}?" if close else ""
    raise click.BadParameter(
        f"no step computes {layer!r} after all passes{hint}", param_hint="LAYER"
    )
