from __future__ import annotations

from collections.abc import Callable

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl import __version__
from cnndsl.cli.app import COMMANDS, cnndsl, spell_out
from tests.cli.runner import run


def test_help_page(golden: Callable[[str], None]) -> None:
    result = run("--help")
    assert (result.code, result.err) == (0, "")
    golden(result.out)


def pages() -> list[str]:
    """Every command, those inside groups too."""
    found = []
    for name in COMMANDS:
        found.append(name)
        command = cnndsl.get_command(click.Context(cnndsl), name)
        if isinstance(command, click.Group):
            found += [f"{name} {inner}" for inner in command.commands]
    return found


@pytest.mark.parametrize(
    "name",
    [
        "check", "summary", "table", "zoo", "zoo list", "ir", "why", "plan", "bench", "kernels",
        "tune",
        "verify", "gradcheck", "ops", "fmt", "doctor", "completion", "data", "data list",
        "data get", "cache", "cache info", "cache clear",
    ],
    ids=lambda name: name.replace(" ", "-"),
)  # fmt: skip
def test_help_of_commands(name: str, golden: Callable[[str], None]) -> None:
    result = run(*name.split(), "--help")
    assert (result.code, result.err) == (0, "")
    golden(result.out)


@pytest.mark.parametrize("name", pages())
def test_every_help_page_fits_and_offers_json(name: str) -> None:
    result = run(*name.split(), "-h")
    assert result.code == 0
    assert max(map(len, result.lines)) <= 80
    assert "--json" in result.out or name in ("data", "zoo", "cache", "import")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_list_says_what_the_command_says(name: str) -> None:
    command = cnndsl.get_command(click.Context(cnndsl), name)
    assert command is not None
    assert command.name == name
    assert command.help
    assert COMMANDS[name][1] in run("--help").out


def test_version() -> None:
    assert run("--version").out == f"cnndsl {__version__}\n"


def test_unknown_commands_are_answered_with_what_was_meant() -> None:
    result = run("sumary", "lenet")
    assert result.code == 2
    assert "Did you mean summary?" in result.err
    assert "write `cnndsl run lenet.cnn`" in run("lenet.cnn").err
    assert "`cnndsl --help` lists the commands" in run("xyzzy").err


def test_without_a_command_the_help_is_shown() -> None:
    result = run()
    assert result.code in (0, 2)
    assert "Commands:" in result.out + result.err


def test_key_value_is_an_option() -> None:
    assert run("plan", "lenet", "batch=2").out == run("plan", "lenet", "--batch", "2").out
    assert spell_out(["batch=2"]) == ["batch=2"]
    assert spell_out(["run", "-p", "act=relu"]) == ["run", "-p", "act=relu"]
    assert spell_out(["run", "data-dir=/a=b"]) == ["run", "--data-dir", "/a=b"]


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="="), min_size=1)))
def test_words_without_equal_signs_stay(words: list[str]) -> None:
    assert spell_out(words) == words


def test_order_of_options_never_matters() -> None:
    one = run("ir", "--batch", "2", "mlp", "--train", "--after", "lower")
    assert one.out == run("ir", "--after", "lower", "--train", "--batch", "2", "mlp").out
