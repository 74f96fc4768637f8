"""`cnndsl cache`: the kernels that were compiled, and the choices that were measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.options import json_option

if TYPE_CHECKING:
    from cnndsl.backends.cpu.objects import ObjectStore


@click.group()
def cache() -> None:
    """Compiled kernels and measured choices that are kept: where, how many, away with them."""


@cache.command()
@json_option
def info(*, as_json: bool) -> None:
    """Say where compiled kernels are kept and how much room they take.

    CNNDSL_KERNELS names another folder, or "off".
    """
    from cnndsl.plan.report import size

    store = _store()
    if as_json:
        emit_json(record(store))
    elif store is None:
        click.echo("nothing is kept: CNNDSL_KERNELS is off")
    else:
        click.echo(
            f"{store.folder}: {store.count():,} kernels, {store.choices():,} choices of "
            f"`cnndsl tune`, {size(store.nbytes())} of at most {size(store.most_bytes)}"
        )


@cache.command()
@json_option
def clear(*, as_json: bool) -> None:
    """Remove all kernels and choices: they are compiled again, and estimated, when needed."""
    from cnndsl.plan.report import size

    store = _store()
    freed = 0 if store is None else store.clear()
    if as_json:
        emit_json(record(store) | {"freed": freed})
    else:
        click.echo(f"{size(freed)} freed")


def _store() -> ObjectStore | None:
    from cnndsl.backends.cpu.objects import ObjectStore
    from cnndsl.support.settings import Settings

    return ObjectStore.of(Settings.from_env().kernel_dir)


def record(store: ObjectStore | None) -> dict[str, object]:
    """Give the state of the folder as JSON values; sizes in bytes."""

    return {
        "folder": None if store is None else str(store.folder),
        "kernels": 0 if store is None else store.count(),
        "choices": 0 if store is None else store.choices(),
        "bytes": 0 if store is None else store.nbytes(),
        "most_bytes": 0 if store is None else store.most_bytes,
    }
