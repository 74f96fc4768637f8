"""The messages of the language's description, word for word.

`language/NN-name.cnn` is the program, `.txt` the message as the description has it; NN is its
number there. Of its 21 one is not here: 19, weights that do not fit, is held in
`tests/session/test_loads.py`. 22 is the note at the end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from cnndsl.frontend.check import examine
from cnndsl.frontend.values import Value
from cnndsl.support.diagnostics import render

FOLDER = Path(__file__).parent / "language"
PROGRAMS = sorted(FOLDER.glob("*.cnn"))

OTHERS = {"16-a": ("b.cnn", '# what a.cnn needs\n\nimport "a.cnn" as a\n')}
"""Files beside a program."""

PARAMS: Mapping[str, Mapping[str, Value]] = {"15-resnet": {"depth": "51"}}
"""What is given on the command line."""

BETTER = {
    "09-net": (
        "  = `fc` takes: neurons, nobias, an activation\n",
        "  = `fc` takes: neurons, nobias, init, std, bias init, an activation\n",
    )
}
"""What is said otherwise, and how: the list of what a layer takes is of all that it takes, so that
who meant `init` and wrote `initial` finds it."""


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_the_message_is_the_description_s(path: Path, tmp_path: Path) -> None:
    number, _, name = path.stem.partition("-")
    program = tmp_path / f"{name}.cnn"
    program.write_bytes(path.read_bytes())
    if path.stem in OTHERS:
        other, text = OTHERS[path.stem]
        (tmp_path / other).write_text(text)
    wanted = path.with_suffix(".txt").read_text("utf-8")
    theirs, ours = BETTER.get(path.stem, ("", ""))
    assert theirs in wanted
    code = re.search(r"\[([EN]\d{4})\]", wanted)
    assert code is not None
    found = examine(program, params=PARAMS.get(path.stem), base_dir=tmp_path)
    said = [render(d, found.sources) for d in found.diagnostics if d.code == code[1]]
    assert len(said) == 1
    shown = said[0].replace(str(program), program.name).rstrip("\n") + "\n"
    assert shown == wanted.replace(theirs, ours)
    assert number.isdigit()


def test_all_but_one_are_here() -> None:
    assert [int(path.stem[:2]) for path in PROGRAMS] == [*range(1, 19), 20, 21, 22]
