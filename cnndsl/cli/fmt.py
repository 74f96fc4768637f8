"""`cnndsl fmt`: programs in the one canonical form."""

from __future__ import annotations

from pathlib import Path

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.ending import Exit
from cnndsl.cli.options import json_option


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file would change.")
@click.option("--stdout", "to_stdout", is_flag=True, help="Print the result, write nothing.")
@json_option
def fmt(*, files: tuple[Path, ...], check: bool, to_stdout: bool, as_json: bool) -> int:
    """Write programs in the one canonical form, comments kept."""
    from cnndsl.frontend.format import format_program
    from cnndsl.frontend.parse import parse_file
    from cnndsl.support.files import write_atomic

    results = {}
    for path in files:
        program = parse_file(path)
        results[path] = (program.source.text, format_program(program))
    changed = [path for path, (before, after) in results.items() if before != after]
    if to_stdout and not as_json:
        for _, after in results.values():
            click.echo(after, nl=False)
    if not check and not to_stdout:
        for path in changed:
            write_atomic(path, results[path][1].encode())
    if as_json:
        emit_json(
            {
                "files": [
                    {"file": str(path), "changed": path in changed, "text": after}
                    for path, (_, after) in results.items()
                ]
            }
        )
    elif not to_stdout:
        for path in changed:
            click.echo(f"{'would change' if check else 'wrote'} {path}", err=True)
    return Exit.PROGRAM if check and changed else Exit.DONE
