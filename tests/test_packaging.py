"""`grammars/` and `zoo/` are found however the package was installed."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LISTING = """
from cnndsl.support.resources import resource_dir
for name in ("grammars", "zoo"):
    for path in sorted(resource_dir(name).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            print(name + "/" + path.relative_to(resource_dir(name)).as_posix())
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def in_the_repository() -> list[str]:
    tracked = run("git", "ls-files", "grammars", "zoo", cwd=ROOT).split()
    return sorted(tracked)


def listed_by(python: Path, cwd: Path) -> list[str]:
    # Isolated mode: neither the working folder nor PYTHONPATH may help.
    return sorted(run(python, "-I", "-c", LISTING, cwd=cwd).split())


def environment(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


@pytest.mark.slow
def test_wheel_wheel_from_sdist_and_editable_hold_the_same_files(tmp_path: Path) -> None:
    expected = in_the_repository()
    assert "grammars/cnn.lark" in expected
    assert "zoo/lenet.cnn" in expected

    clone = tmp_path / "clone"
    run("git", "clone", "-q", ROOT, clone, cwd=tmp_path)
    run(sys.executable, "-m", "build", "--sdist", "--wheel", "-o", tmp_path / "both", cwd=clone)
    (sdist,) = (tmp_path / "both").glob("*.tar.gz")
    (direct,) = (tmp_path / "both").glob("*.whl")
    run("tar", "xf", sdist, cwd=tmp_path)
    unpacked = tmp_path / sdist.name.removesuffix(".tar.gz")
    run(sys.executable, "-m", "build", "--wheel", "-o", tmp_path / "again", cwd=unpacked)
    (from_sdist,) = (tmp_path / "again").glob("*.whl")

    names = [
        {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info" not in name}
        for wheel in (direct, from_sdist)
    ]
    assert names[0] == names[1]
    assert {f"cnndsl/{name}" for name in expected} <= names[0]

    installs: list[list[str | Path]] = [[direct], [from_sdist], ["-e", clone]]
    for number, target in enumerate(installs):
        python = environment(tmp_path / f"venv{number}")
        run(python, "-m", "pip", "install", "-q", *target, cwd=tmp_path)
        assert listed_by(python, tmp_path) == expected
        found = run(python, "-m", "cnndsl", "check", "lenet.cnn", "--json", cwd=tmp_path)
        assert '"ok": true' in found
