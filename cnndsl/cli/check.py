"""`cnndsl check`: what is wrong with programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import diagnostic_record, emit_json, show_diagnostics
from cnndsl.cli.ending import Exit, worst
from cnndsl.cli.loading import STANDARD_INPUT, Reading, load_program, reading_options
from cnndsl.cli.options import complete_program, json_option

if TYPE_CHECKING:
    from cnndsl.layers.network import Network
    from cnndsl.support.diagnostics import Diagnostic


ROUNDS = 10
"""How often fixes are applied to what earlier ones made."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about one program."""

    program: str
    """As it was asked for."""
    diagnostics: tuple[Diagnostic, ...]
    """Errors, or notes and warnings if there are none."""
    network: Network | None
    """What it describes; nothing if it has errors."""


@click.command()
@click.argument("programs", nargs=-1, required=True, shell_complete=complete_program)
@click.option("--fix", is_flag=True, help="Make the changes that remove errors, in the files.")
@reading_options
@json_option
def check(*, programs: tuple[str, ...], fix: bool, reading: Reading, as_json: bool) -> int:
    """Say what is wrong with programs, or that nothing is; `-` reads one from stdin."""
    if fix:
        for program in programs:
            repair(program, reading, quiet=as_json)
    verdicts = [examine(program, reading, quiet=as_json) for program in programs]
    if as_json:
        emit_json(record(verdicts))
    return worst([Exit.DONE if v.network is not None else Exit.PROGRAM for v in verdicts])


def examine(program: str, reading: Reading, *, quiet: bool) -> Verdict:
    """Check one program; unless `quiet`, its diagnostics go to stderr, a good word to stdout."""
    from cnndsl.support.diagnostics import DiagnosticError

    try:
        elaboration = load_program(program, reading, quiet=quiet)
    except DiagnosticError as reason:
        if not quiet:
            show_diagnostics(reason.diagnostics, reason.sources)
        return Verdict(program, reason.diagnostics, None)
    if not quiet:
        shown = "<stdin>" if program == "-" else program
        click.echo(f"{shown}: no errors ({size_of(elaboration.network)})")
    return Verdict(program, elaboration.notes, elaboration.network)


def repair(program: str, reading: Reading, *, quiet: bool) -> None:
    """Apply the first fix of every error to a program's file, again while there are any."""
    from cnndsl.frontend.find import find_program
    from cnndsl.support.diagnostics import DiagnosticError
    from cnndsl.support.files import write_atomic
    from cnndsl.support.fixes import apply_fixes, fixes_of

    if program == STANDARD_INPUT:
        raise click.UsageError("--fix changes files, and stdin is none")
    for _ in range(ROUNDS):
        try:
            load_program(program, reading, quiet=True)
        except DiagnosticError as reason:
            path = find_program(program)
            text = reason.sources[str(path)].text if str(path) in reason.sources else ""
            wanted = [
                fixes_of(d, text)[0]
                for d in reason.diagnostics
                if d.span is not None and d.span.file == str(path) and fixes_of(d, text)
            ]
            made = apply_fixes(text, wanted)
            if made.text == text:
                return
            write_atomic(path, made.text.encode())
            for change in made.applied:
                place = f"{path}:{change.span.line}:{change.span.column}"
                if not quiet:
                    click.echo(f"{place}: {change.title}", err=True)
        else:
            return


def size_of(network: Network) -> str:
    """Say how large a network is: "12 layers, 61,706 parameters"."""
    from cnndsl.layers.analysis import add_up

    layers, params = len(network.layers), add_up(network).params
    return f"{_counted(layers, 'layer')}, {_counted(params, 'parameter')}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def record(verdicts: Sequence[Verdict]) -> dict[str, object]:
    """Give verdicts as JSON values."""
    return {
        "ok": all(v.network is not None for v in verdicts),
        "diagnostics": [diagnostic_record(d) for v in verdicts for d in v.diagnostics],
        "programs": [{"program": v.program, "ok": v.network is not None} for v in verdicts],
    }
