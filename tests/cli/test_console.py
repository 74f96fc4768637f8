from __future__ import annotations

import contextlib
import io
import re
import sys

import pytest

from cnndsl.cli.console import err, is_terminal, out, show_diagnostics, wants_colour
from cnndsl.support.diagnostics import error, note, render_all
from cnndsl.support.source import SourceFile, Span

SOURCE = SourceFile("toy.cnn", "input [7x7x3]\nconv 10 3x3 stride 3\n")
WRONG = error(
    "E0301",
    "a window does not fit",
    Span("toy.cnn", 2, 13, 2, 21),
    label="not whole",
    helps=("`stride 2` fits",),
)
SEVERAL = (WRONG, note("N0001", "free counts"))
ESCAPE = "\x1b["


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), "utf-8")

    def isatty(self) -> bool:
        return True


def shown(terminal: Terminal) -> str:
    """What two diagnostics look like on a terminal."""
    with contextlib.redirect_stderr(terminal):
        show_diagnostics(SEVERAL, {"toy.cnn": SOURCE})
    terminal.flush()
    terminal.seek(0)
    return terminal.read()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return Terminal()


def test_colour_on_a_terminal(terminal: Terminal) -> None:
    assert ESCAPE in shown(terminal)


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_where_it_is_not_welcome(
    name: str, value: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert not wants_colour(terminal)
    assert shown(terminal).rstrip("\n") == render_all(SEVERAL, {"toy.cnn": SOURCE})


def test_colours_change_nothing_but_colour(terminal: Terminal) -> None:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown(terminal))
    assert plain.rstrip("\n") == render_all(SEVERAL, {"toy.cnn": SOURCE})


def test_forced_colour_does_not_make_a_log_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    log = io.StringIO()
    assert not wants_colour(log)
    monkeypatch.setattr(sys, "stderr", log)
    console = err()
    assert not console.is_interactive
    console.print("[red]plain[/red]")
    assert log.getvalue() == "plain\n"


def test_long_lines_are_not_cut_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stdout", log)
    out().print("word " * 60)
    assert log.getvalue().count("\n") == 1


def test_terminals() -> None:
    assert is_terminal(Terminal())
    assert not is_terminal(io.StringIO())
    assert not is_terminal(None)
