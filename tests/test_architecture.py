"""The house is as its map says: rooms, sizes, signatures."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "cnndsl"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def rooms_of_the_map() -> dict[str, str]:
    rows = re.findall(r"^\| `([a-z_]+)/?` \| (.+?) \|$", (PACKAGE / "README.md").read_text(), re.M)
    return dict(rows)


def test_every_room_stands_on_the_map_with_its_own_words() -> None:
    rooms = {p.parent.name: p for p in PACKAGE.glob("*/__init__.py")}
    described = rooms_of_the_map()
    assert set(rooms) <= set(described)
    for name, path in rooms.items():
        doc = ast.get_docstring(ast.parse(path.read_text()))
        assert doc is not None
        assert doc.split("\n")[0] == described[name]


def test_map_names_nothing_that_is_not_there() -> None:
    there = {p.name for p in PACKAGE.iterdir() if p.is_dir()} | {p.stem for p in SOURCES}
    assert set(rooms_of_the_map()) <= there


def test_every_room_has_a_floor() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    floors = config["tool"]["importlinter"]["contracts"][0]["layers"]
    listed = {room.strip() for floor in floors for room in floor.split("|")}
    there = {p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob("*.py"))}
    there |= {p.stem for p in PACKAGE.glob("*.py")} - {"__init__"}
    assert listed == there


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    if path in SOURCES:
        long = [
            f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, FUNCTIONS)
            and node.end_lineno is not None
            and node.end_lineno - node.lineno + 1 > 60
        ]
        assert not long


def _says_bare_any(annotation: ast.expr | None) -> bool:
    """Tell whether an annotation is Any itself; Node[Any] and Op[Any] say something."""
    return isinstance(annotation, ast.Name) and annotation.id == "Any"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_public_signatures_do_not_say_any(path: Path) -> None:
    if any(str(path.relative_to(ROOT)).startswith(room) for room in ("cnndsl/ops", "cnndsl/ir")):
        return
    loose = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, FUNCTIONS) and not node.name.startswith("_"):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            annotations = [a.annotation for a in arguments] + [node.returns]
            if any(_says_bare_any(annotation) for annotation in annotations):
                loose.append(node.name)
    assert not loose


def test_nothing_is_left_unfinished() -> None:
    marks = re.compile(r"TODO|FIXME|XXX|NotImplementedError")
    found = [str(p.relative_to(ROOT)) for p in SOURCES if marks.search(p.read_text())]
    assert not found


def test_no_module_is_called_after_nothing() -> None:
    vague = {"utils", "util", "helpers", "common", "misc", "manager"}
    assert not [str(p) for p in SOURCES if p.stem in vague]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_no_module_is_imported_by_what_it_imports() -> None:
    """Imports inside functions and for annotations count; the package's own name lists them all."""
    modules = {module_of(path): path for path in SOURCES if path != PACKAGE / "__init__.py"}
    graph = nx.DiGraph()
    for module, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                named = [f"{node.module}.{each.name}" for each in node.names]
                found = [name if name in modules else str(node.module) for name in named]
            else:
                found = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            graph.add_edges_from((module, name) for name in found if name in modules)
    assert graph.number_of_edges() > 2000
    assert [sorted(each) for each in nx.strongly_connected_components(graph) if len(each) > 1] == []
