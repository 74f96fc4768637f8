"""What is imported before anything is done: that is what a command's start costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from cnndsl.cli.app import COMMANDS

SCRIPT = """
import json, sys
from cnndsl.cli.app import main
try:
    main(sys.argv[1:])
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""

HEAVY = ("numpy", "networkx", "lark", "rich", "PIL", "safetensors", "llvmlite", "cupy")


def modules_after(*arguments: str, environment: dict[str, str] | None = None) -> set[str]:
    """Run a command in a process of its own and tell what it had imported at its end."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_loads_no_command(arguments: tuple[str, ...]) -> None:
    loaded = modules_after(*arguments)
    assert loaded.isdisjoint(HEAVY)
    allowed = {"cnndsl.cli", "cnndsl.cli.app", "cnndsl.cli.ending"}
    assert {m for m in loaded if m.startswith("cnndsl.")} <= allowed


@pytest.mark.parametrize(
    "command",
    [
        "check",
        "summary",
        "table",
        "zoo",
        "ir",
        "why",
        "plan",
        "bench",
        "kernels",
        "cache",
        "verify",
        "gradcheck",
        "draw",
        "explain",
        "diff",
        "compare",
        "variants",
        "search",
    ],
)
def test_help_of_a_command_loads_nothing_heavy(command: str) -> None:
    assert command in COMMANDS
    loaded = modules_after(command, "--help")
    assert loaded.isdisjoint(HEAVY)
    assert not {m for m in loaded if m.startswith(("cnndsl.ops", "cnndsl.layers", "cnndsl.ir"))}


@pytest.mark.parametrize("command", ["check", "summary", "table"])
def test_checking_makes_no_graph_and_opens_no_data(command: str) -> None:
    loaded = modules_after(command, "lenet")
    assert loaded.isdisjoint({"networkx", "rich", "PIL", "safetensors", "llvmlite", "cupy"})
    rooms = {module.split(".")[1] for module in loaded if module.startswith("cnndsl.")}
    assert rooms.isdisjoint(
        {"autodiff", "backends", "passes", "plan", "runtime", "session", "train"}
    )
    assert "urllib.request" not in loaded


def test_completing_a_program_loads_nothing_heavy() -> None:
    import os

    asked = {"_CNNDSL_COMPLETE": "bash_complete", "COMP_WORDS": "cnndsl run le", "COMP_CWORD": "2"}
    assert modules_after(environment=os.environ | asked).isdisjoint(HEAVY)
