"""`cnndsl zoo`: the networks that come along."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from cnndsl.cli.console import emit_json
from cnndsl.cli.loading import Reading, load_program
from cnndsl.cli.options import json_option
from cnndsl.cli.text_tables import Column, text_table

if TYPE_CHECKING:
    from cnndsl.layers.analysis import Analysis
    from cnndsl.layers.network import Network

COLUMNS = (
    Column("name"),
    Column("input"),
    Column("parameters", right=True),
    Column("multiply-adds", right=True),
    Column("what", wraps=True),
)


def _complete_name(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    from cnndsl.frontend.find import zoo_programs

    return [CompletionItem(name) for name in zoo_programs() if name.startswith(incomplete)]


name_argument = click.argument("name", shell_complete=_complete_name)
"""NAME: one of the zoo's names."""


@dataclass(frozen=True, slots=True)
class Member:
    """A program of the zoo, with its usual parameters."""

    name: str
    """Without `.cnn`."""
    path: Path
    """Where it lies."""
    title: str
    """The first words of its first comment."""
    network: Network
    """What it describes."""
    analysis: Analysis
    """What that costs."""

    @property
    def size(self) -> str:
        """The size of its input."""
        return "x".join(map(str, self.network.inputs[0].size))


@click.group(invoke_without_command=True)
@click.option("--table", "markdown", is_flag=True, help="Print a Markdown table of the zoo.")
@json_option
@click.pass_context
def zoo(ctx: click.Context, *, markdown: bool, as_json: bool) -> None:
    """Look at the programs that come along; each can be run by its name."""
    if ctx.invoked_subcommand is not None:
        if markdown or as_json:
            option = "--table" if markdown else "--json"
            raise click.UsageError(f"{option} belongs behind `{ctx.invoked_subcommand}`", ctx)
        return
    show("*", as_json=as_json, markdown=markdown)


@zoo.command("list")
@click.argument("pattern", default="*")
@click.option("--table", "markdown", is_flag=True, help="Print a Markdown table.")
@json_option
def list_(*, pattern: str, markdown: bool, as_json: bool) -> None:
    """List programs whose names match PATTERN. `*` and `?` stand for anything."""
    show(pattern, as_json=as_json, markdown=markdown)


@zoo.command("show")
@name_argument
@json_option
def show_(*, name: str, as_json: bool) -> None:
    """Print a program."""
    path = find(name)
    text = path.read_text("utf-8")
    if as_json:
        emit_json({"name": path.stem, "path": str(path), "text": text})
    else:
        click.echo(text, nl=False)


@zoo.command("path")
@name_argument
@json_option
def path_(*, name: str, as_json: bool) -> None:
    """Print where a program lies."""
    path = find(name)
    if as_json:
        emit_json({"name": path.stem, "path": str(path)})
    else:
        click.echo(str(path))


def find(name: str) -> Path:
    """Give the file of a program of the zoo; raises `DiagnosticError` with the nearest names."""
    from cnndsl.frontend.find import SUFFIX, zoo_programs
    from cnndsl.support.diagnostics import DiagnosticError, error
    from cnndsl.support.suggest import nearest

    programs = zoo_programs()
    stem = name.removesuffix(SUFFIX)
    if stem in programs:
        return programs[stem]
    close = nearest(stem, programs)
    raise DiagnosticError(
        error(
            "E0619",
            f"the zoo has no program called {name}",
            notes=(f"it has {', '.join(programs)}",),
            helps=(f"did you mean {close[0]}?",) if close else (),
        )
    )


def members(pattern: str) -> list[Member]:
    """Load the programs whose names match `pattern`, in any case, in the order of their names."""
    from cnndsl.frontend.find import zoo_programs
    from cnndsl.layers.analysis import analyse

    wanted = pattern.casefold().removesuffix(".cnn")
    found = []
    for name, path in zoo_programs().items():
        if fnmatchcase(name.casefold(), wanted):
            elaboration = load_program(str(path), Reading(), quiet=True)
            network = elaboration.network
            title = _title(elaboration.program.source.text)
            found.append(Member(name, path, title, network, analyse(network)))
    return found


def _title(text: str) -> str:
    """Give the comment that a program begins with up to its first full stop or colon."""
    lines = []
    for line in text.split("\n"):
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return re.split(r"[.:]( |$)", " ".join(lines), maxsplit=1)[0]


def show(pattern: str, *, as_json: bool, markdown: bool) -> None:
    """Print the programs that match, or say on stderr that none does."""
    found = members(pattern)
    if as_json:
        emit_json({"programs": [_record(member) for member in found]})
    elif markdown:
        click.echo(_markdown(found))
    elif found:
        click.echo(
            text_table(
                COLUMNS,
                [
                    (m.name, m.size, f"{m.analysis.params:,}", f"{m.analysis.macs:,}", m.title)
                    for m in found
                ],
            )
        )
    if not found:
        click.echo(f"no program of the zoo matches {pattern!r}", err=True)


def _record(member: Member) -> dict[str, object]:
    return {
        "name": member.name,
        "title": member.title,
        "path": str(member.path),
        "inputs": {source.name: list(source.size) for source in member.network.inputs},
        "layers": len(member.network.layers),
        "params": member.analysis.params,
        "macs": member.analysis.macs,
    }


def _markdown(found: list[Member]) -> str:
    lines = [
        "| program | input | parameters | multiply-adds | what |",
        "| --- | --- | ---: | ---: | --- |",
    ]
    for m in found:
        counts = f"{m.analysis.params:,} | {m.analysis.macs:,}"
        lines.append(f"| `{m.name}` | {m.size} | {counts} | {m.title} |")
    return "\n".join(lines)
