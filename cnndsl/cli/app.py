"""The command `cnndsl`: the list of its commands, loaded one at a time, and how it ends.

Nothing but click is imported for `cnndsl --help`.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NoReturn

import click

from cnndsl import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("cnndsl.cli.run:run", "Check, compile, train and test a program."),
    "check": ("cnndsl.cli.check:check", "Say what is wrong with programs, or that nothing is."),
    "summary": ("cnndsl.cli.summary:summary", "Sizes, parameters and operations, layer by layer."),
    "table": ("cnndsl.cli.table:table", "The slide's own table of a program; it is a program too."),
    "draw": ("cnndsl.cli.draw:draw", "A picture of a program: SVG, PNG, DOT or Mermaid."),
    "explain": ("cnndsl.cli.explain:explain", "What a code means, or how a layer comes about."),
    "diff": ("cnndsl.cli.diff:diff", "What is different between two programs."),
    "compare": ("cnndsl.cli.compare:compare", "What two networks, or parts of them, cost."),
    "import": ("cnndsl.cli.import_:import_", "Write programs from slides and listings."),
    "fmt": ("cnndsl.cli.fmt:fmt", "Write programs in the one canonical form."),
    "ir": ("cnndsl.cli.ir:ir", "The graph of a program, before and after any pass."),
    "why": ("cnndsl.cli.why:why", "What a pass changed, and what it saved."),
    "plan": ("cnndsl.cli.plan:plan", "Order and memory of a program, as table and chart."),
    "bench": ("cnndsl.cli.bench:bench", "Time a program, kernel by kernel."),
    "tune": ("cnndsl.cli.tune:tune", "Choose algorithms by measuring them."),
    "kernels": ("cnndsl.cli.kernels:kernels", "The code that computes a layer."),
    "train": ("cnndsl.cli.train:train", "Train a program, or go on with a run."),
    "eval": ("cnndsl.cli.eval:eval_", "Measure trained weights on a data set."),
    "predict": ("cnndsl.cli.predict:predict", "Classify images with trained weights."),
    "verify": ("cnndsl.cli.verify:verify", "Compare backends and passes on random inputs."),
    "gradcheck": ("cnndsl.cli.gradcheck:gradcheck", "Check gradients against differences."),
    "ops": ("cnndsl.cli.ops:ops", "Every op, and what serves it: the conformance matrix."),
    "variants": ("cnndsl.cli.variants:variants", "The family that a program is."),
    "search": ("cnndsl.cli.search:search", "Find a good variant of a program by training some."),
    "zoo": ("cnndsl.cli.zoo:zoo", "The networks that come along."),
    "data": ("cnndsl.cli.data:data", "Data sets: list, where they are, download."),
    "cache": ("cnndsl.cli.cache:cache", "Compiled kernels and measured choices that are kept."),
    "doctor": ("cnndsl.cli.doctor:doctor", "What this installation has and can do."),
    "completion": ("cnndsl.cli.completion:completion", "Completion for bash, zsh and fish."),
}
"""Command name to where it is and what it does."""


class Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import and give one command."""
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown name is answered with the nearest ones."""
        from cnndsl.support.suggest import nearest

        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            close = nearest(args[0], COMMANDS)
            if close:
                hint = f" Did you mean {', '.join(close)}?"
            elif args[0].endswith(".cnn"):
                hint = f" To train a program, write `cnndsl run {args[0]}`."
            else:
                hint = " `cnndsl --help` lists the commands."
            raise click.UsageError(f"there is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, so that none is imported for `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="cnndsl %(version)s")
def cnndsl() -> None:
    """Compile, train and look into convolutional networks written as text.

    A PROGRAM is a .cnn file, or the name of one in the zoo (`cnndsl zoo list`).
    Begin with: cnndsl run lenet.cnn
    """


_KEY_VALUE = re.compile(r"([a-z][a-z-]*)=(.*)", re.DOTALL)


def spell_out(argv: Sequence[str]) -> list[str]:
    """Turn `key=value` words into `--key value`; values of options are left alone.

    >>> spell_out(["train", "lenet.cnn", "epochs=3", "-p", "act=relu"])
    ['train', 'lenet.cnn', '--epochs', '3', '-p', 'act=relu']
    """
    spelled: list[str] = []
    for index, word in enumerate(argv):
        found = _KEY_VALUE.fullmatch(word)
        after_option = index > 0 and argv[index - 1].startswith("-")
        if found and index > 0 and not after_option:
            spelled += [f"--{found[1]}", found[2]]
        else:
            spelled.append(word)
    return spelled


def _debugging() -> AbstractContextManager[None]:
    """Tell what the compiler does while the command runs, as CNNDSL_DEBUG says."""
    if not os.environ.get("CNNDSL_DEBUG"):
        return nullcontext()
    from cnndsl.cli.debug import debugging

    return debugging()


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process with one of the documented exit codes."""
    from cnndsl.cli.ending import end

    words = spell_out(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words
    try:
        with _debugging():
            result = cnndsl.main(args=words, prog_name="cnndsl", standalone_mode=False)
    except BaseException as reason:
        sys.exit(end(reason, as_json=as_json))
    sys.exit(result if isinstance(result, int) else 0)
