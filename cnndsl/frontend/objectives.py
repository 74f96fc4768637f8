"""Judges training that is written out: whether a loss depends on what it should teach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from cnndsl.frontend import ast
from cnndsl.support.diagnostics import Diagnostic, Label, error
from cnndsl.support.source import SourceFile


def judge_objectives(section: ast.Section, program: ast.Program) -> list[Diagnostic]:
    """Report every `update NET minimize LOSS` whose loss does not depend on the net (E0701).

    The gradient of such a loss with respect to the net's weights is zero, whatever the data.
    """
    nets = {s.name.text for s in program.statements if isinstance(s, ast.Net | ast.NetBinding)}
    found = []
    depends: dict[str, tuple[str, ...]] = {net: (net,) for net in nets}
    for statement in section.body.statements:
        match statement:
            case ast.Let(name=name, value=value):
                depends[name.text] = _nets_in(value, depends)
            case ast.Objective(words=ast.Words(items=(_, *items)), value=loss):
                used = _nets_in(loss, depends)
                updated = [n for n in items if isinstance(n, ast.Name) and n.text in nets]
                for net in updated:
                    if net.text not in used:
                        game = _game(net.text, loss, depends, program.source)
                        found.append(_teaches_nothing(net, loss, used, game))
    return found


def _nets_in(value: ast.Expr, depends: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Name the nets that a value depends on, in order, as the names in it do."""
    return tuple(dict.fromkeys(net for name in _names(value) for net in depends.get(name, ())))


def _names(part: object) -> Iterator[str]:
    """Give all names of an expression, as they stand in the source."""
    if isinstance(part, ast.Name):
        yield part.text
    elif isinstance(part, tuple):
        for item in part:
            yield from _names(item)
    elif isinstance(part, ast.Syntax) and is_dataclass(part):
        for entry in fields(part):
            yield from _names(getattr(part, entry.name))


def _teaches_nothing(
    net: ast.Name, loss: ast.Expr, used: tuple[str, ...], game: str | None
) -> Diagnostic:
    return error(
        "E0701",
        f"this loss does not depend on {net.text}, so updating {net.text} does nothing",
        net.span,
        label="to be updated",
        related=(Label(loss.span, f"uses {' and '.join(used)} only" if used else "uses no net"),),
        helps=(
            f"did you mean `{game}`?"
            if game
            else f"minimize something that `{net.text}(..)` is part of, or leave {net.text} out",
        ),
    )


def _game(
    critic: str, loss: ast.Expr, depends: Mapping[str, tuple[str, ...]], source: SourceFile
) -> str | None:
    """Write the loss of a critic beside one that compares another net's work with real data.

    That is the game of Goodfellow et al., "Generative adversarial nets", 2014, equation 1, with
    binary cross entropy.
    """
    match loss:
        case ast.Apply(arguments=(ast.Argument(value=first), ast.Argument(value=second))):
            for made, real in ((first, second), (second, first)):
                match made, real:
                    case ast.Apply(target=ast.Name(text=painter)), ast.Name(text=data):
                        if depends.get(painter) and not depends.get(data):
                            work = source.cut(made.span)
                            return f"bce({critic}({data}), 1) + bce({critic}({work}), 0)"
    return None
