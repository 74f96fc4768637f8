"""`cnndsl why`: what a pass changed in a program's graph, why, and what that saved."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.ir import node_record
from cnndsl.cli.loading import Reading, load_program, reading_options
from cnndsl.cli.lowering import Wanted, choose_pass, complete_pass, graph_options, labelled
from cnndsl.cli.options import json_option, program_argument
from cnndsl.cli.text_tables import terminal_width

if TYPE_CHECKING:
    from cnndsl.frontend.elaborate import Elaboration
    from cnndsl.ir.graph import Node
    from cnndsl.ops.rules import Cost
    from cnndsl.passes.base import Pass
    from cnndsl.passes.explain import Rewrite, Rewrites


@click.command()
@program_argument
@click.option(
    "--pass",
    "pass_name",
    required=True,
    metavar="NAME",
    shell_complete=complete_pass,
    help="The pass; `NAME#2` is its second run only.",
)
@reading_options
@graph_options
@json_option
def why(*, program: str, pass_name: str, reading: Reading, wanted: Wanted, as_json: bool) -> None:
    """Show each change that a pass makes: before, after, the reason, and what it saves.

    The pass sees the graph as the passes before it have left it. `-` marks what went or was
    redefined, `+` what came. Multiply-adds and bytes are those of one run.
    """
    usual = labelled(wanted.passes)
    if "#" not in pass_name:
        check_runs(pass_name, usual, train=wanted.train)
    choose_pass(pass_name, usual, option="--pass")
    elaboration = load_program(program, reading, quiet=as_json)
    found = explained(elaboration, wanted, pass_name)
    if as_json:
        emit_json(
            {
                "name": elaboration.network.name,
                "pass": pass_name.partition("#")[0],
                "runs": [_run_record(label, run) for label, run in found.items()],
            }
        )
        return
    click.echo("\n\n".join("\n".join(text(label, run)) for label, run in found.items()))


def check_runs(name: str, usual: Mapping[str, Pass], *, train: bool) -> None:
    """Explain that a pass runs in the other pipeline only, if it does."""
    from cnndsl.passes.pipelines import INFER, TRAIN

    other = labelled(INFER if train else TRAIN)
    if name in other and name not in usual:
        here, there = ("training", "inference") if train else ("inference", "training")
        change = "leave out --train" if train else "add --train"
        raise click.BadParameter(
            f"{name} runs in {there} only, not in {here}; {change}", param_hint="--pass"
        )


def explained(elaboration: Elaboration, wanted: Wanted, pass_name: str) -> dict[str, Rewrites]:
    """Run the pipeline and explain the runs of `pass_name`, by label."""
    from cnndsl.passes.explain import explain_pass

    graph = wanted.lower(elaboration)
    found: dict[str, Rewrites] = {}
    for label, each in labelled(wanted.passes).items():
        if pass_name in (label, each.name):
            found[label] = explain_pass(graph, each)
            graph = found[label].after
        else:
            graph = each(graph)
    return found


def text(label: str, run: Rewrites) -> Iterator[str]:
    """Write what one run of a pass did, line by line."""
    name, _, turn = label.partition("#")
    title = f"{name}, run {turn}" if turn else name
    count = len(run.changes)
    if not count:
        yield f"{title}: nothing to change"
        return
    yield from _filled(
        f"{title}: {count} change{'s' if count > 1 else ''}; {saving(run.saved)}", "", ""
    )
    for number, change in enumerate(run.changes, 1):
        yield ""
        yield from _change(number, change)


def _change(number: int, change: Rewrite) -> Iterator[str]:
    place = next((n.origin.span for n in change.before if n.origin.span is not None), None)
    where = f"{place}: " if place else ""
    yield from _filled(f"{where}{change.reason}", f"{number}. ", "   ")
    yield from _nodes(change.before, "-")
    yield from _nodes(change.after, "+")
    for old, new in change.stands_in:
        yield from _filled(f"{new} is read instead of {old}", "   ", "     ")
    yield from _filled(saving(change.saved), "   ", "     ")


def _nodes(nodes: tuple[Node[Any], ...], mark: str) -> Iterator[str]:
    from cnndsl.ir.printer import format_node

    for node in nodes:
        yield from _filled(format_node(node), f"   {mark} ", "       ")


def _filled(line: str, lead: str, rest: str) -> list[str]:
    return textwrap.wrap(
        line,
        terminal_width(),
        initial_indent=lead,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def saving(cost: Cost) -> str:
    """Say what is saved, or what it costs more.

    >>> from cnndsl.ops.rules import Cost
    >>> saving(Cost(macs=1000, bytes_read=64))
    'saves 1,000 multiply-adds, 64 bytes read'
    """
    parts = (
        (cost.macs, "multiply-adds"),
        (cost.bytes_read, "bytes read"),
        (cost.bytes_written, "bytes written"),
    )
    less = [f"{number:,} {what}" for number, what in parts if number > 0]
    more = [f"{-number:,} {what}" for number, what in parts if number < 0]
    said = [f"saves {', '.join(less)}"] if less else []
    said += [f"costs {', '.join(more)}"] if more else []
    return "; ".join(said) or "saves neither multiply-adds nor bytes"


def _cost_record(cost: Cost) -> dict[str, int]:
    return {
        "flops": cost.flops,
        "macs": cost.macs,
        "bytes_read": cost.bytes_read,
        "bytes_written": cost.bytes_written,
    }


def _run_record(label: str, run: Rewrites) -> dict[str, object]:
    return {
        "run": int(label.partition("#")[2] or 1),
        "saved": _cost_record(run.saved),
        "changes": [
            {
                "reason": change.reason,
                "before": [node_record(node) for node in change.before],
                "after": [node_record(node) for node in change.after],
                "stands_in": [[str(old), str(new)] for old, new in change.stands_in],
                "saved": _cost_record(change.saved),
            }
            for change in run.changes
        ],
    }
