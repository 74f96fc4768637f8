from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cnndsl.frontend.parse import parse
from cnndsl.frontend.values import Value
from cnndsl.frontend.variants import family
from cnndsl.search.folder import SearchFolder
from cnndsl.search.search import Plan, Search
from cnndsl.search.trial import Trial
from cnndsl.session import Choices

TEXT = """param c in [1, 2, 3, 4] = 2
input [8x8x1]
conv c 3x3 stride 2 floor, relu
relu?
fc 10, softmax
"""
"""Eight variants, which train in no time."""


def made(plan: Plan, *, text: str = TEXT, limit: int = 60, **params: Value) -> Search:
    program = parse(text, "tiny.cnn")
    choices = Choices(params={k: str(v) for k, v in params.items()}, limit=limit, batch=16)
    return Search(program, family(program, params=choices.params), choices, plan)


def claimed(search: Search, root: Path) -> tuple[SearchFolder, list[Trial]]:
    """Run a search in a new folder."""
    candidates = search.candidates()
    folder = SearchFolder.claim(root, "tiny", program=TEXT, record=search.record(candidates))
    return folder, search.run(folder, candidates)


def stopping(after: int) -> Callable[[], bool]:
    """Ask to stop after some steps."""
    steps = 0

    def stop() -> bool:
        nonlocal steps
        steps += 1
        return steps >= after

    return stop
