"""Hostile files get a code; none gets a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cnndsl.frontend.check import check, examine
from cnndsl.frontend.parse import parse_file
from cnndsl.support.diagnostics import DiagnosticError
from cnndsl.support.limits import DEFAULT_LIMITS, Limits
from tests.acceptance.hostile import BOMBS, FLOOD, LIMITS, NOISE


def codes(text: str, limits: Limits = DEFAULT_LIMITS) -> set[str]:
    return {d.code for d in check(f"input [8]\n{text}", limits=limits, base_dir=Path("/nowhere"))}


@pytest.mark.parametrize("name", BOMBS)
def test_expansion_bombs(name: str) -> None:
    found = check(f"input [8]\n{BOMBS[name]}")
    assert [d.code for d in found] == ["E0602"]
    assert found[0].notes[-1] == "nothing was built" or found[0].label


@pytest.mark.parametrize("name", LIMITS)
def test_limits(name: str) -> None:
    code, text = LIMITS[name]
    assert code in codes(text)


@pytest.mark.parametrize("name", NOISE)
def test_a_megabyte_of_noise(name: str) -> None:
    found = check(NOISE[name])
    assert found
    assert all(len(d.message) < 400 for d in found)


def test_a_flood_of_mistakes_is_cut() -> None:
    found = check(f"input [8]\n{FLOOD}")
    assert len(found) == DEFAULT_LIMITS.messages


def test_long_lines_and_escapes_are_shown_harmlessly() -> None:
    text = f"input [8] - rleu \x1b[31m{'x' * 5000}"
    shown = str(examine(text))
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) < 400


def test_files(tmp_path: Path) -> None:
    def code_of(path: Path, limits: Limits = DEFAULT_LIMITS) -> str:
        with pytest.raises(DiagnosticError) as caught:
            parse_file(path, limits=limits)
        return caught.value.diagnostics[0].code

    large, noise = tmp_path / "large.cnn", tmp_path / "noise.cnn"
    large.write_bytes(b" " * (DEFAULT_LIMITS.file_bytes + 1))
    noise.write_bytes(b"relu\xff")
    pipe = tmp_path / "pipe.cnn"
    os.mkfifo(pipe)
    assert code_of(large) == "E0611"
    assert code_of(noise) == "E0612"
    assert code_of(pipe) == "E0613"
    assert code_of(tmp_path) == "E0613"
    assert code_of(tmp_path / "none.cnn") == "E0610"


def test_imports(tmp_path: Path) -> None:
    for i in range(20):
        (tmp_path / f"f{i}.cnn").write_text(f'import "f{i + 1}.cnn" as f\ninput [8]\nf\n')
    (tmp_path / "f20.cnn").write_text("relu\n")
    (tmp_path / "circle.cnn").write_text('import "circle.cnn" as c\ninput [8]\nc\n')
    assert "E0605" in {d.code for d in check(tmp_path / "f0.cnn")}
    assert "E0601" in {d.code for d in check(tmp_path / "circle.cnn")}
    many = "".join(f'import "g{i}.cnn" as g{i}\n' for i in range(70))
    for i in range(70):
        (tmp_path / f"g{i}.cnn").write_text("relu\n")
    (tmp_path / "many.cnn").write_text(f"{many}input [8]\ng0\n")
    assert "E0611" in {d.code for d in check(tmp_path / "many.cnn")}


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside.cnn").write_text("relu\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.cnn").symlink_to(tmp_path / "outside.cnn")
    program = inside / "a.cnn"
    program.write_text('import "link.cnn" as l\ninput [8]\nl\n')
    assert "E0606" in {d.code for d in check(program)}
    assert not check(program, allow_paths=[tmp_path])


def test_time_is_a_limit_if_somebody_sets_it() -> None:
    reading = check("input [8]; relu", limits=Limits(seconds=0.0))
    assert [d.code for d in reading] == ["E0609"]
    assert "reading" in reading[0].message
    assert not check("input [8]; relu", limits=Limits(seconds=60.0))


def test_more_than_the_machines_memory_is_a_warning() -> None:
    text = "input [8]; fc 1000"
    (found,) = check(text, limits=Limits(memory_bytes=1000))
    assert (found.code, found.severity.value) == ("W0608", "warning")
    assert not check(text, limits=Limits(memory_bytes=10**6))
