"""From a program to the graph that a command shows: which graph, and after which passes."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from cnndsl.backends.base import Backend, Precision
    from cnndsl.compiler import CompileOptions
    from cnndsl.frontend.elaborate import Elaboration
    from cnndsl.ir.graph import Graph
    from cnndsl.ir.types import DType
    from cnndsl.passes.base import Pass

F = TypeVar("F", bound=Callable[..., object])

LOWERED = "lower"
"""What stands for the graph before every pass."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which graph of a program is wanted: the options of `graph_options`."""

    train: bool = False
    """Whether it is the training step."""
    batch: int = 32
    """Images of a run."""
    floats: str = "f32"
    """"f32" or "f64"."""

    @property
    def dtype(self) -> DType:
        """The element type of its floats."""
        from cnndsl.ir.types import DType

        return DType(self.floats)

    @property
    def passes(self) -> tuple[Pass, ...]:
        """The usual passes of such a graph, in order."""
        from cnndsl.passes.pipelines import INFER, TRAIN

        return TRAIN if self.train else INFER

    @property
    def options(self) -> CompileOptions:
        """Say so to the compiler."""
        from cnndsl.compiler import CompileOptions

        return CompileOptions(batch=self.batch, dtype=self.dtype)

    def lower(self, elaboration: Elaboration) -> Graph:
        """Make the graph, as it is before every pass; raises `DiagnosticError`."""
        from cnndsl.compiler import Training, lower_network

        training = None
        if self.train:
            from cnndsl.session import Choices, resolve

            settings = resolve(elaboration, Choices(), [])
            training = Training(
                settings.optimizer, settings.loss, settings.loss_options, clip=settings.clip
            )
        return lower_network(elaboration.network, self.options, training=training)

    def optimized(self, elaboration: Elaboration) -> Graph:
        """Make the graph, as it is after the usual passes; raises `DiagnosticError`."""
        from cnndsl.compiler import optimize

        return optimize(self.lower(elaboration), self.options)


def graph_options(command: F) -> F:
    """Add `--train`, `--batch` and `--dtype`; the command gets them as `wanted`."""

    @functools.wraps(command)
    def gathered(*, train: bool, batch: int, floats: str, **rest: object) -> object:
        return command(wanted=Wanted(train, batch, floats), **rest)

    for option in (
        click.option(
            "--dtype",
            "floats",
            type=click.Choice(["f32", "f64"]),
            default="f32",
            show_default=True,
            help="Type of the floats.",
        ),
        click.option(
            "--batch",
            type=click.IntRange(1, 2**20),
            default=32,
            show_default=True,
            metavar="N",
            help="Images of a run.",
        ),
        click.option("--train", is_flag=True, help="The training step instead of inference."),
    ):
        gathered = option(gathered)
    return gathered  # type: ignore[return-value]


def backend_of(device: str | None, precision: Precision | None) -> Backend:
    """Give the backend of `--device`, else of CNNDSL_DEVICE; raises `DiagnosticError`."""
    from cnndsl.backends import load
    from cnndsl.support.settings import Settings

    return load(device or Settings.from_env().device, precision=precision or "fast")


def labelled(passes: Sequence[Pass]) -> dict[str, Pass]:
    """Give passes by name; a second run of the same pass is called `name#2`."""
    found: dict[str, Pass] = {}
    for each in passes:
        count = sum(known.name == each.name for known in found.values()) + 1
        found[each.name if count == 1 else f"{each.name}#{count}"] = each
    return found


def choose_pass(name: str, known: Mapping[str, object], *, option: str) -> str:
    """Give the name of a pass; a usage error that lists the known ones if there is none."""
    from cnndsl.support.suggest import nearest

    if name in known:
        return name
    close = nearest(name, known)
    hint = f"; did you mean {close[0]}?" if close else ""
    listed = textwrap.fill(f"there are {', '.join(known)}", 80, break_on_hyphens=False)
    raise click.BadParameter(f"there is no pass {name!r} here{hint}\n{listed}", param_hint=option)


def complete_pass(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the names of passes."""
    from cnndsl.passes.pipelines import INFER, TRAIN

    names = dict.fromkeys(each.name for each in (*INFER, *TRAIN))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
