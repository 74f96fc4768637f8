"""`cnndsl completion`: the script that a shell loads to complete commands."""

from __future__ import annotations

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.options import json_option


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
def completion(*, shell: str, as_json: bool) -> None:
    """Print the completion script of a shell; load it with `source <(cnndsl completion bash)`."""
    from click.shell_completion import get_completion_class

    from cnndsl.cli.app import cnndsl

    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells that are offered"
    script = kind(cnndsl, {}, "cnndsl", "_CNNDSL_COMPLETE").source()
    if as_json:
        emit_json({"shell": shell, "script": script})
    else:
        click.echo(script)
