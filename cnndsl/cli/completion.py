"""`cnndsl completion`: the script that a shell loads to complete commands."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(*, shell: str) -> None:
    """Print the completion script of a shell; load it with `source <(cnndsl completion bash)`."""
    from click.shell_completion import get_completion_class

    from cnndsl.cli.app import cnndsl

    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells that are offered"
    click.echo(kind(cnndsl, {}, "cnndsl", "_CNNDSL_COMPLETE").source())
